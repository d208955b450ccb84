//! Checkers of real servers.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::object;
use super::{CertificateRules, Command, ExpectJson, SendProxy, is_default};
use crate::config::units::Secs;

/// Where a check connects to, from where, and how often: the keywords that most checkers share.
/// `None` falls back to the real server, then the virtual server, then the checker's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Source port.
    #[serde(skip_serializing_if = "is_default")]
    pub bind_port: Option<u16>,
    /// Firewall mark of the check's packets.
    #[serde(skip_serializing_if = "is_default")]
    pub fwmark: Option<u32>,
    /// Time for the whole connection; default 5 s.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout: Option<Secs>,
}

/// How often a check runs and how many failures count: shared by all checkers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Time between checks.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_loop: Option<Secs>,
    /// Extra tries before a failure counts. Default 1 (DNS 3, MISC 0).
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Option<u32>,
    /// Time between those tries. Default 1 s (HTTP, SSL 3 s; DNS delay_loop).
    #[serde(skip_serializing_if = "is_default")]
    pub delay_before_retry: Option<Secs>,
    /// Failures in a row that take it down, `retry` + 1 in other words. Beyond keepalived.
    #[serde(skip_serializing_if = "is_default")]
    pub fall: Option<u32>,
    /// Successes in a row that bring it back. Default 1. Beyond keepalived.
    #[serde(skip_serializing_if = "is_default")]
    pub rise: Option<u32>,
    /// Time between checks while failing or coming back. Beyond keepalived.
    #[serde(skip_serializing_if = "is_default")]
    pub fast_interval: Option<Secs>,
    /// Extra tries before a timeout counts; default: timeouts are failures like others. Beyond keepalived.
    #[serde(skip_serializing_if = "is_default")]
    pub timeout_retry: Option<u32>,
    /// Random start offset; default delay_loop.
    #[serde(skip_serializing_if = "is_default")]
    pub warmup: Option<Secs>,
    /// Out until the first success.
    #[serde(skip_serializing_if = "is_default")]
    pub alpha: Option<bool>,
    /// Log every failure.
    #[serde(skip_serializing_if = "is_default")]
    pub log_all_failures: Option<bool>,
    /// Equal checks of several virtual servers run once and count for all of them; on when absent. Beyond keepalived.
    #[serde(skip_serializing_if = "is_default")]
    pub share: Option<bool>,
}

/// `flap_damping FLIPS SECONDS [HOLD]`: what goes and comes too often is held down. Beyond keepalived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlapDamping {
    /// So many flips (a going or a coming is one), 2..=1000 ...
    pub flips: u32,
    /// ... within this time hold it down.
    pub within: Secs,
    /// For so long the first time, twice as long each further time (32 times at most); default 60 s.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hold: Option<Secs>,
}

object! {
    /// `TCP_CHECK`: success when the connection completes.
    #[derive(Default)]
    #[serde(default)]
    TcpCheck {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
        /// A PROXY header first. Beyond keepalived.
        send_proxy: Option<SendProxy>,
    }
}

object! {
    /// `PING_CHECK`: success when an ICMP echo is answered.
    #[derive(Default)]
    #[serde(default)]
    PingCheck {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
    }
}

/// `http_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

object! {
    /// `HTTP_GET` and `SSL_GET`.
    #[derive(Default)]
    #[serde(default)]
    HttpGet {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
        /// Pages to ask for; all must be right. Never empty after `resolve`.
        url: Vec<Url>,
        /// Host header; else the real server's, the virtual server's, address:port.
        virtualhost: Option<String>,
        /// HTTP version.
        http_protocol: Option<HttpProtocol>,
        /// Several urls back to back rather than one a loop, at start and while coming back.
        fast_recovery: bool,
        /// SSL_GET: send the virtual host as server name.
        enable_sni: bool,
        /// SSL_GET: server name; default the virtual host.
        sni_name: Option<String>,
        /// SSL_GET: a missing close-notify is a failure.
        tls_compliant: bool,
        /// SSL_GET: what is asked of the certificate. Beyond keepalived.
        server_certificate: CertificateRules,
        /// A PROXY header first. Beyond keepalived.
        send_proxy: Option<SendProxy>,
    }
}

object! {
    /// `url { … }`.
    Url {
        /// Path with query, as sent.
        path: String,
        ;
        /// MD5 of the body, 32 hexadecimal digits, lower case.
        digest: Option<String>,
        /// Accepted codes as inclusive ranges within 100..=599; empty = 200..=299.
        status_code: Vec<StatusRange>,
        /// Host header of this url.
        virtualhost: Option<String>,
        /// The body must match (PCRE2).
        regex: Option<String>,
        /// The body must not match.
        regex_no_match: bool,
        /// Options of PCRE2, by name.
        regex_options: Vec<String>,
        /// The match must begin at this byte or later.
        regex_min_offset: Option<u32>,
        /// The match must begin before this byte.
        regex_max_offset: Option<u32>,
        /// Stack of the matcher.
        regex_stack: Option<RegexStack>,
        /// SSL_GET: a missing close-notify is a failure.
        tls_compliant: bool,
        /// SSL_GET: server name of this url.
        sni_name: Option<String>,
        /// Headers that the answer must have, `Name: value` or `Name` alone. Beyond keepalived.
        expect_header: Vec<String>,
        /// Headers that must match (PCRE2), `Name: pattern`. Beyond keepalived.
        expect_header_regex: Vec<String>,
        /// What the body must have, as JSON. Beyond keepalived.
        expect_json: Vec<ExpectJson>,
    }
}

/// `regex_stack START MAX`, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegexStack {
    /// At first.
    pub start: u32,
    /// At most.
    pub max: u32,
}

/// Inclusive range of HTTP status codes; in YAML `200` or `"301-303"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// First.
    pub from: u16,
    /// Last.
    pub to: u16,
}

object! {
    /// `SMTP_CHECK`: 220 greeting, HELO answered with 250, QUIT.
    #[derive(Default)]
    #[serde(default)]
    SmtpCheck {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
        /// Name said in HELO; default smtpchecker.keepalived.org.
        helo_name: Option<String>,
        /// A PROXY header first. Beyond keepalived.
        send_proxy: Option<SendProxy>,
        /// Old: further targets.
        host: Vec<SmtpHost>,
    }
}

object! {
    /// `host { … }` of SMTP_CHECK, old.
    #[derive(Default)]
    #[serde(default)]
    SmtpHost {
        ;
        /// Target and source.
        connection: Connection,
    }
}

/// `type` of DNS_CHECK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "names of DNS record types")]
pub enum DnsType {
    A,
    Ns,
    Cname,
    Soa,
    Mx,
    Txt,
    Aaaa,
    Rrsig,
    Dnskey,
}

object! {
    /// `DNS_CHECK`: a reply with the same id and rcode 0.
    #[derive(Default)]
    #[serde(default)]
    DnsCheck {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
        /// Record type; default SOA.
        #[serde(rename = "type")]
        kind: Option<DnsType>,
        /// Name asked for; default ".".
        name: Option<String>,
    }
}

object! {
    /// `MISC_CHECK`: a program; exit 0 is success.
    MiscCheck {
        /// What to run.
        misc_path: Command,
        ;
        /// Longest run; default delay_loop.
        misc_timeout: Option<Secs>,
        /// Exit 2..=255 means success with weight (code − 2).
        misc_dynamic: bool,
        /// Timing.
        pace: Pace,
    }
}

object! {
    /// `UDP_CHECK`: no ICMP error, and with `require_reply` an answer.
    #[derive(Default)]
    #[serde(default)]
    UdpCheck {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
        /// What is sent, hexadecimal.
        payload: Option<String>,
        /// An answer must come; with text it must be these bytes (hexadecimal, X = any digit).
        require_reply: Option<String>,
        /// Least length of the answer; default 0.
        min_reply_length: Option<u16>,
        /// Greatest length of the answer; default 255.
        max_reply_length: Option<u16>,
    }
}

object! {
    /// `FILE_CHECK`: the number in a file times the weight changes the real server's weight; with weight 0 a number
    /// other than 0 takes it out.
    FileCheck {
        /// Name of a `track_file`.
        track_file: String,
        ;
        /// −254..=254, default the file's weight.
        weight: Option<i16>,
        /// Swap the sense.
        reverse: bool,
        /// Timing; only `alpha` has a meaning.
        pace: Pace,
    }
}

object! {
    /// `BFD_CHECK`: up while the BFD session is.
    BfdCheck {
        /// Name of a `bfd_instance`.
        name: String,
        ;
        /// Out until the session is up.
        alpha: Option<bool>,
    }
}
