//! Who is master of two routers, and how long it takes until it is so: the machine's rules (RFC 9568 section 6.4)
//! followed to the end for a pair, without running time. `tests/pair_proof.rs` holds every answer against two
//! real machines.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::model::VrrpVersion;
use crate::vrrp::machine::{Params, SETTLE, skew};

use super::Who;

/// Who holds the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One of them, as it should be.
    One(Who),
    /// Both: neither hears the other, or nothing decides between them.
    Both,
    /// Nobody.
    Nobody,
    /// The one with the higher address, and the files do not say which that is.
    Either,
}

/// How one router is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes part with this priority.
    Runs(u8),
    /// A tracker, or a member of its group, forbids taking part; why, in words.
    Fault(String),
    /// Stopped in order: it said priority 0.
    Stopped,
    /// Killed, or without power.
    Dead,
}

/// One router in an election.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its settings; `own` is its source address, where the files tell.
    pub params: Params,
    /// How it is.
    pub status: Status,
    /// It hears the other one's adverts (its own ears and the rules that both files give).
    pub hears: bool,
    /// What it says reaches the network: false behind a dead cable.
    pub heard: bool,
    /// It begins only now (started, or out of FAULT), and knows of no master yet.
    pub fresh: bool,
    /// It comes out of FAULT, and claims nothing for a moment unless it hears somebody.
    pub settles: bool,
}

/// What the change of master waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing changes.
    Stays,
    /// The owner is master at once.
    AtOnce,
    /// The old master said priority 0: the skew.
    Skew(Duration),
    /// The master-down timer, from the last advert that counted.
    MasterDown(Duration),
    /// `preempt_delay`, and the master-down timer after it; this at most.
    Delayed {
        /// `preempt_delay`.
        delay: Duration,
        /// The whole time, from the last advert that counted, at most.
        total: Duration,
    },
    /// Two masters compare themselves at the next advert.
    NextAdvert(Duration),
}

impl After {
    /// The time, or its upper bound; zero where nothing changes.
    pub const fn time(self) -> Duration {
        match self {
            Self::Stays | Self::AtOnce => Duration::ZERO,
            Self::Skew(time) | Self::MasterDown(time) | Self::NextAdvert(time) => time,
            Self::Delayed { total, .. } => total,
        }
    }
}

/// The end of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Who is master then.
    pub holder: Holder,
    /// Since when.
    pub after: After,
    /// The router that has the higher priority and stays backup: `nopreempt` holds it back.
    pub held_back: Option<Who>,
}

/// A router's role while the election is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Master,
    Backup,
    Off,
}

impl Contender {
    /// Its priority, when it takes part.
    pub const fn priority(&self) -> Option<u8> {
        match self.status {
            Status::Runs(priority) => Some(priority),
            Status::Fault(_) | Status::Stopped | Status::Dead => None,
        }
    }

    /// The master-down timer while it listens to a master of that interval.
    fn master_down(&self, master_interval: Duration) -> Duration {
        master_interval * u32::from(self.params.down_timer_adverts.max(1)) + self.skew(master_interval)
    }

    fn skew(&self, master_interval: Duration) -> Duration {
        skew(self.params.version, self.priority().unwrap_or(0), master_interval)
    }

    /// The master-down timer that it begins with.
    fn first_timer(&self) -> Duration {
        match self.priority() {
            // The owner does not listen first (RFC 9568 section 6.4.1).
            Some(u8::MAX) => Duration::ZERO,
            _ => self.master_down(self.params.interval()),
        }
    }

    /// The same while nobody is heard.
    fn silent_timer(&self) -> Duration {
        let first = self.first_timer();
        if self.settles && !first.is_zero() { first.max(SETTLE) } else { first }
    }

    /// The interval that it expects of the other one: version 3 takes the master's own word.
    fn expects(&self, master: &Self) -> Duration {
        match self.params.version {
            VrrpVersion::V2 => self.params.interval(),
            VrrpVersion::V3 => master.params.interval(),
        }
    }
}

/// Both are started at the same moment.
pub fn cold_start(a: &Contender, b: &Contender) -> Outcome {
    let [a, b] = [a, b].map(|x| Contender { fresh: true, ..x.clone() });
    match (a.priority(), b.priority()) {
        (None, None) => ended(Holder::Nobody, After::Stays),
        (Some(_), None) => ended(Holder::One(Who::A), started(a.first_timer())),
        (None, Some(_)) => ended(Holder::One(Who::B), started(b.first_timer())),
        (Some(_), Some(_)) => {
            let timers = [a.first_timer(), b.first_timer()];
            let (first, roles) = match timers[0].cmp(&timers[1]) {
                Ordering::Less => (timers[0], [Role::Master, Role::Backup]),
                Ordering::Greater => (timers[1], [Role::Backup, Role::Master]),
                Ordering::Equal => (timers[0], [Role::Master, Role::Master]),
            };
            follow(roles, [&a, &b], started(first), true)
        }
    }
}

/// After the start there is a master at once or when its timer has run out.
fn started(time: Duration) -> After {
    if time.is_zero() { After::AtOnce } else { After::MasterDown(time) }
}

/// Something happened to a pair with these masters.
pub fn after(before: Holder, a: &Contender, b: &Contender) -> Outcome {
    match before {
        Holder::Nobody => cold_start(a, b),
        Holder::Either => {
            let [x, y] = Who::BOTH.map(|who| after(Holder::One(who), a, b));
            if x.holder == y.holder {
                if x.after.time() >= y.after.time() { x } else { y }
            } else {
                Outcome { held_back: None, ..ended(Holder::Either, After::Stays) }
            }
        }
        Holder::Both => changed([Role::Master, Role::Master], [a, b]),
        Holder::One(Who::A) => changed([Role::Master, Role::Backup], [a, b]),
        Holder::One(Who::B) => changed([Role::Backup, Role::Master], [a, b]),
    }
}

/// The roles before, and how the two are now.
fn changed(before: [Role; 2], pair: [&Contender; 2]) -> Outcome {
    let mut roles = before;
    for (role, contender) in roles.iter_mut().zip(pair) {
        match contender.priority() {
            None => *role = Role::Off,
            Some(u8::MAX) if contender.fresh => *role = Role::Master,
            Some(_) if contender.fresh => *role = Role::Backup,
            Some(_) => {}
        }
    }
    let alone = match roles {
        [Role::Off, Role::Off] => return ended(Holder::Nobody, After::Stays),
        [_, Role::Off] => 0,
        [Role::Off, _] => 1,
        [_, _] => {
            let owner = pair.iter().any(|x| x.fresh && x.priority() == Some(u8::MAX));
            return follow(roles, pair, if owner { After::AtOnce } else { After::Stays }, false);
        }
    };
    let holder = Holder::One(Who::BOTH[alone]);
    if roles[alone] == Role::Master {
        return ended(holder, After::Stays);
    }
    let (stays, gone) = (pair[alone], pair[1 - alone]);
    if stays.fresh {
        return ended(holder, started(stays.silent_timer()));
    }
    let interval = stays.expects(gone);
    let said_so = gone.heard && stays.hears && gone.status != Status::Dead;
    let after = if said_so {
        After::Skew(stays.skew(interval))
    } else {
        After::MasterDown(stays.master_down(interval))
    };
    ended(holder, after)
}

/// Two routers that both take part, from these roles until nothing moves any more.
fn follow(mut roles: [Role; 2], pair: [&Contender; 2], mut spent: After, together: bool) -> Outcome {
    let [a, b] = pair;
    let hears = [a.hears && b.heard, b.hears && a.heard];
    let priority = pair.map(|x| x.priority().unwrap_or(0));
    // At a common start the second one hears the first one's first advert in time.
    let mut in_time = together;
    // Each round changes one role for good: backup to master, then master to backup.
    for _ in 0..4 {
        match roles {
            [Role::Master, Role::Master] => {
                let loser = match priority[0].cmp(&priority[1]) {
                    Ordering::Less => 0,
                    Ordering::Greater => 1,
                    Ordering::Equal => match order(a.params.own, b.params.own) {
                        Some(Ordering::Less) => 0,
                        Some(Ordering::Greater) => 1,
                        Some(Ordering::Equal) => return ended(Holder::Both, spent),
                        None if hears == [true, true] => return ended(Holder::Either, spent),
                        None => return ended(Holder::Both, spent),
                    },
                };
                // A loser that hears nothing does not know that it lost; the winner never yields.
                if !hears[loser] {
                    return ended(Holder::Both, spent);
                }
                if spent == After::Stays {
                    spent = After::NextAdvert(pair[1 - loser].params.interval());
                }
                roles[loser] = Role::Backup;
                in_time = true;
            }
            [Role::Master, Role::Backup] | [Role::Backup, Role::Master] => {
                let backup = usize::from(roles[0] == Role::Master);
                let master = 1 - backup;
                let interval = pair[backup].expects(pair[master]);
                let full = pair[backup].master_down(interval);
                // Who has accepted no advert yet still waits by its own interval.
                let fresh = pair[backup].fresh.then(|| pair[backup].first_timer());
                let silent = pair[backup].fresh.then(|| pair[backup].silent_timer());
                // One that begins may run out before a slow master's next advert (version 3 with two intervals).
                let too_soon = silent.is_some_and(|first| first < pair[master].params.interval());
                if !hears[backup] || too_soon && !in_time {
                    roles[backup] = Role::Master;
                    spent = longest(spent, After::MasterDown(silent.unwrap_or(full)));
                    continue;
                }
                let holder = Holder::One(Who::BOTH[master]);
                if priority[backup] <= priority[master] {
                    return ended(holder, spent);
                }
                if !pair[backup].params.may_preempt() {
                    let held_back = Some(Who::BOTH[backup]);
                    return Outcome { held_back, ..ended(holder, spent) };
                }
                roles[backup] = Role::Master;
                let delay = pair[backup].params.delay();
                spent = if delay.is_zero() {
                    longest(spent, After::MasterDown(fresh.unwrap_or(full)))
                } else if let Some(first) = fresh {
                    // The delay counts from its start.
                    longest(spent, After::Delayed { delay, total: first.max(delay + full) })
                } else {
                    // The master is tolerated for so many adverts; the timer starts at the last of them.
                    let sent = pair[master].params.interval();
                    let adverts = delay.as_nanos().div_ceil(sent.as_nanos().max(1));
                    let tolerated = sent * u32::try_from(adverts).unwrap_or(u32::MAX);
                    longest(spent, After::Delayed { delay, total: tolerated + full })
                };
            }
            [_, _] => break,
        }
    }
    let holder = match roles {
        [Role::Master, Role::Master] => Holder::Both,
        [Role::Master, _] => Holder::One(Who::A),
        [_, Role::Master] => Holder::One(Who::B),
        [_, _] => Holder::Nobody,
    };
    ended(holder, spent)
}

/// How the addresses compare, where both are known.
fn order(a: Option<IpAddr>, b: Option<IpAddr>) -> Option<Ordering> {
    Some(a?.cmp(&b?))
}

fn longest(one: After, other: After) -> After {
    if other.time() >= one.time() { other } else { one }
}

fn ended(holder: Holder, after: After) -> Outcome {
    Outcome { holder, after, held_back: None }
}

#[cfg(test)]
mod tests;
