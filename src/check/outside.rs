//! What FILE_CHECK and BFD_CHECK go by: others watch files and run sessions, and tell the check room what they say.

use std::collections::BTreeMap;

use super::outcome::{Failure, Success, Weight};
use super::plan::{FilePlan, Kind};

/// The last word of every file and session that a checker may name. What is missing has said nothing yet: its checkers
/// stay as they began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// The number in each `track_file`, by its name.
    pub files: BTreeMap<String, i64>,
    /// Whether each session is up, by the name of its `bfd_instance`.
    pub sessions: BTreeMap<String, bool>,
}

impl Outside {
    /// What a checker that is told makes of it; `None` for any other checker, and while nothing is known.
    pub fn result(&self, kind: &Kind) -> Option<Result<Success, Failure>> {
        match kind {
            Kind::File(plan) => self.files.get(&plan.name).map(|number| file(plan, *number)),
            Kind::Bfd(name) => self.sessions.get(name).map(|up| match up {
                true => Ok(Success::default()),
                false => Err(Failure::SessionDown),
            }),
            _ => None,
        }
    }
}

/// keepalived's reading: with weight 0 a number other than 0 is failure (`reverse`: 0 is). Else the number times the
/// weight moves the real server's weight, and a product beyond 32 bits below 0 is failure.
fn file(plan: &FilePlan, number: i64) -> Result<Success, Failure> {
    if plan.weight == 0 {
        return if (number == 0) == plan.reverse {
            Err(Failure::FileSays(number))
        } else {
            Ok(Success::default())
        };
    }
    let sign = if plan.reverse { -1 } else { 1 };
    let product = number.saturating_mul(plan.weight).saturating_mul(sign);
    if product <= i64::from(i32::MIN) {
        return Err(Failure::FileSays(number));
    }
    Ok(Success { weight: Some(Weight::Moved(product)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_number_means() {
        let moved = |by| Ok(Success { weight: Some(Weight::Moved(by)) });
        let fine = || Ok(Success::default());
        let bad = |number| Err(Failure::FileSays(number));
        for (weight, reverse, number, result) in [
            (0, false, 0, fine()),
            (0, false, 1, bad(1)),
            (0, false, -7, bad(-7)),
            (0, true, 0, bad(0)),
            (0, true, 5, fine()),
            (1, false, 0, moved(0)),
            (2, false, 5, moved(10)),
            (2, true, 5, moved(-10)),
            (-2, false, 5, moved(-10)),
            (-2, true, 5, moved(10)),
            (254, false, -2_147_483_648, bad(-2_147_483_648)),
            (1, false, -2_147_483_647, moved(-2_147_483_647)),
            (1, false, -2_147_483_648, bad(-2_147_483_648)),
            (254, false, i64::MAX, moved(i64::MAX)),
            (254, false, i64::MIN, bad(i64::MIN)),
            (254, true, i64::MIN, moved(i64::MAX)),
        ] {
            let plan = FilePlan { name: "f".to_owned(), weight, reverse };
            assert_eq!(file(&plan, number), result, "{number} times {weight}, reverse {reverse}");
        }
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        let outside = Outside::default();
        let file = Kind::File(Box::new(FilePlan { name: "f".to_owned(), weight: 1, reverse: false }));
        assert_eq!(outside.result(&file), None);
        assert_eq!(outside.result(&Kind::Bfd("b".to_owned())), None);
        let sessions = [("b".to_owned(), false), ("c".to_owned(), true)].into();
        let outside = Outside { sessions, ..outside };
        assert_eq!(outside.result(&Kind::Bfd("b".to_owned())), Some(Err(Failure::SessionDown)));
        assert_eq!(outside.result(&Kind::Bfd("c".to_owned())), Some(Ok(Success::default())));
    }
}
