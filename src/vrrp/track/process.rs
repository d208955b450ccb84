//! Watches the processes of `vrrp_track_process`: /proc at the start, then the kernel's process events. Where the kernel
//! refuses them (outside the first network namespace, in a container, without CAP_NET_ADMIN), /proc is read once a second.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

use crate::clock;

use super::events::{self, Event};
use super::post::{self, Letter, LetterBox, Post};
use super::processes::{Census, Flip, ProcessPlan, Seen};
use super::{Change, Said, TrackerKind, Value};

/// Between two readings of /proc where there are no events.
const LOOK: Duration = Duration::from_secs(1);
/// How long the kernel may take to say that it will send events. In another process namespace it never does.
const ANSWER: Duration = Duration::from_millis(500);
/// Process numbers that are looked at again soon: between fork and exec a process is its parent's copy.
const BUFFER: usize = 4096;

/// How process events are received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// `process_monitor_rcv_bufs`, bytes.
    pub size: Option<u32>,
    /// `process_monitor_rcv_bufs_force`: beyond the kernel's limit.
    pub force: bool,
}

/// What the thread is asked to watch, each with the epoch of its configuration.
pub(super) struct Wish {
    pub(super) plans: Vec<(ProcessPlan, u64)>,
    pub(super) buffers: Buffers,
}

/// Everything that runs now. Zombies do not run.
///
/// # Errors
/// When /proc cannot be read.
pub fn running(with_command: bool) -> io::Result<BTreeMap<u32, Seen>> {
    let entries = fs::read_dir("/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| Some((pid, seen(pid, with_command)?))).collect())
}

/// What /proc says of one process; `None` = it is gone, or a zombie.
fn seen(pid: u32, with_command: bool) -> Option<Seen> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // "12 (na)me) S …": the name may hold anything, the last parenthesis ends it.
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let state = stat.get(close + 2)?;
    if matches!(state, b'Z' | b'X' | b'x') {
        return None;
    }
    let comm = stat.get(open + 1..close)?.to_vec();
    let mut command = Vec::new();
    if with_command {
        let mut line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        if line.last() == Some(&0) {
            line.pop();
        }
        // A kernel thread has none.
        if !line.is_empty() {
            command = line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        }
    }
    Some(Seen { comm, command })
}

/// Starts the thread.
pub(super) fn start(changes: mpsc::Sender<Change>) -> io::Result<Post<Wish>> {
    let (post, letters) = post::pair()?;
    std::thread::Builder::new().name("track-process".to_owned()).spawn(move || {
        let mut watcher = Watcher {
            letters,
            changes,
            epochs: BTreeMap::new(),
            census: Census::default(),
            source: Source::None,
            told: false,
        };
        watcher.run();
    })?;
    Ok(post)
}

struct Watcher {
    letters: LetterBox<Wish>,
    changes: mpsc::Sender<Change>,
    epochs: BTreeMap<String, u64>,
    census: Census,
    source: Source,
    told: bool,
}

/// Where news of processes come from.
enum Source {
    /// Nothing is watched.
    None,
    /// The kernel was asked; it has until then to answer.
    Asked {
        socket: NlSocket,
        until: Instant,
    },
    Events(NlSocket),
    /// /proc, the next time then.
    Reading {
        next: Instant,
    },
}

impl Source {
    const fn socket(&self) -> Option<&NlSocket> {
        match self {
            Self::Asked { socket, .. } | Self::Events(socket) => Some(socket),
            Self::None | Self::Reading { .. } => None,
        }
    }

    const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asked { until: at, .. } | Self::Reading { next: at } => Some(*at),
            Self::None | Self::Events(_) => None,
        }
    }
}

impl Watcher {
    fn run(&mut self) {
        loop {
            let letter = self.letters.look();
            let now = clock::now();
            let heard = match letter {
                Letter::Closed => return,
                Letter::Wish(wish) => self.take(wish, now),
                Letter::None => true,
            };
            let heard = heard && self.receive(now) && self.time(now);
            if !heard {
                return;
            }
            self.wait();
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.letters.wake_fd(), PollFlags::POLLIN)];
        if let Some(socket) = self.source.socket() {
            // SAFETY: the descriptor belongs to the socket, which outlives this call's borrow of it.
            #[allow(unsafe_code)]
            let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
        }
        let next = [self.census.deadline(), self.source.deadline()].into_iter().flatten().min();
        let timeout = next.map_or(PollTimeout::NONE, |at| {
            // Rounded up: a millisecond early would be a turn for nothing.
            let left = at.saturating_duration_since(clock::now()) + Duration::from_micros(999);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // EINTR and the like only mean another turn.
        let _ = poll(&mut fds, timeout);
    }

    fn take(&mut self, wish: Wish, now: Instant) -> bool {
        self.epochs = wish.plans.iter().map(|(plan, epoch)| (plan.name.clone(), *epoch)).collect();
        let plans: Vec<ProcessPlan> = wish.plans.into_iter().map(|(plan, _)| plan).collect();
        if plans.is_empty() {
            self.census = Census::default();
            self.source = Source::None;
            return true;
        }
        if matches!(self.source, Source::None) {
            // Before /proc is read, so that nothing falls between the two.
            self.source = self.open(wish.buffers, now);
        }
        let needs_command = plans.iter().any(|plan| plan.pattern.needs_command());
        let running = self.read_all(needs_command);
        let before = std::mem::take(&mut self.census);
        let (census, flips) = Census::new(plans, &running, before, now);
        self.census = census;
        // The one who wished read /proc a moment earlier: what is so now goes out whatever it was then.
        let names: Vec<String> = self.epochs.keys().cloned().collect();
        let mut all = flips;
        all.extend(names.into_iter().filter_map(|name| {
            let (up, why) = self.census.value(&name)?;
            Some(Flip { name, up, why })
        }));
        self.tell(all, now)
    }

    fn open(&mut self, buffers: Buffers, now: Instant) -> Source {
        match connect(buffers) {
            Ok(socket) => Source::Asked { socket, until: now + ANSWER },
            Err(error) => self.fall_back(&error.to_string(), now),
        }
    }

    fn fall_back(&mut self, why: &str, now: Instant) -> Source {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(
                "vrrp_track_process: the kernel sends no process events here ({why}): /proc is read once a second instead; \
                 a process that lives shorter may be missed"
            );
        }
        Source::Reading { next: now + LOOK }
    }

    fn read_all(&self, with_command: bool) -> BTreeMap<u32, Seen> {
        running(with_command).unwrap_or_else(|error| {
            tracing::error!(
                "vrrp_track_process: /proc cannot be read: {error}; every process counts as ended"
            );
            BTreeMap::new()
        })
    }

    /// All events that are there. False when nobody listens.
    fn receive(&mut self, now: Instant) -> bool {
        let mut buffer = [0; BUFFER];
        loop {
            let Some(socket) = self.source.socket() else { return true };
            let length = match socket.recv(&mut buffer[..], Msg::empty()) {
                Ok((0, _)) => return true,
                Ok((length, _)) => length,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::EINTR) => return true,
                    Some(libc::ENOBUFS) => {
                        tracing::debug!(
                            "vrrp_track_process: more process events than could be kept; reading /proc"
                        );
                        let running = self.read_all(self.census.needs_command());
                        let flips = self.census.all(&running, now);
                        if !self.tell(flips, now) {
                            return false;
                        }
                        continue;
                    }
                    _ => {
                        self.source = self.fall_back(&error.to_string(), now);
                        return true;
                    }
                },
            };
            let event = buffer.get(..length).and_then(events::parse);
            if let Source::Asked { .. } = self.source
                && let Some(event) = event
            {
                self.answered(event, now);
            }
            let flips = match event {
                Some(Event::Fork(pid) | Event::Exec(pid) | Event::Renamed(pid)) => {
                    match seen(pid, self.census.needs_command()) {
                        Some(seen) => self.census.is(pid, &seen, now),
                        None => self.census.ended(pid, now),
                    }
                }
                Some(Event::Exit(pid)) => self.census.ended(pid, now),
                Some(Event::Answer(_)) | None => Vec::new(),
            };
            if !self.tell(flips, now) {
                return false;
            }
        }
    }

    fn answered(&mut self, event: Event, now: Instant) {
        self.source = match (std::mem::replace(&mut self.source, Source::None), event) {
            (_, Event::Answer(error)) if error != 0 => {
                let error = io::Error::from_raw_os_error(i32::try_from(error).unwrap_or(libc::EPERM));
                self.fall_back(&error.to_string(), now)
            }
            (Source::Asked { socket, .. }, _) => Source::Events(socket),
            (other, _) => other,
        };
    }

    /// What time alone makes happen. False when nobody listens.
    fn time(&mut self, now: Instant) -> bool {
        let flips = self.census.fire(now);
        let heard = self.tell(flips, now);
        if self.source.deadline().is_none_or(|at| at > now) {
            return heard;
        }
        if matches!(self.source, Source::Asked { .. }) {
            self.source = self.fall_back("it does not answer; this may be a container", now);
        } else {
            self.source = Source::Reading { next: now + LOOK };
        }
        let running = self.read_all(self.census.needs_command());
        let flips = self.census.all(&running, now);
        heard && self.tell(flips, now)
    }

    fn tell(&self, flips: Vec<Flip>, now: Instant) -> bool {
        flips.into_iter().all(|Flip { name, up, why }| {
            let Some(epoch) = self.epochs.get(&name).copied() else { return true };
            let said = Said::new(Value::of(up), why, now);
            self.changes.blocking_send(Change { kind: TrackerKind::Process, name, epoch, said }).is_ok()
        })
    }
}

/// A socket that has asked for process events.
fn connect(buffers: Buffers) -> io::Result<NlSocket> {
    let socket = NlSocket::new(NlFamily::Connector)?;
    socket.nonblock()?;
    if let Some(size) = buffers.size {
        set_buffer(&socket, size, buffers.force)?;
    }
    socket.bind(Some(0), Groups::new_groups(&[events::PROCESS_EVENTS]))?;
    socket.send(&events::listen_request()[..], Msg::empty())?;
    Ok(socket)
}

fn set_buffer(socket: &NlSocket, size: u32, force: bool) -> io::Result<()> {
    if !force {
        return socket.set_recv_buffer_size(usize::try_from(size).unwrap_or(usize::MAX));
    }
    // SAFETY: as in `wait`.
    #[allow(unsafe_code)]
    let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::RcvBufForce, &size).map_err(io::Error::from)
}
