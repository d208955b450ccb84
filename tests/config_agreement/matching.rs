//! Which of our findings answers which problem of keepalived's.

use std::path::Path;

use tandem::config::diagnostic::{Diagnostic, Level};

use super::kinds::{At, Kind};
use super::verdict::{Problem, block_of, start_of_block};

/// What became of one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The finding with this index says it.
    Reported(usize),
    /// Neither side can say it from the text: why.
    NotCompared(&'static str),
    /// It follows from an earlier problem that we report.
    Follows(u32),
    /// We say nothing of the kind.
    Missing,
}

/// What became of each problem.
pub(crate) fn fates(problems: &[Problem], findings: &[Diagnostic], path: &Path, text: &str) -> Vec<Fate> {
    let answer = |problem: &Problem| findings.iter().position(|found| answers(problem, found, path, text));
    problems
        .iter()
        .map(|problem| match (problem.at(), answer(problem), problem.follows, problem.host) {
            (At::Nowhere(why), ..) => Fate::NotCompared(why),
            (_, Some(at), ..) => Fate::Reported(at),
            (_, None, Some(cause), _) => Fate::Follows(cause),
            (_, None, None, Some(why)) => Fate::NotCompared(why),
            (_, None, None, None) => Fate::Missing,
        })
        .collect()
}

fn answers(problem: &Problem, found: &Diagnostic, path: &Path, text: &str) -> bool {
    let Some(rule) = problem.rule() else { return false };
    let says = |code: &&str| match code.split_once(':') {
        Some((code, word)) => found.code == code && names(&found.problem, word),
        None => found.code == *code,
    };
    if !rule.codes.iter().any(says) {
        return false;
    }
    let there = found.place.as_ref();
    let file = problem.file.as_deref().map_or(path, Path::new);
    let on = |first: u32, last: u32| {
        there.is_some_and(|place| place.file.ends_with(file) && (first..=last).contains(&place.line))
    };
    // The sentence names an object, or stands in its block.
    let inside = |object: &str| {
        block_of(text, object).is_some_and(|(first, last)| problem.file.is_none() && on(first, last))
    };
    let named = || {
        let mut objects = problem.objects.iter().enumerate();
        objects.all(|(n, object)| names(&found.problem, object) || n == 0 && inside(object))
    };
    match (rule.at, problem.line) {
        (At::Nowhere(_), _) => false,
        (At::File, _) => true,
        // A brace that is missing is noticed one line later.
        (At::Line, Some(line)) if problem.kind == Kind::MissingBrace => on(line.saturating_sub(1), line),
        (At::Line, Some(line)) => on(line, line),
        (At::Block, Some(line)) => on(start_of_block(text, line), line) && named(),
        (At::Around, Some(line)) => on(start_of_block(text, line), line) && named(),
        (At::Object | At::Line | At::Block | At::Around, _) => named(),
    }
}

/// Whether a sentence has a name as a word of its own.
fn names(sentence: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    sentence.match_indices(name).any(|(at, _)| {
        let before = sentence[..at].chars().next_back();
        let mut after = sentence[at + name.len()..].chars();
        let end = match after.next() {
            // A full stop or colon behind a name ends it.
            Some('.') => !after.next().is_some_and(part),
            next => !next.is_some_and(part),
        };
        !before.is_some_and(part) && end
    })
}

/// Our errors and warnings that keepalived has no message for.
pub(crate) fn extras<'f>(
    problems: &[Problem],
    findings: &'f [Diagnostic],
    path: &Path,
    text: &str,
) -> Vec<&'f Diagnostic> {
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
    findings
        .iter()
        .filter(|found| {
            let known = problems.iter().any(|problem| answers(problem, found, path, text));
            // A second finding of ours on a line that keepalived complains of is no surprise.
            let same_line = found.place.as_ref().is_some_and(|place| lines.contains(&place.line));
            found.level >= Level::Warning && !known && !same_line
        })
        .collect()
}

#[test]
fn names_are_whole_words() {
    assert!(names("vrrp_instance VI_1: x", "VI_1"));
    assert!(names("there is no VI_1.", "VI_1"));
    assert!(!names("vrrp_instance VI_10", "VI_1"));
    assert!(!names("address 10.0.0.10", "10.0.0.1"));
}
