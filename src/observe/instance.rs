//! One VRRP instance as dumps show it. Pure.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A state, by keepalived's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// 0.
    #[default]
    Init,
    /// 1.
    Backup,
    /// 2.
    Master,
    /// 3.
    Fault,
}

impl State {
    /// Its number in the JSON dump.
    pub const fn number(self) -> u8 {
        match self {
            Self::Init => 0,
            Self::Backup => 1,
            Self::Master => 2,
            Self::Fault => 3,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        })
    }
}

/// The counters of keepalived's statistics; all are 0 at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "keepalived's own labels, see the renderer")]
pub struct Counters {
    pub received: u64,
    pub sent: u64,
    pub became_master: u64,
    pub released_master: u64,
    pub length: u64,
    pub ttl: u64,
    pub invalid_type: u64,
    pub interval: u64,
    pub address_list: u64,
    pub invalid_auth_type: u64,
    pub auth_type_mismatch: u64,
    pub auth_failure: u64,
    pub zero_received: u64,
    pub zero_sent: u64,
    /// Those of `auth_hmac`, where the instance has it: `Missing`, `Malformed`, `Unknown Key`, `Invalid HMAC`, `Stale`,
    /// `Replay`.
    pub extension: Option<[u64; 6]>,
}

/// When gratuitous announcements go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Garp {
    /// Seconds until the second burst.
    pub delay: u64,
    /// Packets of a burst.
    pub repeat: u32,
    /// Seconds between refreshes; 0 = none.
    pub refresh: u64,
    /// Packets of a refresh.
    pub refresh_repeat: u32,
    /// Seconds until the second burst after a lower priority was heard.
    pub lower_delay: u64,
    /// Packets of it.
    pub lower_repeat: u32,
}

/// The master that a backup hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
}

/// Something that an instance tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Its name.
    pub name: String,
    /// Its weight in this instance.
    pub weight: i16,
    /// The sense is turned round.
    pub reverse: bool,
    /// The command of a script, as keepalived quotes it; empty for everything else.
    pub command: String,
}

/// Where adverts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A group.
    Multicast {
        /// Its address.
        group: IpAddr,
        /// Index of the interface, told for IPv6.
        index: Option<u32>,
    },
    /// Each peer.
    Unicast {
        /// TTL of what is sent.
        ttl: u8,
        /// Strangers are refused.
        check_source: bool,
        /// The peers: address, least and greatest TTL.
        peers: Vec<(IpAddr, u8, u8)>,
    },
}

/// A command that is run when the state changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// When: `Master state transition`, `Generic state transition` and so on.
    pub label: &'static str,
    /// Its key in the JSON dump.
    pub key: &'static str,
    /// The command, quoted word by word.
    pub command: String,
}

/// What stands in the place of a password.
pub const MASKED: &str = "XXXXXX";

/// The proof that adverts bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// None. The one of an instance that has no such field in its adverts.
    #[default]
    None,
    /// `auth_type PASS`: 1.
    Pass,
    /// `auth_type AH`: 2.
    Ah,
}

/// One instance.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a line of its own")]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// Its sync group.
    pub group: Option<String>,
    /// Its adverts are IPv6.
    pub ipv6: bool,
    /// Its state.
    pub state: State,
    /// The state that it would have, but for its group and its trackers.
    pub wanted: State,
    /// Who is master, where somebody else is heard.
    pub master: Option<Master>,
    /// What forbids it to take part, in words.
    pub fault: Option<String>,
    /// Trackers that put it into FAULT now.
    pub faults: usize,
    /// Trackers that have no first result yet.
    pub pending: usize,
    /// The last transition, since 1970.
    pub last_transition: Option<Duration>,
    /// Why it happened.
    pub cause: Option<String>,
    /// When its timer runs out, since 1970.
    pub timer: Option<Duration>,
    /// The master-down interval.
    pub down_interval: Duration,
    /// Interface of its virtual router's own hardware address.
    pub vmac: Option<String>,
    /// The interface that the file names.
    pub interface: String,
    /// Source of its adverts.
    pub source: Option<IpAddr>,
    /// The file names that source.
    pub source_configured: bool,
    /// Where its adverts go.
    pub destination: Destination,
    /// Announcements.
    pub garp: Garp,
    /// Intervals in the master-down timer.
    pub down_timer_adverts: u8,
    /// A lower priority is not answered.
    pub lower_prio_no_advert: bool,
    /// One last advert behind a higher priority.
    pub higher_prio_send_advert: bool,
    /// VRID.
    pub vrid: u8,
    /// Configured priority.
    pub base_priority: u8,
    /// Effective priority.
    pub priority: u8,
    /// Time between adverts.
    pub interval: Duration,
    /// The master's.
    pub master_interval: Duration,
    /// Virtual addresses answer here.
    pub accept: bool,
    /// Takes over from a lower master.
    pub preempt: bool,
    /// Time before it does.
    pub preempt_delay: Duration,
    /// `promote_secondaries`.
    pub promote_secondaries: bool,
    /// `strict_mode`.
    pub strict: bool,
    /// `dont_track_primary`.
    pub dont_track_primary: bool,
    /// `skip_check_adv_addr`.
    pub skip_check_adv_addr: bool,
    /// Authentication.
    pub auth: Auth,
    /// Addresses, one text each, and whether they are there.
    pub vips: Vec<String>,
    /// Those that are not advertised.
    pub evips: Vec<String>,
    /// The addresses are in place.
    pub vips_set: bool,
    /// Routes.
    pub routes: Vec<String>,
    /// Rules.
    pub rules: Vec<String>,
    /// Interfaces that it tracks.
    pub track_interface: Vec<Tracked>,
    /// Scripts.
    pub track_script: Vec<Tracked>,
    /// Files.
    pub track_file: Vec<Tracked>,
    /// Processes.
    pub track_process: Vec<Tracked>,
    /// BFD sessions.
    pub track_bfd: Vec<Tracked>,
    /// Mail is sent.
    pub smtp_alert: bool,
    /// `notify_deleted` is told as such and not as FAULT.
    pub notify_deleted: bool,
    /// `notify_priority_changes`.
    pub notify_priority_changes: bool,
    /// Commands.
    pub notify: Vec<Notify>,
    /// What it has counted.
    pub counters: Counters,
}
