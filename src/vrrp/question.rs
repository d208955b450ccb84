//! The bytes of "who else holds this address?" and of the answers ([`super::probe`] decides when). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet::{fold, pseudo_header, sum};

/// Shortest Ethernet frame without its check sequence.
const LEAST_FRAME: usize = 60;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Option: link-layer address of the target.
const TARGET_ADDRESS: u8 = 2;

/// The question for an address, from an interface with this hardware address.
pub fn question(mac: [u8; 6], address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp_probe(mac, address),
        IpAddr::V6(address) => solicitation(mac, address),
    }
}

/// An ARP probe (RFC 5227 section 2.1.1): a request of nobody, so that no table changes by it.
fn arp_probe(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(LEAST_FRAME);
    frame.extend([0xff; 6]);
    frame.extend(mac);
    frame.extend([0x08, 0x06]);
    // Ethernet, IPv4, address lengths 6 and 4, operation 1 (request).
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame.resize(LEAST_FRAME, 0);
    frame
}

/// The neighbour solicitation of duplicate address detection (RFC 4862 section 5.4.2): from nobody, to the group of the
/// address.
fn solicitation(mac: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let mut message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(address.octets());
    let nobody = Ipv6Addr::UNSPECIFIED;
    let checksum = fold(pseudo_header(nobody.into(), group.into(), message.len(), ICMPV6) + sum(&message));
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend([0x33, 0x33, 0xff, a, b, c]);
    frame.extend(mac);
    frame.extend([0x86, 0xdd]);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend([0, 24, ICMPV6, 255]);
    frame.extend(nobody.octets());
    frame.extend(group.octets());
    frame.extend(message);
    frame
}

/// Address and hardware address of an ARP reply to a probe, out of a whole Ethernet frame; `None` for all else.
pub fn arp_answer(frame: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    let arp = frame.get(12..42)?;
    // Ethertype, Ethernet, IPv4, lengths, operation 2; the target of an answer to nobody is nobody.
    let head = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2];
    if !arp.starts_with(&head) || arp.get(26..30)? != [0; 4] {
        return None;
    }
    let mac = arp.get(10..16)?.try_into().ok()?;
    let address: [u8; 4] = arp.get(16..20)?.try_into().ok()?;
    Some((address.into(), mac))
}

/// The same of a neighbour advertisement, out of an ICMPv6 message. Only one that was not asked for by somebody in
/// particular answers a question from nobody (RFC 4861 section 7.2.4).
pub fn neighbour_answer(message: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    let (kind, flags) = (*message.first()?, *message.get(4)?);
    if kind != ADVERTISEMENT || flags & 0x40 != 0 {
        return None;
    }
    let address: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    let mut options = message.get(24..)?;
    loop {
        let (kind, units) = (*options.first()?, usize::from(*options.get(1)?));
        if kind == TARGET_ADDRESS && units == 1 {
            let mac = options.get(2..8)?.try_into().ok()?;
            return Some((address.into(), mac));
        }
        // A length of zero would go on for ever.
        options = options.get(units.max(1) * 8..)?;
    }
}

#[cfg(test)]
mod tests {
    use pnet_packet::Packet;
    use pnet_packet::arp::{ArpOperations, ArpPacket};
    use pnet_packet::ethernet::EthernetPacket;
    use pnet_packet::icmpv6::ndp::NeighborSolicitPacket;
    use pnet_packet::icmpv6::{Icmpv6Packet, checksum};
    use pnet_packet::ipv6::Ipv6Packet;
    use proptest::prelude::*;

    use super::*;
    use crate::vrrp::frame::unsolicited_na;

    const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0x20, 0x33];

    #[test]
    fn an_arp_probe_names_nobody_as_its_sender() {
        let address = Ipv4Addr::new(10, 9, 0, 100);
        let bytes = question(MAC, address.into());
        assert_eq!(bytes.len(), 60);
        let frame = EthernetPacket::new(&bytes).unwrap();
        assert_eq!(frame.get_destination().to_string(), "ff:ff:ff:ff:ff:ff");
        let arp = ArpPacket::new(frame.payload()).unwrap();
        assert_eq!(arp.get_operation(), ArpOperations::Request);
        assert_eq!(
            (arp.get_sender_proto_addr(), arp.get_target_proto_addr()),
            (Ipv4Addr::UNSPECIFIED, address)
        );
        assert_eq!(arp.get_target_hw_addr().to_string(), "00:00:00:00:00:00");
        assert_eq!(arp_answer(&bytes), None, "a question is no answer");
    }

    #[test]
    fn a_solicitation_of_duplicate_address_detection() {
        let address: Ipv6Addr = "2001:db8::1:2364".parse().unwrap();
        let bytes = question(MAC, address.into());
        let frame = EthernetPacket::new(&bytes).unwrap();
        assert_eq!(frame.get_destination().to_string(), "33:33:ff:01:23:64");
        let ip = Ipv6Packet::new(frame.payload()).unwrap();
        let group: Ipv6Addr = "ff02::1:ff01:2364".parse().unwrap();
        assert_eq!((ip.get_source(), ip.get_destination()), (Ipv6Addr::UNSPECIFIED, group));
        assert_eq!((ip.get_hop_limit(), usize::from(ip.get_payload_length())), (255, ip.payload().len()));
        let icmp = Icmpv6Packet::new(ip.payload()).unwrap();
        assert_eq!(icmp.get_checksum(), checksum(&icmp, &Ipv6Addr::UNSPECIFIED, &group));
        let solicitation = NeighborSolicitPacket::new(ip.payload()).unwrap();
        assert_eq!((solicitation.get_target_addr(), solicitation.get_options().len()), (address, 0));
    }

    #[test]
    fn answers_are_read_and_nothing_else() {
        let address = Ipv4Addr::new(10, 9, 0, 100);
        let mut reply = question([9; 6], address.into());
        reply[21] = 2;
        reply[22..28].copy_from_slice(&MAC);
        reply[28..32].copy_from_slice(&address.octets());
        reply[38..42].fill(0);
        assert_eq!(arp_answer(&reply), Some((address.into(), MAC)));
        reply[41] = 1;
        assert_eq!(arp_answer(&reply), None, "an answer to somebody");

        let six: Ipv6Addr = "2001:db8::64".parse().unwrap();
        let frame = unsolicited_na(MAC, six);
        let mut message = frame[54..].to_vec();
        assert_eq!(neighbour_answer(&message), Some((six.into(), MAC)));
        message[4] |= 0x40;
        assert_eq!(neighbour_answer(&message), None, "somebody asked for it");
        assert_eq!(neighbour_answer(&frame[54..78]), None, "without a hardware address");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = arp_answer(&bytes);
            let _ = neighbour_answer(&bytes);
            let mut message = vec![ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0];
            message.extend(bytes);
            let _ = neighbour_answer(&message);
        }
    }
}
