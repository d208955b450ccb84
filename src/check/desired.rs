//! The whole IPVS table, computed from scratch: what should be there now.

use std::collections::BTreeMap;

use super::members::Member;
use super::plan::{RealPlan, VirtualPlan};
use super::quorum::Serving;
use crate::ipvs::table::{Destination, VirtualService};

/// Weight of a sorry server that serves.
const SORRY_WEIGHT: u32 = 1;

/// What is known of one real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealNow {
    /// All of its checkers are up.
    pub up: bool,
    /// Its weight while it is up: the configured one, moved by its `misc_dynamic` programs.
    pub weight: u32,
}

/// One service of a virtual server with its destinations. `now` goes with `plan.reals`, one for one.
///
/// - Real servers serve: those that are up with their weight, those that are down with weight 0
///   (`inhibit_on_failure`) or not at all; the sorry server with weight 0 (`sorry_server_inhibit`) or not at all.
/// - The sorry server serves: it with weight 1, the real servers with weight 0 (inhibited ones) or not at all.
///
/// A sorry server that is one of the real servers has one entry: the sorry server's while that serves, else the real
/// server's.
pub fn service(plan: &VirtualPlan, member: &Member, now: &[RealNow], serving: Serving) -> VirtualService {
    let mut destinations = BTreeMap::new();
    if let Some(sorry) = plan.sorry.as_ref().filter(|sorry| sorry.inhibit) {
        destinations.insert(sorry.at(&member.key), bare(sorry.forward, 0));
    }
    for (real, state) in plan.reals.iter().zip(now) {
        let weight = (serving == Serving::RealServers && state.up).then_some(state.weight);
        match weight.or(real.inhibit.then_some(0)) {
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
    VirtualService { service: member.service.clone(), destinations }
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
