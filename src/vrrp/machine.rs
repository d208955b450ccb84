//! The state machine of one instance (RFC 9568 section 6.4, RFC 3768 section 6.4), with keepalived's FAULT,
//! `nopreempt` and `preempt_delay`.
//!
//! [`Machine::handle`] is a function of (state, event, now): it returns what must be done, in order, and
//! [`Machine::deadline`] says when it wants to hear of time again. A timer is a field of the state that needs
//! it, so it cannot outlive that state.
//!
//! A driver that wakes late (a paused virtual machine) hands over the datagrams that wait in its socket before
//! it sends [`Event::Timeout`]: a backup then hears the master that was there all the time.

mod cause;
mod terms;

use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use cause::{Cause, LastAdvert};
pub use terms::{Action, Event, Occasion, Params, StateName, Timer, Transition};
use terms::{LEAST_INTERVAL, OWNER};

use super::accept::Accepted;
use super::priority::Effective;
use crate::config::model::VrrpVersion;

/// The state with its data.
#[derive(Clone, Debug)]
enum State {
    Init { started: bool },
    Backup(Backup),
    Master { advert_at: Instant },
    Fault { reason: String },
    Stopped,
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
    /// The last effective priority.
    priority: u8,
    state: State,
}

impl Machine {
    /// A machine in INIT that waits for [`Event::Start`].
    pub fn new(params: Params) -> Self {
        let priority = params.base_priority;
        Self { params, effective: None, priority, state: State::Init { started: false } }
    }

    /// The state.
    pub fn state(&self) -> StateName {
        match self.state {
            State::Init { .. } => StateName::Init,
            State::Backup(_) => StateName::Backup,
            State::Master { .. } => StateName::Master,
            State::Fault { .. } => StateName::Fault,
            State::Stopped => StateName::Stopped,
        }
    }

    /// The effective priority; while a tracker says FAULT the last one known.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// When [`Event::Timeout`] is wanted, and for which timer. A deadline may already have passed.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Backup(backup) => Some((self.down_at(backup), Timer::MasterDown)),
            State::Master { advert_at } => Some((*advert_at, Timer::Advert)),
            State::Init { .. } | State::Fault { .. } | State::Stopped => None,
        }
    }

    /// One event, and what follows from it.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Start => match self.state {
                State::Init { started: false } => {
                    self.state = State::Init { started: true };
                    self.leave_init(now)
                }
                State::Init { started: true }
                | State::Backup(_)
                | State::Master { .. }
                | State::Fault { .. }
                | State::Stopped => Vec::new(),
            },
            Event::Advert(advert) => match self.state {
                State::Backup(_) => {
                    self.backup_hears(&advert, now);
                    Vec::new()
                }
                State::Master { .. } => self.master_hears(&advert, now),
                State::Init { .. } | State::Fault { .. } | State::Stopped => Vec::new(),
            },
            Event::Timeout => match &self.state {
                State::Backup(backup) if now >= self.down_at(backup) => {
                    let cause = self.expiry_cause(backup, now);
                    self.become_master(cause, now)
                }
                State::Master { advert_at } if now >= *advert_at => self.send_advert(now),
                State::Init { .. }
                | State::Backup(_)
                | State::Master { .. }
                | State::Fault { .. }
                | State::Stopped => Vec::new(),
            },
            Event::Effective(effective) => {
                if let Effective::Priority(priority) = effective {
                    self.priority = priority;
                }
                self.effective = Some(effective);
                self.obstacles_changed(false, now)
            }
            Event::Own(own) => {
                self.params.own = own;
                self.obstacles_changed(false, now)
            }
            Event::Params(params) => self.new_params(params, now),
            Event::Stop => match self.state {
                State::Master { .. } => self.resign(State::Stopped, Cause::Stopped),
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
        if matches!(self.effective, Some(Effective::Pending(_))) {
            return Vec::new();
        }
        if self.priority == OWNER {
            return self.become_master(Cause::Owner, now);
        }
        vec![self.enter_backup(Cause::Started, now)]
    }

    /// Trackers, address or settings changed: into FAULT, out of it, or on with a new priority.
    fn obstacles_changed(&mut self, reload: bool, now: Instant) -> Vec<Action> {
        let fault = self.fault();
        match (&mut self.state, fault) {
            (State::Init { started: true }, _) => self.leave_init(now),
            (State::Init { started: false } | State::Stopped, _) => Vec::new(),
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
                if self.priority == OWNER {
                    self.become_master(cause, now)
                } else {
                    vec![self.enter_backup(cause, now)]
                }
            }
            (State::Backup(_), Some(reason)) => vec![self.enter_fault(reason, reload)],
            (State::Master { .. }, Some(reason)) => {
                let cause = Cause::Fault { reason: reason.clone(), reload };
                self.resign(State::Fault { reason }, cause)
            }
            // A running timer follows the priority by itself: `down_at` computes the skew afresh.
            (State::Backup(_) | State::Master { .. }, None) => Vec::new(),
        }
    }

    /// Settings after a reload. A master stays master; timers follow the new settings, but never run out earlier
    /// than a full new period because of them.
    fn new_params(&mut self, params: Params, now: Instant) -> Vec<Action> {
        let timing_changed = self.params.version != params.version
            || self.params.advert_int != params.advert_int
            || self.params.down_timer_adverts != params.down_timer_adverts;
        self.params = params;
        match &self.effective {
            None => self.priority = self.params.base_priority,
            Some(Effective::Priority(_) | Effective::Fault(_) | Effective::Pending(_)) => {}
        }
        if timing_changed {
            let interval = self.params.interval();
            match &mut self.state {
                State::Backup(backup) => {
                    backup.since = now;
                    backup.wait = Wait::Full;
                    backup.master_interval = match self.params.version {
                        VrrpVersion::V2 => interval,
                        // Never less patient than with the interval that the master itself gave.
                        VrrpVersion::V3 => backup.master_interval.max(interval),
                    };
                }
                State::Master { advert_at } => *advert_at = (*advert_at).min(now + interval),
                State::Init { .. } | State::Fault { .. } | State::Stopped => {}
            }
        }
        self.obstacles_changed(true, now)
    }

    /// A backup hears a master.
    fn backup_hears(&mut self, advert: &Accepted, now: Instant) {
        let (own_priority, may_preempt, delay) =
            (self.priority, self.params.may_preempt(), self.params.delay());
        let State::Backup(backup) = &mut self.state else { return };
        let priority = advert.priority();
        let lower = priority < own_priority;
        let mut heard = Heard { source: advert.source(), priority, at: now, passed_over: false };
        if priority == 0 {
            backup.since = now;
            backup.wait = Wait::SkewOnly;
            backup.last = Some(heard);
            return;
        }
        if lower && may_preempt {
            let until = *backup.tolerate_until.get_or_insert(now + delay);
            heard.passed_over = now >= until;
        } else {
            backup.tolerate_until = None;
        }
        backup.last = Some(heard);
        if !heard.passed_over {
            backup.since = now;
            backup.wait = Wait::Full;
            if self.params.version == VrrpVersion::V3 {
                backup.master_interval = advert.interval().max(LEAST_INTERVAL);
            }
        }
    }

    /// A master hears a master.
    fn master_hears(&mut self, advert: &Accepted, now: Instant) -> Vec<Action> {
        let (source, priority, own) = (advert.source(), advert.priority(), self.priority);
        if priority == 0 {
            return self.send_advert(now);
        }
        let cause = match priority.cmp(&own) {
            std::cmp::Ordering::Greater => Cause::HigherPriority { source, priority, own },
            std::cmp::Ordering::Equal if self.params.own.is_none_or(|address| source > address) => {
                Cause::HigherAddress { source, priority, own: self.params.own }
            }
            std::cmp::Ordering::Equal | std::cmp::Ordering::Less => {
                let mut actions = self.send_advert(now);
                actions.push(Action::Announce(Occasion::LowerPriorityHeard));
                return actions;
            }
        };
        let mut backup = self.listening(now);
        if self.params.version == VrrpVersion::V3 {
            backup.master_interval = advert.interval().max(LEAST_INTERVAL);
        }
        backup.last = Some(Heard { source, priority, at: now, passed_over: false });
        backup.tolerate_until = None;
        vec![Action::Addresses { wanted: false }, self.transition(State::Backup(backup), cause)]
    }

    /// Sends the regular advert, or one out of turn; the next one is a whole interval away, however late this
    /// one is: never a burst.
    fn send_advert(&mut self, now: Instant) -> Vec<Action> {
        self.state = State::Master { advert_at: now + self.params.interval() };
        vec![Action::SendAdvert { priority: self.priority }]
    }

    /// MASTER, in the order that must be kept: the advert first, so that no other backup moves.
    fn become_master(&mut self, cause: Cause, now: Instant) -> Vec<Action> {
        let state = State::Master { advert_at: now + self.params.interval() };
        vec![
            Action::SendAdvert { priority: self.priority },
            Action::Addresses { wanted: true },
            Action::Announce(Occasion::BecameMaster),
            self.transition(state, cause),
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
        let cause = Cause::Fault { reason: reason.clone(), reload };
        self.transition(State::Fault { reason }, cause)
    }

    /// What a backup knows at first.
    fn listening(&self, now: Instant) -> Backup {
        let delay = self.params.delay();
        Backup {
            since: now,
            wait: Wait::Full,
            master_interval: self.params.interval(),
            tolerate_until: (!delay.is_zero()).then(|| now + delay),
            last: None,
        }
    }

    /// Changes the state and says so.
    fn transition(&mut self, to: State, cause: Cause) -> Action {
        let from = self.state();
        self.state = to;
        Action::Transition(Transition { from, to: self.state(), cause, priority: self.priority })
    }

    /// What forbids taking part.
    fn fault(&self) -> Option<String> {
        match (&self.effective, self.params.own) {
            (Some(Effective::Fault(what)), _) => Some(what.clone()),
            (None | Some(Effective::Priority(_) | Effective::Pending(_)), None) => {
                Some("the interface has no address to send adverts from".to_owned())
            }
            (None | Some(Effective::Priority(_) | Effective::Pending(_)), Some(_)) => None,
        }
    }

    /// When the master-down timer runs out.
    fn down_at(&self, backup: &Backup) -> Instant {
        backup.since + self.down_wait(backup)
    }

    /// Active_Down_Interval, or the skew alone (RFC 9568 section 6.1, RFC 3768 section 6.1).
    fn down_wait(&self, backup: &Backup) -> Duration {
        let skew = skew(self.params.version, self.priority, backup.master_interval);
        match backup.wait {
            Wait::Full => backup.master_interval * u32::from(self.params.down_timer_adverts.max(1)) + skew,
            Wait::SkewOnly => skew,
        }
    }

    /// Why the timer ran out.
    fn expiry_cause(&self, backup: &Backup, now: Instant) -> Cause {
        let waited = now.saturating_duration_since(backup.since);
        match backup.last {
            Some(heard) if heard.priority == 0 => Cause::MasterResigned {
                source: heard.source,
                waited: now.saturating_duration_since(heard.at),
            },
            Some(heard) if heard.passed_over => {
                Cause::Preempted { source: heard.source, priority: heard.priority, own: self.priority }
            }
            heard => Cause::MasterDown {
                waited,
                limit: self.down_wait(backup),
                last: heard.map(|heard| LastAdvert {
                    source: heard.source,
                    priority: heard.priority,
                    age: now.saturating_duration_since(heard.at),
                }),
            },
        }
    }
}

/// Skew_Time in whole nanoseconds: (256 - priority) / 256 of a second in version 2, of the master's interval in
/// version 3. The router of higher priority runs out first.
pub fn skew(version: VrrpVersion, priority: u8, master_interval: Duration) -> Duration {
    let whole = match version {
        VrrpVersion::V2 => Duration::from_secs(1),
        VrrpVersion::V3 => master_interval,
    };
    let nanos = whole.as_nanos() * (256 - u128::from(priority)) / 256;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
