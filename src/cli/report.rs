//! Findings for people: source line, caret, consequence, cure; in colour only on a terminal.

use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Loaded;
use crate::config::diagnostic::{Diagnostic, Level};

/// Exit status of a file's findings: 0 clean (advice aside), 1 warnings, 2 errors, 3 unreadable.
pub(super) fn exit_code(loaded: &Loaded, strict: bool) -> i32 {
    if !loaded.readable {
        return 3;
    }
    match loaded.diagnostics.iter().map(|d| d.level).max() {
        Some(Level::Error) => 2,
        Some(Level::Warning) if strict => 2,
        Some(Level::Warning) => 1,
        Some(Level::Advice) | None => 0,
    }
}

/// Colours of a terminal, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// In colour when standard output is a terminal and `NO_COLOR` is not set.
    pub(super) fn of_stdout() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()))
    }

    /// The same for standard error.
    pub(super) fn of_stderr() -> Self {
        Self(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()))
    }

    /// Never, for files.
    pub(super) const fn none() -> Self {
        Self(false)
    }

    fn level(self, level: Level) -> String {
        let (name, colour) = match level {
            Level::Advice => ("advice", "36"),
            Level::Warning => ("warning", "33"),
            Level::Error => ("error", "31"),
        };
        if self.0 { format!("\x1b[1;{colour}m{name}\x1b[0m") } else { name.to_owned() }
    }

    fn dim(self, text: &str) -> String {
        if self.0 { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The findings as JSON, one object a line.
pub(super) fn json(findings: &[Diagnostic]) -> String {
    findings.iter().filter_map(|d| serde_json::to_string(d).ok()).map(|line| line + "\n").collect()
}

/// One file's findings as text, each with its source line and a caret.
pub(super) fn findings(file: &Path, findings: &[Diagnostic], paint: Paint) -> String {
    let mut sources: BTreeMap<Arc<PathBuf>, Vec<String>> = BTreeMap::new();
    let mut text = String::new();
    for finding in findings {
        let place = finding.place.as_ref().map_or_else(|| file.display().to_string(), ToString::to_string);
        text += &format!("{place}: {}: {}\n", paint.level(finding.level), finding.problem);
        if let Some(place) = finding.place.as_ref().filter(|p| p.line > 0) {
            let lines = sources.entry(Arc::clone(&place.file)).or_insert_with(|| {
                let bytes = fs::read(place.file.as_path()).unwrap_or_default();
                String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
            });
            let line = usize::try_from(place.line - 1).ok().and_then(|n| lines.get(n));
            if let Some(line) = line {
                text += &paint.dim(&excerpt(line, place.line, place.column));
            }
        }
        if !finding.consequence.is_empty() {
            text += &format!("    what happens: {}\n", finding.consequence);
        }
        if !finding.fix.is_empty() {
            text += &format!("    what to write: {}\n", finding.fix);
        }
    }
    text
}

/// The findings, and a line that sums them up.
pub(super) fn with_summary(file: &Path, loaded: &Loaded, paint: Paint) -> String {
    let count = |level| loaded.diagnostics.iter().filter(|d| d.level == level).count();
    let mut text = findings(file, &loaded.diagnostics, paint);
    text += &format!(
        "{}: {} errors, {} warnings, {} advice; {} instances and {} virtual servers would run\n",
        file.display(),
        count(Level::Error),
        count(Level::Warning),
        count(Level::Advice),
        loaded.config.vrrp_instance.len(),
        loaded.config.virtual_server.len(),
    );
    text
}

/// True for a line that may hold a secret: it is never printed.
fn is_secret(line: &str) -> bool {
    ["pass", "auth_pa", "hex:", "secret"].iter().any(|word| line.contains(word))
        || line.trim_start().starts_with("key ")
}

/// The source line with a caret under the word. Passwords are not shown.
fn excerpt(line: &str, number: u32, column: u32) -> String {
    let line = line.trim_end_matches('\r').replace('\t', " ");
    if is_secret(&line) {
        return format!("{number:>5} | (a line with a password is not shown)\n");
    }
    // A terminal must not be steered by what a file holds.
    let line: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let blanks = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let (line, blanks) = around(&line, blanks);
    let mut text = format!("{number:>5} | {line}\n");
    if column > 0 {
        let width = line.chars().skip(blanks).take_while(|c| !c.is_whitespace()).count().max(1);
        text += &format!("      | {}{}\n", " ".repeat(blanks), "^".repeat(width));
    }
    text
}

/// A very long line, cut around the place.
fn around(line: &str, blanks: usize) -> (String, usize) {
    const WIDEST: usize = 160;
    if line.chars().count() <= WIDEST {
        return (line.to_owned(), blanks);
    }
    let from = blanks.saturating_sub(WIDEST / 2);
    let part: String = line.chars().skip(from).take(WIDEST).collect();
    (part, blanks - from)
}
