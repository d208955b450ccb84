//! Rules to the bytes of route netlink and back (`struct fib_rule_hdr` with its attributes).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attribute::{Attributes, Body, ip_of, name_of, u16_of, u32_of};
use super::rule::{Action, Rule};

/// Length of `struct fib_rule_hdr`.
pub(super) const HEADER: usize = 12;
const FAMILIES: (u8, u8) = (2, 10);
/// FIB_RULE_INVERT.
const INVERT: u32 = 2;
/// What the kernel writes where nothing is suppressed.
const NOTHING: u32 = u32::MAX;

const DST: u16 = 1;
const SRC: u16 = 2;
const IIF: u16 = 3;
const GOTO: u16 = 4;
const PRIORITY: u16 = 6;
const FWMARK: u16 = 10;
const FLOW: u16 = 11;
const TUNNEL: u16 = 12;
const SUPPRESS_GROUP: u16 = 13;
const SUPPRESS_LENGTH: u16 = 14;
const TABLE: u16 = 15;
const FWMASK: u16 = 16;
const OIF: u16 = 17;
const L3MDEV: u16 = 19;
const UIDS: u16 = 20;
const PROTOCOL: u16 = 21;
const IP_PROTOCOL: u16 = 22;
const SOURCE_PORTS: u16 = 23;
const DESTINATION_PORTS: u16 = 24;

/// The body of a dump of one family's rules.
pub(super) fn question(ipv6: bool) -> Vec<u8> {
    let mut body = vec![0; HEADER];
    if let Some(family) = body.first_mut() {
        *family = if ipv6 { FAMILIES.1 } else { FAMILIES.0 };
    }
    body
}

/// The body of a request that adds or removes a rule: both name all of it.
pub(super) fn request(rule: &Rule) -> Vec<u8> {
    let family = if rule.ipv6 { FAMILIES.1 } else { FAMILIES.0 };
    let (action, table) = match rule.action {
        Action::Table(table) => (1, table),
        Action::L3mdev => (1, 0),
        Action::Goto(_) => (2, 0),
        Action::Nop => (3, 0),
        Action::Blackhole => (6, 0),
        Action::Unreachable => (7, 0),
        Action::Prohibit => (8, 0),
        Action::Other(number) => (number, 0),
    };
    let length = |prefix: Option<(IpAddr, u8)>| prefix.map_or(0, |(_, length)| length);
    let flags = if rule.invert { INVERT } else { 0 };
    let mut header = vec![family, length(rule.to), length(rule.from), rule.tos];
    header.extend([u8::try_from(table).unwrap_or(252), 0, 0, action]);
    header.extend(flags.to_ne_bytes());
    let mut body = Body::new(&header);
    body.put_u32(PRIORITY, rule.priority);
    body.put_u8(PROTOCOL, rule.protocol);
    if let Some((address, _)) = rule.from.filter(|(_, length)| *length > 0) {
        body.put_ip(SRC, address);
    }
    if let Some((address, _)) = rule.to.filter(|(_, length)| *length > 0) {
        body.put_ip(DST, address);
    }
    if let Some((mark, mask)) = rule.fwmark {
        body.put_u32(FWMARK, mark);
        body.put_u32(FWMASK, mask);
    }
    if let Some(name) = &rule.iif {
        body.put_name(IIF, name);
    }
    if let Some(name) = &rule.oif {
        body.put_name(OIF, name);
    }
    if let Some(id) = rule.tunnel_id {
        body.put(TUNNEL, &id.to_be_bytes());
    }
    if let Some((first, last)) = rule.uids {
        body.put(UIDS, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
    }
    if let Some(protocol) = rule.ip_protocol {
        body.put_u8(IP_PROTOCOL, protocol);
    }
    for (number, ports) in [(SOURCE_PORTS, rule.source_ports), (DESTINATION_PORTS, rule.destination_ports)] {
        if let Some((first, last)) = ports {
            body.put(number, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
    }
    if let Some(flow) = rule.flow {
        body.put_u32(FLOW, flow);
    }
    if let Some(length) = rule.suppress_length {
        body.put_u32(SUPPRESS_LENGTH, length);
    }
    if let Some(group) = rule.suppress_group {
        body.put_u32(SUPPRESS_GROUP, group);
    }
    match rule.action {
        Action::Table(table) => body.put_u32(TABLE, table),
        Action::L3mdev => body.put_u8(L3MDEV, 1),
        Action::Goto(target) => body.put_u32(GOTO, target),
        _ => {}
    }
    body.into_bytes()
}

/// A rule message as a value; `None` for another family.
pub(super) fn rule(body: &[u8]) -> Option<Rule> {
    let header = body.get(..HEADER)?;
    let ipv6 = match *header.first()? {
        family if family == FAMILIES.0 => false,
        family if family == FAMILIES.1 => true,
        _ => return None,
    };
    let unspecified: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let (to_length, from_length) = (*header.get(1)?, *header.get(2)?);
    let mut rule = Rule { protocol: 0, ..Rule::all(ipv6, 0, Action::Nop) };
    rule.invert = u32_of(header.get(8..)?)? & INVERT != 0;
    rule.tos = *header.get(3)?;
    let (mut from, mut to) = (unspecified, unspecified);
    let (mut table, mut target, mut l3mdev) = (u32::from(*header.get(4)?), 0, false);
    let (mut mark, mut mask) = (None, None);
    for (number, value) in Attributes::new(body.get(HEADER..)?) {
        match number {
            SRC => from = ip_of(value)?,
            DST => to = ip_of(value)?,
            IIF => rule.iif = Some(name_of(value)),
            OIF => rule.oif = Some(name_of(value)),
            GOTO => target = u32_of(value)?,
            PRIORITY => rule.priority = u32_of(value)?,
            FWMARK => mark = u32_of(value),
            FWMASK => mask = u32_of(value),
            FLOW => rule.flow = u32_of(value),
            TUNNEL => rule.tunnel_id = value.try_into().ok().map(u64::from_be_bytes),
            SUPPRESS_GROUP => rule.suppress_group = u32_of(value).filter(|group| *group != NOTHING),
            SUPPRESS_LENGTH => rule.suppress_length = u32_of(value).filter(|length| *length != NOTHING),
            TABLE => table = u32_of(value)?,
            L3MDEV => l3mdev = value.first().is_some_and(|on| *on != 0),
            UIDS => rule.uids = Some((u32_of(value)?, u32_of(value.get(4..)?)?)),
            PROTOCOL => rule.protocol = value.first().copied().unwrap_or(0),
            IP_PROTOCOL => rule.ip_protocol = value.first().copied(),
            SOURCE_PORTS => rule.source_ports = Some((u16_of(value)?, u16_of(value.get(2..)?)?)),
            DESTINATION_PORTS => rule.destination_ports = Some((u16_of(value)?, u16_of(value.get(2..)?)?)),
            _ => {}
        }
    }
    rule.from = (from_length > 0).then_some((from, from_length));
    rule.to = (to_length > 0).then_some((to, to_length));
    // A mark of 0 is told by its mask alone.
    rule.fwmark = mask.map(|mask| (mark.unwrap_or(0), mask)).or(mark.map(|mark| (mark, u32::MAX)));
    rule.action = match *header.get(7)? {
        1 if l3mdev => Action::L3mdev,
        1 => Action::Table(table),
        2 => Action::Goto(target),
        3 => Action::Nop,
        6 => Action::Blackhole,
        7 => Action::Unreachable,
        8 => Action::Prohibit,
        number => Action::Other(number),
    };
    Some(rule)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_asked_for_reads_back() {
        let full = Rule {
            invert: true,
            from: Some(([10, 0, 0, 0].into(), 8)),
            to: Some(([10, 1, 0, 0].into(), 16)),
            tos: 4,
            fwmark: Some((5, 0xff)),
            iif: Some("eth0".to_owned()),
            oif: Some("eth1".to_owned()),
            tunnel_id: Some(77),
            uids: Some((1, 99)),
            ip_protocol: Some(6),
            source_ports: Some((1, 1023)),
            destination_ports: Some((80, 80)),
            flow: Some(0x0003_0005),
            suppress_length: Some(0),
            suppress_group: Some(9),
            ..Rule::all(false, 100, Action::Table(7000))
        };
        assert_eq!(rule(&request(&full)), Some(full));
        let actions = [Action::L3mdev, Action::Goto(9), Action::Nop, Action::Blackhole, Action::Unreachable];
        for action in actions.into_iter().chain([Action::Prohibit, Action::Table(254)]) {
            let plain = Rule::all(true, 7, action);
            assert_eq!(rule(&request(&plain)), Some(plain));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), family in 0..3usize) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = [2, 10, 7][family];
            }
            let _ = rule(&bytes);
        }
    }
}
