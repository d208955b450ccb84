//! The YAML form of the same model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Level, Place};
use super::model::Config;
use super::suggest::closest;
use super::{keepalived, marks};

/// Reads YAML. Unlike keepalived.conf it is understood as a whole or refused as a whole.
pub(super) fn parse(name: &Path, text: &str) -> Result<Config, Diagnostic> {
    // A file of comments only is an empty configuration.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Config::default());
    }
    let file = Arc::new(PathBuf::from(name));
    let read = serde_yaml::from_str(text).map(|mut config| {
        if let Some(root) = marks::read(text) {
            keepalived::locate(&mut config, &root, &file);
        }
        config
    });
    read.map_err(|error| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (line, column) = error.location().map_or((0, 0), |at| (number(at.line()), number(at.column())));
        // The place stands in front already.
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        let (problem, fix) = explained(problem);
        Diagnostic {
            level: Level::Error,
            place: Some(Place { file: Arc::clone(&file), line, column }),
            code: "yaml",
            problem,
            consequence: "the whole file is refused".to_owned(),
            fix,
        }
    })
}

/// An unknown word gets the nearest known one rather than a list of sixty.
fn explained(problem: &str) -> (String, String) {
    let Some((what, list)) = problem.split_once(", expected one of ") else {
        return (problem.to_owned(), String::new());
    };
    let word = what.rsplit('`').nth(1).unwrap_or_default();
    let known: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let fix = match closest(word, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write one of {}", known.join(", ")),
    };
    (what.to_owned(), fix)
}

/// Writes the model as YAML; what the file leaves to its default is left out.
///
/// # Errors
/// Only when the serializer fails, which no model makes it do.
pub fn to_yaml(config: &Config) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(config)
}
