//! How the threads of the checks and of BFD are scheduled, and what all threads have together; that of VRRP asks for itself.
//! A reload changes threads that run, by their numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::unistd::Pid;

use crate::config::model::Global;
use crate::realtime::{self, Outcome, Scheduling, Together};

/// The longest real-time run of a process whose check thread is real-time is not below this, microseconds: it plans the checks
/// of ten thousand servers in one go, and the kernel kills who runs for too long.
const LEAST_OF_CHECKS: u32 = 1_000_000;

/// `checker_priority` and its like.
pub(super) fn of_checks(global: &Global) -> Scheduling {
    Scheduling {
        who: "checker",
        priority: global.checker_rt_priority,
        nice: global.checker_priority,
        processors: global.checker_cpu_affinity.clone(),
        ..Scheduling::default()
    }
}

/// `bfd_priority` and its like.
pub(super) fn of_bfd(global: &Global) -> Scheduling {
    Scheduling {
        who: "bfd",
        priority: global.bfd_rt_priority,
        nice: global.bfd_priority,
        processors: global.bfd_cpu_affinity.clone(),
        ..Scheduling::default()
    }
}

/// What there is one of for all: memory is locked if any part asks for it, and the largest limit counts, so that no thread is
/// killed that its own word would let run.
pub(super) fn together(global: &Global) -> Together {
    let runs = [global.vrrp_rlimit_rttime, global.checker_rlimit_rttime, global.bfd_rlimit_rttime];
    let least = if global.checker_rt_priority.is_some() { LEAST_OF_CHECKS } else { 0 };
    Together {
        lock_memory: global.vrrp_no_swap || global.checker_no_swap || global.bfd_no_swap,
        longest_run: runs.into_iter().flatten().max().map(|run| run.max(least)),
    }
}

/// A thread that reloads may schedule anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Reins {
    /// Its number; 0 = it does not run yet.
    number: Arc<AtomicI32>,
    wish: Scheduling,
}

impl Reins {
    /// A thread that begins so.
    pub(super) fn new(wish: Scheduling) -> Self {
        Self { number: Arc::default(), wish }
    }

    /// What the thread does first. A thread that nothing is asked of stays as it begins.
    pub(super) fn prepare(&self) -> impl FnOnce() + Send + use<> {
        let Self { number, wish } = self.clone();
        move || {
            if !wish.is_plain() {
                tell(&realtime::apply(&wish));
            }
            number.store(realtime::this_thread().as_raw(), Ordering::Release);
        }
    }

    /// After a reload.
    pub(super) fn configure(&mut self, wish: Scheduling) {
        let number = self.number.load(Ordering::Acquire);
        if wish == self.wish || number == 0 {
            return;
        }
        let before = std::mem::replace(&mut self.wish, wish);
        tell(&realtime::change(Pid::from_raw(number), &before, &self.wish));
    }
}

/// What all threads have together, as it was last asked for.
#[derive(Debug, Default)]
pub(super) struct Common(Together);

impl Common {
    /// At start and after a reload.
    pub(super) fn configure(&mut self, global: &Global) {
        let wish = together(global);
        for refused in wish.apply(&self.0) {
            tracing::warn!("{refused}");
        }
        self.0 = wish;
    }
}

fn tell(outcome: &Outcome) {
    if outcome.refused.is_empty() {
        tracing::info!("{outcome}");
    } else {
        tracing::warn!("{outcome}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_limit_counts_and_one_lock_is_for_all() {
        let mut global = Global::default();
        assert_eq!(together(&global), Together::default());
        global.bfd_rlimit_rttime = Some(5_000);
        global.vrrp_rlimit_rttime = Some(20_000);
        global.bfd_no_swap = true;
        assert_eq!(together(&global), Together { lock_memory: true, longest_run: Some(20_000) });
        // A check thread that is not real-time is not meant by it.
        global.checker_rlimit_rttime = Some(10_000);
        assert_eq!(together(&global).longest_run, Some(20_000));
        global.checker_rt_priority = Some(5);
        assert_eq!(together(&global).longest_run, Some(LEAST_OF_CHECKS));
        let plain = Global { checker_rt_priority: Some(5), ..Global::default() };
        assert_eq!(together(&plain).longest_run, None, "nobody asks for a limit");
    }

    #[test]
    fn a_thread_is_scheduled_at_its_start_and_by_reloads() {
        let nice = |global: &mut Global, value| global.checker_priority = Some(value);
        let mut global = Global::default();
        nice(&mut global, 15);
        let mut reins = Reins::new(of_checks(&global));
        let prepare = reins.prepare();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (said, told) = std::sync::mpsc::channel();
        let of = || {
            let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The 19th field, counted behind the name in parentheses.
            text.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let thread = std::thread::spawn(move || {
            prepare();
            said.send(of()).unwrap();
            wait.recv().unwrap();
            said.send(of()).unwrap();
        });
        assert_eq!(told.recv().unwrap(), 15);
        nice(&mut global, 17);
        reins.configure(of_checks(&global));
        go.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), 17);
        thread.join().unwrap();
    }
}
