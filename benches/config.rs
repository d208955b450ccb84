//! Reading large configurations: Tandem beside `keepalived -t` on the same files, in alternating runs. It prints and
//! judges nothing: the machine decides on the figures, and the ratio is what lasts. `RUNS=n` sets how often.
//!
//! Times of processes are measured by this program calling itself with `--measure`: a small process that starts one
//! program and asks the kernel for the peak of its memory, which is kept for all children together.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

#[path = "config/files.rs"]
mod files;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use tandem::clock;
use tandem::config::{self, facts::Facts};

use files::Shape;

/// One run of a process.
#[derive(Clone, Copy)]
struct Run {
    time: Duration,
    /// Kilobytes.
    peak: i64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--measure") {
        measure(&words[1..]);
        return;
    }
    let runs: usize = std::env::var("RUNS").ok().map_or(7, |text| text.parse().expect("RUNS is a number"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.canonicalize().unwrap();
    let keepalived = keepalived();
    println!("{runs} alternating runs each: median (least); files in {}", folder.display());
    println!("{}", keepalived.as_ref().map_or("keepalived: not installed, left out", |k| &k.version));
    println!(
        "\n| file | lines | virtual / real servers | Tandem: load and resolve | `tandem check` | `keepalived -t` | ratio | peak memory Tandem / keepalived |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut growth = Vec::new();
    for shape in files::SHAPES {
        let path = folder.join(format!("{}.conf", shape.name));
        let text = shape.text();
        std::fs::write(&path, &text).unwrap();
        if let Some(keepalived) = &keepalived {
            reads_to_the_end(keepalived, &folder, shape, &text);
        }
        let (mut inside, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            inside.push(load(&path, shape));
            ours.push(process(&[env!("CARGO_BIN_EXE_tandem"), "check", &path.to_string_lossy()], 0));
            if let Some(keepalived) = &keepalived {
                theirs.push(process(&keepalived.command(&path), 0));
            }
        }
        let peaks = (peak(&ours), peak(&theirs));
        let times = |runs: Vec<Run>| runs.into_iter().map(|run| run.time).collect();
        let inside = Times::of(inside);
        let (ours, theirs) = (Times::of(times(ours)), keepalived.as_ref().map(|_| Times::of(times(theirs))));
        println!(
            "| {} | {} | {} / {} | {} | {} | {} | {} | {} / {} MB |",
            shape.name,
            text.lines().count(),
            shape.virtual_servers,
            shape.real_servers,
            inside.text(),
            ours.text(),
            theirs.map_or_else(|| "-".to_owned(), Times::text),
            theirs.map_or_else(|| "-".to_owned(), |t| format!("{:.2}", over(ours, t))),
            peaks.0 / 1024,
            if theirs.is_some() { (peaks.1 / 1024).to_string() } else { "-".to_owned() },
        );
        if shape.name.starts_with("growth") {
            growth.push((shape, inside, ours, theirs));
        }
    }
    println!(
        "\nratio: time of `tandem check` divided by that of `keepalived -t`; medians; both read the whole file."
    );
    println!("\n| size | load and resolve | `tandem check` | `keepalived -t` |\n| --- | --- | --- | --- |");
    let (_, inside, ours, theirs) = growth[0];
    for (shape, i, o, t) in &growth {
        println!(
            "| {} | x {:.2} | x {:.2} | {} |",
            shape.name.trim_start_matches("growth-"),
            over(*i, inside),
            over(*o, ours),
            t.zip(theirs).map_or_else(|| "-".to_owned(), |(t, one)| format!("x {:.2}", over(t, one))),
        );
    }
}

/// Debian's keepalived, and how it is called.
struct Keepalived {
    version: String,
    /// In a network namespace of its own, where that is allowed: nothing of this machine's is touched.
    prefix: Vec<String>,
}

impl Keepalived {
    fn command(&self, file: &Path) -> Vec<String> {
        let mut words = self.prefix.clone();
        words.extend(["keepalived", "-t", "-f"].map(str::to_owned));
        words.push(file.to_string_lossy().into_owned());
        words
    }
}

fn keepalived() -> Option<Keepalived> {
    let output = Command::new("keepalived").arg("--version").output().ok()?;
    let said = [output.stderr, output.stdout].concat();
    let version = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
    let alone = Command::new("unshare").args(["-n", "true"]).stderr(Stdio::null()).status();
    let prefix =
        if alone.is_ok_and(|s| s.success()) { vec!["unshare".into(), "-n".into()] } else { Vec::new() };
    Some(Keepalived { version, prefix })
}

/// Both programs must find a mistake in the last line, or their times would compare nothing.
fn reads_to_the_end(keepalived: &Keepalived, folder: &Path, shape: &Shape, text: &str) {
    let path = folder.join(format!("{}-mistake.conf", shape.name));
    std::fs::write(&path, format!("{text}mistake_in_the_last_line\n")).unwrap();
    let last = text.lines().count() + 1;
    let words = keepalived.command(&path);
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let found = said
        .lines()
        .any(|line| line.contains(&format!("Line {last})")) && line.contains("mistake_in_the_last_line"));
    assert!(
        found && !output.status.success(),
        "keepalived did not read {} to its end:\n{said}",
        path.display()
    );
    let ours = config::load(&path, &Facts::of_the_text()).diagnostics;
    let found = ours.iter().any(|f| f.place.as_ref().is_some_and(|p| p.line as usize == last));
    assert!(found, "tandem did not read {} to its end: {ours:?}", path.display());
}

/// Reads a file in this process.
fn load(path: &Path, shape: &Shape) -> Duration {
    let facts = Facts::of_the_text();
    let begin = clock::now();
    let loaded = config::load(path, &facts);
    let time = clock::now() - begin;
    let real: usize = loaded.config.virtual_server.iter().map(|v| v.real_server.len()).sum();
    assert_eq!((loaded.config.virtual_server.len(), real), (shape.virtual_servers, shape.real_servers));
    assert!(loaded.diagnostics.is_empty(), "{:?}", &loaded.diagnostics[..1]);
    time
}

/// Runs a program through `--measure`; it must end with `status`.
fn process(words: &[impl AsRef<str>], status: i32) -> Run {
    let itself = std::env::current_exe().unwrap();
    let output =
        Command::new(itself).arg("--measure").args(words.iter().map(AsRef::as_ref)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<i64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [nanoseconds, peak, ended] = numbers[..] else { panic!("--measure said {text:?}") };
    assert_eq!(ended, i64::from(status), "{:?}", words.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    Run { time: Duration::from_nanos(nanoseconds.unsigned_abs()), peak }
}

/// `--measure PROGRAM ARGUMENT...`: prints nanoseconds, peak kilobytes and exit status.
fn measure(words: &[String]) {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = clock::now();
    let status = command.status().unwrap();
    let time = clock::now() - begin;
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    println!("{} {peak} {}", time.as_nanos(), status.code().unwrap_or(-1));
}

fn peak(runs: &[Run]) -> i64 {
    runs.iter().map(|run| run.peak).max().unwrap_or(0)
}

/// What is left of several runs.
#[derive(Clone, Copy)]
struct Times {
    median: Duration,
    /// What the machine can do when nothing else disturbs it.
    least: Duration,
}

impl Times {
    fn of(mut runs: Vec<Duration>) -> Self {
        runs.sort();
        Self { median: runs[runs.len() / 2], least: runs[0] }
    }

    fn text(self) -> String {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        format!("{:.0} ({:.0}) ms", milliseconds(self.median), milliseconds(self.least))
    }
}

/// How many times as long.
fn over(one: Times, other: Times) -> f64 {
    one.median.as_secs_f64() / other.median.as_secs_f64()
}
