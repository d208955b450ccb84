//! What a page must have beyond keepalived's words: headers of its head, values of its JSON. Bytes in, reasons out; of JSON
//! nothing is kept but the value that is looked for.

use std::fmt;
use std::str;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::check::outcome::Failure;
use crate::check::plan::{HeaderPlan, HeaderValue, JsonPlan};
use crate::pattern::Regex;

/// The most of a value that a reason shows, characters.
const SHOWN: usize = 60;

/// A pattern of a header, compiled; `None` where a header has none.
pub type Patterns = Vec<Option<Arc<Mutex<Regex>>>>;

/// How one header has come so far.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Missing,
    /// With another value, the last one.
    Other(String),
    Good,
}

/// The headers of an answer as they come.
#[derive(Debug)]
pub struct Headers<'a> {
    wanted: &'a [HeaderPlan],
    patterns: &'a [Option<Arc<Mutex<Regex>>>],
    seen: Vec<Seen>,
}

impl<'a> Headers<'a> {
    /// None has come yet. Each pattern belongs to the header at its place.
    pub fn new(wanted: &'a [HeaderPlan], patterns: &'a [Option<Arc<Mutex<Regex>>>]) -> Self {
        Self { wanted, patterns, seen: vec![Seen::Missing; wanted.len()] }
    }

    /// A line of the head, its first one included.
    pub fn line(&mut self, line: &[u8]) {
        if self.wanted.is_empty() {
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            if line.starts_with(b"HTTP/") {
                // A status line: what came before was 100 Continue and its like.
                self.seen.fill(Seen::Missing);
            }
            return;
        };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        for (at, wanted) in self.wanted.iter().enumerate() {
            let Some(seen) = self.seen.get_mut(at) else { continue };
            if *seen == Seen::Good || !name.eq_ignore_ascii_case(wanted.name.as_bytes()) {
                continue;
            }
            let good = match &wanted.value {
                HeaderValue::Any => true,
                HeaderValue::Is(text) => text.as_bytes() == value,
                HeaderValue::Matches(_) => {
                    self.patterns.get(at).and_then(Option::as_ref).is_some_and(|regex| {
                        let mut regex = regex.lock().unwrap_or_else(PoisonError::into_inner);
                        // A search that goes astray found nothing.
                        matches!(regex.find(value, 0), Ok(Some(_)))
                    })
                }
            };
            *seen = if good { Seen::Good } else { Seen::Other(shown(&String::from_utf8_lossy(value))) };
        }
    }

    /// When the head is complete.
    ///
    /// # Errors
    /// [`Failure::BadHeader`] of the first one that is missing or has another value.
    pub fn verdict(&self) -> Result<(), Failure> {
        for (wanted, seen) in self.wanted.iter().zip(&self.seen) {
            let name = &wanted.name;
            let words = match (seen, &wanted.value) {
                (Seen::Good, _) => continue,
                (Seen::Missing, _) => format!("header {name} is missing"),
                (Seen::Other(got), HeaderValue::Matches(regex)) => {
                    format!("header {name} is {got:?}, which {} does not match", regex.pattern)
                }
                (Seen::Other(got), HeaderValue::Is(text)) => {
                    format!("header {name} is {got:?}, not {text:?}")
                }
                (Seen::Other(got), HeaderValue::Any) => format!("header {name} is {got:?}"),
            };
            return Err(Failure::BadHeader(words));
        }
        Ok(())
    }
}

/// The beginning of a text.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Whether a body has what the file expects.
///
/// # Errors
/// [`Failure::BadJson`]: it is no JSON, or has not that.
pub fn json(body: &[u8], wanted: &JsonPlan) -> Result<(), Failure> {
    let JsonPlan { name, path, value } = wanted;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = Walk(path).deserialize(&mut reader).and_then(|found| reader.end().map(|()| found));
    let found = found.map_err(|error| Failure::BadJson(format!("body is no JSON: {error}")))?;
    let words = match (found, value) {
        (None, _) => format!("field {name} is missing"),
        (Some(_), None) => return Ok(()),
        (Some(found), Some(value)) if found.is(value) => return Ok(()),
        (Some(found @ Found::Text(_)), Some(value)) => format!("field {name} is {found}, not {value:?}"),
        (Some(found), Some(value)) => format!("field {name} is {found}, not {value}"),
    };
    Err(Failure::BadJson(words))
}

/// What stands at the end of a path.
#[derive(Clone, Debug, PartialEq)]
enum Found {
    Text(String),
    /// A number, true, false or null, as JSON writes it.
    Plain(String),
    Object,
    Array,
}

impl Found {
    fn is(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) => text == wanted,
            Self::Plain(text) => {
                let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
                text == wanted || number(text).is_some_and(|got| number(wanted) == Some(got))
            }
            Self::Object | Self::Array => false,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", shown(text)),
            Self::Plain(text) => f.write_str(text),
            Self::Object => f.write_str("an object"),
            Self::Array => f.write_str("an array"),
        }
    }
}

/// Reads a value and keeps what stands at the end of the path; of a key that is there twice the last one counts.
struct Walk<'p>(&'p [String]);

impl Walk<'_> {
    fn here(&self, found: Found) -> Option<Found> {
        self.0.is_empty().then_some(found)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<Found>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.here(Found::Plain(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.here(Found::Plain(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.here(Found::Plain(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.here(Found::Plain(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.0.is_empty().then(|| Found::Text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.here(Found::Plain("null".to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = self.here(Found::Object);
        while let Some(here) = map.next_key_seed(Key(self.0.first()))? {
            match self.0.split_first() {
                Some((_, rest)) if here => found = map.next_value_seed(Walk(rest))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = self.here(Found::Array);
        let step = self.0.split_first().and_then(|(step, rest)| Some((index(step)?, rest)));
        for at in 0usize.. {
            let more = match step {
                Some((wanted, rest)) if at == wanted => {
                    let element = seq.next_element_seed(Walk(rest))?;
                    let more = element.is_some();
                    found = element.flatten();
                    more
                }
                _ => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(found)
    }
}

/// An index as RFC 6901 has it: digits, without zeros before them.
fn index(step: &str) -> Option<usize> {
    let digits = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    step.parse().ok().filter(|_| digits)
}

/// Whether a key is the one.
struct Key<'p>(Option<&'p String>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(self.0.is_some_and(|wanted| wanted == key))
    }
}

#[cfg(test)]
#[path = "http_expect_tests.rs"]
mod tests;
