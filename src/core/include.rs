//! `--persist`: a change becomes a line of an include file. Everything else in the configuration stays as people wrote it.

use std::fs;
use std::path::{Path, PathBuf};

use super::kept::replace;
use super::overrides::{Said, decide_over, is_of, over};
use crate::config::model::{Config, OverrideKind, RealServerOverride, ServiceName};
use crate::config::overrides::apply;
use crate::config::resolve::Facts;
use crate::config::{self, is_yaml};
use crate::control::Failure;
use crate::control::routes::{Change, Order, ServerName};

/// Name of the file where nobody says otherwise, beside the configuration.
const NAME: &str = "overrides.conf";
/// What the file begins with.
const HEAD: &str = "\
# Real servers that are other than their blocks say: written by `tandem weight`, `drain`, `disable`, `enable`, `add` and
# `delete` with --persist. Lines may be edited or removed; comments are not kept. keepalived passes these lines over.
";

/// What will be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    pub(super) main: PathBuf,
    pub(super) file: PathBuf,
    /// All lines of the file.
    pub(super) lines: Vec<RealServerOverride>,
    /// Its line for this real server before.
    pub before: Option<RealServerOverride>,
    /// And then.
    pub after: Option<RealServerOverride>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persisted {
    /// The file.
    pub path: PathBuf,
    /// `None`: the configuration reads it; else the line to write.
    pub include: Option<String>,
}

/// The file that a configuration's overrides go into.
pub fn file_of(main: &Path, global: Option<&str>) -> PathBuf {
    // An absolute name replaces the folder.
    main.parent().unwrap_or_else(|| Path::new("")).join(global.unwrap_or(NAME))
}

/// What a change makes of the include file. `kept`: what commands have said of this real server so far.
///
/// # Errors
/// 409 for what the files do not allow.
pub fn plan(
    main: &Path,
    file: &Path,
    target: (&ServiceName, std::net::SocketAddr),
    kept: Option<&RealServerOverride>,
    change: &Change,
    said: &Said,
) -> Result<Planned, Failure> {
    let (service, server) = target;
    let (base, _) = on_disk(main, file)?;
    let read = lines(file)?;
    let mut lines = read.clone();
    let at = lines.iter().rposition(|one| is_of(one, service, server));
    let before = at.and_then(|at| lines.get(at)).cloned();
    // What was said so far becomes lasting, too; what enable takes back does not.
    let lasts = |kept: &&RealServerOverride| {
        let added = before.is_none() && matches!(kept.kind, OverrideKind::Add { .. });
        change.order != Order::Enable || added
    };
    if let Some(kept) = kept.filter(lasts) {
        // In its place: others were added like it, or before it.
        match (at, over(before.clone(), kept)) {
            (Some(at), Some(joined)) => {
                lines.iter_mut().skip(at).take(1).for_each(|line| line.clone_from(&joined));
            }
            (Some(_), None) => lines.retain(|one| !is_of(one, service, server)),
            (None, joined) => lines.extend(joined),
        }
    }
    let exact = Change {
        service: Some(service.clone()),
        server: ServerName::At(server),
        order: change.order.clone(),
        persist: true,
        pair: false,
        lasting: None,
    };
    let decided = decide_over(&base, &read, &lines, &exact, said).map_err(|mut failure| {
        failure.problem = format!("the files on the disk do not allow it: {}", failure.problem);
        failure
    })?;
    let after = decided.overrides.iter().find(|one| is_of(one, service, server)).cloned();
    if is_yaml(main) {
        let line =
            after.as_ref().map_or_else(|| "nothing: remove its line".to_owned(), |one| format!("- {one}"));
        let problem = format!("{} is YAML, which includes no files", main.display());
        let cure =
            format!("write under real_server_override in it: {line}; and give the command without --persist");
        return Err(Failure::new(409, "yaml", problem, cure));
    }
    Ok(Planned { main: main.to_owned(), file: file.to_owned(), lines: decided.overrides, before, after })
}

impl Planned {
    /// Writes it.
    ///
    /// # Errors
    /// 500 where the file cannot be written; nothing has changed then.
    pub fn write(&self) -> Result<Persisted, Failure> {
        let (main, file) = (self.main.as_path(), self.file.as_path());
        let mut text = HEAD.to_owned();
        for one in &self.lines {
            text.push_str(&format!("real_server_override {one}\n"));
        }
        replace(file, text.as_bytes(), 0o644).map_err(|error| {
            let problem = format!("{} cannot be written: {error}", file.display());
            Failure::new(500, "cannot-write", problem, "mend that, or name another file by override_file")
        })?;
        let included = self.lines.is_empty() || on_disk(main, file).is_ok_and(|(_, included)| included);
        let include = (!included).then(|| {
            let beside = file.parent() == main.parent();
            let name = file.file_name().filter(|_| beside).unwrap_or(file.as_os_str());
            format!("include {}", Path::new(name).display())
        });
        Ok(Persisted { path: file.to_owned(), include })
    }
}

/// The configuration as it stands on the disk, without what the include file says; and whether it reads that file.
fn on_disk(main: &Path, file: &Path) -> Result<(Config, bool), Failure> {
    let loaded = config::parse(main, &Facts::of_this_machine());
    if !loaded.readable {
        let problem = format!("{} cannot be read", main.display());
        return Err(Failure::new(409, "unreadable", problem, "mend it (tandem check says how)"));
    }
    let mut config = loaded.config;
    let all = std::mem::take(&mut config.real_server_override);
    let same = |path: &Path| match (fs::canonicalize(path), fs::canonicalize(file)) {
        (Ok(a), Ok(b)) => a == b,
        _ => path == file,
    };
    let origin = config.origin.clone();
    let from_file =
        |n: usize| origin.element("real_server_override", n).is_some_and(|place| same(place.file.as_path()));
    let mut included = false;
    let mut others = Vec::new();
    for (n, one) in all.into_iter().enumerate() {
        if from_file(n) {
            included = true;
        } else {
            others.push(one);
        }
    }
    apply(&mut config, &others);
    Ok((config, included))
}

/// The overrides of the include file. It may have nothing else: nobody's words are overwritten.
fn lines(file: &Path) -> Result<Vec<RealServerOverride>, Failure> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let loaded = config::parse(file, &Facts { no_includes: true, ..Facts::default() });
    let lines = loaded.config.real_server_override.clone();
    let only = Config { real_server_override: lines.clone(), ..Config::default() };
    if !loaded.readable || !loaded.diagnostics.is_empty() || loaded.config != only {
        let problem = format!("{} has other lines than real_server_override", file.display());
        let cure = "move them to another file, or name another one by override_file in global_defs";
        return Err(Failure::new(409, "not-ours", problem, cure));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
