//! What the kernel has said of its interfaces so far: its messages folded into one value. Thousands of addresses on one
//! interface come and go one message each, so each is found without a walk through the others.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use rtnetlink::packet_route::RouteNetlinkMessage;

use super::codec;
use super::link::{Link, LinkAddress, Links};

/// What a message did to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    None,
    Address,
    Interface,
    Lost,
}

/// All interfaces, by kernel index as messages name them.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<u32, Interface>);

#[derive(Debug)]
struct Interface {
    /// Without its addresses.
    link: Link,
    /// In the order in which the kernel told them.
    addresses: BTreeMap<u64, LinkAddress>,
    /// Where each stands.
    places: HashMap<(IpAddr, u8), u64>,
    next: u64,
}

impl Known {
    /// Folds one message in.
    pub(super) fn take(&mut self, message: RouteNetlinkMessage) -> News {
        match message {
            RouteNetlinkMessage::NewLink(message) if codec::is_of_the_interface(&message) => {
                let before = self.0.remove(&message.header.index);
                let (link, rest) = match before {
                    Some(Interface { link, addresses, places, next }) => {
                        (Some(link), (addresses, places, next))
                    }
                    None => (None, (BTreeMap::new(), HashMap::new(), 0)),
                };
                if let Some(link) = codec::link(&message, link) {
                    let (addresses, places, next) = rest;
                    self.0.insert(link.index, Interface { link, addresses, places, next });
                }
                News::Interface
            }
            RouteNetlinkMessage::DelLink(message) if codec::is_of_the_interface(&message) => {
                self.0.remove(&message.header.index);
                News::Interface
            }
            RouteNetlinkMessage::NewAddress(message) => {
                let (Some(interface), Some(address)) =
                    (self.0.get_mut(&message.header.index), codec::address(&message))
                else {
                    return News::None;
                };
                interface.put(address);
                News::Address
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let (Some(interface), Some(gone)) =
                    (self.0.get_mut(&message.header.index), codec::address(&message))
                    && let Some(place) = interface.places.remove(&key(&gone))
                {
                    interface.addresses.remove(&place);
                }
                News::Address
            }
            _ => News::None,
        }
    }

    /// As the others see it.
    pub(super) fn links(&self) -> Links {
        let whole = |interface: &Interface| Link {
            addresses: interface.addresses.values().cloned().collect(),
            ..interface.link.clone()
        };
        self.0.values().map(|interface| (interface.link.name.clone(), whole(interface))).collect()
    }
}

impl Interface {
    fn put(&mut self, address: LinkAddress) {
        let place = *self.places.entry(key(&address)).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.addresses.insert(place, address);
    }
}

fn key(address: &LinkAddress) -> (IpAddr, u8) {
    (address.address, address.prefix_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
    use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

    fn link(index: u32, name: &str) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        message
    }

    fn address(host: u8, label: &str) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = 3;
        message.header.prefix_len = 24;
        message.attributes.push(AddressAttribute::Local([10, 0, 0, host].into()));
        message.attributes.push(AddressAttribute::Label(label.to_owned()));
        message
    }

    fn shown(known: &Known) -> Vec<String> {
        let links = known.links();
        let all = links.values().flat_map(|link| {
            link.addresses
                .iter()
                .map(|a| format!("{} {} {:?}", link.name, a.address, a.label.as_deref().unwrap_or("")))
        });
        all.collect()
    }

    #[test]
    fn addresses_keep_their_order_and_survive_news_of_their_interface() {
        let mut known = Known::default();
        assert_eq!(
            known.take(RouteNetlinkMessage::NewAddress(address(1, "a"))),
            News::None,
            "no interface yet"
        );
        assert_eq!(known.take(RouteNetlinkMessage::NewLink(link(3, "eth0"))), News::Interface);
        for (host, label) in [(9, "a"), (1, "b"), (5, "c"), (9, "d")] {
            assert_eq!(known.take(RouteNetlinkMessage::NewAddress(address(host, label))), News::Address);
        }
        known.take(RouteNetlinkMessage::NewLink(link(3, "lan0")));
        assert_eq!(shown(&known), ["lan0 10.0.0.9 \"d\"", "lan0 10.0.0.1 \"b\"", "lan0 10.0.0.5 \"c\""]);
        known.take(RouteNetlinkMessage::DelAddress(address(9, "")));
        known.take(RouteNetlinkMessage::NewAddress(address(9, "e")));
        assert_eq!(shown(&known), ["lan0 10.0.0.1 \"b\"", "lan0 10.0.0.5 \"c\"", "lan0 10.0.0.9 \"e\""]);
        known.take(RouteNetlinkMessage::DelLink(link(3, "lan0")));
        assert!(known.links().is_empty());
    }
}
