//! The grammar of options behind a route or rule, as data: a word, then its value.

use std::net::IpAddr;

use super::ElementError;
use crate::config::units::Prefix;

/// What stands behind a word.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// Nothing.
    None,
    /// One word, whatever it is: names of tables, protocols, interfaces.
    Text,
    /// An interface name, at most 15 characters.
    Interface,
    /// A number within limits, also as 0x….
    Number(u64, u64),
    /// `[lock]` and a number.
    LockNumber(u64, u64),
    /// `[lock]` and milliseconds, or a number with `s` or `ms`, at most so many milliseconds.
    LockTime(u64),
    /// `[lock]` and one word.
    LockText,
    /// An address.
    Ip,
    /// `[inet|inet6]` and an address.
    FamilyIp,
    /// `[to]` and an address.
    ToIp,
    /// An address with or without length, or `all`, `any`, `default`.
    Prefix,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `A` or `A-B` (or `A/B`), numbers up to a limit, with this sign between.
    Pair(char, u64),
    /// `encap TYPE …`: up to the next word of the grammar.
    Encap,
}

/// One word of a grammar.
pub(super) struct Word {
    pub(super) word: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) value: Value,
}

/// A word without aliases.
pub(super) const fn word(word: &'static str, value: Value) -> Word {
    Word { word, aliases: &[], value }
}

/// A word with aliases.
pub(super) const fn alias(word: &'static str, aliases: &'static [&'static str], value: Value) -> Word {
    Word { word, aliases, value }
}

/// One option as it was understood: the canonical word, and its value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementOption {
    /// The word, in its canonical spelling.
    pub word: &'static str,
    /// Its value; empty when it takes none.
    pub value: String,
}

/// Reads options from `words[at..]`. Wrong ones are reported and passed over.
pub(super) fn read(
    words: &[&str],
    mut at: usize,
    grammar: &'static [Word],
    errors: &mut Vec<ElementError>,
) -> Vec<ElementOption> {
    let mut found: Vec<ElementOption> = Vec::new();
    while let Some(text) = words.get(at) {
        let here = at;
        at += 1;
        let Some(entry) = find(grammar, text) else {
            let near = crate::config::suggest::closest(text, grammar.iter().map(|entry| entry.word));
            let cure = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            errors.push(ElementError::new(here, format!("\"{text}\" is no option here{cure}")));
            continue;
        };
        match value(words, &mut at, entry.value, grammar) {
            Ok(value) => {
                if found.iter().any(|option| option.word == entry.word) && entry.word != "nexthop" {
                    let problem = format!("{} is written twice", entry.word);
                    errors.push(ElementError::new(here, problem));
                    found.retain(|option| option.word != entry.word);
                }
                found.push(ElementOption { word: entry.word, value });
            }
            Err(problem) => errors.push(ElementError::new(here, format!("{}: {problem}", entry.word))),
        }
    }
    found
}

/// The entry of a word.
pub(super) fn find(grammar: &'static [Word], text: &str) -> Option<&'static Word> {
    grammar.iter().find(|entry| entry.word == text || entry.aliases.contains(&text))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Milliseconds of `200`, `200ms`, `2s`.
fn milliseconds(text: &str) -> Option<u64> {
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => ms.parse().ok(),
        (None, Some(secs)) => secs.parse::<u64>().ok()?.checked_mul(1000),
        (None, None) => text.parse().ok(),
    }
}

fn value(words: &[&str], at: &mut usize, kind: Value, grammar: &'static [Word]) -> Result<String, String> {
    let mut next = || {
        let word = words.get(*at).copied();
        *at += usize::from(word.is_some());
        word.ok_or("a value is missing".to_owned())
    };
    let within = |text: &str, low: u64, high: u64| {
        let good = number(text).is_some_and(|n| (low..=high).contains(&n));
        if good { Ok(text.to_owned()) } else { Err(format!("\"{text}\" is no number from {low} to {high}")) }
    };
    match kind {
        Value::None => Ok(String::new()),
        Value::Text => next().map(str::to_owned),
        Value::Interface => {
            let name = next()?;
            if name.len() < 16 {
                Ok(name.to_owned())
            } else {
                Err(format!("interface name \"{name}\" is too long"))
            }
        }
        Value::Number(low, high) => within(next()?, low, high),
        Value::LockNumber(..) | Value::LockTime(_) | Value::LockText => {
            let first = next()?;
            let (lock, text) = if first == "lock" { ("lock ", next()?) } else { ("", first) };
            let value = match kind {
                Value::LockNumber(low, high) => within(text, low, high)?,
                Value::LockTime(most) => {
                    let good = milliseconds(text).is_some_and(|ms| ms <= most);
                    if !good {
                        return Err(format!("\"{text}\" is no time of at most {most} ms"));
                    }
                    text.to_owned()
                }
                _ => text.to_owned(),
            };
            Ok(format!("{lock}{value}"))
        }
        Value::Ip | Value::FamilyIp | Value::ToIp => {
            let first = next()?;
            let skip = match kind {
                Value::FamilyIp => matches!(first, "inet" | "inet6"),
                Value::ToIp => first == "to",
                _ => false,
            };
            let text = if skip { next()? } else { first };
            let address: IpAddr = text.parse().map_err(|_| format!("\"{text}\" is not an IP address"))?;
            Ok(address.to_string())
        }
        Value::Prefix => {
            let text = next()?;
            match text {
                "all" | "any" | "default" => Ok("all".to_owned()),
                _ => text.parse::<Prefix>().map(|prefix| prefix.to_string()),
            }
        }
        Value::OneOf(all) => {
            let text = next()?;
            match all.iter().find(|word| **word == text) {
                Some(word) => Ok((*word).to_owned()),
                None => Err(format!("\"{text}\" is none of {}", all.join(", "))),
            }
        }
        Value::Pair(sign, most) => {
            let text = next()?;
            let good = match text.split_once(sign) {
                Some((from, to)) => {
                    number(from).is_some_and(|n| n <= most) && number(to).is_some_and(|n| n <= most)
                }
                None => number(text).is_some_and(|n| n <= most),
            };
            if good {
                Ok(text.to_owned())
            } else {
                Err(format!("\"{text}\" is no A or A{sign}B, up to {most}"))
            }
        }
        Value::Encap => {
            let mut parts = vec![next()?.to_owned()];
            if !matches!(parts.first().map(String::as_str), Some("ip" | "ip6" | "mpls" | "ila")) {
                return Err(format!("\"{}\" is none of ip, ip6, mpls, ila", parts.concat()));
            }
            // Words of its own, and their values, up to the next word of the grammar that is none of its own.
            while let Some(text) = words.get(*at) {
                let own = matches!(*text, "id" | "dst" | "src" | "tos" | "tc" | "ttl" | "hoplimit" | "flags");
                if !own && find(grammar, text).is_some() {
                    break;
                }
                parts.push((*text).to_owned());
                *at += 1;
                if own && let Some(value) = words.get(*at) {
                    parts.push((*value).to_owned());
                    *at += 1;
                }
            }
            Ok(parts.join(" "))
        }
    }
}

/// Writes options in their order.
pub(super) fn write(options: &[ElementOption], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for option in options {
        write!(f, " {}", option.word)?;
        if !option.value.is_empty() {
            write!(f, " {}", option.value)?;
        }
    }
    Ok(())
}
