//! From what the rooms tell to events of the journal. Pure.

use crate::bfd::report as bfd;
use crate::check;
use crate::check::What;
use crate::control::view::EventView;
use crate::vrrp::machine::{Note, StateName};
use crate::vrrp::report::{Report, Told};
use crate::vrrp::snapshot::sentence;
use crate::vrrp::track::Flip;

const INFO: &str = "info";
const WARNING: &str = "warning";
const ERROR: &str = "error";

/// An event of a kind about something, in words; `at` and the number are the journal's to give.
pub fn event(level: &str, kind: &str, subject: &str, text: impl Into<String>) -> EventView {
    EventView {
        level: level.to_owned(),
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        text: text.into(),
        ..EventView::default()
    }
}

/// What the vrrp thread tells; `None`: nothing to keep.
pub fn of_report(report: &Report) -> Option<EventView> {
    let name = report.instance.as_str();
    let told = &report.told;
    let (level, kind) = match told {
        Told::Transition { transition, snapshot, .. } => {
            let level = if transition.to == StateName::Fault { WARNING } else { INFO };
            let mut event = event(level, "transition", name, sentence(&transition.cause, snapshot));
            event.from = Some(transition.from.to_string());
            event.to = Some(transition.to.to_string());
            event.cause = Some(transition.cause.name().to_owned());
            // Plain data: it cannot fail, and without it the sentence says the same.
            event.details = serde_json::to_value(snapshot).ok();
            return Some(event);
        }
        Told::Group { from, to, cause, .. } => {
            let level = if *to == StateName::Fault { WARNING } else { INFO };
            let mut event = event(level, "group", name, cause.clone());
            (event.from, event.to) = (Some(from.to_string()), Some(to.to_string()));
            return Some(event);
        }
        // How the thread is scheduled, where that is as it should be; and what is heard with each advert of another master,
        // whose first one has been told as two masters.
        Told::Scheduled(outcome) if outcome.refused.is_empty() => return None,
        Told::LowerPriorityHeard { .. } => return None,
        Told::Note(Note::PriorityChanged { .. }) => (INFO, "priority"),
        Told::Note(Note::OneMasterAgain { .. } | Note::WantsMaster | Note::HoldOver)
        | Told::OneHolderAgain { .. } => (INFO, "advert"),
        Told::GroupWaits { .. } => (INFO, "group"),
        Told::Deleted { .. } => (INFO, "reload"),
        Told::Failed { .. } => (ERROR, "daemon"),
        Told::SocketFailed { .. } | Told::SendFailed { .. } => (ERROR, "advert"),
        Told::Scheduled(_)
        | Told::Raised(_)
        | Told::Late(_)
        | Told::Unremembered { .. }
        | Told::ReportsDropped { .. } => (WARNING, "daemon"),
        Told::Note(Note::TwoMasters { .. } | Note::WasAway { .. } | Note::BackupWasAway { .. })
        | Told::TwoHolders { .. }
        | Told::Discarded { .. }
        | Told::ClockStepped { .. }
        | Told::ClockFollowed { .. }
        | Told::AddressListDiffers { .. }
        | Told::UnknownVrid { .. } => (WARNING, "advert"),
    };
    let mut event = event(level, kind, name, told.to_string());
    if let Told::Discarded { name, .. } = told {
        event.cause = Some((*name).to_owned());
    }
    Some(event)
}

/// A real server or a quorum that went or came.
pub fn of_check(happened: &check::Event) -> EventView {
    let (level, kind) = match happened.what {
        What::RealServerUp => (INFO, "check"),
        What::RealServerDown => (WARNING, "check"),
        What::QuorumUp => (INFO, "quorum"),
        What::QuorumDown => (ERROR, "quorum"),
    };
    let mut event = event(level, kind, &happened.virtual_server.to_string(), happened.to_string());
    event.real_server.clone_from(&happened.real_server);
    let (up, down) = ("up".to_owned(), "down".to_owned());
    (event.from, event.to) =
        if happened.what.is_up() { (Some(down), Some(up)) } else { (Some(up), Some(down)) };
    event.cause = Some(happened.what.name().to_owned());
    event
}

/// A tracker that says something else.
pub fn of_flip(flip: &Flip) -> EventView {
    let level = if flip.value.up() == Some(false) { WARNING } else { INFO };
    event(level, "tracker", &flip.name, flip.to_string())
}

/// What the bfd thread tells; `None`: nothing to keep.
pub fn of_bfd(report: &bfd::Report) -> Option<EventView> {
    let level = match &report.told {
        bfd::Told::Transition(_) => INFO,
        told if told.is_warning() => WARNING,
        _ => return None,
    };
    let mut event = event(level, "bfd", &report.session, report.told.to_string());
    if let bfd::Told::Transition(transition) = &report.told {
        (event.from, event.to) = (Some(transition.from.to_string()), Some(transition.to.to_string()));
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::machine::{Cause, Transition};
    use crate::vrrp::snapshot::Snapshot;
    use crate::vrrp::trackers::{TrackerKind, Value};

    #[test]
    fn a_transition_has_everything_that_why_needs() {
        let cause = Cause::Fault { reason: "script chk failed".to_owned(), reload: false };
        let (from, to) = (StateName::Master, StateName::Fault);
        let transition = Transition { from, to, cause, priority: 150 };
        let snapshot = Box::new(Snapshot { base_priority: 150, priority: 150, ..Snapshot::default() });
        let told = Told::Transition { transition, snapshot, generation: 0 };
        let event = of_report(&Report { instance: "VI_1".to_owned(), told }).unwrap();
        assert_eq!(
            (event.level.as_str(), event.kind.as_str(), event.subject.as_str()),
            ("warning", "transition", "VI_1")
        );
        assert_eq!((event.from.as_deref(), event.to.as_deref()), (Some("MASTER"), Some("FAULT")));
        assert_eq!(event.cause.as_deref(), Some("fault"));
        assert_eq!(event.text, "script chk failed; priority 150");
        assert_eq!(event.details.unwrap()["base_priority"], 150);
    }

    #[test]
    fn refusals_have_the_name_that_they_are_counted_by() {
        let told = Told::Discarded { why: "wrong password".to_owned(), name: "password", count: 1 };
        let event = of_report(&Report { instance: "VI_1".to_owned(), told }).unwrap();
        assert_eq!((event.kind.as_str(), event.cause.as_deref()), ("advert", Some("password")));
    }

    #[test]
    fn trackers_are_told_by_their_names() {
        let flip = Flip {
            kind: TrackerKind::Script,
            name: "chk".to_owned(),
            value: Value::Down,
            why: "no".to_owned(),
        };
        let event = of_flip(&flip);
        assert_eq!((event.subject.as_str(), event.level.as_str()), ("chk", "warning"));
        assert_eq!(event.text, "script chk fails: no");
    }
}
