//! Orders of people: what the table does not show, since it takes more than one event.

use super::*;

const OVER: Event = Event::Order(None);

fn failback() -> Event {
    Event::Failback { by: BY.to_owned() }
}

/// A backup that has just heard this priority; and when that was.
fn backup_of(own: &Params, heard: u8) -> (Machine, Instant) {
    let start = Instant::now();
    let mut machine = Machine::new(own.clone());
    machine.handle(START, start);
    let now = start + ms(500);
    machine.handle(advert(own, ABOVE, heard, own.advert_int), now);
    (machine, now + ms(100))
}

fn master_of(own: &Params) -> (Machine, Instant) {
    let mut machine = Machine::new(own.clone());
    machine.handle(START, Instant::now());
    let (at, _) = expire(&mut machine);
    (machine, at + ms(100))
}

#[test]
fn a_step_down_yields_to_any_peer_but_not_to_nobody() {
    let own = params(150);
    let (mut machine, now) = master_of(&own);
    let done = machine.handle(order(OrderKind::StepDown), now);
    assert_eq!(brief(&done), "advert 0, -addresses, MASTER>BACKUP");
    assert_eq!(told(&done), format!("stepped down by {BY}"));
    // A peer of the lowest priority that a peer has is enough, and is left alone.
    for n in 1..10 {
        assert_eq!(brief(&machine.handle(advert(&own, ABOVE, 2, own.advert_int), now + ms(n * 1000))), "");
    }
    assert_eq!(machine.state(), StateName::Backup);
    // It dies, and nobody else is there: the addresses are not lost.
    let (at, done) = expire(&mut machine);
    assert_eq!(brief(&done), "advert 1, +addresses, announce, BACKUP>MASTER");
    assert_eq!(at - (now + ms(9000)), ms(3000) + skew(VrrpVersion::V2, 1, ms(1000)));
    // It is back: it has the addresses at its first advert.
    let done = machine.handle(advert(&own, ABOVE, 2, own.advert_int), at + ms(10));
    assert_eq!(brief(&done), "-addresses, MASTER>BACKUP");
    // Somebody takes the order back: the ordinary election has it.
    let now = at + ms(20);
    assert_eq!(brief(&machine.handle(OVER, now)), "priority 1>150");
    assert_eq!(brief(&machine.handle(advert(&own, ABOVE, 2, own.advert_int), now + ms(100))), "");
    let (_, done) = expire(&mut machine);
    assert!(told(&done).starts_with("preempted 10.0.0.6"), "{}", told(&done));
}

#[test]
fn who_has_the_addresses_for_want_of_anybody_keeps_them_at_another_such_order() {
    let own = params(150);
    let (mut machine, now) = master_of(&own);
    machine.handle(order(OrderKind::StepDown), now);
    let (at, _) = expire(&mut machine);
    assert_eq!(brief(&machine.handle(order(OrderKind::Maintenance), at + ms(10))), "");
    assert_eq!(machine.state(), StateName::Master);
    // Strict: then rather nobody.
    let done = machine.handle(order(OrderKind::StrictMaintenance), at + ms(20));
    assert_eq!(brief(&done), "advert 0, -addresses, MASTER>FAULT");
    assert_eq!(told(&done), format!("maintenance, ordered by {BY}"));
    assert_eq!(machine.deadline(), None);
    let done = machine.handle(OVER, at + ms(30));
    assert_eq!(brief(&done), "FAULT>BACKUP");
    assert_eq!(told(&done), format!("over: strict maintenance, ordered by {BY}"));
}

#[test]
fn an_owner_steps_down_and_comes_back() {
    let own = params(255);
    let mut machine = Machine::new(own.clone());
    let now = Instant::now();
    assert_eq!(brief(&machine.handle(START, now)), "advert 255, +addresses, announce, INIT>MASTER");
    machine.handle(order(OrderKind::StepDown), now + ms(1));
    machine.handle(advert(&own, BELOW, 100, own.advert_int), now + ms(600));
    assert_eq!((machine.state(), machine.priority()), (StateName::Backup, 1));
    assert_eq!(
        brief(&machine.handle(order(OrderKind::TakeOver), now + ms(700))),
        "priority 1>255, advert 255, +addresses, announce, BACKUP>MASTER",
        "an owner's own is above any order's"
    );
}

#[test]
fn a_take_over_is_at_once_and_holds_against_all_but_owners() {
    let own = Params { preempt: false, ..params(50) };
    let (mut machine, now) = backup_of(&own, 200);
    let done = machine.handle(order(OrderKind::TakeOver), now);
    assert_eq!(brief(&done), "priority 50>254, advert 254, +addresses, announce, BACKUP>MASTER");
    assert_eq!(
        told(&done),
        format!("ordered to take over by {BY}, with priority 254, from 10.0.0.6 with priority 200")
    );
    assert_eq!(machine.own_priority(), 50);
    assert!(
        brief(&machine.handle(advert(&own, ABOVE, 253, own.advert_int), now + ms(9)))
            .starts_with("advert 254")
    );
    let done = machine.handle(advert(&own, BELOW, 255, own.advert_int), now + ms(10));
    assert_eq!(brief(&done), "-addresses, MASTER>BACKUP");
    // Where the master has no less, the order waits for its chance.
    let (mut machine, now) = backup_of(&own, 254);
    assert_eq!(brief(&machine.handle(order(OrderKind::TakeOver), now)), "priority 50>254");
    machine.handle(advert(&own, ABOVE, 253, own.advert_int), now + ms(100));
    let (_, done) = expire(&mut machine);
    assert!(told(&done).starts_with("preempted"), "nopreempt or not: {}", told(&done));
    // And over: nopreempt again, and its own priority.
    assert_eq!(brief(&machine.handle(OVER, now + ms(9000))), "priority 254>50");
}

#[test]
fn failback_is_once_and_needs_the_higher_priority() {
    let own = Params { preempt: false, ..params(150) };
    for heard in [150, 200, 0] {
        let (mut machine, now) = backup_of(&own, heard);
        assert_eq!(brief(&machine.handle(failback(), now)), "", "{heard}");
        assert_eq!(machine.state(), StateName::Backup);
    }
    let (mut machine, now) = backup_of(&own, 100);
    let done = machine.handle(failback(), now);
    assert_eq!(brief(&done), "advert 150, +addresses, announce, BACKUP>MASTER");
    assert_eq!(
        told(&done),
        format!("given back by {BY}: 10.0.0.6 was master with priority 100, below ours, 150")
    );
    // The next time it is nopreempt as ever.
    machine.handle(advert(&own, BELOW, 200, own.advert_int), now + ms(10));
    machine.handle(advert(&own, BELOW, 100, own.advert_int), now + ms(20));
    assert_eq!(
        machine.deadline().map(|(at, _)| at - now),
        Some(ms(20 + 3000) + skew(VrrpVersion::V2, 150, ms(1000)))
    );
    // Only what a backup is: a master has what it wants, a fault is in the way.
    assert_eq!(brief(&master_of(&own).0.handle(failback(), now)), "");
}

#[test]
fn members_of_a_group_wait_for_each_other() {
    let own = Params { preempt: false, grouped: true, ..params(150) };
    let (mut machine, now) = backup_of(&own, 100);
    assert_eq!(brief(&machine.handle(failback(), now)), "wants");
    assert!(machine.wants_master());
    // The master it wants to replace does not make it change its mind, one that it may not replace does.
    machine.handle(advert(&own, ABOVE, 100, own.advert_int), now + ms(10));
    assert!(machine.wants_master());
    let mut other = machine.clone();
    other.handle(advert(&own, ABOVE, 200, own.advert_int), now + ms(20));
    assert!(!other.wants_master() && other.hears_master());
    let done = machine.handle(Event::Promote { group: "VG".to_owned() }, now + ms(20));
    assert!(
        told(&done).starts_with(&format!("with all of sync group VG: given back by {BY}")),
        "{}",
        told(&done)
    );
    // A later order goes before an earlier wish.
    let (mut machine, now) = backup_of(&own, 100);
    machine.handle(order(OrderKind::TakeOver), now);
    assert!(machine.wants_master());
    machine.handle(order(OrderKind::StepDown), now + ms(1));
    assert!(!machine.wants_master());
}

#[test]
fn orders_are_known_before_the_start() {
    let own = params(255);
    let now = Instant::now();
    let mut machine = Machine::new(own.clone());
    assert_eq!(brief(&machine.handle(order(OrderKind::StepDown), now)), "");
    assert_eq!(brief(&machine.handle(START, now)), "INIT>BACKUP");
    let mut machine = Machine::new(own.clone());
    machine.handle(order(OrderKind::StrictMaintenance), now);
    assert_eq!(brief(&machine.handle(START, now)), "INIT>FAULT");
    // One that had the addresses for want of anybody goes on so after a restart.
    let mut machine = Machine::new(own);
    machine.handle(order(OrderKind::StepDown), now);
    assert_eq!(brief(&machine.handle(Event::Resume, now)), "advert 1, +addresses, announce, INIT>MASTER");
}

#[test]
fn every_cause_has_a_name_of_its_own() {
    let causes = [
        Cause::Started,
        Cause::Owner,
        Cause::Resumed,
        Cause::MasterDown { waited: ms(1), limit: ms(1), last: None },
        Cause::MasterResigned { source: ABOVE, waited: ms(1) },
        Cause::Preempted { source: ABOVE, priority: 1, own: 2 },
        Cause::HigherPriority { source: ABOVE, priority: 2, own: 1 },
        Cause::HigherAddress { source: ABOVE, priority: 1, own: None },
        Cause::GroupFollows { group: "VG".to_owned(), member: "VI_2".to_owned() },
        Cause::ReplacedWhileAway { late: ms(1), source: ABOVE, priority: 1 },
        Cause::TimerExpired { late: ms(1), limit: 1 },
        Cause::Fault { reason: "x".to_owned(), reload: false },
        Cause::Recovered { was: "x".to_owned(), reload: false },
        Cause::StepDown { by: BY.to_owned(), maintenance: false },
        Cause::StepDown { by: BY.to_owned(), maintenance: true },
        Cause::TakeOver { by: BY.to_owned(), over: None, own: 254 },
        Cause::Failback { by: BY.to_owned(), source: ABOVE, priority: 1, own: 2 },
        Cause::Stopped,
    ];
    let names: BTreeSet<&str> = causes.iter().map(Cause::name).collect();
    assert_eq!(names.len(), causes.len());
    let plain = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    assert!(names.iter().all(plain), "{names:?}");
    let grouped = Cause::WithGroup { group: "VG".to_owned(), own: Box::new(Cause::Started) };
    assert_eq!(grouped.name(), "started", "of a group it is the member's own");
}
