//! Virtual servers, groups of them, and real servers.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::FlapDamping;
use super::object::object;
use super::{Command, RealServer, is_default};
use crate::config::units::Secs;

/// `lb_algo` / `lvs_sched`: the kernel's schedulers, by the names that `ipvsadm -s` uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum Scheduler {
    Rr,
    Wrr,
    Lc,
    Wlc,
    Lblc,
    Lblcr,
    Sh,
    Mh,
    Dh,
    Fo,
    Ovf,
    Sed,
    Nq,
    Twos,
}

/// `tier_mode`: what the next tier does when one has too little weight. Beyond keepalived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierMode {
    /// It serves in its place.
    TakeOver,
    /// It serves beside it.
    Join,
}

/// `lb_kind` / `lvs_method`: the forwarding method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Masquerading.
    Nat,
    /// Direct routing.
    Dr,
    /// IP-in-IP tunnel.
    Tun,
}

/// `protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "names of IP protocols")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// Tunnel of forwarding method TUN: `type ipip|gre|gue port N` and `nocsum|csum|remcsum`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// `type`; ipip when the file says nothing.
    #[serde(rename = "type")]
    pub kind: TunnelKind,
    /// UDP port of gue.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// Checksums of gue and gre.
    #[serde(default, skip_serializing_if = "is_default")]
    pub checksum: Option<TunnelChecksum>,
}

/// Kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum TunnelKind {
    Ipip,
    Gre,
    Gue,
}

/// Checksums of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum TunnelChecksum {
    Nocsum,
    Csum,
    Remcsum,
}

/// Address family of a firewall mark's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// One entry of a `virtual_server_group`: an address, a range, a subnet, or a firewall mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// First or only address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub address: Option<IpAddr>,
    /// Last address of a range.
    #[serde(default, skip_serializing_if = "is_default")]
    pub to: Option<IpAddr>,
    /// Prefix length of a subnet whose addresses are all meant.
    #[serde(default, skip_serializing_if = "is_default")]
    pub length: Option<u8>,
    /// Port; absent or 0 = any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// Firewall mark; excludes the addresses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fwmark: Option<u32>,
    /// Family of the firewall mark.
    #[serde(default, skip_serializing_if = "is_default")]
    pub family: Option<IpFamily>,
}

object! {
    /// `virtual_server_group NAME`: services that share one farm.
    VirtualServerGroup {
        /// The name that `virtual_server group NAME` uses.
        name: String,
        ;
        /// Its services.
        entries: Vec<GroupEntry>,
    }
}

object! {
    /// `virtual_server IP [PORT] { … }`, `virtual_server fwmark N { … }` or `virtual_server group NAME { … }`.
    #[derive(Default)]
    #[serde(default)]
    VirtualServer {
        ;
        /// Service address; absent with a firewall mark or a group.
        address: Option<IpAddr>,
        /// Service port; absent or 0 = any port (needs persistence).
        port: Option<u16>,
        /// Firewall mark; excludes `address`.
        fwmark: Option<u32>,
        /// Name of a `virtual_server_group`; excludes both.
        group: Option<String>,
        /// Family of a firewall mark; that of the real servers when absent.
        ip_family: Option<IpFamily>,
        /// Time between checks; default 60 s.
        delay_loop: Option<Secs>,
        /// Scheduler; default wlc.
        #[serde(alias = "lvs_sched")]
        lb_algo: Option<Scheduler>,
        /// `flag-1` of the scheduler; `sh-fallback`, `mh-fallback`.
        flag_1: bool,
        /// `flag-2` of the scheduler; `sh-port`, `mh-port`.
        flag_2: bool,
        /// `flag-3` of the scheduler.
        flag_3: bool,
        /// Forwarding method; default NAT.
        #[serde(alias = "lvs_method")]
        lb_kind: Option<Method>,
        /// Its tunnel, with TUN.
        tunnel: Option<Tunnel>,
        /// IP protocol; UDP when absent (keepalived's rule, and a warning).
        protocol: Option<Protocol>,
        /// Persistence engine, `sip`.
        persistence_engine: Option<String>,
        /// Seconds that a client stays with its server, 1 s to 31 days; absent = no persistence.
        persistence_timeout: Option<u32>,
        /// Prefix length that clients are grouped by; default 32 or 128.
        persistence_granularity: Option<u8>,
        /// One-packet scheduling (UDP, fwmark).
        ops: bool,
        /// Check only while the service address is on this director.
        ha_suspend: bool,
        /// Instance while whose mastership its services are whole here; else they have only the real servers that are this
        /// machine, and without any they are not there.
        active_on: Option<String>,
        /// Default `alpha` of the real servers: out until the first success.
        alpha: bool,
        /// Run the down scripts at stop.
        omega: bool,
        /// Least sum of weights to be up; default 1.
        quorum: Option<u32>,
        /// Band around the quorum; default 0.
        hysteresis: Option<u32>,
        /// Run when the quorum is gained.
        quorum_up: Option<Command>,
        /// Run when the quorum is lost.
        quorum_down: Option<Command>,
        /// Default of the real servers: weight 0 rather than removal.
        inhibit_on_failure: bool,
        /// Default weight of the real servers, 1..=65535; 1 when absent.
        weight: Option<u16>,
        /// Default `retry` of the checkers.
        retry: Option<u32>,
        /// Default `delay_before_retry` of the checkers.
        delay_before_retry: Option<Secs>,
        /// Default `fall` of the checkers. Beyond keepalived.
        fall: Option<u32>,
        /// Default `rise` of the checkers. Beyond keepalived.
        rise: Option<u32>,
        /// Default `fast_interval` of the checkers. Beyond keepalived.
        fast_interval: Option<Secs>,
        /// Default `timeout_retry` of the checkers. Beyond keepalived.
        timeout_retry: Option<u32>,
        /// Default `share` of the checkers. Beyond keepalived.
        share: Option<bool>,
        /// Default `slow_start` of the real servers. Beyond keepalived.
        slow_start: Option<Secs>,
        /// Default `flap_damping` of the real servers. Beyond keepalived.
        flap_damping: Option<FlapDamping>,
        /// Default `warmup` of the checkers: random start offset.
        warmup: Option<Secs>,
        /// Default `connect_timeout` of the checkers.
        connect_timeout: Option<Secs>,
        /// Default Host header.
        virtualhost: Option<String>,
        /// Mail when the quorum changes.
        smtp_alert: Option<bool>,
        /// Name in SNMP.
        snmp_name: Option<String>,
        /// Takes the traffic while the quorum is lost.
        sorry_server: Option<SorryServer>,
        /// Keep the sorry server in the table with weight 0 while it is not in use.
        sorry_server_inhibit: bool,
        /// Forwarding method of the sorry server; the service's when absent.
        sorry_server_lvs_method: Option<Method>,
        /// Its tunnel, with TUN.
        sorry_server_tunnel: Option<Tunnel>,
        /// A tier serves while this percentage of its configured weight is up; 0 (any weight) when absent. Beyond
        /// keepalived.
        tier_min_weight: Option<u8>,
        /// A tier that had too little serves again from this many percent more on; 10 when absent. Beyond keepalived.
        tier_hysteresis: Option<u8>,
        /// What the next tier does; `take_over` when absent. Beyond keepalived.
        tier_mode: Option<TierMode>,
        /// A real server that a reload takes away keeps weight 0 until its connections are over. Beyond keepalived.
        drain_on_removal: bool,
        /// For so long at most; 300 s when absent. Beyond keepalived.
        drain_timeout: Option<Secs>,
        /// The farm.
        real_server: Vec<RealServer>,
        /// Not of the file: the mark that stands for the addresses of its group (`nftables_ipvs`), handed out by
        /// [`crate::config::fwmarks`].
        #[serde(skip)]
        auto_fwmark: Option<u32>,
    }
}

/// `sorry_server IP [PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SorryServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; the service's when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
}
