//! Elements that are one line of text: addresses, routes, rules.

use std::net::Ipv4Addr;

pub use crate::config::text::ElementOption;
use crate::config::units::Prefix;

/// One element of `virtual_ipaddress`: `IP[/MASK] [brd IP|+|-] [dev IF] [scope S] [label L] …`. In YAML it is
/// that same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualAddress {
    /// Address with prefix length; without a mask /32 or /128.
    pub address: Prefix,
    /// `dev`; else the instance's interface.
    pub dev: Option<String>,
    /// `brd` / `broadcast`.
    pub broadcast: Option<Broadcast>,
    /// `scope`; default global.
    pub scope: Option<Scope>,
    /// `label`, IPv4 only, below 16 characters.
    pub label: Option<String>,
    /// `peer`.
    pub peer: Option<Prefix>,
    /// `no_track`: its loss is nothing to the instance.
    pub no_track: bool,
    /// `home`: a mobile home address (IPv6).
    pub home: bool,
    /// `mngtmpaddr`: temporary addresses are made from it (IPv6).
    pub mngtmpaddr: bool,
    /// `noprefixroute`: the kernel adds no route for its subnet.
    pub noprefixroute: bool,
    /// `autojoin`: join the multicast group of this address.
    pub autojoin: bool,
    /// `-nodad`: duplicate address detection stays on (IPv6).
    pub detect_duplicates: bool,
    /// `preferred_lft SECS|forever` (IPv6); default 0 for a /128, else forever.
    pub preferred_lft: Option<Lifetime>,
    /// `use_vmac`: on a VMAC, whatever its `dev`.
    pub use_vmac: bool,
    /// `track_group NAME`, of static addresses.
    pub track_group: Option<String>,
}

/// `preferred_lft`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// Seconds.
    Secs(u32),
    /// Without end.
    Forever,
}

/// `brd` of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broadcast {
    /// `+`: all host bits set.
    Plus,
    /// `-`: all host bits clear.
    Minus,
    /// As written.
    Address(Ipv4Addr),
}

/// `scope` of an address, as rtnetlink's number (0 global, 200 site, 253 link, 254 host, 255 nowhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(pub u8);

/// One element of `virtual_routes` or `static_routes`: `[TYPE] [to] DESTINATION [via IP] [dev IF] [src IP] [metric N]
/// [table T] [option …] [nexthop …]`, as `ip route` has it. In YAML it is that same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// unicast, local, broadcast, multicast, throw, unreachable, prohibit, blackhole, nat; unicast when absent.
    pub kind: Option<String>,
    /// Where it leads.
    pub target: RouteTarget,
    /// Its options in their order, each checked, in canonical spelling.
    pub options: Vec<ElementOption>,
    /// Several ways, each with its options.
    pub nexthops: Vec<Vec<ElementOption>>,
}

/// Destination of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// Everything.
    Default,
    /// A subnet or an address.
    Prefix(Prefix),
}

/// One element of `virtual_rules` or `static_rules`: `[not] [from PREFIX] [to PREFIX] [fwmark N[/MASK]] [iif IF] [oif IF]
/// [table T] [priority N] [option …] [ACTION]`, as `ip rule` has it. In YAML it is that same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its options in their order, each checked, in canonical spelling.
    pub options: Vec<ElementOption>,
}
