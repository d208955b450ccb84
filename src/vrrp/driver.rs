//! The loop of the vrrp thread: wait for a datagram, a deadline or the mailbox; stamp `now` once; feed the
//! machines and their sync groups; carry out what they return, in this order: 1 send adverts, 2 publish wanted addresses,
//! 3 announce, 4 report transitions. It decides nothing, writes no log, and waits for nobody: addresses are written by
//! the net thread, everything told to people goes through a bounded channel to the main thread.

mod outlets;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::net::address::{AddressKey, Wanted};
use crate::net::link::Links;

use super::auth::guard::peek_vrid;
use super::group::{self, Group, Member};
use super::lateness::Lateness;
use super::machine::StateName;
use super::mailbox::{Command, Inbox, Mailbox};
use super::pace::Paces;
use super::params::{Faults, Setup, TrackerValues};
use super::realtime;
use super::report::{Report, Told};
use super::runner::{Runner, Turn};
use super::schedule::Deadlines;
use super::socket::{AdvertSockets, FrameSocket, SocketKey};

/// Datagrams read from one socket before timers get their turn: a flood cannot starve them.
const READS_A_TURN: usize = 64;
/// Announcements sent before adverts get their turn.
const FRAMES_A_TURN: usize = 128;
/// Longest wait for the address writer before an announcement goes out all the same: the frames are built by
/// hand and need no address, and a stuck writer must not keep the LAN pointed at the old master.
const ANNOUNCE_PATIENCE: Duration = Duration::from_millis(100);
/// A failure to send is told at most this often an interface.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Longer than any advert: a header, 255 addresses, authentication.
const LARGEST_DATAGRAM: usize = 8192;
/// Rounds of orders before a sync group is left as it is: each round moves members one way only, so that two are enough.
const GROUP_ROUNDS: usize = 8;
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
    /// What happened. When nobody reads, reports are dropped and counted, never waited for.
    pub reports: mpsc::Sender<Report>,
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
    out: Outputs,
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
        lateness: Lateness::default(),
        links,
        trackers,
        faults: Arc::default(),
        out,
        generation: 0,
        applied: 0,
        ours: BTreeSet::new(),
        virtuals: BTreeSet::new(),
        routing: Wanted::default(),
        dropped_reports: 0,
        told: BTreeMap::new(),
        tell_unknown_vrids: false,
        setup: Setup::default(),
        resuming: BTreeSet::new(),
        ending: false,
    };
    let thread = std::thread::Builder::new()
        .name("vrrp".to_owned())
        .spawn(move || driver.run(setup))
        .map_err(StartError::Thread)?;
    Ok(Handle { mailbox, thread })
}

/// A sync group at run time.
struct GroupAt {
    group: Group,
    /// Its members' places in the list of runners.
    numbers: Vec<usize>,
    state: StateName,
    /// Who was last told to hold it back.
    holding: Vec<(String, StateName)>,
}

struct Driver {
    mailbox: Mailbox,
    timer: TimerFd,
    epoll: Epoll,
    runners: Vec<Runner>,
    groups: Vec<GroupAt>,
    /// The group of each runner.
    group_of: Vec<Option<usize>>,
    /// Who is meant by a VRID on a socket.
    listeners: BTreeMap<Arc<SocketKey>, BTreeMap<u8, Vec<usize>>>,
    sockets: AdvertSockets,
    /// Epoll's names of the sockets.
    tokens: BTreeMap<u64, SocketKey>,
    next_token: u64,
    frames: FrameSocket,
    paces: Paces,
    deadlines: Deadlines,
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
    dropped_reports: u64,
    /// When what cannot be sent, and which unknown VRID, was last told, by interface: a cut cable must not fill the log.
    told: BTreeMap<String, Instant>,
    tell_unknown_vrids: bool,
    /// The configuration in force, to begin anew from.
    setup: Setup,
    /// Masters that go on while everything is built anew.
    resuming: BTreeSet<String>,
    ending: bool,
}

impl Drop for Driver {
    /// However the thread ends, a panic included, it leaves no address behind: the peer must be the only master.
    fn drop(&mut self) {
        self.generation += 1;
        let wanted = Wanted { ours: self.ours.clone(), ..self.routing.without_wishes(self.generation) };
        self.out.wanted.send_replace(Arc::new(wanted));
    }
}

impl Driver {
    fn run(&mut self, setup: Setup) {
        let mut turn = new_turn();
        let outcome = realtime::apply(&setup.scheduling);
        turn.reports.push(Report { instance: String::new(), told: Told::Scheduled(outcome) });
        let after_boot = setup.delay_after_boot.saturating_sub(clock::since_boot());
        let hold = setup.startup_delay.max(after_boot);
        self.take_setup(setup, hold, &mut turn);
        // The first wish is published even when nobody is master: left-over addresses of ours go.
        turn.addresses_changed = true;
        self.finish(turn);
        let mut failures: Vec<Instant> = Vec::new();
        while !self.ending {
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
        let inbox = self.mailbox.take();
        // Datagrams first: an advert that already lies in the queue counts before a timer that is due.
        for key in ready {
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
        self.runners.clear();
        self.groups.clear();
        self.paces = Paces::default();
        let mut turn = new_turn();
        turn.reports.push(Report { instance: String::new(), told });
        self.resuming = masters;
        self.take_setup(self.setup.clone(), Duration::ZERO, &mut turn);
        self.resuming.clear();
        self.finish(turn);
    }

    /// Sleeps until a datagram, the mailbox or the next deadline; returns the sockets with datagrams. The deadline is a
    /// timer of the kernel's, not epoll's own timeout: that one counts whole milliseconds.
    fn wait(&self) -> Vec<SocketKey> {
        let now = clock::now();
        let next = [self.deadlines.next(), self.paces.deadline(now)].into_iter().flatten().min();
        let left = next.map(|at| at.saturating_duration_since(now));
        let timeout = match left {
            Some(Duration::ZERO) => EpollTimeout::ZERO,
            Some(left) => {
                let once = Expiration::OneShot(TimeSpec::from_duration(left));
                match self.timer.set(once, TimerSetTimeFlags::empty()) {
                    Ok(()) => EpollTimeout::NONE,
                    // Should the timer ever refuse, epoll's own timeout is still there.
                    Err(_) => {
                        EpollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
                    }
                }
            }
            None => {
                let _ = self.timer.unset();
                EpollTimeout::NONE
            }
        };
        let mut events = vec![EpollEvent::empty(); self.sockets.len() + 2];
        // EINTR and the like only mean another turn, which reads everything anew.
        let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        let ready = events.iter().take(count).map(EpollEvent::data);
        let mut keys = Vec::new();
        for token in ready {
            if token == TIMER {
                // The expiry is taken, so that it does not wake again.
                let _ = self.timer.wait();
            }
            keys.extend(self.tokens.get(&token).cloned());
        }
        keys
    }

    fn read_socket(&mut self, key: &SocketKey, turn: &mut Turn) {
        let mut buffer = [0u8; LARGEST_DATAGRAM];
        for _ in 0..READS_A_TURN {
            let Some(socket) = self.sockets.get(key) else { break };
            // An error: the device went away. The link monitor will say so, and the socket is closed then.
            let Ok(Some(arrived)) = socket.receive(&mut buffer) else { break };
            let vrid = peek_vrid(key.protocol, arrived.payload);
            let of_socket = self.listeners.get(key);
            // What is too short to name a VRID is counted once, by whoever comes first.
            let numbers = match (of_socket, vrid) {
                (Some(by_vrid), Some(vrid)) => by_vrid.get(&vrid).map_or(&[][..], Vec::as_slice),
                (Some(by_vrid), None) => {
                    by_vrid.values().next().and_then(|list| list.get(..1)).unwrap_or(&[])
                }
                (None, _) => &[],
            };
            if let (true, true, Some(vrid)) = (numbers.is_empty(), self.tell_unknown_vrids, vrid) {
                let source = arrived.source;
                self.unknown_vrid(&key.interface, vrid, source, turn);
                continue;
            }
            for number in numbers {
                if let Some(runner) = self.runners.get_mut(*number) {
                    runner.advert(&arrived, turn);
                }
            }
            if !turn.adverts.is_empty() {
                self.send_adverts(turn);
            }
        }
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
        for command in inbox.commands {
            match command {
                Command::Reload(setup) => self.take_setup(*setup, Duration::ZERO, turn),
                Command::Stop => self.stop(turn),
                #[cfg(test)]
                Command::Fail => panic!("as the test wishes"),
            }
        }
        if changed && !self.ending {
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

    fn take_setup(&mut self, setup: Setup, hold: Duration, turn: &mut Turn) {
        self.setup = setup.clone();
        for one in &setup.instances {
            self.ours.extend(one.addresses.keys().cloned());
            self.routing.inherit(&one.routing);
        }
        self.virtuals = self.ours.iter().map(|key| key.address).collect();
        self.paces.configure(setup.pacing);
        self.lateness.expect(setup.instances.iter().map(|one| one.advert_int).min().unwrap_or_default());
        self.tell_unknown_vrids = setup.tell_unknown_vrids;
        let mut old: BTreeMap<String, Runner> =
            std::mem::take(&mut self.runners).into_iter().map(|r| (r.name().to_owned(), r)).collect();
        let mut fresh = Vec::new();
        for (number, one) in setup.instances.into_iter().enumerate() {
            let mut runner = match old.remove(&one.name) {
                Some(runner) if runner.settings().same_router(&one) => {
                    let mut runner = runner;
                    runner.number = number;
                    runner.reload(one, turn);
                    runner
                }
                before => {
                    // Another interface, VRID or version is another router: the old one steps down first.
                    if let Some(mut runner) = before {
                        runner.retire(turn);
                    }
                    fresh.push(number);
                    Runner::new(one)
                }
            };
            runner.number = number;
            self.runners.push(runner);
        }
        for mut runner in old.into_values() {
            runner.delete(turn);
        }
        self.send_adverts(turn);
        self.deadlines.reset(self.runners.len());
        turn.touched = (0..self.runners.len()).collect();
        self.listeners.clear();
        for runner in &self.runners {
            let by_vrid = self.listeners.entry(Arc::clone(runner.socket())).or_default();
            by_vrid.entry(runner.settings().vrid).or_default().push(runner.number);
        }
        self.take_groups(setup.groups);
        self.open_sockets(turn);
        self.look_around(turn);
        for number in fresh {
            if let Some(runner) = self.runners.get_mut(number) {
                if self.resuming.contains(runner.name()) {
                    runner.resume(turn);
                } else {
                    runner.start(hold, turn);
                }
            }
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
        // Settings of a running master may want other addresses without any event of its machine.
        turn.addresses_changed = true;
    }

    fn take_groups(&mut self, groups: Vec<Group>) {
        let states: BTreeMap<String, StateName> =
            self.groups.iter().map(|at| (at.group.name.clone(), at.state)).collect();
        let number = |name: &String| self.runners.iter().position(|runner| runner.name() == name.as_str());
        self.groups = groups
            .into_iter()
            .map(|group| GroupAt {
                numbers: group.members.iter().filter_map(number).collect(),
                state: states.get(&group.name).copied().unwrap_or(StateName::Init),
                holding: Vec::new(),
                group,
            })
            .collect();
        self.group_of = vec![None; self.runners.len()];
        for (index, at) in self.groups.iter().enumerate() {
            for number in &at.numbers {
                if let Some(of) = self.group_of.get_mut(*number) {
                    *of = Some(index);
                }
            }
        }
    }

    /// Feeds the orders of every group that something happened to, until there are none.
    fn settle_groups(&mut self, turn: &mut Turn) {
        let touched: BTreeSet<usize> =
            turn.touched.iter().filter_map(|number| self.group_of.get(*number).copied().flatten()).collect();
        for index in touched {
            let Some(at) = self.groups.get_mut(index) else { continue };
            for _ in 0..GROUP_ROUNDS {
                let members = members(&self.runners, &at.numbers);
                let orders = group::orders(&at.group.name, &members);
                if orders.is_empty() {
                    break;
                }
                for (place, event) in orders {
                    let number = at.numbers.get(place).copied().unwrap_or(usize::MAX);
                    if let Some(runner) = self.runners.get_mut(number) {
                        runner.order(event, turn);
                    }
                }
            }
            tell_group(at, &members(&self.runners, &at.numbers), turn);
        }
    }

    fn stop(&mut self, turn: &mut Turn) {
        for runner in &mut self.runners {
            runner.stop(turn);
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
        self.ending = true;
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
        if turn.addresses_changed {
            self.publish();
        }
        for number in std::mem::take(&mut turn.touched) {
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
    }

    /// What should be there, from scratch, under a new generation.
    fn publish(&mut self) {
        let want = self
            .runners
            .iter()
            .filter(|r| r.wants_addresses())
            .flat_map(|r| r.settings().addresses.iter().map(|(k, s)| (k.clone(), s.clone())))
            .collect();
        self.generation += 1;
        let mut wanted =
            Wanted { want, ours: self.ours.clone(), ..self.routing.without_wishes(self.generation) };
        for runner in self.runners.iter().filter(|r| r.wants_addresses()) {
            wanted.join(&runner.settings().routing);
        }
        self.out.wanted.send_replace(Arc::new(wanted));
    }
}

/// A new turn, both clocks read once.
fn new_turn() -> Turn {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH);
    Turn::new(clock::now(), since.unwrap_or_default())
}

fn members(runners: &[Runner], numbers: &[usize]) -> Vec<Member> {
    numbers.iter().filter_map(|number| runners.get(*number)).map(Runner::member).collect()
}

/// A group's changed state, and who holds it back.
fn tell_group(at: &mut GroupAt, members: &[Member], turn: &mut Turn) {
    let name = &at.group.name;
    let state = group::state(members);
    if state != at.state {
        let of_group = |report: &&Report| at.group.members.contains(&report.instance);
        let cause = turn.reports.iter().filter(of_group).find_map(|report| match &report.told {
            Told::Transition { transition, .. } => Some(format!("{}: {}", report.instance, transition.cause)),
            _ => None,
        });
        let told = Told::Group { from: at.state, to: state, cause: cause.unwrap_or_default(), generation: 0 };
        turn.reports.push(Report { instance: name.clone(), told });
        at.state = state;
    }
    let holding: Vec<(String, StateName)> =
        group::stuck(members).into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
    if holding != at.holding {
        at.holding.clone_from(&holding);
        // That it became MASTER says it, too.
        if state != StateName::Master {
            turn.reports.push(Report { instance: name.clone(), told: Told::GroupWaits { holding } });
        }
    }
}

#[cfg(test)]
mod tests;
