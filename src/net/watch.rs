//! Hears of routes and rules that somebody else takes away. Subscribed only while a wish names any: on a router with a
//! full table the kernel has a lot to say.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use rtnetlink::{Handle, MulticastGroup};

use super::request::{self, Events};
use super::wanted::Wanted;

const GROUPS: [MulticastGroup; 4] = [
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];
/// Ports above belong to second sockets of a process and name nobody (PID_MAX_LIMIT).
const LAST_PROCESS: u32 = 4 << 20;
/// So many removals are kept for the log.
const REMEMBERED: usize = 64;

/// The route and rule groups, while they are of interest.
#[derive(Default)]
pub(super) struct Watch {
    connection: Option<(Handle, Events)>,
    protocols: BTreeSet<u8>,
}

impl Watch {
    /// Listens for what this wish names, or no longer.
    pub(super) fn follow(&mut self, wish: &Wanted) {
        self.protocols = protocols(wish);
        if !wish.has_routing() {
            self.connection = None;
        } else if self.connection.is_none() {
            match request::connect(&GROUPS) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => tracing::warn!("routes and rules: {error}; changes of others are seen later"),
            }
        }
    }

    /// Returns when a route or rule of our protocols was taken away by somebody, or when that cannot be known.
    /// `own`: port of the socket whose doing is no news.
    pub(super) async fn removed(&mut self, own: Option<u32>) {
        let Some((_, events)) = &mut self.connection else { return std::future::pending().await };
        while let Some(event) = events.next().await {
            if event.header.port_number != 0 && Some(event.header.port_number) == own {
                continue;
            }
            let ours = match event.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
                    self.protocols.contains(&route.header.protocol.into())
                }
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRule(rule)) => {
                    self.protocols.contains(&protocol(&rule))
                }
                NetlinkPayload::Overrun(_) => true,
                _ => false,
            };
            if ours {
                return;
            }
        }
        // The connection is dead: read everything, and subscribe anew at the next wish.
        self.connection = None;
    }
}

fn protocol(rule: &RuleMessage) -> u8 {
    let named = |attribute: &RuleAttribute| match attribute {
        RuleAttribute::Protocol(protocol) => Some((*protocol).into()),
        _ => None,
    };
    rule.attributes.iter().find_map(named).unwrap_or(0)
}

/// The protocols of the routes and rules that a wish names.
pub(super) fn protocols(wish: &Wanted) -> BTreeSet<u8> {
    let routes = wish.routes.iter().map(|route| route.key.protocol);
    let ours = wish.our_routes.iter().map(|key| key.protocol);
    let rules = wish.rules.iter().chain(&wish.our_rules).map(|rule| rule.protocol);
    routes.chain(ours).chain(rules).collect()
}

/// Who took an address away: the kernel names the port of the socket that asked, which for most programs is their
/// process id. It does so for IPv4 only.
#[derive(Clone, Debug, Default)]
pub struct Culprits(Arc<Mutex<std::collections::VecDeque<Culprit>>>);

#[derive(Clone, Debug)]
struct Culprit {
    address: std::net::IpAddr,
    name: String,
}

impl Culprits {
    /// Somebody with this port took the address away. Our own doing is not kept.
    pub(super) fn note(&self, address: std::net::IpAddr, port: u32) {
        if port == 0 || port > LAST_PROCESS || port == std::process::id() {
            return;
        }
        // Read at once: a command like `ip` lives a millisecond longer at most.
        let name = std::fs::read_to_string(format!("/proc/{port}/comm"));
        let name = match name {
            Ok(name) => format!("{} (process {port})", name.trim()),
            Err(_) => format!("process {port}, which has ended"),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(Culprit { address, name });
    }

    /// Who took this address away last; forgotten by asking.
    pub(super) fn of(&self, address: std::net::IpAddr) -> Option<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().rposition(|culprit| culprit.address == address);
        let name = found.and_then(|at| all.get(at)).map(|culprit| culprit.name.clone());
        all.retain(|culprit| culprit.address != address);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_is_named_and_nobody_is_guessed() {
        let culprits = Culprits::default();
        let address = [10, 0, 0, 1].into();
        culprits.note(address, std::process::id());
        culprits.note(address, 0);
        culprits.note(address, u32::MAX);
        assert_eq!(culprits.of(address), None);
        culprits.note(address, 1);
        let name = culprits.of(address).unwrap();
        assert!(name.ends_with("(process 1)"), "{name}");
        assert_eq!(culprits.of(address), None);
    }
}
