//! Random operations: what must hold after each of them.

use proptest::prelude::*;

use super::*;

/// One random step.
#[derive(Clone, Debug)]
enum Step {
    Start,
    Resume,
    Advert {
        priority: u8,
        from_above: bool,
        interval: u64,
    },
    /// At the deadline, this much late.
    Due {
        late: u64,
    },
    /// Whatever time it is.
    Timeout,
    Effective(Effective),
    Own(Option<bool>),
    Params(Box<Params>),
    Sibling(bool),
    Promote,
    Follow,
    Order(Option<OrderKind>),
    Failback,
    Stop,
}

fn any_params() -> impl Strategy<Value = Params> {
    let numbers = (1..=255_u8, 0..4_u64, 0..6_u64, 0..6_u8, prop::option::of(1..4_u8));
    (any::<[bool; 8]>(), numbers).prop_map(|(bools, numbers)| {
        let [v3, state_master, preempt, has_own, grouped, silent, speaks, ignores] = bools;
        let (base_priority, interval, delay, down_timer_adverts, timer_expired_backup) = numbers;
        Params {
            version: if v3 { VrrpVersion::V3 } else { VrrpVersion::V2 },
            base_priority,
            state_master,
            // Zero too: a mistake of a caller must not make a busy loop.
            advert_int: ms(interval * 1000),
            preempt,
            preempt_delay: ms(delay * 1000),
            down_timer_adverts,
            grouped,
            lower_prio_no_advert: silent,
            higher_prio_send_advert: speaks,
            owner_ignore_adverts: ignores,
            timer_expired_backup,
            own: has_own.then_some(OWN),
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![Just(0_u8), 1..=255_u8];
    prop_oneof![
        2 => Just(Step::Start),
        1 => Just(Step::Resume),
        8 => (priority, any::<bool>(), 1..400_u64).prop_map(|(priority, from_above, interval)| Step::Advert {
            priority,
            from_above,
            interval
        }),
        8 => prop_oneof![3 => Just(0_u64), 1 => 0..100_000_u64].prop_map(|late| Step::Due { late }),
        4 => Just(Step::Timeout),
        3 => prop_oneof![
            3 => (1..=255_u8).prop_map(Effective::Priority),
            1 => Just(Effective::Fault("script x failed".to_owned())),
            1 => Just(Effective::Pending("script y".to_owned())),
        ]
        .prop_map(Step::Effective),
        2 => prop_oneof![1 => Just(None), 3 => any::<bool>().prop_map(Some)].prop_map(Step::Own),
        2 => any_params().prop_map(|params| Step::Params(Box::new(params))),
        1 => any::<bool>().prop_map(Step::Sibling),
        3 => Just(Step::Promote),
        1 => Just(Step::Follow),
        2 => prop::option::weighted(0.8, prop::sample::select(vec![
            OrderKind::StepDown,
            OrderKind::TakeOver,
            OrderKind::Maintenance,
            OrderKind::StrictMaintenance,
        ]))
        .prop_map(Step::Order),
        1 => Just(Step::Failback),
        1 => Just(Step::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_keep_the_invariants(
        first in any_params(),
        steps in prop::collection::vec((any_step(), 0..3000_u64), 1..80),
    ) {
        let mut now = Instant::now();
        let mut settings = first.clone();
        let mut machine = Machine::new(first);
        let mut wanted = false;
        for (step, pause) in steps {
            now += ms(pause);
            let before = machine.clone();
            let event = match step {
                Step::Start => START,
                Step::Resume => Event::Resume,
                Step::Advert { priority, from_above, interval } => {
                    // Version 2 accepts its own interval alone.
                    let interval = match settings.version {
                        VrrpVersion::V2 => settings.advert_int,
                        VrrpVersion::V3 => ms(interval * 10),
                    };
                    advert(&settings, if from_above { ABOVE } else { BELOW }, priority, interval)
                }
                Step::Due { late } => {
                    if let Some((at, _)) = machine.deadline() {
                        now = now.max(at) + ms(late);
                    }
                    Event::Timeout
                }
                Step::Timeout => Event::Timeout,
                Step::Effective(effective) => Event::Effective(effective),
                Step::Own(own) => {
                    settings.own = own.map(|above| if above { ABOVE } else { OWN });
                    Event::Own(settings.own)
                }
                Step::Params(params) => {
                    settings = *params;
                    Event::Params(settings.clone())
                }
                Step::Sibling(fault) => Event::Sibling(fault.then(|| "VI_2 is in FAULT".to_owned())),
                Step::Promote => Event::Promote { group: "VG".to_owned() },
                Step::Follow => Event::Follow { group: "VG".to_owned(), member: "VI_2".to_owned() },
                Step::Order(kind) => kind.map_or(Event::Order(None), order),
                Step::Failback => Event::Failback { by: BY.to_owned() },
                Step::Stop => Event::Stop,
            };
            let actions = machine.handle(event.clone(), now);
            check(&before, &machine, &event, &actions, now, &mut wanted)?;
        }
    }
}

/// The invariants of one step.
fn check(
    before: &Machine,
    after: &Machine,
    event: &Event,
    actions: &[Action],
    now: Instant,
    wanted: &mut bool,
) -> Result<(), TestCaseError> {
    let (was, is) = (before.state(), after.state());
    // The same again gives the same: nothing hidden.
    prop_assert_eq!(before.clone().handle(event.clone(), now), actions.to_vec());

    let mut transitions = 0;
    let mut adverts = 0;
    for action in actions {
        match action {
            Action::SendAdvert { priority } => {
                adverts += 1;
                let leaving = was == StateName::Master && is != StateName::Master;
                // The one exception: a last word to a higher priority (`higher_prio_send_advert`).
                let last_word = before.params.higher_prio_send_advert && matches!(event, Event::Advert(_));
                prop_assert!(
                    (*priority == 0) == leaving || last_word,
                    "priority 0 exactly on leaving: {:?}",
                    actions
                );
                prop_assert!(leaving || *priority == after.priority());
                prop_assert!(
                    before.params.own.is_some() || after.params.own.is_some(),
                    "nothing to send from"
                );
            }
            Action::Addresses { wanted: value } => {
                prop_assert_ne!(*value, *wanted, "said twice");
                *wanted = *value;
            }
            Action::Announce(_) => prop_assert_eq!(is, StateName::Master),
            Action::Note(note) => prop_assert!(!note.to_string().is_empty()),
            Action::Transition(transition) => {
                transitions += 1;
                prop_assert_eq!((transition.from, transition.to), (was, is));
                prop_assert_ne!(was, is);
                prop_assert!(!transition.cause.to_string().is_empty());
            }
        }
    }
    prop_assert!(adverts <= 1, "{:?}", actions);
    prop_assert_eq!(transitions, usize::from(was != is));
    prop_assert_eq!(*wanted, is == StateName::Master, "addresses belong to the master alone");

    let waits = after.wants_master();
    prop_assert!(!waits || (is == StateName::Backup && after.params.grouped));
    let running = matches!(is, StateName::Backup | StateName::Master) && !waits;
    prop_assert_eq!(after.deadline().is_some(), running);
    if was != StateName::Master && is == StateName::Master && after.params.grouped {
        prop_assert!(
            matches!(event, Event::Promote { .. } | Event::Resume),
            "a member goes when its group goes"
        );
    }
    if matches!(event, Event::Timeout) {
        if let Some((at, _)) = after.deadline() {
            prop_assert!(at > now, "a timer that is always due is a busy loop");
        }
        let due = before.deadline().is_some_and(|(at, _)| at <= now);
        prop_assert_eq!(due, !actions.is_empty(), "a timeout does something exactly when it is due");
    }
    // An order is obeyed, whatever else happens.
    match after.order().map(|order| order.kind) {
        Some(kind) if kind.yields() => prop_assert_eq!(after.priority(), YIELDING),
        Some(OrderKind::TakeOver) => prop_assert!(after.priority() >= HIGHEST),
        Some(OrderKind::StrictMaintenance) => prop_assert_ne!(is, StateName::Master),
        Some(_) | None => prop_assert_eq!(after.priority(), after.own_priority()),
    }
    if was == StateName::Stopped {
        prop_assert!(actions.is_empty() && is == StateName::Stopped);
    }
    if is == StateName::Master {
        prop_assert!(after.params.own.is_some());
    }
    Ok(())
}
