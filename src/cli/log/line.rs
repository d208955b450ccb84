//! One line of a log in its forms. Pure.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Level;

use crate::clock;

/// Form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// Time, level, words.
    #[default]
    Text,
    /// One object a line: time, level, message, and fields where there are some.
    Json,
}

/// Fields that the message itself says in words: for those who look for them by name.
const NAMED: [&str; 4] = ["instance", "sync_group", "virtual_server", "real_server"];

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) at: SystemTime,
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Line {
    /// A line of the log itself.
    pub(super) fn own(level: Level, message: String) -> Self {
        Self { at: clock::wall(), level, message, fields: Vec::new() }
    }

    /// The message with its fields, in one line: what comes from outside (a script's output, a server's answer) must not
    /// begin another.
    pub(super) fn words(&self) -> String {
        let mut words = flat(&self.message);
        for (name, value) in self.fields.iter().filter(|(name, _)| !NAMED.contains(name)) {
            let _ = write!(words, " {name}={}", flat(value));
        }
        words
    }

    /// As text, with its line end.
    pub(super) fn text(&self, colour: bool) -> String {
        let (dim, paint, plain) = match colour {
            false => ("", "", ""),
            true => ("\x1b[2m", colour_of(self.level), "\x1b[0m"),
        };
        let words = self.words();
        format!("{dim}{}{plain} {paint}{:>5}{plain} {words}\n", self.time(), self.level.as_str())
    }

    /// As JSON, with its line end.
    pub(super) fn json(&self) -> String {
        let mut object = serde_json::json!({
            "time": self.time(),
            "level": self.level.as_str().to_ascii_lowercase(),
            "message": self.message,
        });
        if !self.fields.is_empty() {
            object["fields"] = self.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        }
        format!("{object}\n")
    }

    /// The severity of syslog (RFC 3164 section 4.1.1).
    pub(super) const fn severity(&self) -> u8 {
        match self.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        }
    }

    /// UTC, to the microsecond.
    fn time(&self) -> String {
        let micros = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_micros();
        let mut time = clock::utc(self.at);
        time.pop();
        let _ = write!(time, ".{micros:06}Z");
        time
    }
}

fn flat(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

const fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(message: &str) -> Line {
        let at = UNIX_EPOCH + Duration::new(1_795_284_061, 1_234_000);
        Line { at, level: Level::WARN, message: message.to_owned(), fields: vec![("number", "7".to_owned())] }
    }

    #[test]
    fn each_form_has_all_of_it() {
        assert_eq!(line("a word").text(false), "2026-11-21T18:01:01.001234Z  WARN a word number=7\n");
        let json: serde_json::Value = serde_json::from_str(&line("a \"word\"\n2").json()).unwrap();
        let wanted = serde_json::json!({
            "time": "2026-11-21T18:01:01.001234Z", "level": "warn", "message": "a \"word\"\n2", "fields": {"number": "7"},
        });
        assert_eq!(json, wanted);
        assert_eq!(line("x").json().matches('\n').count(), 1);
        assert_eq!(line("x").severity(), 4);
    }

    #[test]
    fn who_it_is_about_is_said_once() {
        let mut line = line("vrrp VI_1: BACKUP -> MASTER");
        line.fields.push(("instance", "VI_1".to_owned()));
        assert_eq!(line.words(), "vrrp VI_1: BACKUP -> MASTER number=7");
        assert!(line.json().contains(r#""instance":"VI_1""#), "{}", line.json());
    }

    #[test]
    fn nothing_begins_a_line_of_its_own() {
        let text = line("one\n2026-11-21T18:01:01Z ERROR forged\r\x1b[31m").text(false);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\r') && !text.contains('\x1b'), "{text}");
    }
}
