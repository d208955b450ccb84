//! Agreement with keepalived: what Debian's 2.2.7 said of real configuration files, and what we say. The corpus is read in
//! place when it is there (TANDEM_CORPUS names another folder). Prints one line a file, the totals, what is missing by kind,
//! and every disagreement with its explanation; one without an explanation fails the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "config_agreement/explained.rs"]
mod explained;
#[path = "config_agreement/kinds.rs"]
mod kinds;
#[path = "config_agreement/matching.rs"]
mod matching;
#[path = "config_agreement/report.rs"]
mod report;
#[path = "config_agreement/variants.rs"]
mod variants;
#[path = "config_agreement/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use report::{Report, Row, Run};
use tandem::config::diagnostic::Level;
use tandem::config::{self, resolve::Facts};
use variants::Bare;
use verdict::Verdict;

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("TANDEM_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    if folder.join("VERDICT.jsonl").is_file() {
        return Some(folder);
    }
    println!("SKIPPED: no corpus of configuration files with verdicts in {}", folder.display());
    None
}

/// The machine of a run: the interfaces that it had, and no `@id` of the corpus for its name.
fn facts(verdict: &Verdict, run: Run) -> Facts {
    let made = verdict.made.iter().filter(|_| run == Run::Full).cloned();
    let interfaces: BTreeSet<_> = made.chain(["lo".to_owned()]).collect();
    Facts { interfaces: Some(interfaces), config_id: Some("verdict".to_owned()), ..Facts::default() }
}

fn compare(run: Run) {
    let Some(folder) = corpus() else { return };
    let mut report = Report::new(run);
    let verdicts = verdict::verdicts(&folder);
    assert!(verdicts.len() > 200, "only {} verdicts", verdicts.len());
    for verdict in &verdicts {
        let path = folder.join(&verdict.file);
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let loaded = config::load(&path, &facts(verdict, run));
        let full = verdict::problems(&verdict.msgs_full, &text);
        let mut known = full.clone();
        let (rc, problems) = match run {
            Run::Full | Run::Variants => (verdict.rc_full, full),
            Run::Bare => {
                let mut bare = verdict::problems(&verdict.msgs_bare, &text);
                verdict::mark_host(&mut bare, &full);
                // Where an interface is missing, keepalived leaves out what it looks at last.
                known.extend(bare.iter().cloned());
                (verdict.rc_bare, bare)
            }
        };
        let fates = matching::fates(&problems, &loaded.diagnostics, &path, &text);
        let surplus = matching::extras(&known, &loaded.diagnostics, &path, &text);
        report.add(Row { file: &verdict.file, rc, problems, fates, loaded: &loaded, surplus });
    }
    finish(&report);
}

fn finish(report: &Report) {
    println!("{report}");
    let failures = report.failures();
    assert!(
        failures.is_empty(),
        "{} disagreements without explanation:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn with_every_interface_script_and_user() {
    compare(Run::Full);
}

#[test]
fn on_a_bare_machine() {
    compare(Run::Bare);
}

#[test]
fn small_files_with_one_mistake_each() {
    let names = ["lo", "eth0", "eth1", "eth2", "eth3"].map(str::to_owned);
    let facts = Facts { interfaces: Some(names.into()), ..Facts::default() };
    let mut report = Report::new(Run::Variants);
    let variants = variants::variants(include_str!("config_agreement/variants.txt"));
    assert!(variants.len() > 400, "only {} variants", variants.len());
    for variant in &variants {
        let path = Path::new("variant.conf");
        let loaded = config::load_text(path, variant.text.as_bytes(), &facts);
        let problems = verdict::problems(&variant.messages, &variant.text);
        let fates = matching::fates(&problems, &loaded.diagnostics, path, &variant.text);
        let surplus = matching::extras(&problems, &loaded.diagnostics, path, &variant.text);
        report.add(Row { file: &variant.name, rc: variant.rc, problems, fates, loaded: &loaded, surplus });
    }
    finish(&report);
}

#[test]
fn a_keyword_without_its_value_is_fatal_where_keepalived_says_so() {
    let all = variants::bare_keywords(include_str!("config_agreement/no_values.txt"));
    assert!(all.len() > 300, "only {} keywords", all.len());
    let mut failures = Vec::new();
    for bare in &all {
        let loaded = config::load_text(Path::new("bare.conf"), bare.text.as_bytes(), &Facts::default());
        let here: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|found| found.place.as_ref().is_some_and(|place| place.line == bare.line))
            .filter(|found| found.code != "not-acted-on")
            .collect();
        let error = here.iter().any(|found| found.level == Level::Error);
        let fatal = here.iter().any(|found| found.level == Level::Error && found.code == "missing-value");
        let agrees = match bare.verdict.as_str() {
            "fatal" => fatal,
            "reported" => !here.is_empty(),
            _ => !error,
        };
        let explained = explained::BARE.iter().any(|(words, _)| words.contains(&bare.keyword.as_str()));
        if !agrees && !explained {
            let ours: Vec<_> =
                here.iter().map(|found| format!("{}: {}", found.code, found.problem)).collect();
            let Bare { block, keyword, verdict, .. } = bare;
            failures
                .push(format!("{block}: {keyword} without a value: {verdict}; ours: {}", ours.join(" | ")));
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), all.len(), failures.join("\n"));
}
