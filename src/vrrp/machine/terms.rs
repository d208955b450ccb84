//! What goes into the machine and what comes out of it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Cause;
use crate::config::model::VrrpVersion;
use crate::vrrp::accept::Accepted;
use crate::vrrp::priority::Effective;

/// Shortest interval that the machine believes: what version 3 can say at least.
pub(super) const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// Priority of the owner of the addresses (RFC 9568 section 5.2.4).
pub(super) const OWNER: u8 = 255;

/// Settings of one instance (RFC 9568 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
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
    Start,
    /// An advert that passed every check.
    Advert(Accepted),
    /// Time passed. Does nothing before the deadline.
    Timeout,
    /// The trackers say something else. Also before [`Event::Start`].
    Effective(Effective),
    /// The source address came, went or changed.
    Own(Option<IpAddr>),
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
}

/// Why neighbours are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The instance became master.
    BecameMaster,
    /// A master heard a master of lower priority, whose announcements may have led neighbours astray.
    LowerPriorityHeard,
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
}
