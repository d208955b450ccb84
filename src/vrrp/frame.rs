//! The bytes of an announcement: whole Ethernet frames, ready for a packet socket.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::packet::{fold, pseudo_header, sum};

/// Shortest Ethernet frame without its check sequence; virtual devices do not pad by themselves.
const LEAST_FRAME: usize = 60;

const BROADCAST: [u8; 6] = [0xff; 6];

/// Ethernet address of ff02::1 (RFC 2464 section 7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// All nodes on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ICMPV6: u8 = 58;

/// A gratuitous ARP request for `address` at `mac` (RFC 9568 section 8.1.2; RFC 5227 section 3): sender and
/// target are the address, the target hardware address is the broadcast one, as keepalived sends it.
pub fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(LEAST_FRAME);
    frame.extend(BROADCAST);
    frame.extend(mac);
    frame.extend([0x08, 0x06]);
    // Ethernet, IPv4, address lengths 6 and 4, operation 1 (request).
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(BROADCAST);
    frame.extend(address.octets());
    frame.resize(LEAST_FRAME, 0);
    frame
}

/// An unsolicited neighbour advertisement for `address` at `mac` to all nodes (RFC 9568 section 8.2.2; RFC 4861
/// section 7.2.6): override set, router and solicited clear, target link-layer address given.
pub fn unsolicited_na(mac: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    // Type 136, code 0, checksum, flags: override alone.
    message.extend([136, 0, 0, 0, 0x20, 0, 0, 0]);
    message.extend(address.octets());
    // Option 2, target link-layer address, one unit of eight bytes.
    message.extend([2, 1]);
    message.extend(mac);
    let checksum =
        fold(pseudo_header(address.into(), ALL_NODES.into(), message.len(), ICMPV6) + sum(&message));
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }

    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend(ALL_NODES_MAC);
    frame.extend(mac);
    frame.extend([0x86, 0xdd]);
    // Version 6, traffic class CS6 like the adverts (network control), no flow label.
    frame.extend([0x6c, 0, 0, 0]);
    frame.extend([0, 32, ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

#[cfg(test)]
mod tests;
