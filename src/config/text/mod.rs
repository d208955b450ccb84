//! Elements that are one line of text in both file forms: addresses, routes, rules and status code ranges.
//! Reading is lenient word by word for keepalived.conf, and all or nothing for YAML; writing gives one
//! canonical line that reads back as the same element.

use std::fmt;

mod address;
mod encap;
pub mod expect;
pub mod hex;
mod numbers;
pub mod overrides;
mod pair;
mod route;
mod route_line;
mod route_words;
mod rule;
mod status;
mod words;

#[cfg(test)]
pub(crate) mod strategy;

use super::units::Prefix;

/// Why an element cannot be read as written. `word` counts from 0 and points at the culprit.
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

/// What is odd about an element that can be used, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// A stable name for programs.
    pub code: &'static str,
    /// What does not happen, and the cure.
    pub problem: String,
}

impl Remark {
    /// A remark under this name.
    fn new(code: &'static str, problem: impl Into<String>) -> Self {
        Self { code, problem: problem.into() }
    }
}

/// `FromStr`, serde and the schema as a string, for a type with `Display` and `parse(&[&str], Option<Block>)`.
macro_rules! one_line {
    ($type:ty, $name:literal, $form:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "description": $form, "type": "string" })
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let words: Vec<&str> = text.split_whitespace().collect();
                match Self::parse(&words, None) {
                    (Some(element), errors) if errors.is_empty() => Ok(element),
                    (_, errors) => Err(errors.into_iter().map(|e| e.problem).collect::<Vec<_>>().join("; ")),
                }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use one_line;

/// A prefix without its length where it is a single host's.
struct Short<'a>(&'a Prefix);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.0 == Prefix::host(self.0.address) {
            write!(f, "{}", self.0.address)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Writes ` keyword value` where there is a value.
fn option<T: fmt::Display>(f: &mut fmt::Formatter<'_>, keyword: &str, value: Option<T>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {keyword} {value}"),
        None => Ok(()),
    }
}

/// Writes ` keyword` where it is set.
fn flag(f: &mut fmt::Formatter<'_>, keyword: &str, set: bool) -> fmt::Result {
    if set { write!(f, " {keyword}") } else { Ok(()) }
}
