//! Read back by an independent decoder.

use pnet_packet::Packet;
use pnet_packet::arp::{ArpOperations, ArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::icmpv6::ndp::{NdpOptionTypes, NeighborAdvertFlags, NeighborAdvertPacket};
use pnet_packet::icmpv6::{Icmpv6Packet, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::Ipv6Packet;

use super::*;

const MAC: [u8; 6] = [0x02, 0, 0x5e, 0x10, 0x20, 0x33];
const MAC_TEXT: &str = "02:00:5e:10:20:33";
const BROADCAST_TEXT: &str = "ff:ff:ff:ff:ff:ff";

#[test]
fn gratuitous_arp_is_the_request_that_keepalived_sends() {
    let address = Ipv4Addr::new(10, 9, 0, 100);
    let bytes = gratuitous_arp(MAC, address);
    assert_eq!(bytes.len(), 60);
    let frame = EthernetPacket::new(&bytes).unwrap();
    assert_eq!(frame.get_destination().to_string(), BROADCAST_TEXT);
    assert_eq!(frame.get_source().to_string(), MAC_TEXT);
    assert_eq!(frame.get_ethertype(), EtherTypes::Arp);
    let arp = ArpPacket::new(frame.payload()).unwrap();
    assert_eq!(arp.get_hardware_type().0, 1);
    assert_eq!(arp.get_protocol_type(), EtherTypes::Ipv4);
    assert_eq!((arp.get_hw_addr_len(), arp.get_proto_addr_len()), (6, 4));
    assert_eq!(arp.get_operation(), ArpOperations::Request);
    assert_eq!(arp.get_sender_hw_addr().to_string(), MAC_TEXT);
    assert_eq!(arp.get_target_hw_addr().to_string(), BROADCAST_TEXT);
    assert_eq!((arp.get_sender_proto_addr(), arp.get_target_proto_addr()), (address, address));
}

#[test]
fn unsolicited_advertisement_overrides_and_has_a_right_checksum() {
    let address: Ipv6Addr = "2001:db8::64".parse().unwrap();
    let bytes = unsolicited_na(MAC, address);
    let frame = EthernetPacket::new(&bytes).unwrap();
    assert_eq!(frame.get_destination().to_string(), "33:33:00:00:00:01");
    assert_eq!(frame.get_source().to_string(), MAC_TEXT);
    assert_eq!(frame.get_ethertype(), EtherTypes::Ipv6);
    let ip = Ipv6Packet::new(frame.payload()).unwrap();
    assert_eq!((ip.get_version(), ip.get_traffic_class(), ip.get_flow_label()), (6, 0xc0, 0));
    assert_eq!((ip.get_hop_limit(), ip.get_next_header()), (255, IpNextHeaderProtocols::Icmpv6));
    assert_eq!((ip.get_source(), ip.get_destination()), (address, ALL_NODES));
    assert_eq!(usize::from(ip.get_payload_length()), ip.payload().len());
    let icmp = Icmpv6Packet::new(ip.payload()).unwrap();
    assert_eq!(icmp.get_checksum(), checksum(&icmp, &address, &ALL_NODES));
    let advert = NeighborAdvertPacket::new(ip.payload()).unwrap();
    assert_eq!((advert.get_icmpv6_type().0, advert.get_icmpv6_code().0), (136, 0));
    assert_eq!(advert.get_flags(), NeighborAdvertFlags::Override);
    assert_eq!(advert.get_target_addr(), address);
    let options = advert.get_options();
    assert_eq!(options.len(), 1);
    assert_eq!((options[0].option_type, options[0].length), (NdpOptionTypes::TargetLLAddr, 1));
    assert_eq!(options[0].data, MAC);
}
