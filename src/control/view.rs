//! The documents that are told: what `GET /v1/real-servers` and the rest say, and what the commands read.

use serde::{Deserialize, Serialize};

/// `GET /v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The daemon's version.
    pub tandem: String,
    /// Its process id.
    pub pid: u32,
    /// Its instance name; empty for the only one.
    pub instance: String,
    /// Versions of this interface that it speaks.
    pub versions: Vec<u32>,
}

/// `POST /v1/reload`, `POST /v1/upgrade`, `POST /v1/leave`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, in words.
    pub done: String,
    /// What the file says that it should not, where it was read.
    pub findings: Vec<String>,
}

/// `GET /v1/real-servers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Servers {
    /// In the order of the file.
    pub virtual_servers: Vec<VirtualServerView>,
}

/// One virtual server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VirtualServerView {
    /// What it is called: `TCP 192.0.2.1:80`.
    pub name: String,
    /// The quorum is reached.
    pub quorum_up: bool,
    /// The quorum that is asked for.
    pub quorum: u32,
    /// Sum of the weights that count for it.
    pub weight: u32,
    /// Who serves: `real_servers`, `sorry_pool`, `sorry_server`; `unknown` until the checks have begun.
    pub serving: String,
    /// The farm; those that a command has added at the end, those that it has deleted with `deleted`.
    pub real_servers: Vec<RealServerView>,
    /// Those that are on their way out.
    pub draining: Vec<DrainingView>,
}

/// One real server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RealServerView {
    /// Address and port.
    pub name: String,
    /// `enabled`, `drain`, `disabled`, or `deleted` by a command.
    pub admin_state: String,
    /// Its checks say that it is up; `null` while nothing is known of it.
    pub up: Option<bool>,
    /// Weight of the file; `null` of one that a command has added.
    pub weight_configured: Option<u32>,
    /// Weight that new connections go by now: 0 while it drains, is disabled or is down.
    pub weight: u32,
    /// What last went wrong with its checks.
    pub last_failure: Option<LastFailure>,
    /// What is to be said of it while its checks go well: its certificate ends soon (`tls_expiry_warn`).
    pub warning: Option<String>,
    /// Seconds since it last went or came; `null` = not since the start.
    pub changed_ago: Option<f64>,
    /// Its connections, active and inactive, where it drains: 0 also where the kernel's table has it no more; `null` = not
    /// known.
    pub connections: Option<u64>,
    /// What a command, or a line of the file, has made different.
    #[serde(rename = "override")]
    pub overridden: Option<OverrideView>,
}

/// The last failure of any check of a real server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastFailure {
    /// In plain words.
    pub reason: String,
    /// How long ago, seconds.
    pub ago: f64,
}

/// A real server on its way out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrainingView {
    /// Address and port.
    pub name: String,
    /// It goes after so many seconds, whatever it has.
    pub seconds_left: f64,
    /// Its connections when they were last counted.
    pub connections: Option<u64>,
}

/// `GET /v1/overrides`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Those of the file first, then those of commands.
    pub overrides: Vec<OverrideView>,
}

/// One override.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideView {
    /// Its virtual server.
    pub virtual_server: String,
    /// The real server.
    pub real_server: String,
    /// What it does, in the words of the file: `weight 5 drain`, `add like 10.1.0.1:80`, `delete`.
    pub change: String,
    /// Who said so: `root(uid=0,pid=4711)`.
    pub by: Option<String>,
    /// When, UTC: `2026-11-21T18:00:00Z`.
    pub at: Option<String>,
    /// It stands in a file (`real_server_override`): `--persist`, or written by hand.
    pub persisted: bool,
    /// Why it has no effect as things are.
    pub without_effect: Option<String>,
}

/// Answer to a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The virtual server.
    pub virtual_server: String,
    /// The real server.
    pub real_server: String,
    /// What is different now, in words.
    pub change: String,
    /// The file that it was written into.
    pub persisted: Option<String>,
    /// What a person should know: a line to write, or what could not be kept.
    pub notes: Vec<String>,
}

/// A refusal, as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// Its one field.
    pub error: RefusedBecause,
}

/// Why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RefusedBecause {
    /// A stable name.
    pub code: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
    /// What may have been meant.
    #[serde(default)]
    pub candidates: Vec<String>,
}
