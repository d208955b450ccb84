//! The file with everything that it includes, `$NAME` replaced and `@id` lines chosen, as one list of statements.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};

use super::lexer::{self, Statement};

/// Includes within includes; deeper is a loop.
const DEEPEST: usize = 32;
const INCLUDES: [&str; 6] = ["include", "includer", "includem", "includew", "includeb", "includea"];

/// Reads statements.
pub(super) struct Source<'a> {
    /// `@id` lines of this id are kept.
    pub(super) config_id: Option<&'a str>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) findings: Vec<Diagnostic>,
    pub(super) statements: Vec<Statement>,
}

impl Source<'_> {
    /// Takes a file's bytes; includes are relative to its directory.
    pub(super) fn take(&mut self, name: &Path, bytes: &[u8], depth: usize) {
        let file = Arc::new(name.to_owned());
        let lines = lexer::lines(bytes, &file, &mut self.findings);
        let mut lines = lines.into_iter();
        while let Some((number, line)) = lines.next() {
            let Some(line) = self.chosen(&line) else { continue };
            let trimmed = line.trim_start();
            if let Some((variable, value)) = definition(trimmed) {
                let mut value = value.to_owned();
                // A trailing backslash goes on with the next line.
                while value.ends_with('\\') {
                    value.pop();
                    let Some((_, next)) = lines.next() else { break };
                    value.push('\n');
                    value.push_str(&next);
                }
                let value = self.replaced(&value);
                self.variables.insert(variable.to_owned(), value.trim().to_owned());
                continue;
            }
            let first = trimmed.split_whitespace().next().unwrap_or_default();
            if INCLUDES.contains(&first) {
                let pattern = trimmed[first.len()..].trim().trim_matches('"');
                self.include(name, pattern, first, &file, number, depth);
                continue;
            }
            if trimmed.contains("~SEQ") || trimmed.contains("~LST") {
                let place = Place { file: Arc::clone(&file), line: number, column: 0 };
                self.warn(
                    place,
                    "not-acted-on",
                    "~SEQ and ~LST are accepted, not acted on yet",
                    "write the lines out",
                );
                continue;
            }
            let line = self.replaced(&line);
            // A variable may hold several lines.
            for part in line.split('\n') {
                let found = lexer::statements(part, number, &file, &mut self.findings);
                self.statements.extend(found);
            }
        }
    }

    /// The line without its `@id` prefix, or nothing when it is for another director.
    fn chosen(&self, line: &str) -> Option<String> {
        let trimmed = line.trim_start();
        let Some(rest) = trimmed.strip_prefix('@') else { return Some(line.to_owned()) };
        let (id, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let keep = match id.strip_prefix('^') {
            Some(id) => self.config_id != Some(id),
            None => self.config_id == Some(id),
        };
        let indent = line.len() - text.len();
        keep.then(|| format!("{}{text}", " ".repeat(indent)))
    }

    /// `$NAME` before a blank, comma, parenthesis or the end, `${NAME}` anywhere; an unknown name stays as it is.
    fn replaced(&self, line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let (name, used) = match behind.strip_prefix('{') {
                Some(inner) => match inner.find('}') {
                    Some(end) => (&inner[..end], end + 3),
                    None => ("", 1),
                },
                None => {
                    let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                    let end = end.unwrap_or(behind.len());
                    let ends_well = behind[end..].chars().next().is_none_or(|c| " \t,)\n".contains(c));
                    (if ends_well { &behind[..end] } else { "" }, end + 1)
                }
            };
            match self.variables.get(name) {
                Some(value) => out.push_str(value),
                None if name == "_HASH" => out.push('#'),
                None if name == "_BANG" => out.push('!'),
                None if name == "_INSTANCE" => out.push_str(self.config_id.unwrap_or_default()),
                None => out.push_str(&rest[at..at + used]),
            }
            rest = &rest[at + used..];
        }
        out.push_str(rest);
        out
    }

    fn include(
        &mut self,
        from: &Path,
        pattern: &str,
        word: &str,
        file: &Arc<PathBuf>,
        line: u32,
        depth: usize,
    ) {
        let place = || Place { file: Arc::clone(file), line, column: 0 };
        if depth >= DEEPEST {
            self.warn(
                place(),
                "include-depth",
                "files include one another in a circle",
                "remove one include",
            );
            return;
        }
        let directory = from.parent().unwrap_or_else(|| Path::new("."));
        let paths = matching(&directory.join(pattern));
        if paths.is_empty() {
            let level = if matches!(word, "includem" | "includea") { Level::Error } else { Level::Warning };
            // A plain include of a directory that is empty so far is fine (conf.d/*.conf).
            if word != "include" || !pattern.contains(['*', '?', '[']) {
                self.findings.push(Diagnostic {
                    level,
                    place: Some(place()),
                    code: "include-missing",
                    problem: format!("{word} {pattern} names no file"),
                    consequence: "nothing is included".to_owned(),
                    fix: "mend the path; it is relative to the including file".to_owned(),
                });
            }
        }
        for path in paths {
            match fs::read(&path) {
                Ok(bytes) => self.take(&path, &bytes, depth + 1),
                Err(error) => {
                    let problem = format!("{} cannot be read: {error}", path.display());
                    self.warn(place(), "include-unreadable", &problem, "mend its permissions");
                }
            }
        }
    }

    fn warn(&mut self, place: Place, code: &'static str, problem: &str, fix: &str) {
        self.findings.push(Diagnostic {
            level: Level::Warning,
            place: Some(place),
            code,
            problem: problem.to_owned(),
            consequence: "the line is passed over".to_owned(),
            fix: fix.to_owned(),
        });
    }
}

/// `$NAME=value`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('$')?.split_once('=')?;
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    good.then_some((name, value))
}

/// Files that match a pattern with `*`, `?` and `[…]` in any part, in order of their names.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
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

/// Shell patterns of one path component.
fn glob(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let mut characters = text.chars();
    match first {
        '*' => (0..=text.len()).filter(|n| text.is_char_boundary(*n)).any(|n| glob(rest, &text[n..])),
        '?' => characters.next().is_some() && glob(rest, characters.as_str()),
        '[' => match rest.find(']') {
            Some(end) => {
                let set: Vec<char> = rest[..end].chars().collect();
                let Some(c) = characters.next() else { return false };
                let (negated, set) = match set.split_first() {
                    Some(('!' | '^', rest)) => (true, rest.to_vec()),
                    _ => (false, set),
                };
                let inside =
                    set.contains(&c) || set.windows(3).any(|w| w[1] == '-' && (w[0]..=w[2]).contains(&c));
                inside != negated && glob(&rest[end + 1..], characters.as_str())
            }
            None => characters.next() == Some('[') && glob(rest, characters.as_str()),
        },
        c => characters.next() == Some(c) && glob(rest, characters.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        assert!(glob("*.conf", "a.conf") && !glob("*.conf", "a.conf.bak"));
        assert!(glob("a?[0-9]", "ab7") && !glob("a?[!0-9]", "ab7"));
    }

    #[test]
    fn variables_and_ids() {
        let mut source = Source {
            config_id: Some("one"),
            variables: BTreeMap::new(),
            findings: Vec::new(),
            statements: Vec::new(),
        };
        let text = "$P=100\n@one priority $P\n@two priority 50\n@^two state ${P}X\nx $UNKNOWN";
        source.take(Path::new("t"), text.as_bytes(), 0);
        let lines: Vec<String> = source
            .statements
            .iter()
            .filter_map(|s| match s {
                Statement::Words { words, .. } => {
                    Some(words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "))
                }
                Statement::Open { .. } | Statement::Close { .. } => None,
            })
            .collect();
        assert_eq!(lines, ["priority 100", "state 100X", "x $UNKNOWN"]);
    }
}
