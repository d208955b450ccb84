//! Why a state changed, in a sentence.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why an instance changed its state. `Display` tells it as one sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The instance began, and listens first.
    Started,
    /// The owner of the addresses (priority 255) is master at once.
    Owner,
    /// The thread or the process that ran the instance ended, and it goes on as the master that it was.
    Resumed,
    /// The master-down timer ran out.
    MasterDown {
        /// Time since the timer was started.
        waited: Duration,
        /// What it was set to. `waited` far above it: this machine was late itself.
        limit: Duration,
        /// The last advert, if there ever was one.
        last: Option<LastAdvert>,
    },
    /// The master said that it goes (priority 0), and the skew is over.
    MasterResigned {
        /// Who went.
        source: IpAddr,
        /// Time since it said so.
        waited: Duration,
    },
    /// The timer ran out while a master of lower priority was heard and passed over.
    Preempted {
        /// The master so far.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        own: u8,
    },
    /// A master heard a higher priority.
    HigherPriority {
        /// From whom.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        own: u8,
    },
    /// A master heard its own priority from a higher address.
    HigherAddress {
        /// From whom.
        source: IpAddr,
        /// The priority of both.
        priority: u8,
        /// Our address.
        own: Option<IpAddr>,
    },
    /// Every member of the sync group wanted to be master; and why this one did.
    WithGroup {
        /// Name of the group.
        group: String,
        /// This one's own reason.
        own: Box<Self>,
    },
    /// Another member of the sync group left MASTER.
    GroupFollows {
        /// Name of the group.
        group: String,
        /// Name of that member.
        member: String,
    },
    /// This machine stood still, and another router is master now.
    ReplacedWhileAway {
        /// How late the own advert was.
        late: Duration,
        /// The new master.
        source: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The own advert timer ran so late that `timer_expired_backup` gives up.
    TimerExpired {
        /// How late.
        late: Duration,
        /// The setting, in adverts.
        limit: u8,
    },
    /// Trackers, or the missing source address, forbid taking part.
    Fault {
        /// Which, in words.
        reason: String,
        /// It came with a reload.
        reload: bool,
    },
    /// What forbade taking part is over.
    Recovered {
        /// What it was.
        was: String,
        /// It ended with a reload.
        reload: bool,
    },
    /// A person has ordered it to let a peer be master.
    StepDown {
        /// Who.
        by: String,
        /// By `maintenance`, for the whole director.
        maintenance: bool,
    },
    /// A person has ordered it to be master.
    TakeOver {
        /// Who.
        by: String,
        /// The master so far and its priority, where one was heard.
        over: Option<(IpAddr, u8)>,
        /// The priority that the order gives us.
        own: u8,
    },
    /// A person has given it back what its priority is enough for.
    Failback {
        /// Who.
        by: String,
        /// The master so far.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        own: u8,
    },
    /// The daemon stops, or the configuration has this instance no more.
    Stopped,
}

/// The last advert that a backup heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAdvert {
    /// From whom.
    pub source: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// How long ago.
    pub age: Duration,
}

/// A time to the millisecond.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// The own lateness, where it is worth a word: a stalled machine must not blame its peer.
struct Own(Duration);

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_millis(5) {
            return Ok(());
        }
        write!(f, "; this machine itself was {} late", Short(self.0))
    }
}

impl Cause {
    /// A stable name, for counters, events and programs: `master_down`. Of a sync group's promotion it is the member's own.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Owner => "owner",
            Self::Resumed => "resumed",
            Self::MasterDown { .. } => "master_down",
            Self::MasterResigned { .. } => "master_resigned",
            Self::Preempted { .. } => "preempted",
            Self::HigherPriority { .. } => "higher_priority",
            Self::HigherAddress { .. } => "higher_address",
            Self::WithGroup { own, .. } => own.name(),
            Self::GroupFollows { .. } => "group_follows",
            Self::ReplacedWhileAway { .. } => "replaced_while_away",
            Self::TimerExpired { .. } => "timer_expired",
            Self::Fault { .. } => "fault",
            Self::Recovered { .. } => "recovered",
            Self::StepDown { maintenance: false, .. } => "step_down",
            Self::StepDown { maintenance: true, .. } => "maintenance",
            Self::TakeOver { .. } => "take_over",
            Self::Failback { .. } => "failback",
            Self::Stopped => "stopped",
        }
    }

    /// The words tell the last advert already.
    pub fn names_an_advert(&self) -> bool {
        match self {
            Self::WithGroup { own, .. } => own.names_an_advert(),
            Self::MasterDown { last, .. } => last.is_some(),
            Self::MasterResigned { .. }
            | Self::Preempted { .. }
            | Self::HigherPriority { .. }
            | Self::HigherAddress { .. }
            | Self::ReplacedWhileAway { .. }
            | Self::Failback { .. } => true,
            Self::TakeOver { over, .. } => over.is_some(),
            Self::Started
            | Self::Owner
            | Self::Resumed
            | Self::GroupFollows { .. }
            | Self::TimerExpired { .. }
            | Self::Fault { .. }
            | Self::Recovered { .. }
            | Self::StepDown { .. }
            | Self::Stopped => false,
        }
    }

    /// The words tell how late this machine was.
    pub fn names_own_delay(&self) -> bool {
        match self {
            Self::WithGroup { own, .. } => own.names_own_delay(),
            Self::MasterDown { .. } | Self::ReplacedWhileAway { .. } | Self::TimerExpired { .. } => true,
            _ => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_reload = |reload: &bool| if *reload { " (after a reload)" } else { "" };
        match self {
            Self::Started => f.write_str("started, and listens for a master first"),
            Self::Resumed => {
                f.write_str("goes on as the master that it was a moment ago, before it was interrupted")
            }
            Self::Owner => f.write_str("started with priority 255, the owner of the addresses"),
            Self::MasterDown { waited, limit, last: None } => {
                let own = Own(waited.saturating_sub(*limit));
                write!(f, "no advert was heard for {} (limit {}){own}", Short(*waited), Short(*limit))
            }
            Self::MasterDown { waited, limit, last: Some(last) } => write!(
                f,
                "the master-down timer ran out after {} (limit {}): the last advert came from {} with priority \
                 {}, {} ago{}",
                Short(*waited),
                Short(*limit),
                last.source,
                last.priority,
                Short(last.age),
                Own(waited.saturating_sub(*limit))
            ),
            Self::MasterResigned { source, waited } => {
                write!(f, "the master {source} gave up with priority 0, {} ago", Short(*waited))
            }
            Self::Preempted { source, priority, own } => {
                write!(f, "preempted {source}: its priority {priority} is below ours, {own}")
            }
            Self::HigherPriority { source, priority, own } => {
                write!(f, "{source} advertises the higher priority {priority}, ours is {own}")
            }
            Self::HigherAddress { source, priority, own: Some(own) } => {
                write!(
                    f,
                    "{source} advertises the same priority {priority} from a higher address than ours, {own}"
                )
            }
            Self::HigherAddress { source, priority, own: None } => {
                write!(f, "{source} advertises the same priority {priority}, and we have no address")
            }
            Self::WithGroup { group, own } => write!(f, "with all of sync group {group}: {own}"),
            Self::GroupFollows { group, member } => {
                write!(f, "follows {member} of sync group {group}, which is not master any more")
            }
            Self::ReplacedWhileAway { late, source, priority } => write!(
                f,
                "this machine stood still for {} and {source} with priority {priority} is master now (nopreempt)",
                Short(*late)
            ),
            Self::TimerExpired { late, limit } => write!(
                f,
                "the own advert was {} late, which is {limit} intervals or more (timer_expired_backup)",
                Short(*late)
            ),
            Self::Fault { reason, reload } => write!(f, "{reason}{}", with_reload(reload)),
            Self::Recovered { was, reload } => write!(f, "over: {was}{}", with_reload(reload)),
            Self::StepDown { by, maintenance: false } => write!(f, "stepped down by {by}"),
            Self::StepDown { by, maintenance: true } => write!(f, "maintenance, ordered by {by}"),
            Self::TakeOver { by, over: None, own } => {
                write!(f, "ordered to take over by {by}, with priority {own}; no other master was heard")
            }
            Self::TakeOver { by, over: Some((source, priority)), own } => {
                write!(
                    f,
                    "ordered to take over by {by}, with priority {own}, from {source} with priority {priority}"
                )
            }
            Self::Failback { by, source, priority, own } => write!(
                f,
                "given back by {by}: {source} was master with priority {priority}, below ours, {own}"
            ),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}
