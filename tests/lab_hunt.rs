//! A hunt for faults: three directors, two Tandem and one keepalived, three instances of which two are a sync group, and
//! half a minute of everything that can happen to them, by chance. After each quiet period there is exactly one master of
//! each virtual router, the right one, with exactly its addresses; and at no moment were two of them masters for longer
//! than the protocol allows, as long as they could hear each other.
//!
//! `HUNT_SEED=n` chooses the operations (not their exact effect: the machine has a say, too), `HUNT_TIME=60` the seconds,
//! `HUNT_PROGRAMS=ttt` what runs on the three (t for Tandem, k for keepalived).

mod lab;

#[path = "lab_hunt/field.rs"]
mod field;
#[path = "lab_hunt/judge.rs"]
mod judge;
#[allow(dead_code, reason = "the simulation uses the rest")]
#[path = "vrrp_sim/pcg.rs"]
mod pcg;

use std::time::{Duration, Instant};

use field::Field;
use lab::director::tandem_only;
use lab::*;
use pcg::Pcg;

/// Seconds without `HUNT_TIME`.
const TIME: u64 = 30;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn whatever_happens_there_is_one_master_afterwards() {
    if tandem_only("the hunt is for Tandem's faults") {
        return;
    }
    let clock = tandem::clock::wall().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = from_environment("HUNT_SEED").unwrap_or(u64::from(clock.subsec_nanos()) % 100_000);
    println!("HUNT_SEED={seed}");
    let end = now() + s(from_environment("HUNT_TIME").unwrap_or(TIME));
    let programs = std::env::var("HUNT_PROGRAMS").unwrap_or_else(|_| "ttk".to_owned());
    let mut rng = Pcg::new(seed);
    let mut field = Field::new("hunt", &programs, &mut rng);
    field.settled("at the start");
    let mut round = 0;
    while now() < end {
        round += 1;
        field.say(&format!("round {round}"));
        for _ in 0..2 + rng.below(6) {
            field.something(&mut rng);
            // Sometimes two things happen at once.
            pause(ms(if rng.chance(20) { rng.below(50) } else { 200 + rng.below(1800) }));
        }
        field.repair(&mut rng);
        field.settled(&format!("after round {round}"));
    }
    field.one_at_a_time();
    println!("MEASURED hunt_rounds={round} operations={} seed={seed}", field.operations());
}
