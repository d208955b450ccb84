//! The watchdog: a small parent that starts the worker, watches its threads by the board, starts another one when it dies
//! or hangs, and, when none stays alive, takes our addresses off this machine so that the peer is the only master.
//!
//! It holds no configuration and no socket of the network. What it does about what it sees is decided in `policy`.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::error::Error;
use super::lifeline::{AGAIN, FILE, NAME, VARIABLE, Word, bell_for, patience_of};
use super::memory::{self, SETTLED};
use super::options::Options;
use super::pidfile::{self, PidFile};
use super::{exit, release, remember, systemd};
use crate::board::{Bell, Board, Thread};
use crate::clock;
use beginning::{Beginning, START_PATIENCE};
use policy::{Cure, Death, Policy, Sight, Verdict, Watch};

mod beginning;
mod policy;
mod program;

pub use program::start_workers_here;
pub(super) use program::take_name;

/// Longest pause between two looks at a worker that begins, or that has no bell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// At one whose vrrp thread rings a bell when it hangs: all others may take a minute and more.
const LOOK_SELDOM: Duration = Duration::from_secs(15);
/// Signals with names that are passed on; those without are in [`ours`].
const FORWARDED: [Signal; 3] = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

/// True in a process that a supervisor has started: it is the worker.
pub fn is_worker() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// True in a process that goes on under this program where another one was: an upgrade.
pub fn goes_on() -> bool {
    std::env::var_os(AGAIN).is_some() && !is_worker()
}

/// The process that stands for the whole daemon: signals go there.
pub fn daemon_pid() -> u32 {
    if is_worker() { nix::unistd::getppid().as_raw().unsigned_abs() } else { std::process::id() }
}

/// Runs the daemon as a worker of its own and looks after that. Returns the exit code.
///
/// # Errors
/// When there can be no worker at all. Addresses that an earlier one left for this one are off this machine then.
pub fn run(options: &Options) -> Result<i32, Error> {
    memory::note_program();
    take_name();
    let mut name = named_before();
    let result = look_after(options, &mut name);
    if result.is_err() {
        release::abandoned(options, name.as_deref());
    }
    result
}

/// What the process was called whose place this one takes.
pub(super) fn named_before() -> Option<String> {
    std::env::var(AGAIN).ok()?.strip_prefix(NAME).map(str::to_owned)
}

/// `name`: what the daemon is called, as far as that is known.
fn look_after(options: &Options, name: &mut Option<String>) -> Result<i32, Error> {
    // Whoever finds a pid there may send it a signal: they wait from here on.
    let signals = SignalFd::with_flags(&ours(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(io::Error::from)?;
    hold_signals();
    let pid_file = options.pid_file.as_deref().map(PidFile::take).transpose()?;
    // Before another file gets its name: an upgrade replaces it.
    let program = program::program()?;
    let mut supervisor = Supervisor {
        options,
        program,
        signals,
        policy: Policy::default(),
        ready: false,
        name,
        files: BTreeSet::new(),
        last: 0,
        watchdog: systemd::watchdog(),
        barked: None,
    };
    let end = supervisor.supervise(std::env::var_os(AGAIN).is_some());
    match end {
        End::Code(code) => {
            drop(pid_file);
            // One that was killed has left its own.
            supervisor
                .files
                .iter()
                .for_each(|path| pidfile::remove(path, &[std::process::id(), supervisor.last]));
            Ok(code)
        }
        End::Replace => {
            exit::last_words();
            // The pid file stays, and is right: it names this process, which goes on under another program.
            let error = program::go_on(&supervisor.program, supervisor.name.as_deref());
            drop(pid_file);
            Err(Error::Start(error))
        }
    }
}

enum End {
    Code(i32),
    /// Another program goes on in our place.
    Replace,
}

struct Supervisor<'a> {
    options: &'a Options,
    program: PathBuf,
    signals: SignalFd,
    policy: Policy,
    /// Some worker has run already.
    ready: bool,
    /// What a worker has said that the daemon is called.
    name: &'a mut Option<String>,
    /// Pid files that a worker has written.
    files: BTreeSet<PathBuf>,
    /// The last worker.
    last: u32,
    watchdog: Option<Duration>,
    /// When systemd last heard of us.
    barked: Option<Instant>,
}

/// One worker.
struct Worker {
    child: Child,
    line: BufReader<UnixStream>,
    begun: Instant,
    beginning: Beginning,
    watch: Watch,
    board: Option<Board>,
    /// Rings when its vrrp thread has not gone on for as long as it may.
    bell: Option<Bell>,
    /// Pages of the program that only the start needed are given back.
    settled: bool,
    stopped: Option<Duration>,
    /// It was asked to end, until then.
    ending: Option<Instant>,
    /// It leaves for another program.
    leaving: bool,
    /// Somebody wants the daemon to end.
    terminated: bool,
    /// It has said that it runs: what is on the board is its own.
    ready: bool,
    /// How long it may take for an orderly end.
    patience: Duration,
}

impl Worker {
    /// It is to end, and has so long for it.
    fn ends(&mut self) {
        if self.ending.is_none() {
            self.ending = Some(clock::now() + self.patience);
            if self.patience > policy::STOP_PATIENCE {
                systemd::patience(self.patience + program::TRIAL);
            }
        }
    }
}

impl Supervisor<'_> {
    fn supervise(&mut self, mut again: bool) -> End {
        loop {
            let worker = match self.start(again) {
                Ok(worker) => worker,
                Err(error) => {
                    tracing::error!("no worker can be started: {error}");
                    // As a death: fork may fail for a while.
                    match self.after(Death::Exit(1), false, Duration::ZERO) {
                        Some(end) => return end,
                        None => continue,
                    }
                }
            };
            let (begun, pid) = (worker.begun, worker.child.id());
            self.last = pid;
            let (how, worker) = self.watch(worker);
            // One that died in the middle of the start script has not run it.
            again |= worker.beginning.is_past_script();
            if worker.leaving && how == Death::Exit(0) {
                if !worker.terminated {
                    return End::Replace;
                }
                // It has left everything for a program that nobody wants any more.
                self.release();
                return End::Code(0);
            }
            let asked = worker.ending.is_some() && (worker.terminated || !worker.leaving);
            if !asked {
                tracing::error!("the worker (pid {pid}) ended by {how}");
            }
            if let Some(end) = self.after(how, asked, clock::now().saturating_duration_since(begun)) {
                return end;
            }
        }
    }

    /// What follows from a death; `None` = another worker.
    fn after(&mut self, how: Death, asked: bool, lived: Duration) -> Option<End> {
        match self.policy.died(how, asked, self.ready, lived, clock::now()) {
            Verdict::End { code, release } => {
                if release {
                    self.release();
                }
                Some(End::Code(code))
            }
            Verdict::Restart(pause) => {
                if pause.is_zero() {
                    tracing::warn!("starting another worker");
                } else {
                    tracing::warn!("starting another worker in {} ms", pause.as_millis());
                    if self.asked_to_end_within(pause) {
                        self.release();
                        return Some(End::Code(0));
                    }
                }
                None
            }
            Verdict::GiveUp => {
                tracing::error!(
                    "no worker stays alive: giving up; the addresses are taken off this machine so that the peer is the \
                     only master"
                );
                systemd::status("gave up: no worker stays alive, the addresses are released");
                self.release();
                Some(End::Code(1))
            }
        }
    }

    fn release(&self) {
        release::abandoned(self.options, self.name.as_deref());
    }

    fn start(&self, again: bool) -> io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // Without close-on-exec: the worker inherits this one end. Nobody else is started by this process.
        nix::fcntl::fcntl(&theirs, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        let mut command = program::again(Path::new("/proc/self/exe"));
        command.env(VARIABLE, theirs.as_raw_fd().to_string());
        if again {
            // What the file calls it: a file that is broken by now does not say that any more.
            command.env(
                AGAIN,
                self.name.as_ref().map_or_else(|| "1".to_owned(), |name| format!("{NAME}{name}")),
            );
        }
        let bell = bell_for(&mut command);
        let child = command.spawn()?;
        drop(theirs);
        tracing::debug!("worker {} started", child.id());
        Ok(Worker {
            child,
            line: BufReader::new(ours),
            begun: clock::now(),
            beginning: Beginning::new(clock::now()),
            watch: Watch::default(),
            board: None,
            bell,
            settled: false,
            stopped: None,
            ending: None,
            leaving: false,
            terminated: false,
            ready: false,
            patience: policy::STOP_PATIENCE,
        })
    }

    /// Looks after a worker until it has ended: how, and what was asked of it.
    fn watch(&mut self, mut worker: Worker) -> (Death, Worker) {
        loop {
            let pause = self.look(&mut worker);
            let ready = {
                let line = worker.line.get_ref().as_fd();
                // Without one the line stands twice in the list.
                let bell = worker.bell.as_ref().map_or(line, |bell| bell.as_fd());
                let mut fds = [self.signals.as_fd(), line, bell].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
                let timeout =
                    PollTimeout::try_from(pause + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
                // EINTR only means another turn.
                let _ = poll(&mut fds, timeout);
                fds.map(|fd| fd.any().unwrap_or(false))
            };
            if ready[1] {
                self.hear(&mut worker);
            }
            if ready[2]
                && let Some(bell) = &worker.bell
            {
                bell.silence();
            }
            while ready[0]
                && let Ok(Some(info)) = self.signals.read_signal()
            {
                self.signal(i32::try_from(info.ssi_signo).unwrap_or(0), &mut worker);
            }
            if let Some(how) = reap(&mut worker) {
                // Its last words.
                self.hear(&mut worker);
                return (how, worker);
            }
        }
    }

    /// One look; returns when the next one is due.
    fn look(&mut self, worker: &mut Worker) -> Duration {
        let now = clock::now();
        if let Some(every) = self.watchdog
            && self.barked.is_none_or(|at| now.saturating_duration_since(at) >= every.mul_f32(0.9))
        {
            systemd::alive();
            self.barked = Some(now);
        }
        let rings = worker.settled && worker.board.is_some() && worker.bell.is_some();
        let soon = if rings { LOOK_SELDOM } else { LOOK_EVERY };
        let soon = soon.min(self.watchdog.unwrap_or(soon));
        if let Some(limit) = worker.ending {
            if limit <= now {
                tracing::error!("the worker does not end within {:?}: killing it", worker.patience);
                let _ = worker.child.kill();
                worker.ending = Some(now + worker.patience);
            }
            return soon.min(limit.saturating_duration_since(now));
        }
        if !worker.ready && worker.beginning.is_overdue(now) {
            tracing::error!(
                "the worker does not run after {} s: killing it, and taking the addresses off; see which file or folder of \
                 the configuration cannot be read",
                START_PATIENCE.as_secs()
            );
            let _ = worker.child.kill();
            self.release();
        }
        if worker.ready && !worker.settled && now.saturating_duration_since(worker.begun) >= SETTLED {
            worker.settled = true;
            memory::give_back();
            memory::forget_program();
        }
        if worker.board.is_none() && worker.ready {
            let folder = remember::folder(self.options.run_directory.as_deref());
            let name = self.name.as_deref().unwrap_or(&self.options.instance);
            worker.board = Board::look(folder, name, worker.child.id());
        }
        let busy = |board: &Board| {
            let since = |thread| board.busy_since(thread).map(|since| (thread, since));
            Thread::ALL.into_iter().filter_map(since).collect()
        };
        let sight =
            Sight { busy: worker.board.as_ref().map(busy).unwrap_or_default(), stopped: worker.stopped };
        let since_boot = clock::since_boot();
        let (cure, next) = worker.watch.look(&sight, since_boot, soon);
        match cure {
            Some(Cure::Kill { thread, busy }) => {
                tracing::error!(
                    "the {} thread of the worker hangs for {:.1} s: killing the worker; please report this with the log",
                    thread.name(),
                    busy.as_secs_f64()
                );
                let _ = worker.child.kill();
                worker.board = None;
            }
            Some(Cure::Continue { tell }) => {
                let _ = kill(pid(worker), Signal::SIGCONT);
                if let Some(times) = tell {
                    let times = if times > 1 { format!(" {times} times") } else { String::new() };
                    tracing::error!(
                        "the worker was stopped by a signal{times}, and goes on: a stopped director keeps its addresses and \
                         serves nobody. To end it use SIGTERM"
                    );
                }
            }
            None => {}
        }
        next.saturating_sub(since_boot).min(soon)
    }

    /// What the worker says.
    fn hear(&mut self, worker: &mut Worker) {
        let mut line = String::new();
        // Whole lines are written at once, so none is ever read in two pieces.
        while worker.line.read_line(&mut line).is_ok_and(|length| length > 0) {
            if let Some(name) = line.trim_end().strip_prefix(NAME) {
                *self.name = Some(name.to_owned());
            }
            if let Some(path) = line.trim_end().strip_prefix(FILE) {
                self.files.insert(path.into());
            }
            if let Some(word) = Word::of(line.trim_end()) {
                match word {
                    Word::Ready => {
                        worker.ready = true;
                        if !std::mem::replace(&mut self.ready, true) {
                            systemd::notify(word);
                            if let Some(started) = &self.options.started {
                                // Whoever started us may have gone.
                                let _ = (&**started).write_all(&[0]);
                            }
                        }
                        systemd::status("runs");
                    }
                    Word::Stopping => {
                        systemd::notify(word);
                        worker.ends();
                    }
                    Word::Upgrade => self.upgrade(worker),
                    Word::Startup | Word::Started => worker.beginning.hear(word, clock::now()),
                    Word::Reloading | Word::Reloaded => systemd::notify(word),
                }
            }
            if let Some(each) = patience_of(line.trim_end()) {
                worker.patience = policy::stop_patience(each);
            }
            line.clear();
        }
    }

    fn signal(&self, number: i32, worker: &mut Worker) {
        // The last of the real-time signals has no meaning: it is held back so that it harms nobody.
        if number == Signal::SIGCHLD as i32 || number == libc::SIGRTMAX() {
            return;
        }
        if number == Signal::SIGINT as i32 && self.options.ignore_sigint {
            return;
        }
        if [Signal::SIGTERM as i32, Signal::SIGINT as i32].contains(&number) {
            worker.terminated = true;
            worker.ends();
        }
        // A stopped one would hear it when it goes on.
        if worker.stopped.is_some() {
            let _ = kill(pid(worker), Signal::SIGCONT);
        }
        // Real-time signals have no name in nix.
        // SAFETY: plain numbers; the process is our child and not reaped yet, so the number is its own.
        #[expect(unsafe_code, reason = "a signal without a name")]
        let _ = unsafe { libc::kill(pid(worker).as_raw(), number) };
    }

    /// The program of our name is asked whether it runs at all; then the worker leaves and it goes on in our place.
    fn upgrade(&self, worker: &mut Worker) {
        let order = match program::trial(&self.program) {
            Ok(version) => {
                tracing::info!("{} ({version}) goes on in our place", self.program.display());
                worker.ending = Some(clock::now() + worker.patience);
                worker.leaving = true;
                "leave\n".to_owned()
            }
            Err(why) => {
                tracing::error!("no upgrade: {why}");
                format!("refused {}\n", why.replace('\n', " "))
            }
        };
        let _ = worker.line.get_mut().write_all(order.as_bytes());
    }

    /// Waits; true when meanwhile somebody wants the daemon to end.
    fn asked_to_end_within(&self, pause: Duration) -> bool {
        let end = clock::now() + pause;
        loop {
            let left = end.saturating_duration_since(clock::now());
            if left.is_zero() {
                return false;
            }
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            let _ = poll(&mut fds, timeout);
            while let Ok(Some(info)) = self.signals.read_signal() {
                let number = i32::try_from(info.ssi_signo).unwrap_or(0);
                let interrupted = number == Signal::SIGINT as i32 && !self.options.ignore_sigint;
                if number == Signal::SIGTERM as i32 || interrupted {
                    return true;
                }
            }
        }
    }
}

fn pid(worker: &Worker) -> Pid {
    Pid::from_raw(i32::try_from(worker.child.id()).unwrap_or(0))
}

/// What has become of the worker; `Some` once it has ended.
fn reap(worker: &mut Worker) -> Option<Death> {
    // Stopped or continued: told once each.
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    while let Ok(status) = waitid(Id::Pid(pid(worker)), flags) {
        let now = clock::since_boot();
        match status {
            WaitStatus::Stopped(..) => worker.stopped = Some(now),
            WaitStatus::Continued(_) => {
                worker.stopped = None;
                worker.watch.continued(now);
            }
            _ => break,
        }
    }
    let status = match worker.child.try_wait() {
        Ok(status) => status?,
        Err(error) => {
            tracing::error!("it cannot be known how the worker (pid {}) ended: {error}", worker.child.id());
            return Some(Death::Signal(0));
        }
    };
    Some(match status.code() {
        Some(code) => Death::Exit(code),
        None => Death::Signal(status.signal().unwrap_or(0)),
    })
}

/// Whoever started us may have ignored SIGCHLD, and that is inherited: of such a process the kernel tells nobody how its
/// children ended, nor that they did. Call it before any child begins.
pub fn hear_of_children() {
    // SAFETY: the default action; no handler runs.
    #[expect(unsafe_code, reason = "a signal's action")]
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
}

/// Signals that the supervisor reads wait from now on, also in threads that begin later: call it before any does.
pub fn hold_signals() {
    // It can only fail for a set that is none.
    let _ = ours().thread_block();
}

/// All that is for us or for the worker.
fn ours() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().chain(FORWARDED) {
        set.add(signal);
    }
    let mut raw = *set.as_ref();
    for number in [libc::SIGRTMIN() + 2, libc::SIGRTMAX() - 1, libc::SIGRTMAX()] {
        // SAFETY: a set of our own and numbers of signals that the C library names.
        #[expect(unsafe_code, reason = "signals without names")]
        unsafe {
            libc::sigaddset(&mut raw, number);
        }
    }
    // SAFETY: a whole set, made above.
    #[expect(unsafe_code, reason = "signals without names")]
    unsafe {
        SigSet::from_sigset_t_unchecked(raw)
    }
}
