//! The loop of the vrrp thread: wait for a datagram, a deadline or the mailbox; stamp `now` once; feed the
//! machines; carry out what they return, in this order: 1 send adverts, 2 publish wanted addresses, 3 announce,
//! 4 report transitions. It decides nothing, writes no log, and waits for nobody: addresses are written by the
//! net thread, everything told to people goes through a bounded channel to the main thread.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::net::address::{AddressKey, Wanted};
use crate::net::link::Links;

use super::mailbox::{Command, Inbox, Mailbox};
use super::params::{Destination, Settings, TrackerValues};
use super::report::{Report, Told};
use super::runner::{Outgoing, Runner, Turn};
use super::socket::{AdvertSocket, AdvertSockets, FrameSocket};

/// Datagrams read from one socket before timers get their turn: a flood cannot starve them.
const READS_A_TURN: usize = 64;
/// Longest wait for the address writer before an announcement goes out all the same: the frames are built by
/// hand and need no address, and a stuck writer must not keep the LAN pointed at the old master.
const ANNOUNCE_PATIENCE: Duration = Duration::from_millis(100);
/// A failure to send is told at most this often an interface.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Longer than any advert: a header, 255 addresses, authentication.
const LARGEST_DATAGRAM: usize = 4096;

/// Why the vrrp thread could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No eventfd.
    #[error("cannot make an eventfd: {0}")]
    Mailbox(nix::Error),
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
    settings: Vec<Settings>,
    links: Arc<Links>,
    trackers: Arc<TrackerValues>,
    out: Outputs,
) -> Result<Handle, StartError> {
    let mailbox = Mailbox::new().map_err(StartError::Mailbox)?;
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(StartError::Timer)?;
    let frames = FrameSocket::open().map_err(StartError::FrameSocket)?;
    let mut driver = Driver {
        mailbox: mailbox.clone(),
        timer,
        runners: Vec::new(),
        sockets: AdvertSockets::new(),
        frames,
        links,
        trackers,
        out,
        generation: 0,
        applied: 0,
        ours: BTreeSet::new(),
        routing: Wanted::default(),
        dropped_reports: 0,
        send_told: BTreeMap::new(),
        ending: false,
    };
    let thread = std::thread::Builder::new()
        .name("vrrp".to_owned())
        .spawn(move || driver.run(settings))
        .map_err(StartError::Thread)?;
    Ok(Handle { mailbox, thread })
}

struct Driver {
    mailbox: Mailbox,
    timer: TimerFd,
    runners: Vec<Runner>,
    sockets: AdvertSockets,
    frames: FrameSocket,
    links: Arc<Links>,
    trackers: Arc<TrackerValues>,
    out: Outputs,
    /// Generation of the last published wish.
    generation: u64,
    /// Generation that the writer says is in place.
    applied: u64,
    /// Every address of this and earlier configurations of this run.
    ours: BTreeSet<AddressKey>,
    /// The same of routes and rules.
    routing: Wanted,
    dropped_reports: u64,
    /// When a failure to send was last told, by interface: a cut cable must not fill the log.
    send_told: BTreeMap<String, Instant>,
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
    fn run(&mut self, settings: Vec<Settings>) {
        let now = clock::now();
        self.take_settings(settings, now);
        // The first wish is published even when nobody is master: left-over addresses of ours go.
        self.publish();
        while !self.ending {
            self.wait();
            let now = clock::now();
            let inbox = self.mailbox.take();
            // Datagrams first: an advert that already lies in the queue counts before a timer that is due.
            self.read_sockets(now);
            self.take_inbox(inbox, now);
            self.fire_timers(now);
            self.announce(now);
            self.tell();
        }
    }

    /// Sleeps until a datagram, the mailbox or the next deadline. The deadline is a timer of the kernel's, not poll's own
    /// timeout: that one may be late by a thousandth of itself, 3.6 ms of a master-down interval.
    fn wait(&self) {
        let next = self.runners.iter().filter_map(|r| r.deadline(self.applied, ANNOUNCE_PATIENCE)).min();
        let left = next.map(|at| at.saturating_duration_since(clock::now()));
        let set = match left {
            None => self.timer.unset(),
            Some(Duration::ZERO) => return,
            Some(left) => {
                let once = Expiration::OneShot(TimeSpec::from_duration(left));
                self.timer.set(once, TimerSetTimeFlags::empty())
            }
        };
        // Should the timer ever refuse, poll's own timeout is still there.
        let fallback = left.map(|left| left + Duration::from_millis(1)).map(TimeSpec::from_duration);
        let fallback = if set.is_ok() { None } else { fallback };
        let mut fds: Vec<PollFd<'_>> = vec![
            PollFd::new(self.mailbox.wake_fd(), PollFlags::POLLIN),
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.sockets.values().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        // EINTR and the like only mean another turn, which reads everything anew.
        let _ = ppoll(&mut fds, fallback, None);
    }

    fn read_sockets(&mut self, now: Instant) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); LARGEST_DATAGRAM];
        let names: Vec<String> = self.sockets.keys().cloned().collect();
        for name in names {
            for _ in 0..READS_A_TURN {
                let Some(socket) = self.sockets.get(&name) else { break };
                match socket.receive(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(arrived)) => {
                        let vrid = arrived.payload.get(1).copied();
                        let mut turn = Turn::new(now);
                        for runner in self.runners.iter_mut().filter(|r| r.listens(&name, vrid)) {
                            runner.advert(&arrived, &mut turn);
                        }
                        self.carry_out(turn);
                    }
                    // The device went away: the link monitor will say so, and the socket is closed then.
                    Err(_) => break,
                }
            }
        }
    }

    fn take_inbox(&mut self, inbox: Inbox, now: Instant) {
        if let Some(generation) = inbox.applied {
            self.applied = generation;
        }
        let changed = inbox.links.is_some() || inbox.trackers.is_some();
        if let Some(links) = inbox.links {
            self.links = links;
        }
        if let Some(trackers) = inbox.trackers {
            self.trackers = trackers;
        }
        for command in inbox.commands {
            match command {
                Command::Reload(settings) => self.take_settings(settings, now),
                Command::Stop => self.stop(now),
            }
        }
        if changed && !self.ending {
            self.open_sockets();
            self.look_around(now);
        }
    }

    /// Tells every machine its source address and effective priority as they are now.
    fn look_around(&mut self, now: Instant) {
        let virtuals: BTreeSet<IpAddr> = self.ours.iter().map(|key| key.address).collect();
        let mut turn = Turn::new(now);
        for runner in &mut self.runners {
            runner.look_around(&self.links, &self.trackers, &virtuals, &mut turn);
        }
        self.carry_out(turn);
    }

    fn take_settings(&mut self, settings: Vec<Settings>, now: Instant) {
        for one in &settings {
            self.ours.extend(one.addresses.keys().cloned());
            self.routing.inherit(&one.routing);
        }
        let mut old: BTreeMap<String, Runner> =
            std::mem::take(&mut self.runners).into_iter().map(|r| (r.name().to_owned(), r)).collect();
        let mut leaving = Turn::new(now);
        let mut fresh = BTreeSet::new();
        for one in settings {
            let runner = match old.remove(&one.name) {
                Some(runner) if runner.settings().same_router(&one) => {
                    let mut runner = runner;
                    runner.reload(one, &mut leaving);
                    runner
                }
                Some(mut runner) => {
                    // Another interface, VRID or version is another router: the old one steps down first.
                    runner.retire(&mut leaving);
                    fresh.insert(one.name.clone());
                    Runner::new(one)
                }
                None => {
                    fresh.insert(one.name.clone());
                    Runner::new(one)
                }
            };
            self.runners.push(runner);
        }
        for mut runner in old.into_values() {
            runner.delete(&mut leaving);
        }
        self.carry_out(leaving);
        self.open_sockets();
        self.look_around(now);
        let mut turn = Turn::new(now);
        for runner in self.runners.iter_mut().filter(|r| fresh.contains(r.name())) {
            runner.start(&mut turn);
        }
        self.carry_out(turn);
        // Settings of a running master may want other addresses without any event of its machine.
        self.publish();
    }

    fn stop(&mut self, now: Instant) {
        let mut turn = Turn::new(now);
        for runner in &mut self.runners {
            runner.stop(&mut turn);
        }
        self.carry_out(turn);
        self.ending = true;
    }

    fn fire_timers(&mut self, now: Instant) {
        let mut turn = Turn::new(now);
        for runner in &mut self.runners {
            runner.timeout(&mut turn);
        }
        self.carry_out(turn);
    }

    /// Adverts leave at once; then the wish is published, then reports go out with its generation.
    fn carry_out(&mut self, turn: Turn) {
        for advert in &turn.adverts {
            self.send(advert, turn.now);
        }
        if turn.addresses_changed {
            self.publish();
        }
        for runner in &mut self.runners {
            runner.published(self.generation);
        }
        for mut report in turn.reports {
            match &mut report.told {
                Told::Transition { generation, .. } | Told::Deleted { generation, .. } => {
                    *generation = self.generation;
                }
                Told::LowerPriorityHeard { .. }
                | Told::Discarded { .. }
                | Told::AddressListDiffers { .. }
                | Told::SendFailed { .. }
                | Told::SocketFailed { .. }
                | Told::ReportsDropped { .. } => {}
            }
            self.report(report);
        }
    }

    fn send(&mut self, advert: &Outgoing, now: Instant) {
        let result = match self.sockets.get_mut(&advert.interface) {
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "its interface has no socket")),
            Some(socket) => {
                advert.packets.iter().try_for_each(|p| socket.send(&p.payload, p.source, p.destination))
            }
        };
        if let Err(error) = result {
            self.send_failed(&advert.instance, &advert.interface, &error, now);
        }
    }

    fn send_failed(&mut self, instance: &str, interface: &str, error: &io::Error, now: Instant) {
        if self.send_told.get(interface).is_some_and(|at| now.saturating_duration_since(*at) < TELL_EVERY) {
            return;
        }
        self.send_told.insert(interface.to_owned(), now);
        let told = Told::SendFailed { interface: interface.to_owned(), error: error.to_string() };
        self.report(Report { instance: instance.to_owned(), told });
    }

    fn report(&mut self, report: Report) {
        if self.out.reports.try_send(report).is_err() {
            self.dropped_reports = self.dropped_reports.saturating_add(1);
        }
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

    /// Gratuitous ARP and neighbour advertisements that are due.
    fn announce(&mut self, now: Instant) {
        let links = Arc::clone(&self.links);
        let mut failed = Vec::new();
        for runner in &mut self.runners {
            for (interface, frame) in runner.announcements(now, self.applied, ANNOUNCE_PATIENCE, &links) {
                let Some(link) = links.get(&interface) else { continue };
                if let Err(error) = self.frames.send(link.index, &frame) {
                    failed.push((runner.name().to_owned(), interface, error));
                }
            }
        }
        for (instance, interface, error) in failed {
            self.send_failed(&instance, &interface, &error, now);
        }
    }

    /// Says that reports were lost, once there is room again.
    fn tell(&mut self) {
        if self.dropped_reports > 0 {
            let told = Told::ReportsDropped { count: self.dropped_reports };
            if self.out.reports.try_send(Report { instance: String::new(), told }).is_ok() {
                self.dropped_reports = 0;
            }
        }
    }

    /// One socket for each interface that an instance names and the kernel has; closed when it is gone or was
    /// made anew under another index.
    fn open_sockets(&mut self) {
        let links = Arc::clone(&self.links);
        let needed: BTreeSet<String> = self.runners.iter().map(|r| r.settings().interface.clone()).collect();
        self.sockets.retain(|name, socket| {
            needed.contains(name) && links.get(name).is_some_and(|link| link.index == socket.index())
        });
        let mut failed = Vec::new();
        for runner in &mut self.runners {
            let settings = runner.settings();
            let name = settings.interface.clone();
            let Some(link) = links.get(&name) else { continue };
            let opened = match self.sockets.entry(name) {
                std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    AdvertSocket::open(&link.name, link.index).map(|socket| entry.insert(socket))
                }
            };
            let result = opened.and_then(|socket| match settings.destination {
                Destination::Multicast(group) => socket.join(group),
                Destination::Unicast { .. } => Ok(()),
            });
            failed.extend(runner.socket_result(result.err()));
        }
        for report in failed {
            self.report(report);
        }
    }
}
