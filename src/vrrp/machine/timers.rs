//! The timers of the machine: how long each runs, and what happens at its end.

use std::time::{Duration, Instant};

use super::rhythm::next_advert;
use super::terms::{Action, Note, OWNER, Occasion};
use super::{Backup, Cause, LastAdvert, Machine, Master, State, Wait};
use crate::config::model::VrrpVersion;

impl Machine {
    /// A deadline may have come.
    pub(super) fn timeout(&mut self, now: Instant) -> Vec<Action> {
        match &self.state {
            State::Init { hold: Some(until), .. } if now >= *until => {
                self.state = State::Init { started: true, hold: None };
                let mut actions = vec![Action::Note(Note::HoldOver)];
                actions.extend(self.leave_init(now));
                actions
            }
            State::Backup(backup) if backup.wants_since.is_none() && now >= self.down_at(backup) => {
                let late = now.saturating_duration_since(self.down_at(backup));
                // The owner has nobody to make room for.
                if late >= backup.master_interval && self.priority != OWNER {
                    return self.woke_late(late, now);
                }
                if self.params.grouped {
                    return self.want_master(now);
                }
                let cause = self.expiry_cause(backup, now);
                self.become_master(cause, now)
            }
            State::Master(master) if now >= master.advert_at => {
                let late = now.saturating_duration_since(master.advert_at);
                match master.away {
                    // Nobody else was heard: it is still the one.
                    Some(_) => {
                        let mut actions = self.send_advert(now);
                        actions.push(Action::Announce(Occasion::WasAway));
                        actions
                    }
                    None => self.advert_due(late, now),
                }
            }
            State::Init { .. }
            | State::Backup(_)
            | State::Master(_)
            | State::Fault { .. }
            | State::Stopped => Vec::new(),
        }
    }

    /// The master-down timer ran out while this machine stood still. If the master stood still with it (both are guests of
    /// one host, which was suspended or starved), the silence says nothing about the master, and that one listens for an
    /// interval and a quarter before it speaks ([`Self::advert_due`]): a backup waits a little longer than that.
    fn woke_late(&mut self, late: Duration, now: Instant) -> Vec<Action> {
        if let State::Backup(backup) = &mut self.state {
            backup.grace_until = Some(now + backup.master_interval + backup.master_interval / 2);
        }
        vec![Action::Note(Note::BackupWasAway { late })]
    }

    /// The timer of a group's member ran out.
    pub(super) fn want_master(&mut self, now: Instant) -> Vec<Action> {
        if let State::Backup(backup) = &mut self.state {
            backup.wants_since = Some(now);
        }
        vec![Action::Note(Note::WantsMaster)]
    }

    /// The next advert is due, and has been for `late`.
    fn advert_due(&mut self, late: Duration, now: Instant) -> Vec<Action> {
        let interval = self.params.interval();
        // Not the owner: it waits for nobody, and would be master again in the same moment.
        if let Some(limit) = self.params.timer_expired_backup
            && !self.params.may_preempt()
            && self.priority != OWNER
            && late >= interval * u32::from(limit)
        {
            let to = State::Backup(self.listening(now));
            let cause = Cause::TimerExpired { late, limit };
            return vec![Action::Addresses { wanted: false }, self.transition(to, cause)];
        }
        // The owner has nobody to make room for.
        if late > self.own_down_interval() && self.priority != OWNER {
            if let State::Master(master) = &mut self.state {
                master.away = Some(late);
                master.advert_at = now + interval + interval / 4;
            }
            return vec![Action::Note(Note::WasAway { late })];
        }
        let mut actions = self.send_advert(now);
        actions.extend(self.rival_gone(now));
        actions
    }

    /// Sends the regular advert, or one out of turn; [`next_advert`] says when the next one is due.
    pub(super) fn send_advert(&mut self, now: Instant) -> Vec<Action> {
        let interval = self.params.interval();
        if let State::Master(Master { advert_at, away, .. }) = &mut self.state {
            (*advert_at, *away) = (next_advert(*advert_at, now, interval, self.rhythm), None);
        }
        vec![Action::SendAdvert { priority: self.priority }]
    }

    /// When the master-down timer runs out, with what is granted to a master that stood still together with this machine.
    pub(super) fn down_at(&self, backup: &Backup) -> Instant {
        let due = self.due_at(backup);
        backup.grace_until.map_or(due, |least| due.max(least))
    }

    /// When the master-down timer should run out.
    fn due_at(&self, backup: &Backup) -> Instant {
        let at = backup.since + self.down_wait(backup);
        backup.not_before.map_or(at, |least| at.max(least))
    }

    /// Active_Down_Interval, or the skew alone (RFC 9568 section 6.1, RFC 3768 section 6.1). The owner of a group
    /// waits for nobody but the group.
    fn down_wait(&self, backup: &Backup) -> Duration {
        if self.priority == OWNER && backup.last.is_none() {
            return Duration::ZERO;
        }
        let skew = skew(self.params.version, self.priority, backup.master_interval);
        match backup.wait {
            Wait::Full => backup.master_interval * u32::from(self.params.down_timer_adverts.max(1)) + skew,
            Wait::SkewOnly => skew,
        }
    }

    /// How long another router of our own settings and priority would wait for our adverts.
    fn own_down_interval(&self) -> Duration {
        let interval = self.params.interval();
        interval * u32::from(self.params.down_timer_adverts.max(1))
            + skew(self.params.version, self.priority, interval)
    }

    /// Why the timer ran out.
    pub(super) fn expiry_cause(&self, backup: &Backup, now: Instant) -> Cause {
        // A member of a group waited for its timer, and then for the others.
        let waited = backup.wants_since.unwrap_or(now).saturating_duration_since(backup.since);
        match backup.last {
            None if self.priority == OWNER => Cause::Owner,
            Some(heard) if heard.priority == 0 => Cause::MasterResigned {
                source: heard.source,
                waited: now.saturating_duration_since(heard.at),
            },
            Some(heard) if heard.passed_over => {
                Cause::Preempted { source: heard.source, priority: heard.priority, own: self.priority }
            }
            heard => Cause::MasterDown {
                waited,
                limit: self.due_at(backup).saturating_duration_since(backup.since),
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
