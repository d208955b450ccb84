//! What if: each thing that can fail, alone and together, what it makes of both priorities, and who is master then.

use std::fmt;

use crate::vrrp::params::{Settings, TrackerSpec};
use crate::vrrp::priority::{self, Effective, Tracker, TrackerKind, Value};

use super::election::{self, Contender, Holder, Outcome, Status};
use super::{Matched, Side, Who, kind_word};

/// What a tracker watches, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Script, interface, …
    pub kind: TrackerKind,
    /// Its name.
    pub name: String,
    /// What it watches for is bad: it fails by succeeding.
    pub reverse: bool,
}

impl Watched {
    /// The same thing, however it is judged.
    pub fn is(&self, kind: TrackerKind, name: &str) -> bool {
        self.kind == kind && self.name == name
    }

    /// An interface.
    fn interface(name: &str) -> Self {
        Self { kind: TrackerKind::Interface, name: name.to_owned(), reverse: false }
    }
}

impl fmt::Display for Watched {
    /// `script chk_nginx fails`, `interface eth1 is down`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.kind == TrackerKind::Interface, self.reverse) {
            (true, _) => "is down",
            (false, true) => "succeeds (reverse)",
            (false, false) => "fails",
        };
        write!(f, "{} {} {what}", kind_word(self.kind), self.name)
    }
}

/// How one director is in a situation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Everything works.
    Healthy,
    /// It was stopped in order (SIGTERM).
    Stopped,
    /// It was killed, or lost its power.
    Dead,
    /// These report what is bad.
    Failing(Vec<Watched>),
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// How A is.
    pub a: Condition,
    /// How B is.
    pub b: Condition,
}

/// One router in a situation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How it takes part.
    pub status: Status,
    /// `100 - 2 = 98`, `FAULT`, `dead`.
    pub arithmetic: String,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is asked.
    pub situation: Situation,
    /// A and B then.
    pub standing: [Standing; 2],
    /// Who is master then.
    pub outcome: Outcome,
    /// Who is master when it is over again; `None` for the healthy pair.
    pub back: Option<Outcome>,
    /// Only the director that serves nothing is concerned, and nothing moves: not worth a line.
    pub routine: bool,
}

impl Condition {
    /// What fails.
    pub fn failing(&self) -> &[Watched] {
        match self {
            Self::Failing(watched) => watched,
            Self::Healthy | Self::Stopped | Self::Dead => &[],
        }
    }
}

impl Situation {
    const HEALTHY: Self = Self { a: Condition::Healthy, b: Condition::Healthy };

    fn of(who: Who, condition: Condition) -> Self {
        match who {
            Who::A => Self { a: condition, b: Condition::Healthy },
            Who::B => Self { a: Condition::Healthy, b: condition },
        }
    }

    /// How one of them is.
    pub const fn condition(&self, who: Who) -> &Condition {
        match who {
            Who::A => &self.a,
            Who::B => &self.b,
        }
    }
}

/// The whole table of an instance; `hears[i]`: that one accepts the other one's adverts. The healthy pair is first.
pub(super) fn table(pair: &Matched<'_>, hears: [bool; 2]) -> Vec<Row> {
    let healthy = contenders(pair, &Situation::HEALTHY, hears);
    let start = election::cold_start(&healthy[0].0, &healthy[1].0);
    let mut rows = vec![Row {
        situation: Situation::HEALTHY,
        standing: healthy.clone().map(|(_, standing)| standing),
        outcome: start,
        back: None,
        routine: false,
    }];
    for situation in situations(pair) {
        let [(a, standing_a), (b, standing_b)] = contenders(pair, &situation, hears);
        let outcome = election::after(start.holder, &a, &b);
        // Who took no part begins anew; who was only lowered goes on.
        let [again_a, again_b] =
            [(&standing_a, &healthy[0].0), (&standing_b, &healthy[1].0)].map(|(standing, contender)| {
                Contender { fresh: !matches!(standing.status, Status::Runs(_)), ..contender.clone() }
            });
        let back = election::after(outcome.holder, &again_a, &again_b);
        let untouched = |who| {
            *situation.condition(who) == Condition::Healthy
                && start.holder == Holder::One(who)
                && outcome.holder == Holder::One(who)
        };
        rows.push(Row {
            routine: untouched(Who::A) || untouched(Who::B),
            situation,
            standing: [standing_a, standing_b],
            outcome,
            back: Some(back),
        });
    }
    rows
}

/// Everything that is asked, besides the healthy pair.
fn situations(pair: &Matched<'_>) -> Vec<Situation> {
    let mut all = Vec::new();
    let watched = Who::BOTH.map(|who| watched(pair, who));
    for who in Who::BOTH {
        all.push(Situation::of(who, Condition::Dead));
        all.push(Situation::of(who, Condition::Stopped));
        let own = Watched::interface(&pair.settings(who).interface);
        let trackers: Vec<Watched> =
            watched[who.index()].iter().filter(|one| !one.is(own.kind, &own.name)).cloned().collect();
        if !own.name.is_empty() {
            all.push(Situation::of(who, Condition::Failing(vec![own])));
        }
        for one in &trackers {
            all.push(Situation::of(who, Condition::Failing(vec![one.clone()])));
        }
        if trackers.len() > 1 {
            all.push(Situation::of(who, Condition::Failing(trackers)));
        }
    }
    let own = Who::BOTH.map(|who| pair.settings(who).interface.as_str());
    for one in &watched[0] {
        let is_own = one.kind == TrackerKind::Interface && own.contains(&one.name.as_str());
        if let Some(other) = watched[1].iter().find(|other| other.is(one.kind, &one.name))
            && !is_own
        {
            let [a, b] = [one, other].map(|one| Condition::Failing(vec![one.clone()]));
            all.push(Situation { a, b });
        }
    }
    all
}

/// What an instance and the other members of its group watch, each once.
fn watched(pair: &Matched<'_>, who: Who) -> Vec<Watched> {
    let side = pair.side(who);
    let own = pair.settings(who);
    let mut all: Vec<Watched> = Vec::new();
    for settings in std::iter::once(own).chain(mates(side, own)) {
        let primary = (settings.track_primary && settings.name != own.name)
            .then(|| Watched::interface(&settings.interface));
        let trackers = counted(side, settings)
            .into_iter()
            .filter(|spec| settings.name == own.name || spec.weight == 0)
            .map(|spec| Watched { kind: spec.kind, name: spec.name, reverse: spec.reverse });
        for one in trackers.chain(primary) {
            if !all.iter().any(|known| known.is(one.kind, &one.name)) {
                all.push(one);
            }
        }
    }
    all
}

/// The other members of an instance's group.
fn mates<'a>(side: &'a Side<'_>, own: &'a Settings) -> impl Iterator<Item = &'a Settings> {
    let members = side.group_of(&own.name).map_or(&[][..], |group| &group.members);
    side.settings.iter().filter(move |other| other.name != own.name && members.contains(&other.name))
}

/// The trackers that count: a group drops its members' weights, unless it is told to keep them.
fn counted(side: &Side<'_>, settings: &Settings) -> Vec<TrackerSpec> {
    let weights = side.group_of(&settings.name).is_none_or(|group| group.tracking_weight);
    settings.trackers.iter().filter(|spec| weights || spec.weight == 0).cloned().collect()
}

/// Both routers in a situation.
fn contenders(pair: &Matched<'_>, situation: &Situation, hears: [bool; 2]) -> [(Contender, Standing); 2] {
    Who::BOTH.map(|who| {
        let settings = pair.settings(who);
        let condition = situation.condition(who);
        let standing = standing(pair.side(who), settings, condition);
        let cable =
            !condition.failing().iter().any(|one| one.is(TrackerKind::Interface, &settings.interface));
        let contender = Contender {
            params: settings.machine_params(pair.address(who)),
            status: standing.status.clone(),
            hears: hears[who.index()] && cable,
            heard: cable,
            fresh: false,
        };
        (contender, standing)
    })
}

/// One router in a condition.
fn standing(side: &Side<'_>, settings: &Settings, condition: &Condition) -> Standing {
    match condition {
        Condition::Dead => return Standing { status: Status::Dead, arithmetic: "dead".to_owned() },
        Condition::Stopped => return Standing { status: Status::Stopped, arithmetic: "stopped".to_owned() },
        Condition::Healthy | Condition::Failing(_) => {}
    }
    let failing = condition.failing();
    for (settings, mate) in
        std::iter::once((settings, false)).chain(mates(side, settings).map(|mate| (mate, true)))
    {
        let trackers = trackers(side, settings, failing);
        if let Effective::Fault(reason) = priority::effective(settings.base_priority, &trackers) {
            let reason = if mate { format!("{} of its group: {reason}", settings.name) } else { reason };
            return Standing { status: Status::Fault(reason), arithmetic: "FAULT".to_owned() };
        }
    }
    let base = settings.base_priority;
    let trackers = trackers(side, settings, failing);
    match priority::effective(base, &trackers) {
        Effective::Priority(effective) => {
            Standing { status: Status::Runs(effective), arithmetic: arithmetic(base, &trackers, effective) }
        }
        // Every tracker has a value here, and FAULT is dealt with above.
        Effective::Fault(reason) | Effective::Pending(reason) => {
            Standing { status: Status::Fault(reason), arithmetic: "FAULT".to_owned() }
        }
    }
}

/// The trackers with their values. Everything works but what fails; what a reversed script watches for is bad, so it
/// is silent while all is well. An interface is up or down, whatever is made of it.
fn trackers(side: &Side<'_>, settings: &Settings, failing: &[Watched]) -> Vec<Tracker> {
    let primary = settings.track_primary.then(|| TrackerSpec {
        name: settings.interface.clone(),
        kind: TrackerKind::Interface,
        weight: 0,
        reverse: false,
    });
    primary
        .into_iter()
        .chain(counted(side, settings))
        .map(|spec| {
            let fails = failing.iter().any(|one| one.is(spec.kind, &spec.name));
            let up = if spec.kind == TrackerKind::Interface { !fails } else { fails == spec.reverse };
            Tracker {
                name: spec.name,
                kind: spec.kind,
                weight: spec.weight,
                reverse: spec.reverse,
                value: Value::of(up),
                why: String::new(),
            }
        })
        .collect()
}

/// `150 - 60 = 90`.
fn arithmetic(base: u8, trackers: &[Tracker], effective: u8) -> String {
    let counts: Vec<i64> = trackers.iter().map(priority::contribution).filter(|n| *n != 0).collect();
    if counts.is_empty() {
        return base.to_string();
    }
    if base == u8::MAX {
        return "255 (weights do not count)".to_owned();
    }
    let mut text = base.to_string();
    for count in &counts {
        let sign = if *count < 0 { '-' } else { '+' };
        text += &format!(" {sign} {}", count.abs());
    }
    let sum = i64::from(base) + counts.iter().sum::<i64>();
    text += &format!(" = {sum}");
    if sum != i64::from(effective) {
        text += &format!(", held at {effective}");
    }
    text
}
