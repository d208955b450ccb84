//! What check knows, as a value for status output.

use std::collections::BTreeMap;
use std::time::Instant;

use super::identity::Identity;
use super::quorum::Serving;
use crate::ipvs::table::{DestinationKey, ServiceKey};

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The virtual servers, in file order.
    pub services: Vec<ServiceStatus>,
    /// Checks that run now.
    pub in_flight: usize,
    /// Checks that ended, since the start.
    pub checks: u64,
    /// Failed checks since the start by [`super::outcome::Failure::name`].
    pub failures: BTreeMap<&'static str, u64>,
    /// Results that came after their checker was reconfigured or removed, and were dropped.
    pub late_results: u64,
    /// Events that nobody took in time, and that were dropped.
    pub lost_events: u64,
}

/// One virtual server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceStatus {
    /// What it is called.
    pub name: Identity,
    /// Its services in the kernel.
    pub members: Vec<ServiceKey>,
    /// The quorum is reached.
    pub quorum_up: bool,
    /// The quorum that is asked for, as corrected.
    pub quorum: u32,
    /// Sum of the weights of the real servers that are up.
    pub weight: u32,
    /// Who serves.
    pub serving: Serving,
    /// Its real servers, in file order.
    pub reals: Vec<RealStatus>,
}

/// One real server.
#[derive(Clone, Debug, PartialEq)]
pub struct RealStatus {
    /// `address:port` as the file names it.
    pub name: String,
    /// Its key in the service.
    pub key: DestinationKey,
    /// All of its checkers are up.
    pub up: bool,
    /// Its weight while up.
    pub weight: u32,
    /// The last failure of any of its checkers, in plain words, and when it was.
    pub last_failure: Option<(String, Instant)>,
    /// When it last went or came; `None` = never since the start.
    pub last_change: Option<Instant>,
    /// Its checkers.
    pub checkers: Vec<CheckerStatus>,
}

/// One checker.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckerStatus {
    /// keepalived's word for its kind.
    pub kind: &'static str,
    /// It is up.
    pub up: bool,
    /// It had a result already.
    pub known: bool,
    /// How long its last run took, microseconds; 0 before the first.
    pub took_us: u64,
}
