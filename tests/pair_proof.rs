//! Proof of the what-if table of `tandem check --pair`: random pairs of files, and for each line of the table two real
//! machines that are put into that situation. The master that they settle on, and the time it takes them, must be
//! what the table says.
//!
//! `PAIR_SEED=n` replays one pair; `PAIR_SEEDS=n` sets how many there are.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may unwrap and take a base instant"
)]

#[path = "pair_proof/duo.rs"]
mod duo;
#[allow(dead_code, reason = "shared with another test")]
#[path = "vrrp_sim/pcg.rs"]
mod pcg;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use duo::Duo;
use pcg::Pcg;
use tandem::config::facts::Facts;
use tandem::config::load_text;
use tandem::config::model::Config;
use tandem::core::pair::election::{After, Holder, Outcome};
use tandem::core::pair::situation::Row;
use tandem::core::pair::{Who, compare};

const SEEDS: u64 = 250;
/// Longer than any election of these files; no multiple of any interval, so that no advert is under way then.
const SETTLED: Duration = Duration::from_micros(40_012_345);
/// Latencies of the cable, and the rounding of the skew.
const NEAR: Duration = Duration::from_millis(2);

fn from_environment(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}

#[test]
fn two_machines_do_what_the_table_says() {
    let mut seen = BTreeMap::new();
    match from_environment("PAIR_SEED") {
        Some(seed) => pair(seed, &mut seen),
        None => {
            for seed in 0..from_environment("PAIR_SEEDS").unwrap_or(SEEDS) {
                pair(seed, &mut seen);
            }
            println!("{seen:#?}");
            for kind in
                ["One", "Both", "Nobody", "Either", "held back", "Skew", "MasterDown", "Delayed", "AtOnce"]
            {
                assert!(seen.get(kind).is_some_and(|n| *n > 5), "{kind} hardly ever came up: {seen:?}");
            }
        }
    }
}

/// What both files of a pair share, mostly.
fn text(rng: &mut Pcg, common: &Common, index: usize) -> String {
    let mut text = String::new();
    for (name, weight) in [("one", common.weights[0]), ("two", common.weights[1])] {
        let _ = writeln!(text, "vrrp_script {name} {{\n script /bin/{name}\n weight {weight}\n}}");
    }
    let state = if rng.chance(25) { "MASTER" } else { "BACKUP" };
    let priority = rng.pick(&[1, 50, 99, 100, 100, 101, 150, 254, 255]);
    let _ = writeln!(text, "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n state {state}");
    let _ =
        writeln!(text, " priority {priority}\n version {}", if rng.chance(4) { 2 } else { common.version });
    let twice = match common.advert_int {
        "0.05" => "0.1",
        "0.3" => "0.6",
        _ => "2",
    };
    let _ = writeln!(text, " advert_int {}", if rng.chance(8) { twice } else { common.advert_int });
    if common.nopreempt != rng.chance(15) {
        let _ = writeln!(text, " nopreempt");
    }
    if rng.chance(20) {
        let _ = writeln!(text, " preempt_delay {}", rng.below(7));
    }
    if rng.chance(10) {
        let _ = writeln!(text, " down_timer_adverts {}", 1 + rng.below(5));
    }
    if rng.chance(15) {
        let _ = writeln!(text, " dont_track_primary");
    }
    if common.version == 2 && common.password {
        let word = if rng.chance(5) { "another" } else { "secret99" };
        let _ = writeln!(text, " authentication {{\n auth_type PASS\n auth_pass {word}\n }}");
    }
    let own = ["10.0.0.1", "10.0.0.2"][index];
    let other = ["10.0.0.2", "10.0.0.1"][index];
    if common.unicast != rng.chance(3) {
        let peer = if common.sources && rng.chance(5) { "10.0.0.77" } else { other };
        let _ = writeln!(text, " unicast_peer {{\n {peer}\n }}");
        if common.sources || rng.chance(50) {
            let _ = writeln!(text, " unicast_src_ip {own}");
        }
        if rng.chance(30) {
            let _ = writeln!(text, " check_unicast_src");
        }
    } else if common.sources {
        let _ = writeln!(text, " mcast_src_ip {}", if rng.chance(10) { "10.0.0.1" } else { own });
    }
    let mut scripts = String::new();
    for name in ["one", "two"] {
        if rng.chance(60) {
            let reverse = if rng.chance(15) { " reverse" } else { "" };
            let weight = if rng.chance(30) {
                format!(" weight {}{reverse}", rng.pick(&[-60, -2, 2, 60]))
            } else {
                String::new()
            };
            let _ = writeln!(scripts, "  {name}{weight}");
        }
    }
    let _ = writeln!(text, " track_script {{\n{scripts} }}");
    if rng.chance(30) {
        let weight = *rng.pick(&["", " weight -60", " weight 5", " weight 10 reverse"]);
        let _ = writeln!(text, " track_interface {{\n  eth1{weight}\n }}");
    }
    let _ = writeln!(text, " virtual_ipaddress {{\n 10.0.0.100/24\n }}\n}}");
    text
}

struct Common {
    version: u8,
    advert_int: &'static str,
    weights: [i16; 2],
    nopreempt: bool,
    unicast: bool,
    sources: bool,
    password: bool,
}

fn pair(seed: u64, seen: &mut BTreeMap<&'static str, u64>) {
    let mut rng = Pcg::new(seed);
    let version = *rng.pick(&[2, 3]);
    let intervals: &[&'static str] = if version == 2 { &["1", "2", "1"] } else { &["0.3", "1", "0.05"] };
    let common = Common {
        version,
        advert_int: intervals[rng.below(3) as usize],
        weights: [*rng.pick(&[0, -60, -1, 2, 60, 253]), *rng.pick(&[0, 0, -40, 3])],
        nopreempt: rng.chance(30),
        unicast: rng.chance(25),
        sources: rng.chance(40),
        password: rng.chance(50),
    };
    let texts = [0, 1].map(|index| text(&mut rng, &common, index));
    let load = |text: &str| load_text(Path::new("x.conf"), text.as_bytes(), &Facts::of_the_text()).config;
    let configs = texts.each_ref().map(|text| load(text));
    let addresses: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
    let report = compare(&configs[0], &configs[1]);
    let story = || format!("seed {seed}\n--- A\n{}--- B\n{}", texts[0], texts[1]);
    assert_eq!(report.instances.len(), 1, "{}", story());
    for row in &report.instances[0].table {
        let run = std::panic::catch_unwind(|| prove(row, &report.instances[0].table[0], &configs, addresses));
        assert!(run.is_ok(), "{row:#?}\n{}", story());
        for outcome in std::iter::once(&row.outcome).chain(&row.back) {
            count(outcome, seen);
        }
    }
}

fn count(outcome: &Outcome, seen: &mut BTreeMap<&'static str, u64>) {
    let holder = match outcome.holder {
        Holder::One(_) => "One",
        Holder::Both => "Both",
        Holder::Nobody => "Nobody",
        Holder::Either => "Either",
    };
    let after = match outcome.after {
        After::Stays => "Stays",
        After::AtOnce => "AtOnce",
        After::Skew(_) => "Skew",
        After::MasterDown(_) => "MasterDown",
        After::Delayed { .. } => "Delayed",
        After::NextAdvert(_) => "NextAdvert",
    };
    for kind in [holder, after] {
        *seen.entry(kind).or_default() += 1;
    }
    if outcome.held_back.is_some() {
        *seen.entry("held back").or_default() += 1;
    }
}

/// Both machines agree with an outcome now.
fn agrees(duo: &Duo, outcome: &Outcome, when: &str) {
    let masters = [duo.is_master(0), duo.is_master(1)];
    let wanted = match outcome.holder {
        Holder::One(Who::A) => [true, false],
        Holder::One(Who::B) => [false, true],
        Holder::Both => [true, true],
        Holder::Nobody => [false, false],
        Holder::Either => {
            assert!(masters[0] != masters[1], "{when}: masters {masters:?}, one of them was expected");
            return;
        }
    };
    assert_eq!(masters, wanted, "{when}: the machines' masters and the table's");
}

/// One line of the table, done.
fn prove(row: &Row, healthy: &Row, configs: &[Config; 2], addresses: [IpAddr; 2]) {
    let mut duo = Duo::start([&configs[0], &configs[1]], addresses);
    if row.back.is_none() {
        let began = duo.now();
        if let Holder::One(who) = row.outcome.holder {
            let who = who as usize;
            let alone = |duo: &Duo| duo.is_master(who) && !duo.is_master(1 - who);
            let took = duo.until(SETTLED, alone).expect("a master") - began;
            let time = row.outcome.after.time();
            assert!(took <= time + NEAR, "a master after {took:?}, the table says {time:?}");
        }
    }
    duo.run_for(SETTLED);
    agrees(&duo, &healthy.outcome, "both healthy");
    if healthy.outcome.holder == Holder::Either {
        let higher = usize::from(duo.own(1) > duo.own(0));
        let before = [duo.is_master(0), duo.is_master(1)];
        assert!(before[higher] || before[1 - higher]);
    }
    let Some(back) = &row.back else { return };

    let conditions = [&row.situation.a, &row.situation.b];
    let changed = duo.now();
    for (index, condition) in conditions.iter().enumerate() {
        duo.happens(index, condition);
    }
    let sitting = [duo.is_master(0), duo.is_master(1)];
    if let (Holder::One(before), Holder::One(then)) = (healthy.outcome.holder, row.outcome.holder)
        && before != then
    {
        timed(&mut duo, then as usize, changed, row.outcome.after);
    } else if healthy.outcome.holder == row.outcome.holder && row.outcome.after == After::Stays {
        duo.run_for(SETTLED);
        if matches!(row.outcome.holder, Holder::One(_)) {
            assert_eq!([duo.is_master(0), duo.is_master(1)], sitting);
        }
    }
    duo.run_for(SETTLED);
    agrees(&duo, &row.outcome, "then");

    let changed = duo.now();
    for (index, condition) in conditions.iter().enumerate() {
        duo.recovers(index, condition);
    }
    if let (Holder::One(before), Holder::One(then)) = (row.outcome.holder, back.holder)
        && before != then
    {
        let at = duo.until(SETTLED, |duo| duo.is_master(then as usize)).expect("it comes back");
        let (took, limit) = (at - changed, back.after.time() + NEAR);
        assert!(took <= limit, "back after {took:?}, the table says {limit:?}");
    }
    duo.run_for(SETTLED);
    agrees(&duo, back, "when it is over");
}

/// A takeover takes the time that the table says: exactly, but for what it calls an upper bound.
fn timed(duo: &mut Duo, successor: usize, changed: std::time::Instant, after: After) {
    let heard = duo.last_heard(successor);
    let at = duo.until(SETTLED, |duo| duo.is_master(successor)).expect("a successor");
    let near = |took: Duration, time: Duration| {
        assert!(took.abs_diff(time) <= NEAR, "taken over after {took:?}, the table says {time:?}");
    };
    match after {
        After::Skew(time) => near(at - changed, time),
        After::MasterDown(time) => near(at - heard.expect("it heard its master"), time),
        After::Delayed { delay, total } => {
            let took = at - changed;
            assert!(took >= delay && took <= total + NEAR, "{took:?}, the table says {delay:?} to {total:?}");
        }
        After::Stays | After::AtOnce | After::NextAdvert(_) => panic!("{after:?} is no takeover"),
    }
}
