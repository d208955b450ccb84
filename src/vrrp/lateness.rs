//! How late the loop of the vrrp thread wakes after the time that it asked for: what the machine (a busy processor without
//! real-time priority, a hypervisor, a firmware) takes from it. A late loop is a late advert, and too late an advert is
//! a takeover by the peer. Pure.

use std::time::{Duration, Instant};

/// Told at most so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Told when it is this part of the shortest advert interval: the peer waits for three of them.
const TELL_PART: u32 = 4;

/// Late wake-ups that are not told yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// The shortest advert interval; zero = no instance.
    interval: Duration,
    /// The latest since it was last told, and how many.
    untold: (Duration, u64),
    told_at: Option<Instant>,
}

/// Late wake-ups to tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// The latest of them.
    pub worst: Duration,
    /// How many, since they were last told.
    pub count: u64,
}

impl Lateness {
    /// The shortest advert interval from now on.
    pub const fn expect(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// The loop woke at `now`, so `late` (zero: in time, or for something without a time).
    pub fn woke(&mut self, late: Duration, now: Instant) -> Option<Late> {
        if late >= self.interval / TELL_PART && !self.interval.is_zero() {
            self.untold = (self.untold.0.max(late), self.untold.1 + 1);
        }
        let (worst, count) = self.untold;
        let rested = self.told_at.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if count == 0 || !rested {
            return None;
        }
        self.untold = Default::default();
        self.told_at = Some(now);
        Some(Late { worst, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn a_quarter_of_an_interval_is_told_once_a_minute_with_the_worst() {
        let begun = Instant::now();
        let ms = Duration::from_millis;
        let mut lateness = Lateness::default();
        lateness.expect(INTERVAL);
        let mut told = Vec::new();
        // (when, how late)
        let table =
            [(0, 0), (100, 24), (200, 25), (300, 80), (400, 30), (60_199, 1), (60_200, 0), (60_300, 99)];
        for (when, late) in table {
            let now = begun + ms(when);
            told.extend(lateness.woke(ms(late), now).map(|one| (when, one)));
        }
        let first = Late { worst: ms(25), count: 1 };
        assert_eq!(told, [(200, first), (60_200, Late { worst: ms(80), count: 2 })]);
    }

    #[test]
    fn without_an_instance_nothing_is_late() {
        assert_eq!(Lateness::default().woke(INTERVAL, Instant::now()), None);
    }
}
