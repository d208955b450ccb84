//! What the checks came to, counted for whoever watches: results, and how long runs took, for each kind of checker and for
//! each virtual server. A result costs a few additions; what is told from it is made when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outcome::Outcome;

/// How long runs of one kind of checker took: upper bounds, microseconds. From a TCP_CHECK on the same switch to the longest
/// times that files allow in practice.
pub const KIND_BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];
/// The same for a virtual server. There may be ten thousand of them, so these are few.
pub const SERVICE_BOUNDS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// How often something took how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<const N: usize> {
    /// So many took at most the bound of the same index, and more than the one before it.
    within: [u64; N],
    /// So many took longer than all bounds.
    beyond: u64,
    /// What all of them took together, microseconds.
    sum_us: u64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { within: [0; N], beyond: 0, sum_us: 0 }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts one. `bounds` are the same at every call, ascending, microseconds.
    pub fn add(&mut self, bounds: &[u64; N], took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = bounds.partition_point(|bound| *bound < took);
        match self.within.get_mut(at) {
            Some(count) => *count += 1,
            None => self.beyond += 1,
        }
        self.sum_us = self.sum_us.saturating_add(took);
    }

    /// So many took at most each bound, and the last one: so many there were at all.
    pub fn cumulative(&self) -> Vec<u64> {
        let mut sum = 0;
        let counts = self.within.iter().chain(std::iter::once(&self.beyond));
        counts
            .map(|count| {
                sum += count;
                sum
            })
            .collect()
    }

    /// What all of them took together, seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_us).as_secs_f64()
    }
}

/// What the checkers of one kind came to since the start. A run that several virtual servers share counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// Runs that went well.
    pub succeeded: u64,
    /// Those that did not, by [`super::outcome::Failure::name`].
    pub failed: BTreeMap<&'static str, u64>,
    /// How long they took. Checkers that are told (FILE_CHECK, BFD_CHECK) do not run, and are not in it.
    pub took: Histogram<{ KIND_BOUNDS.len() }>,
}

impl KindCounts {
    pub(super) fn add(&mut self, outcome: &Outcome, ran: bool) {
        match &outcome.result {
            Ok(_) => self.succeeded += 1,
            Err(failure) => *self.failed.entry(failure.name()).or_default() += 1,
        }
        if ran {
            self.took.add(&KIND_BOUNDS, outcome.took);
        }
    }
}

/// What the checkers of one virtual server came to since the start, or since it was added. A run that its real servers share
/// counts for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceCounts {
    /// Results that were good.
    pub succeeded: u64,
    /// Results that were not, those that say nothing included.
    pub failed: u64,
    /// How long the runs took.
    pub took: Histogram<{ SERVICE_BOUNDS.len() }>,
}

impl ServiceCounts {
    pub(super) fn add(&mut self, outcome: &Outcome, ran: bool) {
        match &outcome.result {
            Ok(_) => self.succeeded += 1,
            Err(_) => self.failed += 1,
        }
        if ran {
            self.took.add(&SERVICE_BOUNDS, outcome.took);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::outcome::{Failure, Success};
    use super::*;

    #[test]
    fn a_bound_is_in_its_own_bucket() {
        let mut all = Histogram::<4>::default();
        for us in [0, 1_000, 1_001, 1_000_000, 1_000_001] {
            all.add(&SERVICE_BOUNDS, Duration::from_micros(us));
        }
        assert_eq!(all.cumulative(), [2, 3, 3, 4, 5]);
        assert!((all.sum() - 2.002_002).abs() < 1e-9);
    }

    #[test]
    fn what_is_told_did_not_run() {
        let mut kind = KindCounts::default();
        let failed = Outcome { result: Err(Failure::SessionDown), took: Duration::ZERO };
        kind.add(&failed, false);
        kind.add(&Outcome { result: Ok(Success::default()), took: Duration::from_millis(3) }, true);
        assert_eq!((kind.succeeded, kind.failed.get("session_down").copied()), (1, Some(1)));
        assert_eq!(kind.took.cumulative().last(), Some(&1));
    }

    proptest! {
        #[test]
        fn every_one_is_counted_once(times in prop::collection::vec(0u64..20_000_000, 0..50)) {
            let mut all = Histogram::<14>::default();
            for us in &times {
                all.add(&KIND_BOUNDS, Duration::from_micros(*us));
            }
            let cumulative = all.cumulative();
            for (bound, count) in KIND_BOUNDS.iter().zip(&cumulative) {
                prop_assert_eq!(*count, times.iter().filter(|us| *us <= bound).count() as u64);
            }
            prop_assert_eq!(cumulative.last().copied(), Some(times.len() as u64));
        }
    }
}
