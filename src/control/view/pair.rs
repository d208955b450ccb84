//! What is known of the other director over the pair's channel.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The other director (`pair_peer`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairView {
    /// Where it is asked: `10.0.0.2:9651`.
    pub peer: String,
    /// The name of its machine; `null` = never heard.
    pub name: Option<String>,
    /// Its version.
    pub tandem: Option<String>,
    /// `agrees`, `differs`, `waiting` (never asked yet); else why it is not heard: `unreachable`, `silent`, `broke_off`,
    /// `not_authenticated`, `other_version`, `not_a_peer`, `malformed`, `refused`, `myself`, `closed` (our own key file or address).
    pub state: String,
    /// Seconds in this state.
    pub in_state: f64,
    /// Why it is not heard, in a sentence.
    pub problem: Option<String>,
    /// When it was last heard, seconds ago.
    pub heard_ago: Option<f64>,
    /// Both are configured alike, overrides of commands included, as last known.
    pub agrees: Option<bool>,
    /// Seconds since that is so.
    pub agrees_for: Option<f64>,
    /// It takes changes over the channel (`pair_accept_changes`).
    pub accepts_changes: Option<bool>,
    /// What differs: a thousand at most.
    pub differences: Vec<PairDifferenceView>,
    /// How many more there are.
    pub more_differences: u64,
    /// Its requests that were answered since the start.
    pub requests_answered: u64,
    /// Requests that were refused, by the name of the reason.
    pub requests_refused: BTreeMap<String, u64>,
}

/// An object that is not alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairDifferenceView {
    /// `vrrp_instance`, `vrrp_sync_group`, `virtual_server_group`, `virtual_server`, or `override`: what a command has said of a
    /// real server.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `both`, or who alone has it: `here`, `there`.
    pub has: String,
    /// Its words that differ, where both have it.
    pub words: Vec<String>,
    /// The same for people.
    pub text: String,
    /// Seconds since it differs.
    pub since: f64,
}

/// What became of a change that was handed to the other director as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairedView {
    /// Which one: its name, where that is known, and its address.
    pub peer: String,
    /// It is done there.
    pub done: bool,
    /// What it said, or why it could not be asked. Where it is not done the change here stands.
    pub said: String,
    /// What a person should know, from there.
    pub notes: Vec<String>,
}
