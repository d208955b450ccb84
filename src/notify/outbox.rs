//! When events become mails. The first one of a burst goes at once; what follows within a window is one digest at its
//! end, and the windows of a burst that goes on grow. A relay that does not answer is tried again, later and later.
//! Nothing is lost uncounted: each event is listed in a mail or counted in one.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// First window after a mail, where the file names none.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Longest window of a burst.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(300);
/// Events that one mail lists; older ones are counted.
pub const LISTED: usize = 500;
/// First pause after a relay failed; doubled up to [`LONGEST_PAUSE`].
pub const PAUSE: Duration = Duration::from_secs(10);
/// Longest pause between two tries.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// An event that could not be mailed for so long is given up; the next mail that gets through counts it.
pub const GIVE_UP: Duration = Duration::from_secs(3600);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Without the `[router_id]` in front.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// When it happened, seconds since 1970 (UTC).
    pub at: u64,
}

/// What one mail tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Listed, the oldest first.
    pub events: Vec<Event>,
    /// Events before these, too many to list.
    pub older: u64,
    /// Events that were given up while the relay was dead.
    pub given_up: u64,
    /// When each listed event came in, for its age.
    came: Vec<Instant>,
}

impl Mail {
    /// The one event that is mailed as keepalived does.
    fn single(&self) -> Option<&Event> {
        match self.events.as_slice() {
            [event] if self.older == 0 && self.given_up == 0 => Some(event),
            _ => None,
        }
    }

    /// Events that it tells, listed or counted.
    pub fn count(&self) -> u64 {
        self.older + self.given_up + self.events.len() as u64
    }

    /// Subject without `[router_id]`: the event's own, or how many they are and the latest of them.
    pub fn subject(&self) -> String {
        match (self.single(), self.events.last()) {
            (Some(event), _) => event.subject.clone(),
            (None, Some(last)) => format!("{} events, the latest: {}", self.count(), last.subject),
            (None, None) => format!("{} events", self.count()),
        }
    }

    /// When the latest event happened, seconds since 1970.
    pub fn at(&self) -> Option<u64> {
        self.events.last().map(|event| event.at)
    }

    /// Plain text: the event's own, or a list with times.
    pub fn body(&self) -> String {
        if let Some(event) = self.single() {
            return event.body.clone();
        }
        let mut text = format!("=> {} events <=\n\n", self.count());
        if self.given_up > 0 {
            let _ = writeln!(text, "{} earlier events could not be mailed: see the log.\n", self.given_up);
        }
        if self.older > 0 {
            let _ = writeln!(text, "{} older events are not listed: see the log.\n", self.older);
        }
        for event in &self.events {
            let _ = writeln!(text, "{} {}", clock_time(event.at), event.subject);
            for line in event.body.lines().filter(|line| !line.trim().is_empty()) {
                let _ = writeln!(text, "    {line}");
            }
        }
        text
    }
}

/// `11:05:09 UTC`.
fn clock_time(at: u64) -> String {
    format!("{:02}:{:02}:{:02} UTC", at / 3600 % 24, at / 60 % 60, at % 60)
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until something happens.
    Idle,
    /// Nothing before that moment.
    Wait(Instant),
    /// Deliver this, then say [`Outbox::sent`] or [`Outbox::failed`].
    Send(Mail),
}

/// Events on their way to mails.
#[derive(Debug)]
pub struct Outbox {
    waiting: VecDeque<(Instant, Event)>,
    older: u64,
    given_up: u64,
    in_flight: Option<Mail>,
    /// No mail before that moment.
    not_before: Option<Instant>,
    /// The first window, 0 = every event is a mail of its own.
    first: Duration,
    /// The next window.
    window: Duration,
    pause: Duration,
}

impl Outbox {
    /// With this first window; 0 = every event is a mail of its own.
    pub fn new(window: Duration) -> Self {
        Self {
            waiting: VecDeque::new(),
            older: 0,
            given_up: 0,
            in_flight: None,
            not_before: None,
            first: window,
            window,
            pause: PAUSE,
        }
    }

    /// Another first window, after a reload.
    pub fn set_window(&mut self, window: Duration) {
        (self.first, self.window) = (window, window);
    }

    /// Takes an event.
    pub fn push(&mut self, event: Event, now: Instant) {
        self.waiting.push_back((now, event));
        self.trim();
    }

    fn trim(&mut self) {
        while self.waiting.len() > LISTED {
            self.waiting.pop_front();
            self.older += 1;
        }
    }

    /// Events that no delivered mail has told yet, listed or counted.
    pub fn pending(&self) -> u64 {
        let flying = self.in_flight.as_ref().map_or(0, Mail::count);
        self.waiting.len() as u64 + self.older + self.given_up + flying
    }

    /// What is to be done at `now`.
    pub fn step(&mut self, now: Instant) -> Step {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return Step::Idle;
        }
        match self.not_before {
            Some(at) if at > now => return Step::Wait(at),
            // A whole window without a mail: the burst is over.
            Some(at) if now.saturating_duration_since(at) >= self.window => self.window = self.first,
            Some(_) | None => {}
        }
        let one_each = self.first.is_zero() && self.older == 0 && self.given_up == 0;
        let many = if one_each { 1 } else { self.waiting.len() };
        let (came, events) = self.waiting.drain(..many).unzip();
        let mail = Mail {
            events,
            older: std::mem::take(&mut self.older),
            given_up: std::mem::take(&mut self.given_up),
            came,
        };
        self.in_flight = Some(mail.clone());
        Step::Send(mail)
    }

    /// Everything that waits goes now, whatever the windows say: for the end of the daemon.
    pub fn hurry(&mut self) {
        self.not_before = None;
    }

    /// The mail was taken by the relay.
    pub fn sent(&mut self, now: Instant) {
        self.in_flight = None;
        self.pause = PAUSE;
        self.not_before = (!self.first.is_zero()).then(|| now + self.window);
        self.window = (self.window * 2).min(LONGEST_WINDOW.max(self.first));
    }

    /// The mail was not taken. Its events wait on; those that are too old are given up: returns how many.
    pub fn failed(&mut self, now: Instant) -> u64 {
        let mut gone = 0;
        if let Some(mail) = self.in_flight.take() {
            self.older += mail.older;
            self.given_up += mail.given_up;
            for back in mail.came.into_iter().zip(mail.events).rev() {
                self.waiting.push_front(back);
            }
            let before = self.waiting.len();
            self.waiting.retain(|(came, _)| now.saturating_duration_since(*came) < GIVE_UP);
            gone = (before - self.waiting.len()) as u64;
            self.trim();
        }
        if gone > 0 {
            // Those that were too many to list are older still.
            gone += std::mem::take(&mut self.older);
            self.given_up += gone;
        }
        self.not_before = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        gone
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
