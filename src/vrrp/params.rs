//! From the configuration of one instance to what its parts need: machine parameters, acceptance rules,
//! destinations, trackers, addresses. Pure; the driver adds only what the kernel says (links) and what scripts
//! said (tracker values).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::config::model::{
    AuthType, Config, ExtraInterfaces, Global, InitialState, Instance, OldChecksum, VrrpVersion,
};
use crate::config::units::Secs;
use crate::net::address::{AddressKey, Addresses};
use crate::net::link::Links;
use crate::net::wanted::Wanted;
use crate::realtime::{DEFAULT_LATE, DEFAULT_PRIORITY, Scheduling};

use super::accept::{PeerRule, Rules, UnicastRules};
use super::addresses::{
    advertised_addresses, in_file_order, needed_interfaces, wanted_addresses, wanted_routing,
};
use super::announce::Garp;
use super::auth::guard::Policy;
use super::auth::keys::KeyRing;
use super::auth::{ah, trailer};
use super::buffers::Share;
use super::group::Group;
use super::machine;
use super::pace::{Gaps, Pacing};
use super::packet::ChecksumMode;
use super::trackers::trackers_of;
pub use super::trackers::{Tracker, TrackerSpec, TrackerValues};
use super::vmac::{Placement, placed};

/// The multicast group of IPv4 adverts (RFC 9568 section 5.1.1.2).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// That of IPv6 adverts (RFC 9568 section 5.1.2.2).
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// Instances that must not take part, by name, and why: a static object of their `track_group` is missing, a device
/// that they need.
pub type Faults = BTreeMap<String, String>;

/// What people have ordered, by instance: members of a sync group have the same one.
pub type Orders = BTreeMap<String, Arc<machine::Order>>;

/// The password field of version 2: eight bytes, zero filled. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub [u8; 8]);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(XXXXXX)")
    }
}

/// Everything that one instance's runner needs from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the instance.
    pub name: String,
    /// Interface of its adverts.
    pub interface: String,
    /// Interface that lends its address as their source: below a VMAC the base interface.
    pub source_from: String,
    /// VRID.
    pub vrid: u8,
    /// Adverts are IPv6.
    pub ipv6: bool,
    /// Protocol version.
    pub version: VrrpVersion,
    /// Base priority; 255 = address owner.
    pub base_priority: u8,
    /// `state MASTER`.
    pub state_master: bool,
    /// Time between adverts.
    pub advert_int: Duration,
    /// Takes over from a living master of lower priority.
    pub preempt: bool,
    /// Time before it does.
    pub preempt_delay: Duration,
    /// Intervals in the master-down timer.
    pub down_timer_adverts: u8,
    /// Name of its sync group.
    pub group: Option<String>,
    /// A master stays silent when it hears a lower priority.
    pub lower_prio_no_advert: bool,
    /// A master that yields sends one last advert.
    pub higher_prio_send_advert: bool,
    /// The owner ignores all adverts.
    pub owner_ignore_adverts: bool,
    /// BACKUP when the own timer is so many adverts late.
    pub timer_expired_backup: Option<u8>,
    /// How checksums are made, and which count.
    pub checksum: ChecksumMode,
    /// The unicast checksum of keepalived before 1.3.6 counts, too, as keepalived recognises it by itself.
    pub old_checksum_counts: bool,
    /// `skip_check_adv_addr`: the address list of a sender is looked at in its first advert alone.
    pub skip_address_check: bool,
    /// FAULT for as long as this configuration runs, and why.
    pub standing_fault: Option<String>,
    /// FAULT while the source address is on no interface.
    pub track_source: bool,
    /// What it adds to the receive buffer of its socket.
    pub receive_buffer: Option<Share>,
    /// Authentication header, signed trailer, or neither.
    pub policy: Policy,
    /// Password field of version 2 PASS.
    pub password: Option<Password>,
    /// Source address that the file names.
    pub source: Option<IpAddr>,
    /// Where adverts go.
    pub destination: Destination,
    /// Advertised addresses, in file order.
    pub advertised: Vec<IpAddr>,
    /// Kernel addresses while master.
    pub addresses: Addresses,
    /// Routes and rules while master, and which of all are not tracked. Names no addresses to add.
    pub routing: Wanted,
    /// Announcement settings.
    pub garp: Garp,
    /// What `garp_extra_if` announces: the first address of each interface but the instance's own, as keepalived does;
    /// without `all` only those of VMACs.
    pub extra: Vec<AddressKey>,
    /// The own interface decides on FAULT.
    pub track_primary: bool,
    /// What else decides on it, its group's trackers included.
    pub trackers: Vec<TrackerSpec>,
}

/// Everything that the vrrp thread needs from a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// The instances.
    pub instances: Vec<Arc<Settings>>,
    /// The sync groups.
    pub groups: Vec<Group>,
    /// What people have ordered.
    pub orders: Orders,
    /// Gaps between announcements.
    pub pacing: Pacing,
    /// How the thread is scheduled.
    pub scheduling: Scheduling,
    /// Tell of adverts for VRIDs that nobody here has (`log_unknown_vrids`).
    pub tell_unknown_vrids: bool,
    /// `vrrp_startup_delay`: instances of the start take no part for so long. Means nothing at a reload.
    pub startup_delay: Duration,
    /// `vrrp_delay_after_boot`: the same, counted from the start of the machine.
    pub delay_after_boot: Duration,
}

impl Setup {
    /// The setup of a configuration.
    pub fn of(config: &Config, host: &Host) -> Self {
        let global = &config.global_defs;
        let delay = |secs: Option<Secs>| secs.map_or(Duration::ZERO, |secs| secs.0);
        Self {
            instances: Settings::of_config(config, host).into_iter().map(Arc::new).collect(),
            groups: groups(config),
            orders: Orders::new(),
            pacing: pacing(config),
            scheduling: Scheduling {
                who: "vrrp",
                priority: global.vrrp_rt_priority,
                otherwise: Some(DEFAULT_PRIORITY),
                nice: global.vrrp_priority,
                processors: global.vrrp_cpu_affinity.clone(),
                most: global.max_auto_priority.map_or(0, |most| u8::try_from(most).unwrap_or(0)),
                late: global
                    .min_auto_priority_delay
                    .map_or(DEFAULT_LATE, |microseconds| Duration::from_micros(microseconds.into())),
            },
            tell_unknown_vrids: global.log_unknown_vrids,
            startup_delay: delay(global.vrrp_startup_delay),
            delay_after_boot: delay(global.vrrp_delay_after_boot),
        }
    }
}

/// Where adverts of an instance go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A multicast group of the instance's family.
    Multicast(IpAddr),
    /// Each peer.
    Unicast {
        /// The peers, with their TTL rules.
        peers: Vec<PeerRule>,
        /// Discard adverts of strangers.
        check_source: bool,
        /// TTL of what we send.
        ttl: u8,
    },
}

impl Settings {
    /// Settings of every instance.
    pub fn of_config(config: &Config, host: &Host) -> Vec<Self> {
        config.vrrp_instance.iter().map(|instance| Self::of(instance, config, host)).collect()
    }

    /// Settings of one instance.
    pub fn of(instance: &Instance, config: &Config, host: &Host) -> Self {
        let global = &config.global_defs;
        let placement = host.placements.get(&instance.name);
        let placed = placement.map(|placement| placed(instance, placement));
        let instance = placed.as_ref().unwrap_or(instance);
        let ipv6 = instance.is_ipv6();
        let version = instance.vrrp_version(global);
        let strict = instance.is_strict(global);
        let base_priority = instance.base_priority();
        Self {
            name: instance.name.clone(),
            // Unicast without an interface may name a VRF: the kernel looks addresses up in its table then.
            interface: match (&instance.vrf, instance.interface.is_empty()) {
                (Some(vrf), true) => vrf.clone(),
                _ => placement.map_or(&instance.interface, |placement| &placement.adverts_on).clone(),
            },
            source_from: placement.map_or(&instance.interface, |placement| &placement.source_from).clone(),
            vrid: instance.virtual_router_id,
            ipv6,
            version,
            base_priority,
            state_master: instance.state == Some(InitialState::Master),
            advert_int: advert_interval(instance, version),
            preempt: !instance.nopreempt,
            // Strict (features, section 22) refuses what the RFC does not know.
            preempt_delay: instance.preempt_delay.filter(|_| !strict).map_or(Duration::ZERO, |s| s.0),
            down_timer_adverts: match instance.down_timer_adverts.or(global.vrrp_down_timer_adverts) {
                Some(adverts) if !strict => adverts,
                _ => 3,
            },
            group: group_of(instance, config),
            lower_prio_no_advert: strict
                || instance.lower_prio_no_advert.or(global.vrrp_lower_prio_no_advert) == Some(true),
            higher_prio_send_advert: !strict
                && instance.higher_prio_send_advert.or(global.vrrp_higher_prio_send_advert) == Some(true),
            owner_ignore_adverts: base_priority == 255
                && (strict
                    || instance.owner_ignore_adverts.or(global.vrrp_owner_ignore_adverts) == Some(true)),
            timer_expired_backup: instance.timer_expired_backup,
            checksum: checksum(instance, global),
            old_checksum_counts: instance.old_unicast_checksum != Some(OldChecksum::Never),
            skip_address_check: instance
                .skip_check_adv_addr
                .unwrap_or(global.vrrp_skip_check_adv_addr == Some(true)),
            standing_fault: host.secrets.fault(&instance.name).or_else(|| {
                (instance.unicast_fault_no_peer && instance.unicast_peer.is_empty())
                    .then(|| "it has no unicast_peer (unicast_fault_no_peer)".to_owned())
            }),
            track_source: instance.track_src_ip,
            receive_buffer: Share::of(instance, global, advert_length(instance, version, ipv6)),
            policy: policy(instance, version, ipv6, strict, &host.secrets),
            password: if strict { None } else { password(instance, version) },
            source: instance
                .unicast_src_ip
                .or(instance.mcast_src_ip)
                .or_else(|| placement.and_then(|placement| placement.source)),
            destination: destination(instance, global, ipv6),
            advertised: advertised_addresses(instance, ipv6),
            addresses: wanted_addresses(instance, &instance.interface),
            routing: wanted_routing(instance, &instance.interface),
            garp: garp(instance, global),
            extra: extra_announcements(instance, global, placement),
            track_primary: !instance.dont_track_primary,
            trackers: {
                let mut all = trackers_of(instance, config);
                // Routes need their interfaces, too.
                let needed = needed_interfaces(instance);
                all.extend(
                    needed
                        .iter()
                        .map(|name| TrackerSpec::interface(name))
                        .filter(|spec| !all.contains(spec))
                        .collect::<Vec<_>>(),
                );
                all
            },
        }
    }

    /// The virtual addresses, advertised or not: never a source of adverts.
    pub fn is_virtual(&self, address: IpAddr) -> bool {
        self.addresses.keys().any(|key| key.address == address)
    }

    /// Source of adverts now: as the file says, else the interface's first address that is no virtual one (over IPv6
    /// the link-local one). Without interface (unicast) only the file can say it.
    pub fn own_address(&self, links: &Links, is_virtual: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        if let Some(source) = self.source
            && self.track_source
            && !links.values().any(|link| link.has(source))
        {
            return None;
        }
        if self.interface.is_empty() {
            return self.source;
        }
        let link = links.get(&self.source_from)?;
        self.source.or_else(|| link.primary(self.ipv6, is_virtual))
    }

    /// What the machine needs to know, with the source address that is there now.
    pub fn machine_params(&self, own: Option<IpAddr>) -> machine::Params {
        machine::Params {
            version: self.version,
            base_priority: self.base_priority,
            state_master: self.state_master,
            advert_int: self.advert_int,
            preempt: self.preempt,
            preempt_delay: self.preempt_delay,
            down_timer_adverts: self.down_timer_adverts,
            grouped: self.group.is_some(),
            lower_prio_no_advert: self.lower_prio_no_advert,
            higher_prio_send_advert: self.higher_prio_send_advert,
            owner_ignore_adverts: self.owner_ignore_adverts,
            timer_expired_backup: self.timer_expired_backup,
            own,
        }
    }

    /// Which adverts are for this instance.
    pub fn rules(&self, own: Option<IpAddr>) -> Rules {
        Rules {
            version: self.version,
            vrid: self.vrid,
            ipv6: self.ipv6,
            password: self.password.map(|password| password.0),
            ah: matches!(self.policy, Policy::Ah(_)),
            checksum: match (self.checksum, &self.destination) {
                (ChecksumMode::Rfc, Destination::Unicast { .. }) if self.old_checksum_counts => {
                    ChecksumMode::OldUnicast
                }
                (mode, _) => mode,
            },
            advert_int: self.advert_int,
            addresses: self.advertised.iter().copied().collect::<BTreeSet<_>>(),
            own,
            own_priority: None,
            unicast: match &self.destination {
                Destination::Multicast(_) => None,
                Destination::Unicast { peers, check_source, .. } => {
                    Some(UnicastRules { peers: peers.clone(), check_source: *check_source })
                }
            },
        }
    }

    /// The trackers with their values now. An interface that does not exist is down.
    pub fn trackers_now(&self, links: &Links, values: &TrackerValues) -> Vec<Tracker> {
        let primary = TrackerSpec::interface(&self.interface);
        let tracked = self.track_primary && !self.interface.is_empty();
        let rest = self.trackers.iter().filter(|spec| !tracked || **spec != primary);
        let primary = tracked.then_some(&primary);
        primary.into_iter().chain(rest).map(|spec| spec.now(links, values)).collect()
    }

    /// What it is called on the board: another router under the same name has another one there.
    pub fn router_name(&self) -> String {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        format!("{} {} {} {family} {:?}", self.name, self.interface, self.vrid, self.version)
    }

    /// How long a master may be silent before anybody takes over, the other's skew left aside.
    pub fn patience(&self) -> Duration {
        self.advert_int.saturating_mul(u32::from(self.down_timer_adverts))
    }

    /// True when a running instance can take `next` over without starting anew.
    pub fn same_router(&self, next: &Self) -> bool {
        self.interface == next.interface
            && self.vrid == next.vrid
            && self.version == next.version
            && self.ipv6 == next.ipv6
    }
}

/// The sync group that an instance belongs to; the first one counts.
fn group_of(instance: &Instance, config: &Config) -> Option<String> {
    let has = |member: &String| *member == instance.name;
    config.vrrp_sync_group.iter().find(|group| group.group.iter().any(has)).map(|group| group.name.clone())
}

/// Least times between announcements: the global ones, and those of `garp_group`s.
pub fn pacing(config: &Config) -> Pacing {
    let time = |secs: Option<Secs>, default: Duration| secs.map_or(default, |secs| secs.0);
    let global = &config.global_defs;
    let default = Gaps {
        arp: time(global.vrrp_garp_interval, Duration::ZERO),
        neighbour: time(global.vrrp_gna_interval, Duration::ZERO),
    };
    let groups = config.garp_group.iter().map(|group| {
        let names = group.interface.iter().chain(&group.interfaces).cloned().collect();
        let gaps = Gaps {
            arp: time(group.garp_interval, default.arp),
            neighbour: time(group.gna_interval, default.neighbour),
        };
        (names, gaps)
    });
    Pacing { groups: groups.collect(), default }
}

/// The sync groups of a configuration, each with the members that run.
pub fn groups(config: &Config) -> Vec<Group> {
    config
        .vrrp_sync_group
        .iter()
        .map(|group| Group {
            name: group.name.clone(),
            members: config
                .vrrp_instance
                .iter()
                .filter(|instance| group_of(instance, config).as_ref() == Some(&group.name))
                .map(|instance| instance.name.clone())
                .collect(),
        })
        .filter(|group: &Group| !group.members.is_empty())
        .collect()
}

/// `v3_checksum_as_v2`, `old_unicast_checksum`.
fn checksum(instance: &Instance, global: &Global) -> ChecksumMode {
    if instance.v3_checksum_as_v2.unwrap_or(global.v3_checksum_as_v2) {
        return ChecksumMode::AsV2;
    }
    match instance.old_unicast_checksum {
        Some(OldChecksum::Always) if !instance.unicast_peer.is_empty() => ChecksumMode::OldUnicast,
        _ => ChecksumMode::Rfc,
    }
}

/// 1 s by default; version 2 carries whole seconds (RFC 3768 section 5.3.7), version 3 steps of 10 ms up to 40.95 s
/// (RFC 9568 section 5.2.7).
fn advert_interval(instance: &Instance, version: VrrpVersion) -> Duration {
    let written = instance.advert_int.map_or(Duration::from_secs(1), |s| s.0);
    match version {
        VrrpVersion::V2 => {
            let secs = (written + Duration::from_millis(500)).as_secs();
            Duration::from_secs(secs.clamp(1, 255))
        }
        VrrpVersion::V3 => {
            let steps = ((written + Duration::from_millis(5)).as_millis() / 10).clamp(1, 4095);
            Duration::from_millis(u64::try_from(steps).unwrap_or(100) * 10)
        }
    }
}

/// Length of the adverts, IP header included.
fn advert_length(instance: &Instance, version: VrrpVersion, ipv6: bool) -> usize {
    let (header, address) = if ipv6 { (40, 16) } else { (20, 4) };
    let password = if version == VrrpVersion::V2 { 8 } else { 0 };
    header + 8 + advertised_addresses(instance, ipv6).len() * address + password
}

/// Announcement settings: the instance's, else the global ones, else keepalived's defaults.
fn garp(instance: &Instance, global: &Global) -> Garp {
    // `vrrp_min_garp`: one packet, no second burst; what the file says beside it goes before.
    let default = match global.vrrp_min_garp {
        Some(true) => Garp { master_delay: Duration::ZERO, master_repeat: 1, ..Garp::default() },
        _ => Garp::default(),
    };
    let master_delay = instance.garp_master_delay.or(global.vrrp_garp_master_delay);
    let master_delay = master_delay.map_or(default.master_delay, |s| s.0);
    let master_repeat = instance.garp_master_repeat.or(global.vrrp_garp_master_repeat);
    let master_repeat = master_repeat.unwrap_or(default.master_repeat);
    let refresh = instance.garp_master_refresh.or(global.vrrp_garp_master_refresh);
    let refresh_repeat = instance.garp_master_refresh_repeat.or(global.vrrp_garp_master_refresh_repeat);
    let lower_delay = instance.garp_lower_prio_delay.or(global.vrrp_garp_lower_prio_delay);
    let lower_repeat = instance.garp_lower_prio_repeat.or(global.vrrp_garp_lower_prio_repeat);
    Garp {
        master_delay,
        master_repeat,
        master_refresh: refresh.map_or(default.master_refresh, |s| s.0),
        master_refresh_repeat: refresh_repeat.unwrap_or(default.master_refresh_repeat),
        lower_prio_delay: lower_delay.map_or(master_delay, |s| s.0),
        lower_prio_repeat: lower_repeat.unwrap_or(master_repeat),
        extra: extra_interfaces(instance, global).map_or(Duration::ZERO, |extra| extra.interval.0),
    }
}

/// `garp_extra_if`: the instance's own word, 0 included, goes before the global one.
fn extra_interfaces<'a>(instance: &'a Instance, global: &'a Global) -> Option<&'a ExtraInterfaces> {
    let extra = instance.garp_extra_if.as_ref().or(global.vrrp_garp_extra_if.as_ref());
    extra.filter(|extra| !extra.interval.0.is_zero())
}

/// One address of each interface that `garp_extra_if` means. The instance has its places written into it.
fn extra_announcements(
    instance: &Instance,
    global: &Global,
    placement: Option<&Placement>,
) -> Vec<AddressKey> {
    let Some(extra) = extra_interfaces(instance, global) else { return Vec::new() };
    let own = placement.map_or(&instance.interface, |placement| &placement.addresses_on);
    let of_ours = |name: &str| placement.is_some_and(|placement| placement.devices.contains(name));
    let mut known: BTreeSet<String> = BTreeSet::new();
    in_file_order(instance, &instance.interface)
        .filter(|key| key.interface != *own && (extra.all || of_ours(&key.interface)))
        .filter(|key| known.insert(key.interface.clone()))
        .collect()
}

/// What this machine adds to a configuration. By default nothing: no keys, no interfaces of our own.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Keys.
    pub secrets: Secrets,
    /// Where adverts and addresses of instances with VMACs go, by instance.
    pub placements: BTreeMap<String, Placement>,
}

/// The keys of `auth_hmac` blocks, by instance, as whoever may read files has found them; or why there are none.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub BTreeMap<String, Result<KeyRing, String>>);

impl Secrets {
    /// Without its keys an instance does not take part: unsigned it would be believed by nobody, or by everybody.
    fn fault(&self, instance: &str) -> Option<String> {
        let error = self.0.get(instance)?.as_ref().err()?;
        Some(format!("auth_hmac: {error}"))
    }
}

/// Authentication beyond PASS: AH is version 2 over IPv4; strict refuses both.
fn policy(instance: &Instance, version: VrrpVersion, ipv6: bool, strict: bool, secrets: &Secrets) -> Policy {
    if strict {
        return Policy::Bare;
    }
    if let (Some(hmac), Some(Ok(keys))) = (&instance.auth_hmac, secrets.0.get(&instance.name)) {
        let interval = advert_interval(instance, version);
        return Policy::Hmac(trailer::Settings::new(hmac, keys.clone(), interval));
    }
    match &instance.authentication {
        Some(auth) if auth.auth_type == AuthType::Ah && version == VrrpVersion::V2 && !ipv6 => {
            Policy::Ah(ah::Key::of_password(&auth.auth_pass.0))
        }
        _ => Policy::Bare,
    }
}

/// The password field of version 2: eight bytes, zero filled; a longer text is cut, as keepalived does.
fn password(instance: &Instance, version: VrrpVersion) -> Option<Password> {
    let auth = instance.authentication.as_ref()?;
    if version != VrrpVersion::V2 || auth.auth_type != AuthType::Pass {
        return None;
    }
    let mut field = [0; 8];
    for (to, from) in field.iter_mut().zip(auth.auth_pass.0.bytes()) {
        *to = from;
    }
    Some(Password(field))
}

fn destination(instance: &Instance, global: &Global, ipv6: bool) -> Destination {
    if instance.unicast_peer.is_empty() {
        let group = instance.mcast_dst_ip.filter(|group| group.is_ipv6() == ipv6);
        return Destination::Multicast(group.unwrap_or_else(|| match ipv6 {
            true => global.vrrp_mcast_group6.unwrap_or(GROUP_V6).into(),
            false => global.vrrp_mcast_group4.unwrap_or(GROUP_V4).into(),
        }));
    }
    let ttl_given = instance.unicast_peer.iter().any(|p| p.min_ttl.is_some() || p.max_ttl.is_some());
    Destination::Unicast {
        peers: instance
            .unicast_peer
            .iter()
            .map(|peer| PeerRule { address: peer.address, min_ttl: peer.min_ttl, max_ttl: peer.max_ttl })
            .collect(),
        // Naming a TTL for a peer turns the source check on (keepalived.conf(5), unicast_peer).
        check_source: ttl_given || instance.check_unicast_src.unwrap_or(global.vrrp_check_unicast_src),
        ttl: instance.unicast_ttl.unwrap_or(255),
    }
}

#[cfg(test)]
mod tests;
