//! How the start of a worker goes on, as the supervisor hears of it. Pure.

use std::time::{Duration, Instant};

use crate::core::lifeline::Word;

/// How long a worker may take until it runs, the start script left aside: that has a time limit of its own. One that reads a
/// file that never ends serves nobody, and holds the addresses.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(60);

/// The start of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// Since when it is waited for; `None` = the start script runs.
    since: Option<Instant>,
    past_script: bool,
}

impl Beginning {
    /// It was started just now.
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: Some(now), past_script: false }
    }

    /// It has said something.
    pub(super) const fn hear(&mut self, word: Word, now: Instant) {
        match word {
            Word::Startup => self.since = None,
            Word::Started => {
                self.since = Some(now);
                self.past_script = true;
            }
            Word::Ready | Word::Reloading | Word::Reloaded | Word::Stopping | Word::Upgrade => {}
        }
    }

    /// The start script has run to its end, or there is none: the next worker need not run it.
    pub(super) const fn is_past_script(&self) -> bool {
        self.past_script
    }

    /// True when it should run by now, and does not; not again before as much time has passed.
    pub(super) fn is_overdue(&mut self, now: Instant) -> bool {
        let overdue = self.since.is_some_and(|since| now.saturating_duration_since(since) >= START_PATIENCE);
        if overdue {
            self.since = Some(now);
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_never_runs_is_overdue_once_in_a_while() {
        let begun = crate::clock::now();
        let mut beginning = Beginning::new(begun);
        let seen: Vec<u64> = (0..150).filter(|second| beginning.is_overdue(begun + s(*second))).collect();
        assert_eq!(seen, [60, 120]);
    }

    #[test]
    fn a_start_script_takes_its_time_and_counts_when_it_has_ended() {
        let begun = crate::clock::now();
        let mut beginning = Beginning::new(begun);
        beginning.hear(Word::Startup, begun + s(1));
        assert!(!beginning.is_overdue(begun + s(3600)), "its own limit is its own");
        assert!(!beginning.is_past_script(), "whoever dies now has not run it");
        beginning.hear(Word::Started, begun + s(3600));
        assert!(beginning.is_past_script() && !beginning.is_overdue(begun + s(3659)));
        assert!(beginning.is_overdue(begun + s(3660)), "from then on it is waited for");
    }
}
