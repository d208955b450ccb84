//! How late the loop of the vrrp thread wakes after the time that it asked for: what the machine (a busy processor without
//! real-time priority, a hypervisor, a firmware) takes from it. A late loop is a late advert, and too late an advert is
//! a takeover by the peer. Pure.

use std::time::{Duration, Instant};

/// Told at most so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Told when it is this part of the shortest advert interval: the peer waits for three of them.
const TELL_PART: u32 = 4;

/// The last minute is looked at in so many parts: what is older than a minute is forgotten within one of them.
const PARTS: usize = 6;
/// Length of a part.
const PART: Duration = Duration::from_secs(60 / PARTS as u64);

/// How late the loop was so far, for status and metrics: the loop lag of the vrrp thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Turns of the loop since the start: how often it woke, for whatever reason.
    pub turns: u64,
    /// Those of them that came so late that the peer may notice: by a quarter of the shortest advert interval or more. Without
    /// an instance nothing counts.
    pub late: u64,
    /// The latest since the start, counted as late or not. Zero: always in time.
    pub worst: Duration,
    /// The latest of the last minute (up to ten seconds more).
    pub worst_of_last_minute: Duration,
}

/// Late wake-ups: those that are not told yet, and all of them as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// The shortest advert interval; zero = no instance.
    interval: Duration,
    /// The latest since it was last told, and how many.
    untold: (Duration, u64),
    told_at: Option<Instant>,
    turns: u64,
    late: u64,
    worst: Duration,
    /// The worst of each part of the last minute; the first is the current one. Shifted, never allocated.
    parts: [Duration; PARTS + 1],
    /// When the current part began.
    part_since: Option<Instant>,
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
        self.turns = self.turns.saturating_add(1);
        self.worst = self.worst.max(late);
        self.shift(now);
        self.parts[0] = self.parts[0].max(late);
        if late >= self.interval / TELL_PART && !self.interval.is_zero() {
            self.untold = (self.untold.0.max(late), self.untold.1 + 1);
            self.late = self.late.saturating_add(1);
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

    /// The numbers as they are at `now`, which may be long after the last turn.
    pub fn lag(&self, now: Instant) -> Lag {
        let mut here = self.clone();
        here.shift(now);
        let worst_of_last_minute = here.parts.into_iter().max().unwrap_or_default();
        Lag { turns: here.turns, late: here.late, worst: here.worst, worst_of_last_minute }
    }

    /// Forgets parts that are over for a minute.
    fn shift(&mut self, now: Instant) {
        let since = *self.part_since.get_or_insert(now);
        let over = now.saturating_duration_since(since).as_secs() / PART.as_secs();
        if over == 0 {
            return;
        }
        let by = usize::try_from(over).unwrap_or(usize::MAX).min(self.parts.len());
        self.parts.rotate_right(by);
        self.parts[..by].fill(Duration::ZERO);
        // At the beginning of a part, not at this turn: parts stay as long as they are said to be.
        self.part_since = Some(since + PART.saturating_mul(u32::try_from(over).unwrap_or(u32::MAX)));
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
        let now = Instant::now();
        let mut lateness = Lateness::default();
        assert_eq!(lateness.woke(INTERVAL, now), None);
        let lag = Lag { turns: 1, late: 0, worst: INTERVAL, worst_of_last_minute: INTERVAL };
        assert_eq!(lateness.lag(now), lag, "the number is there all the same");
    }

    #[test]
    fn the_numbers_are_those_of_ever_and_of_the_last_minute() {
        let begun = Instant::now();
        let ms = Duration::from_millis;
        let mut lateness = Lateness::default();
        lateness.expect(INTERVAL);
        assert_eq!(lateness.lag(begun), Lag::default());
        for (when, late) in [(0, 0), (1_000, 80), (5_000, 24), (30_000, 40)] {
            let _ = lateness.woke(ms(late), begun + ms(when));
        }
        // (when it is asked, the worst of the last minute then)
        for (when, minute) in [
            (30_000, 80),
            (60_000, 80),
            (69_999, 80),
            // The part of the first ten seconds is over for a minute.
            (70_000, 40),
            (99_999, 40),
            (100_000, 0),
            (100_000_000, 0),
        ] {
            let lag = lateness.lag(begun + ms(when));
            let wanted = Lag { turns: 4, late: 2, worst: ms(80), worst_of_last_minute: ms(minute) };
            assert_eq!(lag, wanted, "asked after {when} ms");
        }
        let _ = lateness.woke(ms(7), begun + ms(100_000));
        assert_eq!(lateness.lag(begun + ms(100_000)).worst_of_last_minute, ms(7));
        // A clock that stands behind the last turn (it cannot) forgets nothing.
        assert_eq!(lateness.lag(begun).worst_of_last_minute, ms(7));
    }
}
