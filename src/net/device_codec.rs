//! Link messages to [`Found`], and [`DevicePlan`]s to link messages.

use std::net::{IpAddr, Ipv6Addr};

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, CacheInfo,
};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoIpVlan, InfoKind, InfoMacVlan, IpVlanFlags,
    IpVlanMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

use super::device::{DevicePlan, Found, FoundKind, IpvlanFlag, Kind, OWNER};

/// A link message as a value; `None` without a name.
pub(super) fn found(message: &LinkMessage) -> Option<(String, Found)> {
    let mut name = None;
    let mut found = Found {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        loopback: message.header.flags.contains(LinkFlags::Loopback),
        // A kernel without IPv6 says nothing of it, and makes no addresses.
        no_link_local: true,
        kind: FoundKind::Other(String::new()),
        ..Found::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Address(bytes) => found.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            LinkAttribute::Link(index) => found.parent = Some(*index),
            LinkAttribute::IfAlias(text) => found.alias = Some(text.clone()),
            LinkAttribute::Group(group) => found.group = *group,
            LinkAttribute::LinkInfo(infos) => found.kind = kind(infos),
            LinkAttribute::AfSpecUnspec(families) => found.no_link_local = !makes_link_local(families),
            _ => {}
        }
    }
    Some((name?, found))
}

fn makes_link_local(families: &[AfSpecUnspec]) -> bool {
    families.iter().any(|family| {
        let AfSpecUnspec::Inet6(settings) = family else { return false };
        settings.iter().any(|s| matches!(s, AfSpecInet6::AddrGenMode(mode) if *mode != In6AddrGenMode::None))
    })
}

fn kind(infos: &[LinkInfo]) -> FoundKind {
    let name = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    });
    let data = infos.iter().find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    match data {
        Some(InfoData::MacVlan(data)) if data.contains(&InfoMacVlan::Mode(MacVlanMode::Private)) => {
            FoundKind::Ours(Kind::Macvlan)
        }
        Some(InfoData::IpVlan(data)) if data.contains(&InfoIpVlan::Mode(IpVlanMode::L2)) => {
            let flags = data.iter().find_map(|info| match info {
                InfoIpVlan::Flags(flags) => Some(*flags),
                _ => None,
            });
            FoundKind::Ours(Kind::Ipvlan(ipvlan_flag(flags.unwrap_or(IpVlanFlags::empty()))))
        }
        _ => FoundKind::Other(name.unwrap_or_default()),
    }
}

fn ipvlan_flag(flags: IpVlanFlags) -> IpvlanFlag {
    if flags.contains(IpVlanFlags::Private) {
        IpvlanFlag::Private
    } else if flags.contains(IpVlanFlags::Vepa) {
        IpvlanFlag::Vepa
    } else {
        IpvlanFlag::Bridge
    }
}

/// The request that makes the interface, down.
pub(super) fn creation(plan: &DevicePlan, parent: u32) -> LinkMessage {
    let (kind, data) = match plan.kind {
        Kind::Macvlan => {
            (InfoKind::MacVlan, InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)]))
        }
        Kind::Ipvlan(flag) => {
            let flags = match flag {
                IpvlanFlag::Bridge => IpVlanFlags::empty(),
                IpvlanFlag::Private => IpVlanFlags::Private,
                IpvlanFlag::Vepa => IpVlanFlags::Vepa,
            };
            let data = vec![InfoIpVlan::Mode(IpVlanMode::L2), InfoIpVlan::Flags(flags)];
            (InfoKind::IpVlan, InfoData::IpVlan(data))
        }
    };
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(plan.name.clone()));
    message.attributes.push(LinkAttribute::Link(parent));
    message.attributes.extend(plan.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]));
    message
}

/// The request that marks it as ours and puts it into its group.
pub(super) fn mark(plan: &DevicePlan, index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::IfAlias(OWNER.to_owned()));
    message.attributes.extend(plan.group.map(LinkAttribute::Group));
    message
}

/// A request that changes nothing: the kernel answers it with a message to everybody who listens.
pub(super) fn same_group(index: u32, group: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::Group(group));
    message
}

/// The request after which IPv6 makes no link-local address on it.
pub(super) fn no_link_local(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    message.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![none])]));
    message
}

/// The request that takes it up.
pub(super) fn up(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}

/// The request that removes it.
pub(super) fn removal(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// An address of the device itself: a copy of its parent's link-local address (`copy`), which the kernel must not
/// choose as a source by itself, or the address that `use_ipvlan` gives it.
pub(super) fn own_address(index: u32, address: IpAddr, prefix_len: u8, copy: bool) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix_len;
    message.header.family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    if address.is_ipv6() {
        // The parent has it as well: detection would find that duplicate.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    if copy {
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_preferred = 0;
        lifetime.ifa_valid = u32::MAX;
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

/// The address that a message is about and its interface's index, with its prefix length.
pub(super) fn address(message: &AddressMessage) -> Option<(u32, IpAddr, u8)> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let other = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some((message.header.index, local.or(other)?, message.header.prefix_len))
}

/// True for addresses that adverts of version 3 over IPv6 are sent from.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if Ipv6Addr::is_unicast_link_local(&v6))
}
