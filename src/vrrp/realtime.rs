//! Scheduling of the vrrp thread: real-time priority, niceness, processors, locked memory. Adverts wait for nobody, least
//! of all for a busy processor. When the loop is late all the same, [`Steps`] raises its priority (`max_auto_priority`).

use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::Pid;

/// Real-time priority when the file says nothing: above whatever is not real-time, below what the kernel itself runs.
const DEFAULT_PRIORITY: u8 = 10;

/// Without real-time priority: a time slice that ends soon (nanoseconds, the shortest that Linux takes). Since 6.12 a thread
/// that asks for little at a time is let in before those that compute. It asks for no privilege, and older kernels ignore it.
const SHORT_SLICE: u64 = 100_000;
/// The nice value where real-time priority was wished and refused, if that at least is allowed.
const INSTEAD: i8 = -10;

/// Bytes of stack that a turn of the loop may need.
const STACK: usize = 128 * 1024;

/// How a thread asks to be scheduled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// `vrrp_rt_priority`, 1..=99 of SCHED_RR; `None` = the default where the system allows it.
    pub priority: Option<u8>,
    /// `vrrp_priority`: a nice value instead of real-time priority, -20..=19.
    pub nice: Option<i8>,
    /// `vrrp_cpu_affinity`.
    pub processors: Vec<u32>,
    /// `vrrp_no_swap`.
    pub lock_memory: bool,
    /// `vrrp_rlimit_rttime`, microseconds.
    pub longest_run: Option<u32>,
    /// `max_auto_priority`: a late thread raises its real-time priority up to this, 1..=99; 0 = never.
    pub most: u8,
    /// `min_auto_priority_delay`: so late counts.
    pub late: Duration,
}

/// Lateness that raises the priority, where the file says nothing: keepalived's.
pub const DEFAULT_LATE: Duration = Duration::from_secs(1);

/// When a late loop gets a higher priority, and which. A function of what it was told; [`raise`] does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    now: u8,
    most: u8,
    late: Duration,
}

impl Steps {
    /// Begins where [`apply`] ended.
    pub fn new(wish: &Scheduling, outcome: &Outcome) -> Self {
        Self { now: outcome.real_time.unwrap_or(0), most: wish.most, late: wish.late }
    }

    /// New limits after a reload; what was raised stays.
    pub fn limits(&mut self, wish: &Scheduling) {
        (self.most, self.late) = (wish.most, wish.late);
    }

    /// The loop woke so late: the priority to take on now, one step above the last one; `None` = stay.
    pub fn woke(&mut self, late: Duration) -> Option<u8> {
        if self.now >= self.most || late < self.late {
            return None;
        }
        self.now += 1;
        Some(self.now)
    }

    /// The system refuses: there are no more steps.
    pub fn give_up(&mut self) {
        self.most = 0;
    }
}

/// A step of [`Steps`], as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The new priority.
    pub priority: u8,
    /// How late the loop was.
    pub late: Duration,
    /// Why it is not so.
    pub refused: Option<String>,
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { priority, late, refused } = self;
        write!(f, "the vrrp thread was {:.3} s late: real-time priority {priority}", late.as_secs_f64())?;
        match refused {
            None => f.write_str(" from now on (max_auto_priority)"),
            Some(why) => write!(f, " was refused: {why}; give CAP_SYS_NICE or LimitRTPRIO"),
        }
    }
}

/// Takes a step for the calling thread.
pub fn raise(steps: &mut Steps, priority: u8, late: Duration) -> Raised {
    let refused = round_robin(priority).err().map(|error| error.desc().to_owned());
    if refused.is_some() {
        steps.give_up();
    }
    Raised { priority, late, refused }
}

/// What came of it, for log and status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The real-time priority in force.
    pub real_time: Option<u8>,
    /// What was asked for and refused, with the cure.
    pub refused: Vec<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.real_time {
            Some(priority) => write!(f, "the vrrp thread runs at real-time priority {priority}")?,
            None => f.write_str("the vrrp thread runs without real-time priority")?,
        }
        for refused in &self.refused {
            write!(f, "; {refused}")?;
        }
        Ok(())
    }
}

/// Applies it to the calling thread. Nothing here is fatal: what is refused is told.
pub fn apply(wish: &Scheduling) -> Outcome {
    let mut outcome = Outcome::default();
    undisturbed();
    if wish.lock_memory
        && let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
    {
        outcome
            .refused
            .push(format!("vrrp_no_swap: {}; give CAP_IPC_LOCK or LimitMEMLOCK=infinity", error.desc()));
    }
    if let Some(microseconds) = wish.longest_run {
        let limit = u64::from(microseconds.max(2));
        if let Err(error) =
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_RTTIME, limit, limit)
        {
            outcome.refused.push(format!("vrrp_rlimit_rttime {microseconds}: {}", error.desc()));
        }
    }
    if !wish.processors.is_empty()
        && let Err(error) = affinity(&wish.processors)
    {
        outcome.refused.push(format!("vrrp_cpu_affinity: {}: name processors that exist", error.desc()));
    }
    // Who asks for a nice value alone does not want real time.
    match (wish.nice, wish.priority) {
        (Some(nice), None) => {
            if let Err(error) = renice(nice) {
                outcome.refused.push(format!("vrrp_priority {nice}: {}; give CAP_SYS_NICE", error.desc()));
            }
            short_slices();
        }
        (_, priority) => {
            let wished = priority.unwrap_or(DEFAULT_PRIORITY);
            match round_robin(wished) {
                Ok(()) => outcome.real_time = Some(wished),
                Err(error) => {
                    outcome.refused.push(format!(
                        "real-time priority {wished}: {}; give CAP_SYS_NICE or LimitRTPRIO, and in a cgroup of version \
                         1 a share of cpu.rt_runtime_us",
                        error.desc()
                    ));
                    // Some services have this one and not the other. Told once is enough.
                    let _ = renice(INSTEAD);
                    short_slices();
                }
            }
        }
    }
    outcome
}

fn affinity(processors: &[u32]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(usize::try_from(*processor).map_err(|_| Errno::EINVAL)?)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// SCHED_RR for the calling thread alone; what it forks does not inherit it.
#[allow(unsafe_code)]
fn round_robin(priority: u8) -> nix::Result<()> {
    let parameters = libc::sched_param { sched_priority: libc::c_int::from(priority) };
    // SAFETY: the pointer is to a valid value that outlives the call; 0 is the calling thread.
    let result = unsafe {
        libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters)
    };
    Errno::result(result).map(drop)
}

#[allow(unsafe_code)]
fn renice(nice: i8) -> nix::Result<()> {
    // SAFETY: plain numbers; on Linux 0 means the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, libc::c_int::from(nice)) };
    Errno::result(result).map(drop)
}

/// What nobody has to ask for and nobody refuses: signal handlers run on other threads, timers do not wait for company, and
/// the stack is there before it is needed (a first touch waits for the lock of the process's memory map).
fn undisturbed() {
    let _ = nix::sys::signal::SigSet::all().thread_block();
    let _ = nix::sys::prctl::set_timerslack(1);
    touch_stack();
}

#[inline(never)]
fn touch_stack() {
    std::hint::black_box(&mut [0u8; STACK]);
}

/// Short slices for the calling thread, its nice value kept. Refused, it is scheduled as any other.
#[allow(unsafe_code)]
fn short_slices() {
    // The first form of the kernel's `struct sched_attr`.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    // SAFETY: plain numbers; -1 as an error would be a nice value like any other, and changes nothing worse than that.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = Attributes {
        size: 48,
        policy: libc::SCHED_OTHER.cast_unsigned(),
        flags: 0,
        nice,
        priority: 0,
        runtime: SHORT_SLICE,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the pointer is to a valid value of the size that it says; 0 is the calling thread.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_it_or_is_told_why_not() {
        // On a thread of its own: the test runner keeps its scheduling.
        let outcome =
            std::thread::spawn(|| apply(&Scheduling { priority: Some(1), ..Scheduling::default() }))
                .join()
                .expect("no panic");
        match outcome.real_time {
            Some(priority) => assert_eq!(priority, 1),
            None => assert!(outcome.refused[0].contains("CAP_SYS_NICE"), "{outcome}"),
        }
    }

    #[test]
    fn each_lateness_is_one_step_up_to_the_limit() {
        let second = Duration::from_secs(1);
        let wish = Scheduling { most: 12, late: second, ..Scheduling::default() };
        let mut steps = Steps::new(&wish, &Outcome { real_time: Some(10), refused: Vec::new() });
        let short = second - Duration::from_micros(1);
        let taken = [short, second, Duration::ZERO, second * 9, second].map(|late| steps.woke(late));
        assert_eq!(taken, [None, Some(11), None, Some(12), None]);
        // Without real time the first step is the least real-time priority.
        let mut steps = Steps::new(&wish, &Outcome::default());
        assert_eq!(steps.woke(second), Some(1));
        steps.give_up();
        assert_eq!(steps.woke(second), None);
        steps.limits(&wish);
        assert_eq!(steps.woke(second), Some(2));
        // What the file asks for from the start is never lowered.
        let mut steps = Steps::new(&wish, &Outcome { real_time: Some(50), refused: Vec::new() });
        assert_eq!(steps.woke(second), None);
        let off = Scheduling { late: second, ..Scheduling::default() };
        assert_eq!(Steps::new(&off, &Outcome::default()).woke(second * 9), None);
    }

    #[test]
    fn a_step_is_taken_or_refused_once() {
        let (raised, next) = std::thread::spawn(|| {
            let wish = Scheduling { most: 2, nice: Some(0), ..Scheduling::default() };
            let mut steps = Steps::new(&wish, &apply(&wish));
            let step = steps.woke(Duration::ZERO).expect("a step");
            (raise(&mut steps, step, Duration::ZERO), steps.woke(Duration::ZERO))
        })
        .join()
        .expect("no panic");
        assert_eq!((raised.priority, raised.refused.is_none()), (1, next.is_some()), "{raised}");
    }

    #[test]
    fn a_nice_value_alone_means_no_real_time() {
        let wish = Scheduling { nice: Some(19), ..Scheduling::default() };
        let outcome = std::thread::spawn(move || apply(&wish)).join().expect("no panic");
        assert_eq!(outcome, Outcome::default());
        assert_eq!(outcome.to_string(), "the vrrp thread runs without real-time priority");
    }

    #[test]
    fn a_processor_that_does_not_exist_is_named() {
        let wish = Scheduling { nice: Some(0), processors: vec![100_000], ..Scheduling::default() };
        let outcome = std::thread::spawn(move || apply(&wish)).join().expect("no panic");
        assert!(outcome.refused[0].starts_with("vrrp_cpu_affinity"), "{outcome}");
    }
}
