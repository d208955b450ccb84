//! How often an address that somebody keeps deleting is put back: at once at first, then once a second, so that two
//! programs that fight do not fill the log and the kernel. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Repairs within [`WINDOW`] that are made at once.
const AT_ONCE: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// Least time between two repairs beyond that.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// When addresses were put back lately.
#[derive(Clone, Debug, Default)]
pub(super) struct RepairLimit(VecDeque<Instant>);

impl RepairLimit {
    /// True when one more repair may be made now; it is counted then.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        let lately = self.0.back().is_some_and(|at| now.saturating_duration_since(*at) < PAUSE);
        if self.0.len() >= AT_ONCE && lately {
            return false;
        }
        self.0.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_at_once_then_one_a_second_then_at_once_again() {
        let begin = Instant::now();
        let mut limit = RepairLimit::default();
        assert!((0..10).all(|_| limit.allow(begin)));
        assert!(!limit.allow(begin + Duration::from_millis(999)));
        assert!(limit.allow(begin + PAUSE));
        assert!(!limit.allow(begin + PAUSE + Duration::from_millis(500)));
        assert!(limit.allow(begin + PAUSE * 2));
        let calm = begin + WINDOW * 2;
        assert!((0..10).all(|_| limit.allow(calm)));
    }
}
