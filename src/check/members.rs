//! The services of the kernel that one virtual server is: one for an address or a mark, one for each address of each
//! entry of a `virtual_server_group`. They share the real servers, their checkers and the quorum. With `nftables_ipvs`
//! all addresses of a group are one service, by the mark that [`super::marks`] gives to what comes in to them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::identity::Identity;
use crate::config::model::{self, GroupEntry, IpFamily, Scheduler, VirtualServer, VirtualServerGroup};
use crate::ipvs::table::{
    Checksum, DestinationKey, Family, Forward, Persistence, Protocol, Service, ServiceKey,
};

/// Most addresses that one entry stands for: a slip of the pen must not fill the kernel. The configuration refuses
/// wider ones with a place and a cure; here they are cut.
pub const WIDEST: usize = 65_536;
/// Persistence that port 0 and a bare `persistence_granularity` bring with them, seconds.
const PERSISTENCE: u32 = 360;

/// One service of a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the kernel knows it by.
    pub key: ServiceKey,
    /// Its settings.
    pub service: Service,
}

/// The virtual server's identity and its services in file order, without repetition. `None` without address, mark and
/// known group.
///
/// One service for any port makes all of them persistent, as in keepalived.
pub fn of(server: &VirtualServer, groups: &[VirtualServerGroup]) -> Option<(Identity, Vec<Member>)> {
    let (identity, keys) = if let Some(name) = &server.group {
        let group = groups.iter().find(|group| group.name == *name)?;
        let keys = group_keys(server, group);
        let has_addresses = group.entries.iter().any(|entry| entry.address.is_some());
        let protocol = has_addresses.then(|| protocol(server));
        (Identity::Group { name: name.clone(), protocol }, keys)
    } else {
        let key = own_key(server)?;
        (Identity::Service(key), vec![key])
    };
    // Also where a mark stands for it.
    let any_in_group = || {
        let group = groups.iter().find(|group| server.group.as_ref() == Some(&group.name));
        group.is_some_and(|group| {
            group.entries.iter().any(|e| e.address.is_some() && e.port.unwrap_or(0) == 0)
        })
    };
    let any_port = keys.iter().any(|key| matches!(key, ServiceKey::Address { port: 0, .. }))
        || (server.auto_fwmark.is_some() && any_in_group());
    let mut seen = BTreeSet::new();
    let members = keys
        .into_iter()
        .filter(|key| seen.insert(*key))
        .map(|key| Member { key, service: service(server, &key, any_port) })
        .collect();
    Some((identity, members))
}

pub(super) const fn protocol(server: &VirtualServer) -> Protocol {
    match server.protocol {
        Some(model::Protocol::Tcp) => Protocol::Tcp,
        Some(model::Protocol::Sctp) => Protocol::Sctp,
        Some(model::Protocol::Udp) | None => Protocol::Udp,
    }
}

fn own_key(server: &VirtualServer) -> Option<ServiceKey> {
    if let Some(mark) = server.fwmark.filter(|mark| *mark != 0) {
        return Some(ServiceKey::Fwmark { family: mark_family(server, None, None), mark });
    }
    Some(ServiceKey::Address {
        protocol: protocol(server),
        address: server.address?,
        port: server.port.unwrap_or(0),
    })
}

/// A mark has the family that its line says, or its virtual server, or the group's addresses, or the first real server.
fn mark_family(server: &VirtualServer, own: Option<IpFamily>, group: Option<bool>) -> Family {
    let is_v6 = match own.or(server.ip_family) {
        Some(family) => family == IpFamily::Inet6,
        None => {
            group.unwrap_or_else(|| server.real_server.first().is_some_and(|real| real.address.is_ipv6()))
        }
    };
    if is_v6 { Family::V6 } else { Family::V4 }
}

fn group_keys(server: &VirtualServer, group: &VirtualServerGroup) -> Vec<ServiceKey> {
    let family = group.entries.iter().find_map(|entry| entry.address).map(|address| address.is_ipv6());
    let mut keys = Vec::new();
    for entry in &group.entries {
        if let Some(mark) = entry.fwmark {
            if mark != 0 {
                keys.push(ServiceKey::Fwmark { family: mark_family(server, entry.family, family), mark });
            }
            continue;
        }
        if let Some((mark, address)) = server.auto_fwmark.zip(entry.address) {
            let family = if address.is_ipv6() { Family::V6 } else { Family::V4 };
            keys.push(ServiceKey::Fwmark { family, mark });
            continue;
        }
        let key = |address| ServiceKey::Address {
            protocol: protocol(server),
            address,
            port: entry.port.unwrap_or(0),
        };
        keys.extend(addresses(entry).take(WIDEST).map(key));
    }
    keys
}

/// The addresses of an entry, first to last; none of a firewall mark.
pub fn addresses(entry: &GroupEntry) -> impl Iterator<Item = IpAddr> + use<> {
    let bounds = entry.address.map(|first| (bits(first), bits(last(entry, first)), first.is_ipv6()));
    bounds.into_iter().flat_map(|(from, to, is_v6)| (from..=to).map(move |bits| address_of(bits, is_v6)))
}

/// The address of that number.
pub(super) fn address_of(bits: u128, is_v6: bool) -> IpAddr {
    if is_v6 {
        IpAddr::V6(Ipv6Addr::from(bits))
    } else {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX)))
    }
}

pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

pub(super) fn last(entry: &GroupEntry, first: IpAddr) -> IpAddr {
    match (entry.to.filter(|to| to.is_ipv6() == first.is_ipv6()), entry.length) {
        (Some(to), _) => to,
        (None, Some(length)) => match first {
            IpAddr::V4(first) => {
                let rest = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(first) | rest))
            }
            IpAddr::V6(first) => {
                let rest = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(first) | rest))
            }
        },
        (None, None) => first,
    }
}

/// The settings of the service `key` of a virtual server.
fn service(server: &VirtualServer, key: &ServiceKey, any_port: bool) -> Service {
    let flags = [server.flag_1, server.flag_2, server.flag_3];
    Service {
        scheduler: scheduler_name(server.lb_algo.unwrap_or(Scheduler::Wlc)).to_owned(),
        persistence: persistence(server, key, any_port),
        one_packet: server.ops,
        scheduler_flags: flags.iter().rev().fold(0, |bits, flag| (bits << 1) | u8::from(*flag)),
        engine: server.persistence_engine.clone(),
    }
}

/// A client stays where it is when the file says so, and with port 0, where the kernel asks for it.
fn persistence(server: &VirtualServer, key: &ServiceKey, any_port: bool) -> Option<Persistence> {
    let implied = (any_port || server.persistence_granularity.is_some()).then_some(PERSISTENCE);
    let timeout = server.persistence_timeout.filter(|secs| *secs > 0).or(implied)?;
    let whole = match key.family() {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let granularity = server.persistence_granularity.unwrap_or(whole).clamp(1, whole);
    Some(Persistence { timeout, granularity })
}

/// The kernel's forwarding method.
pub fn forward(method: Option<model::Method>, tunnel: Option<&model::Tunnel>) -> Forward {
    let checksum = match tunnel.and_then(|tunnel| tunnel.checksum) {
        None | Some(model::TunnelChecksum::Nocsum) => Checksum::None,
        Some(model::TunnelChecksum::Csum) => Checksum::Full,
        Some(model::TunnelChecksum::Remcsum) => Checksum::Remote,
    };
    match method {
        None | Some(model::Method::Nat) => Forward::Masquerade,
        Some(model::Method::Dr) => Forward::DirectRoute,
        Some(model::Method::Tun) => match tunnel.map(|tunnel| (tunnel.kind, tunnel.port)) {
            None | Some((model::TunnelKind::Ipip, _)) => Forward::Tunnel,
            Some((model::TunnelKind::Gre, _)) => Forward::Gre { checksum },
            Some((model::TunnelKind::Gue, port)) => Forward::Gue { port: port.unwrap_or(0), checksum },
        },
    }
}

/// The port that packets to a service have, where that is one.
pub const fn service_port(key: &ServiceKey) -> u16 {
    match key {
        ServiceKey::Address { port, .. } => *port,
        ServiceKey::Fwmark { .. } => 0,
    }
}

/// DR and TUN leave the packet's port alone, so their destinations have the service's port (0 = any, with a mark).
/// `port`: `None` = the service's.
pub fn destination_key(
    key: &ServiceKey,
    forward: Forward,
    address: IpAddr,
    port: Option<u16>,
) -> DestinationKey {
    let port = match forward {
        Forward::Masquerade | Forward::Local => port.unwrap_or(service_port(key)),
        Forward::DirectRoute | Forward::Tunnel | Forward::Gue { .. } | Forward::Gre { .. } => {
            service_port(key)
        }
    };
    DestinationKey { address, port }
}

/// The kernel's name of a scheduler.
pub const fn scheduler_name(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Rr => "rr",
        Scheduler::Wrr => "wrr",
        Scheduler::Lc => "lc",
        Scheduler::Wlc => "wlc",
        Scheduler::Lblc => "lblc",
        Scheduler::Lblcr => "lblcr",
        Scheduler::Sh => "sh",
        Scheduler::Mh => "mh",
        Scheduler::Dh => "dh",
        Scheduler::Fo => "fo",
        Scheduler::Ovf => "ovf",
        Scheduler::Sed => "sed",
        Scheduler::Nq => "nq",
        Scheduler::Twos => "twos",
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
