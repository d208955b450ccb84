//! What lowering shares: values read from words, findings with their places.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::{Command, ScriptUser, VirtualServer};
use crate::config::suggest::closest;
use crate::config::units::Secs;

use super::lexer::command_words;
use super::tree::Node;

/// Collects findings while values are read.
#[derive(Default)]
pub(in crate::config) struct Reader {
    pub(in crate::config) findings: Vec<Diagnostic>,
    /// How many words behind the keyword were looked at; the rest is surplus.
    pub(in crate::config) used: usize,
    /// Places of the elements that the word under way has taken.
    pub(in crate::config) elements: Vec<crate::config::diagnostic::Place>,
    /// Named objects so far, as (keyword, name).
    pub(in crate::config) defined: BTreeSet<(&'static str, String)>,
    /// Blocks that an earlier reading knows, by their numbers in this one.
    pub(in crate::config) known: Vec<Option<Arc<VirtualServer>>>,
}

impl Reader {
    /// A word that means nothing here.
    pub(in crate::config) fn unknown<'a>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        known: impl Iterator<Item = &'a str>,
    ) {
        let key = node.key().to_owned();
        let (problem, fix) = match key.as_str() {
            "nb_get_retry" => (format!("nb_get_retry means nothing in {what}"), "write retry".to_owned()),
            _ if key.starts_with("//") => {
                ("// does not start a comment".to_owned(), "start comments with # or !".to_owned())
            }
            _ if key.starts_with('$') => {
                (format!("the variable {key} is not defined"), format!("write {key}=VALUE above this line"))
            }
            "}" => (
                "a } without a { before it".to_owned(),
                "remove it, or look for a { that is missing above".to_owned(),
            ),
            _ => {
                let fix = match gone(&key).map(str::to_owned) {
                    Some(cure) => cure,
                    None => match closest(&key, known) {
                        Some(word) => format!("did you mean \"{word}\"?"),
                        None => "remove it, or move it to where it belongs".to_owned(),
                    },
                };
                (format!("\"{key}\" is no keyword of {what}"), fix)
            }
        };
        let consequence =
            if node.has_block() { "it is passed over with its block" } else { "the line is passed over" };
        self.find(Level::Warning, node, 0, "unknown-keyword", problem, consequence, fix);
    }

    /// A finding at the n-th word of a node.
    #[allow(clippy::too_many_arguments, reason = "a finding has that many parts")]
    pub(in crate::config) fn find(
        &mut self,
        level: Level,
        node: &Node<'_>,
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

    /// An old spelling.
    pub(in crate::config) fn deprecated(&mut self, node: &Node<'_>, new: &str) {
        let problem = format!("{} is an old spelling of {new}", node.key());
        self.find(
            Level::Advice,
            node,
            0,
            "deprecated",
            problem,
            "it works as before",
            format!("write {new}"),
        );
    }

    /// A word that stands twice in one block, where only one counts.
    pub(in crate::config) fn repeated(&mut self, node: &Node<'_>) {
        let problem = format!("{} is written twice in this block", node.key());
        self.find(Level::Advice, node, 0, "repeated", problem, "the last one counts", "remove one of them");
    }

    /// Words behind those that the keyword takes.
    pub(in crate::config) fn surplus(&mut self, node: &Node<'_>) {
        if node.argument_count() <= self.used {
            return;
        }
        let words = node.arguments();
        let Some(rest) = words.get(self.used..).filter(|rest| !rest.is_empty()) else { return };
        let problem = if rest.first().is_some_and(|word| word.starts_with("//")) {
            "// does not start a comment".to_owned()
        } else if ["auth_pass", "smtp_password", "password", "key"].contains(&node.key()) {
            // What stands there may be the rest of it: never shown.
            "there is more behind the password".to_owned()
        } else {
            format!("\"{}\" takes no \"{}\"", node.key(), rest.join(" "))
        };
        let fix = "remove it; start comments with # or !, and quote a value that has blanks in it";
        let at = self.used + 1;
        self.find(Level::Advice, node, at, "surplus-words", problem, "it is passed over", fix);
    }

    /// The n-th word behind the keyword.
    pub(in crate::config) fn argument<'n>(&mut self, node: &Node<'n>, n: usize) -> Option<&'n str> {
        self.used = self.used.max(n + 1);
        node.argument(n)
    }

    /// The one argument of a keyword.
    pub(in crate::config) fn word<'n>(&mut self, node: &Node<'n>) -> Option<&'n str> {
        let word = self.argument(node, 0);
        if word.is_none() {
            self.missing(node);
        }
        word
    }

    /// The same as a text of its own.
    pub(in crate::config) fn text(&mut self, node: &Node<'_>) -> Option<String> {
        self.word(node).map(str::to_owned)
    }

    /// Nothing stands behind a keyword that needs something: keepalived refuses the whole file for that.
    pub(in crate::config) fn missing(&mut self, node: &Node<'_>) {
        let problem = format!("\"{}\" needs a value", node.key());
        let consequence = "the line is passed over (keepalived refuses the whole file)";
        self.find(Level::Error, node, 0, "missing-value", problem, consequence, "write one");
    }

    /// A keyword that begins a block, without one.
    pub(in crate::config) fn no_block(&mut self, node: &Node<'_>) {
        let problem = format!("\"{}\" has no {{ behind it", node.key());
        self.find(Level::Error, node, 0, "no-block", problem, "it is taken as empty", "write its { … }");
    }

    /// A block that names nothing.
    pub(in crate::config) fn empty_block(&mut self, node: &Node<'_>) {
        let problem = format!("the block of {} is empty", node.key());
        self.find(
            Level::Warning,
            node,
            0,
            "empty-block",
            problem,
            "it has no effect",
            "fill it, or remove it",
        );
    }

    /// A number within a range; outside it the line is passed over, as keepalived does.
    pub(in crate::config) fn number<T>(&mut self, node: &Node<'_>, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let text = self.word(node)?;
        match text.parse::<T>().ok().filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                let says = format!("a number from {} to {}", range.start(), range.end());
                self.bad(node, text, &says, "the line is passed over");
                None
            }
        }
    }

    /// Decimal seconds within a range of seconds.
    pub(in crate::config) fn secs(&mut self, node: &Node<'_>, from: f64, to: f64) -> Option<Secs> {
        let text = self.word(node)?;
        let value = Secs::parse_decimal(text).filter(|s| (from..=to).contains(&s.0.as_secs_f64()));
        if value.is_none() {
            self.bad(node, text, &format!("seconds from {from} to {to}"), "the line is passed over");
        } else if text.split_once('.').is_some_and(|(_, decimals)| decimals.len() > 6) {
            let problem = format!("\"{text}\" has more than six decimals");
            let consequence = "what is below a microsecond is cut";
            self.find(
                Level::Warning,
                node,
                1,
                "too-many-decimals",
                problem,
                consequence,
                "write six at most",
            );
        }
        value
    }

    /// `on|true|yes`, `off|false|no`; the bare keyword means on.
    pub(in crate::config) fn switch(&mut self, node: &Node<'_>) -> Option<bool> {
        match self.argument(node, 0) {
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
    pub(in crate::config) fn address(&mut self, node: &Node<'_>) -> Option<IpAddr> {
        let text = self.text(node)?;
        self.address_text(node, 1, &text)
    }

    /// The same for any word of a node.
    pub(in crate::config) fn address_text(
        &mut self,
        node: &Node<'_>,
        word: usize,
        text: &str,
    ) -> Option<IpAddr> {
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
    pub(in crate::config) fn bad(&mut self, node: &Node<'_>, text: &str, says: &str, consequence: &str) {
        self.bad_word(node, 1, text, says, consequence);
    }

    /// The same for the n-th word.
    pub(in crate::config) fn bad_word(
        &mut self,
        node: &Node<'_>,
        word: usize,
        text: &str,
        says: &str,
        consequence: &str,
    ) {
        let problem = format!("\"{text}\" is no value of {}", node.key());
        self.find(Level::Warning, node, word, "bad-value", problem, consequence, format!("write {says}"));
    }

    /// `CMD [USER [GROUP]]`: the command is one word, quoted when it has arguments.
    pub(in crate::config) fn command(&mut self, node: &Node<'_>) -> Option<Command> {
        self.used = usize::MAX;
        let mut outer = command_words(node.raw()).into_iter();
        let argv = command_words(&outer.next().unwrap_or_default());
        if argv.is_empty() {
            // An empty text is for whoever misses the command in the end.
            if node.argument(0).is_none() {
                self.missing(node);
            }
            return None;
        }
        let user = outer.next().map(|user| ScriptUser { user, group: outer.next() });
        Some(Command { argv, user })
    }

    /// `USER [[:]GROUP]`.
    pub(in crate::config) fn user(&mut self, node: &Node<'_>) -> Option<ScriptUser> {
        let user = self.text(node)?;
        let group = self.argument(node, 1).map(|g| g.trim_start_matches(':').to_owned());
        Some(ScriptUser { user, group: group.filter(|g| !g.is_empty()) })
    }

    /// A command whose surplus words are arguments that were not quoted: keepalived drops them, and says nothing.
    pub(in crate::config) fn quoted_command(&mut self, node: &Node<'_>) -> Option<Command> {
        let outer = command_words(node.raw());
        let mut command = self.command(node)?;
        command.user = None;
        if let Some((first, rest)) = outer.split_first()
            && !rest.is_empty()
        {
            self.find(
                Level::Warning,
                node,
                2,
                "unquoted-arguments",
                format!("the command is not quoted: its arguments \"{}\" are not part of it", rest.join(" ")),
                format!("only {first} is run, as keepalived does"),
                format!("write {} \"{}\"", node.key(), outer.join(" ")),
            );
        }
        Some(command)
    }
}

/// Words of old or other programs that are still met, and what to do about them.
fn gone(key: &str) -> Option<&'static str> {
    Some(match key {
        "nat_mask" | "net_mask" => "remove it: it has meant nothing for many years",
        "lvs_id" => "write router_id",
        "nb_sock_retry" => "write retry",
        "smtp_connection_timeout" => "write smtp_connect_timeout",
        "notificationd" => "write notification_email",
        "vrrp_garp_master_delay" | "vrrp_garp_master_repeat" | "vrrp_garp_master_refresh" => {
            "in an instance it is written without vrrp_; with it, it belongs into global_defs"
        }
        "laddr_group_name" | "local_address_group" | "dpdk_interface" => {
            "remove it: it belongs to another program (full NAT, DPDK)"
        }
        _ => return None,
    })
}
