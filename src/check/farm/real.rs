//! One real server from its checkers: what they say together, held down while it flaps, with a growing weight when it
//! comes back.

use std::time::{Duration, Instant};

use super::super::desired::RealNow;
use super::super::event::What;
use super::super::outcome::Weight;
use super::super::plan::RealPlan;
use super::super::ramp;
use super::{CheckerState, Farm, Reaction, RealState, report};

/// The most that IPVS and keepalived know as a weight.
const MAX_WEIGHT: i64 = 65_535;

/// What its checkers say together: all must be up.
pub(super) fn checked_up(checkers: &[CheckerState]) -> bool {
    checkers.iter().all(|checker| checker.health.is_up())
}

/// Every `misc_dynamic` program moves the configured weight by what its own word differs from it, every file by its
/// number.
fn weight(plan: &RealPlan, checkers: &[CheckerState]) -> u32 {
    let configured = i64::from(plan.weight);
    let moved = checkers.iter().fold(configured, |weight, checker| match checker.weight {
        Some(Weight::Exactly(exact)) => weight + i64::from(exact) - configured,
        Some(Weight::Moved(by)) => weight.saturating_add(by),
        Some(Weight::Configured) | None => weight,
    });
    u32::try_from(moved.clamp(0, MAX_WEIGHT)).unwrap_or(0)
}

impl RealState {
    /// The first state of a real server, from its checkers alone: nothing that begins is a flip or a return.
    pub(super) fn begin(&mut self, plan: &RealPlan) {
        self.checked_up = checked_up(&self.checkers);
        self.now = RealNow::full(self.checked_up, weight(plan, &self.checkers));
    }

    /// Takes what the checkers say now, or that time has passed. `Some`: a hold began, for so long.
    pub(super) fn refresh(&mut self, plan: &RealPlan, now: Instant) -> Option<Duration> {
        let checked_up = checked_up(&self.checkers);
        let weight = weight(plan, &self.checkers);
        if self.past.is_none() && self.checked_up == checked_up && self.now.up == checked_up {
            // Nothing has happened to it, and nothing happens now.
            self.now = RealNow::full(checked_up, weight);
            return None;
        }
        let past = self.past.get_or_insert_default();
        past.damping.release(plan.damping.as_ref(), now);
        let mut begun = None;
        if self.checked_up != checked_up {
            self.checked_up = checked_up;
            if let Some(rules) = &plan.damping
                && past.damping.flip(rules, now)
            {
                begun = past.damping.held_until().map(|until| until.saturating_duration_since(now));
            }
        }
        let held = past.damping.held_until();
        let up = checked_up && held.is_none();
        if self.now.up != up {
            past.last_change = Some(now);
            past.back_since = up.then_some(now);
        }
        let (tenths, next) = match (past.back_since, plan.slow_start) {
            (Some(since), Some(slow_start)) => ramp::tenths(since, slow_start, now),
            _ => (ramp::FULL, None),
        };
        if next.is_none() {
            past.back_since = None;
        }
        self.now = RealNow { up, weight, tenths };
        // Of the two only one can be: what is held does not grow.
        past.timer = held.or(next);
        begun
    }

    /// When it is to be looked at without a result.
    pub(super) fn timer(&self) -> Option<Instant> {
        self.past.as_ref()?.timer
    }

    /// Until when it is held down.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.past.as_ref()?.damping.held_until()
    }
}

impl Farm {
    /// When [`Farm::tick`] has something to do.
    pub fn wake(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, ..)| *at);
        first.into_iter().chain(self.drain_until).min()
    }

    /// What time alone brings: weights that grow, holds that end, drained servers that go.
    pub fn tick(&mut self, now: Instant) -> Reaction {
        let mut reaction = Reaction::default();
        self.drop_drained(now, &mut reaction);
        while let Some((_, s, r)) = self.timers.first().copied().filter(|(at, ..)| *at <= now) {
            self.timers.pop_first();
            let Some(service) = self.services.get_mut(s) else { continue };
            let Some((plan, real)) = service.plan.reals.get(r).zip(service.reals.get_mut(r)) else {
                continue;
            };
            let before = real.now;
            if let Some(past) = &mut real.past {
                past.armed = None;
            }
            real.refresh(plan, now);
            if before.up != real.now.up {
                let what = if real.now.up { What::RealServerUp } else { What::RealServerDown };
                let reason = report::RELEASED.to_owned();
                reaction.events.push(report::real_event(&service.plan, plan, what, reason));
            }
            if before != real.now {
                self.changed = true;
                service.weigh(&mut reaction);
            }
            self.arm(s, r);
        }
        reaction
    }

    /// Brings the timers in line with what a real server asks for.
    pub(super) fn arm(&mut self, s: usize, r: usize) {
        let Some(real) = self.services.get_mut(s).and_then(|service| service.reals.get_mut(r)) else {
            return;
        };
        let Some(past) = &mut real.past else { return };
        if past.armed != past.timer {
            if let Some(at) = past.armed {
                self.timers.remove(&(at, s, r));
            }
            self.timers.extend(past.timer.map(|at| (at, s, r)));
            past.armed = past.timer;
        }
    }

    /// After a reload that left everybody where they are: the timers of these services, which have none now.
    pub(super) fn arm_again(&mut self, changed: &[usize]) {
        for s in changed {
            let count = self.services.get_mut(*s).map_or(0, |service| {
                service
                    .reals
                    .iter_mut()
                    .filter_map(|real| real.past.as_mut())
                    .for_each(|past| past.armed = None);
                service.reals.len()
            });
            (0..count).for_each(|r| self.arm(*s, r));
        }
    }

    /// After a reload, when everybody may stand elsewhere.
    pub(super) fn arm_all(&mut self) {
        self.timers.clear();
        for (s, service) in self.services.iter_mut().enumerate() {
            for (r, real) in service.reals.iter_mut().enumerate() {
                if let Some(past) = &mut real.past {
                    past.armed = past.timer;
                    self.timers.extend(past.timer.map(|at| (at, s, r)));
                }
            }
        }
    }
}
