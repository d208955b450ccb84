//! Timers, poll sequences, passive role, demand mode.

use super::*;

#[test]
fn two_sessions_come_up_by_the_three_way_handshake() {
    let now = Instant::now();
    let mut a = Session::new(params(), 1, 1, now);
    let mut b = Session::new(params(), 2, 2, now);
    let first = sent(&a.handle(Event::Timeout, now))[0];
    assert_eq!((first.state, first.your_discriminator), (State::Down, 0));
    let second = sent(&b.handle(Event::Packet(first), now))[0];
    assert_eq!((second.state, second.your_discriminator), (State::Init, 1));
    let third = sent(&a.handle(Event::Packet(second), now))[0];
    assert_eq!((third.state, third.your_discriminator), (State::Up, 2));
    let fourth = sent(&b.handle(Event::Packet(third), now))[0];
    assert_eq!((fourth.state, a.state(), b.state()), (State::Up, State::Up, State::Up));
    assert_eq!(a.cause().to_string(), "the neighbour is heard, its state is INIT");
}

#[test]
fn while_not_up_one_packet_a_second_and_jitter_below() {
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(params(), OWN, 5, now);
    assert_eq!(session.deadline(), Some(start), "the first one is due at once");
    let mut times = Vec::new();
    for _ in 0..200 {
        let packets = sent(&due(&mut session, &mut now));
        assert_eq!(packets.len(), 1);
        assert_eq!((packets[0].desired_min_tx, packets[0].required_min_rx), (1_000_000, 10_000));
        times.push(now);
    }
    let gaps: Vec<Duration> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.iter().all(|gap| (ms(750)..=ms(1000)).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < ms(800)) && gaps.iter().any(|gap| *gap > ms(950)), "no jitter");
    // Another seed, other times.
    let mut other = Session::new(params(), OWN, 6, start);
    let mut then = start;
    due(&mut other, &mut then);
    due(&mut other, &mut then);
    assert_ne!(then, times[1]);
}

#[test]
fn with_multiplier_one_jitter_stays_below_ninety_percent() {
    let mut now = Instant::now();
    let mut session = Session::new(Params { multiplier: 1, ..params() }, OWN, 5, now);
    let mut last = now;
    due(&mut session, &mut now);
    for _ in 0..200 {
        due(&mut session, &mut now);
        assert!((ms(750)..=ms(900)).contains(&(now - last)), "{:?}", now - last);
        last = now;
    }
}

#[test]
fn the_pace_is_the_slower_of_what_one_wants_and_the_other_takes() {
    let now = Instant::now();
    // (own min_tx, the neighbour's required) -> interval.
    for (min_tx, required, expected) in [(10, 10_000, 10), (10, 300_000, 300), (200, 10_000, 200)] {
        let mut session = session_in(State::Up, now);
        session.handle(Event::Params(Params { min_tx: ms(min_tx), ..params() }), now);
        let up = Control { required_min_rx: required, ..heard(State::Up) };
        session.handle(Event::Packet(Control { is_final: true, ..up }), now);
        session.handle(Event::Packet(Control { is_final: true, ..up }), now);
        assert_eq!(session.transmit_interval(), Some(ms(expected)));
    }
    // The detection time: the neighbour's multiplier, the slower of its pace and what we take.
    for (min_rx, desired, multiplier, expected) in
        [(10, 10_000, 3, 30), (10, 100_000, 3, 300), (400, 10_000, 2, 800)]
    {
        let mut session = Session::new(Params { min_rx: ms(min_rx), ..params() }, OWN, 1, now);
        let up = Control { desired_min_tx: desired, multiplier, ..heard(State::Up) };
        session.handle(Event::Packet(Control { state: State::Init, ..up }), now);
        session.handle(Event::Packet(up), now);
        assert_eq!(session.detection_time(), Some(ms(expected)));
    }
}

#[test]
fn silence_is_a_failure_exactly_at_the_detection_time() {
    let start = Instant::now();
    let mut session = settled(start);
    assert_eq!(session.detection_time(), Some(ms(30)));
    session.handle(Event::Timeout, start + ms(30) - Duration::from_micros(1));
    assert_eq!(session.state(), State::Up);
    let actions = session.handle(Event::Timeout, start + ms(30));
    assert_eq!(session.state(), State::Down);
    assert_eq!(sent(&actions)[0].diagnostic, Diagnostic::DetectionTimeExpired);
    assert_eq!(session.cause().to_string(), "no packet was heard for 0.030 s (detection time 0.030 s)");
    // Slow again, and the neighbour's wishes are forgotten with it.
    assert_eq!(session.transmit_interval(), Some(ms(1000)));
    assert_eq!(session.detection_time(), None);
}

#[test]
fn in_down_silence_only_forgets_the_neighbours_number() {
    let start = Instant::now();
    let mut session = Session::new(params(), OWN, 1, start);
    session.handle(Event::Packet(heard(State::AdminDown)), start);
    assert_eq!(session.packet().your_discriminator, THEIRS);
    let actions = session.handle(Event::Timeout, start + ms(3000));
    assert!(transitions(&actions).is_empty());
    assert_eq!(session.packet().your_discriminator, 0);
}

#[test]
fn up_begins_with_a_poll_on_periodic_packets_until_it_is_answered() {
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(params(), OWN, 1, now);
    let told = sent(&session.handle(Event::Packet(heard(State::Init)), now));
    assert!(!told[0].poll, "the poll bit rides on periodic packets");
    assert_eq!(told[0].desired_min_tx, 10_000);
    for _ in 0..2 {
        let periodic = sent(&due(&mut session, &mut now));
        assert!(periodic[0].poll, "asked again until answered");
    }
    assert!(now - start <= ms(20), "a faster pace counts at once: {:?}", now - start);
    session.handle(Event::Packet(Control { is_final: true, ..heard(State::Up) }), now);
    assert!(!sent(&due(&mut session, &mut now))[0].poll);
}

#[test]
fn a_poll_is_answered_at_once_in_every_state_and_role() {
    let now = Instant::now();
    for own in [State::Down, State::Init, State::Up] {
        for passive in [false, true] {
            let mut session = session_in(own, now);
            session.handle(Event::Params(Params { passive, ..params() }), now);
            let ask = Control { poll: true, demand: true, required_min_rx: 0, ..heard(State::Up) };
            let answers = sent(&session.handle(Event::Packet(ask), now));
            assert_eq!(answers.len(), 1, "{own}");
            assert!(answers[0].is_final && !answers[0].poll);
            assert_eq!(answers[0].state, session.state(), "the answer has the new state");
        }
    }
}

#[test]
fn an_answer_does_not_delay_the_periodic_packets() {
    let now = Instant::now();
    let mut session = settled(now);
    let before = session.deadline();
    session.handle(Event::Packet(Control { poll: true, ..heard(State::Up) }), now);
    assert_eq!(session.deadline(), before);
}

#[test]
fn slower_waits_for_the_answer_and_faster_does_not() {
    let now = Instant::now();
    let up = heard(State::Up);
    let answer = Control { is_final: true, ..up };
    // Slower sending: the old pace until the neighbour knows.
    let mut session = settled(now);
    session.handle(Event::Params(Params { min_tx: ms(200), ..params() }), now);
    assert_eq!((session.transmit_interval(), session.packet().desired_min_tx), (Some(ms(10)), 200_000));
    session.handle(Event::Packet(up), now);
    assert_eq!(session.transmit_interval(), Some(ms(10)), "no answer yet");
    session.handle(Event::Packet(answer), now);
    assert_eq!(session.transmit_interval(), Some(ms(200)));
    // Faster sending: at once.
    session.handle(Event::Params(params()), now);
    assert_eq!(session.transmit_interval(), Some(ms(10)));
    session.handle(Event::Packet(answer), now);
    // Expecting fewer: at once; expecting more: when the neighbour knows.
    session.handle(Event::Params(Params { min_rx: ms(200), ..params() }), now);
    assert_eq!(session.detection_time(), Some(ms(600)));
    session.handle(Event::Packet(answer), now);
    session.handle(Event::Params(params()), now);
    assert_eq!((session.detection_time(), session.packet().required_min_rx), (Some(ms(600)), 10_000));
    session.handle(Event::Packet(answer), now);
    assert_eq!(session.detection_time(), Some(ms(30)));
    assert_eq!(session.state(), State::Up);
}

#[test]
fn a_change_during_a_poll_takes_an_answer_of_its_own() {
    let now = Instant::now();
    let answer = Control { is_final: true, ..heard(State::Up) };
    let mut session = settled(now);
    session.handle(Event::Params(Params { min_tx: ms(200), ..params() }), now);
    session.handle(Event::Params(Params { min_tx: ms(400), ..params() }), now);
    session.handle(Event::Packet(answer), now);
    assert_eq!(session.transmit_interval(), Some(ms(10)), "that answer may be to the first");
    session.handle(Event::Packet(answer), now);
    assert_eq!(session.transmit_interval(), Some(ms(400)));
}

#[test]
fn while_not_up_a_change_needs_no_poll() {
    let mut now = Instant::now();
    let mut session = session_in(State::Init, now);
    session.handle(Event::Params(Params { idle_tx: ms(3000), min_rx: ms(50), ..params() }), now);
    assert_eq!(session.transmit_interval(), Some(ms(3000)));
    let packet = sent(&due(&mut session, &mut now))[0];
    assert_eq!((packet.poll, packet.desired_min_tx, packet.required_min_rx), (false, 3_000_000, 50_000));
}

#[test]
fn after_admin_down_only_up_and_a_failure_from_there_count() {
    let start = Instant::now();
    let mut session = settled(start);
    session.handle(Event::Packet(heard(State::AdminDown)), start);
    session.handle(Event::Timeout, start + ms(10_000));
    assert_eq!((session.state(), session.counts_as_up()), (State::Down, true), "it may be silent then");
    let back = start + ms(20_000);
    session.handle(Event::Packet(heard(State::Down)), back);
    assert_eq!((session.state(), session.counts_as_up()), (State::Init, true), "it comes back");
    session.handle(Event::Packet(heard(State::Up)), back);
    session.handle(Event::Timeout, back + ms(10_000));
    assert_eq!((session.state(), session.counts_as_up()), (State::Down, false));
}

#[test]
fn the_passive_side_speaks_when_spoken_to() {
    let mut now = Instant::now();
    let mut session = Session::new(Params { passive: true, ..params() }, OWN, 1, now);
    assert_eq!(session.deadline(), None);
    let told = sent(&session.handle(Event::Packet(heard(State::Down)), now));
    assert_eq!(told[0].state, State::Init);
    assert_eq!(session.transmit_interval(), Some(ms(1000)));
    session.handle(Event::Packet(heard(State::Up)), now);
    assert_eq!(session.state(), State::Up);
    // The neighbour dies: silent again.
    now += ms(10_000);
    let actions = session.handle(Event::Timeout, now);
    assert_eq!((session.state(), session.deadline()), (State::Down, None));
    assert!(sent(&actions).is_empty());
}

#[test]
fn a_neighbour_in_demand_mode_gets_no_periodic_packets_while_both_are_up() {
    let now = Instant::now();
    let mut session = settled(now);
    session.handle(Event::Packet(Control { demand: true, ..heard(State::Up) }), now);
    assert_eq!(session.transmit_interval(), None);
    assert_eq!(session.deadline(), Some(now + ms(30)), "its own silence still counts");
    // A poll of ours sends again until it is answered.
    session.handle(Event::Params(Params { min_rx: ms(20), ..params() }), now);
    assert_eq!(session.transmit_interval(), Some(ms(10)));
    session.handle(Event::Packet(Control { demand: true, is_final: true, ..heard(State::Up) }), now);
    assert_eq!(session.transmit_interval(), None);
    // Demand mode holds only while both are Up.
    session.handle(Event::Packet(Control { demand: true, ..heard(State::Init) }), now);
    assert_eq!(session.transmit_interval(), Some(ms(10)));
}

#[test]
fn a_neighbour_that_takes_nothing_gets_nothing() {
    let now = Instant::now();
    let mut session = settled(now);
    let actions = session.handle(Event::Packet(Control { required_min_rx: 0, ..heard(State::Down) }), now);
    assert_eq!((session.state(), session.transmit_interval()), (State::Down, None));
    assert!(sent(&actions).is_empty());
    // It falls silent: whoever comes back is a new one.
    session.handle(Event::Timeout, now + ms(5000));
    assert_eq!(session.transmit_interval(), Some(ms(1000)));
}

#[test]
fn a_faster_neighbour_moves_the_next_packet_forward() {
    let now = Instant::now();
    let slow = Control { required_min_rx: 5_000_000, ..heard(State::Up) };
    let mut session = settled(now);
    session.handle(Event::Packet(slow), now);
    session.handle(Event::Timeout, now + ms(15));
    let planned = session.pace.next.unwrap().0;
    assert!(planned >= now + ms(3000), "{planned:?}");
    session.handle(Event::Packet(heard(State::Up)), now + ms(20));
    assert!(session.pace.next.unwrap().0 <= now + ms(20));
}

#[test]
fn a_late_machine_sends_one_packet_and_not_those_it_missed() {
    let start = Instant::now();
    let mut session = settled(start);
    let late = start + ms(500);
    session.handle(Event::Packet(heard(State::Up)), late);
    assert_eq!(sent(&session.handle(Event::Timeout, late)).len(), 1);
    assert!(sent(&session.handle(Event::Timeout, late)).is_empty());
    assert!(session.deadline() > Some(late));
}
