//! What the kernel says of its interfaces and addresses: subscribe, dump, follow. After an overrun or a broken
//! connection everything is read anew, so that nothing is ever believed that the kernel did not say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

use super::Error;
use super::link::{Link, LinkAddress, Links};
use super::request;

const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
const LEAST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Interfaces by kernel index, as messages name them.
type ByIndex = BTreeMap<u32, Link>;

/// Reads all interfaces with their addresses once.
pub async fn first_dump() -> Result<Links, Error> {
    let (mut handle, _events) = request::connect(&[])?;
    Ok(by_name(&read_all(&mut handle).await?))
}

/// Publishes the interfaces whenever they change. Returns when nobody listens any more.
pub async fn run(links: watch::Sender<Arc<Links>>) {
    let mut pause = LEAST_PAUSE;
    while !links.is_closed() {
        match follow(&links, &mut pause).await {
            Ok(()) => {}
            Err(error) => tracing::warn!("interfaces: {error}; reading them again in {pause:?}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection's life. `Ok` after an overrun: all must be read again.
async fn follow(links: &watch::Sender<Arc<Links>>, pause: &mut Duration) -> Result<(), Error> {
    // Subscribed before the dump, so that no change falls between the two.
    let (mut handle, mut events) = request::connect(&GROUPS)?;
    let mut state = read_all(&mut handle).await?;
    publish(links, &state);
    *pause = LEAST_PAUSE;
    loop {
        let Some(event) = events.next().await else {
            return Err(Error::NoAnswer { operation: "following the interfaces".to_owned() });
        };
        let mut next = Some(event);
        // A burst (thousands of addresses) is published once.
        while let Some(event) = next {
            match event.payload {
                NetlinkPayload::InnerMessage(message) => take(&mut state, message),
                NetlinkPayload::Overrun(_) => return Ok(()),
                _ => {}
            }
            next = events.next().now_or_never().flatten();
        }
        publish(links, &state);
    }
}

async fn read_all(handle: &mut Handle) -> Result<ByIndex, Error> {
    let mut state = ByIndex::new();
    let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
    for message in request::dump(handle, links, "reading the interfaces").await? {
        take(&mut state, message);
    }
    let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    for message in request::dump(handle, addresses, "reading the addresses").await? {
        take(&mut state, message);
    }
    Ok(state)
}

fn publish(links: &watch::Sender<Arc<Links>>, state: &ByIndex) {
    links.send_if_modified(|current| {
        let next = by_name(state);
        let changed = **current != next;
        if changed {
            *current = Arc::new(next);
        }
        changed
    });
}

fn by_name(state: &ByIndex) -> Links {
    state.values().map(|link| (link.name.clone(), link.clone())).collect()
}

/// Folds one message into what is known.
fn take(state: &mut ByIndex, message: RouteNetlinkMessage) {
    match message {
        RouteNetlinkMessage::NewLink(message) => {
            let before = state.remove(&message.header.index);
            if let Some(link) = link(&message, before) {
                state.insert(link.index, link);
            }
        }
        RouteNetlinkMessage::DelLink(message) => {
            state.remove(&message.header.index);
        }
        RouteNetlinkMessage::NewAddress(message) => {
            if let (Some(link), Some(address)) = (state.get_mut(&message.header.index), address(&message)) {
                match link.addresses.iter_mut().find(|a| same(a, &address)) {
                    Some(known) => *known = address,
                    None => link.addresses.push(address),
                }
            }
        }
        RouteNetlinkMessage::DelAddress(message) => {
            if let (Some(link), Some(gone)) = (state.get_mut(&message.header.index), address(&message)) {
                link.addresses.retain(|a| !same(a, &gone));
            }
        }
        _ => {}
    }
}

fn same(a: &LinkAddress, b: &LinkAddress) -> bool {
    a.address == b.address && a.prefix_len == b.prefix_len
}

/// A link message as a value; attributes that it leaves out stay as they were.
fn link(message: &LinkMessage, before: Option<Link>) -> Option<Link> {
    let flags = message.header.flags;
    let mut link = before.unwrap_or(Link {
        index: message.header.index,
        name: String::new(),
        up: false,
        loopback: false,
        mac: None,
        mtu: 0,
        addresses: Vec::new(),
    });
    link.up = flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::Running);
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

/// An address message as a value.
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
