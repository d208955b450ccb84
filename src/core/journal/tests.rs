use proptest::prelude::*;

use super::*;

fn about(subject: &str, text: &str) -> EventView {
    EventView { subject: subject.to_owned(), text: text.to_owned(), ..EventView::default() }
}

fn numbers<'a>(events: impl Iterator<Item = &'a Arc<EventView>>) -> Vec<u64> {
    events.map(|event| event.number).collect()
}

#[test]
fn events_are_numbered_and_the_oldest_is_forgotten() {
    let mut journal = Journal::default();
    assert_eq!((journal.last(), journal.forgotten()), (0, 0));
    for n in 0..EVENTS + 3 {
        journal.push(about(if n % 2 == 0 { "A" } else { "B" }, "x"));
    }
    assert_eq!((journal.last(), journal.forgotten()), (EVENTS as u64 + 3, 3));
    assert_eq!(numbers(journal.since(EVENTS as u64 + 1)), [EVENTS as u64 + 2, EVENTS as u64 + 3]);
    assert_eq!(journal.since(0).count(), EVENTS);
    assert_eq!(journal.since(journal.last()).count(), 0);
    // One of another journal, of the time before the machine's last start: here nothing is known to who has that.
    assert_eq!((journal.since(u64::MAX).count(), journal.missed(u64::MAX)), (EVENTS, 3));
    assert_eq!(journal.of_subject("A").count() + journal.of_subject("B").count(), EVENTS);
    assert_eq!(journal.of_subject("C").count(), 0);
}

#[test]
fn what_is_asked_for() {
    let mut journal = Journal::default();
    for n in 1..=10 {
        let mut event = about("VI_1", &n.to_string());
        event.kind = if n % 2 == 0 { "check" } else { "transition" }.to_owned();
        event.real_server = (n % 5 == 0).then(|| "10.1.0.1:80".to_owned());
        journal.push(event);
    }
    let (events, newest) = (journal.all().cloned().collect(), journal.last());
    let all = Excerpt { events, newest, forgotten: 4, missed: 2, journal: "x".to_owned() };
    let ask = |since: Option<u64>, subject: Option<&str>, kind: Option<&str>, limit: Option<usize>| {
        let (subject, kind) = (subject.map(str::to_owned), kind.map(str::to_owned));
        let view = view(&all, &EventQuery { since, subject, kind, limit, discreet: false });
        assert_eq!((view.forgotten, view.missed, view.newest, view.journal.as_str()), (4, 2, 10, "x"));
        view.events.iter().map(|event| event.number).collect::<Vec<_>>()
    };
    assert_eq!(ask(None, None, None, Some(3)), [8, 9, 10], "the newest");
    assert_eq!(ask(Some(4), None, None, Some(3)), [5, 6, 7], "the next");
    assert_eq!(ask(None, Some("10.1.0.1:80"), None, None), [5, 10]);
    assert_eq!(ask(None, Some("VI_1"), Some("check"), Some(2)), [8, 10]);
    assert!(ask(Some(10), None, None, None).is_empty());
    assert_eq!(ask(Some(11), None, None, Some(2)), [1, 2], "of another journal");
    assert!(ask(None, Some("VI_2"), None, None).is_empty());
}

#[test]
fn the_network_is_told_no_details_but_those_of_transitions() {
    let of = |kind: &str| {
        let details = Some(serde_json::json!({ "text": "reloaded /etc/x: weight 1 -> 2" }));
        Arc::new(EventView { kind: kind.to_owned(), details, ..about("", "reloaded") })
    };
    let all = Excerpt { events: ["transition", "reload", "command"].map(of).into(), ..Excerpt::default() };
    for (discreet, wanted) in [(true, [true, false, false]), (false, [true; 3])] {
        let told = view(&all, &EventQuery { discreet, ..EventQuery::default() }).events;
        assert_eq!(told.iter().map(|event| event.details.is_some()).collect::<Vec<_>>(), wanted);
        assert_eq!(told[1].whole_text() == "reloaded", discreet);
    }
}

#[test]
fn one_event_cannot_take_all_the_room() {
    let mut journal = Journal::default();
    let kept = journal.push(about("A", &"ä".repeat(TEXT)));
    assert!(kept.text.len() <= TEXT + '…'.len_utf8() && kept.text.ends_with('…'));
    let mut large = about("A", "x");
    large.details = Some(serde_json::json!({ "why": "y".repeat(DETAILS) }));
    assert_eq!(journal.push(large).details, None);
    let mut fits = about("A", "x");
    fits.details = Some(serde_json::json!({ "why": "y".repeat(DETAILS / 2) }));
    for _ in 0..EVENTS {
        assert!(journal.push(fits.clone()).details.is_some());
    }
    assert!(journal.bytes <= BYTES && journal.all().count() < EVENTS, "{}", journal.all().count());
}

#[test]
fn a_flood_of_checks_leaves_what_is_rare() {
    let mut journal = Journal::default();
    let of = |kind: &str| EventView { kind: kind.to_owned(), ..about("A", "x") };
    for _ in 0..10 {
        journal.push(of("transition"));
    }
    for _ in 0..EVENTS * 3 {
        journal.push(of("check"));
    }
    let count = |journal: &Journal, kind: &str| journal.all().filter(|event| event.kind == kind).count();
    assert_eq!((count(&journal, "transition"), count(&journal, "check")), (10, EVENTS - 10));
    assert_eq!(journal.forgotten(), EVENTS as u64 * 2 + 10);
    assert_eq!(journal.since(journal.last() - 5).count(), 5);
    // Once the flood is over it is forgotten like everything else.
    for _ in 0..EVENTS * 3 {
        journal.push(of("transition"));
    }
    assert_eq!(count(&journal, "transition") + count(&journal, "check"), EVENTS);
    assert_eq!(journal.floods, count(&journal, "check"));
}

/// The floods of a mass failure are forgotten before what is older.
#[test]
fn what_is_missed_is_counted_where_it_was() {
    let mut journal = Journal::default();
    let of = |kind: &str| EventView { kind: kind.to_owned(), ..about("A", "x") };
    for _ in 0..EVENTS / 2 {
        journal.push(of("transition"));
    }
    for _ in 0..EVENTS {
        journal.push(of("check"));
    }
    // Kept are 1 to 1000 and 2001 to 3000.
    assert_eq!((journal.last(), journal.forgotten()), (3000, 1000));
    for (known, missed) in
        [(0, 1000), (500, 1000), (1000, 1000), (1500, 500), (2000, 0), (3000, 0), (3001, 1000)]
    {
        assert_eq!(journal.missed(known), missed, "{known}");
        let given = journal.since(known).count() as u64;
        let wanted = if known > 3000 { 3000 } else { 3000 - known };
        assert_eq!(given + missed, wanted, "{known}");
    }
}

#[test]
fn numbers_that_a_dead_process_gave_are_not_given_again() {
    // 101 to 105 went out, and not into the file.
    let mut journal = Journal::restored((99..=100).map(|number| EventView { number, ..about("A", "x") }));
    journal.skip_to(105);
    assert_eq!((journal.last(), journal.missed(100), journal.missed(105)), (105, 5, 0));
    assert_eq!(journal.push(about("A", "y")).number, 106);
    assert_eq!((numbers(journal.since(105)), journal.missed(105)), (vec![106], 0));
    assert_eq!((numbers(journal.since(99)), journal.missed(99)), (vec![100, 106], 5));
    journal.skip_to(9);
    assert_eq!(journal.last(), 106, "what is known already");
}

#[test]
fn numbers_go_on_where_they_ended() {
    let kept = [3, 4, 4, 2, 9].map(|number| EventView { number, ..about("A", "x") });
    let mut journal = Journal::restored(kept);
    assert_eq!(numbers(journal.all()), [3, 4, 9]);
    assert_eq!((journal.push(about("A", "y")).number, journal.forgotten()), (10, 6));
}

proptest! {
    #[test]
    fn the_bounds_hold_and_numbers_never_come_twice(sizes in prop::collection::vec(0..3 * TEXT, 1..300)) {
        let mut journal = Journal::default();
        let mut last = 0;
        for size in sizes {
            let event = journal.push(about("A", &"z".repeat(size)));
            prop_assert_eq!(event.number, last + 1);
            last = event.number;
            prop_assert!(journal.bytes <= BYTES && journal.all().count() <= EVENTS);
            let sum: usize = journal.events.iter().map(|(_, size, _)| size).sum();
            prop_assert_eq!(sum, journal.bytes);
        }
        prop_assert_eq!(journal.last(), last);
    }
}

#[test]
fn a_master_that_went_on_is_one_since_before() {
    let mut journal = Journal::default();
    let mut tell = |at: u32, name: &str, to: &str, cause: &str| {
        let mut event = events::event("info", "transition", name, "x");
        (event.at, event.to, event.cause) = (at.to_string(), Some(to.to_owned()), Some(cause.to_owned()));
        journal.push(event);
    };
    tell(1, "lost", "MASTER", "master_down");
    tell(2, "taken", "MASTER", "master_down");
    tell(3, "forgotten", "MASTER", "resumed");
    tell(4, "back", "MASTER", "master_down");
    tell(5, "back", "FAULT", "fault");
    tell(6, "taken", "MASTER", "resumed");
    tell(7, "lost", "BACKUP", "higher_priority");
    tell(8, "taken", "MASTER", "resumed");
    tell(9, "back", "MASTER", "master_down");
    tell(10, "odd", "FAULT", "fault");
    tell(11, "odd", "MASTER", "resumed");
    let since = masters_since(journal.all());
    let since: Vec<(&str, &str)> = since.iter().map(|(name, at)| (name.as_str(), at.as_str())).collect();
    assert_eq!(since, [("back", "9"), ("odd", "11"), ("taken", "2")]);
}
