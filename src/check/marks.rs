//! `nftables_ipvs`: which packets get the mark that a group's service goes by. Pure; [`crate::net::firewall::writer`]
//! makes it so.
//!
//! A packet is marked only while its service is in the kernel: before that, and after, it is nobody's.
//!
//! Where virtual servers overlap, their entries are cut, since a map of the kernel knows no overlap: the first one of the
//! file has what both name, and one that names a port goes before one for any port. That is what IPVS makes of them where
//! each address is a service of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::members::{address_of, bits, last, protocol};
use crate::config::model::{Config, VirtualServer, VirtualServerGroup};
use crate::ipvs::table::{Family, Protocol, ServiceKey};
use crate::net::firewall::marks::{Span, Transport};
use crate::net::firewall::{Content, Rules, Ruleset};

/// Name of the table where the file names none, which is keepalived's.
pub const TABLE: &str = "keepalived_ipvs";
/// Priority of the chain where the file has none.
pub const PRIORITY: i32 = -1;
/// Any port, as the file writes it.
const ANY: u16 = 0;

/// The services that packets are marked for; none without `nftables_ipvs`.
pub fn services(config: &Config) -> BTreeSet<ServiceKey> {
    grouped(config).map(|(mark, server, group)| key(mark, server, group)).collect()
}

/// The marks that should be there now, those of the services in `present`.
pub fn ruleset(config: &Config, present: &BTreeSet<ServiceKey>, generation: u64) -> Ruleset {
    let global = &config.global_defs;
    let mut cut = Cut::default();
    // Any port last: it is cut where a port is named.
    for any in [false, true] {
        for (mark, server, group) in grouped(config) {
            if !present.contains(&key(mark, server, group)) {
                continue;
            }
            let transport = transport(server);
            let of = |entry: &&_| port(entry) == ANY;
            for entry in group.entries.iter().filter(|entry| of(entry) == any) {
                let Some(first) = entry.address else { continue };
                let range = (bits(first), bits(last(entry, first)));
                cut.add((transport, first.is_ipv6()), range, port(&entry), mark);
            }
        }
    }
    let mut families = [None, None];
    for ((transport, is_v6), (first, last), ports, mark) in cut.pieces {
        let span = Span { addresses: (address_of(first, is_v6), address_of(last, is_v6)), ports };
        let rules: &mut Rules = families[usize::from(is_v6)].get_or_insert_default();
        rules.marks.insert((transport, span), mark);
    }
    let [ipv4, ipv6] = families;
    let mut table = global.nftables_ipvs.clone().unwrap_or_else(|| TABLE.to_owned());
    if global.nftables.as_ref() == Some(&table) {
        // The table of `no_accept` is another one, whatever the file says.
        table.push_str("_ipvs");
    }
    Ruleset {
        content: Content::Marks,
        generation,
        table,
        priority: global.nftables_ipvs_priority.unwrap_or(PRIORITY),
        counters: global.nftables_counters,
        ipv4,
        ipv6,
        ..Ruleset::default()
    }
}

/// Virtual servers with a mark of ours, and their groups.
fn grouped(config: &Config) -> impl Iterator<Item = (u32, &VirtualServer, &VirtualServerGroup)> {
    let groups: BTreeMap<&str, &VirtualServerGroup> =
        config.virtual_server_group.iter().rev().map(|group| (group.name.as_str(), group)).collect();
    config.virtual_server.iter().filter_map(move |server| {
        let group = groups.get(server.group.as_deref()?)?;
        Some((server.auto_fwmark?, &**server, *group))
    })
}

/// A group has addresses of one family.
fn key(mark: u32, _server: &VirtualServer, group: &VirtualServerGroup) -> ServiceKey {
    let v6 = group.entries.iter().find_map(|entry| entry.address).is_some_and(|address| address.is_ipv6());
    ServiceKey::Fwmark { family: if v6 { Family::V6 } else { Family::V4 }, mark }
}

fn port(entry: &&crate::config::model::GroupEntry) -> u16 {
    entry.port.unwrap_or(ANY)
}

const fn transport(server: &VirtualServer) -> Transport {
    match protocol(server) {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::Sctp => Transport::Sctp,
    }
}

/// Protocol, and whether the addresses are IPv6 ones.
type Plane = (Transport, bool);
/// First and last address as numbers.
type Range = (u128, u128);

/// Spans without overlap.
#[derive(Default)]
struct Cut {
    /// What is given away, by plane and port ([`ANY`] = any): first address to last.
    given: BTreeMap<(Plane, u16), BTreeMap<u128, u128>>,
    pieces: Vec<(Plane, Range, (u16, u16), u32)>,
}

impl Cut {
    /// Gives to a mark what nobody has yet. Entries for any port come behind all others.
    fn add(&mut self, plane: Plane, range: Range, port: u16, mark: u32) {
        if range.0 > range.1 {
            return;
        }
        let given = self.given.entry((plane, port)).or_default();
        let free = minus(range, given);
        given.extend(free.iter().copied());
        if port != ANY {
            self.pieces.extend(free.into_iter().map(|range| (plane, range, (port, port), mark)));
            return;
        }
        for range in free {
            self.around(plane, range, mark);
        }
    }

    /// All ports of these addresses but those that are given away one by one.
    fn around(&mut self, plane: Plane, range: Range, mark: u32) {
        let named = self.given.range((plane, ANY + 1)..=(plane, u16::MAX));
        let holes: Vec<(u16, Range)> = named
            .flat_map(|((_, port), given)| overlapping(range, given).map(|found| (*port, found)))
            .collect();
        // Where the set of holes changes.
        let ends = holes.iter().flat_map(|(_, (from, to))| [Some(*from), to.checked_add(1)]).flatten();
        let mut starts: BTreeSet<u128> = ends.filter(|at| (range.0..=range.1).contains(at)).collect();
        starts.insert(range.0);
        let lasts = starts.iter().skip(1).map(|next| next - 1).chain([range.1]);
        for (first, last) in starts.iter().copied().zip(lasts) {
            let inside: BTreeSet<u16> =
                holes.iter().filter(|(_, (a, b))| *a <= first && last <= *b).map(|(port, _)| *port).collect();
            let mut from = Some(0);
            for port in inside {
                if let Some(from) = from.filter(|from| *from < port) {
                    self.pieces.push((plane, (first, last), (from, port - 1), mark));
                }
                from = port.checked_add(1);
            }
            if let Some(from) = from {
                self.pieces.push((plane, (first, last), (from, u16::MAX), mark));
            }
        }
    }
}

/// The ranges of `given` that have something of `range`.
fn overlapping(range: Range, given: &BTreeMap<u128, u128>) -> impl Iterator<Item = Range> + '_ {
    let before = given.range(..range.0).next_back().filter(|(_, last)| **last >= range.0);
    before.into_iter().chain(given.range(range.0..=range.1)).map(|(first, last)| (*first, *last))
}

/// What of `range` is in none of `given`.
fn minus(range: Range, given: &BTreeMap<u128, u128>) -> Vec<Range> {
    let mut free = Vec::new();
    let mut from = Some(range.0);
    for (first, last) in overlapping(range, given) {
        if let Some(from) = from.filter(|from| *from < first) {
            free.push((from, first - 1));
        }
        from = last.checked_add(1);
    }
    free.extend(from.filter(|from| *from <= range.1).map(|from| (from, range.1)));
    free
}

#[cfg(test)]
#[path = "marks_tests.rs"]
mod tests;
