//! One element of `virtual_routes`, `static_routes`: `[TYPE] [to] DESTINATION [option …]` (reference section 6b).

use std::fmt;
use std::str::FromStr;

use super::ElementError;
use super::options::{self, Value, Word, alias, word};
use crate::config::model::{Route, RouteTarget};
use crate::config::units::Prefix;

const TYPES: [&str; 9] =
    ["unicast", "local", "broadcast", "multicast", "throw", "unreachable", "prohibit", "blackhole", "nat"];

const U32: u64 = u32::MAX as u64;
/// What keepalived takes for a round-trip time, milliseconds.
const LONGEST_RTT: u64 = 960_000;

const GRAMMAR: &[Word] = &[
    word("inet", Value::None),
    word("inet6", Value::None),
    word("src", Value::Ip),
    word("from", Value::Prefix),
    alias("via", &["gw"], Value::FamilyIp),
    word("or", Value::Ip),
    word("as", Value::ToIp),
    alias("dev", &["oif"], Value::Interface),
    word("onlink", Value::None),
    word("table", Value::Text),
    word("vrf", Value::Interface),
    alias("metric", &["priority", "preference"], Value::Number(0, U32)),
    word("scope", Value::Text),
    word("protocol", Value::Text),
    alias("tos", &["dsfield"], Value::Text),
    word("realms", Value::Text),
    word("encap", Value::Encap),
    word("expires", Value::Number(0, U32)),
    word("mtu", Value::LockNumber(0, U32)),
    word("hoplimit", Value::Number(0, 255)),
    word("advmss", Value::LockNumber(0, U32)),
    word("rtt", Value::LockTime(LONGEST_RTT)),
    word("rttvar", Value::LockTime(LONGEST_RTT)),
    word("rto_min", Value::LockTime(LONGEST_RTT)),
    word("reordering", Value::LockNumber(0, U32)),
    word("window", Value::Number(0, U32)),
    word("cwnd", Value::LockNumber(0, U32)),
    word("ssthresh", Value::LockNumber(0, U32)),
    word("initcwnd", Value::Number(0, U32)),
    word("initrwnd", Value::Number(0, U32)),
    word("features", Value::OneOf(&["ecn"])),
    word("quickack", Value::Number(0, 1)),
    word("congctl", Value::LockText),
    word("pref", Value::OneOf(&["low", "medium", "high"])),
    word("ttl-propagate", Value::OneOf(&["enabled", "disabled"])),
    word("fastopen_no_cookie", Value::Number(0, 1)),
    word("add", Value::None),
    word("prepend", Value::None),
    word("append", Value::None),
    word("no_track", Value::None),
    word("track_group", Value::Text),
];

const HOP: &[Word] = &[
    alias("via", &["gw"], Value::FamilyIp),
    alias("dev", &["oif"], Value::Interface),
    word("weight", Value::Number(1, 256)),
    word("onlink", Value::None),
    word("encap", Value::Encap),
    word("realms", Value::Text),
    word("as", Value::ToIp),
];

impl Route {
    /// Reads the words of a route. Wrong options are reported one by one and passed over; `None` only when the
    /// destination cannot be read.
    pub fn parse_words(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        let mut errors = Vec::new();
        let mut at = 0;
        let kind = words.first().and_then(|first| TYPES.iter().find(|kind| *kind == first)).copied();
        at += usize::from(kind.is_some());
        at += usize::from(words.get(at) == Some(&"to"));
        let target = match words.get(at) {
            Some(&"default") => RouteTarget::Default,
            Some(text) => match text.parse::<Prefix>() {
                Ok(prefix) => RouteTarget::Prefix(prefix),
                Err(problem)
                    if text.contains('/')
                        && text.split('/').next().is_some_and(|a| a.parse::<std::net::IpAddr>().is_ok()) =>
                {
                    return (None, vec![ElementError::named(at, problem, "bad-address")]);
                }
                Err(problem) => return (None, vec![ElementError::new(at, problem)]),
            },
            None => {
                return (None, vec![ElementError::new(0, "a destination is missing".to_owned())]);
            }
        };
        at += 1;
        // Groups of nexthops stand behind everything else.
        let hops_from = words.iter().position(|w| *w == "nexthop").unwrap_or(words.len()).max(at);
        let head = words.get(..hops_from).unwrap_or(words);
        let mut route = Self {
            kind: kind.map(str::to_owned),
            target,
            options: options::read(head, at, GRAMMAR, &mut errors),
            nexthops: Vec::new(),
        };
        let mut from = hops_from;
        while from < words.len() {
            let rest = words.get(from + 1..).unwrap_or_default();
            let end = rest.iter().position(|w| *w == "nexthop").map_or(words.len(), |n| from + 1 + n);
            let hop = words.get(..end).unwrap_or(words);
            route.nexthops.push(options::read(hop, from + 1, HOP, &mut errors));
            from = end;
        }
        route.tracking(&mut errors);
        if let RouteTarget::Prefix(prefix) = route.target
            && let Some(via) = route.option("via").and_then(|via| via.parse::<std::net::IpAddr>().ok())
            && via.is_ipv6() != prefix.address.is_ipv6()
            && !words.iter().any(|word| matches!(*word, "inet" | "inet6"))
        {
            errors.push(ElementError::named(0, "the gateway is of the other address family", "other-family"));
        }
        (Some(route), errors)
    }

    /// The value of an option, where it is set.
    pub fn option(&self, word: &str) -> Option<&str> {
        self.options.iter().find(|option| option.word == word).map(|option| option.value.as_str())
    }

    /// What keeps a route from being tracked: said, and mended as keepalived does it.
    fn tracking(&mut self, errors: &mut Vec<ElementError>) {
        if self.option("no_track").is_some() {
            return;
        }
        if self.option("dev").is_none() {
            let problem = "a route without dev cannot be tracked: name its interface, or write no_track";
            errors.push(ElementError::named(0, problem, "route-not-tracked"));
        } else if self.option("protocol").is_some_and(|p| !matches!(p, "keepalived" | "18" | "0x12")) {
            let problem =
                "a tracked route is of protocol keepalived (18): remove protocol, or write no_track";
            errors.push(ElementError::named(0, problem, "route-protocol"));
        }
    }

    /// The interfaces that it names.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        let hops = self.nexthops.iter().flatten();
        self.options
            .iter()
            .chain(hops)
            .filter(|option| option.word == "dev")
            .map(|option| option.value.as_str())
    }
}

impl FromStr for Route {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (route, errors) = Self::parse_words(&words);
        let fatal = errors.into_iter().find(|error| error.code.is_none());
        match (route, fatal) {
            (Some(route), None) => Ok(route),
            (_, Some(error)) => Err(error.problem),
            (None, None) => Err("a destination is missing".to_owned()),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.kind {
            write!(f, "{kind} ")?;
        }
        match self.target {
            RouteTarget::Default => f.write_str("default")?,
            RouteTarget::Prefix(prefix) => write!(f, "{prefix}")?,
        }
        options::write(&self.options, f)?;
        for hop in &self.nexthops {
            f.write_str(" nexthop")?;
            options::write(hop, f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) fn sample(n: u64) -> Route {
    const LINES: &[&str] = &[
        "default via 10.0.0.1 dev eth0 metric 5 table 7",
        "blackhole 10.0.0.0/8 no_track",
        "10.1.0.0/16 dev eth1 src 10.1.0.1 mtu lock 1400 rtt 200ms no_track",
        "fe80::/64 dev eth1 pref high",
        "192.0.2.0/24 dev eth0 nexthop via 10.0.0.1 weight 2 nexthop via 10.0.0.2 dev eth1 onlink",
    ];
    let at = usize::try_from(n % LINES.len() as u64).unwrap_or(0);
    let words: Vec<&str> = LINES.get(at).copied().unwrap_or("default").split(' ').collect();
    let (route, errors) = Route::parse_words(&words);
    assert!(errors.is_empty(), "{words:?}: {errors:?}");
    route.unwrap_or_else(|| unreachable!("{words:?} is a route"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<String>, Vec<String>) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (route, errors) = Route::parse_words(&words);
        let again = route.as_ref().map(|route| route.to_string().parse::<Route>());
        if let (Some(route), Some(Ok(again))) = (&route, again) {
            assert_eq!(*route, again, "{text}");
        }
        (route.map(|route| route.to_string()), errors.into_iter().map(|error| error.problem).collect())
    }

    #[test]
    fn what_people_write_is_understood() {
        for (text, wanted) in [
            ("default via 10.0.0.1 dev eth0", "default via 10.0.0.1 dev eth0"),
            (
                "192.168.1.0/24 via 10.0.0.1 dev eth0 metric 10 no_track",
                "192.168.1.0/24 via 10.0.0.1 dev eth0 metric 10 no_track",
            ),
            ("src 10.0.0.1 to 10.0.0.0/8 dev eth0", ""),
            ("blackhole 192.168.112.0/24 no_track", "blackhole 192.168.112.0/24 no_track"),
            (
                "to 10.0.0.0/8 gw inet 10.0.0.1 oif eth0 mtu lock 1400",
                "10.0.0.0/8 via 10.0.0.1 dev eth0 mtu lock 1400",
            ),
            (
                "10.0.0.1 dev eth0 encap mpls 100/200 table 5",
                "10.0.0.1/32 dev eth0 encap mpls 100/200 table 5",
            ),
            (
                "10.0.0.1 dev eth0 encap ip id 7 dst 10.0.0.2 ttl 5 onlink",
                "10.0.0.1/32 dev eth0 encap ip id 7 dst 10.0.0.2 ttl 5 onlink",
            ),
        ] {
            let (shown, errors) = read(text);
            assert_eq!(shown.unwrap_or_default(), wanted, "{text}: {errors:?}");
        }
    }

    #[test]
    fn mistakes_are_named_one_by_one() {
        for (text, wanted) in [
            ("default via 10.0.0.1", vec!["cannot be tracked"]),
            ("default via 10.0.0.1 dev eth0 protocol 5", vec!["protocol keepalived"]),
            ("default dev eth0 rtt 4294967295", vec!["rtt: \"4294967295\""]),
            ("default dev eth0 metrik 5", vec!["did you mean metric", "\"5\" is no option"]),
            ("default dev eth0 via x mtu", vec!["via: \"x\"", "mtu: a value is missing"]),
            ("nonsense dev eth0", vec!["is not an IP address"]),
            ("", vec!["missing"]),
        ] {
            let errors = read(text).1;
            assert_eq!(errors.len(), wanted.len(), "{text}: {errors:?}");
            for (error, part) in errors.iter().zip(wanted) {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }

    #[test]
    fn samples_survive_their_text() {
        for n in 0..5 {
            let route = sample(n);
            assert_eq!(route.to_string().parse(), Ok(route));
        }
    }
}
