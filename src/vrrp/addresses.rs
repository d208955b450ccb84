//! Role to desired addresses, routes and rules: what the kernel should carry while an instance is master, and what it
//! should carry as long as the daemon runs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::config::model::{Broadcast, Config, Instance, Lifetime, Route, Rule, VirtualAddress};
use crate::config::units::Prefix;
use crate::net::address::{AddressKey, AddressSpec, Addresses};
use crate::net::wanted::{Id, Wanted};

use super::routing::{is_untracked, kernel_route, kernel_rule};

/// keepalived's `default_interface` where the file names none.
const DEFAULT_INTERFACE: &str = "eth0";

/// Every address that moves with an instance, advertised and excluded ones alike, as the kernel should carry
/// them. The device is the address's own `dev`, else the instance's interface, else `default_interface`.
/// The first of two equal keys counts. An unspecified address (`0.0.0.0 dev IF`) is none: it only tracks IF.
pub fn wanted_addresses(instance: &Instance, default_interface: &str) -> Addresses {
    let fallback =
        if instance.interface.is_empty() { default_interface } else { instance.interface.as_str() };
    let named = virtual_addresses(instance).filter(|va| !va.address.address.is_unspecified());
    named.map(|address| (key(address, fallback), spec(address))).collect()
}

/// What an instance wants while it is master beside [`wanted_addresses`]: routes and rules, and what of all is not
/// tracked.
pub fn wanted_routing(instance: &Instance, default_interface: &str) -> Wanted {
    let fallback =
        if instance.interface.is_empty() { default_interface } else { instance.interface.as_str() };
    let mut wanted = Wanted::default();
    let loose = virtual_addresses(instance).filter(|va| va.no_track).map(|va| key(va, fallback));
    wanted.untracked.extend(loose.map(Id::Address));
    routing(&instance.virtual_routes, &instance.virtual_rules, &mut wanted);
    wanted.own();
    wanted
}

/// What is there as long as the daemon runs: static addresses, routes and rules, and `promote_secondaries`.
pub fn fixed(config: &Config) -> Wanted {
    let fallback = config.global_defs.default_interface.as_deref().unwrap_or(DEFAULT_INTERFACE);
    let mut wanted = Wanted::default();
    for address in config.static_ipaddress.iter().filter(|va| !va.address.address.is_unspecified()) {
        let key = key(address, fallback);
        if address.no_track {
            wanted.untracked.insert(Id::Address(key.clone()));
        }
        if let Some(group) = &address.track_group {
            wanted.groups.insert(Id::Address(key.clone()), group.clone());
        }
        wanted.want.entry(key).or_insert_with(|| spec(address));
    }
    routing(&config.static_routes, &config.static_rules, &mut wanted);
    let promoting = config.vrrp_instance.iter().filter(|instance| instance.promote_secondaries);
    wanted.promote = promoting.map(|instance| instance.interface.clone()).collect();
    wanted.own();
    wanted
}

/// Adds routes and rules.
fn routing(routes: &[Route], rules: &[Rule], wanted: &mut Wanted) {
    for route in routes {
        let Some(kernel) = kernel_route(route) else { continue };
        if is_untracked(route) {
            wanted.untracked.insert(Id::Route(kernel.key.clone()));
        }
        if let Some(group) = &route.track_group {
            wanted.groups.insert(Id::Route(kernel.key.clone()), group.clone());
        }
        if !wanted.routes.contains(&kernel) {
            wanted.routes.push(kernel);
        }
    }
    for rule in rules {
        let Some(kernel) = kernel_rule(rule) else { continue };
        if rule.no_track {
            wanted.untracked.insert(Id::Rule(kernel.clone()));
        }
        if let Some(group) = &rule.track_group {
            wanted.groups.insert(Id::Rule(kernel.clone()), group.clone());
        }
        wanted.rules.insert(kernel);
    }
}

/// The interfaces beside its own that an instance needs: those of its tracked addresses and routes. One of them down is
/// FAULT, as in keepalived.
pub fn needed_interfaces(instance: &Instance) -> BTreeSet<String> {
    let addresses = virtual_addresses(instance).filter(|va| !va.no_track).filter_map(|va| va.dev.clone());
    let routes = instance.virtual_routes.iter().filter(|route| !is_untracked(route));
    let routes = routes.flat_map(Route::interfaces).map(str::to_owned);
    addresses.chain(routes).filter(|name| *name != instance.interface).collect()
}

/// The addresses as [`wanted_addresses`] has them, in the file's order.
pub fn in_file_order<'a>(instance: &'a Instance, fallback: &'a str) -> impl Iterator<Item = AddressKey> + 'a {
    virtual_addresses(instance)
        .filter(|address| !address.address.address.is_unspecified())
        .map(move |address| key(address, fallback))
}

fn virtual_addresses(instance: &Instance) -> impl Iterator<Item = &VirtualAddress> {
    instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded)
}

fn key(address: &VirtualAddress, fallback: &str) -> AddressKey {
    let interface = address.dev.as_deref().unwrap_or(fallback).to_owned();
    // The kernel keeps one prefix length; with a peer it is the peer's.
    let prefix_len = address.peer.map_or(address.address.length, |peer| peer.length);
    AddressKey { interface, address: address.address.address, prefix_len }
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
    let single = address.address == Prefix::host(address.address.address);
    let ipv6 = address.address.address.is_ipv6();
    AddressSpec {
        broadcast: broadcast(address),
        scope: address.scope.map_or(0, |scope| scope.0),
        label: address.label.clone().filter(|_| !ipv6),
        peer: address.peer.map(|peer| (peer.address, peer.length)),
        home: address.home,
        manage_temporary: address.mngtmpaddr,
        no_prefix_route: address.noprefixroute,
        auto_join: address.autojoin,
        detect_duplicates: address.detect_duplicates,
        preferred: match address.preferred_lft {
            Some(Lifetime::Forever) => None,
            Some(Lifetime::Seconds(seconds)) => Some(seconds),
            // A host address of IPv6 is never chosen as a source unless the file says so.
            None => (ipv6 && single).then_some(0),
        },
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
