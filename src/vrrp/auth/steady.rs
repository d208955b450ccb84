//! The time that signed adverts go by (`auth_hmac`): the wall clock without its steps.
//!
//! A clock that somebody steps by an hour would make all adverts of its director stale for the others, and theirs for it:
//! two masters. So what counts is the wall clock as it was at the first advert, and the monotonic clock from then on.
//! Where the clock is slewed both go together. The step is followed after all as soon as an advert is heard that bears a
//! right signature and is stale by the time before: then it may be that time that is wrong, as after a start without
//! battery and network. So directors that disagree go by their wall clocks, as keepalived does always.
//!
//! A recording is no better off: it is stale by the steady time, and where it makes somebody follow the wall clock, that
//! one judges it by the clock that it would have gone by without all this.

use std::time::{Duration, Instant};

/// Differences up to this are followed at once: less than every window.
const STEP: Duration = Duration::from_millis(500);

/// The time of one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steady {
    /// One moment by both clocks.
    anchor: Option<(Instant, Duration)>,
    /// The wall clock is somewhere else, and that was told.
    apart: bool,
}

impl Steady {
    /// The time since 1970 that counts. `wall` is what the clock says.
    pub fn time(&mut self, now: Instant, wall: Duration) -> Duration {
        let steady = self.anchor.map_or(wall, |(at, was)| was + now.saturating_duration_since(at));
        if wall.abs_diff(steady) > STEP {
            return steady;
        }
        self.follow(now, wall);
        wall
    }

    /// From now on it is what the clock says.
    pub fn follow(&mut self, now: Instant, wall: Duration) {
        *self = Self { anchor: Some((now, wall)), apart: false };
    }

    /// How far the clock was stepped, in seconds (forward is positive); said once a step.
    pub fn stepped(&mut self, now: Instant, wall: Duration) -> Option<i64> {
        let time = self.time(now, wall);
        if time == wall || std::mem::replace(&mut self.apart, true) {
            return None;
        }
        // Whole seconds, the next ones: the two clocks were not read at one moment.
        let by = i64::try_from((wall.abs_diff(time) + STEP).as_secs()).unwrap_or(i64::MAX);
        Some(if wall > time { by } else { -by })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const WALL: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_step_does_not_count_and_is_said_once() {
        let start = crate::clock::now();
        for (to, by) in [(WALL + HOUR, 3600), (WALL - HOUR, -3600)] {
            let mut steady = Steady::default();
            assert_eq!(steady.stepped(start, WALL), None);
            let second = Duration::from_secs(1);
            assert_eq!(steady.stepped(start + second, to + second), Some(by));
            assert_eq!(steady.time(start + second, to + second), WALL + second);
            assert_eq!(steady.stepped(start + second * 2, to + second * 2), None);
            // Stepped back: all is as ever, and the next step is another one.
            assert_eq!(steady.time(start + second * 3, WALL + second * 3), WALL + second * 3);
            assert_eq!(steady.stepped(start + second * 4, to + second * 4), Some(by));
        }
    }

    #[test]
    fn who_follows_goes_by_the_clock() {
        let (start, mut steady) = (crate::clock::now(), Steady::default());
        steady.time(start, WALL);
        steady.follow(start + HOUR, WALL);
        assert_eq!(steady.time(start + HOUR, WALL), WALL);
        assert_eq!(steady.time(start + HOUR * 2, WALL + HOUR), WALL + HOUR);
        assert_eq!(steady.stepped(start + HOUR * 2, WALL + HOUR), None);
    }

    proptest! {
        #[test]
        fn a_slewed_clock_is_followed_for_ever(parts in prop::collection::vec((1..10_000u64, -400..400i64), 1..200)) {
            // Steps below the limit, whatever they add up to.
            let (mut now, mut wall) = (crate::clock::now(), WALL);
            let mut steady = Steady::default();
            for (millis, by) in parts {
                let after = Duration::from_millis(millis);
                now += after;
                wall += after;
                let step = Duration::from_millis(by.unsigned_abs());
                wall = if by < 0 { wall - step } else { wall + step };
                prop_assert_eq!(steady.time(now, wall), wall);
            }
        }
    }
}
