//! What people have ordered VRRP to do, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventView, OrderView};

/// `GET /v1/orders`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrdersView {
    /// Maintenance of the whole director.
    pub maintenance: Option<OrderView>,
    /// Orders about single instances, by name. While there is maintenance they wait for its end.
    pub orders: Vec<InstanceOrderView>,
}

/// An order about an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceOrderView {
    /// The instance.
    pub instance: String,
    /// The order.
    pub order: OrderView,
}

/// Answer to an order: `POST /v1/instances/NAME/step-down`, `POST /v1/maintenance`, ...
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ordered {
    /// The instances that it is about: the members of a sync group together.
    pub instances: Vec<String>,
    /// What is so now, in words.
    pub done: String,
    /// What a person should know: how the instances stand a moment later, what could not be kept.
    pub notes: Vec<String>,
}

/// `GET /v1/why`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// One for each thing that was asked about.
    pub about: Vec<AboutView>,
}

/// One thing: how it stands and how that came about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AboutView {
    /// What it is called.
    pub name: String,
    /// `instance`, `group`, `virtual_server`, `real_server`; `daemon` where something is wrong with it or the kernel's table.
    pub kind: String,
    /// How it stands now, in sentences.
    pub now: String,
    /// Its last changes with their causes, the oldest first, and what happened around them.
    pub events: Vec<EventView>,
}
