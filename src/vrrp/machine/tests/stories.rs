//! What keepalived was measured to do, with its times, and what must be better.

use super::*;

/// Time from the last advert of a master (priority 250, same interval) to the takeover.
fn takeover(params: Params) -> u128 {
    let start = Instant::now();
    let interval = params.advert_int;
    let heard = advert(&params, BELOW, 250, interval);
    let mut machine = Machine::new(params);
    machine.handle(START, start);
    machine.handle(heard, start + interval);
    let (at, actions) = expire(&mut machine);
    assert_eq!(machine.state(), StateName::Master, "{actions:?}");
    at.duration_since(start + interval).as_millis()
}

#[test]
fn takeover_times_are_the_measured_ones() {
    assert_eq!(takeover(params(100)), 3609);
    assert_eq!(takeover(params(200)), 3218);
    assert_eq!(takeover(params(10)), 3960);
    assert_eq!(takeover(Params { down_timer_adverts: 5, ..params(100) }), 5609);
    let v3 = Params { version: VrrpVersion::V3, ..params(100) };
    assert_eq!(takeover(Params { advert_int: ms(200), ..v3 }), 721);
    assert_eq!(takeover(Params { advert_int: ms(50), ..v3 }), 180);
}

#[test]
fn skew_is_exact_to_the_nanosecond() {
    assert_eq!(skew(VrrpVersion::V2, 255, ms(5000)), Duration::from_nanos(3_906_250));
    assert_eq!(skew(VrrpVersion::V2, 1, ms(1)), Duration::from_nanos(996_093_750));
    assert_eq!(skew(VrrpVersion::V3, 100, ms(40_950)), Duration::from_nanos(24_953_906_250));
    assert_eq!(skew(VrrpVersion::V3, 254, ms(10)), Duration::from_nanos(78_125));
}

#[test]
fn state_master_waits_like_a_backup() {
    let start = Instant::now();
    let mut machine = Machine::new(Params { state_master: true, ..params(150) });
    let actions = machine.handle(START, start);
    assert_eq!(brief(&actions), "INIT>BACKUP");
    let (at, actions) = expire(&mut machine);
    assert_eq!(at.duration_since(start).as_millis(), 3414);
    assert_eq!(told(&actions), "no advert was heard for 3.414 s (limit 3.414 s)");
}

#[test]
fn the_owner_is_master_at_once_and_again_after_a_fault() {
    let start = Instant::now();
    let mut machine = Machine::new(params(255));
    let actions = machine.handle(START, start);
    assert_eq!(brief(&actions), "advert 255, +addresses, announce, INIT>MASTER");
    assert_eq!(brief(&machine.handle(Event::Own(None), start)), "-addresses, MASTER>FAULT");
    let actions = machine.handle(Event::Own(Some(OWN)), start);
    assert_eq!(brief(&actions), "advert 255, +addresses, announce, FAULT>MASTER");
    // Two owners: the higher address stays.
    assert_eq!(
        brief(&machine.handle(advert(&params(255), BELOW, 255, ms(1000)), start)),
        "advert 255, announce again, two masters"
    );
    let actions = machine.handle(advert(&params(255), ABOVE, 255, ms(1000)), start);
    assert_eq!(brief(&actions), "-addresses, MASTER>BACKUP");
    assert_eq!(
        told(&actions),
        "10.0.0.6 advertises the same priority 255 from a higher address than ours, 10.0.0.5"
    );
}

#[test]
fn a_stopping_master_says_so_once_and_the_backup_waits_its_skew_only() {
    let start = Instant::now();
    let mut backup = Machine::new(params(100));
    backup.handle(START, start);
    backup.handle(advert(&params(100), BELOW, 150, ms(1000)), start + ms(900));
    backup.handle(advert(&params(100), BELOW, 0, ms(1000)), start + ms(1000));
    let (at, actions) = expire(&mut backup);
    assert_eq!(at.duration_since(start).as_millis(), 1609);
    assert_eq!(told(&actions), "the master 10.0.0.4 gave up with priority 0, 0.609 s ago");
    assert_eq!(brief(&backup.handle(Event::Stop, at)), "advert 0, -addresses, MASTER>STOPPED");
    assert_eq!(brief(&backup.handle(Event::Stop, at)), "");
    assert_eq!(backup.deadline(), None);
}

#[test]
fn preempt_delay_counts_from_the_start() {
    // Measured: 6.9 to 7 s after the return, with adverts of the other each second.
    let start = Instant::now();
    let own = Params { preempt_delay: ms(4000), ..params(150) };
    let mut machine = Machine::new(own.clone());
    machine.handle(START, start);
    for n in 0..10 {
        let at = start + ms(500 + n * 1000);
        if machine.deadline().is_some_and(|(deadline, _)| deadline <= at) {
            break;
        }
        machine.handle(advert(&own, BELOW, 100, ms(1000)), at);
    }
    let (at, actions) = expire(&mut machine);
    assert_eq!(at.duration_since(start).as_millis(), 6914);
    assert_eq!(told(&actions), "preempted 10.0.0.4: its priority 100 is below ours, 150");
}

#[test]
fn preempt_delay_counts_from_the_first_lower_master() {
    let start = Instant::now();
    let own = Params { preempt_delay: ms(4000), ..params(150) };
    let mut machine = Machine::new(own.clone());
    machine.handle(START, start);
    for n in 0..20 {
        machine.handle(advert(&own, BELOW, 200, ms(1000)), start + ms(n * 1000));
    }
    for n in 20..24 {
        machine.handle(advert(&own, ABOVE, 100, ms(1000)), start + ms(n * 1000));
    }
    let restarted = machine.deadline().unwrap().0;
    assert_eq!(restarted.duration_since(start).as_millis(), 23_000 + 3414);
    machine.handle(advert(&own, ABOVE, 100, ms(1000)), start + ms(24_000));
    assert_eq!(machine.deadline().unwrap().0, restarted, "the delay is over");
}

#[test]
fn state_master_clears_nopreempt_and_its_delay() {
    let start = Instant::now();
    let own = Params { preempt: false, preempt_delay: ms(9000), state_master: true, ..params(150) };
    let mut machine = Machine::new(own.clone());
    machine.handle(START, start);
    let before = machine.deadline();
    machine.handle(advert(&own, BELOW, 100, ms(1000)), start + ms(500));
    assert_eq!(machine.deadline(), before);
}

#[test]
fn nopreempt_tolerates_any_living_master() {
    let start = Instant::now();
    let own = Params { preempt: false, ..params(150) };
    let mut machine = Machine::new(own.clone());
    machine.handle(START, start);
    for n in 1..60 {
        machine.handle(advert(&own, BELOW, 1, ms(1000)), start + ms(n * 1000));
        assert_eq!(machine.handle(Event::Timeout, start + ms(n * 1000 + 999)), []);
    }
    // Its death is another matter.
    let (at, actions) = expire(&mut machine);
    assert_eq!(at.duration_since(start).as_millis(), 59_000 + 3414);
    assert_eq!(
        told(&actions),
        "the master-down timer ran out after 3.414 s (limit 3.414 s): the last advert came from 10.0.0.4 with \
         priority 1, 3.414 s ago"
    );
    // Once master it compares normally.
    assert_eq!(
        brief(&machine.handle(advert(&own, BELOW, 1, ms(1000)), at)),
        "advert 150, announce again, two masters"
    );
    let actions = machine.handle(advert(&own, BELOW, 200, ms(1000)), at);
    assert_eq!(told(&actions), "10.0.0.4 advertises the higher priority 200, ours is 150");
}

#[test]
fn a_weight_that_lowers_the_master_leads_to_a_takeover_by_timer() {
    let start = Instant::now();
    let mut backup = Machine::new(params(100));
    backup.handle(START, start);
    backup.handle(advert(&params(100), ABOVE, 150, ms(1000)), start);
    for n in 1..4 {
        backup.handle(advert(&params(100), ABOVE, 90, ms(1000)), start + ms(n * 1000));
    }
    let (at, _) = expire(&mut backup);
    assert_eq!(at.duration_since(start).as_millis(), 3609);
    // The old master hears the higher priority and goes.
    let mut master = Machine::new(params(255));
    master.handle(START, start);
    let lowered = master.handle(Event::Effective(Effective::Priority(90)), start);
    assert_eq!(brief(&lowered), "priority 255>90");
    assert_eq!(brief(&expire(&mut master).1), "advert 90");
    assert_eq!(
        brief(&master.handle(advert(&params(100), BELOW, 100, ms(1000)), at)),
        "-addresses, MASTER>BACKUP"
    );
}

#[test]
fn a_late_timer_sends_one_advert_not_a_burst() {
    let start = Instant::now();
    let mut machine = Machine::new(params(255));
    machine.handle(START, start);
    let late = start + Duration::from_secs(3600);
    assert_eq!(brief(&machine.handle(Event::Timeout, late)), "advert 255");
    assert_eq!(machine.deadline(), Some((late + ms(1000), Timer::Advert)));
    assert_eq!(machine.handle(Event::Timeout, late), []);
}

#[test]
fn version_3_adopts_the_masters_interval() {
    let start = Instant::now();
    let own = Params { version: VrrpVersion::V3, ..params(100) };
    let mut machine = Machine::new(own.clone());
    machine.handle(START, start);
    machine.handle(advert(&own, BELOW, 150, ms(200)), start);
    assert_eq!(machine.deadline().unwrap().0.duration_since(start).as_millis(), 721);
    // A lower master that is passed over teaches nothing.
    machine.handle(advert(&own, BELOW, 50, ms(10_000)), start);
    assert_eq!(machine.deadline().unwrap().0.duration_since(start).as_millis(), 721);
    // A master that yields learns too.
    expire(&mut machine);
    machine.handle(advert(&own, BELOW, 150, ms(100)), start);
    assert_eq!(machine.deadline().unwrap().0.duration_since(start).as_millis(), 360);
}

#[test]
fn faults_add_up_and_the_last_one_ends_them() {
    let start = Instant::now();
    let mut machine = Machine::new(Params { own: None, ..params(150) });
    let actions = machine.handle(START, start);
    assert_eq!(brief(&actions), "INIT>FAULT");
    assert_eq!(told(&actions), "the interface has no address to send adverts from");
    machine.handle(Event::Effective(Effective::Fault("script x failed".to_owned())), start);
    assert_eq!(machine.handle(Event::Own(Some(OWN)), start), []);
    // A tracker that has no result yet does not end a fault either.
    assert_eq!(machine.handle(Event::Effective(Effective::Pending("script y".to_owned())), start), []);
    let actions = machine.handle(Event::Effective(Effective::Priority(140)), start);
    assert_eq!(brief(&actions), "FAULT>BACKUP");
    assert_eq!(machine.priority(), 140);
}

#[test]
fn a_reload_leaves_the_master_alone() {
    let start = Instant::now();
    let mut machine = Machine::new(params(150));
    machine.handle(START, start);
    let (at, _) = expire(&mut machine);
    let other = Params { version: VrrpVersion::V3, preempt: false, down_timer_adverts: 9, ..params(120) };
    assert_eq!(brief(&machine.handle(Event::Params(other.clone()), at + ms(100))), "priority 150>120");
    // A shorter interval applies at once, a longer one after the next advert.
    machine.handle(Event::Params(Params { advert_int: ms(200), ..other }), at + ms(100));
    assert_eq!(machine.deadline().unwrap().0, at + ms(300));
    machine.handle(Event::Params(Params { advert_int: ms(5000), ..other }), at + ms(100));
    assert_eq!(machine.deadline().unwrap().0, at + ms(300));
    let actions = machine.handle(Event::Params(Params { own: None, ..other }), at + ms(100));
    assert_eq!(told(&actions), "the interface has no address to send adverts from (after a reload)");
}

#[test]
fn a_reload_never_makes_a_backup_hasty() {
    let start = Instant::now();
    let slow = Params { advert_int: ms(10_000), ..params(150) };
    let mut machine = Machine::new(slow);
    machine.handle(START, start);
    let reload = start + ms(9000);
    machine.handle(Event::Params(params(150)), reload);
    assert_eq!(machine.deadline().unwrap().0.duration_since(reload).as_millis(), 3414);
    // The same file again does not put the takeover off.
    machine.handle(Event::Params(params(150)), reload + ms(3000));
    assert_eq!(machine.deadline().unwrap().0.duration_since(reload).as_millis(), 3414);
}

#[test]
fn a_master_that_was_away_listens_first() {
    let start = Instant::now();
    let away = |preempt: bool| {
        let mut machine = Machine::new(Params { preempt, ..params(150) });
        machine.handle(START, start);
        expire(&mut machine);
        let (due, _) = machine.deadline().unwrap();
        // Shorter than the others wait: on as usual.
        let late = due + ms(3400);
        assert_eq!(brief(&machine.handle(Event::Timeout, late)), "advert 150");
        let (due, _) = machine.deadline().unwrap();
        let back = due + ms(3500);
        assert_eq!(brief(&machine.handle(Event::Timeout, back)), "was away");
        assert_eq!(machine.deadline().unwrap().0, back + ms(1250));
        (machine, back)
    };
    // Nobody: on as master, and everybody is told.
    let (mut machine, _) = away(true);
    assert_eq!(brief(&expire(&mut machine).1), "advert 150, announce, back");
    // A lower one took over: with preemption it is put right at once.
    let (mut machine, back) = away(true);
    let lower = advert(&params(150), BELOW, 100, ms(1000));
    assert_eq!(
        brief(&machine.handle(lower.clone(), back + ms(300))),
        "advert 150, announce again, two masters"
    );
    // Without preemption it may stay.
    let (mut machine, back) = away(false);
    let actions = machine.handle(lower, back + ms(300));
    assert_eq!(brief(&actions), "-addresses, MASTER>BACKUP");
    assert_eq!(
        told(&actions),
        "this machine stood still for 3.500 s and 10.0.0.4 with priority 100 is master now (nopreempt)"
    );
}

#[test]
fn a_backup_that_was_away_listens_first() {
    let start = Instant::now();
    let away = |late: u64| {
        let mut machine = Machine::new(params(100));
        machine.handle(START, start);
        machine.handle(advert(&params(100), ABOVE, 150, ms(1000)), start + ms(500));
        let (due, _) = machine.deadline().unwrap();
        let back = due + ms(late);
        let said = brief(&machine.handle(Event::Timeout, back));
        (machine, back, said)
    };
    // Less than an interval late: the silence is the master's.
    assert_eq!(away(999).2, "advert 100, +addresses, announce, BACKUP>MASTER");
    let (mut machine, back, said) = away(1000);
    assert_eq!(said, "backup was away");
    assert_eq!(machine.deadline().unwrap().0, back + ms(1500));
    // The master was away, too, and speaks: it stays.
    let mut other = machine.clone();
    assert_eq!(other.handle(advert(&params(100), ABOVE, 150, ms(1000)), back + ms(1250)), []);
    assert!(other.deadline().unwrap().0 > back + ms(4000));
    // A lower one that this router replaces puts nothing off.
    machine.handle(advert(&params(100), BELOW, 50, ms(1000)), back + ms(600));
    assert_eq!(machine.deadline().unwrap().0, back + ms(1500));
    // Nobody speaks: now it takes over, and the story tells how late it was itself.
    let actions = expire(&mut machine).1;
    assert_eq!(brief(&actions), "advert 100, +addresses, announce, BACKUP>MASTER");
}

#[test]
fn timer_expired_backup_gives_up_by_the_clock_alone() {
    let start = Instant::now();
    let own = Params { preempt: false, timer_expired_backup: Some(2), ..params(150) };
    for (late, expected) in [(1999, "advert 150"), (2000, "-addresses, MASTER>BACKUP")] {
        let mut machine = Machine::new(own.clone());
        machine.handle(START, start);
        expire(&mut machine);
        let (due, _) = machine.deadline().unwrap();
        assert_eq!(brief(&machine.handle(Event::Timeout, due + ms(late))), expected, "{late}");
    }
}

#[test]
fn two_masters_are_told_once_and_their_end() {
    let start = Instant::now();
    let mut machine = Machine::new(params(150));
    machine.handle(START, start);
    let (at, _) = expire(&mut machine);
    let lower = || advert(&params(150), BELOW, 100, ms(1000));
    assert_eq!(brief(&machine.handle(lower(), at)), "advert 150, announce again, two masters");
    assert_eq!(brief(&machine.handle(lower(), at + ms(900))), "advert 150, announce again");
    assert_eq!(brief(&machine.handle(Event::Timeout, at + ms(1900))), "advert 150");
    assert_eq!(brief(&machine.handle(Event::Timeout, at + ms(2900))), "advert 150");
    let actions = machine.handle(Event::Timeout, at + ms(3900));
    assert_eq!(brief(&actions), "advert 150, announce, alone, one master");
    assert_eq!(brief(&machine.handle(Event::Timeout, at + ms(4900))), "advert 150");
}

#[test]
fn the_start_up_delay_keeps_out_of_elections() {
    let start = Instant::now();
    let mut machine = Machine::new(params(255));
    assert_eq!(machine.handle(Event::Start { hold: ms(5000) }, start), []);
    assert_eq!(machine.handle(Event::Effective(Effective::Priority(255)), start), []);
    assert_eq!(machine.handle(advert(&params(255), BELOW, 200, ms(1000)), start + ms(100)), []);
    assert_eq!(machine.deadline(), Some((start + ms(5000), Timer::Hold)));
    let (_, actions) = expire(&mut machine);
    assert_eq!(brief(&actions), "hold over, advert 255, +addresses, announce, INIT>MASTER");
}

#[test]
fn what_has_just_come_back_claims_nothing_for_a_second() {
    let start = Instant::now();
    let own = Params { version: VrrpVersion::V3, advert_int: ms(10), ..params(150) };
    let mut machine = Machine::new(Params { own: None, ..own });
    machine.handle(START, start);
    machine.handle(Event::Own(Some(OWN)), start);
    assert_eq!(machine.deadline().unwrap().0, start + ms(1000));
    // An advert shows that the network carries adverts.
    machine.handle(advert(&own, ABOVE, 200, ms(10)), start + ms(50));
    assert_eq!(machine.deadline().unwrap().0.duration_since(start).as_millis(), 84);
}
