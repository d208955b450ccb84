//! Each pair of files in tests/config/pair with exactly what `tandem check --pair` prints of it. `UPDATE_GOLDEN=1`
//! writes the expectations anew: read the difference before you commit it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tandem::config;
use tandem::config::model::Config;
use tandem::config::resolve::Facts;
use tandem::core::pair::compare;

fn check(files: &[&Path], more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["check", "--pair"])
        .args(more)
        .args(files)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<_> = fs::read_dir(root.join("tests/config/pair"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".a.conf"))
        .map(|a| a.strip_prefix(root).unwrap().to_owned())
        .map(|a| (PathBuf::from(a.to_str().unwrap().replace(".a.conf", ".b.conf")), a))
        .map(|(b, a)| (a, b))
        .collect();
    all.sort();
    all
}

#[test]
fn pairs_are_judged_word_by_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pairs = pairs();
    assert!(pairs.len() >= 5, "only {} pairs were found", pairs.len());
    for (a, b) in pairs {
        let output = check(&[&a, &b], &[]);
        let mut text = String::from_utf8(output.stdout).unwrap();
        text += &format!("exit status {}\n", output.status.code().unwrap());
        let expected = root.join(a.to_str().unwrap().replace(".a.conf", ".expected"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(text, wanted, "{} (UPDATE_GOLDEN=1 writes it anew)", a.display());
        for secret in ["far-too", "Another-"] {
            assert!(!text.contains(secret), "a password was printed");
        }
    }
}

#[test]
fn one_file_may_serve_both_directors() {
    let file = Path::new("tests/config/pair/one-file.conf");
    let output = check(&[file], &["--id-a", "left", "--id-b", "right"]);
    let mut text = String::from_utf8(output.stdout).unwrap();
    text += &format!("exit status {}\n", output.status.code().unwrap());
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/pair/one-file.expected");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&expected).unwrap_or_default(), "UPDATE_GOLDEN=1 writes it anew");
    // Each name counts for its own file only; -i is the name of both where nothing else is said.
    let twice = check(&[file, file], &["--id-a", "left", "--id-b", "right"]);
    assert_eq!(
        format!("{}exit status {}\n", String::from_utf8(twice.stdout).unwrap(), twice.status.code().unwrap()),
        text
    );
    let same = check(&[file, file], &["-i", "left"]);
    assert!(String::from_utf8(same.stdout).unwrap().contains("both have priority 150"));
    assert_eq!(check(&[file], &["--id-a", "left", "--id-b", "left"]).status.code(), Some(64));
}

#[test]
fn json_is_one_object_a_line_and_says_the_same() {
    for (a, b) in pairs() {
        let output = check(&[&a, &b], &["--format", "json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let rows = lines.iter().filter(|line| line["kind"] == "what-if").count();
        assert!(rows >= 7, "{}: {rows} situations", a.display());
        let worst = lines.iter().map(|line| match line["finding"]["level"].as_str() {
            Some("error") => 2,
            Some("warning") => 1,
            _ => 0,
        });
        assert_eq!(worst.max(), output.status.code(), "{}", a.display());
        assert!(!text.contains("far-too") && !text.contains("Another-"), "a password was printed");
    }
}

#[test]
fn the_examples_are_good_pairs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut checked = 0;
    for entry in fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        for form in ["conf", "yaml"] {
            let [a, b] = [1, 2].map(|n| folder.join(format!("director-{n}.{form}")));
            if !a.exists() {
                continue;
            }
            let output = check(&[&a, &b], &[]);
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(0), "{text}");
            assert!(text.contains("a good pair"), "{text}");
            // The two forms of one director are no pair: everything is equal.
            checked += 1;
        }
    }
    assert!(checked >= 11, "only {checked} examples were found");
}

#[test]
fn a_file_compared_with_itself_has_equal_priorities() {
    let file = Path::new("tests/config/pair/good.a.conf");
    let output = check(&[file, file], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("both have priority 150"), "{text}");
    assert_eq!(check(&[file, file], &["--strict"]).status.code(), Some(2));
}

#[test]
fn a_pair_is_two_readable_files() {
    let file = Path::new("tests/config/pair/good.a.conf");
    assert_eq!(check(&[file], &[]).status.code(), Some(64));
    assert_eq!(check(&[file, file, file], &[]).status.code(), Some(64));
    let missing = check(&[file, Path::new("tests/config/pair/missing.conf")], &[]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8(missing.stdout).unwrap().contains("cannot be read"));
}

/// Real files, when they are there (TANDEM_CORPUS names another folder).
fn corpus() -> Vec<Config> {
    let folder = std::env::var_os("TANDEM_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("SKIPPED: no corpus of configuration files in {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "conf"));
    files.sort();
    files.iter().map(|file| config::load(file, &Facts::of_the_text()).config).collect()
}

#[test]
fn any_two_files_can_be_compared_in_either_order() {
    let files = corpus();
    for pair in files.windows(2) {
        let count = |a, b| compare(a, b).findings.len();
        assert_eq!(count(&pair[0], &pair[1]), count(&pair[1], &pair[0]));
    }
}

#[test]
fn a_file_differs_from_itself_in_nothing() {
    let differences = [
        "pair-missing-instance",
        "pair-missing-service",
        "pair-real-server",
        "pair-service",
        "pair-addresses",
        "pair-prefix",
        "pair-order",
        "pair-vrid",
        "pair-name",
        "pair-version",
        "pair-advert-int",
        "pair-auth-type",
        "pair-password",
        "pair-transport",
        "pair-mcast-group",
        "pair-deaf",
        "pair-strict",
        "pair-state",
    ];
    for file in corpus() {
        let report = compare(&file, &file);
        assert_eq!(report.instances.len(), file.vrrp_instance.len());
        let wrong = report.findings.iter().find(|finding| differences.contains(&finding.code));
        assert!(wrong.is_none(), "{wrong:?}");
    }
}
