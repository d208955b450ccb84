//! The recorded verdicts: lines of messages to typed problems, each problem once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::kinds::{At, Kind, RULES, Rule, captures};

/// One file's verdict, as far as it is compared.
#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) file: String,
    pub(crate) rc_full: i32,
    pub(crate) msgs_full: Vec<String>,
    pub(crate) rc_bare: i32,
    pub(crate) msgs_bare: Vec<String>,
    /// Interfaces that the machine of the full run had.
    pub(crate) made: Vec<String>,
}

/// One thing that keepalived found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The included file that it is in; `None` = the file itself.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) kind: Kind,
    /// What our finding must name.
    pub(crate) objects: Vec<String>,
    /// keepalived's words, for people.
    pub(crate) message: String,
    /// The line or the whole problem follows from this earlier line, so nobody reports it for itself.
    pub(crate) follows: Option<u32>,
    /// It is not in the text: why.
    pub(crate) host: Option<&'static str>,
}

impl Problem {
    pub(crate) fn rule(&self) -> Option<&'static Rule> {
        RULES.iter().find(|rule| rule.kind == self.kind)
    }

    pub(crate) fn at(&self) -> At {
        self.rule().map_or(At::Line, |rule| rule.at)
    }

    fn same(&self, other: &Self) -> bool {
        (self.line, self.kind) == (other.line, other.kind)
            && (&self.file, &self.objects) == (&other.file, &other.objects)
            // Instances of one kind without line and object differ by their words.
            && (self.line.is_some() || !self.objects.is_empty() || self.message == other.message)
    }
}

pub(crate) fn verdicts(folder: &Path) -> Vec<Verdict> {
    let text = fs::read_to_string(folder.join("VERDICT.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The problems behind one run's messages. keepalived reads a file several times and says one thing in several
/// messages; here each is one problem.
pub(crate) fn problems(messages: &[String], text: &str) -> Vec<Problem> {
    let mut all: Vec<Problem> = Vec::new();
    for message in messages {
        let problem = problem(message);
        if !all.iter().any(|known| known.same(&problem)) {
            all.push(problem);
        }
    }
    all.sort_by_key(|problem| problem.line.unwrap_or(u32::MAX));
    one_for_each_cause(&mut all);
    mark_follow_ups(&mut all, text);
    mark_consequences(&mut all);
    all
}

/// Marks what only a machine without the file's scripts, users and names has: it is not there in the full run.
pub(crate) fn mark_host(bare: &mut [Problem], full: &[Problem]) {
    for problem in bare {
        let why = match problem.kind {
            Kind::UnknownTracker => "the script is gone because its user is missing on that machine",
            Kind::SmtpServer => "a name that only that machine could not resolve",
            Kind::VmacWithoutInterface => "the interface is missing on that machine, which is said of it",
            _ => continue,
        };
        if !full.iter().any(|other| other.same(problem)) {
            problem.host = Some(why);
        }
    }
}

fn problem(message: &str) -> Problem {
    let (file, line, rest) = place(message);
    let rest = rest.trim();
    let found = RULES
        .iter()
        .flat_map(|rule| rule.patterns.iter().map(move |pattern| (rule.kind, pattern)))
        .find_map(|(kind, pattern)| captures(pattern, rest).map(|holes| (kind, holes)));
    let (kind, holes) = found.unwrap_or((Kind::Unclassified, Vec::new()));
    let objects = holes.iter().filter(|(object, _)| *object).flat_map(|(_, text)| names(text)).collect();
    Problem { file, line, kind, objects, message: rest.to_owned(), follows: None, host: None }
}

/// `L12 …`, `(Line 12) …` and `(FILE: Line 12) …`.
fn place(message: &str) -> (Option<String>, Option<u32>, &str) {
    let short = message.strip_prefix('L').and_then(|rest| rest.split_once(' '));
    if let Some((Ok(line), rest)) = short.map(|(number, rest)| (number.parse(), rest)) {
        return (None, Some(line), rest);
    }
    let long = message.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    if let Some((inside, rest)) = long {
        let (file, line) = match inside.rsplit_once(": Line ") {
            Some((file, line)) => (Some(file.to_owned()), Some(line)),
            None => (None, inside.strip_prefix("Line ")),
        };
        if let Some(Ok(line)) = line.map(str::parse) {
            return (file, Some(line), rest);
        }
    }
    (None, None, message)
}

/// What a person must find in our words: `[10.0.0.1]:tcp:80` is the address (and the port, unless 0), `FWM 3` the
/// mark, `[group]:0:[entry,port]` the group.
fn names(object: &str) -> Vec<String> {
    if let Some(mark) = object.strip_prefix("FWM ") {
        return vec![mark.to_owned()];
    }
    let Some((inside, after)) = object.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return vec![object.to_owned()];
    };
    let port = after.rsplit(':').next().filter(|port| *port != "0" && port.parse::<u16>().is_ok());
    std::iter::once(inside.to_owned()).chain(port.map(str::to_owned)).collect()
}

/// `number '0' outside range` and `persistence_timeout invalid` on one line are one problem, and so on.
fn one_for_each_cause(all: &mut Vec<Problem>) {
    use Kind::{ExtraBrace, InvalidAddress, InvalidPrefix, Number, UnexpectedBrace, UnknownKeyword};
    let says_it_too = |first: &Problem, second: &Problem| {
        let (first_line, second_line) = (first.line.unwrap_or(0), second.line.unwrap_or(0));
        let brace = first.message.ends_with("'}'");
        match (first.kind, second.kind) {
            (UnknownKeyword, ExtraBrace) if brace => first_line == second_line,
            (UnexpectedBrace, UnknownKeyword) => {
                first_line == second_line && !second.message.ends_with("'}'") || first_line == second_line + 1
            }
            (InvalidPrefix, InvalidAddress) => first_line == second_line,
            (Number, kind) => kind != Number && first_line == second_line,
            _ => false,
        }
    };
    let copy = all.clone();
    all.retain(|first| {
        first.line.is_none()
            || !copy.iter().any(|second| first.file == second.file && says_it_too(first, second))
    });
}

/// Behind a block that keepalived does not know, or a brace too many or too few, its count of braces is wrong: up to the
/// end of the outermost block it calls every keyword unknown. These follow from the first one.
fn mark_follow_ups(all: &mut [Problem], text: &str) {
    let syntax = |kind| {
        matches!(kind, Kind::UnknownKeyword | Kind::UnexpectedBrace | Kind::ExtraBrace | Kind::MissingBrace)
    };
    let unexpected: BTreeSet<u32> = all
        .iter()
        .filter(|problem| {
            matches!(problem.kind, Kind::UnknownKeyword | Kind::UnexpectedBrace | Kind::MissingBrace)
        })
        .filter_map(|problem| problem.line)
        .collect();
    let mut until = 0;
    let mut cause = 0;
    for problem in all.iter_mut().filter(|problem| problem.file.is_none() && syntax(problem.kind)) {
        let Some(line) = problem.line else { continue };
        if line <= until && line > cause {
            problem.follows = Some(cause);
            continue;
        }
        let opens = problem.kind != Kind::ExtraBrace && opens_block(text, line);
        if unexpected.contains(&line) && opens {
            (cause, until) = (line, end_of_outermost(text, line));
        }
    }
}

/// A refused value leaves nothing behind, which keepalived says again when all is read. One of them for each refusal.
fn mark_consequences(all: &mut [Problem]) {
    use Kind::{
        FileCheckWithoutFile, MethodUnknown, NoMethod, NoScheduler, NoVrid, SchedulerUnknown, UnknownTracker,
        Vrid,
    };
    for (cause, consequence) in [
        (SchedulerUnknown, NoScheduler),
        (MethodUnknown, NoMethod),
        (Vrid, NoVrid),
        (UnknownTracker, FileCheckWithoutFile),
    ] {
        let causes: Vec<_> = all.iter().filter(|p| p.kind == cause).filter_map(|p| p.line).collect();
        for (problem, line) in all.iter_mut().filter(|p| p.kind == consequence).zip(causes) {
            problem.follows = Some(line);
        }
    }
}

/// Lines without comments, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines().map(|line| line.split(['#', '!']).next().unwrap_or_default()))
}

/// Whether a line, or the next one that says anything, opens a block, or is within one without its brace.
fn opens_block(text: &str, line: u32) -> bool {
    let mut rest = lines(text).skip_while(|(n, _)| *n < line);
    let first = rest.next().is_some_and(|(_, words)| words.contains('{'));
    first || rest.find(|(_, words)| !words.trim().is_empty()).is_some_and(|(_, words)| words.trim() == "{")
}

/// The line on which the outermost block around a line ends, by the braces of the text.
pub(crate) fn end_of_outermost(text: &str, line: u32) -> u32 {
    let mut depth = 0_i64;
    let mut last = line;
    for (n, words) in lines(text) {
        depth += braces(words);
        last = n;
        if depth <= 0 {
            depth = 0;
            if n >= line && words.contains('}') {
                return n;
            }
        }
    }
    last
}

/// The first and last line of the block `vrrp_instance NAME { … }`, or of another keyword with that name.
pub(crate) fn block_of(text: &str, name: &str) -> Option<(u32, u32)> {
    let starts = |words: &str| {
        let mut words = words.split([' ', '\t', '{']).filter(|word| !word.is_empty());
        words.next().is_some_and(|keyword| keyword.contains('_')) && words.next() == Some(name)
    };
    let (first, _) = lines(text).find(|(_, words)| starts(words))?;
    Some((first, end_of_outermost(text, first)))
}

/// The line on which the block begins that ends on a line, or goes on on it.
pub(crate) fn start_of_block(text: &str, line: u32) -> u32 {
    let all: Vec<_> = lines(text).take_while(|(n, _)| *n <= line).collect();
    let ends = all.last().is_some_and(|(_, words)| braces(words) < 0);
    let wanted = if ends { 0 } else { 1 };
    let mut depth = 0_i64;
    for (n, words) in all.into_iter().rev() {
        depth += braces(words);
        if depth >= wanted && words.contains('{') {
            return n;
        }
    }
    1
}

fn braces(words: &str) -> i64 {
    words.chars().map(|c| i64::from(c == '{') - i64::from(c == '}')).sum()
}

#[test]
fn one_cause_is_one_problem() {
    let text = "a {\n persistence_timeout 0\n}\nfoo {\n bar 1\n}\nbaz\n";
    let messages = [
        "(Line 4) Unknown keyword 'foo'",
        "(Line 4) Unexpected '{' - ignoring",
        "(Line 5) Unknown keyword 'bar'",
        "(Line 6) Unknown keyword '}'",
        "(Line 7) Unknown keyword 'baz'",
        "L2 number '0' outside range [1, 2678400]",
        "L2 persistence_timeout invalid",
        "L4 Unknown keyword 'foo'",
        "(V) No VIP specified; at least one is sensible",
    ];
    let found = problems(&messages.map(str::to_owned), text);
    let short: Vec<_> = found.iter().map(|p| (p.line, p.kind, p.follows)).collect();
    assert_eq!(
        short,
        [
            (Some(2), Kind::Persistence, None),
            (Some(4), Kind::UnknownKeyword, None),
            (Some(5), Kind::UnknownKeyword, Some(4)),
            (Some(6), Kind::UnknownKeyword, Some(4)),
            (Some(7), Kind::UnknownKeyword, None),
            (None, Kind::NoVip, None),
        ]
    );
    assert_eq!(found[5].objects, ["V"]);
    assert_eq!(place("(conf.d/a.conf: Line 9) x"), (Some("conf.d/a.conf".to_owned()), Some(9), " x"));
    assert_eq!(names("[10.0.0.1]:tcp:80"), ["10.0.0.1", "80"]);
    assert_eq!(names("[fred]:0:[3.4.5.6,0]"), ["fred"]);
    assert_eq!((start_of_block(text, 3), start_of_block(text, 5)), (1, 4));
    assert_eq!(block_of("x\nvrrp_instance V {\n y\n}\n", "V"), Some((2, 4)));
    assert_eq!(start_of_block("a {\n b {\n }\n c\n}\n", 4), 1);
}
