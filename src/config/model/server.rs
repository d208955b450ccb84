//! Virtual servers, real servers and their checkers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Command, is_default};
use crate::config::units::Secs;

/// `lb_algo` / `lvs_sched`: the kernel's schedulers, by the names that `ipvsadm -s` uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// `lb_kind` / `lvs_method`: the forwarding method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "names of IP protocols")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// `virtual_server IP [PORT] { … }` or `virtual_server fwmark N { … }`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VirtualServer {
    /// Service address; absent with a firewall mark.
    #[serde(skip_serializing_if = "is_default")]
    pub address: Option<IpAddr>,
    /// Service port; absent or 0 = any port (needs persistence).
    #[serde(skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// Firewall mark; excludes `address`.
    #[serde(skip_serializing_if = "is_default")]
    pub fwmark: Option<u32>,
    /// Time between checks; default 60 s.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_loop: Option<Secs>,
    /// Scheduler; default wlc.
    #[serde(skip_serializing_if = "is_default")]
    pub lb_algo: Option<Scheduler>,
    /// Forwarding method; default NAT.
    #[serde(skip_serializing_if = "is_default")]
    pub lb_kind: Option<Method>,
    /// IP protocol; UDP when absent (keepalived's rule, and a warning).
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: Option<Protocol>,
    /// Seconds that a client stays with its server; absent = no persistence.
    #[serde(skip_serializing_if = "is_default")]
    pub persistence_timeout: Option<u32>,
    /// Prefix length that clients are grouped by; default 32 or 128.
    #[serde(skip_serializing_if = "is_default")]
    pub persistence_granularity: Option<u8>,
    /// One-packet scheduling (UDP, fwmark).
    #[serde(skip_serializing_if = "is_default")]
    pub ops: bool,
    /// Default `alpha` of the real servers: out until the first success.
    #[serde(skip_serializing_if = "is_default")]
    pub alpha: bool,
    /// Run the down scripts at stop.
    #[serde(skip_serializing_if = "is_default")]
    pub omega: bool,
    /// Least sum of weights to be up; default 1.
    #[serde(skip_serializing_if = "is_default")]
    pub quorum: Option<u32>,
    /// Band around the quorum; default 0.
    #[serde(skip_serializing_if = "is_default")]
    pub hysteresis: Option<u32>,
    /// Run when the quorum is gained.
    #[serde(skip_serializing_if = "is_default")]
    pub quorum_up: Option<Command>,
    /// Run when the quorum is lost.
    #[serde(skip_serializing_if = "is_default")]
    pub quorum_down: Option<Command>,
    /// Default of the real servers: weight 0 rather than removal.
    #[serde(skip_serializing_if = "is_default")]
    pub inhibit_on_failure: bool,
    /// Default weight of the real servers; 1 when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub weight: Option<u16>,
    /// Default `retry` of the checkers.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Option<u32>,
    /// Default `delay_before_retry` of the checkers.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_before_retry: Option<Secs>,
    /// Default `warmup` of the checkers: random start offset.
    #[serde(skip_serializing_if = "is_default")]
    pub warmup: Option<Secs>,
    /// Default `connect_timeout` of the checkers.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout: Option<Secs>,
    /// Default Host header.
    #[serde(skip_serializing_if = "is_default")]
    pub virtualhost: Option<String>,
    /// Mail when the quorum changes.
    #[serde(skip_serializing_if = "is_default")]
    pub smtp_alert: Option<bool>,
    /// Takes the traffic while the quorum is lost.
    #[serde(skip_serializing_if = "is_default")]
    pub sorry_server: Option<SorryServer>,
    /// Keep the sorry server in the table with weight 0 while it is not in use.
    #[serde(skip_serializing_if = "is_default")]
    pub sorry_server_inhibit: bool,
    /// Forwarding method of the sorry server; the service's when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub sorry_server_lvs_method: Option<Method>,
    /// The farm.
    #[serde(skip_serializing_if = "is_default")]
    pub real_server: Vec<RealServer>,
}

/// `sorry_server IP [PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SorryServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; the service's when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
}

/// `real_server IP [PORT] { … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; absent or 0 = the service's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// 0..=65535; the virtual server's when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Option<u16>,
    /// Forwarding method; the service's when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lvs_method: Option<Method>,
    /// Weight 0 rather than removal.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inhibit_on_failure: Option<bool>,
    /// Out until the first success.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alpha: Option<bool>,
    /// Run when it comes back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_up: Option<Command>,
    /// Run when it is taken out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify_down: Option<Command>,
    /// IPVS upper connection threshold; 0 = none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uthreshold: Option<u32>,
    /// IPVS lower connection threshold.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lthreshold: Option<u32>,
    /// Time between checks; the virtual server's when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delay_loop: Option<Secs>,
    /// Default `retry` of its checkers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Option<u32>,
    /// Default `delay_before_retry` of its checkers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delay_before_retry: Option<Secs>,
    /// Default `warmup` of its checkers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub warmup: Option<Secs>,
    /// Default `connect_timeout` of its checkers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connect_timeout: Option<Secs>,
    /// Host header.
    #[serde(default, skip_serializing_if = "is_default")]
    pub virtualhost: Option<String>,
    /// Mail when it goes or comes; on by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub smtp_alert: Option<bool>,
    /// `TCP_CHECK` blocks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tcp_check: Vec<TcpCheck>,
    /// `HTTP_GET` blocks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub http_get: Vec<HttpGet>,
    /// `MISC_CHECK` blocks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub misc_check: Vec<MiscCheck>,
}

/// Where a check connects to, from where, and how often: the keywords that TCP_CHECK and HTTP_GET share.
/// `None` falls back to the real server, then the virtual server, then the checker's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connection {
    /// Target; default the real server.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_ip: Option<IpAddr>,
    /// Target port; default the real server's.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_port: Option<u16>,
    /// Source address.
    #[serde(skip_serializing_if = "is_default")]
    pub bindto: Option<IpAddr>,
    /// Source interface.
    #[serde(skip_serializing_if = "is_default")]
    pub bind_if: Option<String>,
    /// Time for the whole connection; default 5 s.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout: Option<Secs>,
}

/// How often a check runs and how many failures count: shared by all checkers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Time between checks.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_loop: Option<Secs>,
    /// Extra tries before a failure counts. Default 1 (TCP, HTTP), 0 (MISC).
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Option<u32>,
    /// Time between those tries. Default 1 s (TCP, MISC), 3 s (HTTP).
    #[serde(skip_serializing_if = "is_default")]
    pub delay_before_retry: Option<Secs>,
    /// Random start offset; default delay_loop.
    #[serde(skip_serializing_if = "is_default")]
    pub warmup: Option<Secs>,
    /// Out until the first success.
    #[serde(skip_serializing_if = "is_default")]
    pub alpha: Option<bool>,
    /// Log every failure.
    #[serde(skip_serializing_if = "is_default")]
    pub log_all_failures: Option<bool>,
}

/// `TCP_CHECK`: success when the connection completes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpCheck {
    /// Target and source.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// Timing.
    #[serde(skip_serializing_if = "is_default")]
    pub pace: Pace,
}

/// `http_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpProtocol {
    /// HTTP/1.0, the default.
    #[serde(rename = "1.0")]
    V1_0,
    /// HTTP/1.0 with `Connection: close`.
    #[serde(rename = "1.0C")]
    V1_0Close,
    /// HTTP/1.1 with `Connection: close`.
    #[serde(rename = "1.1")]
    V1_1,
}

/// `HTTP_GET`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpGet {
    /// Target and source.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// Timing.
    #[serde(skip_serializing_if = "is_default")]
    pub pace: Pace,
    /// Pages to ask for; all must be right. Never empty after `resolve`.
    #[serde(skip_serializing_if = "is_default")]
    pub url: Vec<Url>,
    /// Host header; else the real server's, the virtual server's, address:port.
    #[serde(skip_serializing_if = "is_default")]
    pub virtualhost: Option<String>,
    /// HTTP version.
    #[serde(skip_serializing_if = "is_default")]
    pub http_protocol: Option<HttpProtocol>,
    /// Several urls back to back rather than one a loop, at start and while coming back.
    #[serde(skip_serializing_if = "is_default")]
    pub fast_recovery: bool,
}

/// `url { … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Url {
    /// Path with query, as sent.
    pub path: String,
    /// MD5 of the body, 32 hexadecimal digits, lower case.
    #[serde(default, skip_serializing_if = "is_default")]
    pub digest: Option<String>,
    /// Accepted codes as inclusive ranges within 100..=599; empty = 200..=299.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status_code: Vec<StatusRange>,
    /// Host header of this url.
    #[serde(default, skip_serializing_if = "is_default")]
    pub virtualhost: Option<String>,
}

/// Inclusive range of HTTP status codes; in YAML `200` or `"301-303"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// First.
    pub from: u16,
    /// Last.
    pub to: u16,
}

/// `MISC_CHECK`: a program; exit 0 is success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiscCheck {
    /// What to run.
    pub misc_path: Command,
    /// Longest run; default delay_loop.
    #[serde(default, skip_serializing_if = "is_default")]
    pub misc_timeout: Option<Secs>,
    /// Exit 2..=255 means success with weight (code − 2).
    #[serde(default, skip_serializing_if = "is_default")]
    pub misc_dynamic: bool,
    /// Timing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pace: Pace,
}
