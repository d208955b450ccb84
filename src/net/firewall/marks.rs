//! Marks for IPVS (`nftables_ipvs`): what comes in to these addresses and ports gets a firewall mark, so that a group of
//! thousands of addresses is one service of IPVS. A map for each protocol that has some, in one chain of a table of its
//! own, named as keepalived's:
//!
//! ```text
//! map tcp_map { type ipv4_addr . inet_service : mark; flags interval; }
//! chain in { type filter hook input priority -1; meta mark set ip daddr . tcp dport map @tcp_map return; }
//! ```
//!
//! The hook is before that of IPVS (`input`, priority 98 or 99), which so finds the mark.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::expression::{EQUAL, FIRST, META_L4PROTO, NETWORK, SECOND, TRANSPORT};
use super::expression::{compare, expression, lookup, meta, payload};
use super::wire::Attributes;
use super::{Elements, Family, SetName};

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "names of IP protocols")]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

impl Transport {
    pub(super) const fn map(self) -> &'static str {
        match self {
            Self::Tcp => "tcp_map",
            Self::Udp => "udp_map",
            Self::Sctp => "sctp_map",
        }
    }

    pub(super) const fn comment(self) -> &'static str {
        match self {
            Self::Tcp => "nftables_ipvs, TCP",
            Self::Udp => "nftables_ipvs, UDP",
            Self::Sctp => "nftables_ipvs, SCTP",
        }
    }

    /// IPPROTO_*.
    const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

/// Addresses and ports, each from the first to the last one, both included. Both addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First and last address.
    pub addresses: (IpAddr, IpAddr),
    /// First and last port.
    pub ports: (u16, u16),
}

/// The maps with their elements, those of this family.
pub(super) fn sets(family: Family, marks: &BTreeMap<(Transport, Span), u32>) -> BTreeMap<SetName, Elements> {
    let mut sets: BTreeMap<SetName, Elements> = BTreeMap::new();
    for ((transport, span), mark) in marks {
        let (first, last) = span.addresses;
        if first.is_ipv6() != (family == Family::Ip6) || last.is_ipv6() != first.is_ipv6() {
            continue;
        }
        let mut whole = key(first, span.ports.0);
        whole.extend(key(last, span.ports.1));
        sets.entry(SetName::Marks(*transport)).or_default().insert(whole, mark.to_ne_bytes().to_vec());
    }
    sets
}

/// Each field of a key fills whole units of four bytes.
fn key(address: IpAddr, port: u16) -> Vec<u8> {
    let mut key = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    key.extend(port.to_be_bytes());
    key.extend([0; 2]);
    key
}

/// NFT_SET_INTERVAL, NFT_SET_CONCAT: spans of keys of several fields.
pub(super) const FLAGS: u32 = 0x4 | 0x80;
/// Type numbers of the `nft` program, for its listings.
pub(super) const TYPE_PORT: u32 = 13;
pub(super) const TYPE_MARK: u32 = 19;
/// Its note that the value has the machine's byte order, the key not.
pub(super) const VALUE_ORDER: [u8; 12] = {
    let one = 1u32.to_ne_bytes();
    [0, 4, 0, 0, 0, 0, 1, 4, one[0], one[1], one[2], one[3]]
};

/// The lengths of a key's fields (NFTA_SET_DESC).
pub(super) fn describe(a: &mut Attributes<'_>, family: Family) {
    let address = if family == Family::Ip { 4 } else { 16 };
    a.nest(9, |a| {
        a.nest(2, |a| {
            for length in [address, 2] {
                a.nest(1, |a| a.number(1, length));
            }
        });
    });
}

/// `meta mark set ip daddr . tcp dport map @tcp_map return`.
pub(super) fn expressions(a: &mut Attributes<'_>, family: Family, transport: Transport, counters: bool) {
    // The port's register follows the address without a gap: the second of the small ones, or of the large ones.
    let (destination, port) = match family {
        Family::Ip => ((16, 4), SMALL_SECOND),
        Family::Ip6 => ((24, 16), SECOND),
    };
    meta(a, META_L4PROTO, FIRST);
    compare(a, EQUAL, transport.number());
    payload(a, NETWORK, destination, FIRST);
    payload(a, TRANSPORT, (2, 2), port);
    lookup(a, SetName::Marks(transport), FIRST, Some(FIRST));
    if counters {
        expression(a, "counter", |_| {});
    }
    expression(a, "meta", |a| {
        a.number(2, META_MARK);
        a.number(3, FIRST);
    });
    expression(a, "immediate", |a| {
        a.number(1, 0);
        a.nest(2, |a| a.nest(2, |a| a.number(1, RETURN)));
    });
}

/// NFT_RETURN, -5.
const RETURN: u32 = u32::MAX - 4;

/// NFT_REG32_01: four bytes into the first register.
const SMALL_SECOND: u32 = 9;
const META_MARK: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_its_first_and_its_last_key() {
        let span = Span { addresses: ([10, 0, 0, 1].into(), [10, 0, 0, 9].into()), ports: (80, 80) };
        let marks = BTreeMap::from([((Transport::Tcp, span), 1000)]);
        let sets4 = sets(Family::Ip, &marks);
        let expected = [10, 0, 0, 1, 0, 80, 0, 0, 10, 0, 0, 9, 0, 80, 0, 0].to_vec();
        assert_eq!(
            sets4[&SetName::Marks(Transport::Tcp)],
            Elements::from([(expected, 1000u32.to_ne_bytes().to_vec())])
        );
        assert_eq!(sets4.len(), 1, "a map only where it is used");
        assert_eq!(sets(Family::Ip6, &marks), BTreeMap::new());
    }
}
