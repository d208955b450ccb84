//! The values of options: numbers, names, and what is made of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::super::model::{Fwmark, Lifetime, Metric, Named, NewDestination, Realms, Scope};
use super::words::Read;

const SCOPES: [(&str, u8); 5] =
    [("global", 0), ("nowhere", 255), ("host", 254), ("link", 253), ("site", 200)];

/// Most MPLS labels in one stack; real stacks have two or three.
const MOST_LABELS: usize = 16;

/// A number in decimal, `0x…`, or octal with a leading zero, as `ip` reads most of them.
pub(super) fn any_base(text: &str) -> Option<u64> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // from_str_radix takes a sign.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, base).ok()).flatten()
}

/// A decimal number within a range.
pub(super) fn decimal<N>(least: u64, most: u64) -> impl Fn(&str) -> Read<N>
where
    N: TryFrom<u64>,
{
    move |text| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| text.parse::<u64>().ok())
            .flatten()
            .filter(|n| (least..=most).contains(n))
            .and_then(|n| N::try_from(n).ok())
            .ok_or_else(|| format!("\"{text}\" is not a number that fits: write {least} to {most}"))
    }
}

/// A decimal number of 32 bits.
pub(super) fn word32(text: &str) -> Read<u32> {
    decimal(0, u32::MAX.into())(text)
}

/// 0 or 1.
pub(super) fn zero_or_one(text: &str) -> Read<bool> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("\"{text}\" is neither 0 nor 1")),
    }
}

/// One of a list of words.
pub(super) fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&str) -> Read<T> {
    move |text| {
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("\"{text}\" is not known: write {}", known.join(", "))
        })
    }
}

/// The word of a value in such a list.
pub(super) fn word_of<'a, T: PartialEq>(words: &[(&'a str, T)], value: &T) -> &'a str {
    words.iter().find(|(_, v)| v == value).map_or("", |(word, _)| word)
}

/// The name of an interface, VRF or group. One word: a quoted one may hold blanks, which no line could keep.
pub(super) fn name(text: &str) -> Read<String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("\"{text}\" is not a name: write one word"));
    }
    Ok(text.to_owned())
}

/// The name of a congestion control; `lock` is a word of the grammar.
pub(super) fn congestion_name(text: &str) -> Read<String> {
    if text == "lock" {
        Err("\"lock\" is not the name of a congestion control".to_owned())
    } else {
        name(text)
    }
}

/// A time in whole milliseconds: `5`, `5ms` or `1.5s`.
pub(super) fn millis(most: u32) -> impl Fn(&str) -> Read<u32> {
    move |text| {
        let seconds = text.strip_suffix('s').filter(|rest| !rest.ends_with('m'));
        let value = match seconds {
            None => decimal::<u32>(0, u32::MAX.into())(text.strip_suffix("ms").unwrap_or(text))
                .ok()
                .map(u64::from),
            Some(seconds) => {
                let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
                let digits = |s: &str| (1..=9).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
                (digits(whole) && digits(fraction) && fraction.len() <= 3)
                    .then(|| format!("{whole}{fraction:0<3}").parse().ok())
                    .flatten()
            }
        };
        value.and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= most).ok_or_else(|| {
            format!("\"{text}\" is not a time that fits: write whole milliseconds (20, 20ms) or seconds (0.02s), at most {}s", most / 1000)
        })
    }
}

/// MPLS labels, `N[/N]…`.
pub(super) fn labels(text: &str) -> Read<Vec<u32>> {
    let found: Option<Vec<u32>> = text
        .split('/')
        .map(|label| any_base(label).filter(|n| *n < 1 << 20).and_then(|n| u32::try_from(n).ok()))
        .collect();
    found.filter(|labels| labels.len() <= MOST_LABELS).ok_or_else(|| {
        format!("\"{text}\" is not a list of MPLS labels: write 100 or 100/200, each below 1048576")
    })
}

/// Labels as one word.
pub(super) fn labels_text(labels: &[u32]) -> String {
    labels.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}

/// `A-B` or `A`, not backwards.
pub(super) fn range<N>(least: u64, most: u64, single: bool) -> impl Fn(&str) -> Read<(N, N)>
where
    N: TryFrom<u64> + PartialOrd,
{
    move |text| {
        let (first, last) = match text.split_once('-') {
            Some(both) => both,
            None if single => (text, text),
            None => (text, ""),
        };
        let number = decimal::<N>(least, most);
        match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
            _ => {
                let form = if single { "FIRST-LAST or one number" } else { "FIRST-LAST" };
                Err(format!("\"{text}\" is not a range: write {form}, within {least} to {most}"))
            }
        }
    }
}

/// `A-B`, also where one number is enough: keepalived 2.2 takes nothing shorter.
pub(super) fn range_text<N: fmt::Display>(range: &(N, N)) -> String {
    format!("{}-{}", range.0, range.1)
}

/// A DS field: hexadecimal is how it is written everywhere.
pub(super) fn dsfield_text(value: &Named<u8>) -> String {
    match value {
        Named::Number(n) => format!("{n:#04x}"),
        Named::Name(name) => name.clone(),
    }
}

impl<N: TryFrom<u64>> FromStr for Named<N> {
    type Err = String;
    fn from_str(text: &str) -> Read<Self> {
        let bad = || format!("\"{text}\" is neither a number that fits nor a name");
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return any_base(text).and_then(|n| N::try_from(n).ok()).map(Self::Number).ok_or_else(bad);
        }
        if text.contains('/') || text.starts_with(['-', '+']) {
            return Err(bad());
        }
        name(text).map(Self::Name).map_err(|_| bad())
    }
}

impl<N: fmt::Display> fmt::Display for Named<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Read<Self> {
        SCOPES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, n)| Self(*n))
            .or_else(|| any_base(text).and_then(|n| u8::try_from(n).ok()).map(Self))
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

impl FromStr for Lifetime {
    type Err = String;
    fn from_str(text: &str) -> Read<Self> {
        match word32(text) {
            _ if text == "forever" => Ok(Self::Forever),
            Ok(u32::MAX) => Ok(Self::Forever),
            Ok(seconds) => Ok(Self::Seconds(seconds)),
            Err(_) => Err(format!("\"{text}\" is no lifetime: write seconds or forever")),
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Seconds(seconds) => seconds.fmt(f),
        }
    }
}

impl FromStr for Realms {
    type Err = String;
    fn from_str(text: &str) -> Read<Self> {
        let (from, to) = match text.split_once('/') {
            Some((from, to)) => (Some(from), to),
            None => (None, text),
        };
        let parts = from.map(str::parse).transpose().and_then(|from| Ok(Self { from, to: to.parse()? }));
        parts.map_err(|_: String| {
            format!("\"{text}\" is no pair of realms: write TO or FROM/TO, each a name or 0 to 255")
        })
    }
}

impl fmt::Display for Realms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = &self.from {
            write!(f, "{from}/")?;
        }
        self.to.fmt(f)
    }
}

impl FromStr for Fwmark {
    type Err = String;
    fn from_str(text: &str) -> Read<Self> {
        let (mark, mask) = match text.split_once('/') {
            Some((mark, mask)) => (mark, Some(mask)),
            None => (text, None),
        };
        let bits = |text: &str| any_base(text).and_then(|n| u32::try_from(n).ok());
        let found = match mask {
            None => bits(mark).map(|mark| Self { mark, mask: None }),
            Some(mask) => bits(mark).zip(bits(mask)).map(|(mark, mask)| Self { mark, mask: Some(mask) }),
        };
        found.ok_or_else(|| format!("\"{text}\" is no mark: write 5, 0x5 or 0x5/0xff, of 32 bits"))
    }
}

impl fmt::Display for Fwmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.mark)?;
        self.mask.map_or(Ok(()), |mask| write!(f, "/{mask:#x}"))
    }
}

impl FromStr for NewDestination {
    type Err = String;
    fn from_str(text: &str) -> Read<Self> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => labels(text).map(Self::Labels).map_err(|_| {
                format!("\"{text}\" is no new destination: write an address or MPLS labels (100/200)")
            }),
        }
    }
}

impl fmt::Display for NewDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Labels(labels) => f.write_str(&labels_text(labels)),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Metric<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.lock { "lock " } else { "" })?;
        self.value.fmt(f)
    }
}
