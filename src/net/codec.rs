//! Route netlink messages of the monitor to values.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::link::{Link, LinkAddress};

/// True for messages about the interface itself. A bridge sends messages of its own family about its ports on the
/// same group: its "deleted" says that a port left the bridge, not that the interface is gone.
pub(super) fn is_of_the_interface(message: &LinkMessage) -> bool {
    message.header.interface_family == AddressFamily::Unspec
}

/// A link message as a value; attributes that it leaves out stay as they were. `None` without a name.
pub(super) fn link(message: &LinkMessage, before: Option<Link>) -> Option<Link> {
    let flags = message.header.flags;
    let mut link = before.unwrap_or(Link {
        index: message.header.index,
        name: String::new(),
        up: false,
        admin_up: false,
        loopback: false,
        mac: None,
        mtu: 0,
        addresses: Vec::new(),
    });
    link.admin_up = flags.contains(LinkFlags::Up);
    link.up = link.admin_up && flags.contains(LinkFlags::Running);
    link.loopback = flags.contains(LinkFlags::Loopback);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// An address message as the monitor publishes it.
pub(super) fn address(message: &AddressMessage) -> Option<LinkAddress> {
    let mut local: Option<IpAddr> = None;
    let mut other: Option<IpAddr> = None;
    let mut found = LinkAddress {
        address: IpAddr::from([0, 0, 0, 0]),
        prefix_len: message.header.prefix_len,
        scope: message.header.scope.into(),
        label: None,
        broadcast: None,
        protocol: 0,
        tentative: false,
    };
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            AddressAttribute::Label(label) => found.label = Some(label.clone()),
            AddressAttribute::Broadcast(address) => found.broadcast = Some(*address),
            AddressAttribute::Protocol(protocol) => found.protocol = (*protocol).into(),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // IFA_LOCAL is ours and IFA_ADDRESS the peer's, on point-to-point addresses; alone, IFA_ADDRESS is ours.
    found.address = local.or(other)?;
    found.tentative = flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed);
    Some(found)
}
