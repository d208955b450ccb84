//! The elements that are one line each, with the grammar of `ip address`, `ip route` and `ip rule`.
//!
//! In keepalived.conf an element is a line, in YAML the same text as a string. Names of tables, protocols,
//! realms, groups and DS fields stay names: what number /etc/iproute2 gives them is the driver's business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::units::Prefix;

/// An address: `IP[/LENGTH] [brd|broadcast IP|+|-] [dev IF] [scope S] [label L] [peer IP[/LENGTH]] [home]
/// [mngtmpaddr] [noprefixroute] [autojoin] [-nodad] [no_track] [preferred_lft SECONDS|forever]`, among virtual
/// addresses also `[use_vmac]`, among static ones `[track_group NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualAddress {
    /// Address with prefix length; without a mask /32 or /128.
    pub address: Prefix,
    /// `dev`; else the instance's interface, or `default_interface` for a static address.
    pub dev: Option<String>,
    /// `brd` / `broadcast`, IPv4 only and not with a peer; `+` and `-` need a prefix of at most /30.
    pub broadcast: Option<Broadcast>,
    /// `scope`; default global. The kernel finds that of an IPv6 address itself, so there it is global at most.
    pub scope: Option<Scope>,
    /// `label`, IPv4 only, below 16 characters.
    pub label: Option<String>,
    /// `peer`, of the same family; the prefix length is then the peer's.
    pub peer: Option<Prefix>,
    /// `home`: the home address of mobile IPv6.
    pub home: bool,
    /// `mngtmpaddr`: the kernel derives temporary addresses from it (IPv6).
    pub mngtmpaddr: bool,
    /// `noprefixroute`: no route to the subnet comes with it.
    pub noprefixroute: bool,
    /// `autojoin`: a multicast address whose group the kernel joins.
    pub autojoin: bool,
    /// `-nodad`: leaves duplicate address detection on; without it an IPv6 address comes without.
    pub detect_duplicates: bool,
    /// `no_track`: its loss is nothing to the instance.
    pub no_track: bool,
    /// `preferred_lft`; default 0 for a /128, so that it is never chosen as a source, else forever.
    pub preferred_lft: Option<Lifetime>,
    /// `use_vmac`: on the VMAC of the instance even if `dev` is another interface. Virtual addresses only.
    pub use_vmac: bool,
    /// `track_group`: the sync group that is in fault while the address is missing. Static addresses only.
    pub track_group: Option<String>,
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

/// `scope` of an address or route, as rtnetlink's number (0 global, 200 site, 253 link, 254 host, 255 nowhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(pub u8);

/// `preferred_lft`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// Never deprecated.
    Forever,
    /// Seconds; below `u32::MAX`, which the kernel takes for forever.
    Seconds(u32),
}

/// Which block an element stands in: some options belong to one of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// `virtual_…`: moves with an instance.
    Virtual,
    /// `static_…`: there as long as the daemon runs.
    Static,
}

/// A number, or a name that /etc/iproute2 (or /etc/protocols) knows the number of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named<N> {
    /// As a number: decimal, `0x…`, or octal with a leading zero.
    Number(N),
    /// As a name; never starts with a digit.
    Name(String),
}

/// A route: `[TYPE] [to] IP[/LENGTH]|default [inet|inet6] [from PREFIX] [src IP] [via [inet|inet6] IP] [dev IF]
/// [onlink] [table T] [vrf NAME] [metric N] [scope S] [protocol P] [tos T] [realms [FROM/]TO] [METRICS] [expires
/// SECONDS] [pref low|medium|high] [ttl-propagate enabled|disabled] [add|prepend|append] [no_track] [encap ip|ip6
/// OPTIONS | encap mpls LABELS | encap ila LOCATOR] [nexthop [via IP] [dev IF] [weight N] [onlink] [realms R]
/// [encap …]]…`, among static routes also `[track_group NAME]`. TYPE is unicast, local, broadcast, anycast,
/// multicast, throw, unreachable, prohibit, blackhole, nat or xresolve; METRICS are mtu, hoplimit, advmss, rtt,
/// rttvar, rto_min, reordering, window, cwnd, ssthresh, initcwnd, initrwnd, features, quickack, congctl and
/// fastopen_no_cookie, most with `lock` before the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination; `default` is a length of 0. Its family is the route's.
    pub destination: Prefix,
    /// The type; unicast when the file names none.
    pub kind: RouteType,
    /// `from`: for packets with this source only (IPv6).
    pub from: Option<Prefix>,
    /// `src`: the source of what this machine sends itself.
    pub src: Option<IpAddr>,
    /// `via` / `gw`. Of the other family only where the file names that family.
    pub gateway: Option<IpAddr>,
    /// `or`: a second gateway, the old form of two nexthops.
    pub or_gateway: Option<IpAddr>,
    /// `as [to]`.
    pub new_destination: Option<NewDestination>,
    /// `dev` / `oif`.
    pub dev: Option<String>,
    /// `onlink`: the gateway counts as reachable although no route says so.
    pub onlink: bool,
    /// `table`; default main.
    pub table: Option<Named<u32>>,
    /// `vrf`: the table of this VRF.
    pub vrf: Option<String>,
    /// `metric` / `priority` / `preference`: the lowest of equal destinations counts.
    pub metric: Option<u32>,
    /// `scope`.
    pub scope: Option<Scope>,
    /// `protocol`: who made the route; keepalived (18) unless it is not tracked.
    pub protocol: Option<Named<u8>>,
    /// `tos` / `dsfield`.
    pub tos: Option<Named<u8>>,
    /// `realms`, IPv4 only.
    pub realms: Option<Realms>,
    /// What the kernel knows of the path.
    pub metrics: RouteMetrics,
    /// `expires`: seconds until the kernel removes the route (IPv6).
    pub expires: Option<u32>,
    /// `pref` of a default route (IPv6).
    pub pref: Option<RoutePreference>,
    /// `ttl-propagate`: the TTL crosses an MPLS tunnel.
    pub ttl_propagate: Option<bool>,
    /// `add`, `prepend` or `append`; default prepend.
    pub insertion: Option<Insertion>,
    /// `no_track`: its loss is nothing to the instance.
    pub no_track: bool,
    /// `track_group`: the sync group that is in fault while the route is missing. Static routes only.
    pub track_group: Option<String>,
    /// `encap`.
    pub encap: Option<Encap>,
    /// The `nexthop` groups, in the order of the file.
    pub nexthops: Vec<Nexthop>,
}

/// The type of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteType {
    /// To a gateway or an interface.
    #[default]
    Unicast,
    /// To this machine.
    Local,
    /// As a link broadcast.
    Broadcast,
    /// To this machine, as a unicast of several.
    Anycast,
    /// To a group.
    Multicast,
    /// Leave this table.
    Throw,
    /// Drop, with ICMP unreachable.
    Unreachable,
    /// Drop, with ICMP prohibited.
    Prohibit,
    /// Drop in silence.
    Blackhole,
    /// Obsolete.
    Nat,
    /// Obsolete.
    Xresolve,
}

/// `as [to]`: the destination that the packet gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewDestination {
    /// An address.
    Address(IpAddr),
    /// MPLS labels, outermost first; never empty, each below 2^20.
    Labels(Vec<u32>),
}

/// `realms [FROM/]TO`; numbers up to 255, as /etc/iproute2/rt_realms has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realms {
    /// Realm of the source.
    pub from: Option<Named<u8>>,
    /// Realm of the destination.
    pub to: Named<u8>,
}

/// `pref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutePreference {
    /// `low`.
    Low,
    /// `medium`.
    Medium,
    /// `high`.
    High,
}

/// How a route joins those of equal destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// Only if there is none.
    Add,
    /// Before them.
    Prepend,
    /// After them.
    Append,
}

/// One metric and whether `lock` forbids the kernel to adapt it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric<T> {
    /// The value.
    pub value: T,
    /// `lock`.
    pub lock: bool,
}

/// What the kernel is told of a path. Times are whole milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMetrics {
    /// `mtu`.
    pub mtu: Option<Metric<u32>>,
    /// `hoplimit`.
    pub hoplimit: Option<u8>,
    /// `advmss`.
    pub advmss: Option<Metric<u32>>,
    /// `rtt` in ms, at most 960 s.
    pub rtt: Option<Metric<u32>>,
    /// `rttvar` in ms, at most 480 s.
    pub rttvar: Option<Metric<u32>>,
    /// `rto_min` in ms, at most 120 s.
    pub rto_min: Option<Metric<u32>>,
    /// `reordering`.
    pub reordering: Option<Metric<u32>>,
    /// `window`.
    pub window: Option<u32>,
    /// `cwnd`.
    pub cwnd: Option<Metric<u32>>,
    /// `ssthresh`.
    pub ssthresh: Option<Metric<u32>>,
    /// `initcwnd`.
    pub initcwnd: Option<u32>,
    /// `initrwnd`.
    pub initrwnd: Option<u32>,
    /// `features ecn`.
    pub ecn: bool,
    /// `quickack`.
    pub quickack: Option<bool>,
    /// `congctl`; the name is never `lock`.
    pub congctl: Option<Metric<String>>,
    /// `fastopen_no_cookie`.
    pub fastopen_no_cookie: Option<bool>,
}

/// `encap`: what is put before a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encap {
    /// `ip`.
    Ip(IpEncap<Ipv4Addr>),
    /// `ip6`.
    Ip6(IpEncap<Ipv6Addr>),
    /// `mpls`: labels, outermost first; never empty, each below 2^20.
    Mpls(Vec<u32>),
    /// `ila`: the locator, the upper 64 bits of the address.
    Ila([u16; 4]),
}

/// An outer IP header; has at least a destination or an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpEncap<A> {
    /// `id` of the tunnel.
    pub id: Option<u64>,
    /// `dst`.
    pub dst: Option<A>,
    /// `src`.
    pub src: Option<A>,
    /// `tos`, `tc` for IPv6.
    pub tos: Option<Named<u8>>,
    /// `ttl`, `hoplimit` for IPv6.
    pub ttl: Option<u8>,
    /// `flags`.
    pub flags: Option<u16>,
}

/// One `nexthop` of a route over several paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nexthop {
    /// `via`.
    pub gateway: Option<IpAddr>,
    /// `dev`.
    pub dev: Option<String>,
    /// `weight`, 1..=256; default 1.
    pub weight: Option<u16>,
    /// `onlink`.
    pub onlink: bool,
    /// `realms`, IPv4 only.
    pub realms: Option<Realms>,
    /// `as [to]`.
    pub new_destination: Option<NewDestination>,
    /// `encap`.
    pub encap: Option<Encap>,
}

/// A rule: `[not] [from PREFIX|all] [to PREFIX|all] [tos T] [fwmark N[/MASK]] [iif IF] [oif IF] [tunnel-id N]
/// [uidrange A-B] [ipproto P] [sport A[-B]] [dport A[-B]] [realms [FROM/]TO] [preference N] [protocol P]
/// [suppress_prefixlength N] [suppress_ifgroup G] table T|l3mdev|goto N|nop|blackhole|unreachable|prohibit
/// [no_track] [inet|inet6]`, among static rules also `[track_group NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The family: that of `from` and `to`, else as written, else IPv4.
    pub family: Family,
    /// `not`: for packets that do not match.
    pub not: bool,
    /// `from`; none = all.
    pub from: Option<Prefix>,
    /// `to`; none = all.
    pub to: Option<Prefix>,
    /// `tos` / `dsfield`.
    pub tos: Option<Named<u8>>,
    /// `fwmark`.
    pub fwmark: Option<Fwmark>,
    /// `iif` / `dev`.
    pub iif: Option<String>,
    /// `oif`.
    pub oif: Option<String>,
    /// `tunnel-id`.
    pub tunnel_id: Option<u64>,
    /// `uidrange`, first and last.
    pub uidrange: Option<(u32, u32)>,
    /// `ipproto`.
    pub ipproto: Option<Named<u8>>,
    /// `sport`, first and last, from 1 on.
    pub sport: Option<(u16, u16)>,
    /// `dport`, first and last, from 1 on.
    pub dport: Option<(u16, u16)>,
    /// `realms`, IPv4 only; with a table only.
    pub realms: Option<Realms>,
    /// `preference` / `order` / `priority`; without it numbers are handed out downwards from 16384.
    pub preference: Option<u32>,
    /// `protocol`: who made the rule; keepalived (18) unless it is not tracked.
    pub protocol: Option<Named<u8>>,
    /// `suppress_prefixlength` / `sup_pl`: routes of at most this length do not count. With a table only.
    pub suppress_prefixlength: Option<u8>,
    /// `suppress_ifgroup` / `sup_group`: routes to interfaces of this group do not count. Below 2^31, with
    /// a table only.
    pub suppress_ifgroup: Option<Named<u32>>,
    /// What happens to a packet that matches.
    pub action: RuleAction,
    /// `no_track`: its loss is nothing to the instance.
    pub no_track: bool,
    /// `track_group`: the sync group that is in fault while the rule is missing. Static rules only.
    pub track_group: Option<String>,
}

/// Address family of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// `fwmark N[/MASK]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fwmark {
    /// The mark.
    pub mark: u32,
    /// The bits of it that count; all of them when absent.
    pub mask: Option<u32>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// `table` / `lookup`; never 0.
    Table(Named<u32>),
    /// `l3mdev`: the table of the VRF that the packet's interface is in.
    L3mdev,
    /// `goto` a rule further down.
    Goto(u32),
    /// `nop`.
    Nop,
    /// `blackhole`: drop in silence.
    Blackhole,
    /// `unreachable`: drop, with ICMP unreachable.
    Unreachable,
    /// `prohibit`: drop, with ICMP prohibited.
    Prohibit,
}
