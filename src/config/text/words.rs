//! The words of one element, read one after the other, with what was wrong on the way.

use std::net::{IpAddr, Ipv4Addr};

use super::super::suggest;
use super::super::units::Prefix;
use super::ElementError;

/// What an option's value is read with.
pub(super) type Read<T> = Result<T, String>;

/// A cursor over the words.
pub(super) struct Words<'a> {
    words: &'a [&'a str],
    at: usize,
    errors: Vec<ElementError>,
    /// Something was wrong without which the element would mean something else.
    pub(super) unusable: bool,
}

impl<'a> Words<'a> {
    pub(super) const fn new(words: &'a [&'a str]) -> Self {
        Self { words, at: 0, errors: Vec::new(), unusable: false }
    }

    /// The next word with its index.
    pub(super) fn next(&mut self) -> Option<(usize, &'a str)> {
        let here = self.at;
        let word = self.words.get(here)?;
        self.at += 1;
        Some((here, word))
    }

    /// The word before one.
    pub(super) fn before(&self, here: usize) -> Option<&'a str> {
        self.words.get(here.checked_sub(1)?).copied()
    }

    /// Where one of these words stands last.
    pub(super) fn last_of(&self, words: &[&str]) -> usize {
        self.words.iter().rposition(|word| words.contains(word)).unwrap_or(0)
    }

    /// The next word, left where it is.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.at += usize::from(found);
        found
    }

    /// The element is good without what is wrong here.
    pub(super) fn error(&mut self, word: usize, problem: impl Into<String>) {
        self.errors.push(ElementError { word, problem: problem.into(), code: None });
    }

    /// The same under a name of its own.
    pub(super) fn named(&mut self, code: &'static str, word: usize, problem: impl Into<String>) {
        self.errors.push(ElementError { word, problem: problem.into(), code: Some(code) });
    }

    /// The element is of no use.
    pub(super) fn fatal(&mut self, word: usize, problem: impl Into<String>) {
        self.error(word, problem);
        self.unusable = true;
    }

    /// The same under a name of its own.
    pub(super) fn fatal_named(&mut self, code: &'static str, word: usize, problem: impl Into<String>) {
        self.named(code, word, problem);
        self.unusable = true;
    }

    /// The value of the option at `here`.
    pub(super) fn value(&mut self, here: usize) -> Option<(usize, &'a str)> {
        let found = self.next();
        if found.is_none() {
            let option = self.words.get(here).copied().unwrap_or_default();
            self.error(here, format!("\"{option}\" needs a value"));
        }
        found
    }

    /// Reads the value of the option at `here`. True if it was good.
    pub(super) fn read<T>(
        &mut self,
        here: usize,
        slot: &mut Option<T>,
        read: impl FnOnce(&str) -> Read<T>,
    ) -> bool {
        let Some((at, text)) = self.value(here) else { return false };
        match read(text) {
            Ok(value) => {
                *slot = Some(value);
                true
            }
            Err(problem) => {
                let option = self.words.get(here).copied().unwrap_or_default();
                self.named("bad-option", at, format!("{option}: {problem}"));
                false
            }
        }
    }

    /// As `read`, of an option without which the element would mean something else.
    pub(super) fn must<T>(
        &mut self,
        here: usize,
        slot: &mut Option<T>,
        read: impl FnOnce(&str) -> Read<T>,
    ) -> bool {
        let good = self.read(here, slot, read);
        self.unusable |= !good;
        good
    }

    /// A prefix; with a wrong length it counts as a single host, as in keepalived.
    pub(super) fn prefix(&mut self, at: usize, text: &str) -> Read<Prefix> {
        let problem = match text.parse::<Prefix>() {
            Ok(prefix) => return Ok(prefix),
            Err(problem) => problem,
        };
        let Some((address, length)) = text.split_once('/') else { return Err(problem) };
        let Ok(address) = address.parse::<IpAddr>() else { return Err(problem) };
        let host = Prefix::host(address);
        let better = match netmask_length(length).filter(|_| address.is_ipv4()) {
            Some(length) => format!("write {address}/{length}"),
            None => format!("write /0 to /{}", host.length),
        };
        let counts = format!("it counts as /{}", host.length);
        let problem = format!("\"/{length}\" of {address} is not a prefix length, {counts}: {better}");
        self.named("bad-address", at, problem);
        Ok(host)
    }

    /// A word that is no option. In a route or rule it may be a misspelt table or selector, so that the element
    /// is of no use; a misspelt `no_track` changes nothing in the kernel.
    pub(super) fn unknown(&mut self, here: usize, what: &str, known: &[&str]) {
        let near = self.no_option(here, what, known);
        self.unusable |= near != Some("no_track");
    }

    /// Reports a word that is no option, and returns the one that was probably meant.
    pub(super) fn no_option<'k>(&mut self, here: usize, what: &str, known: &[&'k str]) -> Option<&'k str> {
        let word = self.words.get(here).copied().unwrap_or_default();
        let near = suggest::closest(word, known.iter().copied());
        let hint = near.map_or(String::new(), |near| format!(": did you mean {near}?"));
        self.error(here, format!("\"{word}\" is no option of {what}{hint}"));
        near
    }

    pub(super) fn into_errors(mut self) -> Vec<ElementError> {
        self.errors.sort_by_key(|e| e.word);
        self.errors
    }
}

/// 24 for `255.255.255.0`.
fn netmask_length(text: &str) -> Option<u32> {
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    (mask.leading_ones() + mask.trailing_zeros() == 32).then(|| mask.leading_ones())
}
