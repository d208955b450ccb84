//! The IPVS tables that a file leads to: the one that is programmed with it, and the one once every check succeeds.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Basis;
use crate::check::desired::{self, RealNow, service};
use crate::check::farm::Farm;
use crate::check::members::Member;
use crate::check::plan::{Kind, Plan, RealPlan, VirtualPlan};
use crate::check::quorum::Quorum;
use crate::check::tiers::Tiers;
use crate::ipvs::table::{ServiceKey, Table, VirtualService};

/// A service of the virtual server as the kernel has it.
type Found<'a> = (ServiceKey, &'a VirtualService);

/// The two tables.
pub(super) struct Expected {
    /// Programmed with the file.
    pub(super) at_once: Table,
    /// Programmed once every real server is up.
    pub(super) healthy: Table,
}

/// A start counts real servers as up (but for `alpha`), as the farm itself does. A reload keeps the state of the checks:
/// nobody but the running daemon knows it, and the kernel's table shows it.
pub(super) fn tables(
    plan: &Plan,
    before: Option<&Plan>,
    basis: Basis,
    actual: &Table,
    now: Instant,
) -> Expected {
    let started = Farm::start(plan.clone(), 0, now).0.table();
    let mut expected = Expected { at_once: Table::new(), healthy: Table::new() };
    for one in &plan.services {
        let known = before.map(|before| before.services.iter().find(|service| service.name == one.name));
        // All services of a virtual server show the same checks: any one that is there will do.
        let found = one.members.iter().find_map(|member| Some((member.key, actual.get(&member.key)?)));
        // Known to the running daemon, or to all appearances: its checks have a state.
        let old = match (basis, known) {
            (Basis::Reload, Some(old)) => old.map(Some),
            (Basis::Reload, None) => found.map(|_| None),
            (Basis::Start, _) => None,
        };
        for member in &one.members {
            let (at_once, healthy) = match old {
                Some(old) => (kept(one, member, old.map(AsRef::as_ref), found), healthy(one, member, found)),
                None => (
                    started.get(&member.key).cloned().unwrap_or_else(|| healthy(one, member, None)),
                    healthy(one, member, None),
                ),
            };
            expected.at_once.insert(member.key, at_once);
            expected.healthy.insert(member.key, healthy);
        }
    }
    expected
}

/// A service whose checks have a state, read off the kernel's table. `old`: the plan that it was made by.
fn kept(
    plan: &VirtualPlan,
    member: &Member,
    old: Option<&VirtualPlan>,
    found: Option<Found<'_>>,
) -> VirtualService {
    let now: Vec<RealNow> = plan
        .reals
        .iter()
        .map(|real| {
            let known = match old {
                Some(old) => old.reals.iter().find(|known| known.key == real.key),
                None => Some(real),
            };
            let up = real.checkers.is_empty() || known.is_some_and(|known| shown_up(known, found));
            RealNow::full(up, weight(real, found))
        })
        .collect();
    // In the band of the hysteresis a quorum stays as it is.
    let mut quorum = Quorum::start(plan.quorum, if sorry_serves(plan, found) { 0 } else { u32::MAX });
    quorum.weigh(plan.quorum, desired::sum(plan, &now));
    shown(plan, member, &now, quorum)
}

fn healthy(plan: &VirtualPlan, member: &Member, found: Option<Found<'_>>) -> VirtualService {
    let now: Vec<RealNow> = plan.reals.iter().map(|real| RealNow::full(true, weight(real, found))).collect();
    let quorum = Quorum::start(plan.quorum, desired::sum(plan, &now));
    shown(plan, member, &now, quorum)
}

fn shown(plan: &VirtualPlan, member: &Member, now: &[RealNow], quorum: Quorum) -> VirtualService {
    let mut tiers = Tiers::default();
    tiers.weigh(plan.tiers, &desired::tier_weights(plan, now));
    service(plan, member, now, desired::serving(plan, now, quorum), &tiers.serving(plan.tiers))
}

/// What the kernel shows of a real server that the daemon knows. Without its service there is nothing to see.
fn shown_up(real: &RealPlan, found: Option<Found<'_>>) -> bool {
    let Some((key, found)) = found else { return true };
    match found.destinations.get(&real.at(&key)) {
        None => false,
        // A tier that does not serve has weight 0, whatever its checks say.
        Some(there) => there.weight > 0 || real.weight == 0 || real.tier > 0 || !real.inhibit,
    }
}

/// The configured weight; where a program or a file sets it, the one that it has set.
fn weight(real: &RealPlan, found: Option<Found<'_>>) -> u32 {
    let by_program = real.checkers.iter().any(|checker| match &checker.kind {
        Kind::Misc(misc) => misc.dynamic,
        Kind::File(file) => file.weight != 0,
        _ => false,
    });
    let there =
        found.and_then(|(key, found)| found.destinations.get(&real.at(&key))).map(|there| there.weight);
    there.filter(|weight| by_program && *weight > 0).unwrap_or(real.weight)
}

fn sorry_serves(plan: &VirtualPlan, found: Option<Found<'_>>) -> bool {
    let Some((sorry, (key, found))) = plan.sorry.as_ref().zip(found) else { return false };
    let sorry = sorry.at(&key);
    let others: BTreeMap<_, _> = found.destinations.iter().filter(|(key, _)| **key != sorry).collect();
    found.destinations.get(&sorry).is_some_and(|there| there.weight > 0)
        && others.values().all(|there| there.weight == 0)
}
