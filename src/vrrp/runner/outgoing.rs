//! The adverts of one instance as bytes. They are the same from one interval to the next until the priority, the source
//! address or the settings change, so they are made once; what bears a number is made anew each time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::model::VrrpVersion;
use crate::vrrp::auth::ah::IpFields;
use crate::vrrp::auth::guard::Sealed;
use crate::vrrp::packet::{Advert, AuthField};
use crate::vrrp::params::Destination;
use crate::vrrp::socket::SocketKey;

use super::Runner;

/// TOS byte of adverts: DSCP CS6.
const TOS_CS6: u8 = 0xc0;

/// One advert for all of its destinations.
pub(in crate::vrrp) struct Outgoing {
    /// The runner's place in the driver's list.
    pub(in crate::vrrp) number: usize,
    pub(in crate::vrrp) instance: Arc<str>,
    pub(in crate::vrrp) socket: Arc<SocketKey>,
    pub(in crate::vrrp) packets: Arc<[Packet]>,
}

/// Bytes and where they go.
pub(in crate::vrrp) struct Packet {
    pub(in crate::vrrp) sealed: Sealed,
    pub(in crate::vrrp) source: IpAddr,
    pub(in crate::vrrp) destination: IpAddr,
    pub(in crate::vrrp) ttl: u8,
}

/// An advert that can be sent again, and what it holds for.
pub(super) struct Spoken {
    priority: u8,
    source: IpAddr,
    packets: Arc<[Packet]>,
}

impl Runner {
    /// An advert of this priority; `None` without a source address.
    pub(super) fn outgoing(&mut self, priority: u8, since_1970: Duration) -> Option<Outgoing> {
        let source = self.own?;
        let known = self.spoken.as_ref().filter(|s| s.priority == priority && s.source == source);
        let packets = match known {
            Some(spoken) => Arc::clone(&spoken.packets),
            None => self.speak(priority, source, since_1970),
        };
        let (instance, socket) = (Arc::clone(&self.name), Arc::clone(&self.socket));
        Some(Outgoing { number: self.number, instance, socket, packets })
    }

    fn speak(&mut self, priority: u8, source: IpAddr, since_1970: Duration) -> Arc<[Packet]> {
        let number = self.guard.number(since_1970);
        let s = &self.settings;
        let advert = Advert {
            version: s.version,
            vrid: s.vrid,
            priority,
            interval: s.advert_int,
            auth: match (s.version, s.password) {
                (VrrpVersion::V2, Some(field)) => AuthField::Pass(field.0),
                (VrrpVersion::V2, None) => self.guard.field().unwrap_or(AuthField::None),
                (VrrpVersion::V3, _) => AuthField::None,
            },
            addresses: s.advertised.clone(),
        };
        let packet = |destination: IpAddr, ttl: u8| {
            let message = advert.encode_as(source, destination, s.checksum);
            let fields = match (source, destination) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    Some(IpFields { source, destination, tos: TOS_CS6, identification: 1, ttl })
                }
                _ => None,
            };
            let sealed = self.guard.seal(number, message, source, fields.as_ref());
            Packet { sealed, source, destination, ttl }
        };
        let packets: Arc<[Packet]> = match &s.destination {
            Destination::Multicast(group) => Arc::new([packet(*group, 255)]),
            Destination::Unicast { peers, ttl, .. } => peers
                .iter()
                .filter(|peer| peer.address.is_ipv6() == source.is_ipv6())
                .map(|peer| packet(peer.address, *ttl))
                .collect(),
        };
        // What is signed bears a number that is never used twice.
        self.spoken =
            (self.guard.overhead() == 0).then(|| Spoken { priority, source, packets: Arc::clone(&packets) });
        packets
    }
}
