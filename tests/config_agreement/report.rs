//! The table, the totals, the disagreements.

use std::collections::BTreeMap;
use std::fmt;

use tandem::config::Loaded;
use tandem::config::diagnostic::{Diagnostic, Level};

use super::explained::{EXTRA, FATAL, NOT_REPORTED, REFUSED, STOPPED};
use super::kinds::Kind;
use super::matching::Fate;
use super::verdict::Problem;

/// Which of the recorded runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// On a machine with all that the file names.
    Full,
    /// On a machine with `lo` only.
    Bare,
    /// Small files of our own, on a machine with eth0 to eth3.
    Variants,
}

/// One file.
pub(crate) struct Row<'a> {
    pub(crate) file: &'a str,
    pub(crate) rc: i32,
    pub(crate) problems: Vec<Problem>,
    pub(crate) fates: Vec<Fate>,
    pub(crate) loaded: &'a Loaded,
    /// Our errors and warnings that keepalived has no message for.
    pub(crate) surplus: Vec<&'a Diagnostic>,
}

/// A line of the table.
struct Line {
    file: String,
    rc: i32,
    ours: &'static str,
    problems: usize,
    reported: usize,
    follow: usize,
    not_compared: usize,
    explained: usize,
    missing: usize,
    extra: usize,
}

/// All files of one run.
pub(crate) struct Report {
    run: Run,
    lines: Vec<Line>,
    missing: BTreeMap<Kind, Vec<String>>,
    /// (why, what) of each disagreement that is meant.
    explained: BTreeMap<&'static str, Vec<String>>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(run: Run) -> Self {
        Self {
            run,
            lines: Vec::new(),
            missing: BTreeMap::new(),
            explained: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Row<'_>) {
        let Row { file, rc, problems, fates, loaded, surplus } = row;
        let findings = &loaded.diagnostics;
        let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        let (mut missing, mut explained) = (0, 0);
        for (problem, _) in problems.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Missing) {
            let why = NOT_REPORTED.iter().find(|(only, kind, part, _)| {
                only.is_none_or(|only| only == file)
                    && *kind == problem.kind
                    && problem.message.contains(part)
            });
            let at = problem.line.map_or(String::new(), |line| format!(":{line}"));
            let what = format!("{file}{at}: {:?}: {}", problem.kind, problem.message);
            if let Some((.., why)) = why {
                explained += 1;
                self.explained.entry(why).or_default().push(what);
                continue;
            }
            missing += 1;
            let nearby = near(findings, problem);
            self.missing.entry(problem.kind).or_default().push(file.to_owned());
            self.failures.push(format!("not reported: {what}\n    ours near it: {nearby}"));
        }
        let stopped = STOPPED.iter().find(|(name, _)| *name == file).map(|(_, why)| *why);
        let stopped = stopped.or((rc == 2).then_some(FATAL));
        let mut unexplained: BTreeMap<&str, Vec<&&Diagnostic>> = BTreeMap::new();
        for found in &surplus {
            let ours = EXTRA
                .iter()
                .find(|(only, code, _)| only.is_none_or(|only| only == file) && *code == found.code);
            match ours.map(|(.., why)| *why).or(stopped) {
                Some(why) => {
                    self.explained.entry(why).or_default().push(format!("{file}: {}", found.code));
                }
                None => unexplained.entry(found.code).or_default().push(found),
            }
        }
        for (code, found) in unexplained {
            let first = found.first().map(ToString::to_string).unwrap_or_default();
            self.failures.push(format!("of ours only, {} times: {file}: {code}: {first}", found.len()));
        }
        let worst = findings.iter().map(|found| found.level).max();
        let clean =
            problems.iter().all(|problem| problem.kind == Kind::ScriptSecurity) && matches!(rc, 0 | 6);
        let refused = REFUSED.iter().find(|(name, _)| *name == file);
        if let Some((_, why)) = refused {
            self.explained.entry(why).or_default().push(format!("{file}: refused"));
        } else if clean && stopped.is_none() && (worst == Some(Level::Error) || !loaded.readable) {
            self.failures.push(format!("refused: {file}: keepalived accepts it"));
        }
        // A fatal mistake is an error here as well, and what keepalived fails is never clean.
        let told = fates.iter().any(|fate| matches!(fate, Fate::Reported(_))) || missing > 0;
        if rc == 2 && told && worst.is_none() || rc == 5 && told && worst.is_none() {
            self.failures.push(format!("passed: {file}: keepalived ends with {rc}, we have nothing to say"));
        }
        let ours = match (loaded.readable, worst) {
            (false, _) => "refused",
            (true, Some(Level::Error)) => "errors",
            (true, Some(Level::Warning)) => "warnings",
            (true, Some(Level::Advice)) => "advice",
            (true, None) => "clean",
        };
        self.lines.push(Line {
            file: file.to_owned(),
            rc,
            ours,
            problems: problems.len(),
            reported: count(|fate| matches!(fate, Fate::Reported(_))),
            follow: count(|fate| matches!(fate, Fate::Follows(_))),
            not_compared: count(|fate| matches!(fate, Fate::NotCompared(_))),
            explained,
            missing,
            extra: surplus.len(),
        });
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }
}

/// Our findings on the line and its neighbours, or those that name the object.
fn near(findings: &[Diagnostic], problem: &Problem) -> String {
    let close = |found: &&Diagnostic| {
        let line = found.place.as_ref().map_or(0, |place| place.line);
        match problem.line {
            Some(wanted) => line.abs_diff(wanted) <= 2,
            None => problem.objects.iter().any(|object| found.problem.contains(object.as_str())),
        }
    };
    let shown: Vec<_> = findings
        .iter()
        .filter(close)
        .take(4)
        .map(|found| {
            let line = found.place.as_ref().map_or(0, |place| place.line);
            format!("{line} {} ({})", found.code, found.problem)
        })
        .collect();
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(" | ") }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "keepalived 2.2.7, {:?} run: problems of keepalived's and what became of them here",
            self.run
        )?;
        let head = ["rc", "problems", "reported", "follow", "machine", "explained", "missing", "extra"];
        write!(f, "{:<36}", "file")?;
        for word in head {
            write!(f, "{word:>10}")?;
        }
        writeln!(f, "  ours")?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, rc: String, numbers: [usize; 7], ours: &str| {
            write!(f, "{name:<36}{rc:>10}")?;
            for number in numbers {
                write!(f, "{number:>10}")?;
            }
            writeln!(f, "  {ours}")
        };
        let mut total = [0; 7];
        for line in &self.lines {
            let numbers = [
                line.problems,
                line.reported,
                line.follow,
                line.not_compared,
                line.explained,
                line.missing,
                line.extra,
            ];
            for (sum, number) in total.iter_mut().zip(numbers) {
                *sum += number;
            }
            row(f, &line.file, line.rc.to_string(), numbers, line.ours)?;
        }
        row(f, &format!("{} files", self.lines.len()), String::new(), total, "")?;
        let agree = self.lines.iter().filter(|line| line.missing == 0).count();
        writeln!(f, "files with nothing missing: {agree} of {}", self.lines.len())?;
        for (why, cases) in &self.explained {
            writeln!(f, "on purpose, {} times: {why}", cases.len())?;
            let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
            for case in cases {
                *counts.entry(case).or_default() += 1;
            }
            for (case, count) in counts {
                writeln!(f, "    {count:>3} {case}")?;
            }
        }
        let mut missing: Vec<_> = self.missing.iter().collect();
        missing.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
        for (kind, files) in missing {
            let mut names = files.clone();
            names.dedup();
            writeln!(f, "missing {:>4} {kind:?}: {}", files.len(), names.join(" "))?;
        }
        Ok(())
    }
}
