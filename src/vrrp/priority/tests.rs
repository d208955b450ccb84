use super::*;

fn script(weight: i16, up: Option<bool>) -> Tracker {
    Tracker { name: "chk".to_owned(), kind: TrackerKind::Script, weight, reverse: false, up }
}

fn interface(weight: i16, up: Option<bool>) -> Tracker {
    Tracker { name: "eth1".to_owned(), kind: TrackerKind::Interface, ..script(weight, up) }
}

fn reversed(tracker: Tracker) -> Tracker {
    Tracker { reverse: true, ..tracker }
}

#[test]
fn weights_count_in_their_own_state_alone() {
    // (weight, reverse, priority while up, priority while down), base 100.
    for (weight, reverse, up, down) in
        [(20, false, 120, 100), (-20, false, 100, 80), (20, true, 80, 100), (-20, true, 100, 120)]
    {
        let of = |state| effective(100, &[Tracker { reverse, ..script(weight, Some(state)) }]);
        assert_eq!(of(true), Effective::Priority(up), "weight {weight} reverse {reverse} up");
        assert_eq!(of(false), Effective::Priority(down), "weight {weight} reverse {reverse} down");
    }
}

#[test]
fn the_sum_is_held_within_1_and_254() {
    assert_eq!(effective(100, &[script(253, Some(true)), script(253, Some(true))]), Effective::Priority(254));
    assert_eq!(effective(100, &[script(-253, Some(false))]), Effective::Priority(1));
    assert_eq!(
        effective(100, &[script(100, Some(true)), interface(-30, Some(false)), script(5, Some(false))]),
        Effective::Priority(170)
    );
    assert_eq!(effective(100, &vec![script(i16::MAX, Some(true)); 1000]), Effective::Priority(254));
}

#[test]
fn the_owner_keeps_255_but_not_against_a_fault() {
    assert_eq!(effective(255, &[script(-50, Some(false)), script(50, Some(true))]), Effective::Priority(255));
    assert_eq!(
        effective(255, &[interface(0, Some(false))]),
        Effective::Fault("interface eth1 is down".to_owned())
    );
}

#[test]
fn weight_0_is_a_fault_and_every_culprit_is_named() {
    assert_eq!(
        effective(100, &[script(0, Some(false)), interface(0, Some(false)), script(10, None)]),
        Effective::Fault("script chk failed, interface eth1 is down".to_owned())
    );
    assert_eq!(effective(100, &[script(0, Some(true))]), Effective::Priority(100));
    assert_eq!(effective(100, &[reversed(script(0, Some(false)))]), Effective::Priority(100));
    assert_eq!(
        effective(100, &[reversed(interface(0, Some(true)))]),
        Effective::Fault("interface eth1 is up (reverse)".to_owned())
    );
}

#[test]
fn a_tracker_without_a_result_holds_the_instance() {
    assert_eq!(
        effective(100, &[script(10, None), script(0, Some(true))]),
        Effective::Pending("script chk has no result yet".to_owned())
    );
    assert_eq!(effective(100, &[]), Effective::Priority(100));
}
