//! What a raw IPv4 socket delivers, taken apart: the first code that sees bytes of anybody on the LAN.

use std::net::{IpAddr, Ipv4Addr};

use pnet_packet::ipv4::Ipv4Packet;

/// A datagram as it came, cut to the length that its IP header names.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// What the IP header is followed by.
    pub payload: &'a [u8],
    /// The whole IPv4 packet: an authentication header signs fields of the IP header. Empty over IPv6.
    pub packet: &'a [u8],
    /// Sender.
    pub source: IpAddr,
    /// The address it was sent to.
    pub destination: IpAddr,
    /// TTL that it arrived with.
    pub ttl: u8,
}

/// Cuts the IP header off. A raw IPv4 socket is never given less than a valid header; should it be, the
/// datagram comes out empty and the parser refuses and counts it.
pub fn dissect(bytes: &[u8]) -> Arrived<'_> {
    let nothing = Arrived {
        payload: &[],
        packet: &[],
        source: Ipv4Addr::UNSPECIFIED.into(),
        destination: Ipv4Addr::UNSPECIFIED.into(),
        ttl: 0,
    };
    let Some(packet) = Ipv4Packet::new(bytes) else { return nothing };
    let start = usize::from(packet.get_header_length()) * 4;
    // Ethernet pads short frames: what lies beyond the IP length is not the packet's.
    let end = usize::from(packet.get_total_length()).min(bytes.len());
    Arrived {
        payload: bytes.get(start..end).unwrap_or(&[]),
        packet: bytes.get(..end).unwrap_or(&[]),
        source: packet.get_source().into(),
        destination: packet.get_destination().into(),
        ttl: packet.get_ttl(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet_padding_and_options_are_cut_off() {
        let mut bytes = vec![0u8; 60];
        bytes[0] = 0x46; // one option word: the header is 24 bytes long
        bytes[2..4].copy_from_slice(&32u16.to_be_bytes());
        bytes[8] = 255;
        bytes[12..16].copy_from_slice(&[10, 0, 0, 1]);
        bytes[24] = 0x21;
        let arrived = dissect(&bytes);
        assert_eq!(arrived.payload.len(), 8);
        assert_eq!(arrived.payload[0], 0x21);
        assert_eq!((arrived.ttl, arrived.source), (255, "10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn lying_lengths_give_an_empty_payload() {
        assert!(dissect(&[]).payload.is_empty());
        assert!(dissect(&[0x4f; 20]).payload.is_empty());
        let mut bytes = vec![0u8; 24];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&8u16.to_be_bytes());
        assert!(dissect(&bytes).payload.is_empty());
    }
}
