//! The addresses of a pair: those that adverts come from, and those that move.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::diagnostic::Level;
use crate::config::model::VirtualAddress;
use crate::vrrp::params::Destination;

use super::{Findings, Matched, Who, listed};

/// The addresses that adverts come from.
pub(super) fn sources(pair: &Matched<'_>, findings: &mut Findings) {
    let title = &pair.title;
    let (Some(a), Some(b)) = (pair.address(Who::A), pair.address(Who::B)) else { return };
    let multicast = matches!(pair.settings(Who::A).destination, Destination::Multicast(_));
    if a == b {
        findings.add(
            Level::Error,
            "pair-source",
            format!("{title}: both send from {a}"),
            "nobody can tell the two apart: with equal priorities each takes the other's adverts for its own voice, \
             and both are master",
            "each needs its own mcast_src_ip (or unicast_src_ip), or none: then it takes that of its interface",
        );
        return;
    }
    if !multicast {
        return;
    }
    // A prefix length is in no file but with the virtual addresses: where one covers one director and not the other,
    // they are not on one link.
    let all = |who| pair.instance(who).virtual_ipaddress.iter();
    for va in all(Who::A).chain(all(Who::B)) {
        if va.address.length < 32 && va.address.contains(a) != va.address.contains(b) {
            let (inside, outside) = if va.address.contains(a) { (Who::A, Who::B) } else { (Who::B, Who::A) };
            findings.add(
                Level::Warning,
                "pair-subnet",
                format!(
                    "{title}: {inside} sends from inside the subnet of {}, {outside} does not",
                    va.address
                ),
                "multicast adverts cross no router: if the two are on different networks, both become master",
                "see that both interfaces are on one network, or use unicast_peer",
            );
            return;
        }
    }
}

/// Both lists of virtual addresses.
pub(super) fn carried(pair: &Matched<'_>, findings: &mut Findings) {
    let [a, b] = Who::BOTH.map(|who| pair.instance(who));
    list(pair, "virtual_ipaddress", [&a.virtual_ipaddress, &b.virtual_ipaddress], findings);
    let excluded = [&a.virtual_ipaddress_excluded, &b.virtual_ipaddress_excluded];
    list(pair, "virtual_ipaddress_excluded", excluded, findings);
}

fn list(
    pair: &Matched<'_>,
    keyword: &'static str,
    lists: [&Vec<VirtualAddress>; 2],
    findings: &mut Findings,
) {
    let title = &pair.title;
    let [a, b] = lists.map(|list| list.iter().map(|va| va.address.address).collect::<Vec<IpAddr>>());
    let advertised = keyword == "virtual_ipaddress";
    for (who, ours, theirs) in [(Who::A, &a, &b), (Who::B, &b, &a)] {
        let only: Vec<IpAddr> = ours.iter().filter(|x| !theirs.contains(x)).copied().collect();
        if only.is_empty() {
            continue;
        }
        let refused = if advertised {
            "; keepalived before 2.3.4 discards the adverts too, and both are master"
        } else {
            ""
        };
        let missing = words(only.iter().copied());
        findings.add(
            Level::Error,
            "pair-addresses",
            format!("{title}: {missing} is in {keyword} of {who} alone"),
            format!("while {} is master, nobody has {missing}{refused}", who.other()),
            "write the same list on both",
        );
    }
    let mut lengths = Vec::new();
    for va in lists[0] {
        if let Some(other) = lists[1].iter().find(|x| x.address.address == va.address.address)
            && other.address.length != va.address.length
        {
            let (address, x, y) = (va.address.address, va.address.length, other.address.length);
            lengths.push(format!("{address} is /{x} on A and /{y} on B"));
        }
    }
    if !lengths.is_empty() {
        findings.add(
            Level::Warning,
            "pair-prefix",
            format!("{title}: {}", listed(&lengths)),
            "the connected route comes with one of them and not with the other (without a mask it is /32)",
            "write the same length on both",
        );
    }
    let (sorted_a, sorted_b) = (a.iter().collect::<BTreeSet<_>>(), b.iter().collect::<BTreeSet<_>>());
    if a != b && sorted_a == sorted_b && a.len() == b.len() {
        findings.add(
            Level::Advice,
            "pair-order",
            format!("{title}: {keyword} has another order on A than on B"),
            "it works; adverts name the addresses in the order of the file, which other makes of router may mind",
            "write them in the same order",
        );
    }
}

/// `10.0.0.1, 10.0.0.2 and 10.0.0.3`.
pub(super) fn words(addresses: impl Iterator<Item = IpAddr>) -> String {
    let all: Vec<String> = addresses.map(|address| address.to_string()).collect();
    if all.is_empty() { "its addresses".to_owned() } else { listed(&all) }
}
