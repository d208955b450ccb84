//! `GET /v1/status`: everything at one moment. Durations are in seconds, addresses as text; what is not known is `null`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PairView, VirtualServerView};

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// When, UTC, to the millisecond: `2026-11-21T18:00:00.123Z`.
    pub at: String,
    /// The daemon itself.
    pub daemon: DaemonView,
    /// The VRRP instances, in file order.
    pub instances: Vec<InstanceView>,
    /// The sync groups, in file order.
    pub groups: Vec<GroupView>,
    /// The virtual servers, in file order.
    pub virtual_servers: Vec<VirtualServerView>,
    /// BFD sessions, in file order.
    pub bfd: Vec<BfdView>,
    /// The kernel's table.
    pub ipvs: IpvsView,
    /// The other director of the pair; `null` = the file names none (`pair_peer`).
    #[serde(default)]
    pub pair: Option<PairView>,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonView {
    /// Its version.
    pub tandem: String,
    /// The process that answers: the worker.
    pub pid: u32,
    /// Its instance name; empty for the only one.
    pub instance: String,
    /// This machine's name.
    pub host: String,
    /// How long this process runs, seconds.
    pub running: f64,
    /// The configuration file.
    pub config: String,
    /// A digest of the configuration in force; equal configurations have equal ones, whatever form they are written in.
    pub config_digest: String,
    /// How often the configuration was taken over anew since the start.
    pub reloads: u64,
    /// How often a reload was refused since the start.
    pub reloads_refused: u64,
    /// Why the last reload was refused, while no later one went well.
    pub reload_problem: Option<String>,
    /// `maintenance on` is in force: who said so and when.
    pub maintenance: Option<OrderView>,
    /// How late the vrrp thread woke; `null` when that thread does not answer.
    pub lag: Option<LagView>,
    /// What a part of the daemon did not say in time, in words; empty when all answered.
    pub silent: Vec<String>,
}

/// How late the vrrp thread woke.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagView {
    /// The worst since the start, seconds.
    pub worst: f64,
    /// The worst within the last minute or so, seconds.
    pub worst_lately: f64,
    /// How often it was so late that adverts were in danger.
    pub late: u64,
}

/// One VRRP instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceView {
    /// Its name.
    pub name: String,
    /// `INIT`, `BACKUP`, `MASTER` or `FAULT`.
    pub state: String,
    /// It would be master, and waits for its sync group.
    pub wants_master: bool,
    /// Its interface.
    pub interface: String,
    /// `virtual_router_id`, 1..=255.
    pub vrid: u8,
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// `inet` or `inet6`.
    pub family: String,
    /// The sync group it belongs to.
    pub group: Option<String>,
    /// Source address of its adverts.
    pub own_address: Option<String>,
    /// The effective priority; in FAULT the last one known.
    pub priority: u8,
    /// What it would be without an order.
    #[serde(default)]
    pub own_priority: u8,
    /// The configured one.
    pub base_priority: u8,
    /// What makes one from the other.
    pub trackers: Vec<TrackerView>,
    /// What forbids it to take part, in words.
    pub fault: Option<String>,
    /// Its virtual addresses, as the file writes them.
    pub addresses: Vec<String>,
    /// Its addresses should be on this machine.
    pub wants_addresses: bool,
    /// Who else was heard for this virtual router, the last one first.
    pub peers: Vec<PeerView>,
    /// Seconds between adverts, as the master's count.
    pub advert_interval: f64,
    /// After so many seconds without an advert a backup takes over.
    pub down_interval: f64,
    /// The last transition; `null` = none since the start.
    pub last: Option<TransitionView>,
    /// Seconds in this state; without a transition since this process began, as far as `last` is `null`, of its running time.
    pub in_state: f64,
    /// Since when it is MASTER, UTC, restarts of the daemon that no peer noticed left aside; `null` = it is not, or that is not known
    /// any more.
    #[serde(default)]
    pub master_since: Option<String>,
    /// An order of a person that is in force.
    pub order: Option<OrderView>,
    /// What it has sent and accepted.
    pub counters: CountersView,
    /// Adverts that were refused, by the name of the reason.
    pub refused: BTreeMap<String, u64>,
    /// How often it changed its state, by the name of the cause.
    pub transitions: BTreeMap<String, u64>,
}

/// One thing that an instance watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrackerView {
    /// `script`, `interface`, `file`, `process`, `bfd`, `virtual_server`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `up`, `down`, `unknown`, or the number in a `track_file`.
    pub value: String,
    /// -254..=254; 0 = FAULT when bad.
    pub weight: i16,
    /// The sense is turned round.
    pub reverse: bool,
    /// What it adds to the base priority now.
    pub contribution: i64,
    /// What made the value so; may be empty.
    pub why: String,
}

/// Another router that was heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerView {
    /// Its address.
    pub address: String,
    /// The priority of its last advert.
    pub priority: u8,
    /// How long ago that came, seconds.
    pub ago: f64,
    /// How many adverts of it were accepted.
    pub adverts: u64,
}

/// A transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransitionView {
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
    /// When, UTC, to the millisecond.
    pub at: String,
    /// Seconds ago.
    pub ago: f64,
    /// A stable name of the cause: `master_down`, `fault`, `step_down`.
    pub cause: String,
    /// Why, in one sentence.
    pub why: String,
}

/// What a person has ordered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// `step_down`, `take_over`, `maintenance`.
    pub order: String,
    /// Who said so: `root(uid=0,pid=4711)`.
    pub by: String,
    /// When, UTC.
    pub at: String,
    /// It ends after so many seconds; `null` = when somebody takes it back.
    pub seconds_left: Option<f64>,
}

/// Adverts and transitions of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountersView {
    /// Adverts that were accepted.
    pub adverts_received: u64,
    /// Adverts that were sent.
    pub adverts_sent: u64,
    /// How often it became master.
    pub became_master: u64,
    /// How often it stopped to be.
    pub released_master: u64,
    /// Accepted adverts of priority 0.
    pub zero_received: u64,
    /// Sent ones of priority 0.
    pub zero_sent: u64,
}

/// A sync group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// Its members, in file order.
    pub members: Vec<String>,
}

/// A BFD session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BfdView {
    /// Its name.
    pub name: String,
    /// It is up.
    pub up: bool,
    /// Seconds since it went or came; `null` = not since the start.
    pub changed_ago: Option<f64>,
}

/// The kernel's table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IpvsView {
    /// It could be read and is as it should be.
    pub in_order: bool,
    /// What the kernel refuses, in words.
    pub errors: Vec<String>,
    /// Services of ours that are in it.
    pub services: u64,
    /// Number of the last table that the kernel was given whole.
    #[serde(default)]
    pub applied: u64,
    /// Number of the table that it is to have: where that is higher, changes are under way, or their thread hangs.
    #[serde(default)]
    pub wanted: u64,
    /// Services of somebody else; `null` = not looked at: the kernel's table has none of ours, or cannot be read.
    pub foreign_services: Option<u64>,
    /// Entries that somebody else has changed and that were put right, since the start.
    pub repaired: u64,
}

/// What the kernel counts of a service or destination. Rates are the kernel's own estimate, a second's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficView {
    /// Connections since the entry was made.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients; 0 with DR and TUN, where answers do not come by.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Connections a second.
    pub connection_rate: u64,
    /// Packets a second from clients.
    pub packet_rate_in: u64,
    /// Packets a second to clients.
    pub packet_rate_out: u64,
    /// Bytes a second from clients.
    pub byte_rate_in: u64,
    /// Bytes a second to clients.
    pub byte_rate_out: u64,
}

/// One checker of a real server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckerView {
    /// keepalived's word for its kind: `TCP_CHECK`.
    pub kind: String,
    /// It is up; `null` while it has had no result.
    pub up: Option<bool>,
    /// How long its last run took, seconds.
    pub took: Option<f64>,
    /// How many equal checkers its runs count for, itself among them.
    pub shared_by: usize,
}
