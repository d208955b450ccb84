//! Thousands of addresses on one device: `ip -batch` against the writer, in turn, each round in the same fresh network
//! namespace. Needs root. `make bench-addresses` prints a table of medians.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark is a driver")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::net::address::{AddressKey, AddressSpec, Wanted};

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/net_kernel/lab.rs"]
mod lab;

use lab::{in_a_namespace, shown, start};

const ROUNDS: usize = 5;

fn main() {
    println!(
        "{:>6} {:>5} {:>12} {:>12} {:>6}   {:>12} {:>12} {:>6}",
        "", "", "add: ip", "tandem", "", "remove: ip", "tandem", ""
    );
    // `make bench-addresses ONLY=IPv4`: five thousand addresses of IPv6 take the kernel half a minute.
    let only = std::env::var("ONLY").unwrap_or_default();
    for (family, count) in [("IPv4", 1000), ("IPv4", 5000), ("IPv6", 1000), ("IPv6", 5000)] {
        if !family.contains(&only) {
            continue;
        }
        let keys: Vec<AddressKey> = (0..count).map(|n| key(family, n)).collect();
        std::thread::scope(|scope| {
            // Its own thread: the namespace goes with it.
            scope.spawn(|| in_a_namespace(|| measure(family, &keys)));
        });
    }
}

fn key(family: &str, n: u32) -> AddressKey {
    let text = match family {
        "IPv4" => format!("10.9.{}.{}", n / 250, n % 250 + 1),
        _ => format!("fd00:9::{n:x}"),
    };
    let address: std::net::IpAddr = text.parse().unwrap();
    AddressKey { interface: "eth0".to_owned(), address, prefix_len: if address.is_ipv6() { 128 } else { 32 } }
}

async fn measure(family: &str, keys: &[AddressKey]) {
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(batch(keys, "add"));
        assert_eq!(count(keys), keys.len());
        times[1].push(batch(keys, "del"));
        assert_eq!(count(keys), 0);
        let mut run = start().await;
        let ours: BTreeSet<_> = keys.iter().cloned().collect();
        let want: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), AddressSpec::default())).collect();
        let full = Arc::new(Wanted { generation: 1, want, ours, ..Wanted::default() });
        let none = Arc::new(full.without_wishes(2));
        for (wish, at, left) in [(full, 2, keys.len()), (none, 3, 0)] {
            let (begun, generation) = (Instant::now(), wish.generation);
            run.wanted.send_replace(wish);
            let applied = run.applied.wait_for(|applied| applied.generation == generation).await.unwrap();
            assert_eq!(applied.errors, [""; 0]);
            times[at].push(begun.elapsed());
            assert_eq!(count(keys), left);
        }
        drop(run.wanted);
        run.writer.await.unwrap();
    }
    let [add_ip, remove_ip, add, remove] = times.map(median);
    println!(
        "{family:>6} {:>5} {add_ip:>10.1}ms {add:>10.1}ms {:>6.2}   {remove_ip:>10.1}ms {remove:>10.1}ms {:>6.2}",
        keys.len(),
        add / add_ip,
        remove / remove_ip
    );
}

/// How long `ip -batch` takes.
fn batch(keys: &[AddressKey], word: &str) -> Duration {
    let mut text = String::new();
    for key in keys {
        let nodad = if key.address.is_ipv6() && word == "add" { " nodad" } else { "" };
        writeln!(text, "address {word} {}/{} dev eth0{nodad}", key.address, key.prefix_len).unwrap();
    }
    let path = std::env::temp_dir().join(format!("tandem-batch-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let begun = Instant::now();
    let done = Command::new("ip").arg("-batch").arg(&path).status().unwrap();
    let took = begun.elapsed();
    assert!(done.success());
    std::fs::remove_file(path).unwrap();
    took
}

fn count(keys: &[AddressKey]) -> usize {
    let family = if keys[0].address.is_ipv6() { "-6" } else { "-4" };
    let text = shown(&format!("{family} -o address show dev eth0"));
    text.matches(if family == "-6" { "inet6 fd00:9:" } else { "inet 10.9." }).count()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
