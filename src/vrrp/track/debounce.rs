//! A value that must hold for a while before it counts. Pure.

use std::time::{Duration, Instant};

/// What counts, and when what is seen instead will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    counts: bool,
    due: Option<Instant>,
}

impl Debounce {
    /// Begins with a value that counts at once.
    pub const fn new(value: bool) -> Self {
        Self { counts: value, due: None }
    }

    /// The value that counts.
    pub const fn value(&self) -> bool {
        self.counts
    }

    /// This is seen now; another value than the one that counts must be seen for `delay` on end. Returns the value that
    /// counts from now on when that changes. A wait that is under way is not prolonged.
    pub fn observe(&mut self, seen: bool, delay: Duration, now: Instant) -> Option<bool> {
        if seen == self.counts {
            self.due = None;
            return None;
        }
        self.due.get_or_insert(now + delay);
        self.fire(now)
    }

    /// When [`fire`](Self::fire) is due, if nothing else is seen until then.
    pub const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Time has passed.
    pub fn fire(&mut self, now: Instant) -> Option<bool> {
        self.due.take_if(|due| *due <= now)?;
        self.counts = !self.counts;
        Some(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP: Duration = Duration::from_millis(100);

    #[test]
    fn without_a_delay_everything_counts_at_once() {
        let now = crate::clock::now();
        let mut value = Debounce::new(true);
        assert_eq!(value.observe(false, Duration::ZERO, now), Some(false));
        assert_eq!(value.observe(false, Duration::ZERO, now), None);
        assert_eq!(value.observe(true, Duration::ZERO, now), Some(true));
    }

    #[test]
    fn a_bounce_within_the_delay_is_nothing() {
        let now = crate::clock::now();
        let mut value = Debounce::new(true);
        assert_eq!(value.observe(false, STEP * 3, now), None);
        assert_eq!(value.deadline(), Some(now + STEP * 3));
        assert_eq!(value.observe(true, STEP * 3, now + STEP), None);
        assert_eq!(value.deadline(), None);
        assert_eq!(value.fire(now + STEP * 9), None);
        // Seen again and again: the first time counts.
        assert_eq!(value.observe(false, STEP * 3, now + STEP * 10), None);
        assert_eq!(value.observe(false, STEP * 3, now + STEP * 12), None);
        assert_eq!(value.fire(now + STEP * 12), None);
        assert_eq!(value.fire(now + STEP * 13), Some(false));
        assert!(!value.value());
    }

    proptest! {
        /// Whatever is seen when: the value changes only to what has been seen for the whole of its delay.
        #[test]
        fn only_what_lasts_counts(seen in prop::collection::vec((any::<bool>(), 0_u32..8), 1..40), delay in 0_u32..6) {
            let start = crate::clock::now();
            let (mut now, mut value) = (start, Debounce::new(true));
            // Since when the present sight lasts.
            let (mut sight, mut since) = (true, start);
            for (up, pause) in seen {
                let until = now + STEP * pause;
                if let Some(due) = value.deadline().filter(|due| *due <= until) {
                    let flip = value.fire(due);
                    prop_assert_eq!(flip, Some(sight));
                    prop_assert!(due - since >= STEP * delay);
                }
                now = until;
                if up != sight {
                    (sight, since) = (up, now);
                }
                if let Some(flip) = value.observe(up, STEP * delay, now) {
                    prop_assert_eq!(flip, sight);
                    prop_assert!(now - since >= STEP * delay);
                }
                prop_assert!(value.value() == sight || value.deadline() == Some(since + STEP * delay));
            }
        }
    }
}
