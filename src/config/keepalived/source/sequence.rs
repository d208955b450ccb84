//! `~SEQ(var, start, step, end)`, `~SEQx(…)`, `~LST(var, v1, v2, …)`, `~LST({a,b}, {1,2}, {3,4})`: the rest of the line
//! is repeated for each value. Several on one line nest.

use std::borrow::Cow;

use super::{File, Source, Written, place};
use crate::config::diagnostic::Place;

/// Values of one `~SEQ` or `~LST`.
type Rounds = Vec<Vec<(String, String)>>;

/// Rounds of one sequence; more are a slip.
const MOST: usize = 65_536;

impl Source<'_, '_> {
    /// Repeats a line that begins with `~SEQ` or `~LST`. False: it does not.
    pub(super) fn sequence(&mut self, file: &File, written: &Written<'_>, depth: usize) -> bool {
        let text = written.text.trim_start();
        let kind = ["~SEQx(", "~SEQ(", "~LST("].into_iter().find(|kind| text.starts_with(kind));
        let Some(kind) = kind else {
            if text.starts_with("~SEQ") || text.starts_with("~LST") {
                self.bad_sequence(file, written);
                return true;
            }
            return false;
        };
        let inner = text.get(kind.len()..).unwrap_or_default();
        let Some((arguments, rest)) = inner.split_once(')') else {
            self.bad_sequence(file, written);
            return true;
        };
        // The arguments may name variables.
        let context = super::variables::Context {
            config_id: self.options.config_id.as_deref().unwrap_or_default(),
            directory: file.name.parent().unwrap_or_else(|| std::path::Path::new(".")),
        };
        let arguments = self.variables.replaced(arguments, &context, super::LONGEST_LINE * 16).text;
        let rounds = match kind {
            "~LST(" => listed(&arguments),
            _ => counted(&arguments, kind == "~SEQx("),
        };
        let Some(rounds) = rounds else {
            self.bad_sequence(file, written);
            return true;
        };
        for round in rounds {
            // What the rest of the line names (a variable of several lines, say) sees the value too.
            for (name, value) in &round {
                self.variables.define(name, value);
            }
            let text = rest.to_owned();
            self.expanded = self.expanded.saturating_add(text.len());
            if self.expanded > super::MOST_EXPANDED {
                self.line(file, written, depth);
                return true;
            }
            // The rest of the line stands where it is written, whatever the round.
            let (column, goes_on) = written.column(written.text.len() - rest.len());
            let whole = written.map.as_ref().is_none_or(|map| map.len() == 1);
            let line = Written {
                number: written.number,
                text: Cow::Owned(text),
                map: Some(vec![(0, column, goes_on && whole)]),
                indent: 0,
            };
            self.line(file, &line, depth + 1);
        }
        true
    }

    fn bad_sequence(&mut self, file: &File, written: &Written<'_>) {
        let fix = "write ~SEQ(var, start, step, end) …$var… or ~LST(var, value, value, …) …$var…";
        let start = written.text.len() - written.text.trim_start().len();
        let place = Place { column: written.column(start).0, ..place(file, written) };
        self.warn(place, "bad-sequence", "this sequence cannot be read", fix);
    }
}

/// `var, [start, [step,]] end`.
fn counted(arguments: &str, hexadecimal: bool) -> Option<Rounds> {
    let parts: Vec<&str> = arguments.split(',').map(str::trim).collect();
    let (name, numbers) = parts.split_first()?;
    let numbers: Vec<i64> = numbers.iter().map(|text| number(text)).collect::<Option<_>>()?;
    let (start, step, end) = match numbers.as_slice() {
        [end] => (if *end < 0 { -1 } else { 1 }, None, *end),
        [start, end] => (*start, None, *end),
        [start, step, end] => (*start, Some(*step), *end),
        _ => return None,
    };
    let step = step.unwrap_or(if end < start { -1 } else { 1 });
    if name.is_empty() || step == 0 || (step > 0) != (end >= start) && end != start {
        return None;
    }
    let mut rounds = Rounds::new();
    let mut value = start;
    while (step > 0 && value <= end) || (step < 0 && value >= end) {
        if rounds.len() >= MOST {
            return None;
        }
        let text = if hexadecimal { format!("{value:x}") } else { value.to_string() };
        rounds.push(vec![((*name).to_owned(), text)]);
        value = value.checked_add(step)?;
    }
    Some(rounds)
}

/// Decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `var, v1, v2, …` or `{a,b}, {1,2}, {3,4}`.
fn listed(arguments: &str) -> Option<Rounds> {
    let parts = groups(arguments)?;
    let (names, values) = parts.split_first()?;
    if names.is_empty() || values.is_empty() || names.iter().any(String::is_empty) {
        return None;
    }
    // A tuple that is too short leaves the rest of its variables empty.
    let round = |tuple: &Vec<String>| {
        names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), tuple.get(at).cloned().unwrap_or_default()))
            .collect()
    };
    Some(values.iter().map(round).collect())
}

/// Splits at commas outside braces; a group in braces is a list of its own.
fn groups(text: &str) -> Option<Vec<Vec<String>>> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('{') {
            let (group, behind) = inner.split_once('}')?;
            all.push(group.split(',').map(|part| part.trim().to_owned()).collect());
            rest = behind.trim_start();
            match rest.strip_prefix(',') {
                Some(behind) => rest = behind.trim_start(),
                None if rest.is_empty() => {}
                None => return None,
            }
        } else {
            let (part, behind) = rest.split_once(',').unwrap_or((rest, ""));
            all.push(vec![part.trim().to_owned()]);
            rest = behind.trim_start();
        }
    }
    Some(all)
}
