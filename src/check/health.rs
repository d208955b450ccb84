//! One checker: when its results make it flip, and when it is checked again.
//!
//! keepalived's rules. While up, `retry` + 1 failures in a row, `delay_before_retry` apart, take it down; at start the
//! first failure does. While down it is checked each `delay_loop`, and one success (of every url, where an HTTP_GET
//! has several) brings it back.
//!
//! Beyond keepalived, where the file asks for it: `rise` successes bring it back, `timeout_retry` counts timeouts apart
//! from other failures, `fast_interval` is the time between checks while it is on its way down or up.

use std::time::{Duration, Instant};

/// The numbers of one checker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time between checks, from the result of one to the start of the next.
    pub delay_loop: Duration,
    /// Extra tries before a failure counts.
    pub retry: u32,
    /// Time between those tries.
    pub delay_before_retry: Duration,
    /// Extra tries before a timeout counts; `None` = timeouts are failures like others. A refusal is an answer, silence
    /// may be a lost packet or a busy server.
    pub timeout_retry: Option<u32>,
    /// Successes in a row (of every url, where there are several) that bring it back. At least 1.
    pub rise: u32,
    /// Time between checks on its way up: after a success that was not the last one it needs.
    pub delay_before_rise: Duration,
    /// Pages that an HTTP_GET asks for in turn; 1 for every other checker. At least 1.
    pub urls: usize,
    /// Several urls back to back rather than one each `delay_loop`: until the first round is through, and while coming
    /// back once the url that failed answers.
    pub fast_recovery: bool,
}

/// The result of one check, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It went well.
    Success,
    /// No complete answer in time.
    Timeout,
    /// Any other failure.
    Failure,
}

/// A change of a checker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// Down to up.
    Up,
    /// Up to down.
    Down,
}

/// What a result led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The change, if there was one.
    pub flip: Option<Flip>,
    /// When to check again.
    pub again: Instant,
    /// Failures in a row of this one's sort, this one included, and how many of them take the checker down; `None` after
    /// a success and while down, where nothing is counted.
    pub tries: Option<(u32, u32)>,
}

/// How a checker begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At start, without `alpha`: up, but the first failure counts at once.
    Trusted,
    /// With `alpha`, or with a new real server at a reload: down until the first success.
    Unproven,
    /// A changed checker of a known real server takes over what is known of it; retries count as ever.
    Inherited {
        /// The real server's state.
        up: bool,
    },
}

/// The state of one checker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    up: bool,
    /// The first failure takes it down: no success has been seen since the start.
    first_counts: bool,
    /// Failures in a row while up; timeouts are not among them where they are counted apart.
    failures: u32,
    /// Timeouts in a row while up, where they are counted apart.
    timeouts: u32,
    /// Index of the url to ask for next; a url that failed is asked for until it is right.
    url: u32,
    /// Successes in a row, up to the number of urls.
    passed: u32,
    /// Rounds of all urls in a row while down.
    rounds: u32,
    /// A first round of all urls is through, or the checker has been down.
    settled: bool,
    /// What it says comes from results, not from how it began.
    proven: bool,
}

impl Health {
    /// A checker without results.
    pub const fn new(begin: Begin) -> Self {
        let up = match begin {
            Begin::Trusted => true,
            Begin::Unproven => false,
            Begin::Inherited { up } => up,
        };
        Self {
            up,
            first_counts: matches!(begin, Begin::Trusted),
            failures: 0,
            timeouts: 0,
            url: 0,
            passed: 0,
            rounds: 0,
            settled: matches!(begin, Begin::Inherited { .. }),
            proven: false,
        }
    }

    /// True once results have said what it says: a whole round was right, or a failure counted.
    pub const fn is_proven(&self) -> bool {
        self.proven
    }

    /// True while its real server may serve, as far as this checker goes.
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Index of the url that the next check asks for.
    pub const fn url(&self) -> usize {
        self.url as usize
    }

    /// The url that was asked for is this one: another checker may have asked meanwhile, with which this one now goes on
    /// in step. What it had seen of its round counts no more then.
    pub fn ask_for(&mut self, url: usize) {
        let url = small(url);
        if self.url != url {
            self.url = url;
            self.passed = 0;
        }
    }

    /// Successes in a row so far and how many bring it back; `None` while up, or before the first of them.
    pub fn rising(&self, rules: &Rules) -> Option<(u32, u32)> {
        (!self.up && self.rounds > 0).then_some((self.rounds, rules.rise.max(1)))
    }

    /// Takes the result of a check that ended at `now`.
    pub fn observe(&mut self, rules: &Rules, seen: Seen, now: Instant) -> Observed {
        match seen {
            Seen::Success => self.success(rules, now),
            Seen::Timeout => self.failure(rules, true, now),
            Seen::Failure => self.failure(rules, false, now),
        }
    }

    fn success(&mut self, rules: &Rules, now: Instant) -> Observed {
        let urls = small(rules.urls).max(1);
        self.first_counts = false;
        (self.failures, self.timeouts) = (0, 0);
        self.passed = (self.passed + 1).min(urls);
        self.url = (self.url + 1) % urls;
        let round_passed = self.passed == urls;
        let hurry = rules.fast_recovery && !round_passed && (!self.up || !self.settled);
        let mut flip = None;
        if round_passed && !self.up {
            self.rounds = self.rounds.saturating_add(1);
            if self.rounds >= rules.rise.max(1) {
                self.up = true;
                self.rounds = 0;
                flip = Some(Flip::Up);
            } else {
                // The next round begins.
                self.passed = 0;
            }
        }
        if round_passed {
            self.settled = true;
            self.proven = true;
        }
        let pause = if self.up { rules.delay_loop } else { rules.delay_before_rise };
        Observed { flip, again: if hurry { now } else { now + pause }, tries: None }
    }

    fn failure(&mut self, rules: &Rules, timed_out: bool, now: Instant) -> Observed {
        (self.passed, self.rounds) = (0, 0);
        if !self.up {
            self.settled = true;
            self.proven = true;
            return Observed { flip: None, again: now + rules.delay_loop, tries: None };
        }
        let (count, retry) = match rules.timeout_retry.filter(|_| timed_out) {
            Some(retry) => (&mut self.timeouts, retry),
            None => (&mut self.failures, rules.retry),
        };
        let limit = if self.first_counts { 1 } else { retry.saturating_add(1) };
        *count = count.saturating_add(1);
        let tries = Some((*count, limit));
        if *count < limit {
            return Observed { flip: None, again: now + rules.delay_before_retry, tries };
        }
        self.up = false;
        self.proven = true;
        (self.failures, self.timeouts) = (0, 0);
        self.settled = true;
        Observed { flip: Some(Flip::Down), again: now + rules.delay_loop, tries }
    }
}

/// Numbers of urls are small: of ten thousand checkers each counts some.
fn small(urls: usize) -> u32 {
    u32::try_from(urls).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
