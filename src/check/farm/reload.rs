//! A new plan: what is equal keeps its state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::super::damping::Damping;
use super::super::desired::{self, RealNow};
use super::super::event::What;
use super::super::health::{Begin, Health};
use super::super::plan::{CheckerPlan, Plan, RealPlan, VirtualPlan};
use super::super::quorum::Quorum;
use super::super::schedule::{CheckerId, first_delay};
use super::super::tiers::Tiers;
use super::{CheckerState, Farm, Reaction, RealState, ServiceState, drain, report};
use crate::ipvs::table::DestinationKey;

impl Farm {
    /// Takes a new plan.
    ///
    /// - A service that is new starts as at the start of the daemon: real servers up, but for `alpha`.
    /// - A real server that is new in a known service is down until its first success.
    /// - A checker with equal parameters keeps its state, and a run of it that is under way counts. Any other checker of
    ///   a known real server starts with the real server's state.
    /// - A real server keeps its flaps and what has grown of its weight.
    /// - Quorums and tiers stay as they are, as far as the new weights allow.
    /// - A real server that is gone is drained, where the virtual server says so.
    pub fn reload(&mut self, plan: Plan, now: Instant) -> Reaction {
        let mut reaction = Reaction::default();
        let fresh = plan.checkers();
        let tells = plan.init_notifies;
        let mut old: HashMap<_, _> = std::mem::take(&mut self.services)
            .into_iter()
            .map(|service| (service.plan.name.clone(), service))
            .collect();
        let mut services = Vec::with_capacity(plan.services.len());
        for plan in plan.services {
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
            let state = self.service(plan, known, fresh, now, &mut first);
            if begins {
                events.events.extend(report::beginnings(&state));
            }
            events.events.append(&mut first.events);
            events.gone.append(&mut first.gone);
            events.notes.append(&mut first.notes);
            services.push(state);
        }
        let left = old.into_values().flat_map(|service| service.reals);
        self.forget(left.flat_map(|real| real.checkers), &mut reaction);
        self.services = services;
        self.places = self.places();
        self.arm_all();
        self.drain_until = self.first_drained();
        self.suspend(now);
        self.changed = true;
        self.hear_all(now, &mut reaction);
        reaction
    }

    fn service(
        &mut self,
        plan: VirtualPlan,
        known: Option<ServiceState>,
        fresh: usize,
        now: Instant,
        reaction: &mut Reaction,
    ) -> ServiceState {
        let is_new = known.is_none();
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
        for real in &plan.reals {
            let known = old.remove(&real.key).map(|(_, state)| state);
            let was_up = known.as_ref().map(|known| known.now.up);
            let state = self.real(real, known, is_new, fresh, now, reaction);
            if was_up.is_some_and(|was| was != state.now.up) {
                let what = if state.now.up { What::RealServerUp } else { What::RealServerDown };
                let reason = report::RECONFIGURED.to_owned();
                reaction.events.push(report::real_event(&plan, real, what, reason));
            }
            reals.push(state);
        }
        let mut gone = Vec::new();
        for (key, (plan, state)) in old {
            self.forget(state.checkers, reaction);
            gone.extend(present.contains(&key).then_some(plan));
        }
        // In the order of their keys: a map has none.
        gone.sort_by_key(|real| real.key);
        let draining = drain::after(&plan, draining, gone, now, reaction);
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
        plan: &RealPlan,
        known: Option<RealState>,
        service_is_new: bool,
        fresh: usize,
        now: Instant,
        reaction: &mut Reaction,
    ) -> RealState {
        let was = known.as_ref().map(|known| known.checked_up);
        let mut state = RealState {
            now: RealNow::full(false, 0),
            checkers: Vec::with_capacity(plan.checkers.len()),
            checked_up: false,
            damping: Damping::default(),
            back_since: None,
            timer: None,
            armed: None,
            last_failure: None,
            last_change: None,
        };
        let mut old = Vec::new();
        if let Some(known) = known {
            state.last_failure = known.last_failure;
            state.last_change = known.last_change;
            state.now = known.now;
            state.damping = known.damping;
            state.back_since = known.back_since;
            old = known.checkers;
        }
        for checker in &plan.checkers {
            // In order, so that two equal checkers of one real server stay themselves.
            if let Some(at) = old.iter().position(|old| old.plan == *checker) {
                state.checkers.push(old.remove(at));
                continue;
            }
            let begin = match was {
                Some(up) => Begin::Inherited { up },
                None if service_is_new && !checker.alpha => Begin::Trusted,
                None => Begin::Unproven,
            };
            let new = self.add_checker(checker, begin, fresh, now);
            state.checkers.push(new);
        }
        self.forget(old, reaction);
        if was.is_some() {
            // What a reload changes is no flip.
            state.checked_up = super::real::checked_up(&state.checkers);
            state.refresh(plan, now);
        } else {
            state.begin(plan);
        }
        state
    }

    fn add_checker(
        &mut self,
        plan: &Arc<CheckerPlan>,
        begin: Begin,
        fresh: usize,
        now: Instant,
    ) -> CheckerState {
        let id = CheckerId(self.next_id);
        self.next_id += 1;
        let due = now + first_delay(plan.warmup, plan.rules.delay_loop, fresh, self.seed, id);
        let mut checker = CheckerState {
            id,
            plan: Arc::clone(plan),
            health: Health::new(begin),
            due: None,
            runs: false,
            weight: None,
            took: None,
            slow: false,
        };
        if let Some(lane) = checker.lane() {
            checker.due = Some(due);
            self.schedule(lane).add(due, id);
        }
        checker
    }

    fn forget(&mut self, checkers: impl IntoIterator<Item = CheckerState>, reaction: &mut Reaction) {
        for checker in checkers {
            if let Some((due, lane)) = checker.due.zip(checker.lane()) {
                self.schedule(lane).remove(due, checker.id);
            }
            reaction.gone.push(checker.id);
        }
    }

    fn places(&self) -> HashMap<CheckerId, (usize, usize, usize)> {
        let mut places = HashMap::new();
        for (s, service) in self.services.iter().enumerate() {
            for (r, real) in service.reals.iter().enumerate() {
                for (c, checker) in real.checkers.iter().enumerate() {
                    places.insert(checker.id, (s, r, c));
                }
            }
        }
        places
    }
}
