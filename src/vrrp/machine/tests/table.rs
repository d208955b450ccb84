//! Every state against every event.

use super::*;

/// States, told apart as far as they behave differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum S {
    New,
    Held,
    Backup,
    Master,
    Fault,
    Stopped,
}

impl S {
    const ALL: [Self; 6] = [Self::New, Self::Held, Self::Backup, Self::Master, Self::Fault, Self::Stopped];

    /// No wildcard: a new state does not compile until it has its rows.
    fn of(name: StateName) -> &'static [Self] {
        match name {
            StateName::Init => &[Self::New, Self::Held],
            StateName::Backup => &[Self::Backup],
            StateName::Master => &[Self::Master],
            StateName::Fault => &[Self::Fault],
            StateName::Stopped => &[Self::Stopped],
        }
    }

    /// A machine of priority 150 in this state, two seconds before `now` (a master: 0.4 s before).
    fn build(self) -> (Machine, Instant) {
        let start = Instant::now();
        let mut machine = Machine::new(params(150));
        match self {
            Self::New => {}
            Self::Held => {
                machine.handle(Event::Effective(Effective::Pending("script x".to_owned())), start);
                machine.handle(START, start);
            }
            Self::Backup => {
                machine.handle(START, start);
            }
            Self::Master => {
                machine.handle(START, start);
                let (at, _) = expire(&mut machine);
                return (machine, at + ms(400));
            }
            Self::Fault => {
                machine.handle(Event::Effective(Effective::Fault("script x failed".to_owned())), start);
                machine.handle(START, start);
            }
            Self::Stopped => {
                machine.handle(Event::Stop, start);
            }
        }
        (machine, start + ms(2000))
    }
}

/// Events, told apart as far as they act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum E {
    Start,
    Resume,
    AdvertZero,
    AdvertLower,
    AdvertEqualFromBelow,
    AdvertEqualFromAbove,
    AdvertHigher,
    TimeoutEarly,
    TimeoutDue,
    Priority,
    TrackerFault,
    TrackerPending,
    OwnGone,
    OwnOther,
    ParamsSame,
    ParamsSlower,
    Sibling,
    Promote,
    Follow,
    StepDown,
    TakeOver,
    Strict,
    OrderOver,
    Failback,
    Stop,
}

impl E {
    const ALL: [Self; 25] = [
        Self::Start,
        Self::Resume,
        Self::AdvertZero,
        Self::AdvertLower,
        Self::AdvertEqualFromBelow,
        Self::AdvertEqualFromAbove,
        Self::AdvertHigher,
        Self::TimeoutEarly,
        Self::TimeoutDue,
        Self::Priority,
        Self::TrackerFault,
        Self::TrackerPending,
        Self::OwnGone,
        Self::OwnOther,
        Self::ParamsSame,
        Self::ParamsSlower,
        Self::Sibling,
        Self::Promote,
        Self::Follow,
        Self::StepDown,
        Self::TakeOver,
        Self::Strict,
        Self::OrderOver,
        Self::Failback,
        Self::Stop,
    ];

    /// No wildcard: a new event does not compile until it has its rows.
    fn of(event: &Event) -> &'static [Self] {
        match event {
            Event::Start { .. } => &[Self::Start],
            Event::Resume => &[Self::Resume],
            Event::Advert(_) => &[
                Self::AdvertZero,
                Self::AdvertLower,
                Self::AdvertEqualFromBelow,
                Self::AdvertEqualFromAbove,
                Self::AdvertHigher,
            ],
            Event::Timeout => &[Self::TimeoutEarly, Self::TimeoutDue],
            Event::Effective(_) => &[Self::Priority, Self::TrackerFault, Self::TrackerPending],
            Event::Own(_) => &[Self::OwnGone, Self::OwnOther],
            Event::Params(_) => &[Self::ParamsSame, Self::ParamsSlower],
            Event::Sibling(_) => &[Self::Sibling],
            Event::Promote { .. } => &[Self::Promote],
            Event::Follow { .. } => &[Self::Follow],
            Event::Order(_) => &[Self::StepDown, Self::TakeOver, Self::Strict, Self::OrderOver],
            Event::Failback { .. } => &[Self::Failback],
            Event::Stop => &[Self::Stop],
        }
    }

    fn build(self) -> Event {
        let own = params(150);
        match self {
            Self::Start => START,
            Self::Resume => Event::Resume,
            Self::AdvertZero => advert(&own, BELOW, 0, own.advert_int),
            Self::AdvertLower => advert(&own, ABOVE, 100, own.advert_int),
            Self::AdvertEqualFromBelow => advert(&own, BELOW, 150, own.advert_int),
            Self::AdvertEqualFromAbove => advert(&own, ABOVE, 150, own.advert_int),
            Self::AdvertHigher => advert(&own, BELOW, 200, own.advert_int),
            Self::TimeoutEarly | Self::TimeoutDue => Event::Timeout,
            Self::Priority => Event::Effective(Effective::Priority(50)),
            Self::TrackerFault => Event::Effective(Effective::Fault("script y failed".to_owned())),
            Self::TrackerPending => Event::Effective(Effective::Pending("script z".to_owned())),
            Self::OwnGone => Event::Own(None),
            Self::OwnOther => Event::Own(Some(ABOVE)),
            Self::ParamsSame => Event::Params(own),
            Self::ParamsSlower => Event::Params(Params { advert_int: ms(2000), ..own }),
            Self::Sibling => Event::Sibling(Some("VI_2 is in FAULT".to_owned())),
            Self::Promote => Event::Promote { group: "VG".to_owned() },
            Self::Follow => Event::Follow { group: "VG".to_owned(), member: "VI_2".to_owned() },
            Self::StepDown => order(OrderKind::StepDown),
            Self::TakeOver => order(OrderKind::TakeOver),
            Self::Strict => order(OrderKind::StrictMaintenance),
            Self::OrderOver => Event::Order(None),
            Self::Failback => Event::Failback { by: BY.to_owned() },
            Self::Stop => Event::Stop,
        }
    }
}

/// State, event, what is done, and the milliseconds to the deadline afterwards.
type Row = (S, E, &'static str, Option<u128>);

const TABLE: &[Row] = &[
    // Not started: everything is remembered, nothing is done.
    (S::New, E::Start, "INIT>BACKUP", Some(3414)),
    (S::New, E::Resume, "advert 150, +addresses, announce, INIT>MASTER", Some(1000)),
    (S::New, E::AdvertZero, "", None),
    (S::New, E::AdvertLower, "", None),
    (S::New, E::AdvertEqualFromBelow, "", None),
    (S::New, E::AdvertEqualFromAbove, "", None),
    (S::New, E::AdvertHigher, "", None),
    (S::New, E::TimeoutEarly, "", None),
    (S::New, E::TimeoutDue, "", None),
    (S::New, E::Priority, "", None),
    (S::New, E::TrackerFault, "", None),
    (S::New, E::TrackerPending, "", None),
    (S::New, E::OwnGone, "", None),
    (S::New, E::OwnOther, "", None),
    (S::New, E::ParamsSame, "", None),
    (S::New, E::ParamsSlower, "", None),
    (S::New, E::Sibling, "", None),
    (S::New, E::Promote, "", None),
    (S::New, E::Follow, "", None),
    (S::New, E::StepDown, "", None),
    (S::New, E::TakeOver, "", None),
    (S::New, E::Strict, "", None),
    (S::New, E::OrderOver, "", None),
    (S::New, E::Failback, "", None),
    (S::New, E::Stop, "INIT>STOPPED", None),
    // Held by a tracker without a result: only that result, a fault or the end moves it.
    (S::Held, E::Start, "", None),
    (S::Held, E::Resume, "", None),
    (S::Held, E::AdvertZero, "", None),
    (S::Held, E::AdvertLower, "", None),
    (S::Held, E::AdvertEqualFromBelow, "", None),
    (S::Held, E::AdvertEqualFromAbove, "", None),
    (S::Held, E::AdvertHigher, "", None),
    (S::Held, E::TimeoutEarly, "", None),
    (S::Held, E::TimeoutDue, "", None),
    (S::Held, E::Priority, "INIT>BACKUP", Some(3804)),
    (S::Held, E::TrackerFault, "INIT>FAULT", None),
    (S::Held, E::TrackerPending, "", None),
    (S::Held, E::OwnGone, "INIT>FAULT", None),
    (S::Held, E::OwnOther, "", None),
    (S::Held, E::ParamsSame, "", None),
    (S::Held, E::ParamsSlower, "", None),
    (S::Held, E::Sibling, "INIT>FAULT", None),
    (S::Held, E::Promote, "", None),
    (S::Held, E::Follow, "", None),
    (S::Held, E::StepDown, "", None),
    (S::Held, E::TakeOver, "", None),
    (S::Held, E::Strict, "INIT>FAULT", None),
    (S::Held, E::OrderOver, "", None),
    (S::Held, E::Failback, "", None),
    (S::Held, E::Stop, "INIT>STOPPED", None),
    // Listening: 1414 ms are left of the timer where nothing moves it.
    (S::Backup, E::Start, "", Some(1414)),
    (S::Backup, E::Resume, "", Some(1414)),
    (S::Backup, E::AdvertZero, "", Some(414)),
    (S::Backup, E::AdvertLower, "", Some(1414)),
    (S::Backup, E::AdvertEqualFromBelow, "", Some(3414)),
    (S::Backup, E::AdvertEqualFromAbove, "", Some(3414)),
    (S::Backup, E::AdvertHigher, "", Some(3414)),
    (S::Backup, E::TimeoutEarly, "", Some(1414)),
    (S::Backup, E::TimeoutDue, "advert 150, +addresses, announce, BACKUP>MASTER", Some(1000)),
    (S::Backup, E::Priority, "priority 150>50", Some(1804)),
    (S::Backup, E::TrackerFault, "BACKUP>FAULT", None),
    (S::Backup, E::TrackerPending, "", Some(1414)),
    (S::Backup, E::OwnGone, "BACKUP>FAULT", None),
    (S::Backup, E::OwnOther, "", Some(1414)),
    (S::Backup, E::ParamsSame, "", Some(1414)),
    (S::Backup, E::ParamsSlower, "", Some(6414)),
    (S::Backup, E::Sibling, "BACKUP>FAULT", None),
    (S::Backup, E::Promote, "", Some(1414)),
    (S::Backup, E::Follow, "", Some(1414)),
    (S::Backup, E::StepDown, "priority 150>1", Some(1996)),
    (S::Backup, E::TakeOver, "priority 150>254, advert 254, +addresses, announce, BACKUP>MASTER", Some(1000)),
    (S::Backup, E::Strict, "BACKUP>FAULT", None),
    (S::Backup, E::OrderOver, "", Some(1414)),
    (S::Backup, E::Failback, "", Some(1414)),
    (S::Backup, E::Stop, "BACKUP>STOPPED", None),
    // Master: 600 ms are left to the next advert where nothing moves it.
    (S::Master, E::Start, "", Some(600)),
    (S::Master, E::Resume, "", Some(600)),
    (S::Master, E::AdvertZero, "advert 150", Some(1000)),
    (S::Master, E::AdvertLower, "advert 150, announce again, two masters", Some(1000)),
    (S::Master, E::AdvertEqualFromBelow, "advert 150, announce again, two masters", Some(1000)),
    (S::Master, E::AdvertEqualFromAbove, "-addresses, MASTER>BACKUP", Some(3414)),
    (S::Master, E::AdvertHigher, "-addresses, MASTER>BACKUP", Some(3414)),
    (S::Master, E::TimeoutEarly, "", Some(600)),
    (S::Master, E::TimeoutDue, "advert 150", Some(1000)),
    (S::Master, E::Priority, "priority 150>50", Some(600)),
    (S::Master, E::TrackerFault, "advert 0, -addresses, MASTER>FAULT", None),
    (S::Master, E::TrackerPending, "", Some(600)),
    (S::Master, E::OwnGone, "-addresses, MASTER>FAULT", None),
    (S::Master, E::OwnOther, "", Some(600)),
    (S::Master, E::ParamsSame, "", Some(600)),
    (S::Master, E::ParamsSlower, "", Some(600)),
    (S::Master, E::Sibling, "advert 0, -addresses, MASTER>FAULT", None),
    (S::Master, E::Promote, "", Some(600)),
    (S::Master, E::Follow, "advert 0, -addresses, MASTER>BACKUP", Some(3414)),
    (S::Master, E::StepDown, "advert 0, -addresses, MASTER>BACKUP", Some(3996)),
    (S::Master, E::TakeOver, "priority 150>254", Some(600)),
    (S::Master, E::Strict, "advert 0, -addresses, MASTER>FAULT", None),
    (S::Master, E::OrderOver, "", Some(600)),
    (S::Master, E::Failback, "", Some(600)),
    (S::Master, E::Stop, "advert 0, -addresses, MASTER>STOPPED", None),
    // Fault by script x: its recovery is the way out.
    (S::Fault, E::Start, "", None),
    (S::Fault, E::Resume, "", None),
    (S::Fault, E::AdvertZero, "", None),
    (S::Fault, E::AdvertLower, "", None),
    (S::Fault, E::AdvertEqualFromBelow, "", None),
    (S::Fault, E::AdvertEqualFromAbove, "", None),
    (S::Fault, E::AdvertHigher, "", None),
    (S::Fault, E::TimeoutEarly, "", None),
    (S::Fault, E::TimeoutDue, "", None),
    (S::Fault, E::Priority, "FAULT>BACKUP", Some(3804)),
    (S::Fault, E::TrackerFault, "", None),
    (S::Fault, E::TrackerPending, "", None),
    (S::Fault, E::OwnGone, "", None),
    (S::Fault, E::OwnOther, "", None),
    (S::Fault, E::ParamsSame, "", None),
    (S::Fault, E::ParamsSlower, "", None),
    (S::Fault, E::Sibling, "", None),
    (S::Fault, E::Promote, "", None),
    (S::Fault, E::Follow, "", None),
    (S::Fault, E::StepDown, "", None),
    (S::Fault, E::TakeOver, "", None),
    (S::Fault, E::Strict, "", None),
    (S::Fault, E::OrderOver, "", None),
    (S::Fault, E::Failback, "", None),
    (S::Fault, E::Stop, "FAULT>STOPPED", None),
    // The end.
    (S::Stopped, E::Start, "", None),
    (S::Stopped, E::Resume, "", None),
    (S::Stopped, E::AdvertZero, "", None),
    (S::Stopped, E::AdvertLower, "", None),
    (S::Stopped, E::AdvertEqualFromBelow, "", None),
    (S::Stopped, E::AdvertEqualFromAbove, "", None),
    (S::Stopped, E::AdvertHigher, "", None),
    (S::Stopped, E::TimeoutEarly, "", None),
    (S::Stopped, E::TimeoutDue, "", None),
    (S::Stopped, E::Priority, "", None),
    (S::Stopped, E::TrackerFault, "", None),
    (S::Stopped, E::TrackerPending, "", None),
    (S::Stopped, E::OwnGone, "", None),
    (S::Stopped, E::OwnOther, "", None),
    (S::Stopped, E::ParamsSame, "", None),
    (S::Stopped, E::ParamsSlower, "", None),
    (S::Stopped, E::Sibling, "", None),
    (S::Stopped, E::Promote, "", None),
    (S::Stopped, E::Follow, "", None),
    (S::Stopped, E::StepDown, "", None),
    (S::Stopped, E::TakeOver, "", None),
    (S::Stopped, E::Strict, "", None),
    (S::Stopped, E::OrderOver, "", None),
    (S::Stopped, E::Failback, "", None),
    (S::Stopped, E::Stop, "", None),
];

#[test]
fn every_state_meets_every_event() {
    for state in S::ALL {
        for event in E::ALL {
            let rows: Vec<&Row> = TABLE.iter().filter(|row| row.0 == state && row.1 == event).collect();
            let &[&(_, _, actions, wait)] = rows.as_slice() else {
                panic!("{} rows for {state:?} and {event:?}, one wanted", rows.len());
            };
            let (mut machine, now) = state.build();
            assert!(S::of(machine.state()).contains(&state), "{state:?} is really {}", machine.state());
            let real = event.build();
            assert!(E::of(&real).contains(&event), "{event:?} is really {real:?}");
            let now = match (event, machine.deadline()) {
                (E::TimeoutDue, Some((at, _))) => at,
                _ => now,
            };
            let done = machine.handle(real, now);
            assert_eq!(brief(&done), actions, "{state:?} and {event:?}");
            let left = machine.deadline().map(|(at, _)| at.duration_since(now).as_millis());
            assert_eq!(left, wait, "deadline after {state:?} and {event:?}");
        }
    }
    assert_eq!(TABLE.len(), S::ALL.len() * E::ALL.len());
}

#[test]
fn the_lists_of_the_table_name_every_variant() {
    let names = [StateName::Init, StateName::Backup, StateName::Master, StateName::Fault, StateName::Stopped];
    let states: Vec<S> = names.iter().flat_map(|name| S::of(*name)).copied().collect();
    assert_eq!(states, S::ALL);
    for event in E::ALL {
        assert!(E::of(&event.build()).contains(&event));
    }
}
