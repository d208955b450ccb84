//! A new plan: what is equal keeps its state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::super::desired::{self, RealNow};
use super::super::event::What;
use super::super::health::{Begin, Health};
use super::super::plan::{CheckerPlan, Plan, RealPlan, VirtualPlan};
use super::super::quorum::Quorum;
use super::super::schedule::first_delay;
use super::super::tiers::Tiers;
use super::probes::Place;
use super::share::Shares;
use super::{CheckerState, Farm, Reaction, RealState, ServiceState, drain, report};
use crate::config::model::AdminState;
use crate::ipvs::table::DestinationKey;

impl Farm {
    /// Takes a new plan.
    ///
    /// - A service that is new starts as at the start of the daemon: real servers up, but for `alpha`.
    /// - A real server that is new in a known service is down until its first success.
    /// - A checker with equal parameters keeps its state, and a run of it that is under way counts. Any other checker of
    ///   a known real server starts with the real server's state.
    /// - A checker that finds an equal one, in whatever virtual server, shares its probe, and hears at once what that has
    ///   found already (unless it is suspended).
    /// - A real server keeps its flaps and what has grown of its weight.
    /// - Quorums and tiers stay as they are, as far as the new weights allow.
    /// - A real server that is gone, or disabled now, is drained, where the virtual server says so.
    pub fn reload(&mut self, plan: Plan, now: Instant) -> Reaction {
        let mut reaction = Reaction::default();
        let mut desk = Desk { shares: Shares::before(self), fresh: plan.checkers(), now };
        self.probes.reserve(desk.fresh);
        let tells = plan.init_notifies;
        let mut old: HashMap<_, _> = std::mem::take(&mut self.services)
            .into_iter()
            .map(|service| (service.plan.name.clone(), service))
            .collect();
        let mut services = Vec::with_capacity(plan.services.len());
        for (s, plan) in plan.services.into_iter().enumerate() {
            let known = match old.remove(&plan.name) {
                // Nothing of it has changed: nearly all services, at most reloads of a large file.
                Some(known) if known.plan == plan => {
                    services.push(known);
                    continue;
                }
                known => known,
            };
            let begins = tells && known.is_none();
            let (mut first, events) = (Reaction::default(), &mut reaction);
            let state = self.service(s, plan, known, &mut desk, &mut first);
            if begins {
                events.events.extend(report::beginnings(&state));
            }
            events.events.append(&mut first.events);
            events.notes.append(&mut first.notes);
            services.push(state);
        }
        self.services = services;
        self.place_users();
        reaction.gone = self.probes.drop_unused();
        self.arm_all();
        self.drain_until = self.first_drained();
        self.suspend(&BTreeSet::new(), now);
        self.changed = true;
        self.hear_all(now, &mut reaction);
        self.hear_shared(desk.shares, now, &mut reaction);
        reaction
    }

    fn service(
        &mut self,
        s: usize,
        plan: VirtualPlan,
        known: Option<ServiceState>,
        desk: &mut Desk,
        reaction: &mut Reaction,
    ) -> ServiceState {
        let (is_new, now) = (known.is_none(), desk.now);
        let mut quorum = None;
        let mut old: HashMap<DestinationKey, (RealPlan, RealState)> = HashMap::new();
        let (mut draining, mut present) = (Vec::new(), BTreeSet::new());
        let mut tiers = Tiers::default();
        if let Some(known) = known {
            if plan.drain.is_some() {
                present = drain::present(&known);
            }
            quorum = Some(known.quorum);
            draining = known.draining;
            if known.plan.tier_count == plan.tier_count {
                tiers = known.tiers;
            }
            let keys: Vec<DestinationKey> = known.plan.reals.iter().map(|real| real.key).collect();
            old = keys.into_iter().zip(known.plan.reals.into_iter().zip(known.reals)).collect();
        }
        let mut reals = Vec::with_capacity(plan.reals.len());
        let mut leaving = Vec::new();
        for (r, real) in plan.reals.iter().enumerate() {
            let known = old.remove(&real.key).map(|(before, mut state)| {
                match (before.state == AdminState::Disabled, real.state == AdminState::Disabled) {
                    (false, true) => leaving.extend(present.contains(&real.key).then_some(before)),
                    // It comes back, whatever its checks said meanwhile.
                    (true, false) => {
                        state.past.get_or_insert_default().back_since = state.now.up.then_some(now);
                    }
                    _ => {}
                }
                state
            });
            let was_up = known.as_ref().map(|known| known.now.up);
            let state = self.real((s, r), real, known, is_new, desk);
            if was_up.is_some_and(|was| was != state.now.up) {
                let what = if state.now.up { What::RealServerUp } else { What::RealServerDown };
                let reason = report::RECONFIGURED.to_owned();
                reaction.events.push(report::real_event(&plan, real, what, reason));
            }
            reals.push(state);
        }
        for (key, (plan, _)) in old {
            leaving.extend(present.contains(&key).then_some(plan));
        }
        // In the order of their keys: a map has none.
        leaving.sort_by_key(|real| real.key);
        let draining = drain::after(&plan, draining, leaving, now, reaction);
        let rules = plan.quorum;
        let mut state = ServiceState { plan, quorum: Quorum::start(rules, 0), tiers, reals, draining };
        if state.tiers == Tiers::default() {
            // How they begin is no news.
            let weights = desired::tier_weights(&state.plan, state.now());
            state.tiers.weigh(state.plan.tiers, &weights);
        }
        match quorum {
            Some(quorum) => {
                state.quorum = quorum;
                state.weigh(reaction);
            }
            None => {
                // Programs are told how it begins, as keepalived does.
                let sum = state.sum();
                state.quorum = Quorum::start(rules, sum);
                let what = if state.quorum.is_up() { What::QuorumUp } else { What::QuorumDown };
                let reason = format!("at start, {}", report::weighed(&state, sum, what));
                reaction.events.push(report::quorum_event(&state.plan, what, reason));
            }
        }
        state
    }

    fn real(
        &mut self,
        (s, r): (usize, usize),
        plan: &RealPlan,
        known: Option<RealState>,
        service_is_new: bool,
        desk: &mut Desk,
    ) -> RealState {
        let was = known.as_ref().map(|known| known.checked_up);
        let mut state = RealState {
            now: RealNow::full(false, 0),
            checkers: SmallVec::with_capacity(plan.checkers.len()),
            checked_up: false,
            past: None,
        };
        let mut old = SmallVec::new();
        if let Some(known) = known {
            state.past = known.past;
            state.now = known.now;
            old = known.checkers;
        }
        for (c, checker) in plan.checkers.iter().enumerate() {
            // In order, so that two equal checkers of one real server stay themselves.
            let same =
                |old: &CheckerState| self.probes.get(old.probe).is_some_and(|probe| probe.plan == *checker);
            if let Some(at) = old.iter().position(same) {
                state.checkers.push(old.remove(at));
                continue;
            }
            let begin = match was {
                Some(up) => Begin::Inherited { up },
                None if service_is_new && !checker.alpha => Begin::Trusted,
                None => Begin::Unproven,
            };
            let new = self.add_checker(Place::new(s, r, c), checker, begin, desk);
            state.checkers.push(new);
        }
        if was.is_some() {
            // What a reload changes is no flip.
            state.checked_up = super::real::checked_up(&state.checkers);
            state.refresh(plan, desk.now);
        } else {
            state.begin(plan);
        }
        state
    }

    fn add_checker(
        &mut self,
        place: Place,
        plan: &Arc<CheckerPlan>,
        begin: Begin,
        desk: &mut Desk,
    ) -> CheckerState {
        let number = self.probes.made();
        let (probe, is_new) = desk.shares.probe(plan, &mut self.probes);
        if is_new {
            let delay = first_delay(plan.warmup, plan.rules.delay_loop, desk.fresh, self.seed, number);
            self.probes.schedule(probe, Some(desk.now + delay));
        } else {
            desk.shares.join(place, probe);
        }
        CheckerState { probe, health: Health::new(begin), weight: None, known: false }
    }
}

/// What one reload has in hand.
struct Desk {
    shares: Shares,
    /// Checkers of the new plan, all of them.
    fresh: usize,
    now: Instant,
}
