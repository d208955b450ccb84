//! The whole IPVS table, computed from scratch: what should be there now.

use std::collections::BTreeMap;

use super::members::Member;
use super::plan::{RealPlan, VirtualPlan};
use super::quorum::{Quorum, Serving};
use super::ramp;
use super::tiers::Weights;
use crate::config::model::AdminState;
use crate::ipvs::table::{Destination, VirtualService};

/// Weight of a sorry server that serves.
const SORRY_WEIGHT: u32 = 1;

/// What is known of one real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealNow {
    /// All of its checkers are up, and it is not held down.
    pub up: bool,
    /// Its weight while it is up: the configured one, moved by its `misc_dynamic` programs. Quorum and tiers go by it.
    pub weight: u32,
    /// How much of it it has now, 1..=10 tenths ([`ramp`]).
    pub tenths: u32,
}

impl RealNow {
    /// One with all of its weight.
    pub const fn full(up: bool, weight: u32) -> Self {
        Self { up, weight, tenths: ramp::FULL }
    }
}

/// True when it has weight that counts: it is up, and nobody has taken it out of service.
fn counts(real: &RealPlan, now: &RealNow) -> bool {
    now.up && real.state == AdminState::Enabled
}

/// Sum of the weights that count for the quorum. `now` goes with `plan.reals`, one for one, here and below.
pub fn sum<'a>(plan: &VirtualPlan, now: impl IntoIterator<Item = &'a RealNow>) -> u32 {
    plan.reals
        .iter()
        .zip(now)
        .filter(|(real, now)| !real.sorry && counts(real, now))
        .fold(0, |sum, (_, now)| sum.saturating_add(now.weight))
}

/// The weights of each tier, first one first.
pub fn tier_weights<'a>(plan: &VirtualPlan, now: impl IntoIterator<Item = &'a RealNow>) -> Vec<Weights> {
    let mut tiers = vec![Weights { configured: 0, healthy: 0 }; plan.tier_count.max(1)];
    for (real, now) in plan.reals.iter().zip(now).filter(|(real, _)| !real.sorry) {
        let Some(tier) = tiers.get_mut(real.tier) else { continue };
        tier.configured += u64::from(real.weight);
        tier.healthy += if counts(real, now) { u64::from(now.weight) } else { 0 };
    }
    tiers
}

/// Who takes the traffic: while the quorum is lost the sorry servers that are up, else the one without checks, else
/// the real servers that are left.
pub fn serving<'a>(
    plan: &VirtualPlan,
    now: impl IntoIterator<Item = &'a RealNow>,
    quorum: Quorum,
) -> Serving {
    let can_stand_in = |(real, now): (&RealPlan, &RealNow)| real.sorry && counts(real, now) && now.weight > 0;
    if !quorum.is_up() && plan.reals.iter().zip(now).any(can_stand_in) {
        return Serving::SorryPool;
    }
    quorum.serving(plan.sorry.is_some())
}

/// One service of a virtual server with its destinations. `tiers`: which of them serve; one that is not named does.
///
/// - Real servers serve: those that are up with their weight, those of a tier that does not serve with weight 0 (so that
///   their connections can end), those that are down with weight 0 (`inhibit_on_failure`) or not at all; the sorry
///   server with weight 0 (`sorry_server_inhibit`) or not at all.
/// - The sorry server serves: it with weight 1, the real servers with weight 0 (inhibited ones) or not at all.
/// - Sorry servers with checks serve: they with their weights, all others as before.
///
/// One that drains has weight 0 while it is up, whoever serves: its connections go on. One that is disabled is not there.
///
/// A sorry server that is one of the real servers has one entry: the sorry server's while that serves, else the real
/// server's.
pub fn service(
    plan: &VirtualPlan,
    member: &Member,
    now: &[RealNow],
    serving: Serving,
    tiers: &[bool],
) -> VirtualService {
    let mut destinations = BTreeMap::new();
    if let Some(sorry) = plan.sorry.as_ref().filter(|sorry| sorry.inhibit) {
        destinations.insert(sorry.at(&member.key), bare(sorry.forward, 0));
    }
    let its_turn = |real: &RealPlan| real.sorry == (serving == Serving::SorryPool);
    for (real, state) in plan.reals.iter().zip(now) {
        let serves = serving != Serving::SorryServer && state.up && its_turn(real);
        let in_turn = real.sorry || tiers.get(real.tier).copied().unwrap_or(true);
        let weight = if in_turn { ramp::part(state.weight, state.tenths) } else { 0 };
        let wanted = match real.state {
            AdminState::Enabled => serves.then_some(weight).or(real.inhibit.then_some(0)),
            AdminState::Drain => (state.up || real.inhibit).then_some(0),
            AdminState::Disabled => None,
        };
        match wanted {
            Some(weight) => {
                destinations.insert(real.at(&member.key), destination(real, weight));
            }
            // "The inhibit setting follows the real server" where both are one.
            None => {
                destinations.remove(&real.at(&member.key));
            }
        }
    }
    if let Some(sorry) = plan.sorry.as_ref().filter(|_| serving == Serving::SorryServer) {
        destinations.insert(sorry.at(&member.key), bare(sorry.forward, SORRY_WEIGHT));
    }
    VirtualService { service: member.service.clone(), destinations: packed(destinations) }
}

/// The same map in as few nodes as it needs: one that grew key by key is half empty, and of a large table there are several
/// copies.
fn packed<K: Ord, V>(map: BTreeMap<K, V>) -> BTreeMap<K, V> {
    map.into_iter().collect()
}

/// A real server that is on its way out: nothing new goes there.
pub fn drained(real: &RealPlan) -> Destination {
    destination(real, 0)
}

fn destination(real: &RealPlan, weight: u32) -> Destination {
    Destination {
        forward: real.forward,
        weight,
        upper_threshold: real.upper_threshold,
        lower_threshold: real.lower_threshold,
    }
}

const fn bare(forward: crate::ipvs::table::Forward, weight: u32) -> Destination {
    Destination { forward, weight, upper_threshold: 0, lower_threshold: 0 }
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
