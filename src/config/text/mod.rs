//! Elements that are one line of text in both file forms: addresses, routes, rules, status code ranges.

mod options;
pub(crate) mod route;
pub(crate) mod rule;

pub use options::ElementOption;

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::model::{Broadcast, Lifetime, Route, Rule, Scope, StatusRange, VirtualAddress};
use super::units::Prefix;

const SCOPES: [(&str, u8); 5] =
    [("global", 0), ("nowhere", 255), ("host", 254), ("link", 253), ("site", 200)];

/// Why an element cannot be read. `word` counts from 0 and points at the culprit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ElementError {
    /// Which word of the element.
    pub word: usize,
    /// What is wrong, and what to write.
    pub problem: String,
    /// A stable name for programs, where it is no plain mistake in an option.
    pub code: Option<&'static str>,
}

impl ElementError {
    /// A mistake in one word.
    pub(crate) fn new(word: usize, problem: impl Into<String>) -> Self {
        Self { word, problem: problem.into(), code: None }
    }

    /// The same with a name of its own.
    pub(crate) fn named(word: usize, problem: impl Into<String>, code: &'static str) -> Self {
        Self { word, problem: problem.into(), code: Some(code) }
    }
}

impl VirtualAddress {
    /// An address without options.
    pub const fn plain(address: Prefix) -> Self {
        Self {
            address,
            dev: None,
            broadcast: None,
            scope: None,
            label: None,
            peer: None,
            no_track: false,
            home: false,
            mngtmpaddr: false,
            noprefixroute: false,
            autojoin: false,
            detect_duplicates: false,
            preferred_lft: None,
            use_vmac: false,
            track_group: None,
        }
    }

    /// Reads `IP[/MASK] [option …]` (the rules of `ip address`). Wrong options are reported one by one and
    /// passed over; `None` only when the address itself cannot be read.
    pub fn parse_words(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        let mut errors = Vec::new();
        let error = |word, problem| ElementError::new(word, problem);
        let Some(first) = words.first() else {
            return (None, vec![error(0, "an address is missing".to_owned())]);
        };
        let mut va = match first.parse() {
            Ok(prefix) => Self::plain(prefix),
            // keepalived takes a wrong length for that of a host.
            Err(problem) => match first.split_once('/').and_then(|(address, _)| address.parse().ok()) {
                Some(address) => {
                    errors.push(ElementError::named(
                        0,
                        format!("{problem}; the address alone is taken"),
                        "bad-address",
                    ));
                    Self::plain(Prefix::host(address))
                }
                None => return (None, vec![error(0, problem)]),
            },
        };
        let mut at = 1;
        while at < words.len() {
            let option = words[at];
            let here = at;
            let value = words.get(at + 1).copied();
            at += 1;
            let takes_value = matches!(
                option,
                "dev" | "brd" | "broadcast" | "scope" | "label" | "peer" | "preferred_lft" | "track_group"
            );
            let value = match (takes_value, value) {
                (false, _) => "",
                (true, Some(value)) => {
                    at += 1;
                    value
                }
                (true, None) => {
                    errors.push(error(here, format!("\"{option}\" needs a value")));
                    continue;
                }
            };
            let problem = match option {
                "dev" => {
                    va.dev = Some(value.to_owned());
                    None
                }
                "brd" | "broadcast" => match value {
                    "+" => set(&mut va.broadcast, Ok(Broadcast::Plus)),
                    "-" => set(&mut va.broadcast, Ok(Broadcast::Minus)),
                    text => set(
                        &mut va.broadcast,
                        text.parse::<Ipv4Addr>()
                            .map(Broadcast::Address)
                            .map_err(|_| format!("\"{text}\" is not an IPv4 address: write one, or + or -")),
                    ),
                },
                "scope" => set(&mut va.scope, value.parse()),
                "label" if va.address.address.is_ipv6() => Some("IPv6 addresses have no label".to_owned()),
                "label" if value.len() < 16 => {
                    va.label = Some(value.to_owned());
                    None
                }
                "label" => Some(format!("label \"{value}\" is too long: at most 15 characters")),
                "peer" => set(&mut va.peer, value.parse()),
                "preferred_lft" => set(&mut va.preferred_lft, lifetime(value)),
                "track_group" => {
                    va.track_group = Some(value.to_owned());
                    None
                }
                _ => match va.flag(option) {
                    Some(flag) => {
                        *flag = true;
                        None
                    }
                    None => Some(format!("\"{option}\" is no option of an address")),
                },
            };
            if let Some(problem) = problem {
                errors.push(error(here, problem));
            }
        }
        (Some(va), errors)
    }

    /// The field of a word without value.
    fn flag(&mut self, word: &str) -> Option<&mut bool> {
        Some(match word {
            "no_track" => &mut self.no_track,
            "home" => &mut self.home,
            "mngtmpaddr" => &mut self.mngtmpaddr,
            "noprefixroute" => &mut self.noprefixroute,
            "autojoin" => &mut self.autojoin,
            "-nodad" => &mut self.detect_duplicates,
            "use_vmac" => &mut self.use_vmac,
            _ => return None,
        })
    }

    /// Options that are set and that nothing acts on yet.
    pub fn not_acted_on(&self) -> Vec<&'static str> {
        [
            ("home", self.home),
            ("mngtmpaddr", self.mngtmpaddr),
            ("noprefixroute", self.noprefixroute),
            ("autojoin", self.autojoin),
            ("-nodad", self.detect_duplicates),
            ("preferred_lft", self.preferred_lft.is_some()),
            ("use_vmac", self.use_vmac),
            ("track_group", self.track_group.is_some()),
        ]
        .into_iter()
        .filter_map(|(word, set)| set.then_some(word))
        .collect()
    }

    /// The broadcast address that `brd` asks for.
    pub fn broadcast_address(&self) -> Option<Ipv4Addr> {
        let std::net::IpAddr::V4(address) = self.address.address else { return None };
        let host_bits = u32::MAX.checked_shr(u32::from(self.address.length)).unwrap_or(0);
        match self.broadcast? {
            Broadcast::Plus => Some(Ipv4Addr::from(u32::from(address) | host_bits)),
            Broadcast::Minus => Some(Ipv4Addr::from(u32::from(address) & !host_bits)),
            Broadcast::Address(address) => Some(address),
        }
    }
}

/// `preferred_lft`.
fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text {
        "forever" => Ok(Lifetime::Forever),
        _ => text
            .parse()
            .map(Lifetime::Secs)
            .map_err(|_| format!("\"{text}\" is no number of seconds, and not forever")),
    }
}

fn set<T>(slot: &mut Option<T>, value: Result<T, String>) -> Option<String> {
    match value {
        Ok(value) => {
            *slot = Some(value);
            None
        }
        Err(problem) => Some(problem),
    }
}

impl FromStr for VirtualAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (va, errors) = Self::parse_words(&words);
        match (va, errors.into_iter().next()) {
            (Some(va), None) => Ok(va),
            (_, Some(error)) => Err(error.problem),
            (None, None) => Err("an address is missing".to_owned()),
        }
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address == Prefix::host(self.address.address) {
            write!(f, "{}", self.address.address)?;
        } else {
            write!(f, "{}", self.address)?;
        }
        if let Some(peer) = &self.peer {
            write!(f, " peer {peer}")?;
        }
        match self.broadcast {
            None => {}
            Some(Broadcast::Plus) => f.write_str(" brd +")?,
            Some(Broadcast::Minus) => f.write_str(" brd -")?,
            Some(Broadcast::Address(address)) => write!(f, " brd {address}")?,
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {scope}")?;
        }
        if let Some(label) = &self.label {
            write!(f, " label {label}")?;
        }
        match self.preferred_lft {
            None => {}
            Some(Lifetime::Forever) => f.write_str(" preferred_lft forever")?,
            Some(Lifetime::Secs(secs)) => write!(f, " preferred_lft {secs}")?,
        }
        for (word, set) in [
            ("home", self.home),
            ("mngtmpaddr", self.mngtmpaddr),
            ("noprefixroute", self.noprefixroute),
            ("autojoin", self.autojoin),
            ("-nodad", self.detect_duplicates),
            ("use_vmac", self.use_vmac),
            ("no_track", self.no_track),
        ] {
            if set {
                write!(f, " {word}")?;
            }
        }
        match &self.track_group {
            Some(group) => write!(f, " track_group {group}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        SCOPES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, n)| Self(*n))
            .or_else(|| text.parse().ok().map(Self))
            .ok_or_else(|| {
                format!("\"{text}\" is no scope: write global, site, link, host, nowhere or 0 to 255")
            })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SCOPES.iter().find(|(_, n)| *n == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for StatusRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let code = |s: &str| s.parse().ok().filter(|n| (100..=599).contains(n));
        match (code(from), code(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => {
                Err(format!("\"{text}\" is no status code or range: write 200 or 301-303, within 100 to 599"))
            }
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

macro_rules! text_element {
    ($type:ty, $name:literal, $form:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $form, "type": "string" })
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

text_element!(
    VirtualAddress,
    "VirtualAddress",
    "IP[/LENGTH] [peer IP] [brd IP|+|-] [dev IF] [scope S] [label L] [preferred_lft N|forever] [no_track] [option …]"
);
text_element!(
    Route,
    "Route",
    "[TYPE] [to] DESTINATION [via IP] [dev IF] [src IP] [metric N] [table T] [option …] [nexthop …]"
);
text_element!(
    Rule,
    "Rule",
    "[not] [from PREFIX] [to PREFIX] [fwmark N[/MASK]] [iif IF] [oif IF] [table T] [priority N] [option …] [ACTION]"
);

impl JsonSchema for StatusRange {
    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status code (200) or a range (\"301-303\"), within 100 to 599.",
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$" },
            ],
        })
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.from == self.to { serializer.serialize_u16(self.from) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl Visitor<'_> for AsWritten {
            type Value = StatusRange;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status code (200) or a range (\"301-303\")")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<StatusRange, E> {
                v.to_string().parse().map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<StatusRange, E> {
                v.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}
