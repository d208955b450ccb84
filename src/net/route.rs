//! Routes that should be there: desired state, and its difference from what is there.
//!
//! The kernel keeps several routes of one destination, table and metric, each another object; so a wish is a list, and
//! a route of ours in the kernel that fits no wish of its key goes. Only routes of the key's protocol are looked at:
//! those of others, with the same destination or not, are never touched.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The table of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// By number; 254 is main.
    Number(u32),
    /// That of a VRF device, which may come and go.
    Vrf(String),
}

/// Number of the table `main`.
pub const MAIN: u32 = 254;
/// rtm_type of blackhole, unreachable, prohibit and throw.
const LEAD_NOWHERE: std::ops::RangeInclusive<u8> = 6..=9;
/// The metric that the kernel gives an IPv6 route that names none (IP6_RT_PRIO_USER).
pub const IPV6_METRIC: u32 = 1024;

/// What identifies a route among those of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// Where it stands.
    pub table: Table,
    /// Destination with its prefix length, host bits zero.
    pub destination: (IpAddr, u8),
    /// `from`, IPv6 only.
    pub source: Option<(IpAddr, u8)>,
    /// TOS byte, IPv4 only.
    pub tos: u8,
    /// Metric; the kernel's own default filled in.
    pub metric: u32,
    /// Who made it (rtm_protocol): 18 is ours.
    pub protocol: u8,
}

/// How it should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// rtm_type: 1 unicast, 2 local, 6 blackhole, …
    pub kind: u8,
    /// rtm_scope; what the kernel asks for at least where the file says nothing.
    pub scope: u8,
    /// RTA_PREFSRC.
    pub src: Option<IpAddr>,
    /// Its ways: none for a blackhole and the like, several for a route over several paths.
    pub hops: Vec<Hop>,
    /// RTAX numbers with their values, in the kernel's units, ascending.
    pub metrics: Vec<(u16, u32)>,
    /// RTAX_LOCK: a bit for each metric that the kernel must not adapt.
    pub locked: u32,
    /// RTAX_CC_ALGO.
    pub congestion: Option<String>,
    /// RTA_EXPIRES, seconds, IPv6 only: such a route is not put back.
    pub expires: Option<u32>,
    /// RTA_PREF: 0 medium, 1 high, 3 low.
    pub preference: Option<u8>,
    /// RTA_TTL_PROPAGATE.
    pub ttl_propagate: Option<bool>,
    /// How it joins routes of the same destination.
    pub insertion: Insertion,
}

impl Default for RouteSpec {
    fn default() -> Self {
        Self {
            kind: 1,
            scope: 0,
            src: None,
            hops: Vec::new(),
            metrics: Vec::new(),
            locked: 0,
            congestion: None,
            expires: None,
            preference: None,
            ttl_propagate: None,
            insertion: Insertion::Prepend,
        }
    }
}

/// How a route joins those of equal destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insertion {
    /// Only if there is none.
    Add,
    /// Before them.
    #[default]
    Prepend,
    /// After them.
    Append,
}

/// One way of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// Gateway; of the other family it travels as RTA_VIA.
    pub gateway: Option<IpAddr>,
    /// Interface by name: it may come and go. None: the kernel finds it by the gateway.
    pub dev: Option<String>,
    /// Weight among several, from 1.
    pub weight: u16,
    /// RTNH_F_ONLINK.
    pub onlink: bool,
    /// RTA_FLOW: source realm in the upper half, destination realm in the lower.
    pub flow: Option<u32>,
    /// What is put before the packet.
    pub encap: Option<Encap>,
}

/// `encap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encap {
    /// An outer IPv4 header.
    Ip(Outer<Ipv4Addr>),
    /// An outer IPv6 header.
    Ip6(Outer<Ipv6Addr>),
    /// MPLS labels, outermost first. The kernel needs its module mpls_iptunnel.
    Mpls(Vec<u32>),
    /// An ILA locator. The kernel needs its module ila.
    Ila([u16; 4]),
    /// One of others that is not told apart.
    Other,
}

/// An outer header; what is not set is the kernel's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer<A> {
    /// Id of the tunnel.
    pub id: Option<u64>,
    /// Its end.
    pub dst: Option<A>,
    /// Its start.
    pub src: Option<A>,
    /// TOS or traffic class.
    pub tos: Option<u8>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// Tunnel flags.
    pub flags: Option<u16>,
}

/// A route, wished or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What identifies it.
    pub key: RouteKey,
    /// How it is, or should be.
    pub spec: RouteSpec,
}

/// One step towards the wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Take it away, as it was found.
    Remove(Route),
    /// Put it there.
    Add(Route),
}

impl Route {
    /// True when it is as `wish` has it: what the wish leaves open is the kernel's.
    pub fn fits(&self, wish: &Self) -> bool {
        let (there, spec) = (&self.spec, &wish.spec);
        let zero = |metrics: &[(u16, u32)]| -> Vec<(u16, u32)> {
            metrics.iter().copied().filter(|(_, value)| *value != 0).collect()
        };
        let ipv6 = self.key.destination.0.is_ipv6();
        self.key == wish.key
            && there.kind == spec.kind
            // IPv6 routes have no scope.
            && (ipv6 || there.scope == spec.scope)
            && there.src == spec.src
            && zero(&there.metrics) == zero(&spec.metrics)
            && there.locked == spec.locked
            && there.congestion == spec.congestion
            && there.preference.unwrap_or(0) == spec.preference.unwrap_or(0)
            && spec.ttl_propagate.is_none_or(|on| there.ttl_propagate == Some(on))
            && same_hops(&there.hops, &spec.hops, spec.kind)
    }
}

/// The ways in any order: the kernel sorts them as it likes.
fn same_hops(there: &[Hop], wish: &[Hop], kind: u8) -> bool {
    if wish.is_empty() && LEAD_NOWHERE.contains(&kind) {
        // Of IPv6 they show the loopback device.
        return there.iter().all(|hop| hop.gateway.is_none());
    }
    let several = wish.len() > 1;
    let mut left: Vec<&Hop> = there.iter().collect();
    // A wish that leaves the interface open fits more: it chooses last.
    let (named, open): (Vec<&Hop>, Vec<&Hop>) = wish.iter().partition(|hop| hop.dev.is_some());
    left.len() == wish.len()
        && named.into_iter().chain(open).all(|hop| {
            let found = left.iter().position(|other| other.fits(hop, several));
            found.map(|at| left.swap_remove(at)).is_some()
        })
}

impl Hop {
    fn fits(&self, wish: &Self, several: bool) -> bool {
        self.gateway == wish.gateway
            && (wish.dev.is_none() || self.dev == wish.dev)
            && (!several || self.weight.max(1) == wish.weight.max(1))
            && self.onlink == wish.onlink
            && self.flow.unwrap_or(0) == wish.flow.unwrap_or(0)
            && match (&self.encap, &wish.encap) {
                (None, None) => true,
                (Some(there), Some(wish)) => there.fits(wish),
                _ => false,
            }
    }
}

impl Encap {
    /// What the wish does not name is the kernel's choice, and it tells all of it.
    fn fits(&self, wish: &Self) -> bool {
        match (self, wish) {
            (Self::Ip(there), Self::Ip(wish)) => there.fits(wish),
            (Self::Ip6(there), Self::Ip6(wish)) => there.fits(wish),
            (there, wish) => there == wish,
        }
    }
}

impl<A: PartialEq> Outer<A> {
    fn fits(&self, wish: &Self) -> bool {
        fn open<T: PartialEq>(there: &Option<T>, wish: &Option<T>) -> bool {
            wish.is_none() || there == wish
        }
        open(&self.id, &wish.id)
            && open(&self.dst, &wish.dst)
            && open(&self.src, &wish.src)
            && open(&self.tos, &wish.tos)
            && open(&self.ttl, &wish.ttl)
            && open(&self.flags, &wish.flags)
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, length) = self.destination;
        write!(f, "route {address}/{length}")?;
        if let Some((address, length)) = self.source {
            write!(f, " from {address}/{length}")?;
        }
        match &self.table {
            Table::Number(MAIN) => {}
            Table::Number(number) => write!(f, " table {number}")?,
            Table::Vrf(name) => write!(f, " vrf {name}")?,
        }
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        let plain = if address.is_ipv6() { IPV6_METRIC } else { 0 };
        if self.metric != plain { write!(f, " metric {}", self.metric) } else { Ok(()) }
    }
}

/// From what is there to what should be there. Removals come first and in reverse order, additions in the order of the
/// wish: a route may need the one before it to reach its gateway. Nothing of a key outside `ours` goes, nor of another
/// protocol.
pub fn diff(actual: &[Route], wanted: &[Route], ours: &BTreeSet<RouteKey>) -> Vec<Change> {
    let mut missing: Vec<Option<&Route>> = wanted.iter().map(Some).collect();
    let mut changes = Vec::new();
    let interfaces = |wish: &Route| wish.spec.hops.iter().filter(|hop| hop.dev.is_some()).count();
    for there in actual {
        // Of several wishes that it fits, the one that says most.
        let fitting = missing.iter_mut().filter(|slot| slot.is_some_and(|wish| there.fits(wish)));
        match fitting.max_by_key(|slot| slot.map(interfaces)) {
            Some(slot) => *slot = None,
            None if ours.contains(&there.key) || wanted.iter().any(|wish| wish.key == there.key) => {
                changes.push(Change::Remove(there.clone()));
            }
            None => {}
        }
    }
    changes.reverse();
    changes.extend(missing.into_iter().flatten().cloned().map(Change::Add));
    changes
}

#[cfg(test)]
mod tests;
