//! Role to desired addresses: what the kernel should carry while an instance is master.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::config::model::{Broadcast, Instance, VirtualAddress};
use crate::config::units::Prefix;
use crate::net::address::{AddressKey, AddressSpec};

/// Every address that moves with an instance, advertised and excluded ones alike, as the kernel should carry
/// them. The device is the address's own `dev`, else the instance's interface, else `default_interface`.
/// The first of two equal keys counts.
pub fn wanted_addresses(instance: &Instance, default_interface: &str) -> BTreeMap<AddressKey, AddressSpec> {
    let fallback =
        if instance.interface.is_empty() { default_interface } else { instance.interface.as_str() };
    let mut wanted = BTreeMap::new();
    for address in instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded) {
        let interface = address.dev.as_deref().unwrap_or(fallback).to_owned();
        // The kernel keeps one prefix length; with a peer it is the peer's.
        let prefix_len = address.peer.map_or(address.address.length, |peer| peer.length);
        let key = AddressKey { interface, address: address.address.address, prefix_len };
        wanted.entry(key).or_insert_with(|| spec(address));
    }
    wanted
}

/// The addresses that an instance's adverts name, in the file's order: those of its family, at most 255.
pub fn advertised_addresses(instance: &Instance, ipv6: bool) -> Vec<IpAddr> {
    instance
        .virtual_ipaddress
        .iter()
        .map(|address| address.address.address)
        .filter(|address| address.is_ipv6() == ipv6)
        .take(255)
        .collect()
}

/// How one address should be there.
fn spec(address: &VirtualAddress) -> AddressSpec {
    AddressSpec {
        broadcast: broadcast(address),
        scope: address.scope.map_or(0, |scope| scope.0),
        label: address.label.clone().filter(|_| address.address.address.is_ipv4()),
        peer: address.peer.map(|peer| (peer.address, peer.length)),
    }
}

/// The broadcast address; IPv4 only. `+` and `-` need host bits, so they mean nothing for /31 and /32.
fn broadcast(address: &VirtualAddress) -> Option<Ipv4Addr> {
    let Prefix { address: IpAddr::V4(v4), length } = address.address else { return None };
    let host_bits = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    match address.broadcast? {
        Broadcast::Address(given) => Some(given),
        Broadcast::Plus if length <= 30 => Some(Ipv4Addr::from(u32::from(v4) | host_bits)),
        Broadcast::Minus if length <= 30 => Some(Ipv4Addr::from(u32::from(v4) & !host_bits)),
        Broadcast::Plus | Broadcast::Minus => None,
    }
}

#[cfg(test)]
mod tests;
