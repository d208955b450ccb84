//! The typed configuration: what a file says, as written. Both front ends (keepalived.conf and YAML) end
//! here, so the two forms of one configuration compare equal.
//!
//! Options are `None` where the file says nothing; the defaults of keepalived 2.2/2.4 are applied by the
//! accessor methods beside the fields, in one place, so that a file can be written back as it was read.
//! Named objects are lists with a `name` (not maps), so that a duplicate is visible to `resolve`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::units::Secs;

mod element;
mod server;

pub use element::{
    Block, Broadcast, Encap, Family, Fwmark, Insertion, IpEncap, Lifetime, Metric, Named, NewDestination,
    Nexthop, Realms, Route, RouteMetrics, RoutePreference, RouteType, Rule, RuleAction, Scope,
    VirtualAddress,
};
pub use server::{
    Connection, HttpGet, HttpProtocol, Method, MiscCheck, Pace, Protocol, RealServer, Scheduler, SorryServer,
    StatusRange, TcpCheck, Url, VirtualServer,
};

/// One whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `global_defs`: settings that the rest falls back to.
    #[serde(skip_serializing_if = "is_default")]
    pub global_defs: Global,
    /// `vrrp_script` blocks, in file order.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_script: Vec<VrrpScript>,
    /// `vrrp_instance` blocks, in file order.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_instance: Vec<Instance>,
    /// `virtual_server` blocks, in file order.
    #[serde(skip_serializing_if = "is_default")]
    pub virtual_server: Vec<VirtualServer>,
}

/// `global_defs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Global {
    /// Name of this director in mails. Default: the host name. Not part of any packet.
    #[serde(skip_serializing_if = "is_default")]
    pub router_id: Option<String>,
    /// Recipients of alerts.
    #[serde(skip_serializing_if = "is_default")]
    pub notification_email: Vec<String>,
    /// Sender of alerts.
    #[serde(skip_serializing_if = "is_default")]
    pub notification_email_from: Option<String>,
    /// Mail relay, `HOST [PORT]`.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_server: Option<SmtpServer>,
    /// Name said in HELO.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_helo_name: Option<String>,
    /// Time to connect to the relay; default 30 s.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_connect_timeout: Option<Secs>,
    /// Default of every `smtp_alert`.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_alert: Option<bool>,
    /// Default of `smtp_alert` in VRRP objects.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_alert_vrrp: Option<bool>,
    /// Default of `smtp_alert` in real and virtual servers.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_alert_checker: Option<bool>,
    /// User that scripts run as. Default: `keepalived_script` if that user exists, else the daemon's own.
    #[serde(skip_serializing_if = "is_default")]
    pub script_user: Option<ScriptUser>,
    /// Refuse scripts that run as root and can be changed by others.
    #[serde(skip_serializing_if = "is_default")]
    pub enable_script_security: bool,
    /// Log every failed check, not only the transition.
    #[serde(skip_serializing_if = "is_default")]
    pub checker_log_all_failures: Option<bool>,
    /// Device of addresses that name none; default `eth0`.
    #[serde(skip_serializing_if = "is_default")]
    pub default_interface: Option<String>,
    /// Default VRRP version of IPv4 instances; 2 when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_version: Option<VrrpVersion>,
    /// Multicast group of IPv4 adverts; default 224.0.0.18.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_mcast_group4: Option<Ipv4Addr>,
    /// Strict RFC behaviour; `resolve` explains what it costs. Accepted, not acted on yet.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_strict: Option<bool>,
    /// Skip the comparison of address lists for repeated adverts of one master. Accepted: Tandem never drops
    /// an advert for its address list.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_skip_check_adv_addr: Option<bool>,
    /// Drop unicast adverts whose sender is no configured peer.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_check_unicast_src: bool,
    /// `vrrp_garp_master_delay`: seconds to the second burst; default 5, 0 = no second burst.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_master_delay: Option<Secs>,
    /// `vrrp_garp_master_repeat`: packets a burst; default 5, at least 1.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_master_repeat: Option<u32>,
    /// `vrrp_garp_master_refresh`: period of announcements while master; default 0 = off.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_master_refresh: Option<Secs>,
    /// `vrrp_garp_master_refresh_repeat`: packets each period; default 1.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_master_refresh_repeat: Option<u32>,
    /// `vrrp_garp_lower_prio_delay`: second burst after a lower-priority advert; default master_delay.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_lower_prio_delay: Option<Secs>,
    /// `vrrp_garp_lower_prio_repeat`: packets of that burst; default master_repeat.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_lower_prio_repeat: Option<u32>,
    /// `vrrp_garp_interval`: least time between two gratuitous ARPs on one interface.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_garp_interval: Option<Secs>,
    /// `vrrp_gna_interval`: the same for neighbour advertisements.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_gna_interval: Option<Secs>,
    /// `vrrp_down_timer_adverts`: intervals in the master-down timer, 1..=100; default 3.
    #[serde(skip_serializing_if = "is_default")]
    pub vrrp_down_timer_adverts: Option<u8>,
}

/// `smtp_server HOST [PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpServer {
    /// Address or name.
    pub host: String,
    /// Port; 25 when the file names none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
}

/// `USER [GROUP]` of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptUser {
    /// User name.
    pub user: String,
    /// Group name; the user's own group when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: Option<String>,
}

/// A user's program: its words, never run through a shell, and whom to run it as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments, already split (quotes and escapes resolved). Never empty.
    pub argv: Vec<String>,
    /// User named beside the command; else `script_user`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub user: Option<ScriptUser>,
}

/// VRRP protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum VrrpVersion {
    /// RFC 3768.
    V2,
    /// RFC 9568 (and RFC 5798).
    V3,
}

impl TryFrom<u8> for VrrpVersion {
    type Error = String;
    fn try_from(n: u8) -> Result<Self, String> {
        match n {
            2 => Ok(Self::V2),
            3 => Ok(Self::V3),
            other => Err(format!("VRRP version {other} does not exist: write 2 or 3")),
        }
    }
}

impl From<VrrpVersion> for u8 {
    fn from(v: VrrpVersion) -> Self {
        match v {
            VrrpVersion::V2 => 2,
            VrrpVersion::V3 => 3,
        }
    }
}

/// `vrrp_script NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VrrpScript {
    /// The name that `track_script` uses.
    pub name: String,
    /// What to run; exit 0 is success.
    pub script: Command,
    /// Time between starts; default 1 s.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interval: Option<Secs>,
    /// Longest run; default: the interval. Over it the script is ended and counts as failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout: Option<Secs>,
    /// −253..=253; 0 (default) = FAULT while it fails, >0 added while it succeeds, <0 added while it fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Option<i16>,
    /// Swap the sense of the weight.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reverse: bool,
    /// Consecutive successes to be up; default 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rise: Option<u32>,
    /// Consecutive failures to be down; default 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fall: Option<u32>,
    /// Failed until the first result.
    #[serde(default, skip_serializing_if = "is_default")]
    pub init_fail: bool,
}

/// `state MASTER|BACKUP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InitialState {
    /// Wished master.
    Master,
    /// Starts as backup.
    Backup,
}

/// A secret whose text never reaches a log or a dump: `Debug` masks it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XXXXXX")
    }
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuthType {
    /// Eight plain bytes in a version 2 advert (RFC 2338 section 10.2).
    Pass,
    /// IPsec AH, HMAC-MD5 (RFC 2338 section 10.3). Accepted, not acted on yet.
    Ah,
}

/// `authentication { auth_type …; auth_pass … }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// Which kind.
    pub auth_type: AuthType,
    /// The password as written; the first 8 bytes go into the packet.
    pub auth_pass: Secret,
}

/// One element of `unicast_peer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnicastPeer {
    /// The peer's address.
    pub address: IpAddr,
    /// Least TTL that its adverts may arrive with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_ttl: Option<u8>,
    /// Greatest TTL.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_ttl: Option<u8>,
}

/// One element of `track_script` or `track_interface`: `NAME [weight N [reverse|noreverse]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Name of the script or interface.
    pub name: String,
    /// Overrides the script's weight; interface default 0 (= FAULT when down). −253..=253.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Option<i16>,
    /// Overrides the sense.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reverse: Option<bool>,
}

/// `vrrp_instance NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The name that scripts and logs get.
    pub name: String,
    /// `state`, a wish; MASTER iff priority 255 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: Option<InitialState>,
    /// Interface that adverts leave and arrive by.
    pub interface: String,
    /// 1..=255, unique on its interface and family.
    pub virtual_router_id: u8,
    /// 1..=255; default 100, or 255 with `state MASTER` and no priority.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Option<u8>,
    /// Time between adverts; default 1 s. Version 2: whole seconds; version 3: 10 ms steps up to 40.95 s.
    #[serde(default, skip_serializing_if = "is_default")]
    pub advert_int: Option<Secs>,
    /// Protocol version; the global default when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: Option<VrrpVersion>,
    /// Version 2 only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authentication: Option<Authentication>,
    /// Advertised addresses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub virtual_ipaddress: Vec<VirtualAddress>,
    /// Addresses that move too, but are not advertised; may be of the other family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub virtual_ipaddress_excluded: Vec<VirtualAddress>,
    /// Source of adverts (`mcast_src_ip` / `unicast_src_ip` are one setting in keepalived).
    #[serde(default, skip_serializing_if = "is_default")]
    pub mcast_src_ip: Option<IpAddr>,
    /// Source of unicast adverts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unicast_src_ip: Option<IpAddr>,
    /// Peers; none = multicast.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unicast_peer: Vec<UnicastPeer>,
    /// Drop unicast adverts of strangers; the global default when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub check_unicast_src: Option<bool>,
    /// Scripts that decide on the priority.
    #[serde(default, skip_serializing_if = "is_default")]
    pub track_script: Vec<Track>,
    /// Interfaces that decide on the priority.
    #[serde(default, skip_serializing_if = "is_default")]
    pub track_interface: Vec<Track>,
    /// Faults of the own interface are ignored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dont_track_primary: bool,
    /// Do not take over from a living master of lower priority. Needs `state BACKUP`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nopreempt: bool,
    /// 0..=1000 s before a preemption.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preempt_delay: Option<Secs>,
    /// As the global `vrrp_garp_master_delay`, here and below.
    #[serde(default, skip_serializing_if = "is_default")]
    pub garp_master_delay: Option<Secs>,
    /// Packets a burst.
    #[serde(default, skip_serializing_if = "is_default")]
    pub garp_master_repeat: Option<u32>,
    /// Period of announcements while master.
    #[serde(default, skip_serializing_if = "is_default")]
    pub garp_master_refresh: Option<Secs>,
    /// Packets each period.
    #[serde(default, skip_serializing_if = "is_default")]
    pub garp_master_refresh_repeat: Option<u32>,
    /// Second burst after a lower-priority advert.
    #[serde(default, skip_serializing_if = "is_default")]
    pub garp_lower_prio_delay: Option<Secs>,
    /// Packets of that burst.
    #[serde(default, skip_serializing_if = "is_default")]
    pub garp_lower_prio_repeat: Option<u32>,
    /// 1..=100 intervals in the master-down timer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub down_timer_adverts: Option<u8>,
    /// Run on MASTER.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_master: Option<Command>,
    /// Run on BACKUP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_backup: Option<Command>,
    /// Run on FAULT.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_fault: Option<Command>,
    /// Run when the daemon stops.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_stop: Option<Command>,
    /// Run when a reload removes the instance.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_deleted: Option<Command>,
    /// Run when a master hears a lower-priority master.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_master_rx_lower_pri: Option<Command>,
    /// Run on each of these, with `INSTANCE name STATE priority` appended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify: Option<Command>,
    /// Mail on transitions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub smtp_alert: Option<bool>,
}

/// True when a field says nothing, so that it is left out of the written form.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
