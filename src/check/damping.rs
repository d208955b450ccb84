//! `flap_damping FLIPS SECONDS [HOLD]`: a real server that goes and comes too often is held down for a while, and for
//! longer each time.
//!
//! A server that fails one check in three is worse than one that is down: each return breaks the connections that it gets
//! until the next failure. What counts is what its checkers say together; while it is held they go on, and when the time
//! is over what they say then is what it is.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// So many flips (a going or a coming is one) within ... At least 1.
    pub flips: u32,
    /// ... this time hold it.
    pub within: Duration,
    /// For so long the first time, for twice as long each further time, 32 times as long at most.
    pub hold: Duration,
}

/// The longest hold is this power of two times the first.
const MOST_DOUBLINGS: u32 = 5;

impl fmt::Display for Rules {
    /// `4 60 90`, as the file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.flips, self.within.as_secs_f64(), self.hold.as_secs_f64())
    }
}

impl Rules {
    /// How long the hold lasts that comes after so many others.
    const fn lasting(&self, holds: u32) -> Duration {
        let doublings = if holds < MOST_DOUBLINGS { holds } else { MOST_DOUBLINGS };
        self.hold.saturating_mul(1 << doublings)
    }
}

/// What is remembered of one real server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damping {
    /// Its flips within the time, oldest first; never more than the file's number.
    flips: VecDeque<Instant>,
    held_until: Option<Instant>,
    /// Holds in a row: no calm between them.
    holds: u32,
    /// The last flip, or the end of the last hold.
    last: Option<Instant>,
}

impl Damping {
    /// Its checkers flipped together at `now`. True when that begins a hold.
    pub fn flip(&mut self, rules: &Rules, now: Instant) -> bool {
        if self.held_until.is_some() {
            // It is out of service: what its checkers say meanwhile harms nobody.
            return false;
        }
        // Calm for as long as the last hold, and as flips count: the next hold is a first one again.
        let calm = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if calm > rules.within.max(rules.lasting(self.holds.saturating_sub(1))) {
            self.holds = 0;
        }
        self.last = Some(now);
        self.flips.retain(|at| now.saturating_duration_since(*at) <= rules.within);
        self.flips.push_back(now);
        if self.flips.len() < usize::try_from(rules.flips.max(1)).unwrap_or(usize::MAX) {
            return false;
        }
        self.flips.clear();
        self.held_until = Some(now + rules.lasting(self.holds));
        self.holds = self.holds.saturating_add(1);
        true
    }

    /// Ends a hold whose time is over; true when it did. `None` for rules: the file asks for no damping any more.
    pub fn release(&mut self, rules: Option<&Rules>, now: Instant) -> bool {
        if rules.is_none() {
            return std::mem::take(self).held_until.is_some();
        }
        let over = self.held_until.take_if(|until| *until <= now).is_some();
        if over {
            self.last = Some(now);
        }
        over
    }

    /// Until when it is held down.
    pub const fn held_until(&self) -> Option<Instant> {
        self.held_until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rules() -> Rules {
        Rules { flips: 4, within: 60 * SECOND, hold: 100 * SECOND }
    }

    #[test]
    fn too_many_flips_within_the_time_hold_it_and_longer_each_time() {
        let start = Instant::now();
        let at = |secs: u32| start + secs * SECOND;
        let mut damping = Damping::default();
        // Slowly: never.
        for n in 0..20 {
            assert!(!damping.flip(&rules(), at(n * 21)), "flip {n}");
        }
        let mut now = 1000;
        for (n, held) in [100, 200, 400, 800, 1600, 3200, 3200].into_iter().enumerate() {
            for flip in 0..3 {
                assert!(!damping.flip(&rules(), at(now + flip)));
            }
            assert!(damping.flip(&rules(), at(now + 3)), "hold {n}");
            assert_eq!(damping.held_until(), Some(at(now + 3 + held)), "hold {n}");
            assert!(!damping.flip(&rules(), at(now + 4)), "held already");
            assert!(!damping.release(Some(&rules()), at(now + 2 + held)));
            assert!(damping.release(Some(&rules()), at(now + 3 + held)));
            assert!(!damping.release(Some(&rules()), at(now + 3 + held)), "once");
            now += 3 + held;
        }
    }

    #[test]
    fn calm_makes_the_next_hold_a_first_one() {
        let start = Instant::now();
        for (calm, held) in [(200, 400), (201, 100)] {
            let mut damping = Damping { holds: 2, last: Some(start), ..Damping::default() };
            let now = start + calm * SECOND;
            for _ in 0..4 {
                damping.flip(&rules(), now);
            }
            assert_eq!(damping.held_until(), Some(now + held * SECOND), "after {calm} s");
        }
    }

    #[test]
    fn a_file_without_the_word_lets_go() {
        let start = Instant::now();
        let mut damping = Damping::default();
        for _ in 0..4 {
            damping.flip(&rules(), start);
        }
        assert!(damping.release(None, start));
        assert_eq!(damping, Damping::default());
    }

    proptest! {
        /// A hold begins only after that many flips within the time, and ends.
        #[test]
        fn laws(flips in 1u32..6, pauses in prop::collection::vec(0u32..90, 0..100)) {
            let rules = Rules { flips, ..rules() };
            let mut damping = Damping::default();
            let mut now = Instant::now();
            let mut seen: Vec<Instant> = Vec::new();
            for pause in pauses {
                now += pause * SECOND;
                if damping.release(Some(&rules), now) {
                    seen.clear();
                }
                let held = damping.held_until().is_some();
                let begins = damping.flip(&rules, now);
                prop_assert!(!(held && begins));
                if held {
                    continue;
                }
                seen.push(now);
                let recent = seen.iter().filter(|at| now.saturating_duration_since(**at) <= rules.within).count();
                prop_assert_eq!(begins, recent >= flips as usize);
                prop_assert!(damping.held_until().is_none_or(|until| until <= now + 32 * rules.hold));
            }
        }
    }
}
