//! What check tells the rest of the daemon: transitions of real servers and of quorums.

use std::fmt;

use super::identity::Identity;
use crate::config::model::Command;

/// The kind of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// All checkers of a real server are up again (or for the first time).
    RealServerUp,
    /// A checker of a real server went down.
    RealServerDown,
    /// A virtual server has the weight that its quorum asks for.
    QuorumUp,
    /// A virtual server lost its quorum.
    QuorumDown,
}

impl What {
    /// Name for counters and the journal, snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RealServerUp => "real_server_up",
            Self::RealServerDown => "real_server_down",
            Self::QuorumUp => "quorum_up",
            Self::QuorumDown => "quorum_down",
        }
    }

    /// True for the two that are good news.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::RealServerUp | Self::QuorumUp)
    }
}

/// One transition, with its cause and the user's program for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Whom it is about, as people read it: `real server 10.0.0.3:80 of TCP 10.0.0.1:80` or
    /// `virtual server TCP 10.0.0.1:80`.
    pub subject: String,
    /// What happened.
    pub what: What,
    /// Why, in plain words.
    pub reason: String,
    /// `notify_up`, `notify_down`, `quorum_up` or `quorum_down`, when the file names one. Its words are run as
    /// they are: keepalived adds no arguments here.
    pub command: Option<Command>,
    /// The virtual server.
    pub virtual_server: Identity,
    /// How many virtual servers of the same group stand before it in the file; keepalived tells them apart by it.
    pub number: usize,
    /// The real server's `address:port` as the file names it; `None` for a quorum.
    pub real_server: Option<String>,
    /// The file wants a mail about it.
    pub smtp_alert: bool,
}

impl fmt::Display for Event {
    /// `real server 10.0.0.3:80 of TCP 10.0.0.1:80 is down: connection refused (try 2 of 2)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.what {
            What::RealServerUp => "is up",
            What::RealServerDown => "is down",
            What::QuorumUp => "has its quorum",
            What::QuorumDown => "lost its quorum",
        };
        write!(f, "{} {verb}: {}", self.subject, self.reason)
    }
}
