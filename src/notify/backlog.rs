//! What becomes of lines that a full pipe refuses: the newest of each subject waits, so that a reader that comes back
//! learns how things are now; older ones are counted as lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Subjects whose newest line is kept; beyond it the oldest line is lost.
pub const KEPT: usize = 1024;
/// Between two log lines about one full pipe.
pub const SAY_EVERY: Duration = Duration::from_secs(60);

/// What is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Nobody reads.
    Full {
        /// Lines that wait.
        waiting: usize,
        /// Lines lost since the pipe became full.
        lost: u64,
    },
    /// All that waited has been told.
    Recovered {
        /// Lines lost while it was full.
        lost: u64,
        /// Lines told late.
        late: u64,
    },
}

/// The lines that wait for one pipe.
#[derive(Debug, Default)]
pub struct Backlog {
    /// (subject, line), the oldest first.
    waiting: VecDeque<(String, String)>,
    /// Since the pipe became full.
    lost: u64,
    late: u64,
    said: Option<Instant>,
    /// Since the start, for the status.
    total: u64,
}

impl Backlog {
    /// True when a line may go straight to the pipe.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lines lost since the start.
    pub fn lost_ever(&self) -> u64 {
        self.total
    }

    /// Keeps a line that the pipe has no room for. Says so at once, and then every minute while lines come.
    pub fn keep(&mut self, subject: &str, line: String, now: Instant) -> Option<Say> {
        if let Some(at) = self.waiting.iter().position(|(waiting, _)| waiting == subject) {
            self.waiting.remove(at);
            self.lose();
        } else if self.waiting.len() >= KEPT {
            self.waiting.pop_front();
            self.lose();
        }
        self.waiting.push_back((subject.to_owned(), line));
        self.remind(now)
    }

    /// The reminder that is due at `now`, if the pipe is full.
    pub fn remind(&mut self, now: Instant) -> Option<Say> {
        let due = self.said.is_none_or(|said| now.saturating_duration_since(said) >= SAY_EVERY);
        if !due || self.waiting.is_empty() {
            return None;
        }
        self.said = Some(now);
        Some(Say::Full { waiting: self.waiting.len(), lost: self.lost })
    }

    /// The line that comes next.
    pub fn next(&self) -> Option<&str> {
        self.waiting.front().map(|(_, line)| line.as_str())
    }

    /// The next line is in the pipe.
    pub fn told(&mut self) -> Option<Say> {
        self.waiting.pop_front()?;
        self.late += 1;
        if !self.waiting.is_empty() {
            return None;
        }
        let say = Say::Recovered { lost: self.lost, late: self.late };
        (self.lost, self.late, self.said) = (0, 0, None);
        Some(say)
    }

    fn lose(&mut self) {
        self.lost += 1;
        self.total += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_newest_line_of_each_subject_is_told_and_the_loss_is_counted() {
        let mut backlog = Backlog::default();
        let start = crate::clock::now();
        let full = backlog.keep("VI_1", "BACKUP".to_owned(), start);
        assert_eq!(full, Some(Say::Full { waiting: 1, lost: 0 }));
        assert_eq!(backlog.keep("VI_2", "BACKUP".to_owned(), start), None, "said a moment ago");
        assert_eq!(backlog.keep("VI_1", "MASTER".to_owned(), start), None);
        assert_eq!(backlog.remind(start + SAY_EVERY), Some(Say::Full { waiting: 2, lost: 1 }));
        assert_eq!(backlog.remind(start + SAY_EVERY), None);
        assert_eq!(backlog.next(), Some("BACKUP"));
        assert_eq!(backlog.told(), None);
        assert_eq!(backlog.next(), Some("MASTER"));
        assert_eq!(backlog.told(), Some(Say::Recovered { lost: 1, late: 2 }));
        assert!(backlog.is_empty() && backlog.told().is_none() && backlog.lost_ever() == 1);
        assert!(backlog.keep("VI_1", "FAULT".to_owned(), start).is_some(), "a new trouble is said at once");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever comes: told + waiting + lost is all that was kept, the newest line of every subject is told or
        /// waits, and the backlog stays bounded.
        #[test]
        fn no_line_vanishes_uncounted(steps in proptest::collection::vec((0..1500u32, any::<bool>()), 0..3000)) {
            let (mut backlog, now) = (Backlog::default(), crate::clock::now());
            let (mut kept, mut told) = (0u64, 0u64);
            let mut newest = BTreeMap::new();
            let mut last_told = BTreeMap::new();
            for (n, (subject, read)) in steps.into_iter().enumerate() {
                let _ = backlog.keep(&subject.to_string(), format!("{subject} {n}"), now);
                newest.insert(subject, format!("{subject} {n}"));
                kept += 1;
                if read && let Some(line) = backlog.next().map(str::to_owned) {
                    let subject: u32 = line.split(' ').next().unwrap().parse().unwrap();
                    last_told.insert(subject, line);
                    let _ = backlog.told();
                    told += 1;
                }
                prop_assert!(backlog.waiting.len() <= KEPT);
            }
            prop_assert_eq!(kept, told + backlog.waiting.len() as u64 + backlog.lost_ever());
            let waiting: BTreeMap<_, _> = backlog.waiting.iter().cloned().collect();
            if newest.len() <= KEPT {
                for (subject, line) in newest {
                    let late = waiting.get(&subject.to_string()) == Some(&line);
                    prop_assert!(late || last_told.get(&subject) == Some(&line), "{} was lost", line);
                }
            }
        }
    }
}
