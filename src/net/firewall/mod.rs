//! The packet filter of `no_accept` and of VMACs, and the marks of `nftables_ipvs` ([`marks`]), as desired state: an
//! nftables table of our own in each family. Pure; [`writer`] makes it so over netlink, without the `nft` program.
//!
//! A table of [`Content::Filter`] holds (names as keepalived's where it has them):
//!
//! | chain | rule | why |
//! | --- | --- | --- |
//! | `out` | IGMP, or an MLDv2 report, leaving by an interface in map `vmac_map`: sent by its parent, then dropped | a backup's report with the virtual address as its source would draw the switch's port to the backup |
//! | `out` | router solicitations leaving by one of these: dropped | the same |
//! | `in`, `out` | neighbour solicitation and advertisement: accepted | a virtual IPv6 address must be resolvable |
//! | `in`, `out` | to (from) a link-local address in set `vips_link_local` with its interface: dropped | `no_accept` |
//! | `in`, `out` | to (from) an address in set `vips`: dropped | `no_accept` |
//!
//! Everything is written as one transaction, so that there is never half a filter, and read back. Addresses are set
//! elements: thousands of them are one message. What others have in other tables is never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

mod encode;
mod expression;
pub mod marks;
mod read;
mod session;
mod wire;
pub mod writer;

use marks::{Span, Transport};
pub use session::Error;

/// What a table is for. Each has a table of its own, and a writer of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// `no_accept`, and what VMACs must not send.
    #[default]
    Filter,
    /// Marks for IPVS.
    Marks,
}

/// What the filter should do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// What the table is for; of the rules only its own count.
    pub content: Content,
    /// Grows with each change of wish.
    pub generation: u64,
    /// Name of the table; empty = none is wished, what we made is removed.
    pub table: String,
    /// Priority of both chains; smaller ones see a packet first.
    pub priority: i32,
    /// Each rule counts packets and bytes.
    pub counters: bool,
    /// Interfaces are matched by index rather than by name.
    pub by_index: bool,
    /// For IPv4; `None` = no table.
    pub ipv4: Option<Rules>,
    /// For IPv6.
    pub ipv6: Option<Rules>,
}

/// The rules of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// VMAC to parent: multicast reports leave by the parent.
    pub vmacs: BTreeMap<String, String>,
    /// Nothing goes to or comes from these.
    pub blocked: BTreeSet<IpAddr>,
    /// Link-local ones, each on its interface.
    pub blocked_on: BTreeSet<(Ipv6Addr, String)>,
    /// What comes in to these is marked. Spans of one protocol must not overlap: the kernel refuses them all.
    pub marks: BTreeMap<(Transport, Span), u32>,
}

/// A family of nftables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Ip,
    Ip6,
}

impl Family {
    const ALL: [Self; 2] = [Self::Ip, Self::Ip6];
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Ip { "ip" } else { "ip6" })
    }
}

/// A set (or map) of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SetName {
    Vmacs,
    Blocked,
    BlockedOn,
    Marks(Transport),
}

impl SetName {
    const fn text(self) -> &'static str {
        match self {
            Self::Vmacs => "vmac_map",
            Self::Blocked => "vips",
            Self::BlockedOn => "vips_link_local",
            Self::Marks(transport) => transport.map(),
        }
    }

    /// Those that a table may have.
    const fn of(content: Content, family: Family) -> &'static [Self] {
        match (content, family) {
            (Content::Filter, Family::Ip) => &[Self::Vmacs, Self::Blocked],
            (Content::Filter, Family::Ip6) => &[Self::Vmacs, Self::Blocked, Self::BlockedOn],
            (Content::Marks, _) => {
                &[Self::Marks(Transport::Tcp), Self::Marks(Transport::Udp), Self::Marks(Transport::Sctp)]
            }
        }
    }

    const fn is_map(self) -> bool {
        matches!(self, Self::Vmacs | Self::Marks(_))
    }
}

/// Elements of a set: key and, in a map, value, as the kernel has them. The key of a span is its first key with its
/// last one behind it.
type Elements = BTreeMap<Vec<u8>, Vec<u8>>;

/// What does not change while addresses come and go. A table in another shape is made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    content: Content,
    priority: i32,
    counters: bool,
    by_index: bool,
    /// Reports of VMACs are sent by the parent; the kernel may lack `dup`.
    reports: bool,
    /// Protocols that have marks.
    marks: BTreeSet<Transport>,
}

/// A table as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    shape: Shape,
    sets: BTreeMap<SetName, Elements>,
}

/// A table as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// The comments of its rules by chain, in order.
    rules: Vec<(String, String)>,
    sets: BTreeMap<SetName, Elements>,
}

/// Kernel form of a wish for one family. An interface that does not exist has no element yet.
fn resolve(
    wish: &Ruleset,
    family: Family,
    reports: bool,
    index_of: impl Fn(&str) -> Option<u32>,
) -> Option<Table> {
    let rules = if family == Family::Ip { wish.ipv4.as_ref() } else { wish.ipv6.as_ref() }?;
    if wish.table.is_empty() {
        return None;
    }
    let shape = Shape {
        content: wish.content,
        priority: wish.priority,
        counters: wish.counters,
        by_index: wish.by_index,
        reports,
        marks: rules.marks.keys().map(|(transport, _)| *transport).collect(),
    };
    if wish.content == Content::Marks {
        return Some(Table { shape, sets: marks::sets(family, &rules.marks) });
    }
    let interface = |name: &str| -> Option<Vec<u8>> {
        if wish.by_index {
            return index_of(name).map(|index| index.to_ne_bytes().to_vec());
        }
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(NAME_BYTES, 0);
        Some(bytes)
    };
    let vmacs = rules
        .vmacs
        .iter()
        .filter_map(|(vmac, parent)| Some((interface(vmac)?, index_of(parent)?.to_ne_bytes().to_vec())));
    let blocked = rules.blocked.iter().filter_map(|address| match (family, address) {
        (Family::Ip, IpAddr::V4(v4)) => Some((v4.octets().to_vec(), Vec::new())),
        (Family::Ip6, IpAddr::V6(v6)) => Some((v6.octets().to_vec(), Vec::new())),
        _ => None,
    });
    let blocked_on = rules.blocked_on.iter().filter_map(|(address, name)| {
        let mut key = address.octets().to_vec();
        key.extend(interface(name)?);
        Some((key, Vec::new()))
    });
    let mut sets = BTreeMap::from([
        (SetName::Vmacs, vmacs.collect::<Elements>()),
        (SetName::Blocked, blocked.collect()),
    ]);
    if family == Family::Ip6 {
        sets.insert(SetName::BlockedOn, blocked_on.collect());
    }
    Some(Table { shape, sets })
}

/// Length of an interface name in a set: IFNAMSIZ.
const NAME_BYTES: usize = 16;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// No table of this name, whether there is one or not.
    Drop(Family, String),
    /// The table with its chains, sets and rules, in place of any of this name; the sets are empty.
    Make(Family, String, Shape),
    /// Elements into a set.
    Add(Family, String, SetName, Elements),
    /// Elements out of a set.
    Remove(Family, String, SetName, Elements),
}

/// From what is there to what should be there. `keeps_shape`: the table there is known to be of the wished shape.
fn diff(
    family: Family,
    name: &str,
    found: Option<&Found>,
    wanted: Option<&Table>,
    keeps_shape: bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let owned = || name.to_owned();
    let Some(table) = wanted else {
        steps.extend(found.map(|_| Step::Drop(family, owned())));
        return steps;
    };
    let whole = |found: &&Found| {
        keeps_shape
            && found.rules == encode::expected_rules(family, &table.shape)
            && table.sets.keys().all(|set| found.sets.contains_key(set))
    };
    let found = found.filter(whole);
    if found.is_none() {
        steps.push(Step::Make(family, owned(), table.shape.clone()));
    }
    let nothing = Elements::new();
    for (set, elements) in &table.sets {
        let there = found.and_then(|found| found.sets.get(set)).unwrap_or(&nothing);
        let surplus = minus(there, elements);
        let lacking = minus(elements, there);
        if !surplus.is_empty() {
            steps.push(Step::Remove(family, owned(), *set, surplus));
        }
        if !lacking.is_empty() {
            steps.push(Step::Add(family, owned(), *set, lacking));
        }
    }
    steps
}

/// Elements of `left` that are not, or not so, in `right`.
fn minus(left: &Elements, right: &Elements) -> Elements {
    let differs = |(key, value): &(&Vec<u8>, &Vec<u8>)| right.get(*key) != Some(*value);
    left.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
