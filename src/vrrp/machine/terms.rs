//! What goes into the machine and what comes out of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Order};
use crate::config::model::VrrpVersion;
use crate::vrrp::accept::Accepted;
use crate::vrrp::priority::Effective;

/// Shortest interval that the machine believes: what version 3 can say at least.
pub(super) const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// Priority of the owner of the addresses (RFC 9568 section 5.2.4).
pub(super) const OWNER: u8 = 255;

/// After an interface came back nothing is claimed for this long, unless an advert is heard: with short intervals the
/// master-down timer alone is shorter than a switch takes to forward.
pub const SETTLE: Duration = Duration::from_secs(1);

/// Settings of one instance (RFC 9568 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a keyword of its own")]
pub struct Params {
    /// Protocol version.
    pub version: VrrpVersion,
    /// Configured priority, 1..=255; 255 is the owner, which is master at once at start.
    pub base_priority: u8,
    /// `state MASTER` is written: clears `nopreempt` and `preempt_delay`, and nothing else.
    pub state_master: bool,
    /// Time between own adverts; at least 10 ms.
    pub advert_int: Duration,
    /// Take over from a living master of lower priority (no `nopreempt`).
    pub preempt: bool,
    /// Wait after start, or after a lower master was first seen, before doing so.
    pub preempt_delay: Duration,
    /// Intervals of silence until the master counts as gone; default 3.
    pub down_timer_adverts: u8,
    /// Member of a sync group: master only when [`Event::Promote`] says so.
    pub grouped: bool,
    /// A master does not answer a lower priority with an advert (`lower_prio_no_advert`).
    pub lower_prio_no_advert: bool,
    /// A master that yields to a higher priority sends one last advert (`higher_prio_send_advert`).
    pub higher_prio_send_advert: bool,
    /// The owner ignores every advert (`owner_ignore_adverts`).
    pub owner_ignore_adverts: bool,
    /// BACKUP when the advert timer ran so many adverts late; only without preemption.
    pub timer_expired_backup: Option<u8>,
    /// Source address of adverts; `None` while there is none, which is a fault.
    pub own: Option<IpAddr>,
}

impl Params {
    /// Own interval, never zero.
    pub fn interval(&self) -> Duration {
        self.advert_int.max(LEAST_INTERVAL)
    }

    /// Preemption as it really applies: `nopreempt` means nothing with `state MASTER` or for the owner.
    pub fn may_preempt(&self) -> bool {
        self.preempt || self.state_master || self.base_priority == OWNER
    }

    /// The delay of preemption as it really applies.
    pub fn delay(&self) -> Duration {
        if self.state_master || self.base_priority == OWNER { Duration::ZERO } else { self.preempt_delay }
    }
}

/// What happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin; given once, after the first [`Event::Effective`] if there are trackers.
    Start {
        /// Start-up delay (`vrrp_startup_delay`): adverts are ignored and nothing is claimed for so long.
        hold: Duration,
    },
    /// Begin as the master that this instance was a moment ago, before the thread or the process that ran it ended: its addresses are
    /// there, and the others must not have noticed. Given in the place of [`Event::Start`].
    Resume,
    /// An advert that passed every check.
    Advert(Accepted),
    /// Time passed. Does nothing before the deadline.
    Timeout,
    /// The trackers say something else. Also before [`Event::Start`].
    Effective(Effective),
    /// The source address came, went or changed.
    Own(Option<IpAddr>),
    /// What holds another member of the sync group in FAULT, or that nothing does any more.
    Sibling(Option<String>),
    /// Every member of the sync group wants to be master: go.
    Promote {
        /// Name of the group.
        group: String,
    },
    /// A member of the sync group is not master any more (or hears one that it must not replace): follow.
    Follow {
        /// Name of the group.
        group: String,
        /// Name of that member.
        member: String,
    },
    /// What a person has ordered, or that no order is in force any more. Also before [`Event::Start`].
    Order(Option<Arc<Order>>),
    /// A person wants a backup of higher priority to be master again, `nopreempt` or not: once, and now.
    Failback {
        /// Who.
        by: String,
    },
    /// New settings after a reload. Send the fresh [`Event::Effective`] with it when there are trackers.
    Params(Params),
    /// The daemon stops, or a reload removed the instance.
    Stop,
}

/// What must be done, in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one advert now.
    SendAdvert {
        /// With this priority; 0 = giving up.
        priority: u8,
    },
    /// The virtual addresses should be here, or should not.
    Addresses {
        /// True on becoming master.
        wanted: bool,
    },
    /// Tell the neighbours where the addresses are.
    Announce(Occasion),
    /// The state changed: record, notify.
    Transition(Transition),
    /// Something worth telling that is no change of state.
    Note(Note),
}

/// What happened to an instance without a change of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The effective priority of a running instance changed.
    PriorityChanged {
        /// Before.
        from: u8,
        /// Now.
        to: u8,
    },
    /// Another master is heard, and this one stays.
    TwoMasters {
        /// The other one.
        source: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The other master is not heard any more.
    OneMasterAgain {
        /// Who it was.
        source: IpAddr,
        /// From its first advert until now.
        lasted: Duration,
        /// How many adverts of its were heard.
        adverts: u64,
    },
    /// A master was away (a paused virtual machine, a starved thread) for longer than the others wait for it, and
    /// listens before it says anything.
    WasAway {
        /// How late its advert is.
        late: Duration,
    },
    /// A backup was away while its master-down timer ran out, and listens before it takes over: the master may have been
    /// away with it.
    BackupWasAway {
        /// How late its timer is.
        late: Duration,
    },
    /// The timer of a sync group's member ran out; it waits for the others.
    WantsMaster,
    /// The start-up delay is over.
    HoldOver,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PriorityChanged { from, to } => write!(f, "effective priority {from} -> {to}"),
            Self::TwoMasters { source, priority } => write!(
                f,
                "two masters: {source} advertises, too, with priority {priority}; this one stays and says so at once"
            ),
            Self::OneMasterAgain { source, lasted, adverts } => write!(
                f,
                "one master again: {source} is silent, after {adverts} adverts in {:.1} s; the addresses are announced \
                 anew",
                lasted.as_secs_f64()
            ),
            Self::WasAway { late } => write!(
                f,
                "this machine stood still for {:.3} s, longer than the others wait: listens for one interval before it \
                 sends again",
                late.as_secs_f64()
            ),
            Self::BackupWasAway { late } => write!(
                f,
                "this machine stood still for {:.3} s while the master-down timer ran out: listens for one and a half \
                 intervals before it takes over, since the master may have stood still, too",
                late.as_secs_f64()
            ),
            Self::WantsMaster => f.write_str("would be MASTER, and waits for its sync group"),
            Self::HoldOver => f.write_str("the start-up delay is over"),
        }
    }
}

/// Why neighbours are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The instance became master.
    BecameMaster,
    /// A master heard a master of lower priority, whose announcements may have led neighbours astray.
    LowerPriorityHeard,
    /// That other master is gone.
    RivalGone,
    /// This master was away, and nobody has taken its place.
    WasAway,
    /// Somebody who sends no adverts answers for an address of ours.
    OtherHolder,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: StateName,
    /// After.
    pub to: StateName,
    /// Why.
    pub cause: Cause,
    /// Effective priority; in FAULT the last one known.
    pub priority: u8,
}

/// The state without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// Not started, or held until every tracker has a first result.
    Init,
    /// Listening (RFC 9568: Backup).
    Backup,
    /// Owns the addresses (RFC 9568: Active).
    Master,
    /// A tracker, or the missing source address, forbids taking part.
    Fault,
    /// Ended; nothing wakes it again.
    Stopped,
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stopped => "STOPPED",
        })
    }
}

/// Which timer a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A backup waits for the master (RFC 9568: Active_Down_Timer).
    MasterDown,
    /// A master sends its next advert (Adver_Timer).
    Advert,
    /// The start-up delay ends.
    Hold,
}

#[cfg(test)]
impl Params {
    /// Plain settings: version 2, priority 100, adverts of 1 s, no source address.
    pub(crate) fn for_tests() -> Self {
        Self {
            version: VrrpVersion::V2,
            base_priority: 100,
            state_master: false,
            advert_int: Duration::from_secs(1),
            preempt: true,
            preempt_delay: Duration::ZERO,
            down_timer_adverts: 3,
            grouped: false,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            timer_expired_backup: None,
            own: None,
        }
    }
}
