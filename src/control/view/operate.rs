//! Answers of `check-now`, of the statistics, and of the configuration in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::VirtualServerView;

/// `POST /v1/real-servers/SERVICE/SERVER/check`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedView {
    /// So many checks were due at once. Equal ones of several real servers run once.
    pub checks: u64,
    /// So many of them have no result yet: they go on, and `GET /v1/status` tells of it.
    pub under_way: u64,
    /// So many real servers were not checked: they have no checks, or those of their virtual server are suspended
    /// (`ha_suspend`).
    pub not_checked: u64,
    /// What was asked for, as it stands now: these real servers alone.
    pub virtual_servers: Vec<VirtualServerView>,
}

/// `POST /v1/statistics/reset`. What could not be done is in the notes; where nothing could, the answer is a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResetView {
    /// So many instances count from zero; `null` = none does, and none will by this request.
    pub instances: Option<u64>,
    /// So many services in the kernel do; `null` = that was not asked for.
    pub services: Option<u64>,
    /// What could not be done, and why.
    pub notes: Vec<String>,
}

/// `GET /v1/config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigView {
    /// The file that it was read from.
    pub config: String,
    /// As [`super::DaemonView::config_digest`].
    pub digest: String,
    /// `yaml` or `keepalived`.
    pub form: String,
    /// The configuration, with `***` in the place of every secret.
    pub text: String,
}

/// `GET /v1/plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// The file that was read.
    pub config: String,
    /// A reload would change something.
    pub changes: bool,
    /// Objects that would come: `vrrp_instance VI_2`.
    pub added: Vec<String>,
    /// Objects that would have other settings.
    pub changed: Vec<PlannedView>,
    /// Objects that would go.
    pub removed: Vec<String>,
    /// Why a reload would be refused; then nothing would change.
    pub refused: Option<String>,
    /// What the file says that it should not.
    pub findings: Vec<String>,
}

/// An object that would have other settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedView {
    /// Which one: `vrrp_instance VI_1`, `global_defs`.
    pub object: String,
    /// In what: `priority 100 -> 150`.
    pub settings: Vec<String>,
}
