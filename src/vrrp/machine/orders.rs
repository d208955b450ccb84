//! What a person has ordered: step down, take over, maintenance, and the one-time failback.
//!
//! - *Step down* and *maintenance*: the priority is 1, whatever trackers say. A master resigns at once (priority 0), a backup
//!   yields to any peer and replaces none. But the addresses are not given to nobody: when the master-down timer runs out,
//!   since no peer speaks up, this router takes them, with priority 1, until a peer comes.
//! - *Strict maintenance* is a FAULT: it takes nothing, whoever is missing.
//! - *Take over*: the priority is 254 (the owner keeps its 255), and a backup that hears a lower one is master at once,
//!   `nopreempt` or not: the peer yields to our advert, as RFC 9568 section 6.4.3 has it. Nothing holds against a higher
//!   priority, which is why there is no order that keeps the base one.
//! - *Failback* is no state: a backup of higher priority than the master's takes its place once, as if it preempted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::terms::{Action, OWNER};
use super::{Cause, Machine, State, Wait};

/// Priority of a router that was ordered to step down: below that of every peer that has a choice.
pub const YIELDING: u8 = 1;
/// Priority of a router that was ordered to take over: the highest that no owner has (RFC 9568 section 5.2.4).
pub const HIGHEST: u8 = 254;

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// Let a peer be master.
    StepDown,
    /// Be master.
    TakeOver,
    /// As `StepDown`, for the whole director.
    Maintenance,
    /// Take no part, whoever is missing.
    StrictMaintenance,
}

impl OrderKind {
    /// A stable name: `step_down`, `take_over`, `maintenance`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StepDown => "step_down",
            Self::TakeOver => "take_over",
            Self::Maintenance | Self::StrictMaintenance => "maintenance",
        }
    }

    /// It yields to every peer.
    pub const fn yields(self) -> bool {
        matches!(self, Self::StepDown | Self::Maintenance)
    }
}

/// An order in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is ordered.
    pub kind: OrderKind,
    /// By whom: `root(uid=0,pid=4711)`.
    pub by: String,
    /// When, by the wall clock, since 1970.
    pub at: Duration,
    /// It ends then, which whoever gave it sees to; `None` = when somebody takes it back.
    pub until: Option<Instant>,
}

impl Machine {
    /// The order in force.
    pub fn order(&self) -> Option<&Arc<Order>> {
        self.order.as_ref()
    }

    /// The priority that it would have without an order.
    pub fn own_priority(&self) -> u8 {
        self.tracked
    }

    /// The priority that counts: what trackers make of it, unless an order says otherwise.
    pub(super) fn ordered_priority(&self) -> u8 {
        match self.order.as_ref().map(|order| order.kind) {
            Some(OrderKind::StepDown | OrderKind::Maintenance) => YIELDING,
            Some(OrderKind::TakeOver) if self.tracked != OWNER => HIGHEST,
            Some(OrderKind::TakeOver | OrderKind::StrictMaintenance) | None => self.tracked,
        }
    }

    /// Strict maintenance in words.
    pub(super) fn ordered_fault(&self) -> Option<String> {
        let order = self.order.as_ref().filter(|order| order.kind == OrderKind::StrictMaintenance)?;
        Some(format!("strict maintenance, ordered by {}", order.by))
    }

    /// Why it goes into FAULT.
    pub(super) fn fault_cause(&self, reason: &str, reload: bool) -> Cause {
        match &self.order {
            Some(order) if order.kind == OrderKind::StrictMaintenance => {
                Cause::StepDown { by: order.by.clone(), maintenance: true }
            }
            Some(_) | None => Cause::Fault { reason: reason.to_owned(), reload },
        }
    }

    fn takes_over(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.kind == OrderKind::TakeOver)
    }

    /// Takes over from a living master of lower priority.
    pub(super) fn preempts(&self) -> bool {
        self.takes_over() || self.params.may_preempt()
    }

    /// How long it waits before it does.
    pub(super) fn preempt_delay(&self) -> Duration {
        if self.takes_over() { Duration::ZERO } else { self.params.delay() }
    }

    /// An order came, went, or was given anew.
    pub(super) fn take_order(&mut self, order: Option<Arc<Order>>, now: Instant) -> Vec<Action> {
        let before = std::mem::replace(&mut self.order, order);
        let was = self.priority;
        self.priority = self.ordered_priority();
        let yielded = before.is_some_and(|before| before.kind.yields());
        if let State::Backup(backup) = &mut self.state
            && backup.claim.take().is_some()
        {
            // An earlier wish of somebody is overtaken by this one.
            (backup.since, backup.wait, backup.wants_since) = (now, Wait::Full, None);
        }
        let Some(order) = self.order.clone() else { return self.changed(was, false, now) };
        match (&self.state, order.kind) {
            // One that has the addresses since nobody else would is not asked to give them to nobody once more.
            (State::Master(_), kind) if kind.yields() && !yielded => {
                let maintenance = kind == OrderKind::Maintenance;
                let to = State::Backup(self.listening(now));
                self.resign(to, Cause::StepDown { by: order.by.clone(), maintenance })
            }
            (State::Backup(backup), OrderKind::TakeOver) => {
                let heard = backup.last.filter(|heard| heard.priority != 0);
                if heard.is_some_and(|heard| heard.priority >= self.priority) {
                    return self.changed(was, false, now);
                }
                let over = heard.map(|heard| (heard.source, heard.priority));
                let mut actions = self.changed(was, false, now);
                let cause = Cause::TakeOver { by: order.by.clone(), over, own: self.priority };
                actions.extend(self.claim(cause, now));
                actions
            }
            _ => self.changed(was, false, now),
        }
    }

    /// The place of a master of lower priority, once, at the word of a person.
    pub(super) fn failback(&mut self, by: String, now: Instant) -> Vec<Action> {
        let own = self.priority;
        let State::Backup(backup) = &self.state else { return Vec::new() };
        let Some(heard) = backup.last.filter(|heard| heard.priority != 0 && heard.priority < own) else {
            return Vec::new();
        };
        let cause = Cause::Failback { by, source: heard.source, priority: heard.priority, own };
        self.claim(cause, now)
    }

    /// A backup becomes master now; a member of a sync group as soon as the others want it, too.
    fn claim(&mut self, cause: Cause, now: Instant) -> Vec<Action> {
        let grouped = self.params.grouped;
        let State::Backup(backup) = &mut self.state else { return Vec::new() };
        if !grouped {
            return self.become_master(cause, now);
        }
        backup.claim = Some(Box::new(cause));
        if backup.wants_since.is_some() {
            return Vec::new();
        }
        self.want_master(now)
    }
}
