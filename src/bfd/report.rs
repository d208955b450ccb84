//! What the bfd thread tells the rest of the daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::accept::Discard;
use super::packet::State;
use super::session::{Cause, Session, Transition};

/// How a session stands, as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Its state.
    pub state: State,
    /// What trackers and checkers go by: [`Session::counts_as_up`].
    pub up: bool,
    /// Why it has this state.
    pub cause: Cause,
    /// Since when.
    pub since: Instant,
}

impl From<&Session> for SessionState {
    fn from(session: &Session) -> Self {
        Self {
            state: session.state(),
            up: session.counts_as_up(),
            cause: session.cause().clone(),
            since: session.since(),
        }
    }
}

/// All sessions by the name of their `bfd_instance`. One that is missing is down.
pub type SessionStates = BTreeMap<String, SessionState>;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Name of the `bfd_instance`; empty for the thread itself and for packets that are nobody's.
    pub session: String,
    /// What happened.
    pub told: Told,
}

/// The kinds of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A state change.
    Transition(Transition),
    /// Packets were refused.
    Discarded {
        /// The last one.
        discard: Discard,
        /// How many of this name since the last report.
        count: u64,
    },
    /// A packet could not be sent.
    SendFailed {
        /// The system's words.
        error: String,
    },
    /// A port could not be opened; tried again every second.
    ListenFailed {
        /// UDP port.
        port: u16,
        /// Of IPv6.
        ipv6: bool,
        /// The system's words.
        error: String,
    },
    /// Reports that found the channel full.
    ReportsDropped {
        /// How many.
        count: u64,
    },
}

impl Told {
    /// True for what somebody should look at; a transition is news and no warning.
    pub const fn is_warning(&self) -> bool {
        match self {
            Self::Transition(_) => false,
            Self::Discarded { discard, .. } => !discard.is_expected(),
            Self::SendFailed { .. } | Self::ListenFailed { .. } | Self::ReportsDropped { .. } => true,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition(Transition { from, to, cause }) => write!(f, "{from} -> {to}: {cause}"),
            Self::Discarded { discard, count: 1 } => write!(f, "packet refused: {discard}"),
            Self::Discarded { discard, count } => {
                write!(f, "{count} packets refused, the last one: {discard}")
            }
            Self::SendFailed { error } => write!(f, "cannot send: {error}"),
            Self::ListenFailed { port, ipv6, error } => {
                let family = if *ipv6 { "IPv6" } else { "IPv4" };
                write!(
                    f,
                    "cannot listen on UDP port {port} ({family}): {error}; if another BFD daemon has it, only one \
                     of them can run"
                )
            }
            Self::ReportsDropped { count } => write!(f, "{count} reports were lost: the log was too slow"),
        }
    }
}

/// Keeps what repeats from filling the log: the first of a kind is told at once, then at most one a minute with the
/// number of those in between.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(String, &'static str), Kind>);

#[derive(Debug)]
struct Kind {
    told_at: Instant,
    untold: u64,
}

impl Tally {
    /// Time between two reports of one kind.
    const PAUSE: Duration = Duration::from_secs(60);

    /// Counts one of a kind; `Some(how many)` when it is to be told now.
    pub fn count(&mut self, session: &str, name: &'static str, now: Instant) -> Option<u64> {
        let key = (session.to_owned(), name);
        let Some(kind) = self.0.get_mut(&key) else {
            self.0.insert(key, Kind { told_at: now, untold: 0 });
            return Some(1);
        };
        kind.untold = kind.untold.saturating_add(1);
        if now.saturating_duration_since(kind.told_at) < Self::PAUSE {
            return None;
        }
        kind.told_at = now;
        Some(std::mem::take(&mut kind.untold))
    }

    /// Forgets sessions that are no more.
    pub fn keep(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|(session, _), _| session.is_empty() || exists(session));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_told_once_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tally = Tally::default();
        assert_eq!(tally.count("a", "ttl", at(0)), Some(1));
        assert_eq!(tally.count("a", "ttl", at(1)), None);
        assert_eq!(tally.count("b", "ttl", at(1)), Some(1), "another session is another kind");
        assert_eq!(tally.count("a", "version", at(1)), Some(1), "another name too");
        assert_eq!(tally.count("a", "ttl", at(59)), None);
        assert_eq!(tally.count("a", "ttl", at(60)), Some(3));
        assert_eq!(tally.count("a", "ttl", at(61)), None);
        tally.keep(|name| name == "b");
        assert_eq!(tally.count("a", "ttl", at(62)), Some(1));
        assert_eq!(tally.count("b", "ttl", at(62)), Some(1), "the minute is over");
    }
}
