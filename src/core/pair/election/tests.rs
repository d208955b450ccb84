use super::*;

fn contender(priority: u8) -> Contender {
    let params = Params { base_priority: priority, ..Params::for_tests() };
    Contender {
        params,
        status: Status::Runs(priority),
        hears: true,
        heard: true,
        fresh: false,
        settles: false,
    }
}

fn at(priority: u8, address: &str) -> Contender {
    let mut one = contender(priority);
    one.params.own = address.parse().ok();
    one
}

fn gone(status: Status) -> Contender {
    Contender { status, ..contender(150) }
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

const A: Holder = Holder::One(Who::A);
const B: Holder = Holder::One(Who::B);

#[test]
fn a_common_start_waits_for_the_shorter_timer() {
    let outcome = cold_start(&contender(150), &contender(100));
    // 3 + (256 - 150) / 256 s, as measured with keepalived.
    assert_eq!(outcome, ended(A, After::MasterDown(nanos(3_414_062_500))));
    let outcome = cold_start(&contender(100), &contender(255));
    assert_eq!(outcome, ended(B, After::AtOnce));
}

#[test]
fn equal_priorities_are_decided_by_address() {
    let start = |a: &Contender, b: &Contender| cold_start(a, b).holder;
    assert_eq!(start(&at(100, "10.0.0.1"), &at(100, "10.0.0.2")), B);
    assert_eq!(start(&at(100, "10.0.0.9"), &at(100, "10.0.0.2")), A);
    assert_eq!(start(&at(100, "10.0.0.2"), &at(100, "10.0.0.2")), Holder::Both);
    assert_eq!(start(&contender(100), &at(100, "10.0.0.2")), Holder::Either);
}

#[test]
fn a_master_that_goes_is_followed_by_how_it_goes() {
    let b = contender(100);
    let end = |status, heard| after(A, &Contender { heard, ..gone(status) }, &b);
    let skew = After::Skew(nanos(609_375_000));
    let silence = After::MasterDown(nanos(3_609_375_000));
    assert_eq!(end(Status::Stopped, true), ended(B, skew));
    assert_eq!(end(Status::Fault("script x failed".to_owned()), true), ended(B, skew));
    assert_eq!(end(Status::Fault("interface eth0 is down".to_owned()), false), ended(B, silence));
    assert_eq!(end(Status::Dead, true), ended(B, silence));
    assert_eq!(after(B, &gone(Status::Dead), &b), ended(B, After::Stays));
}

#[test]
fn a_lowered_master_goes_when_the_backup_may_preempt() {
    let lowered = Contender { status: Status::Runs(90), ..contender(150) };
    let mut b = contender(100);
    assert_eq!(after(A, &lowered, &b), ended(B, After::MasterDown(nanos(3_609_375_000))));
    b.params.preempt = false;
    assert_eq!(after(A, &lowered, &b), Outcome { held_back: Some(Who::B), ..ended(A, After::Stays) });
    b.params.state_master = true;
    assert_eq!(after(A, &lowered, &b).holder, B, "state MASTER clears nopreempt");
    let mut b = contender(100);
    b.params.preempt_delay = Duration::from_millis(2500);
    let (delay, total) = (b.params.preempt_delay, nanos(6_609_375_000));
    assert_eq!(after(A, &lowered, &b), ended(B, After::Delayed { delay, total }));
    let equal = Contender { status: Status::Runs(100), ..contender(150) };
    assert_eq!(after(A, &equal, &contender(100)), ended(A, After::Stays), "a sitting master stays");
}

#[test]
fn who_hears_nothing_becomes_master() {
    let deaf = |priority| Contender { hears: false, ..contender(priority) };
    assert_eq!(cold_start(&deaf(150), &deaf(100)).holder, Holder::Both);
    // One way only: the lower one yields if it is the one that hears.
    assert_eq!(cold_start(&deaf(150), &contender(100)).holder, A);
    assert_eq!(cold_start(&contender(150), &deaf(100)).holder, Holder::Both);
}

#[test]
fn version_3_adopts_the_masters_interval() {
    let mut a = Contender { status: Status::Dead, ..contender(150) };
    let mut b = contender(128);
    (a.params.version, b.params.version) = (VrrpVersion::V3, VrrpVersion::V3);
    b.params.advert_int = Duration::from_millis(100);
    assert_eq!(after(A, &a, &b).after, After::MasterDown(Duration::from_millis(3500)));
    let fresh = Contender { fresh: true, ..b };
    assert_eq!(after(Holder::Nobody, &a, &fresh).after, After::MasterDown(Duration::from_millis(350)));
}

#[test]
fn one_that_begins_with_a_short_interval_does_not_wait_for_a_slow_master() {
    let mut a = contender(100);
    let mut b = Contender { fresh: true, ..contender(150) };
    (a.params.version, b.params.version) = (VrrpVersion::V3, VrrpVersion::V3);
    b.params.preempt = false;
    assert_eq!(after(A, &a, &b).held_back, Some(Who::B));
    b.params.advert_int = Duration::from_millis(100);
    assert_eq!(after(A, &a, &b).holder, B, "nopreempt does not hold it");
}

#[test]
fn an_owner_that_begins_does_not_listen() {
    let owner = Contender { fresh: true, ..contender(255) };
    assert_eq!(after(B, &owner, &contender(100)), ended(A, After::AtOnce));
    assert_eq!(after(B, &gone(Status::Dead), &owner).holder, B);
}

#[test]
fn nobody_is_master_where_nobody_can() {
    let fault = || gone(Status::Fault("script x failed".to_owned()));
    assert_eq!(after(A, &fault(), &gone(Status::Dead)), ended(Holder::Nobody, After::Stays));
    assert_eq!(cold_start(&fault(), &fault()), ended(Holder::Nobody, After::Stays));
}
