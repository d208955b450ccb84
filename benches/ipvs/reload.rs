//! What a reload costs before the kernel hears of it, step by step.

use std::path::Path;
use std::time::Instant;

use tandem::check::farm::Farm;
use tandem::check::planner::Planner;
use tandem::config::rereader::Rereader;
use tandem::config::resolve::Facts;
use tandem::config::{self, Loaded};
use tandem::core::reload::judge;
use tandem::ipvs::diff::diff;

use crate::{CHECK, SERVERS, median, millis, text};

const STEPS: [&str; 7] = ["read", "compare", "plan", "checks", "table", "diff", "drop"];

/// Bytes in use of the allocator.
#[allow(unsafe_code, reason = "a question to the C library")]
fn allocated() -> f64 {
    // SAFETY: it takes no arguments and reads counters.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as f64
}

/// Prints medians of each step.
pub fn measure(count: usize, runs: usize) {
    let facts = Facts::of_this_machine();
    let name = Path::new("b.conf");
    let first = text(count, CHECK, 1);
    let begun = Instant::now();
    let cold = config::load_text(name, first.as_bytes(), &facts);
    let cold_time = millis(begun.elapsed());
    assert!(cold.diagnostics.is_empty(), "{:?}", cold.diagnostics.first());
    drop(cold);
    let mut rereader = Rereader::default();
    let empty = allocated();
    let mut running = rereader.load_text(name, first.as_bytes(), &facts).config;
    let read = allocated();
    let mut planner = Planner::default();
    let plan = planner.plan(&running);
    let planned = allocated();
    let (mut farm, _) = Farm::start(plan, 1, Instant::now());
    let begun = allocated();
    let servers = (count * SERVERS) as f64;
    println!(
        "\nbytes a real server with a check: configuration {:.0}, plan {:.0}, checks {:.0}",
        (read - empty) / servers,
        (planned - read) / servers,
        (begun - planned) / servers
    );
    let mut actual = farm.table();
    let ours = actual.keys().copied().collect();
    let mut times: [Vec<f64>; STEPS.len()] = Default::default();
    for run in 0..runs.max(1) {
        let text = text(count, CHECK, 2 + u32::try_from(run).unwrap_or(0));
        let mut marks = vec![Instant::now()];
        let loaded: Loaded = rereader.load_text(name, text.as_bytes(), &facts);
        marks.push(Instant::now());
        let difference = judge(&running, &loaded).expect("a good file");
        marks.push(Instant::now());
        assert_eq!((difference.changed.len(), difference.added.len(), difference.removed.len()), (1, 0, 0));
        let plan = planner.plan(&loaded.config);
        marks.push(Instant::now());
        let reaction = farm.reload(plan, Instant::now());
        marks.push(Instant::now());
        assert!(reaction.gone.is_empty(), "no check is restarted");
        let desired = farm.table();
        marks.push(Instant::now());
        let changes = diff(&actual, &desired, &ours);
        marks.push(Instant::now());
        assert_eq!(changes.len(), 1, "{changes:?}");
        actual = desired;
        running = loaded.config;
        marks.push(Instant::now());
        for (times, pair) in times.iter_mut().zip(marks.windows(2)) {
            times.push(millis(pair[1] - pair[0]));
        }
    }
    println!("\nreload, one weight changed, ms (a first reading takes {cold_time:.1}):");
    let mut sum = 0.0;
    for (name, times) in STEPS.iter().zip(times) {
        let time = median(times);
        sum += time;
        println!("    {name:<10} {time:>10.1}");
    }
    println!("    {:<10} {sum:>10.1}", "all");
}
