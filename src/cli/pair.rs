//! `tandem check --pair A B`: what two directors will do together, as text for people or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};
use crate::core::pair::election::{After, Holder, Outcome, Status};
use crate::core::pair::situation::{Condition, Row, Watched};
use crate::core::pair::{PairReport, PairedInstance, Who, compare};

/// A file, and how `tandem check` is told of it.
struct Name {
    shown: String,
    arguments: String,
}

/// Prints what was found; `ids` says which `@id` lines of either file are meant. Returns the exit code of
/// `tandem check`.
pub(super) fn run(files: &[PathBuf], ids: [Option<String>; 2], strict: bool, format: &str) -> i32 {
    let [a, b] = match (files, &ids) {
        ([a, b], _) => [a, b],
        // One file of both directors, with @id lines.
        ([one], [Some(a), Some(b)]) if a != b => [one, one],
        (files, _) => {
            // As clap does it for a command line that it refuses itself.
            eprintln!(
                "error: --pair compares two files (or one with two names, --id-a and --id-b), {} were given",
                files.len()
            );
            return 64;
        }
    };
    let side = |file: &PathBuf, id: &Option<String>| {
        // One of the two files at least is another machine's: its interfaces and scripts are not here.
        let mut facts = Facts::of_the_text();
        if id.is_some() {
            facts.config_id.clone_from(id);
        }
        let file_name = file.display();
        let name = match id {
            Some(id) => {
                Name { shown: format!("{file_name} (@{id})"), arguments: format!("-i {id} {file_name}") }
            }
            None => Name { shown: file_name.to_string(), arguments: file_name.to_string() },
        };
        (config::load(file, &facts), name)
    };
    let [(loaded_a, name_a), (loaded_b, name_b)] = [side(a, &ids[0]), side(b, &ids[1])];
    let (loaded, names) = ([loaded_a, loaded_b], [name_a, name_b]);
    let report = compare(&loaded[0].config, &loaded[1].config);
    let readable = loaded.iter().all(|one| one.readable);
    let text = match (format == "json", readable) {
        (true, _) => as_json(&loaded, readable.then_some(&report)),
        (false, true) => as_text(&names, &loaded, &report),
        (false, false) => files_text(&names, &loaded),
    };
    // A closed pipe (head) is no reason to complain; the exit code still tells.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    if !readable {
        return 3;
    }
    let of_files = loaded.iter().flat_map(|one| &one.diagnostics).map(|finding| finding.level).max();
    match of_files.max(report.worst()) {
        Some(Level::Error) => 2,
        Some(Level::Warning) if strict => 2,
        Some(Level::Warning) => 1,
        Some(Level::Advice) | None => 0,
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Advice => "advice",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// `2 errors, 1 warning`.
fn tally(findings: &[Diagnostic]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let s = |n: usize| if n == 1 { "" } else { "s" };
    let (errors, warnings, advice) = (count(Level::Error), count(Level::Warning), count(Level::Advice));
    format!("{errors} error{}, {warnings} warning{}, {advice} advice", s(errors), s(warnings))
}

/// Which file is which, and what is wrong with each by itself.
fn files_text(names: &[Name; 2], loaded: &[Loaded; 2]) -> String {
    let mut text = String::new();
    for (who, (Name { shown, arguments }, loaded)) in Who::BOTH.iter().zip(names.iter().zip(loaded)) {
        let worst = loaded.diagnostics.iter().map(|finding| finding.level).max();
        let own = match worst {
            None | Some(Level::Advice) => String::new(),
            Some(_) if !loaded.readable => format!(": {}", tally(&loaded.diagnostics)),
            Some(_) => format!(": {} of its own, see tandem check {arguments}", tally(&loaded.diagnostics)),
        };
        let _ = writeln!(text, "{who} is {shown}{own}");
        if !loaded.readable {
            for finding in &loaded.diagnostics {
                let _ = writeln!(text, "  {finding}");
            }
        }
    }
    text
}

fn as_text(names: &[Name; 2], loaded: &[Loaded; 2], report: &PairReport) -> String {
    let mut text = files_text(names, loaded);
    for finding in &report.findings {
        let _ = writeln!(text, "\n{}: {}", word(finding.level), finding.problem);
        if !finding.consequence.is_empty() {
            let _ = writeln!(text, "    what happens: {}", finding.consequence);
        }
        if !finding.fix.is_empty() {
            let _ = writeln!(text, "    what to write: {}", finding.fix);
        }
    }
    for instance in &report.instances {
        let _ = write!(text, "\n{}", instance_text(instance));
    }
    let _ = writeln!(text, "\n{}", verdict(report));
    text
}

/// The last line: may this pair be deployed.
fn verdict(report: &PairReport) -> String {
    let lives = |who| -> Option<String> {
        let names: Vec<&str> =
            report.at_home(who).iter().map(|one| one.names[0].as_str()).collect::<Vec<_>>();
        let live = if names.len() == 1 { "lives" } else { "live" };
        (!names.is_empty()).then(|| format!("{} {live} on {who}", names.join(", ")))
    };
    let mut parts = Vec::new();
    match (lives(Who::A), lives(Who::B)) {
        (Some(a), Some(b)) => parts.push(format!("dual master: {a}, {b}")),
        (Some(one), None) | (None, Some(one)) => parts.push(one),
        (None, None) => {}
    }
    let slowest = report
        .instances
        .iter()
        .flat_map(|instance| &instance.table)
        .filter(|row| [&row.situation.a, &row.situation.b].contains(&&Condition::Dead))
        .map(|row| row.outcome.after.time())
        .max();
    if let Some(slowest) = slowest.filter(|time| !time.is_zero()) {
        parts.push(format!("a dead master is replaced within {:.2} s", slowest.as_secs_f64()));
    }
    if report.services > 0 {
        let s = if report.services == 1 { "" } else { "s" };
        parts.push(format!("{} virtual server{s} on both", report.services));
    }
    parts.push(tally(&report.findings));
    let judgement = match report.worst() {
        Some(Level::Error) => "not fit to deploy",
        Some(Level::Warning) => "works, with surprises",
        Some(Level::Advice) | None => "a good pair",
    };
    format!("{judgement}: {}", parts.join("; "))
}

fn instance_text(instance: &PairedInstance) -> String {
    let addresses: Vec<String> = match instance.addresses.as_slice() {
        many if many.len() > 4 => {
            many[..3].iter().map(ToString::to_string).chain([format!("{} more", many.len() - 3)]).collect()
        }
        few => few.iter().map(ToString::to_string).collect(),
    };
    let mut text = format!("{}: {}\n", instance.title, addresses.join(", "));
    if !matches!(instance.home, Holder::One(_) | Holder::Either) {
        let _ = writeln!(text, "  {}; no table until that is mended", holder(instance.home));
        return text;
    }
    let rows: Vec<[String; 6]> =
        instance.table.iter().filter(|row| !row.routine).map(|row| cells(instance, row)).collect();
    let head = ["situation", "A", "B", "master", "after", "when it is over"].map(str::to_owned);
    let mut widths = [0; 6];
    for row in std::iter::once(&head).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&head).chain(&rows) {
        let line: String = row.iter().zip(widths).map(|(cell, width)| format!("  {cell:width$}")).collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let hidden = instance.table.len() - rows.len();
    if hidden > 0 {
        let backup = match instance.home {
            Holder::One(home) => home.other().to_string(),
            Holder::Both | Holder::Nobody | Holder::Either => "the backup".to_owned(),
        };
        let s = if hidden == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "  {hidden} failure{s} of {backup} alone move{} nothing",
            if hidden == 1 { "s" } else { "" }
        );
    }
    text
}

fn holder(holder: Holder) -> String {
    match holder {
        Holder::One(who) => who.to_string(),
        Holder::Both => "BOTH are master".to_owned(),
        Holder::Nobody => "NOBODY is master".to_owned(),
        Holder::Either => "A or B".to_owned(),
    }
}

/// The columns of one line.
fn cells(instance: &PairedInstance, row: &Row) -> [String; 6] {
    let [a, b] = row.standing.each_ref().map(|standing| standing.arithmetic.clone());
    let master = match (row.outcome.held_back, row.outcome.holder) {
        (Some(who), one) => format!("{} ({who}: nopreempt)", holder(one)),
        (None, one) if row.kept_by.is_some() => format!("{} (its group stays)", holder(one)),
        (None, Holder::Both) => "BOTH".to_owned(),
        (None, Holder::Nobody) => "NOBODY".to_owned(),
        (None, one) => holder(one),
    };
    let back = row.back.map_or_else(String::new, |back| back_text(instance, row, &back));
    let time = match row.outcome.holder {
        Holder::Nobody => "at once".to_owned(),
        Holder::One(_) | Holder::Both | Holder::Either => time_text(row.outcome.after, row.back.is_none()),
    };
    [question(row), a, b, master, time, back]
}

fn time_text(after: After, start: bool) -> String {
    let secs = after.time().as_secs_f64();
    match after {
        After::Stays => "no change".to_owned(),
        After::AtOnce => "at once (owner)".to_owned(),
        After::Skew(_) => format!("{secs:.2} s (priority 0)"),
        After::MasterDown(_) if start => format!("{secs:.2} s (start)"),
        After::MasterDown(_) => format!("{secs:.2} s (silence)"),
        After::Delayed { .. } => format!("{secs:.2} s at most (preempt_delay)"),
        After::NextAdvert(_) => format!("{secs:.2} s (next advert)"),
    }
}

/// Who has the addresses when the failure is over.
fn back_text(instance: &PairedInstance, row: &Row, back: &Outcome) -> String {
    let unchanged = back.holder == row.outcome.holder;
    match back.holder {
        Holder::One(who) if unchanged && instance.home != Holder::One(who) => match back.held_back {
            Some(_) => format!("stays on {who} (nopreempt)"),
            None => format!("stays on {who}"),
        },
        _ if unchanged => String::new(),
        Holder::One(who) => match back.after {
            After::Delayed { .. } => {
                format!("{who} after {:.2} s at most (preempt_delay)", back.after.time().as_secs_f64())
            }
            after => format!("{who} after {:.2} s", after.time().as_secs_f64()),
        },
        other => holder(other),
    }
}

fn question(row: &Row) -> String {
    match (&row.situation.a, &row.situation.b) {
        (Condition::Healthy, Condition::Healthy) => "both healthy".to_owned(),
        (Condition::Failing(x), Condition::Failing(y)) if all(x) == all(y) => format!("{} on both", all(x)),
        (Condition::Healthy, condition) => alone(Who::B, condition),
        (condition, Condition::Healthy) => alone(Who::A, condition),
        (x, y) => format!("{}; {}", alone(Who::A, x), alone(Who::B, y)),
    }
}

fn alone(who: Who, condition: &Condition) -> String {
    match condition {
        Condition::Healthy => format!("{who} healthy"),
        Condition::Stopped => format!("{who} stops (SIGTERM)"),
        Condition::Dead => format!("{who} dies (kill, power)"),
        Condition::Failing(watched) if watched.len() > 1 => format!("{who}: all {} trackers", watched.len()),
        Condition::Failing(watched) => format!("{who}: {}", all(watched)),
    }
}

fn all(watched: &[Watched]) -> String {
    watched.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// One object a line: the findings of both files, those of the pair, then each line of each table.
fn as_json(loaded: &[Loaded; 2], report: Option<&PairReport>) -> String {
    let mut lines: Vec<Value> = Vec::new();
    for (who, one) in Who::BOTH.iter().zip(loaded) {
        lines.extend(
            one.diagnostics
                .iter()
                .map(|finding| json!({ "kind": "file", "director": who.to_string(), "finding": finding })),
        );
    }
    if let Some(report) = report {
        lines.extend(report.findings.iter().map(|finding| json!({ "kind": "pair", "finding": finding })));
        for instance in &report.instances {
            lines.extend(instance.table.iter().map(|row| row_json(instance, row)));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn row_json(instance: &PairedInstance, row: &Row) -> Value {
    let end = |outcome: &Outcome| {
        json!({
            "master": match outcome.holder {
                Holder::One(who) => who.to_string(),
                Holder::Both => "both".to_owned(),
                Holder::Nobody => "nobody".to_owned(),
                Holder::Either => "either".to_owned(),
            },
            "after_seconds": outcome.after.time().as_secs_f64(),
            "by": match outcome.after {
                After::Stays => "no-change",
                After::AtOnce => "owner",
                After::Skew(_) => "priority-0",
                After::MasterDown(_) => "master-down-timer",
                After::Delayed { .. } => "preempt-delay",
                After::NextAdvert(_) => "next-advert",
            },
            "held_back_by_nopreempt": outcome.held_back.map(|who| who.to_string()),
        })
    };
    let router = |who: usize| {
        let standing = &row.standing[who];
        match &standing.status {
            Status::Runs(priority) => json!({ "priority": priority, "arithmetic": standing.arithmetic }),
            Status::Fault(reason) => json!({ "fault": reason }),
            Status::Stopped => json!({ "stopped": true }),
            Status::Dead => json!({ "dead": true }),
        }
    };
    json!({
        "kind": "what-if",
        "vrid": instance.vrid,
        "names": instance.names,
        "situation": question(row),
        "a": router(0),
        "b": router(1),
        "then": end(&row.outcome),
        "kept_by_group_member": row.kept_by,
        "when_over": row.back.as_ref().map(end),
    })
}
