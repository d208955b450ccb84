//! Routes: what can be said of one. `route_words` reads it, `route_line` writes it.

use super::super::model::{Block, Insertion, Named, Route, RouteMetrics, RoutePreference, RouteType};
use super::super::units::Prefix;
use super::numbers::word_of;
use super::route_words::Draft;
use super::words::Words;
use super::{ElementError, one_line, set_options};

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

    /// Reads an element of `virtual_routes` or `static_routes` (the rules of `ip route`). Wrong options are
    /// reported one by one. `None` when something is wrong without which packets would go elsewhere than the
    /// line says: destination, `from`, tos, gateway, device, table, VRF, metric, encapsulation, and words that
    /// are no option.
    pub fn parse_in(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>) {
        Self::parse(words, Some(block))
    }

    /// Without a block the options of both are good.
    pub(super) fn parse(words: &[&str], block: Option<Block>) -> (Option<Self>, Vec<ElementError>) {
        let mut words = Words::new(words);
        let mut draft = Draft::new();
        while let Some((here, option)) = words.next() {
            draft.word(&mut words, here, option, block);
        }
        let route = draft.finish(&mut words);
        let route = if words.unusable { None } else { route };
        (route, words.into_errors())
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
    pub fn remarks(&self) -> Vec<String> {
        let mut found = Vec::new();
        let to = self.destination;
        if !self.no_track && self.dev.is_none() {
            found.push(format!(
                "the route to {to} names no interface, so it is not tracked: write dev IF, or no_track"
            ));
        }
        found.extend(self.protocol.as_ref().and_then(|p| protocol_remark(p, self.no_track)));
        if self.or_gateway.is_some() {
            found.push("\"or\" is an old form: write nexthop via IP nexthop via IP".to_owned());
        }
        if self.new_destination.is_some() || self.nexthops.iter().any(|hop| hop.new_destination.is_some()) {
            found.push(format!("\"as\" is for MPLS routes, {to} is none: remove it"));
        }
        found
    }

    /// The options that are set and that nothing acts on yet.
    pub fn not_acted_on(&self) -> Vec<&'static str> {
        let m = &self.metrics;
        set_options(&[
            ("type", self.kind != RouteType::Unicast),
            ("from", self.from.is_some()),
            ("src", self.src.is_some()),
            ("via", self.gateway.is_some()),
            ("or", self.or_gateway.is_some()),
            ("as", self.new_destination.is_some()),
            ("dev", self.dev.is_some()),
            ("onlink", self.onlink),
            ("table", self.table.is_some()),
            ("vrf", self.vrf.is_some()),
            ("metric", self.metric.is_some()),
            ("scope", self.scope.is_some()),
            ("protocol", self.protocol.is_some()),
            ("tos", self.tos.is_some()),
            ("realms", self.realms.is_some()),
            ("mtu", m.mtu.is_some()),
            ("hoplimit", m.hoplimit.is_some()),
            ("advmss", m.advmss.is_some()),
            ("rtt", m.rtt.is_some()),
            ("rttvar", m.rttvar.is_some()),
            ("rto_min", m.rto_min.is_some()),
            ("reordering", m.reordering.is_some()),
            ("window", m.window.is_some()),
            ("cwnd", m.cwnd.is_some()),
            ("ssthresh", m.ssthresh.is_some()),
            ("initcwnd", m.initcwnd.is_some()),
            ("initrwnd", m.initrwnd.is_some()),
            ("features", m.ecn),
            ("quickack", m.quickack.is_some()),
            ("congctl", m.congctl.is_some()),
            ("fastopen_no_cookie", m.fastopen_no_cookie.is_some()),
            ("expires", self.expires.is_some()),
            ("pref", self.pref.is_some()),
            ("ttl-propagate", self.ttl_propagate.is_some()),
            (self.insertion.map_or("add", |i| word_of(&INSERTIONS, &i)), self.insertion.is_some()),
            ("no_track", self.no_track),
            ("track_group", self.track_group.is_some()),
            ("encap", self.encap.is_some()),
            ("nexthop", !self.nexthops.is_empty()),
        ])
    }
}

/// What is odd about the protocol of something tracked.
pub(super) fn protocol_remark(protocol: &Named<u8>, no_track: bool) -> Option<String> {
    let own = match protocol {
        Named::Number(n) => *n == OWN_PROTOCOL.1,
        Named::Name(name) => name == OWN_PROTOCOL.0,
    };
    (!own && !no_track).then(|| {
        format!(
            "protocol {protocol} is not used: what is tracked has protocol keepalived (18); write no_track to keep it, or remove it"
        )
    })
}

one_line!(Route);

#[cfg(test)]
mod tests;
