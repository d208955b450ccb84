//! Random elements that can be written and read back. Used by the tests here and of the whole model. Parts are
//! boxed: the value trees of such wide types would not fit into the stack of a test's thread.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::model::{
    Broadcast, Encap, Family, Fwmark, Insertion, IpEncap, Lifetime, Metric, Named, NewDestination, Nexthop,
    Realms, Route, RouteMetrics, RoutePreference, RouteType, Rule, RuleAction, Scope, VirtualAddress,
};
use super::super::units::Prefix;

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(Ipv6Addr::from)
}

fn ip(ipv6: bool) -> BoxedStrategy<IpAddr> {
    if ipv6 { v6().prop_map(IpAddr::V6).boxed() } else { v4().prop_map(IpAddr::V4).boxed() }
}

/// Hosts, the whole of the family and anything between.
fn prefix(ipv6: bool) -> BoxedStrategy<Prefix> {
    let longest: u8 = if ipv6 { 128 } else { 32 };
    let zero: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    prop_oneof![
        6 => (ip(ipv6), 0..=longest).prop_map(|(address, length)| Prefix { address, length }),
        2 => ip(ipv6).prop_map(Prefix::host),
        2 => Just(Prefix { address: zero, length: 0 }),
    ]
    .boxed()
}

/// Names, words of the grammar among them.
fn name() -> impl Strategy<Value = String> {
    let words: &'static [&str] =
        &["nexthop", "default", "table", "lock_", "eth0.100", "br-lan", "no_track", "inet6", "via", "é/ü"];
    prop_oneof![select(words).prop_map(str::to_owned), text(12)]
}

/// Letters first, then what interfaces and tables are called.
fn text(longest: usize) -> impl Strategy<Value = String> {
    let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyzABCXYZ_0123456789.:-@".chars().collect();
    (0usize..33, prop::collection::vec(select(letters.clone()), 0..longest))
        .prop_map(move |(first, rest)| letters[first..=first].iter().chain(&rest).collect())
}

fn named<N: Arbitrary + Clone + 'static>() -> impl Strategy<Value = Named<N>> {
    prop_oneof![any::<N>().prop_map(Named::Number), text(12).prop_map(Named::Name)]
}

fn scope() -> impl Strategy<Value = Scope> {
    any::<u8>().prop_map(Scope)
}

fn realms() -> impl Strategy<Value = Realms> {
    (of(named()), named()).prop_map(|(from, to)| Realms { from, to })
}

fn metric<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Metric<T>>> {
    of((value, any::<bool>()).prop_map(|(value, lock)| Metric { value, lock }))
}

/// What virtual and static addresses have in common.
fn address() -> impl Strategy<Value = VirtualAddress> {
    any::<bool>().prop_flat_map(|ipv6| {
        let broadcast =
            prop_oneof![Just(Broadcast::Plus), Just(Broadcast::Minus), v4().prop_map(Broadcast::Address)];
        let lifetime = prop_oneof![Just(Lifetime::Forever), (0..u32::MAX).prop_map(Lifetime::Seconds)];
        let values =
            (prefix(ipv6), of(name()), of(broadcast), of(scope()), of(text(14)), of(prefix(ipv6))).boxed();
        (values, any::<[bool; 6]>(), of(lifetime)).prop_map(
            move |((address, dev, mut broadcast, scope, label, peer), flags, preferred_lft)| {
                let computed = !matches!(broadcast, Some(Broadcast::Address(_)));
                if ipv6 || peer.is_some() || (computed && address.length > 30) {
                    broadcast = None;
                }
                let [home, mngtmpaddr, noprefixroute, autojoin, detect_duplicates, no_track] = flags;
                VirtualAddress {
                    address: if peer.is_some() { Prefix::host(address.address) } else { address },
                    dev,
                    broadcast,
                    scope: scope.map(|scope| if ipv6 { Scope(0) } else { scope }),
                    label: label.filter(|_| !ipv6),
                    peer,
                    home,
                    mngtmpaddr,
                    noprefixroute,
                    autojoin,
                    detect_duplicates,
                    no_track,
                    preferred_lft,
                    use_vmac: false,
                    track_group: None,
                }
            },
        )
    })
}

/// An element of `virtual_ipaddress` and `virtual_ipaddress_excluded`.
pub(crate) fn virtual_address() -> BoxedStrategy<VirtualAddress> {
    (address(), any::<bool>()).prop_map(|(address, use_vmac)| VirtualAddress { use_vmac, ..address }).boxed()
}

/// An element of `static_ipaddress`.
pub(crate) fn static_address() -> BoxedStrategy<VirtualAddress> {
    (address(), of(name()))
        .prop_map(|(address, track_group)| VirtualAddress { track_group, ..address })
        .boxed()
}

fn labels() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0u32..1 << 20, 1..=3)
}

fn outer<A: std::fmt::Debug + 'static>(
    address: impl Strategy<Value = A> + Clone + 'static,
) -> impl Strategy<Value = IpEncap<A>> {
    let ends = (of(any::<u64>()), address.clone(), any::<bool>(), of(address)).boxed();
    (ends, of(named()), of(any::<u8>()), of(any::<u16>())).prop_map(
        |((id, dst, with_dst, src), tos, ttl, flags)| {
            let dst = (with_dst || id.is_none()).then_some(dst);
            IpEncap { id, dst, src, tos, ttl, flags }
        },
    )
}

fn encap() -> BoxedStrategy<Encap> {
    prop_oneof![
        outer(any::<u32>().prop_map(Ipv4Addr::from).boxed()).prop_map(Encap::Ip),
        outer(any::<u128>().prop_map(Ipv6Addr::from).boxed()).prop_map(Encap::Ip6),
        labels().prop_map(Encap::Mpls),
        any::<[u16; 4]>().prop_map(Encap::Ila),
    ]
    .boxed()
}

fn new_destination() -> impl Strategy<Value = NewDestination> {
    prop_oneof![
        any::<bool>().prop_flat_map(ip).prop_map(NewDestination::Address),
        labels().prop_map(NewDestination::Labels),
    ]
}

/// A gateway, now and then of the other family.
fn gateway(ipv6: bool) -> impl Strategy<Value = IpAddr> {
    prop_oneof![9 => ip(ipv6), 1 => ip(!ipv6)]
}

fn nexthop(ipv6: bool) -> impl Strategy<Value = Nexthop> {
    let path = (of(gateway(ipv6)), of(name()), of(1u16..=256), any::<bool>()).boxed();
    (path, of(realms()), of(new_destination()), of(encap())).prop_map(
        move |((gateway, dev, weight, onlink), realms, new_destination, encap)| Nexthop {
            gateway,
            dev,
            weight,
            onlink,
            realms: realms.filter(|_| !ipv6),
            new_destination,
            encap,
        },
    )
}

fn metrics() -> impl Strategy<Value = RouteMetrics> {
    let number = any::<u32>;
    let locked =
        (metric(number()), metric(number()), metric(number()), metric(number()), metric(number())).boxed();
    let times = (metric(0..=960_000u32), metric(0..=480_000u32), metric(0..=120_000u32)).boxed();
    let plain = (of(any::<u8>()), of(number()), of(number()), of(number())).boxed();
    let flags = (any::<bool>(), of(any::<bool>()), of(any::<bool>())).boxed();
    (locked, times, plain, flags, metric(text(20))).prop_map(|(locked, times, plain, flags, congctl)| {
        let (mtu, advmss, reordering, cwnd, ssthresh) = locked;
        let (rtt, rttvar, rto_min) = times;
        let (hoplimit, window, initcwnd, initrwnd) = plain;
        let (ecn, quickack, fastopen_no_cookie) = flags;
        RouteMetrics {
            mtu,
            hoplimit,
            advmss,
            rtt,
            rttvar,
            rto_min,
            reordering,
            window,
            cwnd,
            ssthresh,
            initcwnd,
            initrwnd,
            ecn,
            quickack,
            congctl: congctl.filter(|congctl| congctl.value != "lock"),
            fastopen_no_cookie,
        }
    })
}

/// An element of `virtual_routes`; a static one may have a `track_group` too.
pub(crate) fn route() -> BoxedStrategy<Route> {
    any::<bool>().prop_flat_map(route_of).boxed()
}

fn route_of(ipv6: bool) -> impl Strategy<Value = Route> {
    use RoutePreference::{High, Low, Medium};
    use RouteType::{
        Anycast, Blackhole, Broadcast, Local, Multicast, Nat, Prohibit, Throw, Unicast, Unreachable, Xresolve,
    };
    let kinds = select(vec![
        Unicast,
        Local,
        Broadcast,
        Anycast,
        Multicast,
        Throw,
        Unreachable,
        Prohibit,
        Blackhole,
        Nat,
        Xresolve,
    ]);
    let ends = (prefix(ipv6), kinds, of(prefix(true)), of(ip(ipv6)), of(gateway(ipv6)), of(ip(ipv6))).boxed();
    let place =
        (of(new_destination()), of(name()), any::<bool>(), of(named()), of(name()), of(any::<u32>())).boxed();
    let kept = (of(scope()), of(named()), of(named()), of(realms()), metrics()).boxed();
    let insertions = select(vec![Insertion::Add, Insertion::Prepend, Insertion::Append]);
    let rest = (
        of(any::<u32>()),
        of(select(vec![Low, Medium, High])),
        of(any::<bool>()),
        of(insertions),
        any::<bool>(),
    )
        .boxed();
    let paths = (of(encap()), prop::collection::vec(nexthop(ipv6), 0..=3)).boxed();
    (ends, place, kept, rest, paths).prop_map(move |(ends, place, kept, rest, (encap, nexthops))| {
        let (destination, kind, from, src, gateway, or_gateway) = ends;
        let (new_destination, dev, onlink, table, vrf, metric) = place;
        let (scope, protocol, tos, realms, metrics) = kept;
        let (expires, pref, ttl_propagate, insertion, no_track) = rest;
        Route {
            destination,
            kind,
            from: from.filter(|_| ipv6),
            src,
            gateway,
            or_gateway,
            new_destination,
            dev,
            onlink,
            table,
            vrf,
            metric,
            scope,
            protocol,
            tos,
            realms: realms.filter(|_| !ipv6),
            metrics,
            expires: expires.filter(|_| ipv6),
            pref: pref.filter(|_| ipv6),
            ttl_propagate,
            insertion,
            no_track,
            track_group: None,
            encap,
            nexthops,
        }
    })
}

/// Numbers in order.
fn range<N: Arbitrary + Copy + Ord + 'static>(least: N) -> impl Strategy<Value = (N, N)> {
    any::<(N, N)>().prop_map(move |(a, b)| (a.min(b).max(least), a.max(b).max(least)))
}

fn action() -> impl Strategy<Value = RuleAction> {
    let table = named().prop_filter("there is no table 0", |table| *table != Named::Number(0));
    prop_oneof![
        4 => table.prop_map(RuleAction::Table),
        1 => Just(RuleAction::L3mdev),
        1 => any::<u32>().prop_map(RuleAction::Goto),
        1 => select(vec![
            RuleAction::Nop, RuleAction::Blackhole, RuleAction::Unreachable, RuleAction::Prohibit,
        ]),
    ]
}

/// An element of `virtual_rules`; a static one may have a `track_group` too.
pub(crate) fn rule() -> BoxedStrategy<Rule> {
    any::<bool>().prop_flat_map(rule_of).boxed()
}

fn rule_of(ipv6: bool) -> impl Strategy<Value = Rule> {
    let fwmark = any::<(u32, Option<u32>)>().prop_map(|(mark, mask)| Fwmark { mark, mask });
    let ends = (any::<bool>(), of(prefix(ipv6)), of(prefix(ipv6)), of(named()), of(fwmark)).boxed();
    let packet = (of(name()), of(name()), of(any::<u64>()), of(range(0u32)), of(named())).boxed();
    let ports = (of(range(1u16)), of(range(1u16))).boxed();
    let rest = (of(any::<u32>()), of(named()), action(), any::<bool>()).boxed();
    let group = prop_oneof![(0u32..1 << 31).prop_map(Named::Number), text(12).prop_map(Named::Name)];
    let lookup = (of(realms()), of(0u8..=128), of(group)).boxed();
    (ends, packet, ports, rest, lookup).prop_map(move |(ends, packet, (sport, dport), rest, lookup)| {
        let (not, from, to, tos, fwmark) = ends;
        let (iif, oif, tunnel_id, uidrange, ipproto) = packet;
        let (mut preference, protocol, mut action, no_track) = rest;
        if let RuleAction::Goto(target) = &mut action {
            *target = (*target).max(1);
            preference = Some(preference.unwrap_or(0) % *target);
        }
        let looks_up = matches!(action, RuleAction::Table(_) | RuleAction::L3mdev);
        let (realms, suppress_prefixlength, suppress_ifgroup) =
            if looks_up { lookup } else { (None, None, None) };
        let realms = realms.filter(|_| !ipv6);
        Rule {
            family: if ipv6 { Family::Inet6 } else { Family::Inet },
            not,
            from,
            to,
            tos,
            fwmark,
            iif,
            oif,
            tunnel_id,
            uidrange,
            ipproto,
            sport,
            dport,
            realms,
            preference,
            protocol,
            suppress_prefixlength,
            suppress_ifgroup,
            action,
            no_track,
            track_group: None,
        }
    })
}
