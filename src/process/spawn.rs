//! A new process without a copy of this one.
//!
//! fork(2) copies the page tables of the whole daemon under the lock of its memory map, and leaves every page
//! write-protected: the next write of any other thread, the vrrp thread's too, waits for that lock and for a copy of the
//! page; and the C library holds every lock of malloc(3) meanwhile. With tens of scripts a second adverts were late by
//! that. Here the child borrows our memory until it executes its program (clone(2) with `CLONE_VM | CLONE_VFORK`, as
//! posix_spawn(3) does it), and nothing is copied, protected or locked.
//!
//! What that asks for: everything is made before (no allocation in the child), the child makes bare system calls only
//! (the C library's own setuid(3) would make every thread of the daemon another user), has a stack of its own, and can
//! run no signal handler in our memory: all signals are blocked around it, and handlers are reset before they are let in.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::sys::resource::Resource;
use nix::unistd::{Pid, getpid};

use super::limits;

/// The child's stack, in units of 16 bytes: a few calls deep. Kept for each thread that starts programs, as mapping it
/// anew would take the lock that this file is about.
const STACK: usize = 4096;
/// The kernel's count of signals, and the size of a set of them in bytes.
const SIGNALS: c_int = 64;
const SIGNAL_SET: usize = 8;
/// Words of a set of processors: 1,024 of them. On a larger machine a program keeps those of the thread that starts it.
const PROCESSORS: usize = 16;

/// Held from the start of a child of another user until it executes.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static STACK_OF_CHILD: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// Whom a child becomes.
pub(super) struct Identity {
    pub(super) uid: libc::uid_t,
    pub(super) gid: libc::gid_t,
    pub(super) groups: Vec<libc::gid_t>,
}

/// What to execute, made ready.
pub(super) struct Order {
    /// The files to try, in order: one, or one a directory of PATH.
    pub(super) files: Vec<CString>,
    pub(super) argv: Vec<CString>,
    /// `NAME=value`.
    pub(super) env: Vec<CString>,
    /// `None` = stay who we are.
    pub(super) identity: Option<Identity>,
    /// `None` = the daemon's.
    pub(super) umask: Option<libc::mode_t>,
}

/// A process that was started: its number, and a descriptor that is readable when it ended (Linux 5.3; without it the
/// caller has to ask now and then).
pub(super) struct Started {
    pub(super) pid: Pid,
    pub(super) pidfd: Option<OwnedFd>,
}

/// What the child reads, and the one thing that it writes. It lives on the parent's stack, and the parent sleeps meanwhile.
struct Shared {
    files: *const *const c_char,
    argv: *const *const c_char,
    /// `/bin/sh`, a place for the file, the arguments: for a script without a `#!` line.
    shell: *mut *const c_char,
    env: *const *const c_char,
    identity: Option<(libc::uid_t, libc::gid_t, usize, *const libc::gid_t)>,
    umask: Option<libc::mode_t>,
    /// Soft and hard limit of descriptors that the daemon itself was started with.
    descriptors: Option<[u64; 2]>,
    parent: libc::pid_t,
    failed: AtomicI32,
}

/// Starts a process; returns once it executes its program.
///
/// # Errors
/// Why there is no process, or why it could not become the user or execute the file.
pub(super) fn spawn(order: &Order) -> Result<Started, Errno> {
    let files = pointers(&order.files);
    let argv = pointers(&order.argv);
    let env = pointers(&order.env);
    let mut shell = vec![c"/bin/sh".as_ptr(), null()];
    shell.extend(argv.get(1..).unwrap_or(&[]));
    if argv.len() < 2 {
        shell.push(null());
    }
    let shared = Shared {
        files: files.as_ptr(),
        argv: argv.as_ptr(),
        shell: shell.as_mut_ptr(),
        env: env.as_ptr(),
        identity: order
            .identity
            .as_ref()
            .map(|who| (who.uid, who.gid, who.groups.len(), who.groups.as_ptr())),
        umask: order.umask,
        descriptors: limits::inherited(),
        parent: getpid().as_raw(),
        failed: AtomicI32::new(0),
    };
    // A child that has become another user and has not executed yet has our memory. The kernel hides that from the user
    // (the memory is not dumpable then) until we show it again, which must not be while another such child is on its way.
    let alone = order.identity.as_ref().map(|_| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
    let dumpable = dumpable();
    let cloned = with_signals_blocked(|| {
        clone_child(&shared, libc::CLONE_PIDFD).or_else(|errno| match errno {
            // Out of descriptors, or a kernel without: the process matters more than how its end is noticed.
            Errno::EMFILE | Errno::ENFILE | Errno::EINVAL => clone_child(&shared, 0),
            other => Err(other),
        })
    });
    if alone.is_some() && dumpable {
        let _ = call(libc::SYS_prctl, [c_long::from(libc::PR_SET_DUMPABLE), 1, 0, 0, 0]);
    }
    drop(alone);
    let started = cloned?;
    match shared.failed.load(Ordering::Acquire) {
        0 => Ok(started),
        errno => {
            reap(started.pid);
            Err(Errno::from_raw(errno))
        }
    }
}

/// A C array of strings, with its end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([null()]).collect()
}

/// Whether the daemon may leave a core, as it was before the first child.
fn dumpable() -> bool {
    static BEFORE: OnceLock<bool> = OnceLock::new();
    *BEFORE.get_or_init(|| {
        call(libc::SYS_prctl, [c_long::from(libc::PR_GET_DUMPABLE), 0, 0, 0, 0]).is_ok_and(|value| value == 1)
    })
}

/// Waits for a child that ended already.
fn reap(pid: Pid) {
    while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {}
}

/// Runs it while no signal, not even one of the C library's own, can reach this thread.
fn with_signals_blocked<T>(run: impl FnOnce() -> T) -> T {
    let all = u64::MAX;
    let mut before = 0u64;
    // Neither call can fail: the sets are valid, their size is the kernel's.
    let _ = set_mask(&raw const all, &raw mut before);
    let result = run();
    let _ = set_mask(&raw const before, null_mut());
    result
}

fn set_mask(mask: *const u64, before: *mut u64) -> Result<c_long, Errno> {
    call(
        libc::SYS_rt_sigprocmask,
        [c_long::from(libc::SIG_SETMASK), mask as c_long, before as c_long, SIGNAL_SET as c_long, 0],
    )
}

/// The clone itself; sleeps until the child has executed its program or has ended.
fn clone_child(shared: &Shared, pidfd: c_int) -> Result<Started, Errno> {
    STACK_OF_CHILD.with_borrow_mut(|stack| {
        stack.resize(STACK, 0);
        let top = stack.as_mut_ptr_range().end;
        let mut descriptor: c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | pidfd;
        let shared: *const Shared = shared;
        // SAFETY: the stack is this thread's own, large enough and aligned to 16 bytes; CLONE_VFORK holds this thread
        // until the child has left our memory, so that `shared`, all that it points to and the stack outlive its use;
        // `become_program` never returns into our code, makes system calls only and cannot unwind.
        #[allow(unsafe_code)]
        let pid = unsafe {
            libc::clone(become_program, top.cast(), flags, shared.cast_mut().cast(), &raw mut descriptor)
        };
        let pid = Pid::from_raw(Errno::result(pid)?);
        // SAFETY: the kernel has just made it for us, nobody else knows it.
        #[allow(unsafe_code)]
        let pidfd = (descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) });
        Ok(Started { pid, pidfd })
    })
}

/// A bare system call: no lock, no memory, no other thread.
fn call(number: c_long, arguments: [c_long; 5]) -> Result<c_long, Errno> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: callers pass numbers, or pointers to values that live across the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    Errno::result(result)
}

/// A number as an argument of a system call, as wide as the machine's registers.
#[allow(clippy::cast_lossless, reason = "where these are 32 bits wide there is no `From`")]
const fn word(value: u32) -> c_long {
    value as c_long
}

/// The child, in the parent's memory.
extern "C" fn become_program(shared: *mut c_void) -> c_int {
    // SAFETY: the parent's value, which it holds until we are gone from its memory.
    #[allow(unsafe_code)]
    let shared = unsafe { &*shared.cast_const().cast::<Shared>() };
    let errno = prepare(shared).map_or_else(|errno| errno, |()| execute(shared));
    shared.failed.store(errno as c_int, Ordering::Release);
    // Ends this process alone; no exit handler of the parent's runs.
    let _ = call(libc::SYS_exit_group, [127, 0, 0, 0, 0]);
    127
}

/// In the child: a group of its own, no descriptor of ours, nobody but the user, and dead when the daemon dies.
fn prepare(shared: &Shared) -> Result<(), Errno> {
    call(libc::SYS_setpgid, [0, 0, 0, 0, 0])?;
    reset_signals()?;
    // The lowest free descriptor: standard input.
    let _ = call(libc::SYS_close, [0, 0, 0, 0, 0]);
    let null_device = c"/dev/null".as_ptr() as c_long;
    call(libc::SYS_openat, [c_long::from(libc::AT_FDCWD), null_device, c_long::from(libc::O_RDONLY), 0, 0])?;
    // Descriptors that the daemon itself was given (a shell's, a test runner's) are not the program's.
    let to_the_last = [3, word(u32::MAX), word(libc::CLOSE_RANGE_CLOEXEC), 0, 0];
    let _ = call(libc::SYS_close_range, to_the_last);
    if let Some(limits) = &shared.descriptors {
        let what = Resource::RLIMIT_NOFILE as c_long;
        let _ = call(libc::SYS_prlimit64, [0, what, limits.as_ptr() as c_long, 0, 0]);
    }
    ordinary_scheduling();
    as_the_main_thread(c_long::from(shared.parent));
    if let Some(mask) = shared.umask {
        call(libc::SYS_umask, [word(mask), 0, 0, 0, 0])?;
    }
    // Capabilities of root go with the uid; ambient ones, which a service manager may have given to an unprivileged
    // daemon, would outlive exec, also where the program runs as the daemon's own user.
    let ambient = [c_long::from(libc::PR_CAP_AMBIENT), c_long::from(libc::PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0];
    let _ = call(libc::SYS_prctl, ambient);
    if let Some((uid, gid, count, groups)) = shared.identity {
        call(SET_GROUPS, [count as c_long, groups as c_long, 0, 0, 0])?;
        call(SET_GID, [word(gid), 0, 0, 0, 0])?;
        call(SET_UID, [word(uid), 0, 0, 0, 0])?;
    }
    // Only now: the kernel forgets this wish when a process changes its user or group.
    let death = [c_long::from(libc::PR_SET_PDEATHSIG), c_long::from(libc::SIGTERM), 0, 0, 0];
    call(libc::SYS_prctl, death)?;
    // The daemon may have died before the line above.
    if call(libc::SYS_getppid, [0; 5])? != c_long::from(shared.parent) {
        return Err(Errno::EINTR);
    }
    let none = 0u64;
    set_mask(&raw const none, null_mut()).map(drop)
}

#[cfg(any(target_arch = "x86", target_arch = "arm"))]
const SET_GROUPS: c_long = libc::SYS_setgroups32;
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
const SET_GID: c_long = libc::SYS_setgid32;
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
const SET_UID: c_long = libc::SYS_setuid32;
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
const SET_GROUPS: c_long = libc::SYS_setgroups;
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
const SET_GID: c_long = libc::SYS_setgid;
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
const SET_UID: c_long = libc::SYS_setuid;

/// In the child: every handler goes, as it would run in the parent's memory. What is ignored stays so, but for SIGPIPE,
/// which Rust programs ignore and others do not expect to be.
fn reset_signals() -> Result<(), Errno> {
    // The kernel's `struct sigaction` begins with the handler (0 = default, 1 = ignore) and is at most this long.
    const LENGTH: usize = 8;
    let default = [0usize; LENGTH];
    for signal in 1..=SIGNALS {
        let mut now = [0usize; LENGTH];
        let number = c_long::from(signal);
        let read = [number, 0, now.as_mut_ptr() as c_long, SIGNAL_SET as c_long, 0];
        call(libc::SYS_rt_sigaction, read)?;
        if now[0] > libc::SIG_IGN || (signal == libc::SIGPIPE && now[0] == libc::SIG_IGN) {
            let write = [number, default.as_ptr() as c_long, 0, SIGNAL_SET as c_long, 0];
            call(libc::SYS_rt_sigaction, write)?;
        }
    }
    Ok(())
}

/// In the child: a daemon that its service manager runs in real time does not run scripts so.
fn ordinary_scheduling() {
    let policy = call(libc::SYS_sched_getscheduler, [0; 5]).unwrap_or(0);
    if matches!(c_int::try_from(policy), Ok(libc::SCHED_FIFO | libc::SCHED_RR)) {
        let priority: c_int = 0;
        let ordinary = [0, c_long::from(libc::SCHED_OTHER), (&raw const priority) as c_long, 0, 0];
        let _ = call(libc::SYS_sched_setscheduler, ordinary);
    }
}

/// In the child: a nice value or processors of the thread that starts it alone (`checker_priority`, `checker_cpu_affinity`) are
/// not the program's: it has those of the daemon's main thread, which are the ones that the daemon was given.
fn as_the_main_thread(main: c_long) {
    let process = c_long::from(libc::PRIO_PROCESS);
    // The bare call gives 20 less the nice value.
    let nice = |of: c_long| call(libc::SYS_getpriority, [process, of, 0, 0, 0]);
    if let (Ok(own), Ok(usual)) = (nice(0), nice(main))
        && own != usual
    {
        let _ = call(libc::SYS_setpriority, [process, 0, 20 - usual, 0, 0]);
    }
    let (mut own, mut usual) = ([0u64; PROCESSORS], [0u64; PROCESSORS]);
    let processors = |of: c_long, mask: &mut [u64; PROCESSORS]| {
        let length = size_of_val(mask) as c_long;
        call(libc::SYS_sched_getaffinity, [of, length, mask.as_mut_ptr() as c_long, 0, 0])
    };
    if let (Ok(_), Ok(length)) = (processors(0, &mut own), processors(main, &mut usual))
        && own != usual
    {
        let _ = call(libc::SYS_sched_setaffinity, [0, length, usual.as_ptr() as c_long, 0, 0]);
    }
}

/// In the child: executes the first file that can be, by execvp(3)'s rules; returns why none could.
fn execute(shared: &Shared) -> Errno {
    let mut refused = None;
    let mut last = Errno::ENOENT;
    let mut next = shared.files;
    loop {
        // SAFETY: the list ends with a null pointer, which is the last that is read.
        #[allow(unsafe_code)]
        let file = unsafe { *next };
        if file.is_null() {
            return refused.unwrap_or(last);
        }
        last = execute_file(file, shared.argv, shared.env);
        if last == Errno::ENOEXEC {
            // SAFETY: its second place was made for this; nobody else has the list.
            #[allow(unsafe_code)]
            unsafe {
                *shared.shell.add(1) = file;
            }
            last = execute_file(c"/bin/sh".as_ptr(), shared.shell.cast_const(), shared.env);
        }
        match last {
            Errno::EACCES => refused = Some(last),
            Errno::ENOENT | Errno::ESTALE | Errno::ENOTDIR | Errno::ENODEV | Errno::ETIMEDOUT => {}
            other => return other,
        }
        // SAFETY: this one was not the end.
        #[allow(unsafe_code)]
        let after = unsafe { next.add(1) };
        next = after;
    }
}

fn execute_file(file: *const c_char, argv: *const *const c_char, env: *const *const c_char) -> Errno {
    match call(libc::SYS_execve, [file as c_long, argv as c_long, env as c_long, 0, 0]) {
        Err(errno) => errno,
        // It does not return otherwise.
        Ok(_) => Errno::UnknownErrno,
    }
}
