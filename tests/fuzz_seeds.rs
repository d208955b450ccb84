//! The seeds of the fuzz targets, and every input that a target ever failed on, through the same checks in every run
//! of the tests. `FUZZ_INPUT=file` with `FUZZ_TARGET=name` replays one input.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of a folder, in order; none when there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Runs a target's checks over files; returns the names of those that fail.
fn failing(target: &str, files: &[PathBuf]) -> Vec<String> {
    let fails = |path: &&PathBuf| {
        let bytes = fs::read(path).unwrap();
        std::panic::catch_unwind(|| checks::run(target, &bytes)).is_err()
    };
    files.iter().filter(fails).map(|path| format!("{target}: {}", path.display())).collect()
}

#[test]
fn every_seed_and_every_old_crash_holds() {
    if let Some(input) = std::env::var_os("FUZZ_INPUT") {
        let target = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names one of the targets");
        checks::run(&target, &fs::read(input).unwrap());
        return;
    }
    let mut failures = Vec::new();
    for target in checks::TARGETS {
        let seeds = files(&root().join("fuzz/seeds").join(target));
        assert!(!seeds.is_empty(), "no seeds for {target}");
        failures.extend(failing(target, &seeds));
        failures.extend(failing(target, &files(&root().join("fuzz/crashes").join(target))));
    }
    assert!(failures.is_empty(), "the checks fail (above) on {failures:#?}");
}

#[test]
fn the_seeds_of_the_keepalived_target_hold_for_the_lexer_too() {
    let seeds = files(&root().join("fuzz/seeds/keepalived"));
    let failures = failing("lexer", &seeds);
    assert!(failures.is_empty(), "the checks fail (above) on {failures:#?}");
}

#[test]
fn the_shipped_files_hold() {
    let mut all = files(&root().join("tests/config/bad"));
    for example in fs::read_dir(root().join("config/examples")).unwrap() {
        all.extend(files(&example.unwrap().path()));
    }
    let of = |ending: &str| -> Vec<_> {
        all.iter().filter(|path| path.extension().is_some_and(|e| e == ending)).cloned().collect()
    };
    let (conf, yaml) = (of("conf"), of("yaml"));
    assert!(conf.len() > 20 && yaml.len() > 20, "{} and {} files", conf.len(), yaml.len());
    let mut failures = failing("keepalived", &conf);
    failures.extend(failing("lexer", &conf));
    failures.extend(failing("yaml", &yaml));
    assert!(failures.is_empty(), "the checks fail (above) on {failures:#?}");
}
