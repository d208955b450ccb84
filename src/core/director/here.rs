//! A director that is a real server of its own services, by direct routing or tunnel: what it needs to be one while the
//! other director is master, and what keeps packets from circling between the two.

use std::net::IpAddr;

use crate::check::members;
use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::{Config, Instance, Method, RealServer, Shared, VirtualServer};
use crate::core::reload::service_name;
use crate::ipvs::table::ServiceKey;
use crate::net::sysctl::Key;

use super::{Addresses, Need, Rule, has, method};

/// The real servers that are this machine and get packets with the virtual address in them.
fn own<'a>(server: &'a VirtualServer, addresses: &Addresses) -> impl Iterator<Item = &'a RealServer> {
    let here = |real: &&RealServer| method(server, real) != Method::Nat && has(addresses, real.address);
    server.real_server.iter().filter(here)
}

/// Its virtual addresses that instances carry, each with its instance.
fn carried<'a>(config: &'a Config, server: &VirtualServer) -> Vec<(IpAddr, &'a Instance)> {
    let Some((_, members)) = members::of(server, &config.virtual_server_group) else { return Vec::new() };
    let of = |instance: &'a Instance| {
        let all = instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded);
        all.map(move |one| (one.address.address, instance))
    };
    let all: std::collections::BTreeMap<_, _> = config.vrrp_instance.iter().flat_map(of).collect();
    let mut found: Vec<(IpAddr, &Instance)> = members
        .iter()
        .filter_map(|member| match member.key {
            ServiceKey::Address { address, .. } => Some((address, *all.get(&address)?)),
            ServiceKey::Fwmark { .. } => None,
        })
        .collect();
    found.dedup_by_key(|(address, _)| *address);
    found
}

/// The settings that it needs of the kernel as a real server.
pub(super) fn needs(config: &Config, server: &Shared<VirtualServer>, addresses: &Addresses) -> Vec<Need> {
    let mut needs = Vec::new();
    let Some(real) = own(server, addresses).next() else { return needs };
    let mut add = |key, rule, without| {
        needs.push(Need {
            key,
            rule,
            level: Level::Warning,
            place: server.place(),
            why: format!(
                "this machine is real server {} of virtual_server {}",
                real.address,
                service_name(server)
            ),
            without,
            sets: true,
        });
    };
    for (_, instance) in carried(config, server).iter().filter(|(address, _)| address.is_ipv4()) {
        let without =
            "as BACKUP it answers ARP for the virtual address on lo, and takes clients from the master";
        add(Key::v4(&instance.interface, "arp_ignore"), Rule::LargerAtLeast(1), without);
        let without = "as BACKUP it tells its neighbours that the virtual address on lo is here";
        add(Key::v4(&instance.interface, "arp_announce"), Rule::LargerAtLeast(2), without);
    }
    if own(server, addresses).any(|real| method(server, real) == Method::Tun && real.address.is_ipv4()) {
        let without = "packets that come out of the tunnel are dropped, since the way back leads elsewhere";
        add(Key::v4("tunl0", "rp_filter"), Rule::NotStrict, without);
    }
    needs
}

/// What no setting cures: packets that circle, and a virtual address that is not there as BACKUP.
pub(super) fn judge(config: &Config, addresses: &Addresses) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for server in &config.virtual_server {
        let Some(real) = own(server, addresses).next() else { continue };
        let name = format!("virtual_server {}", service_name(server));
        let others = server.real_server.iter().any(|other| !has(addresses, other.address));
        let carried = carried(config, server);
        let Some((_, instance)) = carried.first() else { continue };
        if others && server.active_on.is_none() {
            findings.push(Diagnostic {
                level: Level::Warning,
                place: server.place(),
                code: "packets-circle",
                problem: format!("{name}: this machine is its director and its real server {}", real.address),
                consequence: "as BACKUP it balances again what the master forwards to it: packets circle between the two"
                    .to_owned(),
                fix: format!("write active_on {} into it, on both directors", instance.name),
            });
        }
        let elsewhere = |address: IpAddr, interface: &str| {
            let written = config.static_ipaddress.iter();
            let mut written = written.filter(|one| one.address.address == address);
            written.any(|one| one.dev.as_deref().is_some_and(|dev| dev != interface))
                || addresses.get(&address).is_some_and(|all| all.iter().any(|dev| dev != interface))
        };
        // Of an interface of its own (VMAC) it cannot be told whether the address is there as MASTER only.
        let mut plain = carried.iter().filter(|(_, instance)| instance.use_vmac.is_none());
        if let Some((address, _)) = plain.find(|(address, i)| !elsewhere(*address, &i.interface)) {
            let length = if address.is_ipv4() { 32 } else { 128 };
            findings.push(Diagnostic {
                level: Level::Warning,
                place: server.place(),
                code: "address-not-on-lo",
                problem: format!("{name}: this machine is its real server {}, and {address} is on no other interface than that of vrrp_instance", real.address),
                consequence: "as BACKUP it drops what the master forwards to it".to_owned(),
                fix: format!("write static_ipaddress {{ {address}/{length} dev lo }}, or run tandem-real-server start {address}"),
            });
        }
    }
    findings
}
