//! `real_server_override` and names of virtual servers as text. An override is one line without braces: keepalived reads
//! what stands in the block of a word that it does not know as words of its own, but passes over a line.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::super::model::{AdminState, IpFamily, OverrideKind, Protocol, RealServerOverride, ServiceName};
use super::{ElementError, option};

/// The form of the line, for people.
pub const OVERRIDE_SAYS: &str = "SERVICE ADDRESS:PORT [add [like ADDRESS:PORT] | delete] [weight N] \
     [enabled|drain|disabled [until WHEN]] [by WHO] [at WHEN], with SERVICE TCP ADDRESS:PORT, FWM N or group NAME";

const PROTOCOLS: [(&str, Protocol); 3] =
    [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];
const STATES: [AdminState; 3] = [AdminState::Enabled, AdminState::Drain, AdminState::Disabled];

fn protocol(word: &str) -> Option<Protocol> {
    PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, protocol)| *protocol)
}

fn protocol_word(protocol: Protocol) -> &'static str {
    PROTOCOLS.iter().find(|(_, known)| *known == protocol).map_or("UDP", |(name, _)| name)
}

fn fault(word: usize, problem: impl Into<String>) -> ElementError {
    ElementError { word, problem: problem.into(), code: None }
}

/// Address and port, or an address alone (port 0).
fn endpoint(word: &str) -> Option<SocketAddr> {
    word.parse().ok().or_else(|| Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, 0)))
}

impl ServiceName {
    /// Reads a name from the front of a line; returns how many words it has.
    ///
    /// # Errors
    /// The word that cannot be meant.
    pub fn parse(words: &[&str]) -> Result<(Self, usize), ElementError> {
        let says = "write TCP ADDRESS:PORT (or UDP, SCTP), FWM N [IPv6] or group NAME [TCP|UDP|SCTP]";
        let Some(first) = words.first() else {
            return Err(fault(0, format!("no virtual server is named: {says}")));
        };
        let second = words.get(1).copied();
        if first.eq_ignore_ascii_case("group") {
            let name = second.ok_or_else(|| fault(0, "group without a name: write group NAME"))?;
            let protocol = words.get(2).and_then(|word| protocol(word));
            let used = if protocol.is_some() { 3 } else { 2 };
            return Ok((Self::Group { name: name.to_owned(), protocol }, used));
        }
        if first.eq_ignore_ascii_case("fwm") || first.eq_ignore_ascii_case("fwmark") {
            let mark = second.and_then(|text| text.parse().ok()).filter(|mark| *mark != 0);
            let mark = mark.ok_or_else(|| fault(1, "FWM needs a firewall mark from 1 to 4294967295"))?;
            let family = match words.get(2) {
                Some(word) if word.eq_ignore_ascii_case("ipv6") => Some(IpFamily::Inet6),
                Some(word) if word.eq_ignore_ascii_case("ipv4") => Some(IpFamily::Inet),
                _ => None,
            };
            let used = if family.is_some() { 3 } else { 2 };
            return Ok((Self::Fwmark { mark, family }, used));
        }
        let (protocol, at, used) = match (protocol(first), second) {
            (Some(protocol), Some(second)) => (Some(protocol), second, 2),
            (Some(_), None) => return Err(fault(0, format!("{first} without address: {says}"))),
            (None, _) => (None, *first, 1),
        };
        let at = endpoint(at).ok_or_else(|| {
            fault(used - 1, format!("\"{at}\" is no ADDRESS:PORT of a virtual server: {says}"))
        })?;
        Ok((Self::Address { protocol, at }, used))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, at } => match protocol {
                Some(protocol) => write!(f, "{} {at}", protocol_word(*protocol)),
                None => write!(f, "{at}"),
            },
            Self::Fwmark { mark, family } => match family {
                None => write!(f, "FWM {mark}"),
                Some(IpFamily::Inet) => write!(f, "FWM {mark} IPv4"),
                Some(IpFamily::Inet6) => write!(f, "FWM {mark} IPv6"),
            },
            Self::Group { name, protocol } => {
                write!(f, "group {name}")?;
                protocol.map_or(Ok(()), |protocol| write!(f, " {}", protocol_word(protocol)))
            }
        }
    }
}

impl FromStr for ServiceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, used) = Self::parse(&words).map_err(|error| error.problem)?;
        match words.get(used) {
            None => Ok(name),
            Some(rest) => Err(format!("\"{rest}\" does not belong to the name of a virtual server")),
        }
    }
}

/// True for the one form that times have here: texts of it are in the order of their times.
fn is_utc(text: &str) -> bool {
    let form = b"0000-00-00T00:00:00Z";
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    text.len() == form.len() && text.bytes().zip(form).all(fits)
}

/// What has been read of a line.
struct Line<'w> {
    words: &'w [&'w str],
    at: usize,
}

impl<'w> Line<'w> {
    fn next(&mut self) -> Option<&'w str> {
        let word = self.words.get(self.at).copied();
        self.at += 1;
        word
    }

    /// What stands behind the word just read.
    fn value<T>(&mut self, says: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, ElementError> {
        let word = self.words.get(self.at - 1).copied().unwrap_or_default();
        let value = self.next().ok_or_else(|| fault(self.at - 2, format!("{word} without {says}")))?;
        read(value).ok_or_else(|| fault(self.at - 1, format!("{word}: \"{value}\" is not {says}")))
    }
}

impl RealServerOverride {
    /// Reads the words of a line.
    ///
    /// # Errors
    /// The first word that cannot be meant: half an override would do something else than what was meant.
    pub fn parse(words: &[&str]) -> Result<Self, ElementError> {
        let (service, used) = ServiceName::parse(words)?;
        let mut line = Line { words, at: used };
        let server = line.next().ok_or_else(|| fault(used, "no real server is named: write ADDRESS:PORT"))?;
        let server: SocketAddr = server
            .parse()
            .map_err(|_| fault(used, format!("\"{server}\" is no ADDRESS:PORT of a real server")))?;
        // Without the scope of an address: the kernel's table has none.
        let mut read = Self::new(service, SocketAddr::new(server.ip(), server.port()));
        while let Some(word) = line.next() {
            let here = line.at - 1;
            let kind = read.kind;
            match word {
                "add" if kind == OverrideKind::Change => read.kind = OverrideKind::Add { like: None },
                "like" if kind == (OverrideKind::Add { like: None }) => {
                    let like = line.value("ADDRESS:PORT", |text| text.parse().ok())?;
                    read.kind = OverrideKind::Add { like: Some(like) };
                }
                "like" => return Err(fault(here, "like belongs behind add")),
                "delete" if kind == OverrideKind::Change => read.kind = OverrideKind::Delete,
                "weight" => {
                    read.weight = Some(line.value("a weight from 0 to 65535", |text| text.parse().ok())?);
                }
                "until" if read.state.is_some() => {
                    let end = line.value("a time like 2026-11-21T19:00:00Z", |text| {
                        is_utc(text).then(|| text.to_owned())
                    })?;
                    read.until = Some(end);
                }
                "until" => return Err(fault(here, "until belongs behind drain, disabled or enabled")),
                "by" => read.by = Some(line.value("who it was", |text| Some(text.to_owned()))?),
                "at" => read.at = Some(line.value("when it was", |text| Some(text.to_owned()))?),
                _ => match STATES.iter().find(|state| state.word() == word) {
                    Some(state) => read.state = Some(*state),
                    None => return Err(fault(here, format!("\"{word}\" is not known here"))),
                },
            }
        }
        if read.is_empty() {
            let problem =
                "the override changes nothing: write weight N, drain, disabled, enabled, add or delete";
            return Err(fault(0, problem));
        }
        if read.kind == OverrideKind::Delete && (read.weight.is_some() || read.state.is_some()) {
            return Err(fault(0, "delete goes with neither a weight nor a state"));
        }
        Ok(read)
    }
}

impl fmt::Display for RealServerOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service, self.server)?;
        match self.kind {
            OverrideKind::Change => {}
            OverrideKind::Add { like } => {
                f.write_str(" add")?;
                option(f, "like", like)?;
            }
            OverrideKind::Delete => f.write_str(" delete")?,
        }
        option(f, "weight", self.weight)?;
        if let Some(state) = self.state {
            write!(f, " {}", state.word())?;
        }
        option(f, "until", self.until.as_deref())?;
        option(f, "by", self.by.as_deref())?;
        option(f, "at", self.at.as_deref())
    }
}

impl FromStr for RealServerOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Self::parse(&words).map_err(|error| error.problem)
    }
}

impl serde::Serialize for RealServerOverride {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RealServerOverride {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for RealServerOverride {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RealServerOverride".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "description": OVERRIDE_SAYS, "type": "string" })
    }
}

#[cfg(test)]
mod tests;
