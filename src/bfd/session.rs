//! The machine of one session (RFC 5880 section 6): states, timers, poll sequences. Asynchronous mode; a
//! neighbour in demand mode is obeyed, demand mode is never asked for; no echo function.
//!
//! Variables of section 6.8.1 and where they are: SessionState `state`, RemoteSessionState `remote.state`,
//! LocalDiscr `discriminator`, RemoteDiscr `remote.discriminator`, LocalDiag `diagnostic`, DesiredMinTxInterval
//! `tx.said`, RequiredMinRxInterval `rx.said`, RemoteMinRxInterval `remote.min_rx`, DemandMode always off,
//! RemoteDemandMode `remote.demand`, DetectMult `params.multiplier`; authentication: none.
//!
//! What RFC 5880 leaves open, here:
//! - A change of state is told at once and not only with the next periodic packet (the SHOULD of 6.8.7); the poll
//!   bit rides on periodic packets alone (6.5).
//! - After a detection time of silence nothing that the neighbour once asked for (rate, demand mode) holds any
//!   longer: whoever comes back is a new one.
//! - Poll sequences are run while Up. On the way there each side takes values at once.
//! - A session that is taken out of the configuration says AdminDown once, which a neighbour does not take for a
//!   failure (RFC 5882 section 3.2); a daemon that stops says Down once, because what the session guarded goes away
//!   with it: keepalived, which just falls silent, has the same effect, later. A neighbour that misses that one packet
//!   finds out by its detection time.

use std::time::{Duration, Instant};

use super::packet::{Control, Diagnostic, State};

pub use cause::Cause;

mod cause;

/// What the configuration says of a session's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Least time between packets sent while Up, at least 1 ms.
    pub min_tx: Duration,
    /// Least time between packets received, at least 1 ms.
    pub min_rx: Duration,
    /// Least time between packets sent while not Up, at least 1 s (RFC 5880 section 6.8.3).
    pub idle_tx: Duration,
    /// Packets that may be missed, 1..=255.
    pub multiplier: u8,
    /// Sends nothing until the neighbour is heard (section 6.1).
    pub passive: bool,
}

/// What happens to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet that was checked and belongs to this session.
    Packet(Control),
    /// Look whether a timer is due.
    Timeout,
    /// Other settings: a change of pace while Up is agreed on by a poll sequence.
    Params(Params),
    /// The configuration has this session no more: says AdminDown and does nothing more.
    Remove,
    /// The daemon ends: says Down and does nothing more.
    Stop,
}

/// What a session wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this packet.
    Send(Control),
    /// The state changed.
    Transition(Transition),
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

/// An interval that both sides have to know: what is said, and what still counts until the neighbour has answered
/// a poll (RFC 5880 section 6.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Agreed {
    said: Duration,
    in_use: Duration,
}

impl Agreed {
    const fn new(value: Duration) -> Self {
        Self { said: value, in_use: value }
    }

    const fn settle(&mut self) {
        self.in_use = self.said;
    }
}

/// A poll sequence (section 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    Running,
    /// Values changed while one ran: the answer to come may be to the older ones.
    RunningForOlder,
}

/// What the neighbour said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remote {
    state: State,
    discriminator: u32,
    min_rx: Duration,
    desired_tx: Duration,
    multiplier: u8,
    demand: bool,
    heard_at: Option<Instant>,
}

impl Remote {
    /// Section 6.8.1: nothing known, and one microsecond as its least interval.
    const UNKNOWN: Self = Self {
        state: State::Down,
        discriminator: 0,
        min_rx: Duration::from_micros(1),
        desired_tx: Duration::ZERO,
        multiplier: 1,
        demand: false,
        heard_at: None,
    };

    fn of(packet: &Control, now: Instant) -> Self {
        Self {
            state: packet.state,
            discriminator: packet.my_discriminator,
            min_rx: micros(packet.required_min_rx),
            desired_tx: micros(packet.desired_min_tx),
            multiplier: packet.multiplier,
            demand: packet.demand,
            heard_at: Some(now),
        }
    }
}

/// The periodic packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// The last packet, other than answers to polls.
    sent_at: Option<Instant>,
    /// The next one, and the interval (before jitter) that it was planned with.
    next: Option<(Instant, Duration)>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    params: Params,
    state: State,
    since: Instant,
    cause: Cause,
    counts_as_up: bool,
    discriminator: u32,
    diagnostic: Diagnostic,
    tx: Agreed,
    rx: Agreed,
    poll: Poll,
    remote: Remote,
    pace: Pace,
    random: u64,
}

const fn micros(value: u32) -> Duration {
    Duration::from_micros(value as u64)
}

fn on_wire(value: Duration) -> u32 {
    u32::try_from(value.as_micros()).unwrap_or(u32::MAX)
}

impl Params {
    /// DesiredMinTxInterval in that state.
    fn desired_tx(&self, state: State) -> Duration {
        let least = Duration::from_millis(1);
        let while_up = self.min_tx.max(least);
        if state == State::Up { while_up } else { while_up.max(self.idle_tx).max(Duration::from_secs(1)) }
    }

    fn required_rx(&self) -> Duration {
        // Zero would forbid the neighbour to send.
        self.min_rx.max(Duration::from_millis(1))
    }
}

impl Session {
    /// A session in Down. `discriminator` is its number, not zero, unlike that of any other session of this host;
    /// `seed` decides the jitter. An active one has its first packet due at once.
    pub fn new(params: Params, discriminator: u32, seed: u64, now: Instant) -> Self {
        let mut session = Self {
            params,
            state: State::Down,
            since: now,
            cause: Cause::Started,
            counts_as_up: false,
            discriminator,
            diagnostic: Diagnostic::None,
            tx: Agreed::new(params.desired_tx(State::Down)),
            rx: Agreed::new(params.required_rx()),
            poll: Poll::Idle,
            remote: Remote::UNKNOWN,
            pace: Pace { sent_at: None, next: None },
            random: seed,
        };
        session.plan(now);
        session
    }

    /// Its state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// When it got this state.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Why it got this state.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What trackers and checkers go by: Up, or it was up when the neighbour said AdminDown. That is no statement about
    /// the path (RFC 5882 section 3.2), and keepalived does not tell its trackers of it.
    pub const fn counts_as_up(&self) -> bool {
        self.counts_as_up
    }

    /// Its number, by which the neighbour addresses it.
    pub const fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// Silence that counts as a failure; `None` while nothing is heard (section 6.8.4).
    pub fn detection_time(&self) -> Option<Duration> {
        let interval = self.rx.in_use.max(self.remote.desired_tx);
        self.remote.heard_at.map(|_| interval * u32::from(self.remote.multiplier))
    }

    /// Time between periodic packets before jitter; `None` when there are none (section 6.8.7).
    pub fn transmit_interval(&self) -> Option<Duration> {
        let silent_by_demand = self.remote.demand
            && self.state == State::Up
            && self.remote.state == State::Up
            && self.poll == Poll::Idle;
        let sends = self.may_send() && !silent_by_demand;
        sends.then(|| self.tx.in_use.max(self.remote.min_rx))
    }

    /// When [`Event::Timeout`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let next = self.pace.next.map(|(at, _)| at);
        next.into_iter().chain(self.detection_at()).min()
    }

    /// Takes an event.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        if self.state == State::AdminDown {
            return Vec::new();
        }
        let mut actions = Vec::new();
        match event {
            Event::Packet(packet) => self.receive(&packet, now, &mut actions),
            Event::Timeout => self.timeout(now, &mut actions),
            Event::Params(params) => self.change(params),
            Event::Remove | Event::Stop => {
                self.enter(State::AdminDown, Cause::Stopped, now, &mut actions);
                if self.may_send() {
                    let state = if event == Event::Stop { State::Down } else { State::AdminDown };
                    actions.push(Action::Send(Control { state, ..self.packet() }));
                }
                self.pace.next = None;
                self.remote.heard_at = None;
                return actions;
            }
        }
        self.plan(now);
        actions
    }

    fn detection_at(&self) -> Option<Instant> {
        Some(self.remote.heard_at? + self.detection_time()?)
    }

    /// A passive side that does not know its neighbour is silent, and a neighbour may forbid packets.
    fn may_send(&self) -> bool {
        let waits = self.params.passive && self.remote.discriminator == 0;
        !waits && !self.remote.min_rx.is_zero()
    }

    /// Section 6.8.6, from where the packet has its session.
    fn receive(&mut self, packet: &Control, now: Instant, actions: &mut Vec<Action>) {
        self.remote = Remote::of(packet, now);
        if packet.is_final {
            self.answered();
        }
        let said = packet.state;
        let heard = Cause::Heard { state: said };
        let down = Cause::NeighbourDown { state: said, diagnostic: packet.diagnostic };
        let next = match (self.state, said) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                Some((State::Down, down))
            }
            (State::Down, State::Down) => Some((State::Init, heard)),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => Some((State::Up, heard)),
            (State::Down, State::AdminDown | State::Up)
            | (State::Init, State::Down)
            | (State::Up, State::Init | State::Up)
            | (State::AdminDown, _) => None,
        };
        let changed = next.is_some();
        if let Some((state, cause)) = next {
            self.enter(state, cause, now, actions);
        }
        if packet.poll {
            // It carries the new state too, so that no second packet is needed.
            let mut answer = self.packet();
            answer.is_final = true;
            actions.push(Action::Send(answer));
        } else if changed {
            self.tell(now, actions);
        }
    }

    fn timeout(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let silent_for = self.remote.heard_at.map(|at| now.saturating_duration_since(at));
        if let (Some(waited), Some(limit)) = (silent_for, self.detection_time())
            && waited >= limit
        {
            self.remote = Remote::UNKNOWN;
            if matches!(self.state, State::Init | State::Up) {
                let cause = Cause::DetectionTimeExpired { waited, limit };
                self.enter(State::Down, cause, now, actions);
                self.tell(now, actions);
                return;
            }
        }
        // The silence may have ended what the neighbour forbade, or a passive side's right to speak.
        self.plan(now);
        if self.pace.next.is_some_and(|(at, _)| at <= now) {
            let mut packet = self.packet();
            packet.poll = self.poll != Poll::Idle;
            self.send(packet, now, actions);
        }
    }

    fn change(&mut self, params: Params) {
        self.params = params;
        let (tx, rx) = (params.desired_tx(self.state), params.required_rx());
        if (tx, rx) == (self.tx.said, self.rx.said) {
            return;
        }
        self.tx.said = tx;
        self.rx.said = rx;
        if self.state == State::Up {
            self.begin_poll();
        } else {
            self.tx.settle();
            self.rx.settle();
        }
    }

    /// Values have changed: what could make either side give up too early waits for the neighbour's answer. That is
    /// sending more slowly, and expecting packets more often (section 6.8.3).
    fn begin_poll(&mut self) {
        self.tx.in_use = self.tx.in_use.min(self.tx.said);
        self.rx.in_use = self.rx.in_use.max(self.rx.said);
        self.poll = match self.poll {
            Poll::Idle => Poll::Running,
            Poll::Running | Poll::RunningForOlder => Poll::RunningForOlder,
        };
    }

    fn answered(&mut self) {
        match self.poll {
            Poll::Idle => {}
            Poll::RunningForOlder => self.poll = Poll::Running,
            Poll::Running => {
                self.poll = Poll::Idle;
                self.tx.settle();
                self.rx.settle();
            }
        }
    }

    fn enter(&mut self, to: State, cause: Cause, now: Instant, actions: &mut Vec<Action>) {
        let from = std::mem::replace(&mut self.state, to);
        self.since = now;
        self.cause = cause.clone();
        self.diagnostic = match &cause {
            Cause::Started | Cause::Heard { .. } if to == State::Up => Diagnostic::None,
            // Init is on the way: the reason of the last failure is still news to the neighbour.
            Cause::Started | Cause::Heard { .. } => self.diagnostic,
            Cause::DetectionTimeExpired { .. } => Diagnostic::DetectionTimeExpired,
            Cause::NeighbourDown { .. } => Diagnostic::NeighbourSignaledDown,
            Cause::Stopped => Diagnostic::AdministrativelyDown,
        };
        let says_nothing = matches!(cause, Cause::NeighbourDown { state: State::AdminDown, .. });
        self.counts_as_up = match to {
            State::Up => true,
            // Only from Down, where it counts when the neighbour had switched itself off: it comes back.
            State::Init => self.counts_as_up,
            State::Down => self.counts_as_up && says_nothing,
            State::AdminDown => false,
        };
        self.poll = Poll::Idle;
        self.tx.said = self.params.desired_tx(to);
        if to == State::Up && self.tx.said != self.tx.in_use {
            self.begin_poll();
        } else {
            self.tx.settle();
            self.rx.settle();
        }
        actions.push(Action::Transition(Transition { from, to, cause }));
    }

    /// Tells the neighbour of a change between two periodic packets.
    fn tell(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.may_send() {
            let packet = self.packet();
            self.send(packet, now, actions);
        }
    }

    fn send(&mut self, packet: Control, now: Instant, actions: &mut Vec<Action>) {
        self.pace = Pace { sent_at: Some(now), next: None };
        actions.push(Action::Send(packet));
    }

    fn packet(&self) -> Control {
        Control {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: false,
            is_final: false,
            // The vrrp room runs in the same process: what stops one stops the other.
            control_plane_independent: false,
            demand: false,
            multiplier: self.params.multiplier.max(1),
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: on_wire(self.tx.said),
            required_min_rx: on_wire(self.rx.said),
            required_min_echo_rx: 0,
        }
    }

    /// Plans the next periodic packet, anew where the interval is another one.
    fn plan(&mut self, now: Instant) {
        let interval = self.transmit_interval();
        if interval == self.pace.next.map(|(_, planned_with)| planned_with) {
            return;
        }
        self.pace.next = interval.map(|interval| {
            let at = match self.pace.sent_at {
                Some(sent) => (sent + self.jittered(interval)).max(now),
                None => now,
            };
            (at, interval)
        });
    }

    /// 75 to 100 percent of an interval, with multiplier 1 up to 90 percent (section 6.8.7), drawn anew each time.
    fn jittered(&mut self, interval: Duration) -> Duration {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let span = if self.params.multiplier <= 1 { 150 } else { 250 };
        let thousandths = 750 + u32::try_from(mixed % (span + 1)).unwrap_or(0);
        interval * thousandths / 1000
    }
}

#[cfg(test)]
mod tests;
