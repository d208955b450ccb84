//! Routes: what can be said of one. `route_words` reads it, `route_line` writes it.

use super::super::model::{Block, Insertion, Named, Route, RouteMetrics, RoutePreference, RouteType};
use super::super::units::Prefix;
use super::{Remark, one_line};

pub(super) const TYPES: [(&str, RouteType); 11] = [
    ("unicast", RouteType::Unicast),
    ("local", RouteType::Local),
    ("broadcast", RouteType::Broadcast),
    ("anycast", RouteType::Anycast),
    ("multicast", RouteType::Multicast),
    ("throw", RouteType::Throw),
    ("unreachable", RouteType::Unreachable),
    ("prohibit", RouteType::Prohibit),
    ("blackhole", RouteType::Blackhole),
    ("nat", RouteType::Nat),
    ("xresolve", RouteType::Xresolve),
];

pub(super) const PREFERENCES: [(&str, RoutePreference); 3] =
    [("low", RoutePreference::Low), ("medium", RoutePreference::Medium), ("high", RoutePreference::High)];

pub(super) const INSERTIONS: [(&str, Insertion); 3] =
    [("add", Insertion::Add), ("prepend", Insertion::Prepend), ("append", Insertion::Append)];

/// The name of the protocol that tracked routes and rules carry, and its number.
const OWN_PROTOCOL: (&str, u8) = ("keepalived", 18);

impl Route {
    /// A route without options.
    pub fn to(destination: Prefix) -> Self {
        Self {
            destination,
            kind: RouteType::Unicast,
            from: None,
            src: None,
            gateway: None,
            or_gateway: None,
            new_destination: None,
            dev: None,
            onlink: false,
            table: None,
            vrf: None,
            metric: None,
            scope: None,
            protocol: None,
            tos: None,
            realms: None,
            metrics: RouteMetrics::default(),
            expires: None,
            pref: None,
            ttl_propagate: None,
            insertion: None,
            no_track: false,
            track_group: None,
            encap: None,
            nexthops: Vec::new(),
        }
    }

    /// The family that the addresses beside the destination show, by the first of them.
    pub(super) fn implied_ipv6(&self) -> Option<bool> {
        let from = self.from.map(|from| from.address);
        let hops = self.nexthops.iter().filter_map(|hop| hop.gateway);
        [self.gateway, self.src, from, self.or_gateway]
            .into_iter()
            .flatten()
            .chain(hops)
            .next()
            .map(|a| a.is_ipv6())
    }

    /// An option that does not belong into this block. In YAML, where both blocks have one type, this is what
    /// is left to check.
    pub fn misplaced(&self, block: Block) -> Option<&'static str> {
        (block == Block::Virtual && self.track_group.is_some()).then_some("track_group")
    }

    /// What is odd about a route that can be used: what does not happen, and what to write.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut found = Vec::new();
        let to = self.destination;
        if !self.no_track && self.dev.is_none() {
            let problem = format!(
                "the route to {to} names no interface, so it is not tracked: write dev IF, or no_track"
            );
            found.push(Remark::new("route-not-tracked", problem));
        } else {
            found.extend(self.protocol.as_ref().and_then(|p| protocol_remark(p, self.no_track)));
        }
        if self.or_gateway.is_some() {
            let problem = "\"or\" is an old form: write nexthop via IP nexthop via IP";
            found.push(Remark::new("old-form", problem));
        }
        if self.new_destination.is_some() || self.nexthops.iter().any(|hop| hop.new_destination.is_some()) {
            let problem = format!("\"as\" is for MPLS routes, {to} is none: remove it");
            found.push(Remark::new("no-effect", problem));
        }
        found
    }

    /// The interfaces that it names.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        let hops = self.nexthops.iter().filter_map(|hop| hop.dev.as_deref());
        self.dev.as_deref().into_iter().chain(hops)
    }
}

/// What is odd about the protocol of something tracked.
pub(super) fn protocol_remark(protocol: &Named<u8>, no_track: bool) -> Option<Remark> {
    let own = match protocol {
        Named::Number(n) => *n == OWN_PROTOCOL.1,
        Named::Name(name) => name == OWN_PROTOCOL.0,
    };
    (!own && !no_track).then(|| {
        let problem = format!(
            "protocol {protocol} is not used: what is tracked has protocol keepalived (18); write no_track to keep it, or remove it"
        );
        Remark::new("route-protocol", problem)
    })
}

one_line!(
    Route,
    "Route",
    "[TYPE] [to] DESTINATION [via IP] [dev IF] [src IP] [metric N] [table T] [option …] [nexthop …]"
);

#[cfg(test)]
mod tests;
