use proptest::prelude::*;

use super::*;

fn tracker(kind: TrackerKind, weight: i16, value: Value) -> Tracker {
    let name = match kind {
        TrackerKind::Interface => "eth1",
        _ => "chk",
    };
    Tracker { name: name.to_owned(), kind, weight, reverse: false, value, why: String::new() }
}

fn script(weight: i16, up: Option<bool>) -> Tracker {
    tracker(TrackerKind::Script, weight, up.map_or(Value::Unknown, Value::of))
}

fn interface(weight: i16, up: bool) -> Tracker {
    tracker(TrackerKind::Interface, weight, Value::of(up))
}

fn file(weight: i16, number: i64) -> Tracker {
    tracker(TrackerKind::File, weight, Value::Number(number))
}

fn reversed(tracker: Tracker) -> Tracker {
    Tracker { reverse: true, ..tracker }
}

fn fault(tracker: Tracker) -> String {
    match effective(100, &[tracker]) {
        Effective::Fault(why) => why,
        other => panic!("no fault: {other:?}"),
    }
}

#[test]
fn weights_count_in_their_own_state_alone() {
    // (weight, reverse, priority while up, priority while down), base 100.
    for (weight, reverse, up, down) in
        [(20, false, 120, 100), (-20, false, 100, 80), (20, true, 80, 100), (-20, true, 100, 120)]
    {
        for kind in [TrackerKind::Script, TrackerKind::Interface, TrackerKind::Process, TrackerKind::Bfd] {
            let of =
                |state| effective(100, &[Tracker { reverse, ..tracker(kind, weight, Value::of(state)) }]);
            assert_eq!(of(true), Effective::Priority(up), "{kind} weight {weight} reverse {reverse} up");
            assert_eq!(of(false), Effective::Priority(down), "{kind} weight {weight} reverse {reverse} down");
        }
    }
}

#[test]
fn the_sum_is_held_within_1_and_254() {
    assert_eq!(effective(100, &[script(253, Some(true)), script(253, Some(true))]), Effective::Priority(254));
    assert_eq!(effective(100, &[script(-253, Some(false))]), Effective::Priority(1));
    assert_eq!(
        effective(100, &[script(100, Some(true)), interface(-30, false), script(5, Some(false))]),
        Effective::Priority(170)
    );
    assert_eq!(effective(100, &vec![script(i16::MAX, Some(true)); 1000]), Effective::Priority(254));
}

/// Observed of keepalived 2.2.7, base 100.
#[test]
fn the_number_in_a_file_times_its_weight_is_added() {
    for (weight, reverse, number, priority) in [
        (1, false, 5, Some(105)),
        (1, false, 300, Some(254)),
        (1, false, -50, Some(50)),
        (1, false, -253, Some(1)),
        (1, false, -254, None),
        (0, false, 0, Some(100)),
        (0, false, 1, None),
        (0, false, -4, None),
        (0, true, 0, None),
        (0, true, 1, Some(100)),
        (0, true, -1, Some(100)),
        (3, true, 5, Some(85)),
        (3, true, -5, Some(115)),
        (3, true, 90, None),
        (3, true, -90, Some(254)),
        (254, false, -1, None),
        (-254, false, 1, None),
    ] {
        let now = effective(100, &[Tracker { reverse, ..file(weight, number) }]);
        match priority {
            Some(priority) => {
                assert_eq!(now, Effective::Priority(priority), "{number} x {weight} reverse {reverse}");
            }
            None => {
                assert!(matches!(now, Effective::Fault(_)), "{number} x {weight} reverse {reverse}: {now:?}");
            }
        }
    }
    // Each file's share is held within 253 before they are summed up.
    assert_eq!(effective(1, &[file(1, 2_000_000), file(1, -253)]), Effective::Priority(1));
}

#[test]
fn the_owner_keeps_255_but_not_against_a_fault() {
    let weighted = [script(-50, Some(false)), script(50, Some(true)), file(1, -5)];
    assert_eq!(effective(255, &weighted), Effective::Priority(255));
    assert_eq!(effective(255, &[interface(0, false)]), Effective::Fault("interface eth1 is down".to_owned()));
    assert!(matches!(effective(255, &[file(1, -254)]), Effective::Fault(_)));
}

#[test]
fn weight_0_is_a_fault_and_every_culprit_is_named() {
    assert_eq!(
        effective(100, &[script(0, Some(false)), interface(0, false), script(10, None)]),
        Effective::Fault("script chk failed, interface eth1 is down".to_owned())
    );
    assert_eq!(effective(100, &[script(0, Some(true))]), Effective::Priority(100));
    assert_eq!(effective(100, &[reversed(script(0, Some(false)))]), Effective::Priority(100));
    assert_eq!(
        effective(100, &[reversed(interface(0, true))]),
        Effective::Fault("interface eth1 is up (reverse)".to_owned())
    );
}

#[test]
fn the_cause_is_a_sentence() {
    let because = |tracker: Tracker, why: &str| fault(Tracker { why: why.to_owned(), ..tracker });
    for (said, sentence) in [
        (because(interface(0, false), "no carrier"), "interface eth1 is down (no carrier)"),
        (because(script(0, Some(false)), "exit status 1"), "script chk failed (exit status 1)"),
        (because(file(0, 5), "read from /x"), "track_file chk says 5 (weight 0)"),
        (because(reversed(file(0, 0)), ""), "track_file chk says 0 (weight 0 reverse)"),
        (fault(file(2, -127)), "track_file chk says -127 (weight 2: -254 is below -253)"),
        (fault(tracker(TrackerKind::Bfd, 0, Value::Down)), "bfd chk is down"),
        (
            because(tracker(TrackerKind::Process, 0, Value::Down), "no process runs, at least 1 should"),
            "process chk failed (no process runs, at least 1 should)",
        ),
        (because(reversed(script(0, Some(true))), "exit status 0"), "script chk succeeds (reverse)"),
    ] {
        assert_eq!(said, sentence);
    }
}

#[test]
fn a_tracker_without_a_result_holds_the_instance() {
    assert_eq!(
        effective(100, &[script(10, None), script(0, Some(true))]),
        Effective::Pending("script chk has no result yet".to_owned())
    );
    assert_eq!(effective(100, &[]), Effective::Priority(100));
}

fn any_tracker() -> impl Strategy<Value = Tracker> {
    let kinds = prop::sample::select(vec![
        TrackerKind::Script,
        TrackerKind::Interface,
        TrackerKind::File,
        TrackerKind::Process,
        TrackerKind::Bfd,
    ]);
    let number = prop_oneof![-300_i64..300, any::<i64>()];
    (kinds, -254_i16..=254, any::<bool>(), any::<bool>(), number).prop_map(
        |(kind, weight, reverse, up, number)| {
            let value = if kind == TrackerKind::File { Value::Number(number) } else { Value::of(up) };
            Tracker { reverse, ..tracker(kind, weight, value) }
        },
    )
}

proptest! {
    #[test]
    fn a_priority_is_always_one_that_may_be_sent(
        base in 1_u8..=255,
        trackers in prop::collection::vec(any_tracker(), 0..8),
    ) {
        match effective(base, &trackers) {
            Effective::Priority(255) => prop_assert_eq!(base, 255),
            Effective::Priority(priority) => prop_assert!((1..=254).contains(&priority) && base != 255),
            Effective::Fault(why) => prop_assert!(!why.is_empty()),
            Effective::Pending(why) => prop_assert!(false, "every tracker has a value: {}", why),
        }
    }

    #[test]
    fn trackers_have_no_order(base in 1_u8..=255, trackers in prop::collection::vec(any_tracker(), 0..6)) {
        let turned: Vec<Tracker> = trackers.iter().rev().cloned().collect();
        match (effective(base, &trackers), effective(base, &turned)) {
            (Effective::Fault(_), Effective::Fault(_)) => {}
            (one, other) => prop_assert_eq!(one, other),
        }
    }

    #[test]
    fn a_fault_is_one_trackers_and_stays_whatever_others_say(
        one in any_tracker(),
        rest in prop::collection::vec(any_tracker(), 0..6),
    ) {
        let mut all = rest.clone();
        all.push(one.clone());
        let is_fault = |trackers: &[Tracker]| matches!(effective(100, trackers), Effective::Fault(_));
        prop_assert_eq!(is_fault(&all), is_fault(&rest) || is_fault(&[one]));
    }

    #[test]
    fn reverse_turns_the_sign_of_a_weight(tracker in any_tracker()) {
        prop_assume!(tracker.weight != 0);
        let turned = Tracker { reverse: !tracker.reverse, ..tracker.clone() };
        prop_assert_eq!(contribution(&turned), -contribution(&tracker));
    }
}
