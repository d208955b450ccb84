//! A result on its way: from a probe to each of its users, from a checker to its real server and its virtual server.

use std::sync::Arc;
use std::time::Instant;

use super::super::event::What;
use super::super::health::{Flip, Seen};
use super::super::outcome::{Failure, Outcome};
use super::super::plan::{CheckerPlan, RealPlan};
use super::super::schedule::ProbeId;
use super::probes::Place;
use super::{Farm, Note, Reaction, is_suspended, report};

/// What a result did to a checker.
pub(super) struct Effect {
    pub(super) flip: Option<Flip>,
    /// The result was a failure.
    pub(super) failed: bool,
}

impl Farm {
    /// Takes the result of a check that ended at `now`. A result for a probe that is no more is counted and dropped.
    pub fn observe(&mut self, id: ProbeId, outcome: &Outcome, now: Instant) -> Reaction {
        let mut reaction = Reaction::default();
        let Some(probe) = self.probes.get_mut(id) else {
            self.late_results += 1;
            return reaction;
        };
        self.checks += 1;
        probe.runs = false;
        let hurried = std::mem::take(&mut probe.again);
        let (plan, url, runs) = (Arc::clone(&probe.plan), probe.url(), probe.lane().is_some());
        let users = std::mem::take(&mut probe.users);
        let (mut taken, mut again) = (false, None);
        for place in &users {
            // It began before the address went: what it found is of no use to them any more.
            if runs && is_suspended(&self.services, &self.carried, *place) {
                continue;
            }
            taken = true;
            if let Some(service) = self.services.get_mut(place.service()) {
                service.counts.add(outcome, runs);
            }
            let next = self.take(*place, &plan, url, outcome, now, &mut reaction);
            // Who is impatient sets the pace.
            again = again.into_iter().chain(next).min();
        }
        if let Some(probe) = self.probes.get_mut(id) {
            probe.users = users;
        }
        if !taken {
            self.late_results += 1;
            return reaction;
        }
        if let Err(failure) = &outcome.result {
            *self.failures.entry(failure.name()).or_default() += 1;
        }
        self.kinds.entry(plan.kind.name()).or_default().add(outcome, runs);
        // A UDP_CHECK that waits in vain for a refusal took its time, too.
        let slow = matches!(outcome.result, Err(Failure::Timeout(_)))
            || plan.kind.target().is_some_and(|target| outcome.took >= target.timeout);
        self.probes.ended(id, outcome.took, slow);
        self.probes.schedule(id, if hurried { Some(now) } else { again });
        reaction
    }

    /// What one checker makes of a result, and when it wants the next.
    fn take(
        &mut self,
        place: Place,
        plan: &CheckerPlan,
        url: usize,
        outcome: &Outcome,
        now: Instant,
        reaction: &mut Reaction,
    ) -> Option<Instant> {
        let service = self.services.get_mut(place.service())?;
        let real = service.reals.get_mut(place.real())?;
        let checker = real.checkers.get_mut(place.checker())?;
        let seen = match &outcome.result {
            Err(failure) if failure.says_nothing() => {
                let last = &mut real.past.get_or_insert_default().last_failure;
                let told = last.as_ref().is_some_and(|last| last.0 == *failure);
                *last = Some((failure.clone(), now));
                if let Some(about) = service.plan.reals.get(place.real()) {
                    let text = report::not_run_line(&service.plan, about, plan, failure);
                    reaction.notes.push(Note { loud: !told || plan.log_all_failures, text });
                }
                return Some(now + plan.rules.delay_loop);
            }
            Ok(_) => Seen::Success,
            Err(Failure::Timeout(_)) => Seen::Timeout,
            Err(_) => Seen::Failure,
        };
        checker.health.ask_for(url);
        let observed = checker.health.observe(&plan.rules, seen, now);
        checker.known = true;
        let weight = checker.weight;
        match &outcome.result {
            Ok(success) => checker.weight = success.weight.or(weight),
            Err(failure) => {
                real.past.get_or_insert_default().last_failure = Some((failure.clone(), now));
            }
        }
        let effect = Effect { flip: observed.flip, failed: outcome.result.is_err() };
        // Nearly all results change nothing, and the way ends here.
        if effect.flip.is_some() || effect.failed || checker.weight != weight || real.timer().is_some() {
            let words = |real: &RealPlan| report::result_words(real, plan, url, outcome, observed.tries);
            self.follow(place, plan, &effect, words, now, reaction);
        }
        Some(observed.again)
    }

    /// What follows from a checker's new state, for its real server and its virtual server. `words`: the reason.
    pub(super) fn follow(
        &mut self,
        place: Place,
        checker: &CheckerPlan,
        effect: &Effect,
        words: impl Fn(&RealPlan) -> String,
        now: Instant,
        reaction: &mut Reaction,
    ) {
        let (s, r) = (place.service(), place.real());
        let Some(service) = self.services.get_mut(s) else { return };
        let Some((plan, real)) = service.plan.reals.get(r).zip(service.reals.get_mut(r)) else { return };
        let before = real.now;
        let held = real.refresh(plan, now);
        let until = real.held_until();
        if before.up != real.now.up {
            let what = if real.now.up { What::RealServerUp } else { What::RealServerDown };
            let reason =
                held.map_or_else(|| words(plan), |hold| report::held_words(plan, hold, &words(plan)));
            reaction.events.push(report::real_event(&service.plan, plan, what, reason));
        } else if effect.flip.is_some() || effect.failed {
            let loud = effect.flip.is_some() || checker.log_all_failures;
            let text = match (effect.flip, until) {
                (Some(_), Some(until)) => {
                    let left = until.saturating_duration_since(now);
                    report::held_line(&service.plan, plan, left, &words(plan))
                }
                (flip, _) => report::checker_line(&service.plan, plan, checker, flip, &words(plan)),
            };
            reaction.notes.push(Note { loud, text });
        }
        if before.weight != real.now.weight {
            let text = report::weight_line(&service.plan, plan, checker, before.weight, real.now.weight);
            reaction.notes.push(Note { loud: true, text });
        }
        if before != real.now {
            self.changed = true;
            service.weigh(reaction);
        }
        self.arm(s, r);
    }
}
