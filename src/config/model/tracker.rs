//! What instances and groups track, and what the trackers are called by.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::object;
use super::{Command, is_default};
use crate::config::units::Secs;

object! {
    /// `vrrp_script NAME`.
    VrrpScript {
        /// The name that `track_script` uses.
        name: String,
        /// What to run; exit 0 is success.
        script: Command,
        ;
        /// Time between starts; default 1 s.
        interval: Option<Secs>,
        /// Longest run; default: the interval. Over it the script is ended and counts as failed.
        timeout: Option<Secs>,
        /// −253..=253; 0 (default) = FAULT while it fails, >0 added while it succeeds, <0 added while it fails.
        weight: Option<i16>,
        /// Swap the sense of the weight.
        reverse: bool,
        /// Consecutive successes to be up; default 1.
        rise: Option<u32>,
        /// Consecutive failures to be down; default 1.
        fall: Option<u32>,
        /// Failed until the first result.
        init_fail: bool,
    }
}

object! {
    /// `track_file NAME`: a file with a number in it; the number times the weight is added to the priority.
    TrackFile {
        /// The name that `track_file` blocks and FILE_CHECK use.
        name: String,
        /// Its path; missing or unreadable counts as 0.
        file: String,
        ;
        /// −254..=254, default 1; with 0 a number other than 0 means FAULT.
        weight: Option<i16>,
        /// Swap the sense.
        reverse: bool,
        /// Create it at start.
        init_file: Option<InitFile>,
    }
}

/// `init_file [VALUE] [overwrite]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InitFile {
    /// Its first number; default 0.
    #[serde(skip_serializing_if = "is_default")]
    pub value: Option<i64>,
    /// Also when it is there already.
    #[serde(skip_serializing_if = "is_default")]
    pub overwrite: bool,
}

object! {
    /// `vrrp_track_process NAME`.
    TrackProcess {
        /// The name that `track_process` blocks use.
        name: String,
        /// Name of the program, and its arguments.
        process: Vec<String>,
        ;
        /// How arguments are compared; exactly when absent.
        param_match: Option<ParamMatch>,
        /// Compare the whole command line.
        full_command: bool,
        /// −254..=254, default 0.
        weight: Option<i16>,
        /// Swap the sense.
        reverse: bool,
        /// Least number of processes, 1..=65535; default 1.
        quorum: Option<u16>,
        /// Greatest number, 0..=65535.
        quorum_max: Option<u16>,
        /// Debounce of ends, up to 3600 s.
        terminate_delay: Option<Secs>,
        /// Debounce of starts, up to 3600 s.
        fork_delay: Option<Secs>,
    }
}

/// `param_match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamMatch {
    /// The first arguments are the same, the last of them begins as the last one here.
    Initial,
    /// The first arguments are the same.
    Partial,
}

object! {
    /// `bfd_instance NAME` (RFC 5880).
    BfdInstance {
        /// The name that `track_bfd` and BFD_CHECK use, at most 32 characters.
        name: String,
        /// The neighbour.
        neighbor_ip: IpAddr,
        ;
        /// Our address; default any.
        source_ip: Option<IpAddr>,
        /// Least time between packets received, at least 1 ms; default 10 ms. keepalived.conf writes milliseconds.
        min_rx: Option<Secs>,
        /// Least time between packets sent, at least 1 ms; default 10 ms. keepalived.conf writes milliseconds.
        min_tx: Option<Secs>,
        /// Time between packets while the session is down, at least 1 s (the default). keepalived.conf writes
        /// milliseconds.
        idle_tx: Option<Secs>,
        /// Packets that may be missed, 1..=255; default 5.
        multiplier: Option<u8>,
        /// Do not start the session.
        passive: bool,
        /// TTL or hop limit sent, 1..=255; default 255 (IPv4), 64 (IPv6).
        ttl: Option<u8>,
        /// Routers between, -1..=255; default 0, -1 = not looked at.
        max_hops: Option<i16>,
        /// RFC 5883: port 4784.
        multihop: Option<bool>,
        /// −253..=253, default 0, for VRRP.
        weight: Option<i16>,
        /// Swap the sense.
        reverse: bool,
        /// Tell VRRP (and not the checkers, unless they are named too).
        vrrp: bool,
        /// Tell the checkers.
        checker: bool,
    }
}

object! {
    /// `vrrp_sync_group NAME`: instances that change state together.
    SyncGroup {
        /// The name that scripts and logs get.
        name: String,
        /// Names of the instances.
        group: Vec<String>,
        ;
        /// Scripts that decide for all members.
        track_script: Vec<super::Track>,
        /// Interfaces that decide for all members.
        track_interface: Vec<super::Track>,
        /// Files that decide for all members.
        track_file: Vec<super::Track>,
        /// Processes that decide for all members.
        track_process: Vec<super::Track>,
        /// BFD sessions that decide for all members.
        track_bfd: Vec<super::Track>,
        /// Virtual servers whose quorum decides for all members. Beyond keepalived.
        track_virtual_server: Vec<super::Track>,
        /// Run on MASTER.
        notify_master: Option<Command>,
        /// Run on BACKUP.
        notify_backup: Option<Command>,
        /// Run on FAULT.
        notify_fault: Option<Command>,
        /// Run when the daemon stops.
        notify_stop: Option<Command>,
        /// Run on each of these, with `GROUP name STATE 0` appended.
        notify: Option<Command>,
        /// Tell scripts and FIFOs of changed priorities.
        notify_priority_changes: Option<bool>,
        /// Mail on transitions.
        smtp_alert: Option<bool>,
        /// Old, without effect.
        global_tracking: bool,
        /// Keep the weights of the members' trackers.
        sync_group_tracking_weight: bool,
    }
}

object! {
    /// `track_group NAME`: instances that static addresses, routes and rules track.
    TrackGroup {
        /// The name that static objects use.
        name: String,
        /// Names of the instances.
        group: Vec<String>,
        ;
    }
}

object! {
    /// `garp_group`: interfaces that share one budget of announcements.
    #[derive(Default)]
    #[serde(default)]
    GarpGroup {
        ;
        /// Least time between two gratuitous ARPs.
        garp_interval: Option<Secs>,
        /// Least time between two neighbour advertisements.
        gna_interval: Option<Secs>,
        /// One interface.
        interface: Option<String>,
        /// Several interfaces.
        interfaces: Vec<String>,
    }
}
