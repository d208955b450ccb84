//! What was so when an instance changed its state: kept with each transition, so that "why" has an answer afterwards,
//! when trackers and peers say something else already. Pure.
//!
//! [`Cause`] says which event moved the instance; this says what led up to it: how the priority
//! came about, who was last heard, and whether this machine was late itself.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::machine::{Cause, LastAdvert};
use super::priority::{Tracker, TrackerKind, Value, contribution};

/// Lateness that is worth a word; below it is the noise of a busy machine.
const WORTH_A_WORD: Duration = Duration::from_millis(5);
/// Trackers that a sentence names; the structure holds all.
const NAMED: usize = 8;

/// What was so at a transition. As JSON: durations in whole microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The configured priority.
    pub base_priority: u8,
    /// The effective one; in FAULT the last one known.
    pub priority: u8,
    /// Every tracker of the instance, its sync group's included.
    pub trackers: Vec<Seen>,
    /// The last advert that was accepted, if there ever was one.
    pub last_advert: Option<Heard>,
    /// How late the vrrp thread itself was when it came to this, microseconds. Above a few milliseconds the cause may lie
    /// here: a starved or paused machine hears nobody.
    #[serde(rename = "own_delay_us", serialize_with = "microseconds")]
    pub own_delay: Duration,
    /// The order of a person that the priority comes from: `step_down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<&'static str>,
}

/// One tracker at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its kind, as messages name it.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `up`, `down`, `unknown`, or the number in a `track_file`.
    pub value: String,
    /// -254..=254; 0 means FAULT when bad.
    pub weight: i16,
    /// The sense is turned round.
    pub reverse: bool,
    /// What it adds to the base priority.
    pub contribution: i64,
    /// What made the value so, in words; may be empty.
    pub why: String,
}

/// The last accepted advert, at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// From whom.
    pub source: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// How long ago, microseconds.
    #[serde(rename = "age_us", serialize_with = "microseconds")]
    pub age: Duration,
}

/// The last accepted advert as an instance remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) source: IpAddr,
    pub(super) priority: u8,
    pub(super) at: Instant,
}

impl Remembered {
    /// As of now.
    pub(super) fn now(self, now: Instant) -> Heard {
        let age = now.saturating_duration_since(self.at);
        Heard { source: self.source, priority: self.priority, age }
    }
}

impl From<&Tracker> for Seen {
    fn from(tracker: &Tracker) -> Self {
        let value = match tracker.value {
            Value::Up => "up".to_owned(),
            Value::Down => "down".to_owned(),
            Value::Unknown => "unknown".to_owned(),
            Value::Number(number) => number.to_string(),
        };
        Self {
            kind: tracker.kind.word(),
            name: tracker.name.clone(),
            value,
            weight: tracker.weight,
            reverse: tracker.reverse,
            contribution: contribution(tracker),
            why: tracker.why.clone(),
        }
    }
}

impl Snapshot {
    /// What a sentence adds to a cause, beginning with `; `, or nothing: what the cause says itself is not said again.
    pub fn besides<'a>(&'a self, cause: &'a Cause) -> impl fmt::Display + 'a {
        Besides { snapshot: self, cause }
    }
}

/// Cause and circumstances as one sentence without a full stop.
pub fn sentence(cause: &Cause, snapshot: &Snapshot) -> String {
    format!("{cause}{}", snapshot.besides(cause))
}

struct Besides<'a> {
    snapshot: &'a Snapshot,
    cause: &'a Cause,
}

impl fmt::Display for Besides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { base_priority, priority, trackers, last_advert, own_delay, order } = self.snapshot;
        // Stopped by order: nothing led up to it.
        if matches!(self.cause, Cause::Stopped) {
            return Ok(());
        }
        // Those that change something come first, then the others; the plain own interface says nothing while it is up.
        let quiet = |seen: &&Seen| {
            seen.kind == TrackerKind::Interface.word()
                && seen.weight == 0
                && seen.value == "up"
                && !seen.reverse
        };
        let (moving, still): (Vec<_>, Vec<_>) = trackers
            .iter()
            .filter(|seen| !quiet(seen))
            .partition(|seen| seen.contribution != 0 || (seen.weight == 0 && seen.value != "up"));
        let all = moving.len() + still.len();
        write!(f, "; priority {priority}")?;
        if let Some(order) = order {
            write!(f, " by order ({order}), not that")?;
        }
        if order.is_some() || priority != base_priority || all > 0 {
            write!(f, " of base {base_priority}")?;
        }
        for (number, seen) in moving.into_iter().chain(still).take(NAMED).enumerate() {
            f.write_str(if number == 0 { " (" } else { ", " })?;
            seen.fmt(f)?;
        }
        if all > NAMED {
            write!(f, " and {} more", all - NAMED)?;
        }
        if all > 0 {
            f.write_str(")")?;
        }
        if let Some(heard) = last_advert.filter(|_| !self.cause.names_an_advert()) {
            write!(
                f,
                "; the last advert came from {} with priority {}, {:.3} s ago",
                heard.source,
                heard.priority,
                heard.age.as_secs_f64()
            )?;
        }
        if *own_delay >= WORTH_A_WORD && !self.cause.names_own_delay() {
            write!(f, "; this machine itself was {:.3} s late", own_delay.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind, self.name, self.value)?;
        match self.weight {
            0 => {}
            weight => write!(f, " {:+} of weight {weight}", self.contribution)?,
        }
        if self.reverse { f.write_str(" reverse") } else { Ok(()) }
    }
}

fn microseconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

impl From<Heard> for LastAdvert {
    fn from(heard: Heard) -> Self {
        Self { source: heard.source, priority: heard.priority, age: heard.age }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn tracker(kind: TrackerKind, name: &str, weight: i16, value: Value) -> Tracker {
        Tracker { name: name.to_owned(), kind, weight, reverse: false, value, why: String::new() }
    }

    fn seen(trackers: &[Tracker]) -> Vec<Seen> {
        trackers.iter().map(Seen::from).collect()
    }

    #[test]
    fn a_sentence_says_how_the_priority_came_about() {
        let trackers = [
            tracker(TrackerKind::Interface, "eth0", 0, Value::Up),
            tracker(TrackerKind::File, "load", 2, Value::Number(-5)),
            tracker(TrackerKind::Script, "chk", 20, Value::Down),
        ];
        let snapshot = Snapshot {
            base_priority: 150,
            priority: 140,
            trackers: seen(&trackers),
            last_advert: Some(Heard { source: PEER, priority: 145, age: Duration::from_millis(300) }),
            own_delay: Duration::from_millis(12),
            order: None,
        };
        let cause = Cause::HigherPriority { source: PEER, priority: 145, own: 140 };
        assert_eq!(
            sentence(&cause, &snapshot),
            "10.0.0.1 advertises the higher priority 145, ours is 140; priority 140 of base 150 (track_file load -5 -10 \
             of weight 2, script chk down +0 of weight 20); this machine itself was 0.012 s late"
        );
        let cause = Cause::Fault { reason: "script other failed".to_owned(), reload: false };
        assert!(
            sentence(&cause, &snapshot).contains(
                "; the last advert came from 10.0.0.1 with priority 145, 0.300 s ago; this machine"
            )
        );
    }

    #[test]
    fn what_the_cause_says_is_not_said_again() {
        let heard = Heard { source: PEER, priority: 100, age: Duration::from_secs(3) };
        let plain =
            Snapshot { base_priority: 100, priority: 100, last_advert: Some(heard), ..Snapshot::default() };
        let waited = Duration::from_secs(4);
        let cause =
            Cause::MasterDown { waited, limit: Duration::from_secs(3), last: Some(LastAdvert::from(heard)) };
        let late = Snapshot { own_delay: Duration::from_secs(1), ..plain };
        let said = sentence(&cause, &late);
        assert_eq!(said.matches("the last advert came").count(), 1, "{said}");
        assert_eq!(said.matches("late").count(), 1, "{said}");
        // Within a group the words are those of the member's own cause.
        let grouped = Cause::WithGroup { group: "VG".to_owned(), own: Box::new(cause) };
        assert_eq!(sentence(&grouped, &late).matches("the last advert came").count(), 1);
        assert_eq!(sentence(&Cause::Stopped, &late), "stopped");
    }

    #[test]
    fn all_of_it_is_in_the_json() {
        let snapshot = Snapshot {
            base_priority: 100,
            priority: 90,
            trackers: seen(&[tracker(TrackerKind::Bfd, "b", -10, Value::Down)]),
            last_advert: Some(Heard { source: PEER, priority: 80, age: Duration::from_millis(2) }),
            own_delay: Duration::from_micros(7),
            order: None,
        };
        let json = serde_json::to_value(&snapshot).expect("plain data");
        assert_eq!(
            json,
            serde_json::json!({
                "base_priority": 100, "priority": 90, "own_delay_us": 7,
                "last_advert": {"source": "10.0.0.1", "priority": 80, "age_us": 2000},
                "trackers": [{"kind": "bfd", "name": "b", "value": "down", "weight": -10, "reverse": false,
                              "contribution": -10, "why": ""}],
            })
        );
    }

    #[test]
    fn a_priority_that_was_ordered_is_not_explained_by_trackers() {
        let snapshot =
            Snapshot { base_priority: 150, priority: 1, order: Some("step_down"), ..Snapshot::default() };
        let cause = Cause::StepDown { by: "root(uid=0,pid=7)".to_owned(), maintenance: false };
        assert_eq!(
            sentence(&cause, &snapshot),
            "stepped down by root(uid=0,pid=7); priority 1 by order (step_down), not that of base 150"
        );
        assert_eq!(serde_json::to_value(&snapshot).expect("plain data")["order"], "step_down");
    }

    #[test]
    fn an_interface_that_is_up_is_nothing_to_speak_of() {
        let trackers = seen(&[tracker(TrackerKind::Interface, "eth0", 0, Value::Up)]);
        let snapshot = Snapshot { base_priority: 100, priority: 100, trackers, ..Snapshot::default() };
        assert_eq!(
            sentence(&Cause::Started, &snapshot),
            "started, and listens for a master first; priority 100"
        );
        let trackers =
            (0..10).map(|n| tracker(TrackerKind::Script, &format!("s{n}"), 1, Value::Up)).collect::<Vec<_>>();
        let snapshot = Snapshot { priority: 110, trackers: seen(&trackers), ..snapshot };
        let said = sentence(&Cause::Started, &snapshot);
        assert!(said.ends_with("script s7 up +1 of weight 1 and 2 more)"), "{said}");
    }

    proptest! {
        /// The parts explain the whole: base and contributions give the effective priority.
        #[test]
        fn the_parts_add_up(base in 1u8..=254, weights in prop::collection::vec((-254i16..=254, any::<bool>()), 0..12)) {
            let trackers: Vec<Tracker> = weights
                .iter()
                .enumerate()
                .filter(|(_, (weight, _))| *weight != 0)
                .map(|(n, (weight, up))| tracker(TrackerKind::Script, &format!("s{n}"), *weight, Value::of(*up)))
                .collect();
            let sum: i64 = seen(&trackers).iter().map(|seen| seen.contribution).sum();
            let expected = u8::try_from((i64::from(base) + sum).clamp(1, 254)).expect("within");
            let effective = super::super::priority::effective(base, &trackers);
            prop_assert_eq!(effective, super::super::priority::Effective::Priority(expected));
        }
    }
}
