//! What is told of sync groups.

use crate::vrrp::group::{self, Member};
use crate::vrrp::machine::StateName;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::runner::Turn;
use crate::vrrp::snapshot::sentence;

use super::GroupAt;

/// A group's changed state, and who holds it back.
pub(super) fn tell(at: &mut GroupAt, members: &[Member], turn: &mut Turn) {
    let name = &at.group.name;
    let state = group::state(members);
    if state != at.state {
        let of_group = |report: &&Report| at.group.members.contains(&report.instance);
        let cause = turn.reports.iter().filter(of_group).find_map(|report| match &report.told {
            Told::Transition { transition, snapshot, .. } => {
                Some(format!("{}: {}", report.instance, sentence(&transition.cause, snapshot)))
            }
            _ => None,
        });
        let told = Told::Group { from: at.state, to: state, cause: cause.unwrap_or_default(), generation: 0 };
        turn.reports.push(Report { instance: name.clone(), told });
        at.state = state;
    }
    let holding: Vec<(String, StateName)> =
        group::stuck(members).into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
    if holding != at.holding {
        at.holding.clone_from(&holding);
        // That it became MASTER says it, too.
        if state != StateName::Master {
            turn.reports.push(Report { instance: name.clone(), told: Told::GroupWaits { holding } });
        }
    }
}
