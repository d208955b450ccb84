//! Route netlink messages to values and back.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::address::{AddressKey, AddressSpec, Installed, PROTOCOL};
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
    Some(read(message)?.0)
}

/// An address message as the writer compares it.
pub(super) fn installed(message: &AddressMessage, interface: &str) -> Option<(AddressKey, Installed)> {
    let (found, peer, flags) = read(message)?;
    // With "nodad" tentative lasts a moment only (or until the interface is up): that heals by itself.
    let waits = flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Nodad);
    let tentative = waits || flags.contains(AddressFlags::Dadfailed);
    let key =
        AddressKey { interface: interface.to_owned(), address: found.address, prefix_len: found.prefix_len };
    let installed = Installed {
        scope: found.scope,
        label: found.label,
        broadcast: found.broadcast,
        protocol: found.protocol,
        peer,
        tentative,
    };
    Some((key, installed))
}

/// The address, its other end, its flags.
fn read(message: &AddressMessage) -> Option<(LinkAddress, Option<IpAddr>, AddressFlags)> {
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
    let peer = other.filter(|other| *other != found.address);
    Some((found, peer, flags))
}

/// The request that adds an address.
pub(super) fn addition(key: &AddressKey, spec: &AddressSpec, index: u32) -> AddressMessage {
    let mut message = removal(key, spec.peer.map(|(peer, _)| peer), index);
    message.header.scope = spec.scope.into();
    if let Some((_, length)) = spec.peer {
        message.header.prefix_len = length;
    }
    if let Some(broadcast) = spec.broadcast {
        message.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(label) = &spec.label {
        message.attributes.push(AddressAttribute::Label(label.clone()));
    }
    if key.address.is_ipv6() {
        // A virtual address moves in an instant: no second of duplicate detection before it answers.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL)));
    message
}

/// The request that removes an address. Both addresses are always named: without IFA_ADDRESS the kernel does not
/// look at the prefix length and removes the first one with this local address, which may be somebody else's.
pub(super) fn removal(key: &AddressKey, peer: Option<IpAddr>, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = key.prefix_len;
    message.header.family = match key.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(key.address));
    message.attributes.push(AddressAttribute::Address(peer.unwrap_or(key.address)));
    message
}
