//! Why a session changed its state, in a sentence.

use std::fmt;
use std::time::Duration;

use super::super::packet::{Diagnostic, State};

/// Why a session has the state that it has. `Display` tells it as one sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It began, and has heard nothing yet.
    Started,
    /// The neighbour is heard and said this; the way to Up.
    Heard {
        /// What it said.
        state: State,
    },
    /// No packet within the detection time.
    DetectionTimeExpired {
        /// Time since the last packet.
        waited: Duration,
        /// The detection time. `waited` far above it: this machine was late itself.
        limit: Duration,
    },
    /// The neighbour said that its side is down.
    NeighbourDown {
        /// Down or AdminDown.
        state: State,
        /// Its reason.
        diagnostic: Diagnostic,
    },
    /// The daemon stops, or the configuration has this session no more.
    Stopped,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("started, and has heard nothing yet"),
            Self::Heard { state } => write!(f, "the neighbour is heard, its state is {state}"),
            Self::DetectionTimeExpired { waited, limit } => {
                let short = |time: &Duration| format!("{}.{:03} s", time.as_secs(), time.subsec_millis());
                write!(f, "no packet was heard for {} (detection time {})", short(waited), short(limit))
            }
            Self::NeighbourDown { state, diagnostic } => {
                write!(f, "the neighbour said {state}: {diagnostic}")
            }
            Self::Stopped => f.write_str("stopped"),
        }
    }
}
