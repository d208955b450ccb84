//! Which virtual addresses answer here, and the packet filter that sees to it. Pure; [`crate::net::firewall::writer`]
//! makes it so.
//!
//! RFC 9568 section 6.1 (Accept_Mode): a master that is not the owner of the addresses answers on them only when told
//! to. keepalived's default is to answer; `no_accept` and strict mode are the RFC's. With the filter, LVS services on
//! these addresses are cut off as well, since their packets pass the same hook.
//!
//! The table is `tandem` unless the file says `nftables [TABLE]`, whose default is keepalived's own name: a file that
//! names keepalived's table means it, and without that both daemons can run on one machine, each with a table of its
//! own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use crate::config::model::{Config, Global};
use crate::net::device::Kind;
use crate::net::firewall::{Content, Rules, Ruleset};

use super::vmac::Plan;

/// Name of our table where the file names none.
pub const TABLE: &str = "tandem";
/// Priority of our chains: before those of the usual filter (0), as keepalived.
pub const PRIORITY: i32 = -1;

/// The filter that should be there now. `masters` are the names of the instances that are master, or about to be: it
/// must be in place before their addresses are.
pub fn ruleset(config: &Config, plan: &Plan, masters: &BTreeSet<&str>, generation: u64) -> Ruleset {
    let global = &config.global_defs;
    let mut families = [None, None];
    for device in plan.devices.values().filter(|device| device.kind == Kind::Macvlan) {
        for (carries, rules) in [device.ipv4, device.ipv6].into_iter().zip(&mut families) {
            if carries {
                let rules: &mut Rules = rules.get_or_insert_default();
                rules.vmacs.insert(device.name.clone(), device.parent.clone());
            }
        }
    }
    let [ipv4, ipv6] = &mut families;
    for instance in config.vrrp_instance.iter().filter(|instance| !instance.accepts(global)) {
        let master = masters.contains(instance.name.as_str());
        let placement = plan.placements.get(&instance.name);
        let all = instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded);
        for (at, address) in all.enumerate() {
            let interface =
                placement.and_then(|placement| placement.addresses.get(at)).unwrap_or(&instance.interface);
            let address = address.address.address;
            let rules = if address.is_ipv6() { &mut *ipv6 } else { &mut *ipv4 }.get_or_insert_default();
            match address {
                _ if !master => {}
                IpAddr::V6(v6) if Ipv6Addr::is_unicast_link_local(&v6) => {
                    rules.blocked_on.insert((v6, interface.clone()));
                }
                _ => _ = rules.blocked.insert(address),
            }
        }
    }
    let [ipv4, ipv6] = families;
    Ruleset {
        content: Content::Filter,
        generation,
        table: global.nftables.clone().unwrap_or_else(|| TABLE.to_owned()),
        priority: global.nftables_priority.unwrap_or(PRIORITY),
        counters: global.nftables_counters,
        by_index: global.nftables_ifindex,
        ipv4,
        ipv6,
    }
}

/// What `vrrp_iptables` and `vrrp_ipsets` mean here, in words for the log; `None` when the file has neither.
pub fn note(global: &Global) -> Option<String> {
    let word = match (&global.vrrp_iptables, &global.vrrp_ipsets) {
        (Some(_), _) => "vrrp_iptables",
        (None, Some(_)) => "vrrp_ipsets",
        (None, None) => return None,
    };
    let table = global.nftables.as_deref().unwrap_or(TABLE);
    Some(format!(
        "{word}: the addresses are protected by nftables table {table} instead, no chain or set of iptables is touched; \
         write `nftables {table}` in its place"
    ))
}

#[cfg(test)]
mod tests;
