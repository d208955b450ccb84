//! Text to model: the only folder that knows file syntax. Two front ends (keepalived.conf, YAML) end in one
//! [`model::Config`]; [`resolve`] checks it across objects. All mistakes are reported at once, each with its place,
//! what happens, and what to write.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub mod diagnostic;
pub mod facts;
mod keepalived;
pub mod model;
pub mod resolve;
mod suggest;
pub mod text;
pub mod units;
pub mod yaml;

use diagnostic::{Diagnostic, Level, Place};
use model::Config;
use resolve::Facts;

/// A file as far as it could be understood.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What runs.
    pub config: Config,
    /// What is wrong with the file, in its order.
    pub diagnostics: Vec<Diagnostic>,
    /// False when there is no such file, or it cannot be read, or it is YAML and was refused as a whole.
    pub readable: bool,
}

/// Reads a file: YAML when its name ends in `.yaml` or `.yml`, keepalived.conf otherwise.
pub fn load(path: &Path, facts: &Facts) -> Loaded {
    match fs::read(path) {
        Ok(bytes) => load_text(path, &bytes, facts),
        Err(error) => {
            let finding = Diagnostic {
                level: Level::Error,
                place: Some(Place { file: Arc::new(path.to_owned()), line: 0, column: 0 }),
                code: "unreadable",
                problem: format!("the file cannot be read: {error}"),
                consequence: "there is nothing to run".to_owned(),
                fix: "mend its path or its permissions".to_owned(),
            };
            Loaded { config: Config::default(), diagnostics: vec![finding], readable: false }
        }
    }
}

/// Reads a file's bytes; `name` is for messages, the choice of the form, and includes.
pub fn load_text(name: &Path, bytes: &[u8], facts: &Facts) -> Loaded {
    let yaml = name.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let (config, mut diagnostics) = if yaml {
        match yaml::parse(name, &String::from_utf8_lossy(bytes)) {
            Ok(config) => (config, Vec::new()),
            Err(finding) => {
                return Loaded { config: Config::default(), diagnostics: vec![finding], readable: false };
            }
        }
    } else {
        keepalived::parse(name, bytes, facts.config_id.as_deref())
    };
    let (config, more) = resolve::resolve(config, facts);
    diagnostics.extend(more.into_iter().map(|mut finding| {
        let whole = || Place { file: Arc::new(PathBuf::from(name)), line: 0, column: 0 };
        finding.place.get_or_insert_with(whole);
        finding
    }));
    // By place, the order of the file; findings of one place stay as they were made.
    diagnostics.sort_by(|a, b| a.place.cmp(&b.place));
    Loaded { config, diagnostics, readable: true }
}
