//! Routes to the bytes of route netlink and back (`struct rtmsg` with its attributes).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attribute::{Attributes, Body, ip_of, name_of, u16_of, u32_of};
use super::route::{Encap, Hop, IPV6_METRIC, Outer, Route, RouteKey, RouteSpec, Table};

/// Length of `struct rtmsg`.
pub(super) const HEADER: usize = 12;
/// AF_INET, AF_INET6.
const FAMILIES: (u8, u8) = (2, 10);
/// RT_SCOPE_NOWHERE: in a removal, any scope.
const ANY_SCOPE: u8 = 255;
/// RTNH_F_ONLINK.
const ONLINK: u8 = 4;
/// RTM_F_CLONED: a cached answer, no route of the table.
const CLONED: u32 = 0x200;
/// Length of `struct rtnexthop`.
const HOP_HEADER: usize = 8;

const DST: u16 = 1;
const SRC: u16 = 2;
const OIF: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;
const PREFSRC: u16 = 7;
const METRICS: u16 = 8;
const MULTIPATH: u16 = 9;
const FLOW: u16 = 11;
const TABLE: u16 = 15;
const VIA: u16 = 18;
const PREF: u16 = 20;
const ENCAP_TYPE: u16 = 21;
const ENCAP: u16 = 22;
const EXPIRES: u16 = 23;
const TTL_PROPAGATE: u16 = 26;

const METRIC_LOCK: u16 = 1;
const METRIC_CONGESTION: u16 = 16;
/// RTAX_FEATURES is what the kernel adds bits of its own to; only RTAX_FEATURE_ECN is the user's here.
const METRIC_FEATURES: u16 = 12;
const FEATURE_ECN: u32 = 1;

const ENCAP_MPLS: u16 = 1;
const ENCAP_IP: u16 = 2;
const ENCAP_ILA: u16 = 3;
const ENCAP_IP6: u16 = 4;

/// The header of a dump of the routes of one family, protocol and table; 0 = all.
pub(super) fn question(ipv6: bool, protocol: u8, table: u32) -> Vec<u8> {
    let family = if ipv6 { FAMILIES.1 } else { FAMILIES.0 };
    let mut body = Body::new(&[family, 0, 0, 0, 0, protocol, 0, 0, 0, 0, 0, 0]);
    if table != 0 {
        body.put_u32(TABLE, table);
    }
    body.into_bytes()
}

/// The request that adds a route. `index` knows the interfaces; `Err` names one that is not there.
pub(super) fn addition<'a>(
    route: &'a Route,
    index: impl Fn(&str) -> Option<u32>,
) -> Result<Vec<u8>, &'a str> {
    let spec = &route.spec;
    let mut body = head(route, spec.scope, spec.hops.len() == 1 && spec.hops.iter().any(|hop| hop.onlink));
    if let Some(src) = spec.src {
        body.put_ip(PREFSRC, src);
    }
    metrics(&mut body, spec);
    if let Some(expires) = spec.expires {
        body.put_u32(EXPIRES, expires);
    }
    if let Some(preference) = spec.preference {
        body.put_u8(PREF, preference);
    }
    if let Some(on) = spec.ttl_propagate {
        body.put_u8(TTL_PROPAGATE, u8::from(on));
    }
    let find = |hop: &'a Hop| match &hop.dev {
        Some(dev) => index(dev).ok_or(dev.as_str()),
        None => Ok(0),
    };
    match spec.hops.as_slice() {
        [] => {}
        [hop] => {
            let index = find(hop)?;
            if index != 0 {
                body.put_u32(OIF, index);
            }
            way(&mut body, hop);
        }
        several => {
            let list = body.open_as(MULTIPATH);
            for hop in several {
                let flags = if hop.onlink { ONLINK } else { 0 };
                let weight = u8::try_from(hop.weight.clamp(1, 256) - 1).unwrap_or(u8::MAX);
                let open = body.open_hop(flags, weight, find(hop)?);
                way(&mut body, hop);
                body.close(&open);
            }
            body.close(&list);
        }
    }
    Ok(body.into_bytes())
}

/// The request that removes a route as it was found: by its key and its way, so that no other one goes.
pub(super) fn removal(route: &Route, index: impl Fn(&str) -> Option<u32>) -> Vec<u8> {
    let mut body = head(route, ANY_SCOPE, false);
    if let [hop] = route.spec.hops.as_slice() {
        if let Some(index) = hop.dev.as_deref().and_then(index) {
            body.put_u32(OIF, index);
        }
        if let Some(gateway) = hop.gateway {
            put_gateway(&mut body, gateway, route.key.destination.0.is_ipv6());
        }
    }
    body.into_bytes()
}

/// Header and key.
fn head(route: &Route, scope: u8, onlink: bool) -> Body {
    let key = &route.key;
    let ipv6 = key.destination.0.is_ipv6();
    let family = if ipv6 { FAMILIES.1 } else { FAMILIES.0 };
    let table = match key.table {
        Table::Number(number) => number,
        Table::Vrf(_) => 0,
    };
    let source_length = key.source.map_or(0, |(_, length)| length);
    let flags = if onlink { u32::from(ONLINK) } else { 0 };
    let mut header = vec![family, key.destination.1, source_length, key.tos];
    // A table beyond the byte travels as an attribute (RT_TABLE_COMPAT).
    header.extend([u8::try_from(table).unwrap_or(252), key.protocol, scope, route.spec.kind]);
    header.extend(flags.to_ne_bytes());
    let mut body = Body::new(&header);
    if key.destination.1 > 0 {
        body.put_ip(DST, key.destination.0);
    }
    if let Some((source, length)) = key.source
        && length > 0
    {
        body.put_ip(SRC, source);
    }
    body.put_u32(TABLE, table);
    if key.metric != 0 {
        body.put_u32(PRIORITY, key.metric);
    }
    body
}

fn metrics(body: &mut Body, spec: &RouteSpec) {
    if spec.metrics.is_empty() && spec.locked == 0 && spec.congestion.is_none() {
        return;
    }
    let open = body.open(METRICS);
    if spec.locked != 0 {
        body.put_u32(METRIC_LOCK, spec.locked);
    }
    for (number, value) in &spec.metrics {
        body.put_u32(*number, *value);
    }
    if let Some(name) = &spec.congestion {
        body.put_name(METRIC_CONGESTION, name);
    }
    body.close(&open);
}

/// Gateway, realms and encapsulation of a way.
fn way(body: &mut Body, hop: &Hop) {
    // The family of the route is in the header that everything begins with.
    let ipv6 = body.bytes().first() == Some(&FAMILIES.1);
    if let Some(gateway) = hop.gateway {
        put_gateway(body, gateway, ipv6);
    }
    if let Some(flow) = hop.flow {
        body.put_u32(FLOW, flow);
    }
    if let Some(encap) = &hop.encap {
        put_encap(body, encap);
    }
}

fn put_gateway(body: &mut Body, gateway: IpAddr, ipv6: bool) {
    if gateway.is_ipv6() == ipv6 {
        body.put_ip(GATEWAY, gateway);
        return;
    }
    let (family, bytes) = match gateway {
        IpAddr::V4(v4) => (FAMILIES.0, v4.octets().to_vec()),
        IpAddr::V6(v6) => (FAMILIES.1, v6.octets().to_vec()),
    };
    let open = body.open_as(VIA);
    body.raw(&u16::from(family).to_ne_bytes());
    body.raw(&bytes);
    body.close(&open);
}

fn put_encap(body: &mut Body, encap: &Encap) {
    let number = match encap {
        Encap::Mpls(_) => ENCAP_MPLS,
        Encap::Ip(_) => ENCAP_IP,
        Encap::Ila(_) => ENCAP_ILA,
        Encap::Ip6(_) => ENCAP_IP6,
        Encap::Other => return,
    };
    body.put_u16(ENCAP_TYPE, number);
    let open = body.open(ENCAP);
    match encap {
        Encap::Mpls(labels) => {
            let stack = body.open_as(1);
            for (at, label) in labels.iter().enumerate() {
                let bottom = u32::from(at + 1 == labels.len());
                body.raw(&((label << 12) | (bottom << 8)).to_be_bytes());
            }
            body.close(&stack);
        }
        Encap::Ila(groups) => {
            let locator: Vec<u8> = groups.iter().flat_map(|group| group.to_be_bytes()).collect();
            body.put(1, &locator);
        }
        Encap::Ip(outer) => put_outer(body, outer, (5, 4)),
        Encap::Ip6(outer) => put_outer(body, outer, (5, 4)),
        Encap::Other => {}
    }
    body.close(&open);
}

/// `numbers`: of TOS and of TTL, the same in LWTUNNEL_IP_ and LWTUNNEL_IP6_.
fn put_outer<A: Copy + Into<IpAddr>>(body: &mut Body, outer: &Outer<A>, (tos, ttl): (u16, u16)) {
    if let Some(id) = outer.id {
        body.put(1, &id.to_be_bytes());
    }
    if let Some(dst) = outer.dst {
        body.put_ip(2, dst.into());
    }
    if let Some(src) = outer.src {
        body.put_ip(3, src.into());
    }
    if let Some(value) = outer.ttl {
        body.put_u8(ttl, value);
    }
    if let Some(value) = outer.tos {
        body.put_u8(tos, value);
    }
    if let Some(flags) = outer.flags {
        body.put(6, &flags.to_be_bytes());
    }
}

/// A route message as a value; `None` for what is no route of the tables. `name` knows the interfaces by index.
pub(super) fn route(body: &[u8], name: impl Fn(u32) -> Option<String>) -> Option<Route> {
    let header = body.get(..HEADER)?;
    let ipv6 = match *header.first()? {
        family if family == FAMILIES.0 => false,
        family if family == FAMILIES.1 => true,
        _ => return None,
    };
    let unspecified: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let flags = u32_of(header.get(8..)?)?;
    if flags & CLONED != 0 {
        return None;
    }
    let mut key = RouteKey {
        table: Table::Number(u32::from(*header.get(4)?)),
        destination: (unspecified, *header.get(1)?),
        source: None,
        tos: *header.get(3)?,
        metric: 0,
        protocol: *header.get(5)?,
    };
    let source_length = *header.get(2)?;
    let mut spec = RouteSpec { kind: *header.get(7)?, scope: *header.get(6)?, ..RouteSpec::default() };
    let mut hop = Hop { weight: 1, onlink: flags & u32::from(ONLINK) != 0, ..Hop::default() };
    let mut has_way = false;
    let mut encap_type = None;
    for (number, value) in Attributes::new(body.get(HEADER..)?) {
        match number {
            DST => key.destination.0 = ip_of(value)?,
            SRC => key.source = Some((ip_of(value)?, source_length)),
            TABLE => key.table = Table::Number(u32_of(value)?),
            PRIORITY => key.metric = u32_of(value)?,
            PREFSRC => spec.src = ip_of(value),
            METRICS => read_metrics(value, &mut spec),
            PREF => spec.preference = value.first().copied(),
            TTL_PROPAGATE => spec.ttl_propagate = value.first().map(|on| *on != 0),
            EXPIRES => spec.expires = u32_of(value),
            MULTIPATH => spec.hops = read_hops(value, &name),
            ENCAP_TYPE => encap_type = u16_of(value),
            OIF | GATEWAY | VIA | FLOW | ENCAP => {
                has_way |= number != FLOW;
                read_way(number, value, encap_type, &mut hop, &name);
            }
            _ => {}
        }
    }
    // The kernel writes RTA_ENCAP before RTA_ENCAP_TYPE.
    if let Some((_, value)) = Attributes::new(body.get(HEADER..)?).find(|(number, _)| *number == ENCAP) {
        hop.encap = read_encap(encap_type, value);
    }
    if ipv6 && key.metric == 0 {
        key.metric = IPV6_METRIC;
    }
    if spec.hops.is_empty() && has_way {
        spec.hops.push(hop);
    }
    Some(Route { key, spec })
}

fn read_way(
    number: u16,
    value: &[u8],
    encap_type: Option<u16>,
    hop: &mut Hop,
    name: &impl Fn(u32) -> Option<String>,
) {
    match number {
        OIF => hop.dev = u32_of(value).and_then(name),
        GATEWAY => hop.gateway = ip_of(value),
        VIA => hop.gateway = value.get(2..).and_then(ip_of),
        FLOW => hop.flow = u32_of(value),
        ENCAP => hop.encap = read_encap(encap_type, value),
        _ => {}
    }
}

fn read_hops(mut bytes: &[u8], name: &impl Fn(u32) -> Option<String>) -> Vec<Hop> {
    let mut hops = Vec::new();
    while let Some(header) = bytes.get(..HOP_HEADER) {
        let length = usize::from(u16_of(header).unwrap_or(0));
        let (Some(attributes), Some(index)) =
            (bytes.get(HOP_HEADER..length), header.get(4..).and_then(u32_of))
        else {
            break;
        };
        let mut hop = Hop {
            weight: u16::from(header.get(3).copied().unwrap_or(0)) + 1,
            onlink: header.get(2).is_some_and(|flags| flags & ONLINK != 0),
            dev: name(index),
            ..Hop::default()
        };
        let encap_type = Attributes::new(attributes)
            .find(|(number, _)| *number == ENCAP_TYPE)
            .and_then(|(_, v)| u16_of(v));
        for (number, value) in Attributes::new(attributes) {
            read_way(number, value, encap_type, &mut hop, name);
        }
        hops.push(hop);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

fn read_metrics(value: &[u8], spec: &mut RouteSpec) {
    for (number, value) in Attributes::new(value) {
        match number {
            METRIC_LOCK => spec.locked = u32_of(value).unwrap_or(0),
            METRIC_CONGESTION => spec.congestion = Some(name_of(value)),
            METRIC_FEATURES => {
                spec.metrics.extend(u32_of(value).map(|bits| (number, bits & FEATURE_ECN)));
            }
            _ => spec.metrics.extend(u32_of(value).map(|value| (number, value))),
        }
    }
    spec.metrics.sort_unstable();
}

fn read_encap(kind: Option<u16>, value: &[u8]) -> Option<Encap> {
    let part = |wanted: u16| Attributes::new(value).find(|(number, _)| *number == wanted).map(|(_, v)| v);
    Some(match kind? {
        ENCAP_MPLS => {
            let labels = part(1)?.chunks_exact(4).filter_map(|label| <[u8; 4]>::try_from(label).ok());
            Encap::Mpls(labels.map(|label| u32::from_be_bytes(label) >> 12).collect())
        }
        ENCAP_ILA => {
            let mut groups = [0; 4];
            for (group, bytes) in groups.iter_mut().zip(part(1)?.chunks_exact(2)) {
                *group = bytes.try_into().map(u16::from_be_bytes).ok()?;
            }
            Encap::Ila(groups)
        }
        ENCAP_IP => Encap::Ip(read_outer(part, |ip| match ip {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })),
        ENCAP_IP6 => Encap::Ip6(read_outer(part, |ip| match ip {
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        })),
        _ => Encap::Other,
    })
}

fn read_outer<'a, A>(
    part: impl Fn(u16) -> Option<&'a [u8]>,
    address: impl Fn(IpAddr) -> Option<A>,
) -> Outer<A> {
    Outer {
        id: part(1).and_then(|v| Some(u64::from_be_bytes(v.try_into().ok()?))),
        dst: part(2).and_then(ip_of).and_then(&address),
        src: part(3).and_then(ip_of).and_then(&address),
        ttl: part(4).and_then(|v| v.first().copied()),
        tos: part(5).and_then(|v| v.first().copied()),
        flags: part(6).and_then(|v| Some(u16::from_be_bytes(v.try_into().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::route::MAIN;

    fn full(ipv6: bool) -> Route {
        let ip = |host: u8| -> IpAddr {
            if ipv6 {
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into()
            } else {
                [10, 9, 0, host].into()
            }
        };
        let outer = Outer {
            id: Some(7),
            dst: Some([10, 1, 1, 1].into()),
            src: None,
            tos: Some(4),
            ttl: Some(9),
            flags: None,
        };
        let hop = |host, encap| Hop {
            gateway: Some(ip(host)),
            dev: Some("eth0".to_owned()),
            weight: u16::from(host),
            onlink: host == 1,
            flow: None,
            encap,
        };
        Route {
            key: RouteKey {
                table: Table::Number(7000),
                destination: (if ipv6 { "fd01::".parse().unwrap() } else { [10, 1, 0, 0].into() }, 24),
                source: ipv6.then(|| ("fd02::".parse().unwrap(), 48)),
                tos: 0,
                metric: 5,
                protocol: 18,
            },
            spec: RouteSpec {
                src: Some(ip(9)),
                hops: vec![hop(1, Some(Encap::Mpls(vec![100, 200]))), hop(2, Some(Encap::Ip(outer)))],
                metrics: vec![(2, 1400), (4, 1600)],
                locked: 4,
                congestion: Some("cubic".to_owned()),
                preference: ipv6.then_some(3),
                ttl_propagate: Some(false),
                ..RouteSpec::default()
            },
        }
    }

    fn index(name: &str) -> Option<u32> {
        (name == "eth0").then_some(3)
    }

    fn name(index: u32) -> Option<String> {
        (index == 3).then(|| "eth0".to_owned())
    }

    #[test]
    fn what_is_asked_for_reads_back() {
        for ipv6 in [false, true] {
            let several = full(ipv6);
            assert_eq!(route(&addition(&several, index).unwrap(), name), Some(several.clone()));
            let mut one = several;
            one.spec.hops.truncate(1);
            one.spec.hops[0].encap = Some(Encap::Ila([1, 2, 3, 4]));
            one.spec.hops[0].flow = Some(0x0003_0005);
            assert_eq!(route(&addition(&one, index).unwrap(), name), Some(one.clone()));
            one.spec.hops[0].gateway =
                Some(if ipv6 { [10, 9, 0, 1].into() } else { "fd00::1".parse().unwrap() });
            assert_eq!(route(&addition(&one, index).unwrap(), name), Some(one.clone()));
            one.spec.hops.clear();
            one.spec.kind = 6;
            assert_eq!(route(&addition(&one, index).unwrap(), name), Some(one));
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let mut lost = full(false);
        lost.spec.hops[1].dev = Some("eth7".to_owned());
        assert_eq!(addition(&lost, index), Err("eth7"));
    }

    #[test]
    fn a_removal_names_key_and_way() {
        let mut one = full(false);
        one.spec.hops.truncate(1);
        let found = route(&removal(&one, index), name).unwrap();
        assert_eq!(found.key, one.key);
        assert_eq!(found.spec.hops[0].gateway, one.spec.hops[0].gateway);
        assert_eq!(found.spec.scope, ANY_SCOPE);
        assert_eq!(one.key.table, Table::Number(7000));
        assert_ne!(MAIN, 7000);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), family in 0..3usize) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = [2, 10, 7][family];
            }
            let _ = route(&bytes, name);
        }
    }
}
