//! Base priority and trackers to effective priority, or FAULT (keepalived's rules; features of `track_script`
//! and `track_interface`).

/// What kind of thing a tracker watches; for the words of the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerKind {
    /// A `vrrp_script`.
    Script,
    /// An interface.
    Interface,
}

/// One tracker of an instance with its last result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    /// Name of the script or interface.
    pub name: String,
    /// What it is.
    pub kind: TrackerKind,
    /// -253..=253. 0: FAULT while down. Above 0: added while up. Below 0: added while down.
    pub weight: i16,
    /// Turns the adjustment round: its sign for a weight, and with weight 0 FAULT while *up*.
    pub reverse: bool,
    /// The last result; `None` = none yet.
    pub up: Option<bool>,
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
/// addresses) is never changed; a tracker of weight 0 can put the owner into FAULT too.
///
/// FAULT comes before Pending: one failure is enough, whatever the others will say.
pub fn effective(base: u8, trackers: &[Tracker]) -> Effective {
    let faults: Vec<String> = trackers.iter().filter(|t| faulty(t)).map(describe).collect();
    if !faults.is_empty() {
        return Effective::Fault(faults.join(", "));
    }
    let pending: Vec<String> = trackers.iter().filter(|t| t.up.is_none()).map(describe).collect();
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

/// A tracker of weight 0 whose result is the bad one.
fn faulty(tracker: &Tracker) -> bool {
    tracker.weight == 0 && tracker.up == Some(tracker.reverse)
}

/// What a tracker adds to the base, before the sum is held within 1..=254.
pub fn contribution(tracker: &Tracker) -> i64 {
    let counts = match tracker.up {
        None => false,
        Some(up) => (tracker.weight > 0) == up,
    };
    let sign = if tracker.reverse { -1 } else { 1 };
    if counts { i64::from(tracker.weight) * sign } else { 0 }
}

/// `script chk_nginx failed`, `interface eth1 is down`.
fn describe(tracker: &Tracker) -> String {
    let what = match (tracker.kind, tracker.up) {
        (TrackerKind::Script, Some(true)) => "succeeds (reverse)",
        (TrackerKind::Script, Some(false)) => "failed",
        (TrackerKind::Script, None) => "has no result yet",
        (TrackerKind::Interface, Some(true)) => "is up (reverse)",
        (TrackerKind::Interface, Some(false)) => "is down",
        (TrackerKind::Interface, None) => "is not known yet",
    };
    let kind = match tracker.kind {
        TrackerKind::Script => "script",
        TrackerKind::Interface => "interface",
    };
    format!("{kind} {} {what}", tracker.name)
}

#[cfg(test)]
mod tests;
