//! What an accepted advert does to a backup and to a master.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::terms::{Action, LEAST_INTERVAL, Note, OWNER, Occasion};
use super::{Cause, Heard, Machine, Rival, State, Wait};
use crate::config::model::VrrpVersion;
use crate::vrrp::accept::Accepted;

impl Machine {
    /// A backup hears a master.
    pub(super) fn backup_hears(&mut self, advert: &Accepted, now: Instant) {
        let (own_priority, may_preempt, delay) = (self.priority, self.preempts(), self.preempt_delay());
        let State::Backup(backup) = &mut self.state else { return };
        // By the word of a person, as if it preempted.
        let (may_preempt, delay) =
            if backup.claim.is_some() { (true, Duration::ZERO) } else { (may_preempt, delay) };
        let priority = advert.priority();
        let lower = priority < own_priority;
        let mut heard = Heard { source: advert.source(), priority, at: now, passed_over: false };
        // The network carries adverts: no need to wait for that any more.
        backup.not_before = None;
        if priority == 0 {
            backup.since = now;
            backup.wait = Wait::SkewOnly;
            backup.grace_until = None;
            backup.wants_since = None;
            backup.claim = None;
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
            backup.grace_until = None;
            backup.wants_since = None;
            backup.claim = None;
            if self.params.version == VrrpVersion::V3 {
                backup.master_interval = advert.interval().max(LEAST_INTERVAL);
            }
        }
    }

    /// A master hears a master.
    pub(super) fn master_hears(&mut self, advert: &Accepted, now: Instant) -> Vec<Action> {
        let (source, priority, own) = (advert.source(), advert.priority(), self.priority);
        let State::Master(master) = &self.state else { return Vec::new() };
        if own == OWNER && self.params.owner_ignore_adverts {
            return Vec::new();
        }
        if priority == 0 {
            return self.send_advert(now);
        }
        let cause = match priority.cmp(&own) {
            Ordering::Greater => Cause::HigherPriority { source, priority, own },
            Ordering::Equal if self.params.own.is_none_or(|address| source > address) => {
                Cause::HigherAddress { source, priority, own: self.params.own }
            }
            // Somebody took over while this machine stood still, and may keep what it has.
            Ordering::Equal | Ordering::Less if master.away.is_some() && !self.preempts() => {
                let late = master.away.unwrap_or_default();
                Cause::ReplacedWhileAway { late, source, priority }
            }
            Ordering::Equal | Ordering::Less => return self.stays_master(advert, now),
        };
        let mut backup = self.listening(now);
        if self.params.version == VrrpVersion::V3 {
            backup.master_interval = advert.interval().max(LEAST_INTERVAL);
        }
        backup.last = Some(Heard { source, priority, at: now, passed_over: false });
        backup.tolerate_until = None;
        let mut actions = Vec::with_capacity(4);
        if self.params.higher_prio_send_advert && self.params.own.is_some() {
            actions.push(Action::SendAdvert { priority: own });
        }
        actions.push(Action::Addresses { wanted: false });
        actions.push(self.transition(State::Backup(backup), cause));
        actions
    }

    /// Of two masters this one stays: it says so at once, to the other one and to the neighbours.
    fn stays_master(&mut self, advert: &Accepted, now: Instant) -> Vec<Action> {
        let mut actions = Vec::with_capacity(3);
        if !self.params.lower_prio_no_advert {
            actions.extend(self.send_advert(now));
        } else if let State::Master(master) = &mut self.state {
            master.away = None;
        }
        actions.push(Action::Announce(Occasion::LowerPriorityHeard));
        actions.extend(self.rival_note(advert, now));
        actions
    }

    /// Keeps count of the other master; tells of its first advert.
    fn rival_note(&mut self, advert: &Accepted, now: Instant) -> Option<Action> {
        let (source, priority) = (advert.source(), advert.priority());
        let until = now + advert.interval().max(LEAST_INTERVAL) * 3;
        let State::Master(master) = &mut self.state else { return None };
        match &mut master.rival {
            Some(rival) if rival.source == source => {
                rival.until = until;
                rival.adverts += 1;
                None
            }
            rival => {
                *rival = Some(Rival { source, since: now, until, adverts: 1 });
                Some(Action::Note(Note::TwoMasters { source, priority }))
            }
        }
    }

    /// The other master has been silent for three of its intervals: the neighbours are told once more where the
    /// addresses are, since some may have learnt them from it.
    pub(super) fn rival_gone(&mut self, now: Instant) -> Vec<Action> {
        let State::Master(master) = &mut self.state else { return Vec::new() };
        let Some(rival) = master.rival.take_if(|rival| now >= rival.until) else { return Vec::new() };
        let note = Note::OneMasterAgain {
            source: rival.source,
            lasted: now.saturating_duration_since(rival.since),
            adverts: rival.adverts,
        };
        vec![Action::Announce(Occasion::RivalGone), Action::Note(note)]
    }
}
