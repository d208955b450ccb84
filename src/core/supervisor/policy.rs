//! What the supervisor does about a worker that died, hangs or was stopped. Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use super::super::lifeline::VRRP_LIMIT;
use crate::board::Thread;

/// A worker that lived for so long is started again at once.
const SOUND: Duration = Duration::from_secs(10);
/// More deaths than this within the window, and the peer shall be the only master.
const DEATHS: usize = 6;
const WINDOW: Duration = Duration::from_secs(60);
/// Pause before the second restart in a row, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A stopped worker is let on after so long: whoever holds it as a debugger does so by other means.
const STOPPED_LIMIT: Duration = Duration::from_secs(1);
/// Who is stopped again so soon after it was let on is let on at once: somebody stops it again and again, and each second that it
/// were given is a second without adverts.
const STOPPED_AGAIN: Duration = Duration::from_secs(10);
/// That is told so often at most.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The supervisor woke so late that it was held up itself: nobody is judged by that time.
const OWN_LATENESS: Duration = Duration::from_millis(500);

/// How long a worker may take for an orderly end; stop scripts and a slow kernel are in it. Less than the 10 s after which the
/// unit's `TimeoutStopSec` kills everybody: then nobody is left to take the addresses off.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(8);
/// What it needs beside the part that takes longest: stop scripts and the like.
const BESIDE: Duration = Duration::from_secs(3);
/// More than any file can ask for.
const LONGEST_PATIENCE: Duration = Duration::from_secs(25 * 3600);

/// The same for a worker whose parts may take so long each (`child_wait_time`).
pub(super) fn stop_patience(each: Duration) -> Duration {
    each.saturating_add(BESIDE).clamp(STOP_PATIENCE, LONGEST_PATIENCE)
}

/// Whoever has been busy for too long is looked at once more after this time, in which the machine runs: one that was held up with
/// it goes on then.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// How long a thread may be busy with one and the same thing. Main reads files of any size; the others ask kernels and disks.
const fn limit(thread: Thread) -> Duration {
    match thread {
        Thread::Vrrp => VRRP_LIMIT,
        Thread::Main | Thread::Check | Thread::Bfd | Thread::Control => Duration::from_secs(60),
        Thread::Net | Thread::Ipvs | Thread::Devices => Duration::from_secs(120),
    }
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The daemon ends.
    End {
        /// With this code.
        code: i32,
        /// Our addresses may still be here, and nobody looks after them: they go.
        release: bool,
    },
    /// Another worker begins after a pause.
    Restart(Duration),
    /// No worker stays alive: our addresses go, the peer takes over.
    GiveUp,
}

/// What is remembered of earlier deaths.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    deaths: VecDeque<Instant>,
}

impl Policy {
    /// A worker has died. `asked`: it was told to end. `ready`: some worker of this daemon has run already; a daemon that
    /// cannot even begin (its file, its lock) says so by its exit code.
    ///
    /// Only a worker that was asked to end and says that all is well has left this machine as it should be: it has stopped in
    /// order, or has left on request, and the operator starts another one. One that was killed or failed at its end has not
    /// finished, and one that could not even begin may be the one that an earlier one has left everything for.
    pub(super) fn died(
        &mut self,
        how: Death,
        asked: bool,
        ready: bool,
        lived: Duration,
        now: Instant,
    ) -> Verdict {
        if asked {
            return match how {
                Death::Exit(code) => Verdict::End { code, release: code != 0 },
                Death::Signal(_) => Verdict::End { code: 1, release: true },
            };
        }
        if let (Death::Exit(code), false) = (how, ready) {
            return Verdict::End { code, release: true };
        }
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|first| now.saturating_duration_since(*first) > WINDOW) {
            self.deaths.pop_front();
        }
        if self.deaths.len() >= DEATHS {
            return Verdict::GiveUp;
        }
        if lived >= SOUND || self.deaths.len() <= 1 {
            return Verdict::Restart(Duration::ZERO);
        }
        let doubled = u32::try_from(self.deaths.len() - 2).unwrap_or(0).min(16);
        Verdict::Restart(FIRST_PAUSE.saturating_mul(1 << doubled).min(LONGEST_PAUSE))
    }
}

/// What one look at the worker shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Since when threads are busy with one thing, since boot.
    pub(super) busy: Vec<(Thread, Duration)>,
    /// Since when the worker is stopped.
    pub(super) stopped: Option<Duration>,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    /// SIGKILL, and another worker.
    Kill {
        /// The thread that hangs.
        thread: Thread,
        /// For how long.
        busy: Duration,
    },
    /// SIGCONT.
    Continue {
        /// To be told, and for how many stops since it was last told; `None` = it has been, a moment ago.
        tell: Option<u32>,
    },
}

/// The looks at one worker. Times are those since boot: they go on while the machine sleeps, as the peer's do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// When it was to look again.
    expected: Option<Duration>,
    /// Nobody is judged by what was before: then the machine held everybody up.
    excused: Duration,
    /// The thread that was busy for too long at the last look, since when with what, and when that look was.
    suspect: Option<(Thread, Duration, Duration)>,
    /// When it was last let on.
    let_on: Option<Duration>,
    /// When that was last told, and how often it was let on since.
    told: Option<Duration>,
    untold: u32,
}

impl Watch {
    /// One look: what to do, and when to look again at the latest. `soon`: the longest pause between looks.
    pub(super) fn look(&mut self, sight: &Sight, now: Duration, soon: Duration) -> (Option<Cure>, Duration) {
        if self.expected.is_some_and(|at| now.saturating_sub(at) > OWN_LATENESS) {
            self.excused = now;
        }
        let mut next = now + soon;
        let mut cure = None;
        let before = self.suspect.take();
        if let Some(since) = sight.stopped {
            let again = self.let_on.is_some_and(|at| since.saturating_sub(at) < STOPPED_AGAIN);
            let until = if again { since } else { since.max(self.excused) + STOPPED_LIMIT };
            if until <= now { cure = Some(self.let_on(now)) } else { next = next.min(until) }
        } else {
            // Nobody moves in a stopped process: only of one that runs is it anybody's fault.
            for (thread, since) in &sight.busy {
                let since = (*since).max(self.excused);
                let until = since + limit(*thread);
                if until <= now {
                    let first = match before {
                        Some((suspect, then, at)) if (suspect, then) == (*thread, since) => at,
                        _ => now,
                    };
                    if first + SECOND_LOOK <= now {
                        let busy = now.saturating_sub(since);
                        cure.get_or_insert(Cure::Kill { thread: *thread, busy });
                    } else {
                        self.suspect.get_or_insert((*thread, since, first));
                        next = next.min(first + SECOND_LOOK);
                    }
                } else {
                    next = next.min(until);
                }
            }
        }
        self.expected = Some(next);
        (cure, next)
    }

    fn let_on(&mut self, now: Duration) -> Cure {
        self.let_on = Some(now);
        self.untold += 1;
        let silent = self.told.is_some_and(|at| now.saturating_sub(at) < TELL_EVERY);
        let tell = (!silent).then(|| std::mem::take(&mut self.untold));
        if tell.is_some() {
            self.told = Some(now);
        }
        Cure::Continue { tell }
    }

    /// It runs again after it was stopped: what it was busy with meanwhile does not count.
    pub(super) fn continued(&mut self, now: Duration) {
        self.excused = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const SOON: Duration = ms(1000);

    #[test]
    fn a_worker_has_time_for_its_slowest_part_and_scripts() {
        for (each, whole) in [(0, 8), (5, 8), (30, 33), (u64::MAX, 25 * 3600)] {
            assert_eq!(stop_patience(Duration::from_secs(each)), Duration::from_secs(whole), "{each} s");
        }
    }

    #[test]
    fn deaths_in_a_row_wait_longer_and_then_end() {
        let start = crate::clock::now();
        let mut policy = Policy::default();
        let mut seen = Vec::new();
        for number in 0..6 {
            seen.push(policy.died(Death::Signal(11), false, true, ms(50), start + ms(number * 3000)));
        }
        let waits = [0, 100, 200, 400, 800].map(|pause| Verdict::Restart(ms(pause)));
        assert_eq!(seen[..5], waits);
        assert_eq!(seen[5], Verdict::GiveUp);
    }

    #[test]
    fn a_death_now_and_then_costs_no_pause() {
        let start = crate::clock::now();
        let mut policy = Policy::default();
        for hour in 0..50 {
            let now = start + Duration::from_secs(3600 * hour);
            let verdict = policy.died(Death::Exit(1), false, true, Duration::from_secs(3600), now);
            assert_eq!(verdict, Verdict::Restart(Duration::ZERO));
        }
    }

    #[test]
    fn who_cannot_begin_says_why_by_its_code() {
        let now = crate::clock::now();
        let mut policy = Policy::default();
        // (how, asked, ready, what follows)
        let end = |code, release| Verdict::End { code, release };
        let table = [
            // A worker before it may have left its addresses here, for this one.
            (Death::Exit(3), false, false, end(3, true)),
            // keepalived's code where another one runs: whether it does is seen by its lock.
            (Death::Exit(0), false, false, end(0, true)),
            (Death::Exit(0), true, true, end(0, false)),
            (Death::Exit(0), true, false, end(0, false)),
            // It did not get to the end of its stop.
            (Death::Exit(70), true, true, end(70, true)),
            (Death::Signal(9), true, true, end(1, true)),
            (Death::Exit(3), false, true, Verdict::Restart(Duration::ZERO)),
            // Not even ready, but by no fault that it could name.
            (Death::Signal(11), false, false, Verdict::Restart(ms(100))),
        ];
        for (how, asked, ready, wanted) in table {
            assert_eq!(policy.died(how, asked, ready, ms(1), now), wanted, "{how} {asked} {ready}");
        }
    }

    #[test]
    fn a_thread_that_hangs_is_seen_in_time() {
        let mut watch = Watch::default();
        let idle = Sight::default();
        assert_eq!(watch.look(&idle, ms(10_000), SOON), (None, ms(11_000)));
        let hangs =
            Sight { busy: vec![(Thread::Main, ms(10_100)), (Thread::Vrrp, ms(10_200))], stopped: None };
        // It looks again exactly when it must.
        assert_eq!(watch.look(&hangs, ms(11_000), SOON), (None, ms(12_000)));
        // And once more: it may have been held up with the machine.
        assert_eq!(watch.look(&hangs, ms(12_000), SOON), (None, ms(12_100)));
        assert_eq!(watch.look(&hangs, ms(12_050), SOON), (None, ms(12_100)));
        let (cure, _) = watch.look(&hangs, ms(12_100), SOON);
        assert_eq!(cure, Some(Cure::Kill { thread: Thread::Vrrp, busy: ms(1900) }));
    }

    #[test]
    fn who_goes_on_between_two_looks_does_not_hang() {
        let mut watch = Watch::default();
        let busy = |since: u64| Sight { busy: vec![(Thread::Vrrp, ms(since))], stopped: None };
        assert_eq!(watch.look(&busy(10_000), ms(10_100), ms(10_000)), (None, ms(11_800)));
        // The machine stood still for a while, not long enough to be noticed.
        assert_eq!(watch.look(&busy(10_000), ms(12_200), ms(10_000)), (None, ms(12_300)));
        assert_eq!(watch.look(&busy(12_201), ms(12_300), ms(10_000)), (None, ms(14_001)));
        // Another thing that takes long begins to count anew.
        assert_eq!(watch.look(&busy(12_201), ms(14_001), ms(10_000)), (None, ms(14_101)));
        assert_eq!(watch.look(&Sight::default(), ms(14_101), ms(10_000)), (None, ms(24_101)));
    }

    #[test]
    fn nobody_is_judged_by_a_time_in_which_the_machine_stood_still() {
        let mut watch = Watch::default();
        let hangs = Sight { busy: vec![(Thread::Vrrp, ms(10_000))], stopped: None };
        assert_eq!(watch.look(&hangs, ms(10_100), SOON), (None, ms(11_100)));
        // A snapshot of 60 s.
        assert_eq!(watch.look(&hangs, ms(71_100), SOON), (None, ms(72_100)));
        assert_eq!(watch.look(&hangs, ms(72_100), SOON), (None, ms(72_900)), "the excuse holds");
        assert_eq!(watch.look(&hangs, ms(72_900), SOON), (None, ms(73_000)), "one more look");
        let (cure, _) = watch.look(&hangs, ms(73_000), SOON);
        assert!(matches!(cure, Some(Cure::Kill { .. })), "it hangs all the same");
    }

    #[test]
    fn a_stopped_worker_is_let_on() {
        let mut watch = Watch::default();
        let stopped = Sight { busy: vec![(Thread::Vrrp, ms(5000))], stopped: Some(ms(10_000)) };
        assert_eq!(watch.look(&stopped, ms(10_100), SOON), (None, ms(11_000)));
        assert_eq!(watch.look(&stopped, ms(11_000), SOON).0, Some(Cure::Continue { tell: Some(1) }));
        watch.continued(ms(11_001));
        let runs = Sight { stopped: None, ..stopped };
        assert_eq!(watch.look(&runs, ms(11_100), SOON).0, None);
    }

    #[test]
    fn who_is_stopped_again_and_again_is_let_on_at_once() {
        let mut watch = Watch::default();
        let stopped = |since: u64| Sight { busy: Vec::new(), stopped: Some(ms(since)) };
        let on = |tell| Some(Cure::Continue { tell });
        assert_eq!(watch.look(&stopped(10_000), ms(10_001), SOON), (None, ms(11_000)));
        assert_eq!(watch.look(&stopped(10_000), ms(11_000), SOON).0, on(Some(1)));
        watch.continued(ms(11_001));
        for turn in 1_u64..90 {
            let at = 11_000 + turn * 100;
            assert_eq!(watch.look(&stopped(at), ms(at + 1), SOON).0, on(None), "{turn}");
            watch.continued(ms(at + 2));
        }
        assert_eq!(watch.look(&stopped(21_000), ms(21_001), SOON).0, on(Some(90)), "all of them are told");
        watch.continued(ms(21_002));
        // Much later it is somebody else, who may have a reason.
        assert_eq!(watch.look(&stopped(31_100), ms(31_101), ms(5000)), (None, ms(32_101)));
        assert_eq!(watch.look(&stopped(31_100), ms(32_101), SOON).0, on(Some(1)));
    }
}
