//! Routes: `[TYPE] DESTINATION [option …] [nexthop …]…`, read word by word.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::model::{Block, Metric, NewDestination, Nexthop, Route, RouteMetrics};
use super::super::units::Prefix;
use super::ElementError;
use super::numbers::{congestion_name, decimal, millis, name, one_of, word32, zero_or_one};
use super::route::{INSERTIONS, PREFERENCES, TYPES};
use super::words::{Read, Words};

impl Route {
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
}

/// For "did you mean".
pub(super) const OPTIONS: &[&str] = &[
    "inet",
    "inet6",
    "to",
    "from",
    "src",
    "via",
    "gw",
    "or",
    "as",
    "dev",
    "oif",
    "onlink",
    "table",
    "vrf",
    "metric",
    "priority",
    "preference",
    "scope",
    "protocol",
    "tos",
    "dsfield",
    "realms",
    "encap",
    "expires",
    "mtu",
    "hoplimit",
    "advmss",
    "rtt",
    "rttvar",
    "rto_min",
    "reordering",
    "window",
    "cwnd",
    "ssthresh",
    "initcwnd",
    "initrwnd",
    "features",
    "quickack",
    "congctl",
    "pref",
    "ttl-propagate",
    "fastopen_no_cookie",
    "add",
    "prepend",
    "append",
    "nexthop",
    "no_track",
    "track_group",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "throw",
    "unreachable",
    "prohibit",
    "blackhole",
];

/// Options whose place is kept, because they may yet prove to be of the other family than the route.
const OF_A_FAMILY: [&str; 7] = ["from", "src", "via", "or", "realms", "expires", "pref"];

/// A destination before the family is known.
#[derive(Clone, Copy)]
enum Destination {
    Default,
    Prefix(Prefix),
}

/// A nexthop and the words that may yet prove wrong.
struct Group {
    nexthop: Nexthop,
    gateway: usize,
    realms: usize,
    family_named: bool,
}

/// A route half read.
pub(super) struct Draft {
    route: Route,
    destination: Option<Destination>,
    /// `inet` or `inet6` (true).
    family: Option<(usize, bool)>,
    /// `via inet6 …`: the gateway may be of the other family.
    family_named: bool,
    /// Where the options stand that depend on the family.
    spots: BTreeMap<&'static str, usize>,
    groups: Vec<Group>,
    broken_groups: usize,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self {
            route: Route::to(Prefix::host(Ipv4Addr::UNSPECIFIED.into())),
            destination: None,
            family: None,
            family_named: false,
            spots: BTreeMap::new(),
            groups: Vec::new(),
            broken_groups: 0,
        }
    }

    /// One option with its values.
    pub(super) fn word(&mut self, words: &mut Words<'_>, here: usize, option: &str, block: Option<Block>) {
        if option == "nexthop" {
            return self.nexthop(words, here);
        }
        if !self.groups.is_empty() {
            let problem = format!(
                "\"{option}\" stands after a nexthop: write the route's own options before the first one"
            );
            words.error(here, problem);
        }
        let spot = if option == "gw" { "via" } else { option };
        if let Some(spot) = OF_A_FAMILY.iter().find(|known| **known == spot) {
            self.spots.insert(spot, here);
        }
        self.option(words, here, option, block);
    }

    fn option(&mut self, words: &mut Words<'_>, here: usize, option: &str, block: Option<Block>) {
        let route = &mut self.route;
        match option {
            "inet" | "inet6" => self.family = Some((here, option == "inet6")),
            "to" => match words.value(here) {
                Some((at, text)) => self.destination(words, at, text),
                None => words.unusable = true,
            },
            "from" => {
                words.must(here, &mut route.from, str::parse);
            }
            "src" => {
                words.read(here, &mut route.src, address);
            }
            "via" | "gw" => self.family_named = words.gateway(here, &mut route.gateway),
            "or" => {
                words.must(here, &mut route.or_gateway, address);
            }
            "as" => words.new_destination(here, &mut route.new_destination),
            "dev" | "oif" => {
                words.must(here, &mut route.dev, name);
            }
            "onlink" => route.onlink = true,
            "table" => {
                words.must(here, &mut route.table, str::parse);
            }
            "vrf" => {
                words.must(here, &mut route.vrf, name);
            }
            "metric" | "priority" | "preference" => {
                words.must(here, &mut route.metric, word32);
            }
            "scope" => {
                words.read(here, &mut route.scope, str::parse);
            }
            "protocol" => {
                words.read(here, &mut route.protocol, str::parse);
            }
            "tos" | "dsfield" => {
                words.must(here, &mut route.tos, str::parse);
            }
            "realms" => {
                words.read(here, &mut route.realms, str::parse);
            }
            "encap" => route.encap = words.encap(here),
            "expires" => {
                words.read(here, &mut route.expires, word32);
            }
            "pref" => {
                words.read(here, &mut route.pref, one_of(&PREFERENCES));
            }
            "ttl-propagate" => {
                let words_known = one_of(&[("enabled", true), ("disabled", false)]);
                words.read(here, &mut route.ttl_propagate, words_known);
            }
            "no_track" => route.no_track = true,
            "track_group" => words.track_group(here, &mut route.track_group, block),
            _ if route.metrics.option(words, here, option) => {}
            _ => {
                if let Some((_, kind)) = TYPES.iter().find(|(word, _)| *word == option) {
                    route.kind = *kind;
                } else if let Some((_, how)) = INSERTIONS.iter().find(|(word, _)| *word == option) {
                    route.insertion = Some(*how);
                } else {
                    self.destination(words, here, option);
                }
            }
        }
    }

    /// A word that is a destination or nothing.
    fn destination(&mut self, words: &mut Words<'_>, here: usize, text: &str) {
        let after_to = here > 0 && words.before(here) == Some("to");
        let found = match text {
            "default" | "all" | "any" => Destination::Default,
            _ => match words.prefix(here, text) {
                Ok(prefix) => Destination::Prefix(prefix),
                Err(problem) => {
                    if after_to || text.starts_with(|c: char| c.is_ascii_digit()) {
                        words.fatal(here, problem);
                    } else {
                        words.unknown(here, "a route", OPTIONS);
                    }
                    return;
                }
            },
        };
        if self.destination.is_some() {
            words.fatal(here, format!("\"{text}\" is a second destination: write one for each line"));
        }
        self.destination = Some(found);
    }

    fn nexthop(&mut self, words: &mut Words<'_>, start: usize) {
        let unusable = std::mem::replace(&mut words.unusable, false);
        let mut group =
            Group { nexthop: Nexthop::default(), gateway: start, realms: start, family_named: false };
        let hop = &mut group.nexthop;
        while let Some("via" | "dev" | "oif" | "weight" | "onlink" | "encap" | "realms" | "as") = words.peek()
        {
            let Some((here, option)) = words.next() else { break };
            match option {
                "via" => {
                    group.gateway = here;
                    group.family_named = words.gateway(here, &mut hop.gateway);
                }
                "dev" | "oif" => {
                    words.must(here, &mut hop.dev, name);
                }
                "weight" => {
                    words.read(here, &mut hop.weight, decimal(1, 256));
                }
                "onlink" => hop.onlink = true,
                "encap" => hop.encap = words.encap(here),
                "realms" => {
                    group.realms = here;
                    words.read(here, &mut hop.realms, str::parse);
                }
                _ => words.new_destination(here, &mut hop.new_destination),
            }
        }
        // One path less is still the route that was meant.
        if std::mem::replace(&mut words.unusable, unusable) {
            self.broken_groups += 1;
        } else {
            self.groups.push(group);
        }
    }

    /// The family, and what does not go with it.
    pub(super) fn finish(mut self, words: &mut Words<'_>) -> Option<Route> {
        let Some(destination) = self.destination else {
            if !words.unusable {
                words.fatal(0, "a destination is missing: write IP/LENGTH or default");
            }
            return None;
        };
        let mut route = self.route;
        route.nexthops = self.groups.iter().map(|group| group.nexthop.clone()).collect();
        let ipv6 = match (destination, self.family) {
            (Destination::Prefix(prefix), _) => prefix.address.is_ipv6(),
            (Destination::Default, Some((_, ipv6))) => ipv6,
            (Destination::Default, None) => route.implied_ipv6().unwrap_or(false),
        };
        route.destination = match destination {
            Destination::Prefix(prefix) => prefix,
            Destination::Default if ipv6 => Prefix { address: Ipv6Addr::UNSPECIFIED.into(), length: 0 },
            Destination::Default => Prefix { address: Ipv4Addr::UNSPECIFIED.into(), length: 0 },
        };
        let this = if ipv6 { "IPv6" } else { "IPv4" };
        let spot = |option| self.spots.get(option).copied().unwrap_or(0);
        if let Some((at, _)) = self.family.filter(|(_, written)| *written != ipv6) {
            words.fatal(at, format!("the destination is {this}: remove this word"));
        }
        let strange = |address: IpAddr| address.is_ipv6() != ipv6;
        let mixed = |address: IpAddr| format!("{address} does not go with an {this} destination");
        if let Some(gateway) = route.gateway.filter(|gateway| strange(*gateway) && !self.family_named) {
            let family = if ipv6 { "inet" } else { "inet6" };
            let problem = format!("{}: if you mean it, write via {family}", mixed(gateway));
            words.fatal_named("other-family", spot("via"), problem);
        }
        if let Some(gateway) = route.or_gateway.filter(|gateway| strange(*gateway)) {
            words.fatal_named("other-family", spot("or"), mixed(gateway));
        }
        if let Some(from) = route.from.filter(|from| !ipv6 || strange(from.address)) {
            words.fatal(spot("from"), format!("from {from}: only IPv6 routes have it, with an IPv6 prefix"));
        }
        if let Some(src) = route.src.filter(|src| strange(*src)) {
            words.named("other-family", spot("src"), mixed(src));
            route.src = None;
        }
        if ipv6 && route.realms.take().is_some() {
            words.error(spot("realms"), "realms are for IPv4");
        }
        if !ipv6 && route.expires.take().is_some() {
            words.error(spot("expires"), "expires is for IPv6");
        }
        if !ipv6 && route.pref.take().is_some() {
            words.error(spot("pref"), "pref is for IPv6");
        }
        route.nexthops.clear();
        for mut group in self.groups {
            let lost = group.nexthop.gateway.filter(|gateway| strange(*gateway) && !group.family_named);
            if let Some(gateway) = lost {
                words.error(group.gateway, mixed(gateway));
                self.broken_groups += 1;
                continue;
            }
            if ipv6 && group.nexthop.realms.take().is_some() {
                words.error(group.realms, "realms are for IPv4");
            }
            route.nexthops.push(group.nexthop);
        }
        words.unusable |= self.broken_groups > 0
            && route.nexthops.is_empty()
            && route.gateway.is_none()
            && route.dev.is_none();
        Some(route)
    }
}

impl RouteMetrics {
    /// False if it is none of these options.
    fn option(&mut self, words: &mut Words<'_>, here: usize, option: &str) -> bool {
        match option {
            "mtu" => words.metric(here, &mut self.mtu, word32),
            "advmss" => words.metric(here, &mut self.advmss, word32),
            "rtt" => words.metric(here, &mut self.rtt, millis(960_000)),
            "rttvar" => words.metric(here, &mut self.rttvar, millis(480_000)),
            "rto_min" => words.metric(here, &mut self.rto_min, millis(120_000)),
            "reordering" => words.metric(here, &mut self.reordering, word32),
            "cwnd" => words.metric(here, &mut self.cwnd, word32),
            "ssthresh" => words.metric(here, &mut self.ssthresh, word32),
            "congctl" => words.metric(here, &mut self.congctl, congestion_name),
            "hoplimit" => words.read(here, &mut self.hoplimit, decimal(0, u8::MAX.into())),
            "window" => words.read(here, &mut self.window, word32),
            "initcwnd" => words.read(here, &mut self.initcwnd, word32),
            "initrwnd" => words.read(here, &mut self.initrwnd, word32),
            "quickack" => words.read(here, &mut self.quickack, zero_or_one),
            "fastopen_no_cookie" => words.read(here, &mut self.fastopen_no_cookie, zero_or_one),
            "features" => {
                let mut ecn = None;
                let good = words.read(here, &mut ecn, one_of(&[("ecn", ())]));
                self.ecn |= good;
                good
            }
            _ => return false,
        };
        true
    }
}

impl Words<'_> {
    /// `[lock] VALUE`.
    fn metric<T>(
        &mut self,
        here: usize,
        slot: &mut Option<Metric<T>>,
        read: impl FnOnce(&str) -> Read<T>,
    ) -> bool {
        let lock = self.take("lock");
        self.read(here, slot, |text| read(text).map(|value| Metric { value, lock }))
    }

    /// `[inet|inet6] IP`. True if the family is named.
    fn gateway(&mut self, here: usize, slot: &mut Option<IpAddr>) -> bool {
        let family = match self.peek() {
            Some("inet") => Some(false),
            Some("inet6") => Some(true),
            _ => None,
        };
        if family.is_some() {
            self.next();
        }
        self.must(here, slot, |text| {
            let gateway = address(text)?;
            match family {
                Some(ipv6) if ipv6 != gateway.is_ipv6() => Err(format!("{gateway} is of the other family")),
                _ => Ok(gateway),
            }
        });
        family.is_some()
    }

    /// `[to] ADDRESS|LABELS`.
    fn new_destination(&mut self, here: usize, slot: &mut Option<NewDestination>) {
        self.take("to");
        self.read(here, slot, str::parse);
    }
}

fn address(text: &str) -> Read<IpAddr> {
    text.parse().map_err(|_| format!("\"{text}\" is not an IP address"))
}
