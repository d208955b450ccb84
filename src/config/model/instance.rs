//! `vrrp_instance`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::object;
use super::{Command, ExtraInterfaces, Route, Rule, Secret, Track, VirtualAddress, VrrpVersion, is_default};
use crate::config::units::Secs;

/// `state MASTER|BACKUP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum InitialState {
    /// Wished master.
    Master,
    /// Starts as backup.
    Backup,
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuthType {
    /// Eight plain bytes in a version 2 advert (RFC 2338 section 10.2).
    Pass,
    /// IPsec AH, HMAC-MD5 (RFC 2338 section 10.3).
    Ah,
}

object! {
    /// `authentication { auth_type …; auth_pass … }`.
    Authentication {
        /// Which kind.
        auth_type: AuthType,
        /// The password as written; the first 8 bytes go into the packet.
        auth_pass: Secret,
        ;
    }
}

object! {
    /// `auth_hmac`: the trailer of draft-cassen-vrrp-auth-hmac (keepalived 2.4).
    #[derive(Default)]
    #[serde(default)]
    AuthHmac {
        ;
        /// Keys, with their numbers.
        key: Vec<HmacKey>,
        /// Number of the key that we sign with; default the first.
        active_key: Option<u8>,
        /// How repeated adverts are recognised; default time.
        anti_replay: Option<AntiReplay>,
        /// Greatest difference of the clocks, 1..=300 s; default the larger of 3 advert intervals and 5 s.
        time_window: Option<u32>,
        /// What becomes of adverts without a trailer; default enforce. A wrong trailer is refused in each.
        mode: Option<HmacMode>,
    }
}

/// `key ID SECRET`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacKey {
    /// 1..=255.
    pub id: u8,
    /// `hex:…`, text of 32 to 64 bytes, `file:PATH`, or `cred:NAME` (a systemd credential).
    pub secret: Secret,
}

/// `anti_replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AntiReplay {
    /// By the clock.
    Time,
    /// By a rising number.
    Monotonic,
}

/// `mode` of auth_hmac.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HmacMode {
    /// Adverts without a trailer are discarded.
    Enforce,
    /// They are accepted; ours bear one.
    Permissive,
    /// They are accepted, and ours bear none.
    ReceiveOnly,
}

/// One element of `unicast_peer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// `old_unicast_checksum [never]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OldChecksum {
    /// Send and expect the checksum of keepalived before 1.3.6.
    Always,
    /// Not even when a peer is heard to send it.
    Never,
}

/// `use_vmac [[name] IF] [MAC] [netlink_notify_msg] [group G]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vmac {
    /// Name of the interface; default `vrrp.VRID`.
    #[serde(skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Its hardware address, five or six octets; default 00:00:5e:00:01:VRID (IPv6 …02).
    #[serde(skip_serializing_if = "is_default")]
    pub mac: Option<String>,
    /// Announce it by netlink.
    #[serde(skip_serializing_if = "is_default")]
    pub netlink_notify_msg: bool,
    /// Interface group.
    #[serde(skip_serializing_if = "is_default")]
    pub group: Option<String>,
}

/// `use_ipvlan [[name] IF] [IP] [bridge|private|vepa] [group G]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ipvlan {
    /// Name of the interface.
    #[serde(skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "is_default")]
    pub address: Option<crate::config::units::Prefix>,
    /// How several of them see one another.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Option<IpvlanMode>,
    /// Interface group.
    #[serde(skip_serializing_if = "is_default")]
    pub group: Option<String>,
}

/// Mode of an ipvlan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum IpvlanMode {
    Bridge,
    Private,
    Vepa,
}

object! {
    /// `vrrp_instance NAME`.
    Instance {
        /// The name that scripts and logs get.
        name: String,
        /// 1..=255, unique on its interface and family.
        virtual_router_id: u8,
        ;
        /// A wish; MASTER iff priority 255 when absent.
        state: Option<InitialState>,
        /// Interface that adverts leave and arrive by. It may be absent with unicast only.
        interface: String,
        /// VRF of unicast without interface.
        vrf: Option<String>,
        /// 1..=255; default 100, or 255 with `state MASTER` and no priority.
        priority: Option<u8>,
        /// Time between adverts; default 1 s. Version 2: whole seconds; version 3: 10 ms steps up to 40.95 s.
        advert_int: Option<Secs>,
        /// Protocol version; the global default when absent.
        version: Option<VrrpVersion>,
        /// Version 2 only.
        authentication: Option<Authentication>,
        /// Signed adverts.
        auth_hmac: Option<AuthHmac>,
        /// Advertised addresses.
        virtual_ipaddress: Vec<VirtualAddress>,
        /// Addresses that move too, but are not advertised; may be of the other family.
        virtual_ipaddress_excluded: Vec<VirtualAddress>,
        /// An instance without addresses is meant.
        no_virtual_ipaddress: bool,
        /// Let the kernel keep secondary addresses when the primary one goes.
        promote_secondaries: bool,
        /// Routes that move with the addresses.
        virtual_routes: Vec<Route>,
        /// Routing rules that move with the addresses.
        virtual_rules: Vec<Rule>,
        /// Source of adverts (`mcast_src_ip` / `unicast_src_ip` are one setting in keepalived).
        mcast_src_ip: Option<IpAddr>,
        /// Source of unicast adverts.
        unicast_src_ip: Option<IpAddr>,
        /// Multicast group; the global one when absent.
        mcast_dst_ip: Option<IpAddr>,
        /// FAULT while the source address is not there.
        track_src_ip: bool,
        /// Peers; none = multicast.
        unicast_peer: Vec<UnicastPeer>,
        /// FAULT rather than multicast when there is no peer.
        unicast_fault_no_peer: bool,
        /// TTL of unicast adverts; default 255.
        unicast_ttl: Option<u8>,
        /// Drop unicast adverts of strangers; the global default when absent.
        check_unicast_src: Option<bool>,
        /// Checksum of keepalived before 1.3.6; recognised by itself when absent.
        old_unicast_checksum: Option<OldChecksum>,
        /// Version 3 checksum over IPv4 without pseudo header.
        v3_checksum_as_v2: Option<bool>,
        /// Addresses on a private macvlan with the virtual router's own hardware address.
        use_vmac: Option<Vmac>,
        /// Adverts leave by the base interface; only the addresses use the VMAC.
        use_vmac_addr: bool,
        /// Adverts leave by the base interface.
        vmac_xmit_base: bool,
        /// Addresses on an ipvlan.
        use_ipvlan: Option<Ipvlan>,
        /// Faults of the own interface are ignored.
        dont_track_primary: bool,
        /// Scripts that decide on the priority.
        track_script: Vec<Track>,
        /// Interfaces that decide on the priority.
        track_interface: Vec<Track>,
        /// Files that decide on the priority.
        track_file: Vec<Track>,
        /// Processes that decide on the priority.
        track_process: Vec<Track>,
        /// BFD sessions that decide on the priority.
        track_bfd: Vec<Track>,
        /// Virtual servers whose quorum decides on the priority, by their names: `TCP 192.0.2.1:80`, `FWM 5`, `group web`.
        /// Beyond keepalived.
        track_virtual_server: Vec<Track>,
        /// Do not take over from a living master of lower priority. Needs `state BACKUP`.
        nopreempt: bool,
        /// 0..=1000 s before a preemption.
        preempt_delay: Option<Secs>,
        /// As the global `vrrp_garp_master_delay`, here and below.
        garp_master_delay: Option<Secs>,
        /// Packets a burst.
        garp_master_repeat: Option<u32>,
        /// Period of announcements while master.
        garp_master_refresh: Option<Secs>,
        /// Packets each period.
        garp_master_refresh_repeat: Option<u32>,
        /// Second burst after a lower-priority advert.
        garp_lower_prio_delay: Option<Secs>,
        /// Packets of that burst.
        garp_lower_prio_repeat: Option<u32>,
        /// Announce on further interfaces.
        garp_extra_if: Option<ExtraInterfaces>,
        /// 1..=100 intervals in the master-down timer.
        down_timer_adverts: Option<u8>,
        /// Become BACKUP when our own timer ran that many adverts late, 1..=254. Needs nopreempt.
        timer_expired_backup: Option<u8>,
        /// A master stays silent when it hears a lower priority.
        lower_prio_no_advert: Option<bool>,
        /// A master that yields to a higher priority sends one last advert.
        higher_prio_send_advert: Option<bool>,
        /// An owner (255) ignores all adverts.
        owner_ignore_adverts: Option<bool>,
        /// `accept` / `no_accept`: whether the addresses answer here when we are not their owner.
        accept: Option<bool>,
        /// As the global `vrrp_skip_check_adv_addr`.
        skip_check_adv_addr: Option<bool>,
        /// As the global `vrrp_strict`.
        strict_mode: Option<bool>,
        /// Run on MASTER.
        notify_master: Option<Command>,
        /// Run on BACKUP.
        notify_backup: Option<Command>,
        /// Run on FAULT.
        notify_fault: Option<Command>,
        /// Run when the daemon stops.
        notify_stop: Option<Command>,
        /// Run when a reload removes the instance.
        notify_deleted: Option<Command>,
        /// `notify_deleted` without a command: only FIFOs are told, and no fault script runs.
        notify_deleted_fifo: bool,
        /// Run when a master hears a lower-priority master.
        notify_master_rx_lower_pri: Option<Command>,
        /// Run on each of these, with `INSTANCE name STATE priority` appended.
        notify: Option<Command>,
        /// Tell scripts and FIFOs of changed priorities.
        notify_priority_changes: Option<bool>,
        /// Mail on transitions.
        smtp_alert: Option<bool>,
        /// Receive buffer, bytes.
        kernel_rx_buf_size: Option<u32>,
        /// Old, here: ask for the carrier rather than wait for netlink.
        linkbeat_use_polling: bool,
        /// Old: interface of the connection synchronisation; write the global `lvs_sync_daemon`.
        lvs_sync_daemon_interface: Option<String>,
    }
}

impl Instance {
    /// True when its adverts are IPv6: by its source address, else its first virtual address, else its first peer.
    pub fn is_ipv6(&self) -> bool {
        let source = self.unicast_src_ip.or(self.mcast_src_ip);
        let first = || self.virtual_ipaddress.first().map(|virtual_address| virtual_address.address.address);
        let peer = || self.unicast_peer.first().map(|peer| peer.address);
        source.or_else(first).or_else(peer).is_some_and(|address| address.is_ipv6())
    }
}
