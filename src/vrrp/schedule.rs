//! When which instance wants to be woken: deadlines by time, so that a thousand instances cost a turn of the loop no more
//! than the few that are due. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The deadlines of numbered things.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeSet<(Instant, usize)>,
    of: Vec<Option<Instant>>,
    /// When the loop last woke.
    woken: Option<Instant>,
}

impl Deadlines {
    /// Forgets everything; so many things from now on.
    pub(super) fn reset(&mut self, count: usize) {
        self.by_time.clear();
        self.of.clear();
        self.of.resize(count, None);
    }

    /// The deadline of one thing; `None` = it has none.
    pub(super) fn set(&mut self, number: usize, at: Option<Instant>) {
        let Some(known) = self.of.get_mut(number) else { return };
        if *known == at {
            return;
        }
        if let Some(old) = known.take() {
            self.by_time.remove(&(old, number));
        }
        *known = at;
        if let Some(at) = at {
            self.by_time.insert((at, number));
        }
    }

    /// The loop is awake: how much later than the earliest deadline. One that was set as already past is late only from
    /// the turn that set it.
    pub(super) fn woke(&mut self, now: Instant) -> Duration {
        let before = self.woken.replace(now);
        let due = self.next().map(|at| before.map_or(at, |before| at.max(before)));
        due.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// The earliest of all.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Everything that is due, the earliest first. Deadlines stay until they are set anew.
    pub(super) fn due(&self, now: Instant) -> Vec<usize> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, number)| *number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_counted_from_the_deadline_or_the_turn_that_set_it() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let ms = Duration::from_millis;
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.woke(at(0)), Duration::ZERO, "there is no deadline");
        deadlines.reset(1);
        deadlines.set(0, Some(at(100)));
        assert_eq!(deadlines.woke(at(90)), Duration::ZERO, "something else woke it");
        assert_eq!(deadlines.woke(at(103)), ms(3));
        // The priority rose, and with it the deadline moved into the past.
        deadlines.set(0, Some(at(50)));
        assert_eq!(deadlines.woke(at(104)), ms(1));
        deadlines.set(0, Some(at(200)));
        assert_eq!(deadlines.woke(at(1700)), ms(1500));
    }

    #[test]
    fn the_earliest_comes_first_and_moves() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let mut deadlines = Deadlines::default();
        deadlines.reset(3);
        deadlines.set(0, Some(at(30)));
        deadlines.set(1, Some(at(10)));
        deadlines.set(2, Some(at(20)));
        assert_eq!((deadlines.next(), deadlines.due(at(20))), (Some(at(10)), vec![1, 2]));
        deadlines.set(1, Some(at(40)));
        deadlines.set(2, None);
        assert_eq!((deadlines.next(), deadlines.due(at(50))), (Some(at(30)), vec![0, 1]));
        deadlines.set(7, Some(at(1)));
        assert_eq!(deadlines.next(), Some(at(30)), "there is no number 7");
        deadlines.reset(1);
        assert_eq!(deadlines.next(), None);
    }
}
