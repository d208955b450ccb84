//! Windows, digests, dead relays.

use super::*;
use proptest::prelude::*;

fn event(n: u64) -> Event {
    Event { subject: format!("event {n}"), body: format!("=> body {n} <=\n\nCause: {n}\n"), at: 40_000 + n }
}

fn s(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The mail that goes now.
#[track_caller]
fn sent(outbox: &mut Outbox, now: Instant) -> Mail {
    match outbox.step(now) {
        Step::Send(mail) => {
            outbox.sent(now);
            mail
        }
        other => panic!("no mail: {other:?}"),
    }
}

#[test]
fn the_first_event_goes_at_once_and_the_rest_of_the_burst_as_one() {
    let mut outbox = Outbox::new(WINDOW);
    let start = crate::clock::now();
    assert_eq!(outbox.step(start), Step::Idle);
    outbox.push(event(1), start);
    let first = sent(&mut outbox, start);
    assert_eq!((first.subject(), first.body()), (event(1).subject, event(1).body));
    outbox.push(event(2), start + s(1));
    outbox.push(event(3), start + s(2));
    assert_eq!(outbox.step(start + s(3)), Step::Wait(start + s(10)));
    let digest = sent(&mut outbox, start + s(10));
    assert_eq!(digest.subject(), "2 events, the latest: event 3");
    assert_eq!(
        digest.body(),
        "=> 2 events <=\n\n11:06:42 UTC event 2\n    => body 2 <=\n    Cause: 2\n11:06:43 UTC event 3\n    => body 3 \
         <=\n    Cause: 3\n"
    );
    assert_eq!(outbox.pending(), 0);
    // The burst goes on: its next window is twice as long.
    outbox.push(event(4), start + s(11));
    assert_eq!(outbox.step(start + s(11)), Step::Wait(start + s(30)));
    let single = sent(&mut outbox, start + s(30));
    assert_eq!(single.subject(), "event 4", "one event needs no digest");
    // A whole window of silence: at once again, and short windows.
    outbox.push(event(5), start + s(200));
    sent(&mut outbox, start + s(200));
    outbox.push(event(6), start + s(201));
    assert_eq!(outbox.step(start + s(201)), Step::Wait(start + s(210)));
}

#[test]
fn windows_grow_up_to_a_limit() {
    let mut outbox = Outbox::new(WINDOW);
    let mut now = crate::clock::now();
    let mut waits = Vec::new();
    for n in 0..9 {
        outbox.push(event(n), now);
        match outbox.step(now) {
            Step::Wait(at) => {
                waits.push((at - now).as_secs());
                now = at;
                sent(&mut outbox, now);
            }
            Step::Send(_) => outbox.sent(now),
            Step::Idle => panic!("an event waits"),
        }
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn without_a_window_every_event_is_a_mail_of_its_own() {
    let mut outbox = Outbox::new(Duration::ZERO);
    let now = crate::clock::now();
    for n in 0..3 {
        outbox.push(event(n), now);
    }
    for n in 0..3 {
        assert_eq!(sent(&mut outbox, now).subject(), format!("event {n}"));
    }
    assert_eq!(outbox.step(now), Step::Idle);
}

#[test]
fn a_dead_relay_is_tried_later_and_later_and_given_up_after_an_hour() {
    let mut outbox = Outbox::new(WINDOW);
    let start = crate::clock::now();
    outbox.push(event(1), start);
    let mut now = start;
    let mut pauses = Vec::new();
    let given_up = loop {
        assert!(matches!(outbox.step(now), Step::Send(_)));
        let given_up = outbox.failed(now);
        if given_up > 0 {
            break given_up;
        }
        let Step::Wait(at) = outbox.step(now) else { panic!("it must be tried again") };
        pauses.push((at - now).as_secs());
        now = at;
    };
    assert_eq!((given_up, &pauses[..6]), (1, &[10, 20, 40, 80, 160, 300][..]));
    assert!(now - start >= GIVE_UP && now - start < GIVE_UP + LONGEST_PAUSE, "{:?}", now - start);
    assert_eq!(outbox.step(now + GIVE_UP), Step::Idle, "nothing waits");
    // The next one that gets through says how many are missing.
    outbox.push(event(2), now + GIVE_UP);
    let mail = sent(&mut outbox, now + GIVE_UP);
    assert_eq!(mail.subject(), "2 events, the latest: event 2");
    assert!(mail.body().contains("1 earlier events could not be mailed"), "{}", mail.body());
}

#[test]
fn what_came_while_the_relay_was_dead_is_in_the_same_mail_in_its_order() {
    let mut outbox = Outbox::new(WINDOW);
    let start = crate::clock::now();
    outbox.push(event(1), start);
    assert!(matches!(outbox.step(start), Step::Send(_)));
    outbox.push(event(2), start + s(1));
    assert_eq!(outbox.step(start + s(1)), Step::Idle, "one mail at a time");
    outbox.failed(start + s(2));
    let mail = sent(&mut outbox, start + s(12));
    assert_eq!(mail.events, [event(1), event(2)]);
}

#[test]
fn more_than_a_mail_lists_is_counted() {
    let mut outbox = Outbox::new(WINDOW);
    let now = crate::clock::now();
    for n in 0..LISTED as u64 + 7 {
        outbox.push(event(n), now);
    }
    let mail = sent(&mut outbox, now);
    assert_eq!((mail.events.len(), mail.older, mail.events[0].clone()), (LISTED, 7, event(7)));
    assert!(mail.body().contains("7 older events are not listed"));
    assert!(mail.subject().starts_with(&format!("{} events", LISTED + 7)));
}

#[test]
fn at_the_end_everything_goes_at_once() {
    let mut outbox = Outbox::new(WINDOW);
    let now = crate::clock::now();
    outbox.push(event(1), now);
    sent(&mut outbox, now);
    outbox.push(event(2), now);
    outbox.hurry();
    assert_eq!(sent(&mut outbox, now).events, [event(2)]);
}

#[derive(Clone, Debug)]
enum Op {
    Push(u16),
    Later(u64),
    Try(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (1..700u16).prop_map(Op::Push),
        (0..4000u64).prop_map(Op::Later),
        any::<bool>().prop_map(Op::Try)
    ]
}

proptest! {
    /// Whatever happens: every event is listed or counted in a delivered mail, or still pending; the memory stays
    /// bounded; mails are never closer than the first window.
    #[test]
    fn no_event_is_lost_uncounted(ops in proptest::collection::vec(op(), 0..60)) {
        let mut outbox = Outbox::new(WINDOW);
        let mut now = crate::clock::now();
        let (mut pushed, mut told) = (0u64, 0u64);
        let mut last: Option<Instant> = None;
        let mut newest_told = None;
        for op in ops {
            match op {
                Op::Push(n) => for _ in 0..n {
                    outbox.push(event(pushed), now);
                    pushed += 1;
                },
                Op::Later(secs) => now += Duration::from_secs(secs),
                Op::Try(good) => if let Step::Send(mail) = outbox.step(now) {
                    prop_assert!(last.is_none_or(|last| now - last >= WINDOW));
                    prop_assert!(mail.events.len() <= LISTED);
                    if good {
                        outbox.sent(now);
                        told += mail.count();
                        last = Some(now);
                        for event in &mail.events {
                            prop_assert!(newest_told.is_none_or(|told| event.at > told), "order");
                            newest_told = Some(event.at);
                        }
                    } else {
                        outbox.failed(now);
                    }
                },
            }
            prop_assert_eq!(pushed, told + outbox.pending());
            prop_assert!(outbox.waiting.len() <= LISTED);
        }
        // Patience brings it all out: an event more than an hour from now gets everything through.
        outbox.push(event(pushed), now);
        now += GIVE_UP;
        if let Step::Send(mail) = outbox.step(now) {
            outbox.sent(now);
            prop_assert_eq!(pushed + 1, told + mail.count());
        }
    }
}
