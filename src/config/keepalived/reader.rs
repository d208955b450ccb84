//! What lowering shares: values read from words, findings with their places, keyword tables.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::{Command, ScriptUser};
use crate::config::suggest::closest;
use crate::config::units::Secs;

use super::lexer::command_words;
use super::tree::Node;

/// What one keyword of a block does to the object under construction.
pub(super) type Set<T> = fn(&mut Reader, &Node, &mut T);
/// The keywords of a block.
pub(super) type Table<T> = &'static [(&'static str, Set<T>)];

/// Collects findings while values are read.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) findings: Vec<Diagnostic>,
}

impl Reader {
    /// Carries a block out by its table. `later`: words of this block that nothing acts on yet.
    pub(super) fn block<T>(
        &mut self,
        nodes: &[Node],
        table: Table<T>,
        later: &[&str],
        what: &str,
        target: &mut T,
    ) {
        for node in nodes {
            let key = node.key();
            if let Some((_, set)) = table.iter().find(|(word, _)| *word == key) {
                set(self, node, target);
            } else if later.contains(&key) {
                self.not_yet(node);
            } else {
                self.unknown(node, table.iter().map(|(word, _)| *word).chain(later.iter().copied()), what);
            }
        }
    }

    /// A real keyword that nothing acts on yet.
    pub(super) fn not_yet(&mut self, node: &Node) {
        let key = node.key().to_owned();
        self.find(
            Level::Warning,
            node,
            0,
            "not-acted-on",
            format!("accepted, not acted on yet: {key}"),
            if node.block.is_some() { "its block has no effect" } else { "the line has no effect" },
            String::new(),
        );
    }

    /// A word that means nothing here.
    pub(super) fn unknown<'a>(&mut self, node: &Node, known: impl Iterator<Item = &'a str>, what: &str) {
        let key = node.key().to_owned();
        let (problem, fix) = if key.starts_with("//") {
            ("// does not start a comment".to_owned(), "start comments with # or !".to_owned())
        } else {
            let fix = match closest(&key, known) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => "remove it, or move it to where it belongs".to_owned(),
            };
            (format!("\"{key}\" is no keyword of {what}"), fix)
        };
        let consequence =
            if node.block.is_some() { "it is passed over with its block" } else { "the line is passed over" };
        self.find(Level::Warning, node, 0, "unknown-keyword", problem, consequence, fix);
    }

    /// A finding at the n-th word of a node.
    #[allow(clippy::too_many_arguments, reason = "a finding has that many parts")]
    pub(super) fn find(
        &mut self,
        level: Level,
        node: &Node,
        word: usize,
        code: &'static str,
        problem: impl Into<String>,
        consequence: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.findings.push(Diagnostic {
            level,
            place: Some(node.place(word)),
            code,
            problem: problem.into(),
            consequence: consequence.into(),
            fix: fix.into(),
        });
    }

    /// The one argument of a keyword.
    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match node.argument(0) {
            Some(text) => Some(text.to_owned()),
            None => {
                self.missing(node);
                None
            }
        }
    }

    /// Nothing stands behind a keyword that needs something.
    pub(super) fn missing(&mut self, node: &Node) {
        let problem = format!("\"{}\" needs a value", node.key());
        self.find(Level::Warning, node, 0, "missing-value", problem, "the line is passed over", "write one");
    }

    /// A value that its type reads; `says` describes what is expected.
    pub(super) fn parsed<T: FromStr>(&mut self, node: &Node, says: &str) -> Option<T> {
        let text = self.text(node)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.bad(node, &text, says, "the line is passed over");
        }
        value
    }

    /// A number within a range; outside it the line is passed over, as keepalived does.
    pub(super) fn number<T>(&mut self, node: &Node, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let says = format!("a number from {} to {}", range.start(), range.end());
        let text = self.text(node)?;
        match text.parse::<T>().ok().filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                self.bad(node, &text, &says, "the line is passed over");
                None
            }
        }
    }

    /// Decimal seconds within a range of seconds.
    pub(super) fn secs(&mut self, node: &Node, from: f64, to: f64) -> Option<Secs> {
        let text = self.text(node)?;
        let value = Secs::parse_decimal(&text).filter(|s| (from..=to).contains(&s.0.as_secs_f64()));
        if value.is_none() {
            self.bad(node, &text, &format!("seconds from {from} to {to}"), "the line is passed over");
        }
        value
    }

    /// `on|true|yes`, `off|false|no`; the bare keyword means on.
    pub(super) fn switch(&mut self, node: &Node) -> Option<bool> {
        match node.argument(0) {
            None | Some("on" | "true" | "yes") => Some(true),
            Some("off" | "false" | "no") => Some(false),
            Some(other) => {
                let other = other.to_owned();
                self.bad(node, &other, "on or off", "the line is passed over");
                None
            }
        }
    }

    /// An IP address; a `/mask` or `-range` behind it is cut, as keepalived does.
    pub(super) fn address(&mut self, node: &Node) -> Option<IpAddr> {
        let text = self.text(node)?;
        self.address_text(node, 1, &text)
    }

    /// The same for any word of a node.
    pub(super) fn address_text(&mut self, node: &Node, word: usize, text: &str) -> Option<IpAddr> {
        let bare = text.split(['/', '-']).next().unwrap_or_default();
        match bare.parse() {
            Ok(address) => {
                if bare != text {
                    let problem = format!("\"{text}\" carries more than an address");
                    let consequence = format!("{bare} is used");
                    let fix = format!("write {bare}");
                    self.find(Level::Warning, node, word, "surplus-mask", problem, consequence, fix);
                }
                Some(address)
            }
            Err(_) => {
                let problem = format!("\"{text}\" is not an IP address");
                let fix = "write one, such as 192.0.2.1";
                self.find(Level::Error, node, word, "bad-address", problem, "it is passed over", fix);
                None
            }
        }
    }

    /// A value that cannot be read.
    pub(super) fn bad(&mut self, node: &Node, text: &str, says: &str, consequence: &str) {
        let problem = format!("\"{text}\" is no value of {}", node.key());
        self.find(Level::Warning, node, 1, "bad-value", problem, consequence, format!("write {says}"));
    }

    /// `CMD [USER [GROUP]]`: the command is one word, quoted when it has arguments.
    pub(super) fn command(&mut self, node: &Node) -> Option<Command> {
        let mut outer = command_words(&node.raw).into_iter();
        let argv = command_words(&outer.next().unwrap_or_default());
        if argv.is_empty() {
            self.missing(node);
            return None;
        }
        let user = outer.next().map(|user| ScriptUser { user, group: outer.next() });
        Some(Command { argv, user })
    }

    /// `USER [[:]GROUP]`.
    pub(super) fn user(&mut self, node: &Node) -> Option<ScriptUser> {
        let user = self.text(node)?;
        let group = node.argument(1).map(|g| g.trim_start_matches(':').to_owned());
        Some(ScriptUser { user, group: group.filter(|g| !g.is_empty()) })
    }

    /// A command whose surplus words are arguments that were not quoted: keepalived drops them, and says nothing.
    pub(super) fn quoted_command(&mut self, node: &Node) -> Option<Command> {
        let outer = command_words(&node.raw);
        let mut command = self.command(node)?;
        command.user = None;
        if outer.len() > 1 {
            let dropped = outer[1..].join(" ");
            self.find(
                Level::Warning,
                node,
                2,
                "unquoted-arguments",
                format!("the command is not quoted: its arguments \"{dropped}\" are not part of it"),
                format!("only {} is run, as keepalived does", outer[0]),
                format!("write {} \"{}\"", node.key(), outer.join(" ")),
            );
        }
        Some(command)
    }
}
