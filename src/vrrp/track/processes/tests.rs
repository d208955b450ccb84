use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn block(words: &[&str]) -> TrackProcess {
    TrackProcess::new("p".to_owned(), words.iter().map(|word| (*word).to_owned()).collect())
}

fn seen(comm: &str, command: &[&str]) -> Seen {
    Seen { comm: comm.into(), command: command.iter().map(|word| (*word).into()).collect() }
}

fn running(pids: std::ops::Range<u32>) -> BTreeMap<u32, Seen> {
    pids.map(|pid| (pid, seen("nginx", &[]))).collect()
}

#[test]
fn names_and_commands_and_parameters() {
    let nginx = seen("nginx", &["nginx: worker process"]);
    let sleep = seen("sleep", &["/usr/bin/sleep", "100"]);
    let sleeps = seen("sleep", &["/usr/bin/sleep", "100", "200"]);
    let bare = seen("sleep", &["sleep"]);
    let long = seen("a-very-long-nam", &["/opt/a-very-long-name-of-it", "x"]);
    let kernel = seen("kworker/0:1", &[]);
    let means = |block: TrackProcess, seen: &Seen| Pattern::of(&block).means(seen);
    // The name alone: exactly, as far as the kernel keeps it.
    assert!(means(block(&["nginx"]), &nginx));
    assert!(!means(block(&["ngin"]), &nginx));
    assert!(!means(block(&["nginxx"]), &nginx));
    assert!(means(block(&["a-very-long-name-of-it"]), &long));
    assert!(means(block(&["sleep"]), &sleeps), "parameters are no matter");
    assert!(!means(block(&[""]), &seen("", &[])), "no name is nobody's");
    // A path is a command.
    assert!(means(block(&["/usr/bin/sleep"]), &sleep));
    assert!(!means(block(&["/bin/sleep"]), &sleep));
    let full = |words: &[&str]| TrackProcess { full_command: true, ..block(words) };
    assert!(means(full(&["sleep"]), &sleep));
    assert!(!means(full(&["nginx"]), &nginx), "it calls itself otherwise");
    assert!(!means(full(&["kworker/0:1"]), &kernel));
    // Parameters.
    assert!(means(block(&["sleep", "100"]), &sleep));
    assert!(!means(block(&["sleep", "100"]), &sleeps));
    assert!(!means(block(&["sleep", "10"]), &sleep));
    assert!(!means(block(&["sleep", "100"]), &bare));
    let with = |compare, words: &[&str]| TrackProcess { param_match: Some(compare), ..block(words) };
    for (compare, words, seen, expected) in [
        (ParamMatch::Partial, &["sleep", "100"][..], &sleeps, true),
        (ParamMatch::Partial, &["sleep", "10"], &sleeps, false),
        (ParamMatch::Partial, &["sleep", "100", "200", "300"], &sleeps, false),
        (ParamMatch::Initial, &["sleep", "10"], &sleep, true),
        (ParamMatch::Initial, &["sleep", "100", "2"], &sleeps, true),
        (ParamMatch::Initial, &["sleep", "10", "200"], &sleeps, false),
        (ParamMatch::Initial, &["sleep", "1000"], &sleep, false),
        (ParamMatch::Initial, &["sleep"], &bare, true),
        (ParamMatch::Partial, &["sleep"], &sleep, false),
    ] {
        assert_eq!(means(with(compare, words), seen), expected, "{compare:?} {words:?} {seen:?}");
    }
    assert!(!Pattern::of(&block(&["sleep"])).needs_command());
    assert!(Pattern::of(&block(&["sleep", "1"])).needs_command());
}

fn plan(quorum: Option<u16>, quorum_max: Option<u16>) -> ProcessPlan {
    ProcessPlan::of(&TrackProcess { quorum, quorum_max, ..block(&["nginx"]) })
}

#[test]
fn a_quorum_has_two_ends() {
    for (quorum, most, right) in [
        (None, None, "1 2 3 4"),
        (Some(2), None, "2 3 4"),
        (None, Some(2), "1 2"),
        (Some(2), Some(3), "2 3"),
        (None, Some(0), "0"),
        (Some(3), Some(2), ""),
    ] {
        let plan = plan(quorum, most);
        let counts: Vec<String> = (0..5).filter(|n| plan.right(*n)).map(|n| n.to_string()).collect();
        assert_eq!(counts.join(" "), right, "quorum {quorum:?} quorum_max {most:?}");
    }
    assert_eq!(plan(Some(3), None).words(2), "2 processes run, at least 3 should");
    assert_eq!(plan(None, Some(0)).words(1), "1 process runs, at most 0 should");
    assert_eq!(plan(Some(2), Some(3)).words(0), "no process runs, 2 to 3 should");
    assert_eq!(plan(None, None).words(1), "1 process runs");
}

#[test]
fn processes_come_and_go() {
    let now = crate::clock::now();
    let (mut census, flips) =
        Census::new(vec![plan(Some(2), None)], &running(10..12), Census::default(), now);
    assert_eq!(flips, []);
    assert_eq!(census.value("p"), Some((true, "2 processes run".to_owned())));
    let down = Flip { name: "p".to_owned(), up: false, why: "1 process runs, at least 2 should".to_owned() };
    assert_eq!(census.ended(10, now), std::slice::from_ref(&down));
    assert_eq!(census.ended(10, now), [], "once");
    // A copy of its parent, until it is another program.
    assert!(census.is(13, &seen("nginx", &[]), now)[0].up);
    assert_eq!(census.is(13, &seen("sh", &[]), now), [down]);
}

#[test]
fn the_two_delays_belong_to_forks_and_ends() {
    let now = crate::clock::now();
    let plan = ProcessPlan { fork_delay: SECOND * 2, terminate_delay: SECOND * 5, ..plan(None, Some(1)) };
    let (mut census, _) = Census::new(vec![plan], &running(10..11), Census::default(), now);
    // One too many: by a fork.
    assert_eq!(census.is(11, &seen("nginx", &[]), now), []);
    assert_eq!(census.deadline(), Some(now + SECOND * 2));
    assert_eq!(census.ended(11, now + SECOND), [], "gone in time");
    assert_eq!(census.deadline(), None);
    // None left: by an end.
    assert_eq!(census.ended(10, now + SECOND), []);
    assert_eq!(census.fire(now + SECOND * 5), []);
    let flips = census.fire(now + SECOND * 6);
    assert_eq!(flips[0].why, "no process runs, 1 to 1 should");
    assert!(!flips[0].up);
}

#[test]
fn a_reload_keeps_what_is_unchanged() {
    let now = crate::clock::now();
    let slow = ProcessPlan { terminate_delay: SECOND, ..plan(None, None) };
    let (mut census, _) = Census::new(vec![slow.clone()], &running(10..11), Census::default(), now);
    census.ended(10, now);
    let other = ProcessPlan { name: "q".to_owned(), ..plan(None, None) };
    let (mut census, flips) = Census::new(vec![slow, other], &running(0..0), census, now);
    assert_eq!(flips, []);
    assert_eq!(census.value("p").map(|value| value.0), Some(true), "its wait goes on");
    assert_eq!(census.value("q").map(|value| value.0), Some(false));
    assert_eq!(census.fire(now + SECOND).len(), 1);
}

proptest! {
    /// One by one or all at once: the census knows the same.
    #[test]
    fn events_and_readings_agree(steps in prop::collection::vec((0_u32..6, any::<bool>()), 0..40)) {
        let now = crate::clock::now();
        let plans = vec![plan(Some(2), Some(4))];
        let (mut by_event, _) = Census::new(plans.clone(), &BTreeMap::new(), Census::default(), now);
        let mut alive: BTreeMap<u32, Seen> = BTreeMap::new();
        for (pid, lives) in steps {
            if lives {
                alive.insert(pid, seen("nginx", &[]));
                by_event.is(pid, &seen("nginx", &[]), now);
            } else {
                alive.remove(&pid);
                by_event.ended(pid, now);
            }
            let (by_reading, _) = Census::new(plans.clone(), &alive, Census::default(), now);
            prop_assert_eq!(by_event.value("p"), by_reading.value("p"));
        }
    }
}
