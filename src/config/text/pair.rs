//! Ends of the channel of a pair.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::super::model::PairPoint;

/// The form, for people.
const PAIR_POINT_SAYS: &str = "ADDRESS[%INTERFACE] [PORT]";

/// Addresses that mean something on one link only (RFC 4291 section 2.5.6).
const fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

impl PairPoint {
    /// From the words of a line.
    ///
    /// # Errors
    /// Which word cannot be meant, counted from 0, and why.
    pub fn of_words(address: &str, port: Option<&str>) -> Result<Self, (usize, String)> {
        let (bare, interface) = match address.split_once('%') {
            Some((bare, interface)) => (bare, Some(interface)),
            None => (address, None),
        };
        let fail = |problem: String| (0, problem);
        let parsed: IpAddr = bare.parse().map_err(|_| fail(format!("\"{bare}\" is no IP address")))?;
        match (parsed, interface) {
            (IpAddr::V6(address), None) if is_link_local(address) => {
                return Err(fail(format!("\"{address}\" is link-local: write {address}%INTERFACE")));
            }
            (IpAddr::V6(address), Some(interface)) if is_link_local(address) => {
                let sound = !interface.is_empty()
                    && interface.len() < 16
                    && !interface.contains(|c: char| c == '/' || c.is_whitespace());
                if !sound {
                    return Err(fail(format!("\"{interface}\" is no name of an interface")));
                }
            }
            (_, Some(_)) => {
                return Err(fail(format!("\"{bare}\" is not link-local and takes no %INTERFACE")));
            }
            (_, None) => {}
        }
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let port = match port {
            Some(text) => {
                Some(number(text).ok_or_else(|| (1, format!("\"{text}\" is no port from 1 to 65535")))?)
            }
            None => None,
        };
        Ok(Self { address: parsed, interface: interface.map(str::to_owned), port })
    }

    /// The first word: the address, with its interface.
    pub fn address_word(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{}%{interface}", self.address),
            None => self.address.to_string(),
        }
    }
}

impl FromStr for PairPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let address = words.next().unwrap_or_default();
        let port = words.next();
        if let Some(word) = words.next() {
            return Err(format!("\"{word}\" is too much: write {PAIR_POINT_SAYS}"));
        }
        Self::of_words(address, port).map_err(|(_, problem)| format!("{problem}: write {PAIR_POINT_SAYS}"))
    }
}

impl fmt::Display for PairPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address_word())?;
        self.port.map_or(Ok(()), |port| write!(f, " {port}"))
    }
}

impl JsonSchema for PairPoint {
    fn schema_name() -> Cow<'static, str> {
        "PairPoint".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "ADDRESS[%INTERFACE] [PORT]: \"10.0.0.2\", \"2001:db8::2 9651\", \"fe80::2%eth0\".",
            "type": "string",
        })
    }
}

impl Serialize for PairPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PairPoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points() {
        for (text, port) in [
            ("10.0.0.2", None),
            ("10.0.0.2 9651", Some(9651)),
            ("2001:db8::2 1", Some(1)),
            ("fe80::2%eth0", None),
            ("fe80::2%eth0.7 65535", Some(65535)),
            ("::", None),
        ] {
            let point: PairPoint = text.parse().unwrap();
            assert_eq!((point.to_string().as_str(), point.port), (text, port));
        }
        for (text, says) in [
            ("", "is no IP address"),
            ("lb2", "is no IP address"),
            ("10.0.0.2:9651", "is no IP address"),
            ("10.0.0.2 0", "is no port"),
            ("10.0.0.2 65536", "is no port"),
            ("10.0.0.2 1 2", "is too much"),
            ("fe80::2", "is link-local"),
            ("fe80::2%", "is no name of an interface"),
            ("fe80::2%sixteen-letters-", "is no name of an interface"),
            ("10.0.0.2%eth0", "takes no %INTERFACE"),
        ] {
            let problem = text.parse::<PairPoint>().unwrap_err();
            assert!(problem.contains(says) && problem.contains("ADDRESS"), "{text}: {problem}");
        }
    }
}
