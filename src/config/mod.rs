//! Text to model: the only folder that knows file syntax. Two front ends (keepalived.conf, YAML) end in one
//! [`model::Config`]; [`resolve`] checks it across objects. All mistakes are reported at once, each with its place,
//! what happens, and what to write.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub mod diagnostic;
pub mod facts;
pub mod fwmarks;
mod keepalived;
mod marks;
pub mod model;
pub mod names;
pub mod overrides;
pub mod rereader;
pub mod resolve;
pub mod schema;
pub(crate) mod suggest;
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

/// True when a file of that name is read as YAML.
pub fn is_yaml(name: &Path) -> bool {
    name.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// Reads a file: YAML when its name ends in `.yaml` or `.yml`, keepalived.conf otherwise.
///
/// The name may be a pattern, as under keepalived: then all files that match are read, in the order of their names.
pub fn load(path: &Path, facts: &Facts) -> Loaded {
    match whole(path) {
        Ok(bytes) => load_text(path, &bytes, facts),
        Err(error) => unreadable(path, &error),
    }
}

/// A file's bytes; for a pattern, the includes of what it matches.
fn whole(path: &Path) -> std::io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_yaml(path) => {
            let found = keepalived::matching(path);
            if found.is_empty() {
                return Err(error);
            }
            let name = |path: &PathBuf| Some(format!("include {}\n", path.file_name()?.to_str()?));
            Ok(found.iter().filter_map(name).collect::<String>().into_bytes())
        }
        other => other,
    }
}

/// Reads a file's bytes; `name` is for messages, the choice of the form, and includes.
pub fn load_text(name: &Path, bytes: &[u8], facts: &Facts) -> Loaded {
    let loaded = parse_text(name, bytes, facts);
    if loaded.readable { resolved(name, loaded, facts) } else { loaded }
}

/// Checks what was read across its objects.
fn resolved(name: &Path, mut loaded: Loaded, facts: &Facts) -> Loaded {
    let (config, more) = resolve::resolve(loaded.config, facts);
    loaded.config = config;
    loaded.diagnostics.extend(more);
    in_order(name, &mut loaded.diagnostics);
    loaded
}

/// Reads a file as it is written: nothing is dropped or mended for the sake of other objects or of this machine.
pub fn parse(path: &Path, facts: &Facts) -> Loaded {
    match whole(path) {
        Ok(bytes) => parse_bytes(path, &bytes, facts),
        Err(error) => unreadable(path, &error),
    }
}

/// The same for a file's bytes; `name` is for messages, the choice of the form, and includes.
pub fn parse_bytes(name: &Path, bytes: &[u8], facts: &Facts) -> Loaded {
    let mut loaded = parse_text(name, bytes, facts);
    in_order(name, &mut loaded.diagnostics);
    loaded
}

fn parse_text(name: &Path, bytes: &[u8], facts: &Facts) -> Loaded {
    if is_yaml(name) {
        return match yaml::parse(name, &String::from_utf8_lossy(bytes)) {
            Ok(config) => Loaded { config, diagnostics: Vec::new(), readable: true },
            Err(mut finding) => {
                finding.make_printable();
                Loaded { config: Config::default(), diagnostics: vec![finding], readable: false }
            }
        };
    }
    let (config, diagnostics) = keepalived::parse(name, bytes, &facts.read_options());
    Loaded { config, diagnostics, readable: true }
}

/// By place, the order of the file; findings of one place stay as they were made.
fn in_order(name: &Path, findings: &mut [Diagnostic]) {
    for finding in findings.iter_mut() {
        let whole = || Place { file: Arc::new(PathBuf::from(name)), line: 0, column: 0 };
        finding.place.get_or_insert_with(whole);
        finding.make_printable();
    }
    findings.sort_by(|a, b| a.place.cmp(&b.place));
}

fn unreadable(path: &Path, error: &std::io::Error) -> Loaded {
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

/// Writes a model as keepalived.conf.
///
/// # Errors
/// What keepalived.conf has no way to say, one sentence each.
pub fn to_conf(config: &Config) -> Result<String, Vec<String>> {
    keepalived::write(config)
}

/// One word of keepalived.conf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The block that it stands in; `the file` for the outermost level.
    pub block: &'static str,
    /// The word.
    pub word: &'static str,
    /// What stands behind it; empty = nothing.
    pub arguments: String,
    /// False when the daemon does not act on it yet.
    pub acted_on: bool,
    /// Name of the model's type that it is part of, as the JSON Schema names it (`Config` for the whole).
    pub type_name: &'static str,
    /// The field there, with dots where it lies deeper; empty = the word is no single field.
    pub field: &'static str,
}

/// Every word that is understood, block by block.
pub fn words() -> Vec<Word> {
    keepalived::tables()
        .into_iter()
        .map(|entry| Word {
            block: entry.block,
            word: entry.word,
            arguments: entry.says,
            acted_on: entry.acted != keepalived::Acted::NotYet,
            type_name: entry.type_name,
            field: entry.field,
        })
        .collect()
}
