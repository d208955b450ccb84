//! Quantities as people write them: durations and address prefixes.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration of the configuration, at microsecond resolution. keepalived.conf writes decimal seconds
/// (`0.5`); YAML takes a number of seconds or `500ms`, `2s`, `1.5s`, `3m`, `1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secs(pub Duration);

impl Secs {
    /// Whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Decimal seconds as keepalived.conf writes them: digits, at most one point, no sign, no exponent.
    /// Digits beyond the microsecond are cut.
    pub fn parse_decimal(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return None;
        }
        let secs: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut micros = 0;
        for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(6) {
            micros = micros * 10 + u64::from(digit - b'0');
        }
        Some(Self(Duration::from_secs(secs).checked_add(Duration::from_micros(micros))?))
    }
}

impl FromStr for Secs {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let bad = || format!("\"{text}\" is not a duration: write seconds (1.5) or 200ms, 2s, 3m, 1h");
        let base = Self::parse_decimal(number).ok_or_else(bad)?.0;
        let scaled = match unit.trim() {
            "" | "s" => Some(base),
            "us" => Some(base / 1_000_000),
            "ms" => Some(base / 1000),
            "m" | "min" => base.checked_mul(60),
            "h" => base.checked_mul(3600),
            "d" => base.checked_mul(86_400),
            _ => None,
        };
        scaled.map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Secs {
    /// Decimal seconds without needless zeros: what both file forms take.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.subsec_micros();
        if micros == 0 {
            return write!(f, "{}", self.0.as_secs());
        }
        let fraction = format!("{micros:06}");
        write!(f, "{}.{}", self.0.as_secs(), fraction.trim_end_matches('0'))
    }
}

impl Serialize for Secs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self}s"))
    }
}

impl<'de> Deserialize<'de> for Secs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl Visitor<'_> for AsWritten {
            type Value = Secs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: seconds (1.5) or 200ms, 2s, 3m, 1h")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Secs, E> {
                Ok(Secs::from_secs(v))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Secs, E> {
                u64::try_from(v).map(Secs::from_secs).map_err(|_| E::custom("a duration is never negative"))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Secs, E> {
                Secs::parse_decimal(&format!("{v:.6}")).ok_or_else(|| E::custom("not a duration"))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Secs, E> {
                v.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

impl JsonSchema for Secs {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: seconds (2, 0.5), or a number with a unit: 200us, 500ms, 2s, 3m, 1h, 1d.",
            "anyOf": [
                { "type": "number", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]*\\.?[0-9]+\\s*(us|ms|s|m|min|h|d)?$" },
            ],
        })
    }
}

/// An address with its prefix length, `IP[/LEN]`; the host bits stay as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// 0..=32 or 0..=128.
    pub length: u8,
}

impl Prefix {
    /// /32 or /128.
    pub const fn host(address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 128 };
        Self { address, length }
    }

    /// True when `other` lies in the same subnet.
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32 - u32::from(self.length.min(32));
                (u32::from(a) ^ u32::from(b)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128 - u32::from(self.length.min(128));
                (u128::from(a) ^ u128::from(b)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => (address, Some(length)),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("\"{address}\" is not an IP address"))?;
        let host = Self::host(address);
        let Some(length) = length else { return Ok(host) };
        let length: u8 =
            length.parse().ok().filter(|n| *n <= host.length).ok_or_else(|| {
                format!("\"/{length}\" is not a prefix length: write /0 to /{}", host.length)
            })?;
        Ok(Self { address, length })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Prefix {
    fn schema_name() -> Cow<'static, str> {
        "Prefix".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "An IP address with a prefix length: 192.0.2.0/24.", "type": "string" })
    }
}
