//! What a reload costs before the kernel hears of it, step by step.

use std::path::Path;
use std::time::Instant;

use tandem::check::farm::Farm;
use tandem::check::plan::Plan;
use tandem::config::resolve::Facts;
use tandem::config::{self, Loaded};
use tandem::core::reload::judge;
use tandem::ipvs::diff::diff;

use crate::{CHECK, median, millis, text};

const STEPS: [&str; 7] = ["read", "compare", "plan", "checks", "table", "diff", "drop"];

/// Prints medians of each step.
pub fn measure(count: usize, runs: usize) {
    let facts = Facts::of_this_machine();
    let load = |weight| -> Loaded {
        config::load_text(Path::new("b.conf"), text(count, CHECK, weight).as_bytes(), &facts)
    };
    let mut running = load(1).config;
    let (mut farm, _) = Farm::start(Plan::new(&running), 1, Instant::now());
    let mut actual = farm.table();
    let ours = actual.keys().copied().collect();
    let mut times: [Vec<f64>; STEPS.len()] = Default::default();
    for run in 0..runs.max(1) {
        let text = text(count, CHECK, 2 + u32::try_from(run).unwrap_or(0));
        let mut marks = vec![Instant::now()];
        let loaded = config::load_text(Path::new("b.conf"), text.as_bytes(), &facts);
        marks.push(Instant::now());
        let difference = judge(&running, &loaded).expect("a good file");
        marks.push(Instant::now());
        assert_eq!((difference.changed.len(), difference.added.len(), difference.removed.len()), (1, 0, 0));
        let plan = Plan::new(&loaded.config);
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
    println!("\nreload, one weight changed, ms:");
    let mut sum = 0.0;
    for (name, times) in STEPS.iter().zip(times) {
        let time = median(times);
        sum += time;
        println!("    {name:<10} {time:>10.1}");
    }
    println!("    {:<10} {sum:>10.1}", "all");
}
