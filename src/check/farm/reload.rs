//! A new plan: what is equal keeps its state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::super::counts::ServiceCounts;
use super::super::desired::{self, RealNow};
use super::super::event::What;
use super::super::health::{Begin, Health};
use super::super::identity::Identity;
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
    /// - A service that is new starts as at the start of the daemon: real servers up, but for `alpha`, or as an earlier
    ///   process left them ([`Farm::start_again`]).
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
        let matches = Matches::of(&plan, &self.services);
        let begins = |s: &usize| matches.known[*s].is_none();
        // To know who shares with whom takes a look at everybody.
        let asks = matches.changed.iter().any(|s| begins(s) || self.asks_for_more(&plan, &matches, *s));
        let shares = if asks { Shares::before(self) } else { Shares::default() };
        let fresh = if asks { plan.checkers() } else { 0 };
        let mut desk = Desk { shares, fresh, now };
        self.probes.reserve(fresh);
        let touched = if matches.stay { self.leave(&matches.changed) } else { Vec::new() };
        let tells = plan.init_notifies;
        let mut old: Vec<_> = std::mem::take(&mut self.services).into_iter().map(Some).collect();
        let mut services = Vec::with_capacity(plan.services.len());
        let mut changed = matches.changed.iter().peekable();
        for (s, plan) in plan.services.into_iter().enumerate() {
            let known = matches.known[s].and_then(|at| old.get_mut(at)?.take());
            let is_changed = changed.next_if(|changed| **changed == s).is_some();
            let known = match known {
                // Nothing of it has changed: nearly all services, at most reloads of a large file.
                Some(known) if !is_changed => {
                    services.push(known);
                    continue;
                }
                known => known,
            };
            let begins = tells && known.is_none() && self.recalled.service(&plan.name).is_none();
            let (mut first, events) = (Reaction::default(), &mut reaction);
            let state = self.service(s, plan, known, &mut desk, &mut first);
            if begins {
                events.events.extend(report::beginnings(&state));
            }
            events.events.append(&mut first.events);
            events.notes.append(&mut first.notes);
            services.push(state);
        }
        drop(old);
        self.services = services;
        let looked_at = if matches.stay {
            self.arm_again(&matches.changed);
            self.place_again(&matches.changed, touched)
        } else {
            self.arm_all();
            self.place_users();
            self.probes.iter().map(|(id, _)| id).collect()
        };
        reaction.gone = self.probes.drop_unused();
        self.drain_until = self.first_drained();
        self.suspend_those(&looked_at, &BTreeSet::new(), now);
        self.changed = true;
        self.hear_those(&looked_at, now, &mut reaction);
        self.hear_shared(desk.shares, now, &mut reaction);
        reaction
    }

    /// True when a changed service has checkers beyond those that it had.
    fn asks_for_more(&self, plan: &Plan, matches: &Matches, s: usize) -> bool {
        let known = matches.known.get(s).copied().flatten().and_then(|at| self.services.get(at));
        let Some((known, new)) = known.zip(plan.services.get(s)) else { return true };
        let before = known.plan.reals.iter().zip(&known.reals);
        let before: HashMap<DestinationKey, &RealState> =
            before.map(|(plan, real)| (plan.key, real)).collect();
        new.reals.iter().any(|real| {
            let checkers = before.get(&real.key).map_or(&[][..], |known| &known.checkers);
            let mut had: Vec<_> = checkers.iter().filter_map(|old| self.probes.get(old.probe)).collect();
            real.checkers.iter().any(|checker| match had.iter().position(|probe| probe.plan == *checker) {
                Some(at) => {
                    had.remove(at);
                    false
                }
                None => true,
            })
        })
    }

    fn service(
        &mut self,
        s: usize,
        plan: Arc<VirtualPlan>,
        known: Option<ServiceState>,
        desk: &mut Desk,
        reaction: &mut Reaction,
    ) -> ServiceState {
        let (is_new, now) = (known.is_none(), desk.now);
        let mut quorum = None;
        let mut old: HashMap<DestinationKey, (RealPlan, RealState)> = HashMap::new();
        let (mut draining, mut present) = (Vec::new(), BTreeSet::new());
        let (mut tiers, mut counts) = (Tiers::default(), ServiceCounts::default());
        if let Some(known) = known {
            if plan.drain.is_some() {
                present = drain::present(&known);
            }
            quorum = Some(known.quorum);
            draining = known.draining;
            counts = known.counts;
            if known.plan.tier_count == plan.tier_count {
                tiers = known.tiers;
            }
            let keys: Vec<DestinationKey> = known.plan.reals.iter().map(|real| real.key).collect();
            let plans = Arc::unwrap_or_clone(known.plan).reals;
            old = keys.into_iter().zip(plans.into_iter().zip(known.reals)).collect();
        }
        let recalled = self.recalled.service(&plan.name).cloned().filter(|_| is_new);
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
            let first =
                match recalled.as_ref().and_then(|service| service.reals.get(&real.name().to_string())) {
                    Some(up) => First::Recalled { up: *up },
                    None => First::Unheard { service_is_new: is_new },
                };
            let state = self.real((s, r), real, known, first, desk);
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
        if let Some(recalled) = &recalled {
            quorum = Some(Quorum::resumed(recalled.quorum_up));
        }
        let rules = plan.quorum;
        let first = Quorum::start(rules, 0);
        let mut state = ServiceState { plan, quorum: first, tiers, reals, draining, counts };
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
        first: First,
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
            let begin = match (was, first) {
                (Some(up), _) | (None, First::Recalled { up }) => Begin::Inherited { up },
                (None, First::Unheard { service_is_new: true }) if !checker.alpha => Begin::Trusted,
                (None, First::Unheard { .. }) => Begin::Unproven,
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

/// How a real server begins that this process has not known yet.
#[derive(Clone, Copy)]
enum First {
    /// The process before this one knew it.
    Recalled { up: bool },
    /// Nobody did.
    Unheard { service_is_new: bool },
}

/// Which services of a plan are which of those that are there.
struct Matches {
    /// By the numbers of the plan: those that are there.
    known: Vec<Option<usize>>,
    /// Those of the plan that are new or other than before, in order.
    changed: Vec<usize>,
    /// Nobody comes, goes or stands elsewhere.
    stay: bool,
}

impl Matches {
    fn of(plan: &Plan, services: &[ServiceState]) -> Self {
        let (new, old) = (&plan.services, services);
        let stay = new.len() == old.len() && new.iter().zip(old).all(|(new, old)| new.name == old.plan.name);
        let known: Vec<Option<usize>> = if stay {
            (0..new.len()).map(Some).collect()
        } else {
            let by_name: HashMap<&Identity, usize> =
                old.iter().enumerate().map(|(at, service)| (&service.plan.name, at)).collect();
            new.iter().map(|service| by_name.get(&service.name).copied()).collect()
        };
        let differs = |(s, at): (usize, &Option<usize>)| {
            let pair = new.get(s).zip(at.and_then(|at| old.get(at)));
            let same = pair.is_some_and(|(new, old)| Arc::ptr_eq(new, &old.plan) || *new == old.plan);
            (!same).then_some(s)
        };
        let changed = known.iter().enumerate().filter_map(differs).collect();
        Self { known, changed, stay }
    }
}

/// What one reload has in hand.
struct Desk {
    shares: Shares,
    /// Checkers of the new plan, all of them, where any of them is new.
    fresh: usize,
    now: Instant,
}
