//! The documents that are told: what `GET /v1/real-servers` and the rest say, and what the commands read.

mod journal;
mod operate;
mod orders;
mod pair;
mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use journal::{EventView, JournalView};
pub use operate::{CheckedView, ConfigView, PlanView, PlannedView, ResetView};
pub use orders::{AboutView, InstanceOrderView, Ordered, OrdersView, WhyView};
pub use pair::{PairDifferenceView, PairView, PairedView};
pub use status::{
    BfdView, CheckerView, CountersView, DaemonView, GroupView, InstanceView, IpvsView, LagView, OrderView,
    PeerView, StatusView, TrackerView, TrafficView, TransitionView,
};

/// `GET /v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// What was done, in words.
    pub done: String,
    /// What the file says that it should not, where it was read.
    pub findings: Vec<String>,
}

/// `GET /v1/real-servers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Servers {
    /// In the order of the file.
    pub virtual_servers: Vec<VirtualServerView>,
}

/// One virtual server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VirtualServerView {
    /// What it is called: `TCP 192.0.2.1:80`.
    pub name: String,
    /// The quorum is reached; says nothing while `serving` is `unknown`.
    pub quorum_up: bool,
    /// The quorum that is asked for; 0 while `serving` is `unknown`.
    pub quorum: u32,
    /// Sum of the weights that count for it; 0 while `serving` is `unknown`.
    pub weight: u32,
    /// Who serves: `real_servers`, `sorry_pool`, `sorry_server`; `unknown` until the checks have begun, and while their thread
    /// does not answer.
    pub serving: String,
    /// Its real servers are not checked by this director, because the address is not on it (`ha_suspend`). Quorum and weights
    /// are those of its table, from the time when they last were.
    #[serde(default)]
    pub suspended: bool,
    /// The farm; those that a command has added at the end, those that it has deleted with `deleted`.
    pub real_servers: Vec<RealServerView>,
    /// Those that are on their way out.
    pub draining: Vec<DrainingView>,
    /// What the kernel counts of its services together (`GET /v1/status`); `null` = none of them is in the kernel's table.
    #[serde(default)]
    pub traffic: Option<TrafficView>,
    /// `active_on`: the instance that it goes by.
    #[serde(default)]
    pub active_on: Option<String>,
}

/// One real server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RealServerView {
    /// Address and port.
    pub name: String,
    /// `enabled`, `drain`, `disabled`, or `deleted` by a command.
    pub admin_state: String,
    /// Its checks say that it is up; `null` while nothing is known of it: see `unchecked`.
    pub up: Option<bool>,
    /// Why nothing is known of it: `no_checks` (it has none and counts as up), `no_result` (none has ended yet, and it counts as
    /// up until then), `suspended` (its virtual server is); `null` where its checks have spoken, and where their thread does not
    /// answer.
    #[serde(default)]
    pub unchecked: Option<String>,
    /// Weight of the file; `null` of one that a command has added.
    pub weight_configured: Option<u32>,
    /// Weight that new connections go by now: 0 while it drains, is disabled or is down; says nothing while `serving` of its
    /// virtual server is `unknown`.
    pub weight: u32,
    /// What last went wrong with its checks.
    pub last_failure: Option<LastFailure>,
    /// What is to be said of it while its checks go well: its certificate ends soon (`tls_expiry_warn`).
    pub warning: Option<String>,
    /// When the first of the certificates ends that its checks by TLS were shown, UTC: `2026-12-01T18:00:00.000Z`; `null` =
    /// none was.
    #[serde(default)]
    pub certificate_ends: Option<String>,
    /// Seconds since it last went or came; `null` = not since the start.
    pub changed_ago: Option<f64>,
    /// Its connections, active and inactive, where it drains: 0 also where the kernel's table has it no more; `null` = not
    /// known. `GET /v1/status` tells them of all.
    pub connections: Option<u64>,
    /// Active ones among them (`GET /v1/status`).
    #[serde(default)]
    pub active: Option<u64>,
    /// What the kernel counts of it (`GET /v1/status`); `null` = not in the kernel's table.
    #[serde(default)]
    pub traffic: Option<TrafficView>,
    /// Its checkers (`GET /v1/status`).
    #[serde(default)]
    pub checkers: Vec<CheckerView>,
    /// What a command, or a line of the file, has made different.
    #[serde(rename = "override")]
    pub overridden: Option<OverrideView>,
}

/// The last failure of any check of a real server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastFailure {
    /// In plain words.
    pub reason: String,
    /// How long ago, seconds.
    pub ago: f64,
}

/// A real server on its way out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DrainingView {
    /// Address and port.
    pub name: String,
    /// It goes after so many seconds, whatever it has.
    pub seconds_left: f64,
    /// Its connections when they were last counted.
    pub connections: Option<u64>,
}

/// `GET /v1/overrides`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// Those of the file first, then those of commands.
    pub overrides: Vec<OverrideView>,
}

/// One override.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// When its drain, or that it is disabled, ends by itself, UTC.
    pub until: Option<String>,
    /// It stands in a file (`real_server_override`): `--persist`, or written by hand.
    pub persisted: bool,
    /// Why it has no effect as things are.
    pub without_effect: Option<String>,
}

/// Answer to a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The virtual server.
    pub virtual_server: String,
    /// The real server.
    pub real_server: String,
    /// What is different now, in words.
    pub change: String,
    /// When that ends by itself, UTC.
    pub until: Option<String>,
    /// The file that it was written into.
    pub persisted: Option<String>,
    /// What a person should know: a line to write, or what could not be kept.
    pub notes: Vec<String>,
    /// What the other director said, where the change was to be made there, too.
    #[serde(default)]
    pub pair: Option<PairedView>,
}

/// A refusal, as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Refused {
    /// Its one field.
    pub error: RefusedBecause,
}

/// Why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
