//! The state machine of one instance (RFC 9568 section 6.4, RFC 3768 section 6.4), with keepalived's FAULT,
//! `nopreempt`, `preempt_delay` and start-up delay. A member of a sync group waits for the orders of
//! [`group`](super::group) where its own timer would make it master.
//!
//! [`Machine::handle`] is a function of (state, event, now): it returns what must be done, in order, and
//! [`Machine::deadline`] says when it wants to hear of time again. A timer is a field of the state that needs
//! it, so it cannot outlive that state.
//!
//! A driver that wakes late (a paused virtual machine) hands over the datagrams that wait in its socket before
//! it sends [`Event::Timeout`]: a backup then hears the master that was there all the time. A master that was away
//! for longer than the others wait for it listens for one interval before it says anything.

mod cause;
mod hearing;
mod orders;
mod rhythm;
mod terms;
mod timers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use cause::{Cause, LastAdvert};
pub use orders::{HIGHEST, Order, OrderKind, YIELDING};
pub use rhythm::Rhythm;
use terms::OWNER;
pub use terms::{Action, Event, Note, Occasion, Params, SETTLE, StateName, Timer, Transition};
pub use timers::skew;

use super::priority::Effective;
use crate::config::model::VrrpVersion;

/// The state with its data.
#[derive(Clone, Debug)]
enum State {
    Init {
        started: bool,
        /// `vrrp_startup_delay`: no part in elections before this.
        hold: Option<Instant>,
    },
    Backup(Backup),
    Master(Master),
    Fault {
        reason: String,
    },
    Stopped,
}

/// What a master knows.
#[derive(Clone, Debug)]
struct Master {
    advert_at: Instant,
    /// It was away this long, and listens until `advert_at` whether another one has taken its place.
    away: Option<Duration>,
    /// Another master is heard.
    rival: Option<Rival>,
}

/// Another master, as long as it is heard.
#[derive(Clone, Copy, Debug)]
struct Rival {
    source: IpAddr,
    since: Instant,
    /// No advert of its until then: it is gone.
    until: Instant,
    adverts: u64,
}

/// What a backup knows.
#[derive(Clone, Debug)]
struct Backup {
    /// The master-down timer runs from here.
    since: Instant,
    /// And this long.
    wait: Wait,
    /// Interval of the master: its own word in version 3, our setting in version 2.
    master_interval: Duration,
    /// A lower master is tolerated until then; `None` = no lower master was seen since the last higher one.
    tolerate_until: Option<Instant>,
    /// The last advert heard, for the story.
    last: Option<Heard>,
    /// The interface, or what else was missing, has only just come back: whatever the timer says, nothing is claimed
    /// before this, unless somebody is heard (a switch port that does not forward yet carries no advert).
    not_before: Option<Instant>,
    /// The timer ran out while this machine stood still, and perhaps the master stood still with it: nothing is claimed
    /// before this.
    grace_until: Option<Instant>,
    /// The timer ran out then, and the sync group must agree.
    wants_since: Option<Instant>,
    /// It wants to be master by the word of a person: no lower master moves it from that.
    claim: Option<Box<Cause>>,
}

/// How long the master-down timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// `down_timer_adverts` intervals and the skew.
    Full,
    /// The skew only: the master said that it goes.
    SkewOnly,
}

/// One advert as a backup remembers it.
#[derive(Clone, Copy, Debug)]
struct Heard {
    source: IpAddr,
    priority: u8,
    at: Instant,
    /// It did not restart the timer: this router is about to preempt its sender.
    passed_over: bool,
}

/// The state machine of one instance.
#[derive(Clone, Debug)]
pub struct Machine {
    params: Params,
    /// What the trackers last said; `None` = there are none.
    effective: Option<Effective>,
    /// The last effective priority, an order left aside.
    tracked: u8,
    /// The one that counts.
    priority: u8,
    /// What a person has ordered.
    order: Option<Arc<Order>>,
    /// What holds the sync group in FAULT: another member's reason.
    sibling: Option<String>,
    /// Its place among many instances.
    rhythm: Option<Rhythm>,
    state: State,
}

impl Machine {
    /// A machine in INIT that waits for [`Event::Start`].
    pub fn new(params: Params) -> Self {
        let priority = params.base_priority;
        let state = State::Init { started: false, hold: None };
        Self {
            params,
            effective: None,
            tracked: priority,
            priority,
            order: None,
            sibling: None,
            rhythm: None,
            state,
        }
    }

    /// Gives it a place among many instances, or takes that away. A running master takes it up with the advert after the
    /// next one.
    pub fn set_rhythm(&mut self, rhythm: Option<Rhythm>) {
        self.rhythm = rhythm;
    }

    /// The state.
    pub fn state(&self) -> StateName {
        match self.state {
            State::Init { .. } => StateName::Init,
            State::Backup(_) => StateName::Backup,
            State::Master(_) => StateName::Master,
            State::Fault { .. } => StateName::Fault,
            State::Stopped => StateName::Stopped,
        }
    }

    /// The effective priority, as an order has it where there is one; while a tracker says FAULT the last one known.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// When [`Event::Timeout`] is wanted, and for which timer. A deadline may already have passed.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Init { hold, .. } => hold.map(|at| (at, Timer::Hold)),
            State::Backup(Backup { wants_since: Some(_), .. }) => None,
            State::Backup(backup) => Some((self.down_at(backup), Timer::MasterDown)),
            State::Master(master) => Some((master.advert_at, Timer::Advert)),
            State::Fault { .. } | State::Stopped => None,
        }
    }

    /// The interval that the master counts by: its own word in version 3, while one is heard.
    pub fn master_interval(&self) -> Duration {
        match &self.state {
            State::Backup(backup) => backup.master_interval,
            _ => self.params.interval(),
        }
    }

    /// How long silence would last until the master counts as gone.
    pub fn down_interval(&self) -> Duration {
        let interval = self.master_interval();
        interval * u32::from(self.params.down_timer_adverts.max(1))
            + skew(self.params.version, self.priority, interval)
    }

    /// A member of a sync group whose timer has run out: it would be master, and waits for the others.
    pub fn wants_master(&self) -> bool {
        matches!(&self.state, State::Backup(Backup { wants_since: Some(_), .. }))
    }

    /// A backup that hears a master which it does not replace.
    pub fn hears_master(&self) -> bool {
        let State::Backup(Backup { last: Some(heard), .. }) = &self.state else { return false };
        !heard.passed_over && heard.priority != 0
    }

    /// What forbids this instance to take part, its sync group left aside.
    pub fn own_fault(&self) -> Option<String> {
        if let Some(fault) = self.ordered_fault() {
            return Some(fault);
        }
        match (&self.effective, self.params.own) {
            (Some(Effective::Fault(what)), _) => Some(what.clone()),
            (None | Some(Effective::Priority(_) | Effective::Pending(_)), None) => {
                Some("the interface has no address to send adverts from".to_owned())
            }
            (None | Some(Effective::Priority(_) | Effective::Pending(_)), Some(_)) => None,
        }
    }

    /// The reason of another member that holds this one in FAULT, as last told.
    pub fn sibling_fault(&self) -> Option<&str> {
        self.sibling.as_deref()
    }

    /// One event, and what follows from it.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Start { hold } => match self.state {
                State::Init { started: false, .. } => {
                    let hold = (!hold.is_zero()).then(|| now + hold);
                    self.state = State::Init { started: true, hold };
                    self.leave_init(now)
                }
                State::Init { started: true, .. }
                | State::Backup(_)
                | State::Master(_)
                | State::Fault { .. }
                | State::Stopped => Vec::new(),
            },
            Event::Resume => match self.state {
                State::Init { started: false, .. } if self.fault().is_none() => {
                    self.become_master(Cause::Resumed, now)
                }
                State::Init { started: false, .. } => self.handle(Event::Start { hold: Duration::ZERO }, now),
                State::Init { started: true, .. }
                | State::Backup(_)
                | State::Master(_)
                | State::Fault { .. }
                | State::Stopped => Vec::new(),
            },
            Event::Advert(advert) => match self.state {
                State::Backup(_) => {
                    self.backup_hears(&advert, now);
                    Vec::new()
                }
                State::Master(_) => self.master_hears(&advert, now),
                State::Init { .. } | State::Fault { .. } | State::Stopped => Vec::new(),
            },
            Event::Timeout => self.timeout(now),
            Event::Effective(effective) => {
                let was = self.priority;
                if let Effective::Priority(priority) = effective {
                    self.tracked = priority;
                    self.priority = self.ordered_priority();
                }
                self.effective = Some(effective);
                self.changed(was, false, now)
            }
            Event::Own(own) => {
                self.params.own = own;
                self.obstacles_changed(false, now)
            }
            Event::Sibling(reason) => {
                self.sibling = reason;
                self.obstacles_changed(false, now)
            }
            Event::Promote { group } => match &self.state {
                State::Backup(backup) if backup.wants_since.is_some() => {
                    let own = backup.claim.clone();
                    let own = own.unwrap_or_else(|| Box::new(self.expiry_cause(backup, now)));
                    let cause = Cause::WithGroup { group, own };
                    self.become_master(cause, now)
                }
                State::Init { .. }
                | State::Backup(_)
                | State::Master(_)
                | State::Fault { .. }
                | State::Stopped => Vec::new(),
            },
            Event::Follow { group, member } => match &self.state {
                State::Master(_) => {
                    let to = State::Backup(self.listening(now));
                    self.resign(to, Cause::GroupFollows { group, member })
                }
                State::Init { .. } | State::Backup(_) | State::Fault { .. } | State::Stopped => Vec::new(),
            },
            Event::Order(order) => self.take_order(order, now),
            Event::Failback { by } => self.failback(by, now),
            Event::Params(params) => self.new_params(params, now),
            Event::Stop => match self.state {
                State::Master(_) => self.resign(State::Stopped, Cause::Stopped),
                State::Init { .. } | State::Backup(_) | State::Fault { .. } => {
                    vec![self.transition(State::Stopped, Cause::Stopped)]
                }
                State::Stopped => Vec::new(),
            },
        }
    }

    /// INIT to the first real state, unless a tracker still holds it.
    fn leave_init(&mut self, now: Instant) -> Vec<Action> {
        if let Some(reason) = self.fault() {
            return vec![self.enter_fault(reason, false)];
        }
        if matches!(self.effective, Some(Effective::Pending(_))) || self.held(now) {
            return Vec::new();
        }
        if self.priority == OWNER && !self.params.grouped {
            return self.become_master(Cause::Owner, now);
        }
        vec![self.enter_backup(Cause::Started, now)]
    }

    /// The start-up delay is not over.
    fn held(&self, now: Instant) -> bool {
        matches!(self.state, State::Init { hold: Some(until), .. } if now < until)
    }

    /// As [`Self::obstacles_changed`], and a changed priority of a running instance is told.
    fn changed(&mut self, was: u8, reload: bool, now: Instant) -> Vec<Action> {
        let running = matches!(self.state, State::Backup(_) | State::Master(_));
        let mut actions = self.obstacles_changed(reload, now);
        if running && was != self.priority && matches!(self.state, State::Backup(_) | State::Master(_)) {
            actions.push(Action::Note(Note::PriorityChanged { from: was, to: self.priority }));
        }
        actions
    }

    /// Trackers, address or settings changed: into FAULT, out of it, or on with a new priority.
    fn obstacles_changed(&mut self, reload: bool, now: Instant) -> Vec<Action> {
        let fault = self.fault();
        match (&mut self.state, fault) {
            (State::Init { started: true, .. }, _) => self.leave_init(now),
            (State::Init { started: false, .. } | State::Stopped, _) => Vec::new(),
            (State::Fault { reason }, Some(new_reason)) => {
                *reason = new_reason;
                Vec::new()
            }
            (State::Fault { reason }, None) => {
                if matches!(self.effective, Some(Effective::Pending(_))) {
                    return Vec::new();
                }
                let cause = Cause::Recovered { was: std::mem::take(reason), reload };
                // The owner starts anew as at start (RFC 9568 section 6.4.1); all others listen first.
                if self.priority == OWNER && !self.params.grouped {
                    return self.become_master(cause, now);
                }
                let mut backup = self.listening(now);
                backup.not_before = Some(now + SETTLE);
                vec![self.transition(State::Backup(backup), cause)]
            }
            (State::Backup(_), Some(reason)) => vec![self.enter_fault(reason, reload)],
            (State::Master(_), Some(reason)) => {
                let cause = self.fault_cause(&reason, reload);
                self.resign(State::Fault { reason }, cause)
            }
            // A running timer follows the priority by itself: `down_at` computes the skew afresh.
            (State::Backup(_) | State::Master(_), None) => Vec::new(),
        }
    }

    /// Settings after a reload. A master stays master; timers follow the new settings, but never run out earlier
    /// than a full new period because of them.
    fn new_params(&mut self, params: Params, now: Instant) -> Vec<Action> {
        let timing_changed = self.params.version != params.version
            || self.params.advert_int != params.advert_int
            || self.params.down_timer_adverts != params.down_timer_adverts;
        self.params = params;
        let was = self.priority;
        match &self.effective {
            None => {
                self.tracked = self.params.base_priority;
                self.priority = self.ordered_priority();
            }
            Some(Effective::Priority(_) | Effective::Fault(_) | Effective::Pending(_)) => {}
        }
        if timing_changed {
            let interval = self.params.interval();
            match &mut self.state {
                State::Backup(backup) => {
                    backup.since = now;
                    backup.wait = Wait::Full;
                    backup.grace_until = None;
                    backup.wants_since = None;
                    backup.claim = None;
                    backup.master_interval = match self.params.version {
                        VrrpVersion::V2 => interval,
                        // Never less patient than with the interval that the master itself gave.
                        VrrpVersion::V3 => backup.master_interval.max(interval),
                    };
                }
                State::Master(master) => master.advert_at = master.advert_at.min(now + interval),
                State::Init { .. } | State::Fault { .. } | State::Stopped => {}
            }
        }
        if let State::Backup(backup) = &mut self.state
            && !self.params.grouped
        {
            backup.wants_since = None;
            backup.claim = None;
        }
        self.changed(was, true, now)
    }

    /// MASTER, in the order that must be kept: the advert first, so that no other backup moves.
    fn become_master(&mut self, cause: Cause, now: Instant) -> Vec<Action> {
        let advert_at = rhythm::next_advert(now, now, self.params.interval(), self.rhythm);
        let master = Master { advert_at, away: None, rival: None };
        vec![
            Action::SendAdvert { priority: self.priority },
            Action::Addresses { wanted: true },
            Action::Announce(Occasion::BecameMaster),
            self.transition(State::Master(master), cause),
        ]
    }

    /// A master gives up: one advert of priority 0, so that a backup takes over after its skew alone. Without a
    /// source address it cannot even say that.
    fn resign(&mut self, to: State, cause: Cause) -> Vec<Action> {
        let mut actions = Vec::with_capacity(3);
        if self.params.own.is_some() {
            actions.push(Action::SendAdvert { priority: 0 });
        }
        actions.push(Action::Addresses { wanted: false });
        actions.push(self.transition(to, cause));
        actions
    }

    /// BACKUP with a new timer.
    fn enter_backup(&mut self, cause: Cause, now: Instant) -> Action {
        let backup = self.listening(now);
        self.transition(State::Backup(backup), cause)
    }

    /// FAULT from a state without addresses.
    fn enter_fault(&mut self, reason: String, reload: bool) -> Action {
        let cause = self.fault_cause(&reason, reload);
        self.transition(State::Fault { reason }, cause)
    }

    /// What a backup knows at first.
    fn listening(&self, now: Instant) -> Backup {
        let delay = self.preempt_delay();
        Backup {
            since: now,
            wait: Wait::Full,
            master_interval: self.params.interval(),
            tolerate_until: (!delay.is_zero()).then(|| now + delay),
            last: None,
            not_before: None,
            grace_until: None,
            wants_since: None,
            claim: None,
        }
    }

    /// Changes the state and says so.
    fn transition(&mut self, to: State, cause: Cause) -> Action {
        let from = self.state();
        self.state = to;
        Action::Transition(Transition { from, to: self.state(), cause, priority: self.priority })
    }

    /// What forbids taking part: the own obstacles first, then those of the sync group.
    fn fault(&self) -> Option<String> {
        self.own_fault().or_else(|| self.sibling.clone())
    }
}

#[cfg(test)]
mod tests;
