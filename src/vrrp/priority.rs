//! Base priority and trackers to effective priority, or FAULT (keepalived's rules of `track_script`,
//! `track_interface`, `track_file`, `track_process` and `track_bfd`).

use std::fmt;

/// The largest change that a tracker makes; a `track_file` that goes below its negative means FAULT.
pub const MOST: i64 = 253;

/// What kind of thing a tracker watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrackerKind {
    /// A `vrrp_script`.
    Script,
    /// An interface.
    Interface,
    /// A `track_file` with a number in it.
    File,
    /// A `vrrp_track_process`.
    Process,
    /// A `bfd_instance`.
    Bfd,
    /// The quorum of a virtual server.
    Quorum,
}

impl TrackerKind {
    /// The word for it in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Interface => "interface",
            Self::File => "track_file",
            Self::Process => "process",
            Self::Bfd => "bfd",
            Self::Quorum => "virtual server",
        }
    }
}

impl fmt::Display for TrackerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a tracker last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Nothing yet: the instance waits for it.
    #[default]
    Unknown,
    /// All is well.
    Up,
    /// It failed.
    Down,
    /// The number in a `track_file`.
    Number(i64),
}

impl Value {
    /// `Up` or `Down`.
    pub const fn of(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }

    /// Whether it is up; `None` = nothing is known, or it is a number.
    pub const fn up(self) -> Option<bool> {
        match self {
            Self::Up => Some(true),
            Self::Down => Some(false),
            Self::Unknown | Self::Number(_) => None,
        }
    }
}

/// One tracker of an instance with its last result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    /// Name of the script, interface, file, process or session.
    pub name: String,
    /// What it is.
    pub kind: TrackerKind,
    /// -254..=254. 0: FAULT while down. Above 0: added while up. Below 0: added while down. Of a file: times its number.
    pub weight: i16,
    /// Turns the adjustment round: its sign for a weight, and with weight 0 FAULT while *up*.
    pub reverse: bool,
    /// The last result.
    pub value: Value,
    /// What made the value what it is, in words; may be empty.
    pub why: String,
}

/// What the trackers make of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effective {
    /// It may take part with this priority.
    Priority(u8),
    /// It must not; which trackers say so, in words.
    Fault(String),
    /// A tracker without its first result holds the instance at start; which ones, in words.
    Pending(String),
}

/// The effective priority: base plus all contributions, held within 1..=254. A base of 255 (the owner of the
/// addresses) is never changed; a tracker can put the owner into FAULT too.
///
/// FAULT comes before Pending: one failure is enough, whatever the others will say.
pub fn effective(base: u8, trackers: &[Tracker]) -> Effective {
    let faults: Vec<String> = trackers.iter().filter(|t| is_fault(t)).map(describe).collect();
    if !faults.is_empty() {
        return Effective::Fault(faults.join(", "));
    }
    let pending: Vec<String> = trackers.iter().filter(|t| t.value == Value::Unknown).map(describe).collect();
    if !pending.is_empty() {
        return Effective::Pending(pending.join(", "));
    }
    if base == u8::MAX {
        return Effective::Priority(base);
    }
    let sum: i64 = trackers.iter().map(contribution).sum();
    let clamped = (i64::from(base) + sum).clamp(1, 254);
    Effective::Priority(u8::try_from(clamped).unwrap_or(base))
}

/// A tracker that forbids taking part: of weight 0 with the bad result, or a file whose product is below -253.
pub fn is_fault(tracker: &Tracker) -> bool {
    match (tracker.value, tracker.weight) {
        (Value::Unknown, _) => false,
        (Value::Number(number), 0) => (number == 0) == tracker.reverse,
        (Value::Number(number), _) => product(tracker, number) < -MOST,
        (Value::Up, 0) => tracker.reverse,
        (Value::Down, 0) => !tracker.reverse,
        (Value::Up | Value::Down, _) => false,
    }
}

/// Number times weight, with the sense of `reverse`; cannot overflow.
fn product(tracker: &Tracker, number: i64) -> i64 {
    let sign = if tracker.reverse { -1 } else { 1 };
    number.saturating_mul(i64::from(tracker.weight) * sign)
}

/// What a tracker adds to the base, before the sum is held within 1..=254: at most 253 either way.
pub fn contribution(tracker: &Tracker) -> i64 {
    let weight = i64::from(tracker.weight);
    let sign = if tracker.reverse { -1 } else { 1 };
    let counts = match tracker.value {
        Value::Unknown => false,
        Value::Number(number) => return product(tracker, number).clamp(-MOST, MOST),
        Value::Up => weight > 0,
        Value::Down => weight < 0,
    };
    if counts { (weight * sign).clamp(-MOST, MOST) } else { 0 }
}

/// `script chk_nginx failed (exit status 1)`, `interface eth1 is down (no carrier)`, `track_file x says 5 (weight 0)`.
pub fn describe(tracker: &Tracker) -> String {
    let (kind, name) = (tracker.kind.word(), &tracker.name);
    let works = matches!(tracker.kind, TrackerKind::Script | TrackerKind::Process);
    let what = match (tracker.value, works) {
        (Value::Number(number), _) => {
            let reverse = if tracker.reverse { " reverse" } else { "" };
            let so = match product(tracker, number) {
                product if tracker.weight != 0 && product < -MOST => format!(": {product} is below -{MOST}"),
                _ => String::new(),
            };
            return format!("{kind} {name} says {number} (weight {}{reverse}{so})", tracker.weight);
        }
        (Value::Up, true) => "succeeds (reverse)",
        (Value::Up, false) => "is up (reverse)",
        (Value::Down, true) => "failed",
        (Value::Down, false) => "is down",
        (Value::Unknown, true) => "has no result yet",
        (Value::Unknown, false) => "is not known yet",
    };
    match (tracker.value, tracker.why.is_empty()) {
        (Value::Down, false) => format!("{kind} {name} {what} ({})", tracker.why),
        _ => format!("{kind} {name} {what}"),
    }
}

#[cfg(test)]
mod tests;
