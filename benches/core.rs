//! The daemon's life beside Debian's keepalived, in alternating runs, in network namespaces of its own: start to running,
//! what it costs while nothing happens, how long a stop takes, what is on the disk. Needs root. It prints a table of
//! medians and judges nothing. `RUNS=n` how often (5), `WINDOW=seconds` that idleness is watched for (10),
//! `WHO=tandem|keepalived` alone.
//!
//! "Running" is the moment in which the kernel lists the membership of 224.0.0.18 on the interface: from then on adverts
//! are heard. The node is a master of one address at one second, with a tracked script each 5 s.
#![allow(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "a benchmark is a driver"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;
#[path = "vrrp/tools.rs"]
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab::{Lab, host, now, pause, s, wait};
use nix::sys::signal::Signal;
use tools::{Who, contenders, cpu, family, pss, shown, single, start};

/// One run: ms to running, MB PSS, MB private, processes, wakeups a second, CPU ms a second, ms of the stop.
type Row = [f64; 7];

fn one(who: Who, window: Duration) -> Row {
    let lab = Lab::build("core", &["lan"], &[host("d1").nic("eth0", "lan", "10.9.0.1/24")]);
    let script = "vrrp_script alive {\n    script \"/bin/true\"\n    interval 5\n}\n";
    let mut instance = single(150, 2, "1");
    instance.lines = "    track_script {\n        alive\n    }\n".to_owned();
    let text = who.globals("") + script + &instance.text();
    let member = || {
        let groups =
            lab.inside("d1", || fs::read_to_string("/proc/thread-self/net/igmp").unwrap_or_default());
        groups.lines().any(|line| line.contains("120000E0"))
    };
    let begun = now();
    let mut director = start(&lab, "d1", who, &text);
    while !member() {
        assert!(begun.elapsed() < s(20), "{} does not run", who.name());
        std::thread::sleep(Duration::from_micros(200));
    }
    let running = begun.elapsed();
    let address = || {
        let said = lab.command("d1", &["ip", "-o", "addr", "show", "dev", "eth0"]);
        said.contains("10.9.0.100/")
    };
    wait("the address", s(20), address);
    // Beyond the second round of announcements.
    pause(s(7));
    let processes = family(director.pid());
    let (woken, ran) = (wakeups(&processes), cpu(&processes));
    pause(window);
    let seconds = window.as_secs_f64();
    let (woken, ran) = ((wakeups(&processes) - woken) / seconds, (cpu(&processes) - ran) * 1e3 / seconds);
    let (shared, own) = (pss(&processes), private(&processes));
    let stopping = now();
    director.signal(Signal::SIGTERM);
    director.wait(s(20));
    let stopped = stopping.elapsed();
    [
        running.as_secs_f64() * 1e3,
        shared,
        own,
        processes.len() as f64,
        woken,
        ran,
        stopped.as_secs_f64() * 1e3,
    ]
}

/// How often threads have gone to sleep by themselves: as often they were woken.
fn wakeups(family: &[i32]) -> f64 {
    let mut total = 0.0;
    for pid in family {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            total += line.and_then(|count| count.trim().parse::<f64>().ok()).unwrap_or(0.0);
        }
    }
    total
}

/// Megabytes that nobody else has.
fn private(family: &[i32]) -> f64 {
    let of = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kilobytes = |line: &str| line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok());
        text.lines().filter(|line| line.starts_with("Private_")).filter_map(kilobytes).sum::<f64>() / 1024.0
    };
    family.iter().map(of).sum()
}

/// Megabytes of a program, and of it with the libraries that it loads.
fn sizes(program: &Path) -> Option<(f64, f64)> {
    let size = |path: &Path| fs::metadata(path).map_or(0.0, |meta| meta.len() as f64 / 1e6);
    let listed = Command::new("ldd").arg(program).output().ok()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let libraries: BTreeSet<PathBuf> = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    Some((size(program), size(program) + libraries.iter().map(|path| size(path)).sum::<f64>()))
}

fn main() {
    lab::need_root();
    let number = |name: &str, otherwise: u64| {
        let text = std::env::var(name).ok();
        text.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let runs = usize::try_from(number("RUNS", 5)).expect("few").clamp(1, 50);
    let window = Duration::from_secs(number("WINDOW", 10).clamp(1, 600));
    let all = contenders(&[Who::Tandem, Who::Keepalived]);
    println!("{runs} alternating runs; {}", lab::director::tandem().display());
    let mut rows: Vec<Vec<Row>> = vec![Vec::new(); all.len()];
    for _ in 0..runs {
        for (who, rows) in all.iter().zip(&mut rows) {
            rows.push(one(*who, window));
        }
    }
    println!("\n| median (worst) | {} |", all.iter().map(|who| who.name()).collect::<Vec<_>>().join(" | "));
    println!("| --- |{}", " --- |".repeat(all.len()));
    let lines = [
        ("start to running, ms", 1),
        ("memory, MB PSS", 2),
        ("memory of its own, MB", 2),
        ("processes", 0),
        ("wakeups a second", 1),
        ("CPU, ms a second", 2),
        ("stop, ms", 0),
    ];
    for (at, (what, decimals)) in lines.into_iter().enumerate() {
        let cells = rows.iter().map(|rows| {
            let values: Vec<f64> = rows.iter().map(|row| row[at]).collect();
            shown(&values, decimals)
        });
        println!("| {what} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    let cells = all.iter().map(|who| {
        let program = match who {
            Who::Keepalived => PathBuf::from("/usr/sbin/keepalived"),
            Who::Tandem | Who::TandemPlain => lab::director::tandem(),
        };
        sizes(&program).map_or("-".to_owned(), |(own, all)| format!("{own:.1} ({all:.1})"))
    });
    println!("| program, MB (with its libraries) | {} |", cells.collect::<Vec<_>>().join(" | "));
}
