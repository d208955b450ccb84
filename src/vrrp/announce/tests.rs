use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a schedule by its own deadlines; (seconds, packets) of each burst up to the end.
fn bursts(schedule: &mut Schedule, start: Instant, end: Duration) -> Vec<(u64, u32)> {
    let mut seen = Vec::new();
    while let Some(at) = schedule.deadline().filter(|at| *at <= start + end) {
        let packets = schedule.due(at);
        assert!(packets > 0, "a deadline with nothing to do");
        assert_eq!(schedule.due(at), 0, "said twice");
        seen.push((at.duration_since(start).as_secs(), packets));
    }
    seen
}

#[test]
fn five_at_once_and_five_after_five_seconds() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Garp::default());
    assert_eq!(schedule.deadline(), None);
    assert_eq!(schedule.due(start), 0);
    schedule.begin(Occasion::BecameMaster, start);
    assert_eq!(bursts(&mut schedule, start, secs(100)), [(0, 5), (5, 5)]);
    assert_eq!(schedule.deadline(), None);
}

#[test]
fn refresh_goes_on_while_master() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Garp {
        master_delay: secs(1),
        master_repeat: 2,
        master_refresh: secs(2),
        master_refresh_repeat: 3,
        ..Garp::default()
    });
    schedule.begin(Occasion::BecameMaster, start);
    assert_eq!(bursts(&mut schedule, start, secs(7)), [(0, 2), (1, 2), (2, 3), (4, 3), (6, 3)]);
    schedule.stop();
    assert_eq!(schedule.deadline(), None);
}

#[test]
fn a_lower_priority_has_its_own_settings_and_leaves_the_refresh_alone() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Garp {
        lower_prio_delay: secs(3),
        lower_prio_repeat: 4,
        master_refresh: secs(10),
        ..Garp::default()
    });
    schedule.begin(Occasion::BecameMaster, start);
    assert_eq!(bursts(&mut schedule, start, secs(1)), [(0, 5)]);
    schedule.begin(Occasion::LowerPriorityHeard, start + secs(2));
    assert_eq!(bursts(&mut schedule, start, secs(20)), [(2, 4), (5, 4), (10, 1), (20, 1)]);
}

#[test]
fn lower_prio_repeat_zero_says_nothing() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Garp { lower_prio_repeat: 0, ..Garp::default() });
    schedule.begin(Occasion::LowerPriorityHeard, start);
    assert_eq!(schedule.deadline(), None);
}

#[test]
fn bursts_that_fall_together_are_one_and_late_ones_are_not_made_up_for() {
    let start = Instant::now();
    let settings = Garp { master_refresh: secs(1), ..Garp::default() };
    let mut schedule = Schedule::new(settings);
    schedule.begin(Occasion::BecameMaster, start);
    assert_eq!(schedule.due(start + secs(60)), 5);
    assert_eq!(schedule.deadline(), Some(start + secs(61)));
    schedule.set(Garp { master_refresh: secs(7), ..settings }, start + secs(60));
    assert_eq!(schedule.deadline(), Some(start + secs(67)));
}

#[test]
fn no_delay_means_no_second_burst() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Garp { master_delay: Duration::ZERO, ..Garp::default() });
    schedule.begin(Occasion::BecameMaster, start);
    assert_eq!(bursts(&mut schedule, start, secs(100)), [(0, 5)]);
}

#[test]
fn further_interfaces_have_a_period_of_their_own() {
    let start = Instant::now();
    let settings = Garp { master_delay: Duration::ZERO, extra: secs(2), ..Garp::default() };
    let mut schedule = Schedule::new(settings);
    schedule.begin(Occasion::BecameMaster, start);
    assert_eq!((schedule.due(start), schedule.extra_due(start)), (5, false));
    for second in [2, 4] {
        assert_eq!(schedule.deadline(), Some(start + secs(second)));
        assert_eq!(schedule.due(start + secs(second)), 0);
        assert!(schedule.extra_due(start + secs(second)) && !schedule.extra_due(start + secs(second)));
    }
    schedule.set(Garp { extra: Duration::ZERO, ..settings }, start + secs(5));
    assert_eq!(schedule.deadline(), None);
    schedule.set(settings, start + secs(5));
    assert_eq!(schedule.deadline(), Some(start + secs(7)));
    schedule.stop();
    schedule.set(Garp { extra: secs(9), ..settings }, start + secs(6));
    assert_eq!(schedule.deadline(), None, "a backup says nothing");
}

#[test]
fn a_second_holder_is_answered_by_one_burst() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Garp::default());
    schedule.begin(Occasion::OtherHolder, start);
    assert_eq!(bursts(&mut schedule, start, secs(100)), [(0, 5)]);
}
