//! Addresses to the bytes of route netlink and back (`struct ifaddrmsg` with its attributes).

use std::net::{IpAddr, Ipv4Addr};

use super::address::{AddressKey, AddressSpec, Installed, PROTOCOL};
use super::attribute::{Attributes, Body, ip_of, name_of, u32_of};

/// Length of `struct ifaddrmsg`.
const HEADER: usize = 8;
const FAMILIES: (u8, u8) = (2, 10);
const FOREVER: u32 = u32::MAX;

const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const LABEL: u16 = 3;
const BROADCAST: u16 = 4;
const CACHE_INFO: u16 = 6;
const FLAGS: u16 = 8;
const PROTO: u16 = 11;

const NODAD: u32 = 0x02;
const DAD_FAILED: u32 = 0x08;
const HOME: u32 = 0x10;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;
const MANAGE_TEMPORARY: u32 = 0x100;
const NO_PREFIX_ROUTE: u32 = 0x200;
const AUTO_JOIN: u32 = 0x400;

/// The body of a dump of all addresses.
pub(super) const QUESTION: [u8; HEADER] = [0; HEADER];

/// The request that adds an address to the interface of this index.
pub(super) fn addition(key: &AddressKey, spec: &AddressSpec, index: u32) -> Vec<u8> {
    let length = spec.peer.map_or(key.prefix_len, |(_, length)| length);
    let mut body = head(key, length, spec.scope, spec.peer.map(|(peer, _)| peer), index);
    if let Some(broadcast) = spec.broadcast {
        body.put_ip(BROADCAST, broadcast.into());
    }
    if let Some(label) = &spec.label {
        body.put_name(LABEL, label);
    }
    let flags = flags(key, spec);
    if flags != 0 {
        body.put_u32(FLAGS, flags);
    }
    if let Some(preferred) = spec.preferred {
        let info = [preferred, FOREVER, 0, 0];
        body.put(CACHE_INFO, &info.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>());
    }
    body.put_u8(PROTO, PROTOCOL);
    body.into_bytes()
}

/// The request that removes an address. Both addresses are always named: without IFA_ADDRESS the kernel does not
/// look at the prefix length and removes the first one with this local address, which may be somebody else's.
pub(super) fn removal(key: &AddressKey, peer: Option<IpAddr>, index: u32) -> Vec<u8> {
    head(key, key.prefix_len, 0, peer, index).into_bytes()
}

fn head(key: &AddressKey, length: u8, scope: u8, peer: Option<IpAddr>, index: u32) -> Body {
    let family = if key.address.is_ipv6() { FAMILIES.1 } else { FAMILIES.0 };
    let mut header = vec![family, length, 0, scope];
    header.extend(index.to_ne_bytes());
    let mut body = Body::new(&header);
    body.put_ip(LOCAL, key.address);
    body.put_ip(ADDRESS, peer.unwrap_or(key.address));
    body
}

fn flags(key: &AddressKey, spec: &AddressSpec) -> u32 {
    // A virtual address moves in an instant: no second of duplicate detection before it answers.
    let nodad = key.address.is_ipv6() && !spec.detect_duplicates;
    let all = [
        (nodad, NODAD),
        (spec.home, HOME),
        (spec.manage_temporary, MANAGE_TEMPORARY),
        (spec.no_prefix_route, NO_PREFIX_ROUTE),
        (spec.auto_join, AUTO_JOIN),
    ];
    all.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit)
}

/// An address message as the writer compares it. `name` knows the interfaces by index.
pub(super) fn installed<'a>(
    body: &[u8],
    name: impl Fn(u32) -> Option<&'a str>,
) -> Option<(AddressKey, Installed)> {
    let header = body.get(..HEADER)?;
    let interface = name(u32_of(header.get(4..)?)?)?;
    let mut flags = u32::from(*header.get(2)?);
    let (mut local, mut other) = (None, None);
    let mut found = Installed { scope: *header.get(3)?, ..Installed::default() };
    for (number, value) in Attributes::new(body.get(HEADER..)?) {
        match number {
            LOCAL => local = ip_of(value),
            ADDRESS => other = ip_of(value),
            LABEL => found.label = Some(name_of(value)),
            BROADCAST => found.broadcast = <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from),
            PROTO => found.protocol = value.first().copied().unwrap_or(0),
            FLAGS => flags = u32_of(value)?,
            _ => {}
        }
    }
    // IFA_LOCAL is ours and IFA_ADDRESS the peer's, on point-to-point addresses; alone, IFA_ADDRESS is ours.
    let address = local.or(other)?;
    let is = |bit: u32| flags & bit != 0;
    found.peer = other.filter(|other| *other != address);
    // With "nodad" tentative lasts a moment only (or until the interface is up): that heals by itself.
    found.tentative = (is(TENTATIVE) && !is(NODAD)) || is(DAD_FAILED);
    found.home = is(HOME);
    found.manage_temporary = is(MANAGE_TEMPORARY);
    found.no_prefix_route = is(NO_PREFIX_ROUTE);
    found.auto_join = is(AUTO_JOIN);
    found.deprecated = is(DEPRECATED);
    let key = AddressKey { interface: interface.to_owned(), address, prefix_len: *header.get(1)? };
    Some((key, found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(index: u32) -> Option<&'static str> {
        (index == 3).then_some("eth0")
    }

    #[test]
    fn what_is_asked_for_reads_back() {
        let key =
            AddressKey { interface: "eth0".to_owned(), address: "fd00::1".parse().unwrap(), prefix_len: 64 };
        let spec = AddressSpec {
            home: true,
            manage_temporary: true,
            no_prefix_route: true,
            auto_join: true,
            ..AddressSpec::default()
        };
        let (found, there) = installed(&addition(&key, &spec, 3), name).unwrap();
        assert_eq!(found, key);
        assert!(there.fits(&key, &spec), "{there:?}");
        assert_eq!(there.protocol, PROTOCOL);
        let key = AddressKey { address: [10, 0, 0, 1].into(), prefix_len: 24, ..key };
        let spec = AddressSpec {
            broadcast: Some([10, 0, 0, 255].into()),
            label: Some("eth0:1".to_owned()),
            peer: Some(([10, 9, 0, 0].into(), 24)),
            scope: 253,
            ..AddressSpec::default()
        };
        let (found, there) = installed(&addition(&key, &spec, 3), name).unwrap();
        assert_eq!(found, key);
        assert!(there.fits(&key, &spec), "{there:?}");
        assert_eq!(installed(&addition(&key, &spec, 4), name), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = installed(&bytes, |_| Some("eth0"));
        }
    }
}
