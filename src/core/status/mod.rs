//! Everything at one moment, in one document ([`StatusView`]): what the rooms have said of themselves, the configuration in
//! force, the overrides of commands and the kernel's counts, put together. Pure; `maker` D asks the rooms.

mod alike;
mod digest;
mod instances;
mod ledger;
mod maker;
pub mod pairing;
pub mod profile;
mod stamp;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use crate::bfd::report::SessionStates;
use crate::config::model::ServiceName;
use crate::control::routes::{Part, Want};
use crate::control::view::{BfdView, DaemonView, GroupView, IpvsView, StatusView, VirtualServerView};
use crate::core::servers::Picture;
use crate::ipvs::counts::Counts;
use crate::ipvs::kernel::Report;
use crate::vrrp::status::Status;

pub use digest::Digests;
pub use ledger::Ledger;
pub use maker::{Facts, Maker, PATIENCE, asked_check};
pub use stamp::stamp;

/// What the rooms have said.
#[derive(Debug)]
pub struct Seen {
    /// The configuration with its overrides, and what the checks know.
    pub picture: Picture,
    /// What the vrrp thread says; `None` where it was not asked or did not answer.
    pub vrrp: Option<Box<Status>>,
    /// How BFD sessions stand.
    pub sessions: Arc<SessionStates>,
    /// What the ipvs thread last told.
    pub report: Report,
    /// Number of the last table that it was given.
    pub wanted: u64,
    /// What the kernel counts; `None` where it cannot be read.
    pub counts: Option<Arc<Counts>>,
    /// What earlier readings of it came to.
    pub ledger: Arc<Ledger>,
    /// What the daemon says of itself.
    pub daemon: DaemonView,
    /// The time of all that, since 1970.
    pub since_1970: Duration,
}

/// The document. Of what is not wanted the lists are empty; `at` and `daemon` are always there.
pub fn view(seen: &Seen, want: &Want) -> StatusView {
    let mut view =
        StatusView { at: stamp(seen.since_1970), daemon: seen.daemon.clone(), ..StatusView::default() };
    if want.wants(Part::Instances) {
        if let Some(status) = &seen.vrrp {
            view.instances = instances::views(status, &seen.picture.config, seen.daemon.running);
            view.groups = groups(status);
        }
        view.bfd = sessions(seen);
    }
    if want.wants(Part::VirtualServers) {
        view.virtual_servers = virtual_servers(seen, want.service.as_ref());
        view.ipvs = ipvs(seen);
    }
    view
}

fn groups(status: &Status) -> Vec<GroupView> {
    let of = |group: &crate::vrrp::status::GroupStatus| GroupView {
        name: group.name.clone(),
        state: instances::state(group.state).to_owned(),
        members: group.members.clone(),
    };
    status.groups.iter().map(of).collect()
}

/// A session that has not begun counts as down.
fn sessions(seen: &Seen) -> Vec<BfdView> {
    let now = seen.picture.now;
    let blocks = seen.picture.config.bfd_instance.iter();
    blocks
        .map(|block| {
            let state = seen.sessions.get(&block.name);
            BfdView {
                name: block.name.clone(),
                up: state.is_some_and(|state| state.up),
                changed_ago: state
                    .filter(|state| state.cause != crate::bfd::session::Cause::Started)
                    .map(|state| now.saturating_duration_since(state.since).as_secs_f64()),
            }
        })
        .collect()
}

fn virtual_servers(seen: &Seen, only: Option<&ServiceName>) -> Vec<VirtualServerView> {
    // Connections come with the rest of what the kernel counts.
    let mut servers = seen.picture.servers(only, None).virtual_servers;
    traffic::fill(&mut servers, &seen.picture.status, seen.counts.as_deref(), &seen.ledger);
    servers
}

fn ipvs(seen: &Seen) -> IpvsView {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    IpvsView {
        in_order: seen.report.errors.is_empty() && seen.report.applied == seen.wanted,
        errors: seen.report.errors.clone(),
        services: count(seen.report.table.len()),
        applied: seen.report.applied,
        wanted: seen.wanted,
        foreign_services: seen.counts.as_ref().map(|counts| counts.foreign),
        repaired: seen.report.drift_repaired,
    }
}

#[cfg(test)]
mod tests;
