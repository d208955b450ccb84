//! The typed configuration: what a file says, as written. Both front ends (keepalived.conf and YAML) end
//! here, so the two forms of one configuration compare equal.
//!
//! Options are `None` where the file says nothing; the defaults of keepalived 2.2/2.4 are applied by those who use
//! them, so that a file can be written back as it was read. Named objects are lists with a `name` (not maps), so
//! that a duplicate is visible to `resolve`. The keyword tables of `config::words` tie each field to its word,
//! argument form and range.

mod check;
mod common;
mod element;
mod global;
mod instance;
mod object;
mod overrides;
mod places;
mod probe;
mod real;
mod rules;
mod server;
mod shared;
mod tracker;

pub use check::{
    BfdCheck, Connection, DnsCheck, DnsType, FileCheck, FlapDamping, HttpGet, HttpProtocol, MiscCheck, Pace,
    PingCheck, RegexStack, SmtpCheck, SmtpHost, StatusRange, TcpCheck, UdpCheck, Url,
};
pub use common::{
    Command, ExtraInterfaces, Fifo, PairPoint, ScriptUser, Secret, SmtpServer, Track, VrrpVersion,
};
pub use element::{
    Block, Broadcast, Encap, Family, Fwmark, Insertion, IpEncap, Lifetime, Metric, Named, NewDestination,
    Nexthop, Realms, Route, RouteMetrics, RoutePreference, RouteType, Rule, RuleAction, Scope,
    VirtualAddress,
};
pub use global::{FlushOnStop, Global, Linkbeat, LinkbeatMethod, LvsTimeouts, Ssl, SyncDaemon, UpDownDelay};
pub use instance::{
    AntiReplay, AuthHmac, AuthType, Authentication, HmacKey, HmacMode, InitialState, Instance, Ipvlan,
    IpvlanMode, OldChecksum, UnicastPeer, Vmac,
};
pub use object::Origin;
pub use overrides::{AdminState, OverrideKind, RealServerOverride, ServiceName};
pub use probe::{CertificateRules, ExpectJson, GrpcCheck, SendProxy};
pub(in crate::config) use real::Pool;
pub use real::{RealServer, RealSettings};
pub use server::{
    GroupEntry, IpFamily, Method, Protocol, Scheduler, SorryServer, TierMode, Tunnel, TunnelChecksum,
    TunnelKind, VirtualServer, VirtualServerGroup,
};
pub use shared::Shared;
pub(in crate::config) use shared::TextOf;
pub use tracker::{
    BfdInstance, GarpGroup, InitFile, ParamMatch, SyncGroup, TrackFile, TrackGroup, TrackProcess, VrrpScript,
};

use super::units::Secs;
use object::object;

object! {
    /// One whole configuration.
    #[derive(Default)]
    #[serde(default)]
    Config {
        ;
        /// Network namespace that everything runs in.
        net_namespace: Option<String>,
        /// Network namespace that IPVS is in, where it is another one than that of VRRP and the checks; empty = the machine's
        /// default one.
        net_namespace_ipvs: Option<String>,
        /// Allow ipsets together with namespaces on old kernels. Means nothing here: there are no ipsets.
        namespace_with_ipsets: bool,
        /// Name of this daemon where several run on one machine.
        instance: Option<String>,
        /// Put pid files into a folder of their own.
        use_pid_dir: bool,
        /// How long stop waits for each of the parts; default 5 s, at least 1 s.
        child_wait_time: Option<Secs>,
        /// Ask for carriers rather than wait for netlink.
        linkbeat_use_polling: bool,
        /// Interfaces whose carrier is asked for.
        linkbeat_interfaces: Vec<Linkbeat>,
        /// Debounce of interfaces.
        interface_up_down_delays: Vec<UpDownDelay>,
        /// `global_defs`: settings that the rest falls back to.
        global_defs: Global,
        /// What SSL_GET shows of us.
        ssl: Option<Ssl>,
        /// `track_group` blocks.
        track_group: Vec<TrackGroup>,
        /// Addresses that are there as long as the daemon runs.
        static_ipaddress: Vec<VirtualAddress>,
        /// Routes that are there as long as the daemon runs.
        static_routes: Vec<Route>,
        /// Routing rules that are there as long as the daemon runs.
        static_rules: Vec<Rule>,
        /// `garp_group` blocks.
        garp_group: Vec<GarpGroup>,
        /// `bfd_instance` blocks.
        bfd_instance: Vec<BfdInstance>,
        /// `vrrp_script` blocks, in file order.
        vrrp_script: Vec<VrrpScript>,
        /// `track_file` blocks.
        track_file: Vec<TrackFile>,
        /// `vrrp_track_process` blocks.
        vrrp_track_process: Vec<TrackProcess>,
        /// `vrrp_sync_group` blocks.
        vrrp_sync_group: Vec<SyncGroup>,
        /// `vrrp_instance` blocks, in file order.
        vrrp_instance: Vec<Instance>,
        /// `virtual_server_group` blocks.
        virtual_server_group: Vec<VirtualServerGroup>,
        /// `virtual_server` blocks, in file order.
        virtual_server: Vec<Shared<VirtualServer>>,
        /// `real_server_override` lines: real servers other than their blocks say, later lines over earlier ones. Beyond
        /// keepalived.
        real_server_override: Vec<RealServerOverride>,
    }
}

/// True when a field says nothing, so that it is left out of the written form.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
