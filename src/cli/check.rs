//! `tandem check`: every problem of a file, with its place, consequence and cure.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};

/// Words of `tandem check`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit status: 0 clean (advice aside), 1 warnings, 2 errors, 3 a file cannot be read, 64 wrong \
                        command line. With several files the worst one counts."
)]
pub struct Args {
    /// Files to check; YAML when the name ends in .yaml or .yml.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Judge the text alone: do not look for its interfaces, scripts and users on this machine.
    #[arg(long)]
    text_only: bool,
    /// text for people, json for editors and CI (one object a finding, one a line).
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// Prints all problems of all files; returns the exit code (see the help text).
pub fn run(args: &Args) -> i32 {
    let facts = if args.text_only { Facts::of_the_text() } else { Facts::of_this_machine() };
    let mut out = io::stdout().lock();
    let mut worst = 0;
    for file in &args.files {
        let loaded = config::load(file, &facts);
        worst = worst.max(exit_code(&loaded, args.strict));
        let text = if args.format == "json" { json(&loaded.diagnostics) } else { report(file, &loaded) };
        // A closed pipe (head) is no reason to complain; the exit code still tells.
        let _ = out.write_all(text.as_bytes());
    }
    worst
}

fn exit_code(loaded: &Loaded, strict: bool) -> i32 {
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

/// One finding a line, for programs.
pub(super) fn json(findings: &[Diagnostic]) -> String {
    findings.iter().filter_map(|d| serde_json::to_string(d).ok()).map(|line| line + "\n").collect()
}

/// One file's findings as text, each with its source line and a caret.
pub(super) fn report(file: &Path, loaded: &Loaded) -> String {
    let mut sources: BTreeMap<Arc<PathBuf>, Vec<String>> = BTreeMap::new();
    let mut text = String::new();
    for finding in &loaded.diagnostics {
        let level = match finding.level {
            Level::Advice => "advice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let place = finding.place.as_ref().map_or_else(|| file.display().to_string(), ToString::to_string);
        text += &format!("{place}: {level}: {}\n", finding.problem);
        if let Some(place) = finding.place.as_ref().filter(|p| p.line > 0) {
            let lines = sources.entry(Arc::clone(&place.file)).or_insert_with(|| {
                let bytes = fs::read(place.file.as_path()).unwrap_or_default();
                String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
            });
            let line = usize::try_from(place.line - 1).ok().and_then(|n| lines.get(n));
            if let Some(line) = line {
                text += &excerpt(line, place.line, place.column);
            }
        }
        if !finding.consequence.is_empty() {
            text += &format!("    what happens: {}\n", finding.consequence);
        }
        if !finding.fix.is_empty() {
            text += &format!("    what to write: {}\n", finding.fix);
        }
    }
    let count = |level| loaded.diagnostics.iter().filter(|d| d.level == level).count();
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

/// The source line with a caret under the word. Passwords are not shown.
fn excerpt(line: &str, number: u32, column: u32) -> String {
    let line = line.trim_end_matches('\r').replace('\t', " ");
    let trimmed = line.trim_start();
    if trimmed.contains("auth_pass") {
        return format!("{number:>5} | (a line with a password is not shown)\n");
    }
    let mut text = format!("{number:>5} | {line}\n");
    if column > 0 {
        let blanks = usize::try_from(column - 1).unwrap_or(0);
        let width = line.chars().skip(blanks).take_while(|c| !c.is_whitespace()).count().max(1);
        text += &format!("      | {}{}\n", " ".repeat(blanks), "^".repeat(width));
    }
    text
}
