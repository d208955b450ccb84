//! Keeps timeouts and synchronisation daemons as desired: what was read of the kernel, what it refused, what it makes
//! of our words, and which timeouts to put back. No clock and no socket of its own: [`crate::ipvs::kernel`] brings
//! them.

use std::time::Instant;

use crate::ipvs::names;
use crate::ipvs::reconcile::{READ_EVERY, RETRY_FIRST, RETRY_LONGEST};
use crate::ipvs::session::{Error, Session, Transport};
use crate::ipvs::settings::{Actual, Daemon, Order, Role, Settings, Timeouts, diff};

/// What one turn brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The kernel holds all that was desired.
    pub in_place: bool,
    /// Orders that the kernel took.
    pub applied: Vec<Order>,
    /// Those of them that put back what somebody else had changed.
    pub repaired: Vec<Order>,
    /// Refusals that are new, in words with their cure.
    pub refused: Vec<String>,
}

/// What is known and remembered between turns.
#[derive(Debug, Default)]
pub struct Keeper {
    /// Something was desired once: it must be looked after, also when nothing is desired any more.
    started: bool,
    /// What the last turn worked for.
    settled: Option<Settings>,
    /// The timeouts that were there before we set any; put back when they are not ours to say any more.
    before: Option<Timeouts>,
    /// What we set.
    ours: Timeouts,
    /// What the kernel made of daemons that we asked for.
    made: Vec<(Role, Daemon, Daemon)>,
    /// When to look again; `None` = at once.
    due: Option<Instant>,
    /// What does not work, by its order.
    held: Vec<(Order, String)>,
    pause: Option<std::time::Duration>,
}

impl Keeper {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// True if there is nothing to do with this desired value, and no reason to touch the kernel.
    pub const fn is_idle(&self, desired: &Settings) -> bool {
        !self.started && desired.is_empty()
    }

    /// The connection was lost, or the end is near: look at once.
    pub const fn look_now(&mut self) {
        self.due = None;
    }

    /// When [`Self::turn`] has something to do even if nothing new is desired; `None` = nothing was ever desired.
    pub const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What is refused at present, in words.
    pub fn errors(&self) -> impl Iterator<Item = String> + '_ {
        self.held.iter().map(|(_, words)| words.clone())
    }

    /// The value to work towards: once something was ours and is not desired any more, what was there before.
    fn target(&self, desired: &Settings) -> Settings {
        let mut target = desired.clone();
        if let Some(before) = &self.before {
            target.timeouts = desired.timeouts.or(&before.only(&self.ours));
        }
        if desired.daemons.is_none() && !self.made.is_empty() {
            target.daemons = Some(crate::ipvs::settings::Daemons::default());
        }
        target
    }

    /// Brings the kernel to `desired`, if it is time to look or something else is desired than before.
    ///
    /// # Errors
    /// When the connection is no good any more; [`Self::look_now`] has been called.
    pub fn turn<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        desired: &Settings,
        now: Instant,
    ) -> Result<Kept, Error> {
        let mut kept = Kept { in_place: true, ..Kept::default() };
        let settled = self.settled.as_ref() == Some(desired);
        if self.is_idle(desired) || (settled && self.due.is_some_and(|due| due > now)) {
            return Ok(kept);
        }
        if !settled {
            self.pause = None;
        }
        match self.reach(session, desired, &mut kept) {
            Ok(()) => {
                let looked_after = self.started.then(|| now + self.rest(kept.in_place));
                self.due = looked_after;
                // A refusal, too, is tried again after its pause and not at every turn.
                self.settled = Some(desired.clone());
                Ok(kept)
            }
            Err(error) => {
                self.settled = None;
                self.due = None;
                Err(error)
            }
        }
    }

    fn rest(&mut self, in_place: bool) -> std::time::Duration {
        if in_place {
            self.pause = None;
            return READ_EVERY;
        }
        let pause = self.pause.map_or(RETRY_FIRST, |pause| (pause * 2).min(RETRY_LONGEST));
        self.pause = Some(pause);
        pause
    }

    fn reach<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        desired: &Settings,
        kept: &mut Kept,
    ) -> Result<(), Error> {
        let mut actual = session.read_settings()?;
        self.started = true;
        if !desired.timeouts.is_empty() && self.before.is_none() {
            self.before = Some(actual.timeouts);
        }
        self.ours = desired.timeouts.or(&self.ours);
        let target = self.target(desired);
        let orders = diff(&actual, &target, &self.made);
        let drifted = self.settled.as_ref() == Some(desired) && self.held.is_empty();
        let mut held = Vec::new();
        for order in orders {
            match session.order(&order)? {
                None => {
                    order.apply(&mut actual);
                    if drifted {
                        kept.repaired.push(order.clone());
                    }
                    kept.applied.push(order);
                }
                Some(errno) => {
                    kept.in_place = false;
                    let words = names::refused_order(&order, errno);
                    if !self.held.iter().any(|(_, before)| *before == words) {
                        kept.refused.push(words.clone());
                    }
                    held.push((order, words));
                }
            }
        }
        self.held = held;
        if !kept.applied.is_empty() {
            self.learn(&target, &session.read_settings()?);
        }
        if kept.in_place {
            if desired.timeouts.is_empty() {
                (self.before, self.ours) = (None, Timeouts::default());
            }
            if desired.daemons.is_none() {
                self.made.clear();
            }
            self.started = !desired.is_empty();
        }
        Ok(())
    }

    /// Notes what the kernel made of the daemons that were just started.
    fn learn(&mut self, target: &Settings, actual: &Actual) {
        let Some(daemons) = &target.daemons else { return };
        self.made.retain(|(role, asked, _)| daemons.get(*role) != Some(asked));
        for role in Role::ALL {
            if let (Some(asked), Some(got)) = (daemons.get(role), actual.daemons.get(role)) {
                self.made.retain(|(of, ..)| *of != role);
                self.made.push((role, asked.clone(), got.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
