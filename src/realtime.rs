//! Scheduling of single threads: real-time priority, niceness, processors; and what a process has one of for all its threads:
//! locked memory and the longest real-time run. keepalived has a process for each part, here they are threads of one: so a nice
//! value or a processor is that of one thread, by its number.
//!
//! Adverts wait for nobody, least of all for a busy processor: the vrrp thread asks for real time also where the file says
//! nothing. When it is late all the same, [`Steps`] raises its priority (`max_auto_priority`).

use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{Pid, gettid};

/// Real-time priority of the vrrp thread when the file says nothing: above whatever is not real-time, below what the kernel
/// itself runs.
pub const DEFAULT_PRIORITY: u8 = 10;

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
    /// Whose it is, as the words of the file begin: `vrrp`, `checker`, `bfd`.
    pub who: &'static str,
    /// `…_rt_priority`, 1..=99 of SCHED_RR; `None` = `otherwise`.
    pub priority: Option<u8>,
    /// The real-time priority where the file asks for neither that nor a nice value, if the system allows it; `None` = none.
    pub otherwise: Option<u8>,
    /// `…_priority`: a nice value instead of real-time priority, -20..=19.
    pub nice: Option<i8>,
    /// `…_cpu_affinity`; empty = all that the process has.
    pub processors: Vec<u32>,
    /// `max_auto_priority`: a late thread raises its real-time priority up to this, 1..=99; 0 = never.
    pub most: u8,
    /// `min_auto_priority_delay`: so late counts.
    pub late: Duration,
}

impl Scheduling {
    /// True when the thread stays as it begins.
    pub const fn is_plain(&self) -> bool {
        self.priority.is_none()
            && self.otherwise.is_none()
            && self.nice.is_none()
            && self.processors.is_empty()
    }
}

/// What all threads of the process have together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// `…_no_swap` of any part.
    pub lock_memory: bool,
    /// RLIMIT_RTTIME, microseconds: a real-time thread that runs for longer without a pause is killed, and the process with it.
    /// `None` = as the process was started.
    pub longest_run: Option<u32>,
}

impl Together {
    /// Makes it so; what was so before is known by `before`. Returns what was refused, with the cure.
    pub fn apply(&self, before: &Self) -> Vec<String> {
        let mut refused = Vec::new();
        if self.lock_memory != before.lock_memory {
            let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
            let done = if self.lock_memory { mlockall(all) } else { munlockall() };
            if let Err(error) = done {
                let cure = "give CAP_IPC_LOCK or LimitMEMLOCK=infinity";
                refused.push(format!("no_swap: {}; {cure}", error.desc()));
            }
        }
        if self.longest_run != before.longest_run {
            let limit = self.longest_run.map_or(RLIM_INFINITY, |run| u64::from(run.max(2)));
            if let Err(error) = setrlimit(Resource::RLIMIT_RTTIME, limit, limit) {
                let wished = self.longest_run.map_or("none".to_owned(), |run| run.to_string());
                let cure = "give CAP_SYS_RESOURCE, or write less";
                refused.push(format!("rlimit_rttime {wished}: {}; {cure}", error.desc()));
            }
        }
        refused
    }
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
    let refused = round_robin(THIS, priority).err().map(|error| error.desc().to_owned());
    if refused.is_some() {
        steps.give_up();
    }
    Raised { priority, late, refused }
}

/// What came of it, for log and status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whose it is: see [`Scheduling::who`].
    pub who: &'static str,
    /// The real-time priority in force.
    pub real_time: Option<u8>,
    /// What was asked for and refused, with the cure.
    pub refused: Vec<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = if self.who.is_empty() { "vrrp" } else { self.who };
        match self.real_time {
            Some(priority) => write!(f, "the {who} thread runs at real-time priority {priority}")?,
            None => write!(f, "the {who} thread runs without real-time priority")?,
        }
        for refused in &self.refused {
            write!(f, "; {refused}")?;
        }
        Ok(())
    }
}

/// The calling thread, where the kernel takes a thread's number.
const THIS: Pid = Pid::from_raw(0);

/// The number of the calling thread, for [`change`].
pub fn this_thread() -> Pid {
    gettid()
}

/// Applies it to the calling thread, at its beginning. Nothing here is fatal: what is refused is told.
pub fn apply(wish: &Scheduling) -> Outcome {
    undisturbed();
    set(THIS, wish)
}

/// The same for another thread of this process, which runs: what `before` asked for and `wish` does not is taken back.
pub fn change(thread: Pid, before: &Scheduling, wish: &Scheduling) -> Outcome {
    let mut refused = Vec::new();
    let who = wish.who;
    let real_time = |one: &Scheduling| one.priority.or(one.otherwise.filter(|_| one.nice.is_none()));
    if real_time(before).is_some()
        && real_time(wish).is_none()
        && let Err(error) = ordinary(thread)
    {
        refused.push(format!("{who}_rt_priority taken back: {}; give CAP_SYS_NICE", error.desc()));
    }
    if before.nice.is_some()
        && wish.nice.is_none()
        && let Err(error) = nice_of(Pid::this()).and_then(|usual| renice(thread, usual))
    {
        refused.push(format!("{who}_priority taken back: {}; give CAP_SYS_NICE", error.desc()));
    }
    // The main thread has the processors that the process was given.
    if !before.processors.is_empty()
        && wish.processors.is_empty()
        && let Err(error) = sched_getaffinity(Pid::this()).and_then(|all| sched_setaffinity(thread, &all))
    {
        refused.push(format!("{who}_cpu_affinity taken back: {}", error.desc()));
    }
    let mut outcome = if wish.is_plain() { Outcome { who, ..Outcome::default() } } else { set(thread, wish) };
    refused.append(&mut outcome.refused);
    Outcome { refused, ..outcome }
}

fn set(thread: Pid, wish: &Scheduling) -> Outcome {
    let who = wish.who;
    let mut outcome = Outcome { who, ..Outcome::default() };
    if !wish.processors.is_empty()
        && let Err(error) = affinity(thread, &wish.processors)
    {
        outcome.refused.push(format!("{who}_cpu_affinity: {}: name processors that exist", error.desc()));
    }
    // Who asks for a nice value alone does not want real time.
    match (wish.nice, wish.priority) {
        (Some(nice), None) => {
            if let Err(error) = renice(thread, nice) {
                outcome.refused.push(format!("{who}_priority {nice}: {}; give CAP_SYS_NICE", error.desc()));
            }
            if wish.otherwise.is_some() {
                short_slices(thread);
            }
        }
        (_, priority) => {
            let Some(wished) = priority.or(wish.otherwise) else { return outcome };
            match round_robin(thread, wished) {
                Ok(()) => outcome.real_time = Some(wished),
                Err(error) => {
                    outcome.refused.push(format!(
                        "real-time priority {wished}: {}; give CAP_SYS_NICE or LimitRTPRIO, and in a cgroup of version \
                         1 a share of cpu.rt_runtime_us",
                        error.desc()
                    ));
                    // Some services have this one and not the other. Told once is enough.
                    let _ = renice(thread, INSTEAD);
                    if wish.otherwise.is_some() {
                        short_slices(thread);
                    }
                }
            }
        }
    }
    outcome
}

fn affinity(thread: Pid, processors: &[u32]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(usize::try_from(*processor).map_err(|_| Errno::EINVAL)?)?;
    }
    sched_setaffinity(thread, &set)
}

/// SCHED_RR for one thread alone; what it forks does not inherit it.
fn round_robin(thread: Pid, priority: u8) -> nix::Result<()> {
    policy(thread, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, priority)
}

/// Back from real time.
fn ordinary(thread: Pid) -> nix::Result<()> {
    // The flag stays: only who has CAP_SYS_NICE may take it back.
    policy(thread, libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK, 0)
}

#[allow(unsafe_code)]
fn policy(thread: Pid, policy: libc::c_int, priority: u8) -> nix::Result<()> {
    let parameters = libc::sched_param { sched_priority: libc::c_int::from(priority) };
    // SAFETY: the pointer is to a valid value that outlives the call; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(thread.as_raw(), policy, &raw const parameters) };
    Errno::result(result).map(drop)
}

/// A thread's number as setpriority(2) takes it.
fn number(thread: Pid) -> libc::id_t {
    libc::id_t::try_from(thread.as_raw()).unwrap_or(0)
}

#[allow(unsafe_code)]
fn renice(thread: Pid, nice: i8) -> nix::Result<()> {
    // SAFETY: plain numbers; on Linux it is one thread, and 0 means the calling one.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, number(thread), libc::c_int::from(nice)) };
    Errno::result(result).map(drop)
}

#[allow(unsafe_code)]
fn nice_of(thread: Pid) -> nix::Result<i8> {
    Errno::clear();
    // SAFETY: plain numbers.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, number(thread)) };
    // -1 is a nice value like any other: the error is told beside it.
    match (nice, Errno::last()) {
        (-1, errno) if errno != Errno::from_raw(0) => Err(errno),
        _ => Ok(i8::try_from(nice).unwrap_or(0)),
    }
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

/// Short slices for a thread, its nice value kept. Refused, it is scheduled as any other.
#[allow(unsafe_code)]
fn short_slices(thread: Pid) {
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
    let nice = i32::from(nice_of(thread).unwrap_or(0));
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
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, thread.as_raw(), &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vrrp() -> Scheduling {
        Scheduling { who: "vrrp", otherwise: Some(DEFAULT_PRIORITY), ..Scheduling::default() }
    }

    fn on_a_thread(wish: Scheduling) -> Outcome {
        // Of its own: the test runner keeps its scheduling.
        std::thread::spawn(move || apply(&wish)).join().expect("no panic")
    }

    #[test]
    fn a_thread_gets_it_or_is_told_why_not() {
        let outcome = on_a_thread(Scheduling { priority: Some(1), ..vrrp() });
        match outcome.real_time {
            Some(priority) => assert_eq!(priority, 1),
            None => assert!(outcome.refused[0].contains("CAP_SYS_NICE"), "{outcome}"),
        }
    }

    #[test]
    fn each_lateness_is_one_step_up_to_the_limit() {
        let second = Duration::from_secs(1);
        let wish = Scheduling { most: 12, late: second, ..vrrp() };
        let at = |priority| Outcome { real_time: Some(priority), ..Outcome::default() };
        let mut steps = Steps::new(&wish, &at(10));
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
        let mut steps = Steps::new(&wish, &at(50));
        assert_eq!(steps.woke(second), None);
        let off = Scheduling { late: second, ..vrrp() };
        assert_eq!(Steps::new(&off, &Outcome::default()).woke(second * 9), None);
    }

    #[test]
    fn a_step_is_taken_or_refused_once() {
        let (raised, next) = std::thread::spawn(|| {
            let wish = Scheduling { most: 2, nice: Some(0), ..vrrp() };
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
        let outcome = on_a_thread(Scheduling { nice: Some(19), ..vrrp() });
        assert_eq!(outcome, Outcome { who: "vrrp", ..Outcome::default() });
        assert_eq!(outcome.to_string(), "the vrrp thread runs without real-time priority");
    }

    #[test]
    fn a_processor_that_does_not_exist_is_named() {
        let wish =
            Scheduling { who: "checker", nice: Some(0), processors: vec![100_000], ..Scheduling::default() };
        let outcome = on_a_thread(wish);
        assert!(outcome.refused[0].starts_with("checker_cpu_affinity"), "{outcome}");
    }

    /// What the kernel says of a thread: nice value, and the processors that it may use.
    fn seen(thread: Pid) -> (i8, usize) {
        let set = sched_getaffinity(thread).expect("a thread of ours");
        let count = (0..CpuSet::count()).filter(|n| set.is_set(*n).unwrap_or(false)).count();
        (nice_of(thread).expect("a thread of ours"), count)
    }

    #[test]
    fn another_thread_is_changed_and_put_back() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (said, tid) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            said.send(this_thread()).expect("the test waits");
            let _ = wait.recv();
        });
        let tid = tid.recv().expect("a number");
        let usual = seen(tid);
        let first = sched_getaffinity(tid).expect("processors");
        let first = (0..CpuSet::count()).find(|n| first.is_set(*n).unwrap_or(false)).expect("one");
        let plain = Scheduling { who: "bfd", ..Scheduling::default() };
        let wish = Scheduling {
            nice: Some(usual.0.saturating_add(3)),
            processors: vec![u32::try_from(first).expect("a small number")],
            ..plain
        };
        assert_eq!(change(tid, &plain, &wish).refused, Vec::<String>::new());
        assert_eq!(seen(tid), (usual.0 + 3, 1));
        let outcome = change(tid, &wish, &plain);
        // To be less nice asks for a capability.
        if outcome.refused.is_empty() {
            assert_eq!(seen(tid), usual);
        } else {
            assert!(outcome.refused[0].starts_with("bfd_priority taken back"), "{outcome}");
        }
        drop(go);
        thread.join().expect("no panic");
    }

    #[test]
    fn what_is_as_before_is_not_touched() {
        let same = Together { lock_memory: false, longest_run: Some(1) };
        // It would kill the test at its first real-time thread.
        assert_eq!(same.apply(&same), Vec::<String>::new());
    }
}
