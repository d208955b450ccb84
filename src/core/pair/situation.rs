//! What if: each thing that can fail, alone and together, what it makes of both priorities, and who is master then.

use std::fmt;

use super::election::{self, After, Contender, Holder, Outcome, Status};
use super::trackers::{Kind, Spec, bad_number, contribution, fault};
use super::{Matched, Member, Who};

/// What a tracker watches, by name, and how it says that it is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Script, interface, …
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it watches for is bad: it fails by succeeding.
    pub reverse: bool,
    /// What a file says then; 0 for whatever is no file.
    pub number: i64,
}

impl Watched {
    /// The same thing, however it is judged.
    pub fn is(&self, kind: Kind, name: &str) -> bool {
        self.kind == kind && self.name == name
    }

    fn of(spec: &Spec) -> Self {
        Self { kind: spec.kind, name: spec.name.clone(), reverse: spec.reverse, number: bad_number(spec) }
    }
}

impl fmt::Display for Watched {
    /// `script chk_nginx fails`, `interface eth1 is down`, `track_file load says 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.kind.word(), self.name)?;
        match (self.kind, self.reverse) {
            (Kind::File, _) => write!(f, "says {}", self.number),
            (Kind::Interface, _) | (Kind::Bfd | Kind::Quorum, false) => f.write_str("is down"),
            (Kind::Bfd | Kind::Quorum, true) => f.write_str("is up (reverse)"),
            (Kind::Script | Kind::Process, true) => f.write_str("succeeds (reverse)"),
            (Kind::Script | Kind::Process, false) => f.write_str("fails"),
        }
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
    /// The member of its sync group that does not move, and so keeps the whole group where it is.
    pub kept_by: Option<String>,
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

/// The whole table of one of the pairs; `hears[n][i]`: of pair n, that one accepts the other one's adverts. The healthy
/// pair is first.
pub(super) fn table(pairs: &[Matched<'_>], hears: &[[bool; 2]], at: usize) -> Vec<Row> {
    let pair = &pairs[at];
    let healthy = contenders(pair, &Situation::HEALTHY, hears[at]);
    let start = election::cold_start(&healthy[0].0, &healthy[1].0);
    let mut rows = vec![Row {
        situation: Situation::HEALTHY,
        standing: healthy.map(|(_, standing)| standing),
        outcome: start,
        back: None,
        kept_by: None,
        routine: false,
    }];
    let group = group(pairs, hears, at, start.holder);
    for situation in situations(pair) {
        let states: Vec<_> =
            group.iter().map(|(pair, hears)| (*pair, *hears, contenders(pair, &situation, *hears))).collect();
        let ends: Vec<Outcome> =
            states.iter().map(|(_, _, [a, b])| election::after(start.holder, &a.0, &b.0)).collect();
        let (outcome, stays) = together(start.holder, &ends);
        // Who took no part begins anew; who was only lowered goes on.
        let backs: Vec<Outcome> = states
            .iter()
            .map(|(pair, hears, now)| {
                let again = contenders(pair, &Situation::HEALTHY, *hears);
                let [a, b] = [0, 1].map(|who| {
                    let fresh = !matches!(now[who].1.status, Status::Runs(_));
                    Contender {
                        fresh,
                        settles: fresh && matches!(now[who].1.status, Status::Fault(_)),
                        ..again[who].0.clone()
                    }
                });
                election::after(outcome.holder, &a, &b)
            })
            .collect();
        let back = together(outcome.holder, &backs).0;
        let untouched = |who| {
            *situation.condition(who) == Condition::Healthy
                && start.holder == Holder::One(who)
                && outcome.holder == Holder::One(who)
        };
        let Some((_, _, [(_, standing_a), (_, standing_b)])) = states.into_iter().next() else { continue };
        rows.push(Row {
            routine: untouched(Who::A) || untouched(Who::B),
            situation,
            standing: [standing_a, standing_b],
            outcome,
            back: Some(back),
            kept_by: stays.map(|mate| group[mate].0.title.clone()),
        });
    }
    rows
}

/// The pair, and those that both directors hold together with it. Members that do not even agree while all is well
/// are looked at one by one: no rule says where such a group ends, which is reported.
fn group<'a, 'b>(
    pairs: &'a [Matched<'b>],
    hears: &[[bool; 2]],
    at: usize,
    home: Holder,
) -> Vec<(&'a Matched<'b>, [bool; 2])> {
    let own = (&pairs[at], hears[at]);
    let mates: Vec<_> = (0..pairs.len())
        .filter(|other| pairs[at].moves_with(&pairs[*other]))
        .map(|other| (&pairs[other], hears[other]))
        .collect();
    let agree = mates.iter().all(|(mate, hears)| {
        let [(a, _), (b, _)] = contenders(mate, &Situation::HEALTHY, *hears);
        election::cold_start(&a, &b).holder == home
    });
    if agree { std::iter::once(own).chain(mates).collect() } else { vec![own] }
}

/// What becomes of a sync group: it is MASTER as a whole. The first member to want it waits for the last; where one
/// does not want it, all stay as they were (and that one is returned).
fn together(before: Holder, ends: &[Outcome]) -> (Outcome, Option<usize>) {
    let own = ends.first().copied();
    let own = own.unwrap_or(Outcome { holder: before, after: After::Stays, held_back: None });
    // Two masters, or none, are no wish to wait for.
    let one = |outcome: &Outcome| matches!(outcome.holder, Holder::One(_));
    if !one(&Outcome { holder: before, ..own }) || !ends.iter().all(one) {
        return (own, None);
    }
    if ends.iter().all(|end| end.holder == own.holder) {
        let after = ends.iter().map(|end| end.after).max_by_key(|after| after.time());
        return (Outcome { after: after.unwrap_or(own.after), ..own }, None);
    }
    let stays = ends.iter().position(|end| end.holder == before);
    // Where the own instance stays there is nothing to explain; its mates wait.
    (Outcome { holder: before, after: After::Stays, held_back: None }, stays.filter(|at| *at > 0))
}

/// Everything that is asked, besides the healthy pair.
fn situations(pair: &Matched<'_>) -> Vec<Situation> {
    let mut all = Vec::new();
    let watched = Who::BOTH.map(|who| watched(pair, who));
    for who in Who::BOTH {
        all.push(Situation::of(who, Condition::Dead));
        all.push(Situation::of(who, Condition::Stopped));
        let own = Watched::of(&Spec::interface(&pair.settings(who).interface));
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
        let is_own = one.kind == Kind::Interface && own.contains(&one.name.as_str());
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
    let own = &pair.settings(who).name;
    let mut all: Vec<Watched> = Vec::new();
    for member in pair.members(who) {
        let settings = member.settings;
        let primary = (settings.track_primary && settings.name != *own)
            .then(|| Watched::of(&Spec::interface(&settings.interface)));
        // A mate's weight is its own affair, unless it keeps the group where it is; its FAULT is everybody's.
        for one in member.trackers.iter().map(Watched::of).chain(primary) {
            if !all.iter().any(|known| known.is(one.kind, &one.name)) {
                all.push(one);
            }
        }
    }
    all
}

/// Both routers in a situation.
fn contenders(pair: &Matched<'_>, situation: &Situation, hears: [bool; 2]) -> [(Contender, Standing); 2] {
    Who::BOTH.map(|who| {
        let settings = pair.settings(who);
        let condition = situation.condition(who);
        let standing = standing(&pair.members(who), condition);
        let cable = !condition.failing().iter().any(|one| one.is(Kind::Interface, &settings.interface));
        let contender = Contender {
            params: settings.machine_params(pair.address(who)),
            status: standing.status.clone(),
            hears: hears[who.index()] && cable,
            heard: cable,
            fresh: false,
            settles: false,
        };
        (contender, standing)
    })
}

/// One router in a condition: in FAULT when it, or another member of its group, is.
fn standing(members: &[Member<'_>], condition: &Condition) -> Standing {
    match condition {
        Condition::Dead => return Standing { status: Status::Dead, arithmetic: "dead".to_owned() },
        Condition::Stopped => return Standing { status: Status::Stopped, arithmetic: "stopped".to_owned() },
        Condition::Healthy | Condition::Failing(_) => {}
    }
    let failing = condition.failing();
    for (at, member) in members.iter().enumerate() {
        let settings = member.settings;
        let primary = settings.track_primary.then(|| Spec::interface(&settings.interface));
        let faults: Vec<String> = primary
            .iter()
            .chain(member.trackers)
            .filter_map(|spec| {
                let (fails, number) = how(spec, failing);
                fault(spec, fails, number)
            })
            .collect();
        if !faults.is_empty() {
            let reason = faults.join(", ");
            let reason = if at == 0 { reason } else { format!("{} of its group: {reason}", settings.name) };
            return Standing { status: Status::Fault(reason), arithmetic: "FAULT".to_owned() };
        }
    }
    let Some(own) = members.first() else {
        return Standing { status: Status::Dead, arithmetic: String::new() };
    };
    let counts: Vec<i64> = own
        .trackers
        .iter()
        .map(|spec| {
            let (fails, number) = how(spec, failing);
            contribution(spec, fails, number)
        })
        .filter(|n| *n != 0)
        .collect();
    let (effective, arithmetic) = arithmetic(own.settings.base_priority, &counts);
    Standing { status: Status::Runs(effective), arithmetic }
}

/// Whether a tracker is among those that fail, and what it says then.
fn how(spec: &Spec, failing: &[Watched]) -> (bool, i64) {
    let found = failing.iter().find(|one| one.is(spec.kind, &spec.name));
    (found.is_some(), found.map_or(0, |one| one.number))
}

/// The effective priority (held within 1..=254; 255 never changes), and `150 - 60 = 90`.
fn arithmetic(base: u8, counts: &[i64]) -> (u8, String) {
    if counts.is_empty() {
        return (base, base.to_string());
    }
    if base == u8::MAX {
        return (base, "255 (weights do not count)".to_owned());
    }
    let sum = i64::from(base) + counts.iter().sum::<i64>();
    let effective = u8::try_from(sum.clamp(1, 254)).unwrap_or(base);
    let mut text = base.to_string();
    for count in counts {
        let sign = if *count < 0 { '-' } else { '+' };
        text += &format!(" {sign} {}", count.abs());
    }
    text += &format!(" = {sum}");
    if sum != i64::from(effective) {
        text += &format!(", held at {effective}");
    }
    (effective, text)
}
