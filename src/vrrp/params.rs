//! From the configuration of one instance to what its parts need: machine parameters, acceptance rules,
//! destinations, trackers, addresses. Pure; the driver adds only what the kernel says (links) and what scripts
//! said (tracker values).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::config::model::{AuthType, Config, Global, InitialState, Instance, VrrpVersion};
use crate::net::address::{AddressKey, AddressSpec};
use crate::net::link::{Link, Links};

use super::accept::{PeerRule, Rules, UnicastRules};
use super::addresses::{advertised_addresses, wanted_addresses};
use super::announce::Garp;
use super::machine;
use super::trackers::trackers_of;
pub use super::trackers::{Tracker, TrackerSpec, TrackerValues};

/// The multicast group of IPv4 adverts (RFC 9568 section 5.1.1.2).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Everything that one instance's runner needs from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the instance.
    pub name: String,
    /// Interface of its adverts.
    pub interface: String,
    /// VRID.
    pub vrid: u8,
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
    /// Password field of version 2 PASS.
    pub password: Option<[u8; 8]>,
    /// Source address that the file names.
    pub source: Option<IpAddr>,
    /// Where adverts go.
    pub destination: Destination,
    /// Advertised addresses, in file order.
    pub advertised: Vec<IpAddr>,
    /// Kernel addresses while master.
    pub addresses: BTreeMap<AddressKey, AddressSpec>,
    /// Announcement settings.
    pub garp: Garp,
    /// The own interface decides on FAULT.
    pub track_primary: bool,
    /// What else decides on it, its group's trackers included.
    pub trackers: Vec<TrackerSpec>,
}

/// Where adverts of an instance go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A multicast group.
    Multicast(Ipv4Addr),
    /// Each peer.
    Unicast {
        /// The peers, with their TTL rules.
        peers: Vec<PeerRule>,
        /// Discard adverts of strangers.
        check_source: bool,
    },
}

impl Settings {
    /// Settings of every instance that VRRP over IPv4 can carry.
    pub fn of_config(config: &Config) -> Vec<Self> {
        config.vrrp_instance.iter().map(|instance| Self::of(instance, config)).collect()
    }

    /// Settings of one instance.
    pub fn of(instance: &Instance, config: &Config) -> Self {
        let global = &config.global_defs;
        let version = version(instance, global);
        Self {
            name: instance.name.clone(),
            interface: instance.interface.clone(),
            vrid: instance.virtual_router_id,
            version,
            base_priority: base_priority(instance),
            state_master: instance.state == Some(InitialState::Master),
            advert_int: advert_interval(instance, version),
            preempt: !instance.nopreempt,
            preempt_delay: instance.preempt_delay.map_or(Duration::ZERO, |s| s.0),
            down_timer_adverts: instance.down_timer_adverts.or(global.vrrp_down_timer_adverts).unwrap_or(3),
            password: password(instance, version),
            source: instance.unicast_src_ip.or(instance.mcast_src_ip),
            destination: destination(instance, global),
            advertised: advertised_addresses(instance, false),
            addresses: wanted_addresses(instance, &instance.interface),
            garp: garp(instance, global),
            track_primary: !instance.dont_track_primary,
            trackers: trackers_of(instance, config),
        }
    }

    /// The virtual addresses, advertised or not: never a source of adverts.
    pub fn is_virtual(&self, address: IpAddr) -> bool {
        self.addresses.keys().any(|key| key.address == address)
    }

    /// Source of adverts now: as the file says, else the interface's first address that is no virtual one.
    pub fn own_address(&self, link: Option<&Link>, is_virtual: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let link = link?;
        self.source.or_else(|| link.primary(false, is_virtual))
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
            own,
        }
    }

    /// Which adverts are for this instance.
    pub fn rules(&self, own: Option<IpAddr>) -> Rules {
        Rules {
            version: self.version,
            vrid: self.vrid,
            ipv6: false,
            password: self.password,
            advert_int: self.advert_int,
            addresses: self.advertised.iter().copied().collect::<BTreeSet<_>>(),
            own,
            own_priority: None,
            unicast: match &self.destination {
                Destination::Multicast(_) => None,
                Destination::Unicast { peers, check_source } => {
                    Some(UnicastRules { peers: peers.clone(), check_source: *check_source })
                }
            },
        }
    }

    /// The trackers with their values now. An interface that does not exist is down.
    pub fn trackers_now(&self, links: &Links, values: &TrackerValues) -> Vec<Tracker> {
        let primary = TrackerSpec::interface(&self.interface);
        let rest = self.trackers.iter().filter(|spec| !self.track_primary || **spec != primary);
        let primary = self.track_primary.then_some(&primary);
        primary.into_iter().chain(rest).map(|spec| spec.now(links, values)).collect()
    }

    /// True when a running instance can take `next` over without starting anew.
    pub fn same_router(&self, next: &Self) -> bool {
        self.interface == next.interface && self.vrid == next.vrid && self.version == next.version
    }
}

/// The instance's own word, else the global default, else 2 (keepalived's default for IPv4).
fn version(instance: &Instance, global: &Global) -> VrrpVersion {
    instance.version.or(global.vrrp_version).unwrap_or(VrrpVersion::V2)
}

/// 100, or 255 with `state MASTER` and no priority (features: keepalived's rule).
fn base_priority(instance: &Instance) -> u8 {
    let wished = if instance.state == Some(InitialState::Master) { 255 } else { 100 };
    instance.priority.unwrap_or(wished)
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

/// Announcement settings: the instance's, else the global ones, else keepalived's defaults.
fn garp(instance: &Instance, global: &Global) -> Garp {
    let default = Garp::default();
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
        interval: global.vrrp_garp_interval.map_or(default.interval, |s| s.0),
    }
}

/// The password field of version 2: eight bytes, zero filled; a longer text is cut, as keepalived does.
fn password(instance: &Instance, version: VrrpVersion) -> Option<[u8; 8]> {
    let auth = instance.authentication.as_ref()?;
    if version != VrrpVersion::V2 || auth.auth_type != AuthType::Pass {
        return None;
    }
    let mut field = [0; 8];
    for (to, from) in field.iter_mut().zip(auth.auth_pass.0.bytes()) {
        *to = from;
    }
    Some(field)
}

fn destination(instance: &Instance, global: &Global) -> Destination {
    if instance.unicast_peer.is_empty() {
        return Destination::Multicast(global.vrrp_mcast_group4.unwrap_or(GROUP_V4));
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
    }
}
