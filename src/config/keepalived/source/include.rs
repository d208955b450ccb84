//! `include` and its kin, file name patterns.

use std::fs;
use std::path::{Path, PathBuf};

use super::{File, Source, Written, place};
use crate::config::diagnostic::{Diagnostic, Level};

/// Includes within includes; deeper is a loop.
const DEEPEST: usize = 32;

/// What is wrong when an include finds less than it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checks {
    readable: bool,
    matched: bool,
    wildcard: bool,
    brace: bool,
}

impl Checks {
    pub(super) const fn all() -> Self {
        Self { readable: true, matched: true, wildcard: true, brace: true }
    }

    /// What a word of the include family checks; `None` when it is none of them.
    fn of(word: &str, plain: Self) -> Option<Self> {
        let none = Self::default();
        Some(match word {
            "include" => plain,
            "includer" => Self { readable: true, ..none },
            "includem" => Self { matched: true, ..none },
            "includew" => Self { wildcard: true, ..none },
            "includeb" => Self { brace: true, ..none },
            "includea" => Self::all(),
            _ => return None,
        })
    }

    /// `include_check [[+|-]readable|match|wildcard_match|brace_match …]`: nothing = all.
    fn set(self, words: &str) -> Result<Self, String> {
        if words.trim().is_empty() {
            return Ok(Self::all());
        }
        let signed = words.split_whitespace().any(|word| word.starts_with(['+', '-']));
        let mut checks = if signed { self } else { Self::default() };
        for word in words.split_whitespace() {
            let on = !word.starts_with('-');
            match word.trim_start_matches(['+', '-']) {
                "readable" => checks.readable = on,
                "match" => checks.matched = on,
                "wildcard_match" => checks.wildcard = on,
                "brace_match" => checks.brace = on,
                _ => return Err(word.to_owned()),
            }
        }
        Ok(checks)
    }
}

impl Source<'_, '_> {
    /// Carries an include out. False: the line is none.
    pub(super) fn include(&mut self, file: &File, written: &Written<'_>, text: &str) -> bool {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if word == "include_check" {
            match self.checks.set(rest) {
                Ok(checks) => self.checks = checks,
                Err(wrong) => {
                    let problem = format!("\"{wrong}\" is no value of include_check");
                    let fix = "write readable, match, wildcard_match or brace_match, with + or - in front or without";
                    self.warn(place(file, written), "bad-value", &problem, fix);
                }
            }
            return true;
        }
        let Some(checks) = Checks::of(word, self.checks) else { return false };
        let pattern = rest.trim().trim_matches('"');
        if pattern.is_empty() {
            self.findings(
                file,
                written,
                Level::Error,
                "missing-value",
                format!("\"{word}\" needs a value"),
                "write a file name",
            );
            return true;
        }
        if file.depth >= DEEPEST {
            let problem = "files include one another in a circle".to_owned();
            self.findings(file, written, Level::Error, "include-depth", problem, "remove one include");
            return true;
        }
        if self.options.no_includes {
            return true;
        }
        self.included(file, written, word, pattern, checks);
        true
    }

    fn included(&mut self, file: &File, written: &Written<'_>, word: &str, pattern: &str, checks: Checks) {
        let directory = file.name.parent().unwrap_or_else(|| Path::new(".")).to_owned();
        let alternatives = braces(pattern);
        let several = alternatives.len() > 1;
        let mut any = false;
        let mut paths = Vec::new();
        for alternative in alternatives {
            let found = matching(&directory.join(&alternative));
            let wild = is_pattern(&alternative);
            let missing = if wild { checks.wildcard } else { several && checks.brace };
            if found.is_empty() && missing {
                let problem = format!("{word} {pattern}: no file matches {alternative}");
                let fix = "mend the path; it is relative to the including file";
                self.findings(file, written, Level::Error, "include-missing", problem, fix);
                any = true;
            }
            any |= !found.is_empty();
            paths.extend(found);
        }
        if !any {
            // A plain include of a directory that is empty so far is fine (conf.d/*.conf).
            let level = if checks.matched { Level::Error } else { Level::Warning };
            let level = if is_pattern(pattern) && level == Level::Warning { Level::Advice } else { level };
            let problem = format!("{word} {pattern} names no file");
            let fix = "mend the path; it is relative to the including file";
            self.findings(file, written, level, "include-missing", problem, fix);
        }
        for path in paths {
            match fs::read(&path) {
                Ok(bytes) => self.file(&path, &bytes, file.depth + 1),
                Err(error) => {
                    let level = if checks.readable { Level::Error } else { Level::Warning };
                    let problem = format!("{} cannot be read: {error}", path.display());
                    self.findings(
                        file,
                        written,
                        level,
                        "include-unreadable",
                        problem,
                        "mend its permissions",
                    );
                }
            }
        }
    }

    fn findings(
        &mut self,
        file: &File,
        written: &Written<'_>,
        level: Level,
        code: &'static str,
        problem: String,
        fix: &str,
    ) {
        self.tree.findings.push(Diagnostic {
            level,
            place: Some(place(file, written)),
            code,
            problem,
            consequence: "nothing is included".to_owned(),
            fix: fix.to_owned(),
        });
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// `a{b,c}d` as `abd`, `acd`; groups within groups and several of them multiply.
fn braces(pattern: &str) -> Vec<String> {
    const MOST: usize = 1000;
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(text) = todo.pop() {
        // The innermost group first: the last `{` and the `}` behind it.
        let group = text.rfind('{').and_then(|open| {
            let close = open + text.get(open..)?.find('}')?;
            let inner = text.get(open + 1..close)?;
            Some((text.get(..open)?.to_owned(), inner.to_owned(), text.get(close + 1..)?.to_owned()))
        });
        match group {
            Some((before, inner, behind)) if done.len() + todo.len() < MOST => {
                todo.extend(inner.split(',').rev().map(|part| format!("{before}{part}{behind}")));
            }
            _ => done.push(text),
        }
    }
    done.dedup();
    done
}

/// Files that match a pattern with `*`, `?` and `[…]` in any part, in order of their names.
pub(in crate::config) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !is_pattern(&text) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for path in found {
            let base = if path.as_os_str().is_empty() { Path::new(".") } else { path.as_path() };
            let entries = fs::read_dir(base).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries.map(|e| e.file_name()).collect();
            names.sort();
            for name in names {
                let shown = name.to_string_lossy();
                let hidden = shown.starts_with('.') && !text.starts_with('.');
                if !hidden && glob(&text, &shown) {
                    next.push(path.join(&name));
                }
            }
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

/// Shell patterns of one path component. Linear in the text for each `*`, so that no pattern hangs.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let matched = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern, p, text.get(t).copied()),
            Some(c) => (Some(c) == text.get(t)).then_some(p + 1),
            None => None,
        };
        match (matched, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// `[abc]`, `[a-z]`, `[!a]` at a place of a pattern: where the pattern goes on when the character is in it.
fn class(pattern: &[char], at: usize, c: Option<char>) -> Option<usize> {
    let c = c?;
    let inner = pattern.get(at + 1..)?;
    let Some(end) = inner.iter().position(|c| *c == ']') else { return (c == '[').then_some(at + 1) };
    let set = inner.get(..end)?;
    let (negated, set) = match set.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, set),
    };
    let range = |w: &[char]| matches!(w, [from, '-', to] if (*from..=*to).contains(&c));
    let inside = set.contains(&c) || set.windows(3).any(range);
    (inside != negated).then_some(at + end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        assert!(glob("*.conf", "a.conf") && !glob("*.conf", "a.conf.bak"));
        assert!(glob("a?[0-9]", "ab7") && !glob("a?[!0-9]", "ab7"));
        assert!(glob("*a*b*", "xxaxxbxx") && !glob("*a*b*c", "xxaxxbxx") && glob("[", "["));
        // No pattern hangs.
        assert!(!glob(&"*a".repeat(200), &"a".repeat(150)));
    }

    #[test]
    fn braces_multiply() {
        assert_eq!(braces("a{b,c}d{e,f}"), ["abde", "acde", "abdf", "acdf"]);
        assert_eq!(braces("{a,{b,c}}.conf").len(), 4);
        assert_eq!(braces("plain"), ["plain"]);
    }

    #[test]
    fn include_check_reads_its_words() {
        let none = Checks::default();
        assert_eq!(none.set(""), Ok(Checks::all()));
        assert_eq!(Checks::all().set("-match"), Ok(Checks { matched: false, ..Checks::all() }));
        assert_eq!(Checks::all().set("readable"), Ok(Checks { readable: true, ..none }));
        assert!(none.set("nonsense").is_err());
    }
}
