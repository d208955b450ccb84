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
#[path = "config_agreement/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use report::{Report, Row, Run};
use tandem::config::{self, resolve::Facts};
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
            Run::Full => (verdict.rc_full, full),
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
