//! What the vrrp thread and the trackers tell: into the log, and on to whoever is to be told.

use crate::core::telling::Happening;
use crate::vrrp::machine::Note;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::snapshot::sentence;
use crate::vrrp::track;

use super::Worker;

impl Worker {
    /// What the vrrp thread tells.
    pub(super) fn take_report(&mut self, report: &Report) {
        let name = report.instance.as_str();
        // Empty for the thread itself.
        let instance = Some(name).filter(|name| !name.is_empty());
        self.chronicle.report(report);
        match &report.told {
            Told::Transition { transition, .. } if self.restart.silent(name, &transition.cause) => {
                tracing::info!(instance, "vrrp {name}: {}", report.told);
                self.teller.adopt(name, transition.to);
            }
            Told::Transition { transition, snapshot, generation } => {
                tracing::info!(instance, "vrrp {name}: {}", report.told);
                let cause = sentence(&transition.cause, snapshot);
                let happening = Happening::Instance {
                    name,
                    state: transition.to,
                    previous: transition.from,
                    cause: &cause,
                    priority: transition.priority,
                };
                self.teller.tell(happening, &self.config, *generation);
            }
            Told::Deleted { generation, priority } => {
                tracing::info!(instance, "vrrp {name}: {}", report.told);
                let previous = self.teller.state(name);
                let happening = Happening::Deleted { name, previous, priority: *priority };
                self.teller.tell(happening, &self.before, *generation);
            }
            Told::LowerPriorityHeard { priority } => {
                tracing::warn!(instance, "vrrp {name}: {}", report.told);
                let happening = Happening::LowerPriorityHeard { name, priority: *priority };
                self.teller.tell(happening, &self.config, 0);
            }
            Told::Scheduled(outcome) if outcome.refused.is_empty() => tracing::info!("{outcome}"),
            Told::Scheduled(outcome) => tracing::warn!("{outcome}"),
            Told::Raised(raised) => tracing::warn!("{raised}"),
            Told::Failed { .. } => tracing::error!("{}", report.told),
            Told::Group { to, .. } if self.restart.silent_group(name, *to) => {
                tracing::info!(sync_group = name, "vrrp {name}: {}", report.told);
                self.teller.adopt_group(name, *to);
            }
            Told::Group { from, to, cause, generation } => {
                tracing::info!(sync_group = name, "vrrp {name}: {}", report.told);
                let happening = Happening::Group { name, state: *to, previous: *from, cause };
                self.teller.tell(happening, &self.config, *generation);
            }
            Told::Note(Note::PriorityChanged { to, .. }) => {
                tracing::info!(instance, "vrrp {name}: {}", report.told);
                let state = self.teller.state(name);
                let happening = Happening::PriorityChanged { name, state, priority: *to };
                self.teller.tell(happening, &self.config, 0);
            }
            Told::GroupWaits { .. } => tracing::info!(sync_group = name, "vrrp {name}: {}", report.told),
            Told::Note(Note::HoldOver | Note::WantsMaster) => {
                tracing::info!(instance, "vrrp {name}: {}", report.told);
            }
            Told::OneHolderAgain { .. } => tracing::info!(instance, "vrrp {name}: {}", report.told),
            Told::Note(_)
            | Told::TwoHolders { .. }
            | Told::UnknownVrid { .. }
            | Told::Discarded { .. }
            | Told::AddressListDiffers { .. }
            | Told::ClockStepped { .. }
            | Told::ClockFollowed { .. }
            | Told::SendFailed { .. }
            | Told::SocketFailed { .. }
            | Told::Late(_)
            | Told::Unremembered { .. }
            | Told::ReportsDropped { .. } => tracing::warn!(instance, "vrrp {name}: {}", report.told),
        }
    }

    /// What a tracker says.
    pub(super) fn take_tracker(&mut self, change: track::Change) {
        if let Some(flip) = self.trackers.take(change) {
            tracing::info!("{flip}");
            self.chronicle.flip(&flip);
            self.vrrp.mailbox.trackers(self.trackers.values());
            self.tell_check();
            self.remember();
        }
    }
}
