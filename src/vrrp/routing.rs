//! Routes and rules of the configuration as the kernel should carry them: names are numbers already, what the file
//! leaves open is as keepalived has it.

use std::net::IpAddr;

use crate::config::model::{
    Encap, Family, Insertion, IpEncap, Metric, Named, Nexthop, Realms, Route, RouteMetrics, RoutePreference,
    RouteType, Rule, RuleAction,
};
use crate::config::units::Prefix;
use crate::net::address::PROTOCOL;
use crate::net::{route, rule};

/// Round trip times below have no meaning for TCP: keepalived raises them. Milliseconds.
const LEAST_RTT: u32 = 200;
/// What the numbers of rules without a preference count down from, as keepalived does.
const FIRST_PREFERENCE: u32 = 16_384;
/// What a mark without a mask is compared under.
const ALL_BITS: u32 = u32::MAX;

/// True when the loss of a route is nothing to anybody: as the file says, or because no interface is named to watch, or
/// because the kernel itself removes it after a time.
pub fn is_untracked(route: &Route) -> bool {
    route.no_track || route.dev.is_none() || route.expires.is_some()
}

/// A route as the kernel should have it; `None` where a name has no number, which loading has reported.
pub fn kernel_route(config: &Route) -> Option<route::Route> {
    let ipv6 = config.destination.address.is_ipv6();
    let table = match (&config.vrf, &config.table) {
        (Some(vrf), None) => route::Table::Vrf(vrf.clone()),
        (_, Some(table)) => route::Table::Number(number(table)?),
        (None, None) => route::Table::Number(route::MAIN),
    };
    let metric = match config.metric {
        None | Some(0) if ipv6 => route::IPV6_METRIC,
        metric => metric.unwrap_or(0),
    };
    let protocol = config.protocol.as_ref().filter(|_| config.no_track || config.dev.is_none());
    let key = route::RouteKey {
        table,
        destination: masked(config.destination),
        source: config.from.map(masked),
        tos: config.tos.as_ref().filter(|_| !ipv6).map_or(Some(0), number)?,
        metric,
        protocol: protocol.map_or(Some(PROTOCOL), number)?,
    };
    let (metrics, locked, congestion) = metrics(&config.metrics);
    let spec = route::RouteSpec {
        kind: kind(config.kind),
        scope: if ipv6 { 0 } else { config.scope.map_or_else(|| least_scope(config.kind), |scope| scope.0) },
        src: config.src,
        hops: hops(config)?,
        metrics,
        locked,
        congestion,
        expires: config.expires,
        preference: config.pref.map(|preference| match preference {
            RoutePreference::Low => 3,
            RoutePreference::Medium => 0,
            RoutePreference::High => 1,
        }),
        ttl_propagate: config.ttl_propagate,
        insertion: match config.insertion {
            Some(Insertion::Add) => route::Insertion::Add,
            None | Some(Insertion::Prepend) => route::Insertion::Prepend,
            Some(Insertion::Append) => route::Insertion::Append,
        },
    };
    Some(route::Route { key, spec })
}

fn kind(kind: RouteType) -> u8 {
    match kind {
        RouteType::Unicast => 1,
        RouteType::Local => 2,
        RouteType::Broadcast => 3,
        RouteType::Anycast => 4,
        RouteType::Multicast => 5,
        RouteType::Blackhole => 6,
        RouteType::Unreachable => 7,
        RouteType::Prohibit => 8,
        RouteType::Throw => 9,
        RouteType::Nat => 10,
        RouteType::Xresolve => 11,
    }
}

/// Global, as keepalived has it, but for types that the kernel refuses then.
fn least_scope(kind: RouteType) -> u8 {
    match kind {
        RouteType::Local | RouteType::Nat => 254,
        RouteType::Broadcast | RouteType::Anycast => 253,
        _ => 0,
    }
}

/// The ways of a route; none for one that leads nowhere.
fn hops(config: &Route) -> Option<Vec<route::Hop>> {
    use RouteType::{Blackhole, Prohibit, Throw, Unreachable};
    if matches!(config.kind, Blackhole | Prohibit | Throw | Unreachable) {
        return Some(Vec::new());
    }
    let flow = config.realms.as_ref().map_or(Some(None), |realms| flow(realms).map(Some))?;
    let encap = config.encap.as_ref().map_or(Some(None), |encap| wrapped(encap).map(Some))?;
    let own = route::Hop {
        gateway: config.gateway,
        dev: config.dev.clone(),
        weight: 1,
        onlink: config.onlink,
        flow,
        encap,
    };
    if !config.nexthops.is_empty() {
        return config.nexthops.iter().map(|hop| nexthop(hop, &own)).collect();
    }
    if let Some(gateway) = config.or_gateway {
        return Some(vec![own.clone(), route::Hop { gateway: Some(gateway), ..own }]);
    }
    let nothing = own.gateway.is_none() && own.dev.is_none() && own.encap.is_none();
    Some(if nothing { Vec::new() } else { vec![own] })
}

/// One of several ways; what it leaves open is as the route has it.
fn nexthop(config: &Nexthop, route: &route::Hop) -> Option<route::Hop> {
    let realms = config.realms.as_ref().map_or(Some(route.flow), |realms| flow(realms).map(Some))?;
    let encap = config.encap.as_ref().map_or(Some(route.encap.clone()), |encap| wrapped(encap).map(Some))?;
    Some(route::Hop {
        gateway: config.gateway,
        dev: config.dev.clone(),
        weight: config.weight.unwrap_or(1),
        onlink: config.onlink || route.onlink,
        flow: realms,
        encap,
    })
}

fn wrapped(encap: &Encap) -> Option<route::Encap> {
    Some(match encap {
        Encap::Ip(outer) => route::Encap::Ip(header(outer)?),
        Encap::Ip6(outer) => route::Encap::Ip6(header(outer)?),
        Encap::Mpls(labels) => route::Encap::Mpls(labels.clone()),
        Encap::Ila(locator) => route::Encap::Ila(*locator),
    })
}

fn header<A: Copy>(outer: &IpEncap<A>) -> Option<route::Outer<A>> {
    let tos = outer.tos.as_ref().map_or(Some(None), |tos| number(tos).map(Some))?;
    Some(route::Outer {
        id: outer.id,
        dst: outer.dst,
        src: outer.src,
        tos,
        ttl: outer.ttl,
        flags: outer.flags,
    })
}

/// RTAX numbers with values in the kernel's units, the lock bits, the congestion control.
fn metrics(config: &RouteMetrics) -> (Vec<(u16, u32)>, u32, Option<String>) {
    let mut found = Vec::new();
    let mut locked = 0;
    let mut put = |number: u16, metric: &Option<Metric<u32>>, scale: u32, least: u32| {
        if let Some(metric) = metric {
            found.push((number, metric.value.max(least).saturating_mul(scale)));
            locked |= u32::from(metric.lock) << number;
        }
    };
    let plain = |value: Option<u32>| value.map(|value| Metric { value, lock: false });
    put(2, &config.mtu, 1, 0);
    put(3, &plain(config.window), 1, 0);
    // In eighths and quarters of a millisecond (tcp_metrics.c).
    put(4, &config.rtt, 8, LEAST_RTT);
    put(5, &config.rttvar, 4, LEAST_RTT);
    put(6, &config.ssthresh, 1, 0);
    put(7, &config.cwnd, 1, 0);
    put(8, &config.advmss, 1, 0);
    put(9, &config.reordering, 1, 0);
    put(10, &plain(config.hoplimit.map(u32::from)), 1, 0);
    put(11, &plain(config.initcwnd), 1, 0);
    put(12, &plain(config.ecn.then_some(1)), 1, 0);
    put(13, &config.rto_min, 1, 0);
    put(14, &plain(config.initrwnd), 1, 0);
    put(15, &plain(config.quickack.map(u32::from)), 1, 0);
    put(17, &plain(config.fastopen_no_cookie.map(u32::from)), 1, 0);
    if let Some(congestion) = &config.congctl {
        locked |= u32::from(congestion.lock) << 16;
    }
    (found, locked, config.congctl.as_ref().map(|metric| metric.value.clone()))
}

/// A rule as the kernel should have it; `None` where a name has no number, which loading has reported.
pub fn kernel_rule(config: &Rule) -> Option<rule::Rule> {
    let action = match &config.action {
        RuleAction::Table(table) => rule::Action::Table(number(table)?),
        RuleAction::L3mdev => rule::Action::L3mdev,
        RuleAction::Goto(target) => rule::Action::Goto(*target),
        RuleAction::Nop => rule::Action::Nop,
        RuleAction::Blackhole => rule::Action::Blackhole,
        RuleAction::Unreachable => rule::Action::Unreachable,
        RuleAction::Prohibit => rule::Action::Prohibit,
    };
    fn optional<N: Copy, M: From<N>>(named: Option<&Named<N>>) -> Option<Option<M>> {
        named.map_or(Some(None), |named| number(named).map(|number| Some(number.into())))
    }
    let protocol = config.protocol.as_ref().filter(|_| config.no_track);
    let ipv6 = config.family == Family::Inet6;
    Some(rule::Rule {
        invert: config.not,
        from: config.from.map(masked).filter(|(_, length)| *length > 0),
        to: config.to.map(masked).filter(|(_, length)| *length > 0),
        tos: config.tos.as_ref().map_or(Some(0), number)?,
        fwmark: config.fwmark.map(|fwmark| (fwmark.mark, fwmark.mask.unwrap_or(ALL_BITS))),
        iif: config.iif.clone(),
        oif: config.oif.clone(),
        tunnel_id: config.tunnel_id,
        uids: config.uidrange,
        ip_protocol: optional(config.ipproto.as_ref())?,
        source_ports: config.sport,
        destination_ports: config.dport,
        flow: config.realms.as_ref().map_or(Some(None), |realms| flow(realms).map(Some))?,
        suppress_length: config.suppress_prefixlength.map(u32::from),
        suppress_group: optional(config.suppress_ifgroup.as_ref())?,
        protocol: protocol.map_or(Some(PROTOCOL), number)?,
        ..rule::Rule::all(ipv6, config.preference.unwrap_or(FIRST_PREFERENCE), action)
    })
}

/// Source realm in the upper half, destination realm in the lower.
fn flow(realms: &Realms) -> Option<u32> {
    let from = realms.from.as_ref().map_or(Some(0), number)?;
    Some(u32::from(from) << 16 | u32::from(number(&realms.to)?))
}

fn number<N: Copy>(named: &Named<N>) -> Option<N> {
    match named {
        Named::Number(number) => Some(*number),
        Named::Name(_) => None,
    }
}

/// The prefix with its host bits zero: the kernel takes no others.
fn masked(prefix: Prefix) -> (IpAddr, u8) {
    let length = u32::from(prefix.length);
    let address = match prefix.address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    };
    (address, prefix.length)
}

#[cfg(test)]
mod tests;
