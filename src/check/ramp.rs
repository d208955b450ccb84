//! `slow_start SECONDS`: the weight of a real server that came back grows from a tenth to all of it, a tenth at a time,
//! so that an empty cache or a cold pool is not met by its whole share at once.

use std::time::{Duration, Instant};

/// All of the weight, in tenths.
pub const FULL: u32 = 10;

/// The tenths of its weight that a server has `since` it came back, 1..=10, and when the next step comes (`None`: there
/// is none).
pub fn tenths(since: Instant, slow_start: Duration, now: Instant) -> (u32, Option<Instant>) {
    let step = slow_start / FULL;
    let gone = now.saturating_duration_since(since);
    let steps = gone.as_nanos().checked_div(step.as_nanos()).unwrap_or(u128::MAX);
    let tenths = u32::try_from(steps).unwrap_or(FULL).clamp(1, FULL);
    let next = (tenths < FULL).then(|| since + step * (tenths + 1));
    (tenths, next)
}

/// That part of a weight: never 0 of one that is not, so that the server gets something from the first moment on.
pub const fn part(weight: u32, tenths: u32) -> u32 {
    weight.saturating_mul(tenths).div_ceil(FULL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tenth_at_a_time() {
        let since = Instant::now();
        let at = |secs| tenths(since, Duration::from_secs(20), since + Duration::from_secs(secs));
        let next = |secs| Some(since + Duration::from_secs(secs));
        for (secs, wanted) in [
            (0, (1, next(4))),
            (2, (1, next(4))),
            (4, (2, next(6))),
            (5, (2, next(6))),
            (19, (9, next(20))),
            (20, (10, None)),
            (9_999, (10, None)),
        ] {
            assert_eq!(at(secs), wanted, "after {secs} s");
        }
        assert_eq!(tenths(since, Duration::ZERO, since), (FULL, None));
    }

    #[test]
    fn parts() {
        for (weight, tenths, wanted) in
            [(0, 1, 0), (1, 1, 1), (5, 1, 1), (100, 1, 10), (100, 7, 70), (65_535, 10, 65_535), (15, 3, 5)]
        {
            assert_eq!(part(weight, tenths), wanted, "{tenths} tenths of {weight}");
        }
    }

    proptest! {
        /// Following the steps takes at most nine of them, each later and heavier than the one before.
        #[test]
        fn it_ends(weight in 0u32..=65_535, micros in 0u64..4_294_967_295) {
            let since = Instant::now();
            let slow = Duration::from_micros(micros);
            let (mut now, mut before, mut steps) = (since, 0, 0);
            loop {
                let (tenths, next) = tenths(since, slow, now);
                prop_assert!(part(weight, tenths) >= part(weight, before) && tenths > before);
                before = tenths;
                let Some(next) = next else { break };
                prop_assert!(next > now);
                (now, steps) = (next, steps + 1);
            }
            prop_assert!(before == FULL && steps < 10);
        }
    }
}
