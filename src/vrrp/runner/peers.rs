//! Who else was heard for a virtual router. Room for so many is made with the first of them, and none later: an advert
//! costs a look at a short list.

use std::net::IpAddr;
use std::time::Instant;

use crate::vrrp::status::Peer;

/// So many are remembered; one more takes the place of the one that was heard longest ago.
const PEERS: usize = 16;

/// The routers that were heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Vec<Peer>);

impl Peers {
    /// An advert was accepted.
    pub(super) fn heard(&mut self, address: IpAddr, priority: u8, at: Instant) {
        if let Some(peer) = self.0.iter_mut().find(|peer| peer.address == address) {
            (peer.priority, peer.at) = (priority, at);
            peer.adverts += 1;
            return;
        }
        let peer = Peer { address, priority, at, adverts: 1 };
        if self.0.len() < PEERS {
            self.0.reserve_exact(PEERS - self.0.len());
            self.0.push(peer);
        } else if let Some(oldest) = self.0.iter_mut().min_by_key(|peer| peer.at) {
            *oldest = peer;
        }
    }

    /// All of them, the last one heard first.
    pub(super) fn list(&self) -> Vec<Peer> {
        let mut list = self.0.clone();
        list.sort_by_key(|peer| std::cmp::Reverse(peer.at));
        list
    }

    /// Goes on from what was known before.
    pub(super) fn remember(&mut self, before: Self) {
        if self.0.is_empty() {
            *self = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_list_is_bounded_and_takes_no_room_anew() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        let address = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
        peers.heard(address(1), 100, start);
        let (room, place) = (peers.0.capacity(), peers.0.as_ptr());
        for round in 1..=3_u64 {
            for n in 1..=20 {
                peers.heard(address(n), n, start + Duration::from_secs(round * 100 + u64::from(n)));
            }
        }
        assert_eq!((peers.0.capacity(), peers.0.as_ptr(), peers.0.len()), (room, place, PEERS));
        let list = peers.list();
        let heard: Vec<IpAddr> = list.iter().map(|peer| peer.address).collect();
        let wanted: Vec<IpAddr> = (5..=20).rev().map(address).collect();
        assert_eq!(heard, wanted, "the last one first, the oldest are forgotten");
        peers.heard(address(20), 0, start + Duration::from_secs(900));
        let first = peers.list()[0];
        assert_eq!((first.priority, first.adverts), (0, 2));
    }
}
