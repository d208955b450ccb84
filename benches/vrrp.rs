//! VRRP beside Debian's keepalived, in alternating runs, in network namespaces of its own. Needs root. It prints tables
//! of medians and judges nothing. `ONLY=takeover|soak|many|instances|load` for one of them, `RUNS=n` how often,
//! `WHO=tandem|keepalived` alone, `COUNT=n` addresses alone, `TIME=seconds` of the soak (600), `WINDOW=seconds` that instances and load are watched for.
//!
//! Times on the wire are the kernel's stamps at the bridge. `LAB_KEEP=1` keeps the programs' logs.
#![allow(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    unreachable_pub,
    missing_docs,
    reason = "a benchmark is a driver"
)]

#[path = "vrrp/capture.rs"]
mod capture;
#[path = "vrrp/instances.rs"]
mod instances;
#[path = "../tests/lab/mod.rs"]
mod lab;
#[path = "vrrp/load.rs"]
mod load;
#[path = "vrrp/many.rs"]
mod many;
#[path = "vrrp/takeover.rs"]
mod takeover;
#[path = "vrrp/tools.rs"]
mod tools;

use std::time::Duration;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn main() {
    lab::need_root();
    let only = std::env::var("ONLY").unwrap_or_default();
    let known = ["takeover", "soak", "many", "instances", "load"];
    assert!(
        only.is_empty() || known.contains(&only.as_str()),
        "ONLY={only}: write one of {}",
        known.join(", ")
    );
    let wanted = |name: &str| only.is_empty() || only == name;
    let runs = usize::try_from(number("RUNS", 5)).expect("few").clamp(1, 50);
    let time = Duration::from_secs(number("TIME", 600).clamp(1, 3600));
    let window = Duration::from_secs(number("WINDOW", 15).clamp(1, 600));
    println!("{runs} alternating runs; {}", lab::director::tandem().display());
    if wanted("takeover") {
        takeover::run(runs);
    }
    if wanted("many") {
        many::run(runs);
    }
    if wanted("instances") {
        instances::run(runs, window);
    }
    if wanted("load") {
        load::run(runs, window);
    }
    if wanted("soak") {
        takeover::soak(time);
    }
}
