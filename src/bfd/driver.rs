//! The loop of the bfd thread: wait for a datagram, a deadline or the mailbox; stamp `now` once; feed the sessions;
//! carry out what they return: 1 send, 2 publish states, 3 report. It decides nothing, writes no log, and waits for
//! nobody.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::sync::{mpsc, watch};

use crate::clock;

use super::accept::{Path, accept};
use super::mailbox::{Command, Mailbox};
use super::params::Settings;
use super::report::{Report, SessionState, SessionStates, Tally, Told};
use super::session::{Action, Event, Session};
use super::socket::{Listener, Port, Sender};

/// Datagrams read from one socket before timers get their turn: a flood cannot starve them.
const READS_A_TURN: usize = 64;
/// A port that could not be opened is tried again after this time.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// Longer than any control packet: its length field has one byte.
const LARGEST_DATAGRAM: usize = 512;

/// Why the bfd thread could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No eventfd.
    #[error("cannot make an eventfd: {0}")]
    Mailbox(nix::Error),
    /// No timer.
    #[error("cannot make a timerfd: {0}")]
    Timer(nix::Error),
    /// No thread.
    #[error("cannot start the bfd thread: {0}")]
    Thread(io::Error),
}

/// What the driver publishes.
#[derive(Clone)]
pub struct Outputs {
    /// The state of every session, latest wins.
    pub states: watch::Sender<Arc<SessionStates>>,
    /// What happened. When nobody reads, reports are dropped and counted, never waited for.
    pub reports: mpsc::Sender<Report>,
}

/// A running bfd thread.
pub struct Handle {
    /// How to reach it.
    pub mailbox: Mailbox,
    /// It itself.
    pub thread: JoinHandle<()>,
}

/// Starts the bfd thread with these sessions. `prepare` is what it does first.
///
/// # Errors
/// A [`StartError`] when the system refuses a descriptor or a thread. Ports that cannot be opened are reported and
/// tried again.
pub fn spawn(
    settings: Vec<Settings>,
    out: Outputs,
    prepare: impl FnOnce() + Send + 'static,
) -> Result<Handle, StartError> {
    let mailbox = Mailbox::new().map_err(StartError::Mailbox)?;
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(StartError::Timer)?;
    let mut driver = Driver {
        mailbox: mailbox.clone(),
        timer,
        listeners: BTreeMap::new(),
        listen_again: None,
        talks: Vec::new(),
        paths: Vec::new(),
        out,
        tally: Tally::default(),
        dropped_reports: 0,
        random: RandomState::new(),
        drawn: 0,
        ending: false,
    };
    let thread = std::thread::Builder::new()
        .name("bfd".to_owned())
        .spawn(move || {
            prepare();
            driver.run(settings);
        })
        .map_err(StartError::Thread)?;
    Ok(Handle { mailbox, thread })
}

/// One session with what it speaks through.
struct Talk {
    settings: Settings,
    session: Session,
    sender: Sender,
}

struct Driver {
    mailbox: Mailbox,
    timer: TimerFd,
    listeners: BTreeMap<Port, Listener>,
    listen_again: Option<Instant>,
    talks: Vec<Talk>,
    /// What [`accept`] looks at, in the order of `talks`.
    paths: Vec<(u32, Path)>,
    out: Outputs,
    tally: Tally,
    dropped_reports: u64,
    random: RandomState,
    drawn: u64,
    ending: bool,
}

impl Drop for Driver {
    /// However the thread ends, a panic included: what nobody watches is not up.
    fn drop(&mut self) {
        self.out.states.send_replace(Arc::default());
    }
}

impl Driver {
    fn run(&mut self, settings: Vec<Settings>) {
        self.take_settings(settings, clock::now());
        while !self.ending {
            self.wait();
            let now = clock::now();
            let commands = self.mailbox.take();
            // Datagrams first: a packet that already lies in the queue counts before a timer that is due.
            self.read_sockets(now);
            for command in commands {
                match command {
                    Command::Reload(settings) => self.take_settings(settings, now),
                    Command::Stop => self.stop(now),
                }
            }
            self.fire_timers(now);
            self.tell_losses();
        }
    }

    /// Sleeps until a datagram, the mailbox or the next deadline. The deadline is a timer of the kernel's: poll's own
    /// timeout may be late by a thousandth of itself.
    fn wait(&self) {
        let deadlines = self.talks.iter().filter_map(|talk| talk.session.deadline());
        let next = deadlines.chain(self.listen_again).min();
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
        fds.extend(self.listeners.values().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        // EINTR and the like only mean another turn, which reads everything anew.
        let _ = ppoll(&mut fds, fallback, None);
    }

    fn read_sockets(&mut self, now: Instant) {
        let mut buffer = [0; LARGEST_DATAGRAM];
        let ports: Vec<Port> = self.listeners.keys().copied().collect();
        for port in ports {
            for _ in 0..READS_A_TURN {
                let Some(listener) = self.listeners.get(&port) else { break };
                // An error of the socket (a pending ICMP message, too little memory) is over with being read.
                let Ok(Some(datagram)) = listener.receive(&mut buffer) else { break };
                match accept(&self.paths, &datagram) {
                    Ok((index, packet)) => self.feed(index, Event::Packet(packet), now),
                    Err(discard) => {
                        let whose = self.talks.iter().find(|talk| {
                            talk.settings.path.neighbour == datagram.source
                                && talk.settings.path.multihop == datagram.multihop
                        });
                        let session = whose.map(|talk| talk.settings.name.clone()).unwrap_or_default();
                        if let Some(count) = self.tally.count(&session, discard.name(), now) {
                            self.report(session, Told::Discarded { discard, count });
                        }
                    }
                }
            }
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        for index in 0..self.talks.len() {
            let due = |talk: &Talk| talk.session.deadline().is_some_and(|at| at <= now);
            if self.talks.get(index).is_some_and(due) {
                self.feed(index, Event::Timeout, now);
            }
        }
        if self.listen_again.is_some_and(|at| at <= now) {
            self.listen(now);
        }
    }

    /// Gives an event to a session and carries out what it wants.
    fn feed(&mut self, index: usize, event: Event, now: Instant) {
        let Some(talk) = self.talks.get_mut(index) else { return };
        let actions = talk.session.handle(event, now);
        let mut failed = None;
        for action in &actions {
            if let Action::Send(packet) = action {
                failed = talk.sender.send(&packet.encode()).err().or(failed);
            }
        }
        let name = talk.settings.name.clone();
        let mut changed = false;
        for action in actions {
            if let Action::Transition(transition) = action {
                changed = true;
                self.report(name.clone(), Told::Transition(transition));
            }
        }
        if changed {
            self.publish();
        }
        if let Some(error) = failed
            && self.tally.count(&name, "send_failed", now).is_some()
        {
            self.report(name, Told::SendFailed { error: error.to_string() });
        }
    }

    /// Sessions between the same ends go on; the others end, and new ones begin.
    fn take_settings(&mut self, settings: Vec<Settings>, now: Instant) {
        for index in 0..self.talks.len() {
            let Some(talk) = self.talks.get(index) else { break };
            if !settings.iter().any(|new| new.same_session(&talk.settings)) {
                self.feed(index, Event::Remove, now);
            }
        }
        let mut old: BTreeMap<String, Talk> =
            std::mem::take(&mut self.talks).into_iter().map(|t| (t.settings.name.clone(), t)).collect();
        let mut kept = Vec::new();
        for new in settings {
            let talk = match old.remove(&new.name).filter(|talk| talk.settings.same_session(&new)) {
                Some(mut talk) => {
                    // A TTL that is refused now is tried again when the socket is opened anew; 1..=255 never is.
                    let _ = talk.sender.set_ttl(new.ttl);
                    talk.settings = new;
                    kept.push(self.talks.len());
                    talk
                }
                None => self.begin(new, now),
            };
            self.talks.push(talk);
        }
        self.paths = self.talks.iter().map(|t| (t.session.discriminator(), t.settings.path)).collect();
        for index in kept {
            if let Some(params) = self.talks.get(index).map(|talk| talk.settings.params) {
                self.feed(index, Event::Params(params), now);
            }
        }
        let talks = &self.talks;
        self.tally.keep(|name| talks.iter().any(|talk| talk.settings.name == name));
        self.listen(now);
        self.publish();
    }

    fn begin(&mut self, settings: Settings, now: Instant) -> Talk {
        let taken = |number: u32, talks: &[Talk]| talks.iter().any(|t| t.session.discriminator() == number);
        let mut discriminator = 0;
        while discriminator == 0 || taken(discriminator, &self.talks) {
            // Its upper half: not to be guessed from outside (RFC 5880 section 6.3 wants it unique, no more).
            discriminator = (self.draw() >> 32) as u32;
        }
        let session = Session::new(settings.params, discriminator, self.draw(), now);
        let Path { neighbour, source, multihop, .. } = settings.path;
        let sender = Sender::new(neighbour, multihop, source, settings.ttl, self.draw() as u16);
        Talk { settings, session, sender }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.random.hash_one(self.drawn)
    }

    /// One listener for each port and family that a session needs.
    fn listen(&mut self, now: Instant) {
        let port = |path: &Path| Port { ipv6: path.neighbour.is_ipv6(), multihop: path.multihop };
        let needed: Vec<Port> = self.paths.iter().map(|(_, path)| port(path)).collect();
        self.listeners.retain(|port, _| needed.contains(port));
        self.listen_again = None;
        for port in needed {
            if self.listeners.contains_key(&port) {
                continue;
            }
            match Listener::open(port) {
                Ok(listener) => {
                    self.listeners.insert(port, listener);
                }
                Err(error) => {
                    self.listen_again = Some(now + LISTEN_AGAIN);
                    let kind = match (port.ipv6, port.multihop) {
                        (false, false) => "listen_v4",
                        (true, false) => "listen_v6",
                        (false, true) => "listen_v4_multihop",
                        (true, true) => "listen_v6_multihop",
                    };
                    if self.tally.count("", kind, now).is_some() {
                        let (number, error) = (port.number(), error.to_string());
                        self.report(
                            String::new(),
                            Told::ListenFailed { port: number, ipv6: port.ipv6, error },
                        );
                    }
                }
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        for index in 0..self.talks.len() {
            self.feed(index, Event::Stop, now);
        }
        self.ending = true;
    }

    fn publish(&self) {
        let states: SessionStates = self
            .talks
            .iter()
            .map(|talk| (talk.settings.name.clone(), SessionState::from(&talk.session)))
            .collect();
        self.out.states.send_replace(Arc::new(states));
    }

    fn report(&mut self, session: String, told: Told) {
        if self.out.reports.try_send(Report { session, told }).is_err() {
            self.dropped_reports = self.dropped_reports.saturating_add(1);
        }
    }

    /// Says that reports were lost, once there is room again.
    fn tell_losses(&mut self) {
        if self.dropped_reports > 0 {
            let told = Told::ReportsDropped { count: self.dropped_reports };
            if self.out.reports.try_send(Report { session: String::new(), told }).is_ok() {
                self.dropped_reports = 0;
            }
        }
    }
}
