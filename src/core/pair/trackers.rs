//! What a tracker would say if what it watches were bad, put to the deciders that the daemon itself works by
//! ([`priority`]): what each failure does to the priority, and whether it is a FAULT.

use crate::vrrp::priority::{self, MOST, Tracker, Value};

pub use crate::vrrp::trackers::{TrackerKind as Kind, TrackerSpec as Spec};

/// What a file says when it is bad: with weight 0 anything but 0 (`reverse`: 0); 1 where 1 lowers the priority; else the
/// number that lowers it most without FAULT. 0 for whatever is no file.
pub(super) fn bad_number(spec: &Spec) -> i64 {
    let weight = i64::from(spec.weight);
    let per_one = if spec.reverse { -weight } else { weight };
    match (spec.kind == Kind::File, per_one) {
        (false, _) => 0,
        (true, 0) => i64::from(!spec.reverse),
        (true, ..0) => 1,
        (true, _) => -(MOST / per_one).max(1),
    }
}

/// The tracker while what it watches fails, or while all is well; a failing file says `number`.
fn saying(spec: &Spec, fails: bool, number: i64) -> Tracker {
    let value = match spec.kind {
        Kind::File if fails => Value::Number(number),
        // A reversed file without a weight is good while it says anything but 0.
        Kind::File => Value::Number(i64::from(spec.weight == 0 && spec.reverse)),
        // An interface is up or down, whatever is made of it.
        Kind::Interface => Value::of(!fails),
        // What a reversed tracker watches for is bad, so it is silent while all is well.
        Kind::Script | Kind::Process | Kind::Bfd | Kind::Quorum => Value::of(fails == spec.reverse),
    };
    Tracker {
        name: spec.name.clone(),
        kind: spec.kind,
        weight: spec.weight,
        reverse: spec.reverse,
        value,
        why: String::new(),
    }
}

/// What it adds to the base priority then.
pub(super) fn contribution(spec: &Spec, fails: bool, number: i64) -> i64 {
    priority::contribution(&saying(spec, fails, number))
}

/// Why it forbids taking part then, in words.
pub(super) fn fault(spec: &Spec, fails: bool, number: i64) -> Option<String> {
    let tracker = saying(spec, fails, number);
    priority::is_fault(&tracker).then(|| priority::describe(&tracker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: Kind, weight: i16, reverse: bool) -> Spec {
        Spec { kind, name: "x".to_owned(), weight, reverse }
    }

    #[test]
    fn what_each_kind_does_when_it_fails() {
        // (kind, weight, reverse), then what it adds while well, while failing, and whether failing is FAULT.
        for ((kind, weight, reverse), well, failing, is_fault) in [
            ((Kind::Script, 0, false), 0, 0, true),
            ((Kind::Script, 0, true), 0, 0, true),
            ((Kind::Script, 10, false), 10, 0, false),
            ((Kind::Script, -10, false), 0, -10, false),
            ((Kind::Script, 10, true), 0, -10, false),
            ((Kind::Interface, 10, false), 10, 0, false),
            ((Kind::Interface, -10, true), 0, 10, false),
            ((Kind::Process, -10, false), 0, -10, false),
            ((Kind::Bfd, 0, false), 0, 0, true),
            ((Kind::File, 0, false), 0, 0, true),
            ((Kind::File, 0, true), 0, 0, true),
            ((Kind::File, -20, false), 0, -20, false),
            ((Kind::File, 20, true), 0, -20, false),
            ((Kind::File, 1, false), 0, -253, false),
            ((Kind::File, 100, false), 0, -200, false),
            // The number times the weight at or below -254 is FAULT.
            ((Kind::File, -254, false), 0, -253, true),
            ((Kind::File, 254, false), 0, -253, true),
        ] {
            let spec = spec(kind, weight, reverse);
            let number = bad_number(&spec);
            assert_eq!(contribution(&spec, false, number), well, "{spec:?}");
            assert_eq!(contribution(&spec, true, number), failing, "{spec:?}");
            assert_eq!(fault(&spec, true, number).is_some(), is_fault, "{spec:?}");
            assert_eq!(fault(&spec, false, number), None, "{spec:?}");
        }
    }
}
