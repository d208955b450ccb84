//! Thousands of addresses in one instance: taken over, given back when the old master returns, and an orderly stop.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::capture::{Addresses, Capture, Event, Follow, What, stamp};
use crate::lab::{Lab, host, ms, now, pause, s};
use crate::tools::{Who, contenders, longest, millis, shown, single, start};

/// Figures of one run, milliseconds, in the order of [`HEADS`].
type Figures = [f64; HEADS.len()];

const HEADS: [&str; 11] = [
    "`ip -batch`",
    "last address after first advert",
    "ratio",
    "longest gap, takeover",
    "latest GARP after its address",
    "without GARP",
    "return: both advertise for",
    "longest gap, return",
    "stop: silence after priority 0",
    "longest gap, stop",
    "stop: last address gone",
];

fn addresses(count: usize) -> Vec<Ipv4Addr> {
    let of = |n: usize| {
        Ipv4Addr::new(
            10,
            9,
            u8::try_from(n / 250 + 1).expect("small"),
            u8::try_from(n % 250 + 1).expect("small"),
        )
    };
    (0..count).map(of).collect()
}

fn text(who: Who, priority: u8, all: &[Ipv4Addr]) -> String {
    let mut instance = single(priority, 3, "0.1");
    instance.vip = format!("{}/32", all[0]);
    instance.more = all[1..].iter().map(|address| format!("{address}/32")).collect();
    who.globals("") + &instance.text()
}

/// `ip -batch` with the same addresses in a third host, on a LAN of its own.
fn batch(lab: &Lab, all: &[Ipv4Addr]) -> f64 {
    let mut lines = String::new();
    for address in all {
        let _ = writeln!(lines, "address add {address}/32 dev eth0");
    }
    let file = lab.file("batch", &lines).display().to_string();
    let begun = Instant::now();
    lab.command("other", &["ip", "-batch", &file]);
    begun.elapsed().as_secs_f64() * 1000.0
}

/// Waits without panicking; false when it did not come.
fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let begun = now();
    while !done() {
        if begun.elapsed() > limit {
            return false;
        }
        pause(ms(5));
    }
    true
}

/// The latest first announcement after its address was there, and how many addresses had none.
fn announced(seen: &Addresses, sent: &[Event]) -> (f64, f64) {
    let mut first: HashMap<Ipv4Addr, i64> = HashMap::new();
    for event in sent {
        if let What::Announce(address) = event.what {
            first.entry(address).or_insert(event.at);
        }
    }
    let mut latest = f64::NAN;
    let mut missing = 0.0;
    for (address, there) in &seen.present {
        match first.get(address) {
            Some(at) => latest = latest.max(millis(at - there)),
            None => missing += 1.0,
        }
    }
    (latest, missing)
}

fn one(who: Who, count: usize) -> Option<Figures> {
    let lan = |name: &str, number: u8| host(name).nic("eth0", "lan", &format!("10.9.0.{number}/24"));
    let lab = Lab::build(
        "many",
        &["lan", "apart"],
        &[lan("d1", 1), lan("d2", 2), host("other").nic("eth0", "apart", "10.9.0.3/24")],
    );
    let all = addresses(count);
    let capture = Capture::start(&lab);
    let (follow1, follow2) = (Follow::start(&lab, "d1"), Follow::start(&lab, "d2"));
    let floor = batch(&lab, &all);

    let mut first = start(&lab, "d1", who, &text(who, 150, &all));
    until(s(30), || follow1.count() >= count).then_some(())?;
    // Beyond the second round of announcements: a busy start is not the takeover that is measured.
    pause(s(8));
    let _second = start(&lab, "d2", who, &text(who, 100, &all));
    let calm = || settled(&capture, "d1", "d2") && follow1.count() >= count && follow2.count() == 0;
    if !until(s(40), calm) {
        println!("{}: the pair with {count} addresses found no rest", who.name());
        return None;
    }

    // Takeover.
    let begun = stamp();
    first.kill();
    lab.isolate("d1", "eth0");
    let taken = capture.first_advert("d2", begun, s(10))?;
    until(s(30), || follow2.count() >= count).then_some(())?;
    // The second round of announcements included.
    pause(s(8));
    let seen = follow2.now();
    let sent = capture.of("d2", taken);
    let last = seen.present.values().max().copied()?;
    let (latest, missing) = announced(&seen, &sent);
    let gap_taken = longest(&capture.adverts("d2", taken));

    // The old master returns, as after a boot.
    lab.ip("d1", "address flush dev eth0 scope global");
    lab.ip("d1", "address add 10.9.0.1/24 dev eth0");
    until(s(10), || follow1.count() <= 1);
    lab.rejoin("d1", "eth0", "lan");
    let begun = stamp();
    let first = start(&lab, "d1", who, &text(who, 150, &all));
    let back = capture.first_advert("d1", begun, s(15))?;
    until(s(20), || follow1.count() > count && follow2.count() == 0);
    pause(s(6));
    let quiet =
        until(s(40), || settled(&capture, "d1", "d2") && follow1.count() > count && follow2.count() == 0);
    let both = capture.adverts("d2", back).last().map_or(0.0, |last| millis(last - back));
    let gap_back = longest(&capture.adverts("d1", back));
    let took = millis(last - taken);
    let mut figures =
        [floor, took, took / floor, gap_taken, latest, missing, both, gap_back, f64::NAN, f64::NAN, f64::NAN];
    if !quiet {
        println!("{}: after the return, the pair with {count} addresses found no rest", who.name());
        return Some(figures);
    }

    // Orderly stop.
    let begun = stamp();
    first.signal(nix::sys::signal::Signal::SIGTERM);
    let Some(heir) = capture.first_advert("d2", begun, s(15)) else { return Some(figures) };
    until(s(30), || follow2.count() >= count && follow1.count() <= 1);
    pause(s(1));
    let farewells = capture.of("d1", begun);
    let zero = farewells.iter().find(|event| matches!(event.what, What::Advert { priority: 0, .. }));
    let zero = zero.map_or(begun, |event| event.at);
    let gap_stop = longest(&capture.adverts("d2", heir));
    figures[8..].copy_from_slice(&[millis(heir - zero), gap_stop, millis(follow1.now().last_gone - zero)]);
    Some(figures)
}

/// True when one host advertises, and the other has not for three seconds.
fn settled(capture: &Capture, one: &str, other: &str) -> bool {
    let moment = stamp();
    !capture.adverts(one, moment - 500_000_000).is_empty()
        && capture.adverts(other, moment - 3_000_000_000).is_empty()
}

/// `COUNT=n` for that many addresses alone.
fn counts() -> Vec<usize> {
    let one = std::env::var("COUNT").ok().and_then(|text| text.parse().ok());
    one.map_or_else(|| vec![1000, 5000], |count: usize| vec![count.clamp(2, 10_000)])
}

pub fn run(runs: usize) {
    println!("\n### Many addresses in one instance, adverts of 0.1 s\n");
    println!("Milliseconds: median (worst).");
    for count in counts() {
        let who = contenders(&[Who::Tandem, Who::Keepalived]);
        let mut results: Vec<_> = who.into_iter().map(|who| (who, vec![Vec::new(); HEADS.len()])).collect();
        for _ in 0..runs {
            for (who, columns) in &mut results {
                match one(*who, count) {
                    Some(figures) => columns.iter_mut().zip(figures).for_each(|(c, figure)| c.push(figure)),
                    None => {
                        println!("\n{}: a run with {count} addresses did not come to its end", who.name());
                    }
                }
                // The kernel takes the namespaces apart behind our back.
                pause(s(1));
            }
        }
        let names: Vec<&str> = results.iter().map(|(who, _)| who.name()).collect();
        println!("\n| {count} addresses | {} |", names.join(" | "));
        println!("| --- |{}", " --- |".repeat(names.len()));
        for (at, head) in HEADS.iter().enumerate() {
            let decimals = if *head == "ratio" { 2 } else { 1 };
            let cells: Vec<String> =
                results.iter().map(|(_, columns)| shown(&columns[at], decimals)).collect();
            println!("| {head} | {} |", cells.join(" | "));
        }
    }
}
