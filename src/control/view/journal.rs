//! `GET /v1/journal` and the event stream: what happened, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/journal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalView {
    /// The oldest first.
    pub events: Vec<EventView>,
    /// How many events of this journal are not kept any more.
    pub forgotten: u64,
    /// With `since`: how many of those behind that number are not kept any more. Else 0.
    pub missed: u64,
    /// The number of the last event; 0 = there is none.
    pub newest: u64,
    /// The name of this journal. A start of the machine begins another one, with another name, whose numbers begin at 1 again.
    pub journal: String,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its number: counts from 1, over restarts too, however the last process ended. A number may be left out.
    pub number: u64,
    /// When, UTC, to the millisecond.
    pub at: String,
    /// `info`, `warning` or `error`.
    pub level: String,
    /// What kind of thing: `transition`, `priority`, `advert`, `group`, `check`, `quorum`, `command`, `order`, `reload`, `ipvs`,
    /// `address`, `tracker`, `bfd`, `pair`, `daemon`.
    pub kind: String,
    /// The instance, group, virtual server, ... that it is about; empty for the daemon.
    pub subject: String,
    /// The real server, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub real_server: Option<String>,
    /// States before and after, where it is a transition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// See `from`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// A stable name of the cause, where there is one: `master_down`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// In words, one sentence.
    pub text: String,
    /// The details of a transition: priority, trackers, last advert, own delay. Of other events what the network is not told:
    /// `text`, the sentence with names of files and values of settings, and `findings`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub details: Option<serde_json::Value>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
}

impl EventView {
    /// The same for those who come over the network: without names of files, values of settings, lines of the file.
    #[must_use]
    pub fn for_network(&self) -> Self {
        let mut event = self.clone();
        // What a transition was decided by is what the status tells everybody, too.
        if event.kind != "transition" {
            event.details = None;
        }
        event
    }

    /// The sentence for those of this machine.
    pub fn whole_text(&self) -> &str {
        let details = self.details.as_ref().and_then(|details| details.get("text"));
        details.and_then(serde_json::Value::as_str).unwrap_or(&self.text)
    }
}
