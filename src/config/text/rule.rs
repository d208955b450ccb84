//! One element of `virtual_rules`, `static_rules`: options in any order, the action last (reference section 6c).

use std::fmt;
use std::str::FromStr;

use super::ElementError;
use super::options::{self, Value, Word, alias, word};
use crate::config::model::Rule;

const U32: u64 = u32::MAX as u64;

const GRAMMAR: &[Word] = &[
    word("inet", Value::None),
    word("inet6", Value::None),
    word("not", Value::None),
    word("from", Value::Prefix),
    word("to", Value::Prefix),
    alias("table", &["lookup"], Value::Text),
    alias("priority", &["preference", "order"], Value::Number(0, U32)),
    alias("tos", &["dsfield"], Value::Text),
    word("fwmark", Value::Pair('/', U32)),
    word("realms", Value::Text),
    alias("suppress_prefixlength", &["sup_pl"], Value::Number(0, 128)),
    alias("suppress_ifgroup", &["sup_group"], Value::Text),
    alias("iif", &["dev"], Value::Interface),
    word("oif", Value::Interface),
    word("l3mdev", Value::None),
    word("tunnel-id", Value::Number(0, u64::MAX)),
    word("uidrange", Value::Pair('-', U32)),
    word("protocol", Value::Text),
    alias("ipproto", &["ip_proto"], Value::Text),
    word("sport", Value::Pair('-', 65_535)),
    word("dport", Value::Pair('-', 65_535)),
    word("goto", Value::Number(0, U32)),
    word("nop", Value::None),
    word("type", Value::Text),
    word("blackhole", Value::None),
    word("unreachable", Value::None),
    word("prohibit", Value::None),
    word("unicast", Value::None),
    word("no_track", Value::None),
    word("track_group", Value::Text),
];

/// What a rule does.
const ACTIONS: [&str; 9] =
    ["table", "goto", "nop", "type", "blackhole", "unreachable", "prohibit", "unicast", "l3mdev"];

impl Rule {
    /// Reads the words of a rule. Wrong options are reported one by one and passed over; `None` only when nothing says
    /// what the rule does.
    pub fn parse_words(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        let mut errors = Vec::new();
        let rule = Self { options: options::read(words, 0, GRAMMAR, &mut errors) };
        if !ACTIONS.iter().any(|action| rule.option(action).is_some()) {
            let problem = "nothing says what this rule does: write table T, goto N, blackhole, …".to_owned();
            errors.push(ElementError::named(0, problem, "no-action"));
            return (None, errors);
        }
        if rule.option("priority").is_none() {
            let problem =
                "a rule without priority gets one from 16384 downwards: write priority N".to_owned();
            errors.push(ElementError::named(0, problem, "no-preference"));
        }
        let family = |word| rule.option(word).filter(|v| *v != "all").map(|v| v.contains(':'));
        if let (Some(from), Some(to)) = (family("from"), family("to"))
            && from != to
        {
            errors.push(ElementError::named(
                0,
                "from and to are of different address families",
                "other-family",
            ));
            return (None, errors);
        }
        (Some(rule), errors)
    }

    /// The interfaces that it names.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        let named = |option: &&super::ElementOption| matches!(option.word, "iif" | "oif");
        self.options.iter().filter(named).map(|option| option.value.as_str())
    }

    /// The value of an option, where it is set.
    pub fn option(&self, word: &str) -> Option<&str> {
        self.options.iter().find(|option| option.word == word).map(|option| option.value.as_str())
    }
}

impl FromStr for Rule {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (rule, errors) = Self::parse_words(&words);
        let fatal = errors.into_iter().find(|error| error.code.is_none() || rule.is_none());
        match (rule, fatal) {
            (Some(rule), None) => Ok(rule),
            (_, Some(error)) => Err(error.problem),
            (None, None) => Err("a rule is missing".to_owned()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for option in &self.options {
            if !first {
                f.write_str(" ")?;
            }
            first = false;
            f.write_str(option.word)?;
            if !option.value.is_empty() {
                write!(f, " {}", option.value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) fn sample(n: u64) -> Rule {
    const LINES: &[&str] = &[
        "from 10.0.0.0/8 table 7 priority 100",
        "not to 192.0.2.1/32 fwmark 0x10/0xff iif eth0 table main priority 5 no_track",
        "inet6 uidrange 0-99 sport 1-1023 dport 80 ipproto tcp priority 9 blackhole",
        "from all priority 7 goto 9",
    ];
    let at = usize::try_from(n % LINES.len() as u64).unwrap_or(0);
    let words: Vec<&str> = LINES.get(at).copied().unwrap_or("").split(' ').collect();
    let (rule, errors) = Rule::parse_words(&words);
    assert!(errors.is_empty(), "{words:?}: {errors:?}");
    rule.unwrap_or_else(|| unreachable!("{words:?} is a rule"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_their_text_and_mistakes_are_named() {
        for n in 0..4 {
            let rule = sample(n);
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        for (text, parts) in [
            ("from 10.0.0.0/8 lookup 5", vec!["without priority"]),
            ("from 10.0.0.0/8 priority 5", vec!["what this rule does"]),
            ("from x table 5 prio 7", vec!["from: \"x\"", "\"prio\"", "\"7\"", "without priority"]),
            ("sport 70000 table 5 priority 1", vec!["sport: \"70000\""]),
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            let errors = Rule::parse_words(&words).1;
            assert_eq!(errors.len(), parts.len(), "{text}: {errors:?}");
            for (error, part) in errors.iter().zip(parts) {
                assert!(error.problem.contains(part), "{text}: {}", error.problem);
            }
        }
    }
}
