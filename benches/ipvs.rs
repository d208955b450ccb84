//! The table at scale: COUNT services (10,000) with four real servers each.
//!
//! Everywhere: what one changed weight costs the daemon before the kernel hears of it (`reload`), and how its memory
//! takes a hundred reloads (`memory`). Where the kernel has `ip_vs` (`make bench-ipvs` boots one that has, by
//! tests/lab/vm.sh): the first load into a fresh table (`load`: a plain writer of batched netlink, Tandem, Debian's
//! keepalived, in turn), the orderly stop of that table (`stop`), and SIGHUP with one weight changed (`hup`), counted in
//! netlink messages by strace.
//!
//! `ONLY=reload|memory|load|hup`, `COUNT`, `RUNS`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    reason = "a benchmark is a driver: it reads clocks and sleeps; its files are a program's"
)]

#[path = "ipvs/daemon.rs"]
mod daemon;
#[path = "ipvs/kernel.rs"]
mod kernel;
#[path = "ipvs/plain.rs"]
mod plain;
#[path = "ipvs/reload.rs"]
mod reload;

use std::fmt::Write as _;
use std::time::Duration;

/// Real servers of each service.
const SERVERS: usize = 4;

fn main() {
    let number =
        |name: &str, or: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (count, runs) = (number("COUNT", 10_000), number("RUNS", 5));
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only == part;
    println!("{count} services with {SERVERS} real servers each; medians of {runs} runs");
    if wanted("reload") {
        reload::measure(count, runs);
    }
    if wanted("memory") {
        daemon::memory(count, number("RELOADS", 100));
    }
    let there = || std::path::Path::new("/proc/net/ip_vs").exists();
    if !there() {
        let _ = std::process::Command::new("modprobe").arg("ip_vs").output();
    }
    if !there() {
        println!("no ip_vs in this kernel: load, stop and hup are left out");
        return;
    }
    if wanted("load") {
        kernel::load_and_stop(count, runs);
    }
    if wanted("hup") {
        daemon::hup(count, runs);
    }
}

/// The file: TCP services of 10.x.y.z port 80 by NAT. `checks`: words of each real server; `weight`: that of the first
/// real server of the middle service, all others have 1.
fn text(count: usize, checks: &str, weight: u32) -> String {
    let mut text = "global_defs {\n    router_id bench\n}\n".to_owned();
    for n in 0..count {
        let _ = write!(
            text,
            "virtual_server 10.{}.{}.{} 80 {{\n    delay_loop 3600\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n",
            n / 50_000 + 1,
            n / 200 % 250,
            n % 200 + 1
        );
        for server in 0..SERVERS {
            let weight = if n == count / 2 && server == 0 { weight } else { 1 };
            let _ = writeln!(
                text,
                "    real_server 172.16.{}.{} 8080 {{\n        weight {weight}\n        {checks}\n    }}",
                n % 250,
                server + 1
            );
        }
        text += "}\n";
    }
    text
}

/// A check that never runs in the time of a run, and that would go to this machine.
const CHECK: &str = "TCP_CHECK {\n            connect_ip 127.0.0.1\n            connect_port 9\n            warmup 3600\n        }";

/// The middle one of sorted values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
