//! Real servers: an address with a weight of its own, and settings that most of them have in common.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{
    BfdCheck, DnsCheck, FileCheck, FlapDamping, HttpGet, MiscCheck, PingCheck, SmtpCheck, TcpCheck, UdpCheck,
};
use super::overrides::AdminState;
use super::probe::GrpcCheck;
use super::{Command, Method, Origin, Tunnel, is_default};
use crate::config::units::Secs;

/// `real_server IP [PORT] { … }`. In a large configuration nearly all are alike but for these words: what else there is
/// to one ([`RealSettings`], whose fields are as good as its own) is there once for all who say the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct RealServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; absent or 0 = the service's.
    pub port: Option<u16>,
    /// 0..=65535; the virtual server's when absent.
    pub weight: Option<u16>,
    /// Where it was written.
    pub origin: Origin,
    settings: Arc<RealSettings>,
}

impl RealServer {
    /// One that says nothing beyond what it cannot be without.
    pub fn new(address: IpAddr) -> Self {
        Self { address, port: None, weight: None, origin: Origin::default(), settings: Arc::default() }
    }

    /// Its settings, for changes: it has a copy of its own then, if others have them too.
    pub fn settings_mut(&mut self) -> &mut RealSettings {
        Arc::make_mut(&mut self.settings)
    }
}

impl Deref for RealServer {
    type Target = RealSettings;

    fn deref(&self) -> &RealSettings {
        &self.settings
    }
}

impl DerefMut for RealServer {
    fn deref_mut(&mut self) -> &mut RealSettings {
        self.settings_mut()
    }
}

/// Settings that were met: whoever says the same as one of the last few has it.
#[derive(Debug, Default)]
pub(in crate::config) struct Pool {
    last: Vec<Arc<RealSettings>>,
    next: usize,
}

/// So many are remembered: files are written, or generated, with few kinds of servers side by side.
const KINDS: usize = 8;

impl Pool {
    /// Gives a real server the settings of an earlier one that says the same, places left out.
    pub(in crate::config) fn share(&mut self, real: &mut RealServer) {
        let equal =
            |known: &&Arc<RealSettings>| Arc::ptr_eq(known, &real.settings) || ***known == *real.settings;
        if let Some(known) = self.last.iter().find(equal) {
            real.settings = Arc::clone(known);
        } else if self.last.len() < KINDS {
            self.last.push(Arc::clone(&real.settings));
        } else if let Some(oldest) = self.last.get_mut(self.next) {
            *oldest = Arc::clone(&real.settings);
            self.next = (self.next + 1) % KINDS;
        }
    }
}

macro_rules! settings {
    ($( $(#[$meta:meta])* $field:ident : $type:ty, )*) => {
        /// What real servers may have in common.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct RealSettings {
            $( $(#[$meta])* pub $field: $type, )*
        }

        /// `real_server IP [PORT] { … }`.
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(rename = "RealServer", deny_unknown_fields)]
        struct Written {
            /// Its address.
            address: IpAddr,
            /// Its port; absent or 0 = the service's.
            #[serde(default, skip_serializing_if = "is_default")]
            port: Option<u16>,
            /// 0..=65535; the virtual server's when absent.
            #[serde(default, skip_serializing_if = "is_default")]
            weight: Option<u16>,
            $(
                $(#[$meta])*
                #[serde(default, skip_serializing_if = "is_default")]
                $field: $type,
            )*
        }

        impl From<Written> for RealServer {
            fn from(written: Written) -> Self {
                let Written { address, port, weight, $($field),* } = written;
                let settings = Arc::new(RealSettings { $($field),* });
                Self { address, port, weight, origin: Origin::default(), settings }
            }
        }

        impl From<RealServer> for Written {
            fn from(real: RealServer) -> Self {
                let RealServer { address, port, weight, settings, .. } = real;
                let RealSettings { $($field),* } = Arc::unwrap_or_clone(settings);
                Self { address, port, weight, $($field),* }
            }
        }
    };
}

settings! {
    /// Forwarding method; the service's when absent.
    lvs_method: Option<Method>,
    /// Its tunnel, with TUN.
    tunnel: Option<Tunnel>,
    /// Weight 0 rather than removal.
    inhibit_on_failure: Option<bool>,
    /// Out until the first success.
    alpha: Option<bool>,
    /// Run when it comes back.
    notify_up: Option<Command>,
    /// Run when it is taken out.
    notify_down: Option<Command>,
    /// IPVS upper connection threshold; 0 = none.
    uthreshold: Option<u32>,
    /// IPVS lower connection threshold.
    lthreshold: Option<u32>,
    /// Time between checks; the virtual server's when absent.
    delay_loop: Option<Secs>,
    /// Default `retry` of its checkers.
    retry: Option<u32>,
    /// Default `delay_before_retry` of its checkers.
    delay_before_retry: Option<Secs>,
    /// Default `fall` of its checkers. Beyond keepalived.
    fall: Option<u32>,
    /// Default `rise` of its checkers. Beyond keepalived.
    rise: Option<u32>,
    /// Default `fast_interval` of its checkers. Beyond keepalived.
    fast_interval: Option<Secs>,
    /// Default `timeout_retry` of its checkers. Beyond keepalived.
    timeout_retry: Option<u32>,
    /// Default `share` of its checkers. Beyond keepalived.
    share: Option<bool>,
    /// Time over which its weight grows from a tenth to all of it when it comes back. Beyond keepalived.
    slow_start: Option<Secs>,
    /// Held down when it goes and comes too often. Beyond keepalived.
    flap_damping: Option<FlapDamping>,
    /// Priority tier, 1..=1000; 1 when absent. Beyond keepalived.
    tier: Option<u16>,
    /// It serves only while the quorum is lost, and does not count for it. Beyond keepalived.
    sorry: bool,
    /// What people want of it, whatever its checks say; `enabled` when absent. Beyond keepalived.
    admin_state: Option<AdminState>,
    /// Default `warmup` of its checkers.
    warmup: Option<Secs>,
    /// Default `connect_timeout` of its checkers.
    connect_timeout: Option<Secs>,
    /// Host header.
    virtualhost: Option<String>,
    /// Mail when it goes or comes; on by default.
    smtp_alert: Option<bool>,
    /// Name in SNMP.
    snmp_name: Option<String>,
    /// `TCP_CHECK` blocks.
    tcp_check: Vec<TcpCheck>,
    /// `HTTP_GET` blocks.
    http_get: Vec<HttpGet>,
    /// `SSL_GET` blocks.
    ssl_get: Vec<HttpGet>,
    /// `SMTP_CHECK` blocks.
    smtp_check: Vec<SmtpCheck>,
    /// `DNS_CHECK` blocks.
    dns_check: Vec<DnsCheck>,
    /// `MISC_CHECK` blocks.
    misc_check: Vec<MiscCheck>,
    /// `UDP_CHECK` blocks.
    udp_check: Vec<UdpCheck>,
    /// `PING_CHECK` blocks.
    ping_check: Vec<PingCheck>,
    /// `GRPC_CHECK` blocks. Beyond keepalived.
    grpc_check: Vec<GrpcCheck>,
    /// `FILE_CHECK` blocks.
    file_check: Vec<FileCheck>,
    /// `BFD_CHECK` blocks.
    bfd_check: Vec<BfdCheck>,
}

impl JsonSchema for RealServer {
    fn inline_schema() -> bool {
        Written::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        Written::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}
