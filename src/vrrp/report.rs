//! What the vrrp thread tells the rest of the daemon: transitions with their causes, refusals with their counts.

use std::fmt;

use super::lateness::Late;
use super::machine::{Note, StateName, Transition};
use super::snapshot::Snapshot;
use crate::realtime::{Outcome, Raised};

/// One thing that happened to an instance.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the instance; empty for the thread itself.
    pub instance: String,
    /// What happened.
    pub told: Told,
}

/// The kinds of reports.
#[derive(Clone, Debug)]
pub enum Told {
    /// A state change.
    Transition {
        /// From, to, cause, priority.
        transition: Transition,
        /// What was so when it happened.
        snapshot: Box<Snapshot>,
        /// Generation of wanted addresses that belongs to the new state.
        generation: u64,
    },
    /// A reload took the instance away; its addresses leave with that generation.
    Deleted {
        /// Generation of wanted addresses without it.
        generation: u64,
        /// Priority that it had.
        priority: u8,
    },
    /// A master heard a master of lower priority (keepalived's MASTER_RX_LOWER_PRI).
    LowerPriorityHeard {
        /// Own priority.
        priority: u8,
    },
    /// Something that is no change of state.
    Note(Note),
    /// Somebody else answers for a virtual address of a master.
    TwoHolders {
        /// The address.
        address: std::net::IpAddr,
        /// Hardware address of the other one.
        mac: [u8; 6],
    },
    /// It does not any more.
    OneHolderAgain {
        /// The address.
        address: std::net::IpAddr,
        /// Hardware address of the other one.
        mac: [u8; 6],
        /// From its first answer on.
        lasted: std::time::Duration,
        /// How often it answered.
        answers: u64,
    },
    /// A sync group changed its state; the report's instance is the group's name.
    Group {
        /// Before.
        from: StateName,
        /// After.
        to: StateName,
        /// The member that it began with, and its cause.
        cause: String,
        /// Generation of wanted addresses that belongs to the new state.
        generation: u64,
    },
    /// A member of a sync group would be master and waits: who holds the group back. Empty when nobody does any more.
    GroupWaits {
        /// Names and states.
        holding: Vec<(String, StateName)>,
    },
    /// The vrrp thread failed inside and goes on: a defect, to be reported with these words.
    Failed {
        /// The panic's words.
        why: String,
        /// How many masters went on.
        masters: usize,
    },
    /// Nobody will remember after a restart who was master.
    Unremembered {
        /// Why, with the cure.
        why: String,
    },
    /// How the vrrp thread is scheduled.
    Scheduled(Outcome),
    /// It was late, and its priority was raised.
    Raised(Raised),
    /// The loop woke so late that adverts are in danger.
    Late(Late),
    /// Adverts were refused.
    Discarded {
        /// The last refusal in words.
        why: String,
        /// Its name as a counter.
        name: &'static str,
        /// How many of this name since the last report.
        count: u64,
    },
    /// The wall clock was stepped; signed adverts go on by the time before.
    ClockStepped {
        /// How far, in seconds: forward is positive.
        by: i64,
    },
    /// Signed adverts go by the wall clock from now on, as a director that knows the key goes by another time than ours.
    ClockFollowed {
        /// Sender.
        source: std::net::IpAddr,
    },
    /// An advert's addresses differ from ours; it counts all the same.
    AddressListDiffers {
        /// Sender.
        source: std::net::IpAddr,
    },
    /// An advert of a virtual router that nobody here has (`log_unknown_vrids`).
    UnknownVrid {
        /// Interface.
        interface: String,
        /// Its virtual router.
        vrid: u8,
        /// Sender.
        source: std::net::IpAddr,
    },
    /// An advert or announcement could not be sent.
    SendFailed {
        /// Interface.
        interface: String,
        /// The system's words.
        error: String,
    },
    /// The socket of an instance could not be opened; tried again when an interface changes.
    SocketFailed {
        /// Interface.
        interface: String,
        /// The system's words.
        error: String,
    },
    /// Reports that found the channel full.
    ReportsDropped {
        /// How many.
        count: u64,
    },
}

/// Reports that nobody has read yet: so many, and there is room for changes of a state alone.
pub const ROOM: usize = 1024;
/// So many, and there is room for nothing: an hour of a thousand instances that change once a minute. The queue takes memory only
/// for what waits in it.
pub const STATES_ROOM: usize = 65_536;

impl Told {
    /// May it join so many that wait? What it says of a state somebody goes by (scripts, services of `active_on`, what people see),
    /// and nobody says it twice.
    pub(super) const fn fits(&self, waiting: usize) -> bool {
        match self {
            Self::Transition { .. } | Self::Deleted { .. } | Self::Group { .. } => waiting < STATES_ROOM,
            _ => waiting < ROOM,
        }
    }
}

/// A hardware address as people write it.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition { transition: Transition { from, to, cause, .. }, snapshot, .. } => {
                write!(f, "{from} -> {to}: {cause}{}", snapshot.besides(cause))
            }
            Self::Note(note) => note.fmt(f),
            Self::TwoHolders { address, mac } => write!(
                f,
                "two holders: {} answers for {address}, too, without any advert of its; the addresses are announced anew. \
                 Look for a director that is filtered or was killed, a real server without arp_ignore, or a router with \
                 proxy ARP",
                Mac(*mac)
            ),
            Self::OneHolderAgain { address, mac, lasted, answers } => write!(
                f,
                "one holder again: {} answers for {address} no more, after {answers} answers in {:.0} s",
                Mac(*mac),
                lasted.as_secs_f64()
            ),
            Self::Group { from, to, cause, .. } => write!(f, "sync group: {from} -> {to}: {cause}"),
            Self::GroupWaits { holding } if holding.is_empty() => {
                f.write_str("sync group: nobody holds it back any more")
            }
            Self::GroupWaits { holding } => {
                f.write_str("sync group: would be MASTER, but for ")?;
                for (number, (name, state)) in holding.iter().enumerate() {
                    write!(f, "{}{name} ({state})", if number == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Failed { why, masters } => write!(
                f,
                "the vrrp thread failed inside and goes on with {masters} masters as they were: {why}; this is a defect of \
                 Tandem, please report it"
            ),
            Self::Unremembered { why } => {
                write!(f, "a restart will not remember who is master and begin with an election: {why}")
            }
            Self::Scheduled(outcome) => outcome.fmt(f),
            Self::Raised(raised) => raised.fmt(f),
            Self::Late(Late { worst, count }) => write!(
                f,
                "the vrrp thread woke late ({count} times, {} ms at worst), and adverts with it: give it real-time priority \
                 (vrrp_rt_priority) if the log says that it has none; else look who takes the processor (on a guest the \
                 steal time of top), or write a longer advert_int",
                worst.as_millis()
            ),
            Self::Deleted { .. } => f.write_str("removed by the reload"),
            Self::LowerPriorityHeard { priority } => {
                write!(f, "another master of lower priority than our {priority} was heard; answered it")
            }
            Self::Discarded { why, count: 1, .. } => write!(f, "advert refused: {why}"),
            Self::Discarded { why, count, .. } => write!(f, "{count} adverts refused, the last one: {why}"),
            Self::ClockStepped { by } => write!(
                f,
                "the clock of this machine was stepped {} by {} s: signed adverts (auth_hmac) go on by the time before, until \
                 a restart. Where the clock is wrong now, mend it before that",
                if *by < 0 { "back" } else { "forward" },
                by.unsigned_abs()
            ),
            Self::ClockFollowed { source } => write!(
                f,
                "{source} signs by another time than ours from before our clock was stepped: signed adverts go by the clock \
                 from now on"
            ),
            Self::AddressListDiffers { source } => write!(
                f,
                "{source} advertises other virtual addresses than ours; its adverts count all the same: make the \
                 lists of both directors equal"
            ),
            Self::UnknownVrid { interface, vrid, source } => {
                write!(
                    f,
                    "{source} advertises virtual_router_id {vrid} on {interface}, which nobody here has"
                )
            }
            Self::SendFailed { interface, error } => write!(f, "cannot send on {interface}: {error}"),
            Self::SocketFailed { interface, error } => {
                write!(
                    f,
                    "cannot open the advert socket on {interface}: {error}; run as root or give CAP_NET_RAW"
                )
            }
            Self::ReportsDropped { count } => write!(f, "{count} reports were lost: the log was too slow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_find_room_where_words_do_not() {
        let group = Told::Group {
            from: StateName::Backup,
            to: StateName::Master,
            cause: "all are".to_owned(),
            generation: 1,
        };
        let deleted = Told::Deleted { generation: 1, priority: 100 };
        let words = Told::ReportsDropped { count: 1 };
        for (waiting, of_states, of_others) in [
            (0, true, true),
            (ROOM - 1, true, true),
            (ROOM, true, false),
            (STATES_ROOM - 1, true, false),
            (STATES_ROOM, false, false),
        ] {
            let fit = [&group, &deleted, &words].map(|told| told.fits(waiting));
            assert_eq!(fit, [of_states, of_states, of_others], "{waiting}");
        }
    }
}
