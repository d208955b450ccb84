//! Random operations: what must hold after each of them.

use proptest::prelude::*;

use super::*;

/// One random step.
#[derive(Clone, Debug)]
enum Step {
    Packet(Control),
    /// At the deadline, this many milliseconds late.
    Due(u64),
    /// Whatever time it is.
    Timeout,
    Params(Params),
    Remove,
    Stop,
}

fn any_params() -> impl Strategy<Value = Params> {
    // Zeros too: a mistake of a caller must not make a busy loop.
    (0..300_u64, 0..300_u64, 0..3000_u64, 0..=255_u8, any::<bool>()).prop_map(
        |(min_tx, min_rx, idle_tx, multiplier, passive)| Params {
            min_tx: ms(min_tx),
            min_rx: ms(min_rx),
            idle_tx: ms(idle_tx),
            multiplier,
            passive,
        },
    )
}

fn any_packet() -> impl Strategy<Value = Control> {
    let states = prop::sample::select(vec![State::AdminDown, State::Down, State::Init, State::Up]);
    let interval = || prop_oneof![Just(0_u32), Just(1), Just(10_000), Just(1_000_000), Just(u32::MAX)];
    (states, prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop::bool::weighted(0.1), 1..=255_u8)
        .prop_flat_map(move |fixed| (Just(fixed), 1..=u32::MAX, [interval(), interval()]))
        .prop_map(|((state, poll, other, demand, multiplier), my_discriminator, [tx, rx])| Control {
            poll,
            is_final: other && !poll,
            demand,
            multiplier,
            my_discriminator,
            desired_min_tx: tx,
            required_min_rx: rx,
            ..heard(state)
        })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => any_packet().prop_map(Step::Packet),
        8 => prop_oneof![3 => Just(0_u64), 1 => 0..10_000_u64].prop_map(Step::Due),
        2 => Just(Step::Timeout),
        3 => any_params().prop_map(Step::Params),
        1 => (0..20_u8).prop_map(|n| match n {
            0 => Step::Stop,
            1 => Step::Remove,
            _ => Step::Timeout,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_keep_the_invariants(
        first in any_params(),
        seed in any::<u64>(),
        steps in prop::collection::vec((any_step(), 0..500_u64), 1..80),
    ) {
        let mut now = Instant::now();
        let mut session = Session::new(first, OWN, seed, now);
        for (step, pause) in steps {
            now += ms(pause);
            let before = session.clone();
            let event = match step {
                Step::Packet(packet) => Event::Packet(packet),
                Step::Due(late) => {
                    if let Some(at) = session.deadline() {
                        now = now.max(at) + ms(late);
                    }
                    Event::Timeout
                }
                Step::Timeout => Event::Timeout,
                Step::Params(params) => Event::Params(params),
                Step::Remove => Event::Remove,
                Step::Stop => Event::Stop,
            };
            let actions = session.handle(event, now);
            check(&before, &session, event, &actions, now)?;
        }
    }
}

/// The invariants of one step.
fn check(
    before: &Session,
    after: &Session,
    event: Event,
    actions: &[Action],
    now: Instant,
) -> Result<(), TestCaseError> {
    // The same again gives the same: nothing hidden.
    let mut again = before.clone();
    prop_assert_eq!(again.handle(event, now), actions.to_vec());
    prop_assert_eq!(&again, after);

    let changes = transitions(actions);
    prop_assert_eq!(changes.len(), usize::from(before.state() != after.state()));
    for change in &changes {
        prop_assert_eq!((change.from, change.to), (before.state(), after.state()));
        prop_assert_eq!((after.cause(), after.since()), (&change.cause, now));
        prop_assert!(!change.cause.to_string().is_empty());
        let back = change.from == State::Up && change.to == State::Init;
        prop_assert!(!back, "the way back from Up leads through Down");
    }
    if before.state() == State::AdminDown {
        prop_assert!(actions.is_empty() && after == before);
    }

    let packets = sent(actions);
    prop_assert!(packets.len() <= 1, "{:?}", actions);
    for packet in &packets {
        prop_assert_eq!(Control::parse(&packet.encode()), Ok(*packet), "not what a neighbour takes");
        let said = if event == Event::Stop { State::Down } else { after.state() };
        prop_assert_eq!((packet.state, packet.my_discriminator), (said, OWN));
        prop_assert!(packet.required_min_rx >= 1000 && packet.desired_min_tx >= 1000);
        prop_assert!(
            packet.state == State::Up || packet.desired_min_tx >= 1_000_000,
            "too fast while not up"
        );
        let asked = matches!(event, Event::Packet(Control { poll: true, .. }));
        prop_assert_eq!(packet.is_final, asked, "a final answers a poll, and each poll is answered");
        prop_assert!(
            packet.is_final || !before.params.passive || packet.your_discriminator != 0,
            "not passive"
        );
        if let (Event::Timeout, true, Some(last)) = (event, changes.is_empty(), before.pace.sent_at) {
            // The silence may have ended what the neighbour asked for in this very step.
            let intervals = [before.transmit_interval(), after.transmit_interval()];
            let interval = intervals.into_iter().flatten().min().unwrap();
            prop_assert!(now - last >= interval * 3 / 4, "too early: {:?} of {:?}", now - last, interval);
        }
    }
    if matches!(event, Event::Packet(Control { poll: true, .. })) && before.state() != State::AdminDown {
        prop_assert_eq!(packets.len(), 1);
    }

    let hears = matches!(after.state(), State::Init | State::Up);
    prop_assert!(!hears || after.detection_time().is_some(), "a failure would never be found");
    prop_assert!(!hears || after.detection_time() >= Some(after.params.required_rx()));
    if matches!(event, Event::Timeout) {
        prop_assert!(after.deadline().is_none_or(|at| at > now), "a timer that is always due is a busy loop");
        if before.deadline().is_none_or(|at| at > now) {
            prop_assert!(actions.is_empty() && after == before, "nothing was due");
        }
    }
    Ok(())
}
