//! The loop of the vrrp thread: wait for a datagram, a deadline or the mailbox; stamp `now` once; feed the
//! machines and their sync groups; carry out what they return, in this order: 1 send adverts, 2 publish wanted addresses,
//! 3 announce, 4 report transitions. It decides nothing, writes no log, and waits for nobody: addresses are written by
//! the net thread, everything told to people goes through a bounded channel to the main thread.

mod answering;
mod configure;
mod groups;
mod intake;
mod orders;
mod outlets;
mod probing;
mod record;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use tokio::sync::{mpsc, watch};

use crate::board::{Board, Slot};
use crate::clock;
use crate::net::address::{AddressKey, Wanted};
use crate::net::link::Links;
use crate::net::swift::Swift;
use crate::realtime::{self, Steps};

use super::answers::Answers;
use super::lateness::Lateness;
use super::mailbox::{Command, Inbox, Mailbox};
use super::pace::Paces;
use super::params::{Faults, Setup, TrackerValues};
use super::report::{Report, Told};
use super::runner::{Runner, Turn};
use super::schedule::Deadlines;
use super::socket::{AdvertSockets, FrameSocket, SocketKey};
use super::status::Question;
use groups::GroupAt;

/// Datagrams read from one socket before timers get their turn: a flood cannot starve them.
const READS_A_TURN: usize = 64;
/// Announcements sent before adverts get their turn.
const FRAMES_A_TURN: usize = 128;
/// So many addresses of a new master are put in place before the writer is asked.
const URGENT: usize = 32;
/// Longest wait for the address writer, or for its next address, before an announcement goes out all the same: the frames are built by
/// hand and need no address, and a stuck writer must not keep the LAN pointed at the old master.
const ANNOUNCE_PATIENCE: Duration = Duration::from_millis(100);
/// A failure to send is told at most this often an interface.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Longer than any advert: a header, 255 addresses, authentication.
const LARGEST_DATAGRAM: usize = 8192;
/// More failures than this within the window end the thread, and with it the mastership.
const FAILURES: usize = 3;
const FAILURE_WINDOW: Duration = Duration::from_secs(10);
/// Epoll's names of the mailbox and the timer; sockets have the numbers above.
const MAILBOX: u64 = 0;
const TIMER: u64 = 1;

/// Why the vrrp thread could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No eventfd.
    #[error("cannot make an eventfd: {0}")]
    Mailbox(nix::Error),
    /// No epoll.
    #[error("cannot make an epoll instance: {0}")]
    Epoll(nix::Error),
    /// No timer.
    #[error("cannot make a timerfd: {0}")]
    Timer(nix::Error),
    /// No packet socket.
    #[error("cannot open a packet socket for gratuitous ARP: {0}; run as root or give CAP_NET_RAW")]
    FrameSocket(io::Error),
    /// No thread.
    #[error("cannot start the vrrp thread: {0}")]
    Thread(io::Error),
}

/// What the driver publishes.
pub struct Outputs {
    /// The addresses that should be there, latest wins.
    pub wanted: watch::Sender<Arc<Wanted>>,
    /// What happened: room for [`STATES_ROOM`](super::report::STATES_ROOM) of them. When nobody reads, reports are dropped and
    /// counted, never waited for; those of states last.
    pub reports: mpsc::Sender<Report>,
    /// The first addresses of a new master are put in place by a thread of the vrrp thread's own, before the wish is
    /// read by anybody. Without it only the wish is published.
    pub swift: bool,
    /// Where it is written down who is master, for the next process.
    pub board: Option<Arc<Board>>,
    /// Instances that were master a moment ago, in the process before this one: they go on.
    pub resuming: BTreeSet<String>,
}

/// A running vrrp thread.
pub struct Handle {
    /// How to reach it.
    pub mailbox: Mailbox,
    thread: JoinHandle<()>,
}

impl Handle {
    /// True when the thread has ended, orderly or not.
    pub fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the thread; false when it panicked.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

/// Starts the vrrp thread with these instances on these interfaces.
pub fn spawn(
    setup: Setup,
    links: Arc<Links>,
    trackers: Arc<TrackerValues>,
    mut out: Outputs,
) -> Result<Handle, StartError> {
    let mailbox = Mailbox::new().map_err(StartError::Mailbox)?;
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(StartError::Timer)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(StartError::Epoll)?;
    let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
    epoll.add(mailbox.wake_fd(), readable(MAILBOX)).map_err(StartError::Epoll)?;
    epoll.add(timer.as_fd(), readable(TIMER)).map_err(StartError::Epoll)?;
    let frames = FrameSocket::open().map_err(StartError::FrameSocket)?;
    let mut driver = Driver {
        mailbox: mailbox.clone(),
        timer,
        armed: None,
        epoll,
        runners: Vec::new(),
        groups: Vec::new(),
        group_of: Vec::new(),
        listeners: BTreeMap::new(),
        sockets: AdvertSockets::new(),
        tokens: BTreeMap::new(),
        next_token: TIMER + 1,
        frames,
        paces: Paces::default(),
        deadlines: Deadlines::default(),
        steps: Steps::default(),
        lateness: Lateness::default(),
        links,
        trackers,
        faults: Arc::default(),
        resuming: std::mem::take(&mut out.resuming),
        slots: Vec::new(),
        out,
        generation: 0,
        applied: 0,
        ours: BTreeSet::new(),
        virtuals: BTreeSet::new(),
        routing: Wanted::default(),
        swift: None,
        answers: None,
        dropped_reports: 0,
        told: BTreeMap::new(),
        tell_unknown_vrids: false,
        setup: Setup::default(),
        origin: clock::now(),
        questions: Vec::new(),
        ending: None,
    };
    let thread = std::thread::Builder::new()
        .name("vrrp".to_owned())
        .spawn(move || driver.run(setup))
        .map_err(StartError::Thread)?;
    Ok(Handle { mailbox, thread })
}

struct Driver {
    mailbox: Mailbox,
    timer: TimerFd,
    /// When the timer goes off: never after the next deadline.
    armed: Option<Instant>,
    epoll: Epoll,
    runners: Vec<Runner>,
    groups: Vec<GroupAt>,
    /// The group of each runner.
    group_of: Vec<Option<usize>>,
    /// Who is meant by a VRID on a socket.
    listeners: BTreeMap<Arc<SocketKey>, BTreeMap<u8, Vec<usize>>>,
    sockets: AdvertSockets,
    /// Epoll's names of the sockets.
    tokens: BTreeMap<u64, Arc<SocketKey>>,
    next_token: u64,
    frames: FrameSocket,
    paces: Paces,
    deadlines: Deadlines,
    steps: Steps,
    lateness: Lateness,
    links: Arc<Links>,
    trackers: Arc<TrackerValues>,
    faults: Arc<Faults>,
    out: Outputs,
    /// Generation of the last published wish.
    generation: u64,
    /// Generation that the writer says is in place.
    applied: u64,
    /// Every address of this and earlier configurations of this run.
    ours: BTreeSet<AddressKey>,
    /// The same without interfaces: never a source of adverts.
    virtuals: BTreeSet<IpAddr>,
    /// The same of routes and rules.
    routing: Wanted,
    /// Who puts the first addresses in place.
    swift: Option<Swift>,
    /// Opened at the first question.
    answers: Option<Answers>,
    dropped_reports: u64,
    /// When what cannot be sent, and which unknown VRID, was last told, by interface: a cut cable must not fill the log.
    told: BTreeMap<String, Instant>,
    tell_unknown_vrids: bool,
    /// The configuration in force, to begin anew from.
    setup: Setup,
    /// What the places of adverts in their intervals are counted from.
    origin: Instant,
    /// Masters that go on while everything is built anew.
    resuming: BTreeSet<String>,
    /// The place of each runner on the board.
    slots: Vec<Option<Slot>>,
    /// Who wants to know how things stand.
    questions: Vec<Question>,
    ending: Option<Ending>,
}

/// How the thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The peer takes over.
    Resigned,
    /// Another process goes on: nobody is told anything, addresses stay.
    Left,
}

impl Drop for Driver {
    /// However the thread ends, a panic included, it leaves no address behind: the peer must be the only master.
    fn drop(&mut self) {
        // Its last word comes before ours.
        self.swift = None;
        if self.ending == Some(Ending::Left) {
            // The writer goes by the end of the wish: it must not come while this process lives.
            std::mem::forget(self.out.wanted.clone());
            return;
        }
        self.forget_masters();
        self.generation += 1;
        let wanted = Wanted { ours: self.ours.clone(), ..self.routing.without_wishes(self.generation) };
        self.out.wanted.send_replace(Arc::new(wanted));
    }
}

impl Driver {
    fn run(&mut self, setup: Setup) {
        let mut turn = new_turn();
        let outcome = realtime::apply(&setup.scheduling);
        self.steps = Steps::new(&setup.scheduling, &outcome);
        turn.reports.push(Report { instance: String::new(), told: Told::Scheduled(outcome) });
        self.start_swift(&setup.scheduling);
        let after_boot = setup.delay_after_boot.saturating_sub(clock::since_boot());
        let hold = setup.startup_delay.max(after_boot);
        self.take_setup(setup, hold, &mut turn);
        self.resuming.clear();
        // The first wish is published even when nobody is master: left-over addresses of ours go.
        turn.addresses_changed = true;
        self.finish(turn);
        let mut failures: Vec<Instant> = Vec::new();
        while self.ending.is_none() {
            // A defect in one turn must not hand the addresses to the peer: what failed is built anew, within the turn.
            let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.turn())) else { continue };
            let now = clock::now();
            failures.retain(|at| now.saturating_duration_since(*at) < FAILURE_WINDOW);
            failures.push(now);
            if failures.len() > FAILURES {
                // It cannot be trusted any more: the peer takes over.
                resume_unwind(panic);
            }
            self.recover(&*panic);
        }
    }

    /// One turn of the loop.
    fn turn(&mut self) {
        let ready = self.wait();
        let mut turn = new_turn();
        self.woke(&mut turn);
        let inbox = if ready.mail { self.mailbox.take() } else { Inbox::default() };
        // Datagrams first: an advert that already lies in the queue counts before a timer that is due.
        for key in ready.sockets {
            self.read_socket(&key, &mut turn);
        }
        self.take_inbox(inbox, &mut turn);
        self.fire_timers(&mut turn);
        self.finish(turn);
    }

    /// Everything but the sockets is built anew from the setup; masters go on as masters, with an advert at once, and
    /// their addresses were never taken away. All others listen.
    fn recover(&mut self, panic: &(dyn Any + Send)) {
        let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        let masters: BTreeSet<String> =
            self.runners.iter().filter(|r| r.wants_addresses()).map(|r| r.name().to_owned()).collect();
        let why = words.unwrap_or_else(|| "a panic without words".to_owned());
        let told = Told::Failed { why, masters: masters.len() };
        let histories = self.histories();
        self.runners.clear();
        self.groups.clear();
        self.paces = Paces::default();
        let mut turn = new_turn();
        turn.reports.push(Report { instance: String::new(), told });
        self.resuming = masters;
        self.take_setup(self.setup.clone(), Duration::ZERO, &mut turn);
        self.remember(histories);
        self.resuming.clear();
        self.finish(turn);
    }

    fn take_inbox(&mut self, inbox: Inbox, turn: &mut Turn) {
        if let Some(applied) = inbox.applied {
            self.applied = applied;
            turn.touched.extend(0..self.runners.len());
        }
        let changed = inbox.links.is_some() || inbox.trackers.is_some() || inbox.faults.is_some();
        if let Some(faults) = inbox.faults {
            self.faults = faults;
        }
        if let Some(links) = inbox.links {
            self.links = links;
            self.open_sockets(turn);
        }
        if let Some(trackers) = inbox.trackers {
            self.trackers = trackers;
        }
        if !inbox.placed.is_empty() {
            for runner in &mut self.runners {
                runner.placed(&inbox.placed, turn);
            }
        }
        for command in inbox.commands {
            match command {
                Command::Orders(orders) => self.take_orders(orders, turn),
                Command::Failback { names, by } => self.failback(&names, &by, turn),
                Command::Reload(setup) => {
                    self.reschedule(&setup.scheduling, turn);
                    self.take_setup(*setup, Duration::ZERO, turn);
                }
                Command::Stop => self.stop(turn),
                Command::Leave => self.ending = Some(Ending::Left),
                Command::Happen(what) => what(),
                Command::Tell(question) => self.questions.push(question),
            }
        }
        if changed && self.ending.is_none() {
            self.look_around(turn);
        }
    }

    /// Tells every machine its source address and effective priority as they are now.
    fn look_around(&mut self, turn: &mut Turn) {
        for runner in &mut self.runners {
            let fault = self.faults.get(runner.name()).cloned();
            runner.look_around(&self.links, &self.trackers, fault, &self.virtuals, turn);
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
    }

    fn stop(&mut self, turn: &mut Turn) {
        for runner in &mut self.runners {
            runner.stop(turn);
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
        self.ending = Some(Ending::Resigned);
    }

    fn fire_timers(&mut self, turn: &mut Turn) {
        for number in self.deadlines.due(turn.now) {
            if let Some(runner) = self.runners.get_mut(number) {
                turn.touched.insert(number);
                runner.timeout(turn);
            }
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
    }

    /// The end of a turn: publish, announce, report, and set the deadlines anew.
    fn finish(&mut self, mut turn: Turn) {
        self.settle_groups(&mut turn);
        self.send_adverts(&mut turn);
        self.note_masters(&turn);
        self.hurry(&mut turn);
        if turn.addresses_changed {
            self.publish();
        }
        for number in std::mem::take(&mut turn.touched) {
            self.probe(number, &mut turn);
            let Some(runner) = self.runners.get_mut(number) else { continue };
            runner.published(self.generation);
            runner.announce(self.applied, ANNOUNCE_PATIENCE, &mut turn);
            self.deadlines.set(number, runner.deadline(self.applied, ANNOUNCE_PATIENCE));
        }
        self.announce(&mut turn);
        for report in turn.reports {
            self.report(report);
        }
        self.tell_drops();
        self.answer(turn.now, turn.since_1970);
    }
}

/// A new turn, both clocks read once.
fn new_turn() -> Turn {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH);
    Turn::new(clock::now(), since.unwrap_or_default())
}

#[cfg(test)]
mod tests;
