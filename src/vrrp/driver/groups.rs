//! Sync groups at run time: their orders, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::vrrp::group::{self, Group, Member};
use crate::vrrp::machine::StateName;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::runner::{Runner, Turn};
use crate::vrrp::snapshot::sentence;

use super::Driver;

/// Rounds of orders before a sync group is left as it is: each round moves members one way only, so that two are enough.
const GROUP_ROUNDS: usize = 8;

/// A sync group at run time.
pub(super) struct GroupAt {
    pub(super) group: Group,
    /// Its members' places in the list of runners.
    numbers: Vec<usize>,
    state: StateName,
    /// Who was last told to hold it back.
    holding: Vec<(String, StateName)>,
}

impl GroupAt {
    pub(super) const fn state(&self) -> StateName {
        self.state
    }
}

impl Driver {
    pub(super) fn take_groups(&mut self, groups: Vec<Group>) {
        let states: BTreeMap<String, StateName> =
            self.groups.iter().map(|at| (at.group.name.clone(), at.state)).collect();
        let number = |name: &String| self.runners.iter().position(|runner| runner.name() == name.as_str());
        self.groups = groups
            .into_iter()
            .map(|group| GroupAt {
                numbers: group.members.iter().filter_map(number).collect(),
                state: states.get(&group.name).copied().unwrap_or(StateName::Init),
                holding: Vec::new(),
                group,
            })
            .collect();
        self.group_of = vec![None; self.runners.len()];
        for (index, at) in self.groups.iter().enumerate() {
            for number in &at.numbers {
                if let Some(of) = self.group_of.get_mut(*number) {
                    *of = Some(index);
                }
            }
        }
    }

    /// Feeds the orders of every group that something happened to, until there are none.
    pub(super) fn settle_groups(&mut self, turn: &mut Turn) {
        let touched: BTreeSet<usize> =
            turn.touched.iter().filter_map(|number| self.group_of.get(*number).copied().flatten()).collect();
        for index in touched {
            let Some(at) = self.groups.get_mut(index) else { continue };
            for _ in 0..GROUP_ROUNDS {
                let members = members(&self.runners, &at.numbers);
                let orders = group::orders(&at.group.name, &members);
                if orders.is_empty() {
                    break;
                }
                for (place, event) in orders {
                    let number = at.numbers.get(place).copied().unwrap_or(usize::MAX);
                    if let Some(runner) = self.runners.get_mut(number) {
                        runner.order(event, turn);
                    }
                }
            }
            tell_group(at, &members(&self.runners, &at.numbers), turn);
        }
    }
}

fn members(runners: &[Runner], numbers: &[usize]) -> Vec<Member> {
    numbers.iter().filter_map(|number| runners.get(*number)).map(Runner::member).collect()
}

/// A group's changed state, and who holds it back.
fn tell_group(at: &mut GroupAt, members: &[Member], turn: &mut Turn) {
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
