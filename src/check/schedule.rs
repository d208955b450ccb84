//! When each check is due.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// One incarnation of a probe: of what runs for a checker, or for several equal ones. A checker whose parameters change at
/// a reload gets a new one, so that a late result of the old one finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId {
    /// Where it is kept: small numbers, used again when it is gone.
    pub slot: u32,
    /// Tells those apart that were kept there one after the other.
    pub generation: u32,
}

/// The probes that wait for their time, earliest first. One that runs is not in here.
#[derive(Debug, Default)]
pub struct Schedule {
    queue: BTreeSet<(Instant, ProbeId)>,
}

impl Schedule {
    /// Puts a probe in at its time.
    pub fn add(&mut self, at: Instant, id: ProbeId) {
        self.queue.insert((at, id));
    }

    /// Takes a probe out; nothing happens when it is not there.
    pub fn remove(&mut self, at: Instant, id: ProbeId) {
        self.queue.remove(&(at, id));
    }

    /// Takes out the probe that has been due for longest, if one is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<ProbeId> {
        let &(at, id) = self.queue.first().filter(|(at, _)| *at <= now)?;
        self.queue.remove(&(at, id));
        Some(id)
    }

    /// The time of the earliest.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }
}

/// Longest spread of first checks when the file asks for none.
const SPREAD: Duration = Duration::from_secs(1);
/// What the spread grows by with every checker: a small farm knows its state within milliseconds, a large one does
/// not send its first checks in one burst.
const SPREAD_EACH: Duration = Duration::from_millis(2);

/// How long the first check waits. With `warmup`: anywhere in 0..warmup (keepalived's rule; there the default is
/// `delay_loop`, up to a minute of traffic to dead servers). Without it: anywhere in 0..min(delay_loop, 1 s, 2 ms for
/// each of the `count` checkers that start together). `number`: how many began before it.
pub fn first_delay(
    warmup: Option<Duration>,
    delay_loop: Duration,
    count: usize,
    seed: u64,
    number: u64,
) -> Duration {
    let spread = warmup.unwrap_or_else(|| {
        let grown = SPREAD_EACH.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        SPREAD.min(delay_loop).min(grown)
    });
    spread.mul_f64(fraction(seed, number))
}

/// A number in 0..1 from the seed and the number (the finalizer of splitmix64).
fn fraction(seed: u64, number: u64) -> f64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // 32 bits go into f64 without loss; more would not change when a check starts.
    f64::from((z >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(slot: u32) -> ProbeId {
        ProbeId { slot, generation: 0 }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn due_checkers_come_earliest_first() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut schedule = Schedule::default();
        schedule.add(at(20), id(1));
        schedule.add(at(10), id(2));
        schedule.add(at(30), id(3));
        schedule.remove(at(30), id(3));
        assert_eq!(schedule.next(), Some(at(10)));
        assert_eq!(schedule.pop_due(at(9)), None);
        assert_eq!(schedule.pop_due(at(25)), Some(id(2)));
        assert_eq!(schedule.pop_due(at(25)), Some(id(1)));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn first_checks_start_at_once_in_a_small_farm_and_spread_in_a_large_one() {
        let longest = |warmup, delay_loop, count| {
            (0..1000).map(|number| first_delay(warmup, delay_loop, count, 7, number)).max().unwrap()
        };
        assert!(longest(None, MINUTE, 3) < Duration::from_millis(6));
        let large = longest(None, MINUTE, 5000);
        assert!(large < Duration::from_secs(1) && large > Duration::from_millis(900), "{large:?}");
        assert!(longest(None, Duration::from_millis(100), 5000) < Duration::from_millis(100));
        let warm = longest(Some(Duration::from_secs(10)), MINUTE, 3);
        assert!(warm < Duration::from_secs(10) && warm > Duration::from_secs(9), "{warm:?}");
        assert_eq!(longest(Some(Duration::ZERO), MINUTE, 5000), Duration::ZERO);
    }

    #[test]
    fn the_seed_decides() {
        let delay = |seed, number| first_delay(None, MINUTE, 5000, seed, number);
        assert_eq!(delay(1, 1), delay(1, 1));
        assert_ne!(delay(1, 1), delay(2, 1));
        assert_ne!(delay(1, 1), delay(1, 2));
    }
}
