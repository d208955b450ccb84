//! When a master's next advert is due: a whole interval after the moment when the one before was due, not after the moment
//! at which a late thread got round to it, so that lateness does not add up. Pure.
//!
//! A thousand masters that were elected in one moment would stay in step for ever, and the last of each burst would leave
//! many milliseconds after the first. With a [`Rhythm`] an instance has its own place in the interval, and takes it up by
//! sending one advert earlier than the interval asks: earlier, since a backup waits for no more than that.

use std::time::{Duration, Instant};

/// How many instances share a place. A burst of these takes about a tenth of a millisecond; fewer would wake the thread
/// more often for the same adverts.
const TOGETHER: usize = 16;

/// The place of one of many instances in the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    origin: Instant,
    place: u32,
    places: u32,
}

impl Rhythm {
    /// The rhythm of instance `number` of `count`, all of which count from one origin; `None` when they are so few that
    /// they need none.
    pub fn of(origin: Instant, number: usize, count: usize) -> Option<Self> {
        let places = u32::try_from(count.div_ceil(TOGETHER)).unwrap_or(u32::MAX);
        let place = u32::try_from(number / TOGETHER).unwrap_or(u32::MAX).min(places.saturating_sub(1));
        (places > 1).then_some(Self { origin, place, places })
    }

    /// The last moment of this rhythm that is not after `latest`.
    fn at_or_before(&self, latest: Instant, interval: Duration) -> Instant {
        let offset = interval.mul_f64(f64::from(self.place) / f64::from(self.places));
        let since = latest.saturating_duration_since(self.origin + offset);
        let beyond = since.as_nanos().checked_rem(interval.as_nanos()).unwrap_or(0);
        latest.checked_sub(Duration::from_nanos(u64::try_from(beyond).unwrap_or(0))).unwrap_or(latest)
    }
}

/// When the next advert is due. This one was due at `due` and leaves at `now`: after `now`, and never later than an interval
/// from it.
pub(super) fn next_advert(due: Instant, now: Instant, interval: Duration, rhythm: Option<Rhythm>) -> Instant {
    // What is very late is not made up for: never a burst.
    let base = if now.saturating_duration_since(due) < interval / 2 { due.min(now) } else { now };
    let latest = base + interval;
    let next = rhythm.map_or(latest, |rhythm| rhythm.at_or_before(latest, interval));
    if next > now { next } else { next + interval }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn lateness_does_not_add_up() {
        let start = Instant::now();
        let mut due = start;
        for round in 1..100_u32 {
            due = next_advert(due, due + ms(u64::from(round % 7) * 10), SECOND, None);
            assert_eq!(due, start + SECOND * round);
        }
    }

    #[test]
    fn what_is_very_late_is_not_made_up_for() {
        let due = Instant::now();
        let now = due + ms(700);
        assert_eq!(next_advert(due, now, SECOND, None), now + SECOND);
    }

    #[test]
    fn an_advert_out_of_turn_begins_a_new_interval() {
        let now = Instant::now();
        assert_eq!(next_advert(now + ms(300), now, SECOND, None), now + SECOND);
    }

    #[test]
    fn few_instances_have_no_places() {
        let origin = Instant::now();
        assert_eq!(Rhythm::of(origin, 0, 1), None);
        assert_eq!(Rhythm::of(origin, TOGETHER - 1, TOGETHER), None);
        assert!(Rhythm::of(origin, TOGETHER, TOGETHER + 1).is_some());
    }

    #[test]
    fn a_thousand_masters_of_one_moment_spread_evenly_and_stay_so() {
        let origin = Instant::now();
        let elected = origin + ms(3617);
        for interval in [SECOND, ms(10), ms(1370)] {
            let mut at: BTreeMap<Instant, usize> = BTreeMap::new();
            for number in 0..1000 {
                let rhythm = Rhythm::of(origin, number, 1000);
                let second = next_advert(elected, elected, interval, rhythm);
                assert!(second > elected && second <= elected + interval);
                let third = next_advert(second, second + interval / 20, interval, rhythm);
                assert_eq!(third, second + interval);
                *at.entry(third).or_default() += 1;
            }
            assert_eq!(at.len(), 63);
            assert!(at.values().all(|together| *together <= TOGETHER), "{at:?}");
            let moments: Vec<Instant> = at.into_keys().collect();
            let gaps = moments.windows(2).map(|two| two[1] - two[0]);
            assert!(gaps.min().unwrap() > interval / 70, "{interval:?}");
        }
    }

    proptest! {
        #[test]
        fn always_after_now_and_never_later_than_the_interval(
            interval in 10_u64..50_000,
            due in 0_u64..100_000_000,
            now in -100_000_i64..100_000_000,
            number in 0_usize..2000,
            count in 1_usize..2000,
        ) {
            let origin = Instant::now();
            let (interval, due) = (ms(interval), origin + Duration::from_micros(due));
            let now = if now < 0 {
                due.checked_sub(Duration::from_micros(now.unsigned_abs())).unwrap_or(due).max(origin)
            } else {
                due + Duration::from_micros(now.unsigned_abs())
            };
            for rhythm in [None, Rhythm::of(origin, number, count)] {
                let next = next_advert(due, now, interval, rhythm);
                prop_assert!(next > now && next <= now + interval, "{:?} {:?}", next - now, interval);
            }
        }
    }
}
