//! The wall clock stepped by an hour for good, under a pair with signed adverts. Only in the lab's virtual machine, where it
//! is nobody else's; there is one for all network namespaces, so both directors see the step. (One director alone:
//! `faults::clock::` of `lab_vrrp`.) A test program of its own: its neighbours may look at the clock.

mod lab;

#[allow(dead_code, reason = "made for lab_vrrp, of which this is a part")]
#[path = "lab_vrrp/config.rs"]
mod config;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};

use config::Conf;
use lab::*;

const VIP: &str = "10.9.0.100";

/// Sets the machine's clock forward, or back.
fn step(seconds: i64) {
    let clock = ClockId::CLOCK_REALTIME;
    let time = clock_gettime(clock).expect("a clock");
    clock_settime(clock, TimeSpec::new(time.tv_sec() + seconds, time.tv_nsec())).expect("root may set it");
}

#[test]
fn the_clock_of_the_machine_stepped_by_an_hour() {
    if std::env::var_os("LAB_VM").is_none() {
        println!(
            "SKIPPED: the clock of this machine is everybody's: it is stepped in the lab's virtual machine only"
        );
        return;
    }
    if director::tandem_only("a clock that is stepped under signed adverts") {
        return;
    }
    let hosts = [host("d1").nic("eth0", "lan", "10.9.0.1/24"), host("d2").nic("eth0", "lan", "10.9.0.2/24")];
    let lab = Lab::build("clock", &["lan"], &hosts);
    let (watch, wire) = (AddressWatch::start(&lab, &["d1", "d2"]), Wire::start(&lab));
    // An emulated machine stands still for seconds: adverts are as slow as it is.
    let advert = if slow() > 1 { "5" } else { "1" };
    let interval = s(advert.parse().expect("a number"));
    let key = format!(
        "auth_hmac {{\n        key 1 hex:{}\n        active_key 1\n        time_window 5\n    }}",
        "0123456789abcdef".repeat(4)
    );
    let conf = |state, priority| Conf::new(state, priority).advert(advert).line(&key).text();
    let _d1 = Director::start(&lab, "d1", &conf("MASTER", 150));
    let _d2 = Director::start(&lab, "d2", &conf("BACKUP", 100));
    // An emulated machine takes its time for an election.
    let begun = now();
    while watch.holders(VIP) != ["d1"] {
        let there = || lab.command("d1", &["ip", "-4", "-o", "addr", "show", "dev", "eth0"]);
        assert!(
            begun.elapsed() < patience() * 2,
            "held by {:?}; the kernel of d1: {}",
            watch.holders(VIP),
            there()
        );
        pause(ms(100));
    }
    wire.next_advert("d1", patience());
    for seconds in [3600, -3600, -3600, 3600] {
        let since = now();
        step(seconds);
        // Longer than the window of signed adverts and the peer's patience together.
        pause(s(5) + interval * 4);
        let adverts = wire.adverts("d1", since);
        assert!(wire.adverts("d2", since).is_empty(), "the peer took over after a step of {seconds} s");
        assert_eq!(watch.changes_of("d1", VIP, since), [], "the address stayed");
        let times: Vec<_> = adverts.iter().map(|(at, _)| *at).chain([now()]).collect();
        let silence = times.windows(2).map(|two| two[1] - two[0]).max().expect("adverts");
        println!("MEASURED machine_clock_stepped_{seconds}_s_longest_silence_ms={}", silence.as_millis());
        assert!(silence < interval * 2, "timers went by the wall clock: {silence:?}");
    }
}
