//! What people have ordered VRRP to do: which orders are in force, how they are written down, and what each instance hears
//! of them. It reads no clock and no file: [`keeper`] does.
//!
//! An order about one instance is an order about its whole sync group: members are master together or not at all. The
//! maintenance of the director goes before every other order, which waits for its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::clock::utc_millis;
use crate::config::model::{Config, SyncGroup};
use crate::control::view::{InstanceOrderView, OrderView, OrdersView};
use crate::vrrp::machine::{Order, OrderKind};
use crate::vrrp::params;

pub mod keeper;

/// Version of the file's form.
const VERSION: u32 = 1;

/// The file's form. Orders are values, each for itself: one that cannot be read does not take the others along.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(default)]
    maintenance: Option<serde_json::Value>,
    #[serde(default)]
    orders: Vec<serde_json::Value>,
}

/// One order in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Empty for the maintenance of all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    instance: String,
    order: Kind,
    by: String,
    /// When, by the wall clock, milliseconds since 1970.
    at_ms: u64,
    /// Its end, likewise.
    #[serde(default)]
    until_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    StepDown,
    TakeOver,
    Maintenance,
    StrictMaintenance,
}

impl From<OrderKind> for Kind {
    fn from(kind: OrderKind) -> Self {
        match kind {
            OrderKind::StepDown => Self::StepDown,
            OrderKind::TakeOver => Self::TakeOver,
            OrderKind::Maintenance => Self::Maintenance,
            OrderKind::StrictMaintenance => Self::StrictMaintenance,
        }
    }
}

impl From<Kind> for OrderKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::StepDown => Self::StepDown,
            Kind::TakeOver => Self::TakeOver,
            Kind::Maintenance => Self::Maintenance,
            Kind::StrictMaintenance => Self::StrictMaintenance,
        }
    }
}

/// Both clocks at one moment: orders end by the monotonic one, and are written down by the other.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock, since 1970.
    pub wall: Duration,
}

/// The orders in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    maintenance: Option<Arc<Order>>,
    instances: BTreeMap<String, Arc<Order>>,
    /// Grows with each change.
    number: u64,
}

impl Orders {
    /// Maintenance of the whole director.
    pub const fn maintenance(&self) -> Option<&Arc<Order>> {
        self.maintenance.as_ref()
    }

    /// The order about an instance, maintenance left aside.
    pub fn of(&self, instance: &str) -> Option<&Arc<Order>> {
        self.instances.get(instance)
    }

    /// The number of these orders: greater with each change.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Gives these instances an order, in the place of whatever they had.
    pub fn give(&mut self, instances: &[String], order: Order) {
        let order = Arc::new(order);
        for name in instances {
            self.instances.insert(name.clone(), Arc::clone(&order));
        }
        self.number += 1;
    }

    /// Takes their orders back; those that had one.
    pub fn take_back(&mut self, instances: &[String]) -> Vec<(String, Arc<Order>)> {
        let taken: Vec<_> = instances.iter().filter_map(|name| self.instances.remove_entry(name)).collect();
        self.number += u64::from(!taken.is_empty());
        taken
    }

    /// Maintenance, or its end; what was in force before.
    pub fn maintain(&mut self, order: Option<Order>) -> Option<Arc<Order>> {
        self.number += 1;
        std::mem::replace(&mut self.maintenance, order.map(Arc::new))
    }

    /// When the next order ends by itself.
    pub fn next_end(&self) -> Option<Instant> {
        self.maintenance.iter().chain(self.instances.values()).filter_map(|order| order.until).min()
    }

    /// Takes out what is over by now: by name, the maintenance with an empty one.
    pub fn expire(&mut self, now: Instant) -> Vec<(String, Arc<Order>)> {
        let over = |order: &Arc<Order>| order.until.is_some_and(|until| until <= now);
        let maintenance = self.maintenance.take_if(|order| over(order));
        let mut gone: Vec<_> = maintenance.into_iter().map(|order| (String::new(), order)).collect();
        let ended: Vec<String> =
            self.instances.iter().filter(|(_, order)| over(order)).map(|(name, _)| name.clone()).collect();
        gone.extend(ended.iter().filter_map(|name| self.instances.remove_entry(name)));
        self.number += u64::from(!gone.is_empty());
        gone
    }

    /// What each instance of a configuration hears. Members of a group hear the same: where they are of one group only since
    /// a reload, the order of the first one that has any; of contrary ones that which yields, since an address that is taken
    /// in the middle of somebody's work is worse than one that stays with the peer.
    pub fn in_force(&self, config: &Config) -> params::Orders {
        if self.is_empty() {
            // Nearly always, and of a thousand instances nobody is looked up then.
            return params::Orders::new();
        }
        let instances = config.vrrp_instance.iter().map(|one| &one.name);
        if let Some(order) = &self.maintenance {
            return instances.map(|name| (name.clone(), Arc::clone(order))).collect();
        }
        let of_groups = self.of_groups(config);
        instances
            .filter_map(|name| {
                let order = of_groups.get(name.as_str()).copied().or_else(|| self.of(name))?;
                Some((name.clone(), Arc::clone(order)))
            })
            .collect()
    }

    /// What the members of sync groups hear, by their names.
    fn of_groups<'a>(&'a self, config: &'a Config) -> BTreeMap<&'a str, &'a Arc<Order>> {
        let mut heard = BTreeMap::new();
        for members in self.ordered_groups(config) {
            let takes = |(_, order): &(&str, &Arc<Order>)| order.kind == OrderKind::TakeOver;
            let Some((_, order)) = members.ordered.iter().copied().min_by_key(takes) else { continue };
            for member in &members.group.group {
                heard.entry(member.as_str()).or_insert(order);
            }
        }
        heard
    }

    /// The sync groups some of whose members have orders of their own.
    fn ordered_groups<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = OrderedGroup<'a>> {
        let groups = config.vrrp_sync_group.iter().filter(|_| !self.instances.is_empty());
        let ordered = |group: &'a SyncGroup| {
            let own = |name: &'a String| Some((name.as_str(), self.of(name)?));
            OrderedGroup { group, ordered: group.group.iter().filter_map(own).collect() }
        };
        groups.map(ordered).filter(|group| !group.ordered.is_empty())
    }

    /// Instances with an order that this configuration does not have.
    fn strangers<'a>(&'a self, config: &Config) -> impl Iterator<Item = (&'a String, &'a Arc<Order>)> {
        let there: BTreeSet<&str> = match self.instances.is_empty() {
            true => BTreeSet::new(),
            false => config.vrrp_instance.iter().map(|one| one.name.as_str()).collect(),
        };
        let known: Vec<bool> = self.instances.keys().map(|name| there.contains(name.as_str())).collect();
        self.instances.iter().zip(known).filter(|(_, known)| !known).map(|(one, _)| one)
    }

    /// The instances whose orders somebody takes back by this name (`None`: all): as [`meant`] has it, and one with an
    /// order that this configuration does not have any more.
    pub fn taken_back_by(&self, config: &Config, name: Option<&str>) -> Vec<String> {
        let mut found = meant(config, name);
        let fits = |stranger: &&String| name.is_none_or(|name| *stranger == name);
        if name.is_none() || found.is_empty() {
            found.extend(self.strangers(config).map(|(name, _)| name).filter(fits).cloned());
        }
        found
    }

    /// What people should know of orders whose instances are others since a reload (`before`: the configuration until
    /// then; `None`: at the start).
    pub fn news(&self, before: Option<&Config>, config: &Config) -> Vec<News> {
        if self.instances.is_empty() {
            return Vec::new();
        }
        let was = |config: Option<&Config>| -> BTreeSet<&String> {
            config.into_iter().flat_map(|config| self.strangers(config)).map(|(name, _)| name).collect()
        };
        let (strangers, is) = (was(before), was(Some(config)));
        let mut news = Vec::new();
        for (name, order) in &self.instances {
            let (what, by) = (order.kind.name(), &order.by);
            match (strangers.contains(name), is.contains(name)) {
                (false, true) => news.push(News {
                    subject: name.clone(),
                    cause: "order_without_instance",
                    text: format!(
                        "{name} has an order and is no vrrp_instance of this configuration: {what} by {by} is in force for \
                         nobody; where it has another name now, give the order again (tandem end-order {name} takes this \
                         one back)"
                    ),
                }),
                (true, false) => news.push(News {
                    subject: name.clone(),
                    cause: "order_in_force_again",
                    text: format!("{name} is there again: the order {what} by {by} is in force for it"),
                }),
                _ => {}
            }
        }
        let told: BTreeSet<String> =
            before.map(|before| self.contrary(before)).into_iter().flatten().map(|one| one.text).collect();
        news.extend(self.contrary(config).filter(|one| !told.contains(&one.text)));
        news
    }

    /// Sync groups whose members have contrary orders.
    fn contrary<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = News> + use<'a> {
        self.ordered_groups(config).filter_map(|members| {
            let of = |kind| members.ordered.iter().find(|(_, order)| order.kind == kind);
            let ((one, yields), (other, _)) = of(OrderKind::StepDown).zip(of(OrderKind::TakeOver))?;
            let name = &members.group.name;
            Some(News {
                subject: name.clone(),
                cause: "contrary_orders",
                text: format!(
                    "vrrp_sync_group {name}: its members have contrary orders, {one} to step down and {other} to take \
                     over: until it ends all of them hear step_down by {}",
                    yields.by
                ),
            })
        })
    }

    /// All of them, for whoever asks.
    pub fn view(&self, at: Now) -> OrdersView {
        OrdersView {
            maintenance: self.maintenance.as_ref().map(|order| view(order, at.now)),
            orders: self
                .instances
                .iter()
                .map(|(name, order)| InstanceOrderView { instance: name.clone(), order: view(order, at.now) })
                .collect(),
        }
    }

    /// As they are written down.
    pub fn text(&self, at: Now) -> Vec<u8> {
        let kept = |instance: &str, order: &Order| {
            let left = order.until.map(|until| until.saturating_duration_since(at.now));
            let kept = Kept {
                instance: instance.to_owned(),
                order: order.kind.into(),
                by: order.by.clone(),
                at_ms: millis(order.at),
                until_ms: left.map(|left| millis(at.wall + left)),
            };
            serde_json::to_value(kept).ok()
        };
        let document = Document {
            version: VERSION,
            maintenance: self.maintenance.as_ref().and_then(|order| kept("", order)),
            orders: self.instances.iter().filter_map(|(name, order)| kept(name, order)).collect(),
        };
        // Texts and numbers: there is nothing that JSON cannot say.
        serde_json::to_vec_pretty(&document).unwrap_or_default()
    }

    /// No order is in force.
    pub fn is_empty(&self) -> bool {
        self.maintenance.is_none() && self.instances.is_empty()
    }

    /// Reads what was written down, and what is wrong with it. What is over by now is left out. A wall clock that was set
    /// back makes no order last longer than it was given for.
    pub fn parse(text: &[u8], at: Now) -> (Self, Option<String>) {
        let mut orders = Self::default();
        let document: Document = match serde_json::from_slice(text) {
            Ok(document) => document,
            Err(error) => return (orders, Some(error.to_string())),
        };
        if document.version != VERSION {
            let problem = format!("it has version {}, this Tandem knows version {VERSION}", document.version);
            return (orders, Some(problem));
        }
        let mut problem = None;
        let mut read = |value: serde_json::Value| -> Option<(String, Arc<Order>)> {
            let kept: Kept = match serde_json::from_value(value) {
                Ok(kept) => kept,
                Err(error) => {
                    problem = Some(error.to_string());
                    return None;
                }
            };
            let until = match kept.until_ms {
                None => None,
                Some(end) => {
                    let given = end.saturating_sub(kept.at_ms);
                    let left = end.saturating_sub(millis(at.wall)).min(given);
                    // One that is over, or that no clock reaches.
                    Some(at.now.checked_add(Duration::from_millis(left)).filter(|_| left > 0)?)
                }
            };
            let (kind, at) = (kept.order.into(), Duration::from_millis(kept.at_ms));
            Some((kept.instance, Arc::new(Order { kind, by: kept.by, at, until })))
        };
        orders.maintenance = document.maintenance.and_then(&mut read).map(|(_, order)| order);
        orders.instances = document.orders.into_iter().filter_map(&mut read).collect();
        (orders, problem)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An order for whoever asks.
pub fn view(order: &Order, now: Instant) -> OrderView {
    OrderView {
        order: order.kind.name().to_owned(),
        by: order.by.clone(),
        at: utc_millis(order.at),
        seconds_left: order.until.map(|until| until.saturating_duration_since(now).as_secs_f64()),
    }
}

/// A sync group with the orders that its members have of their own, in its order.
struct OrderedGroup<'a> {
    group: &'a SyncGroup,
    ordered: Vec<(&'a str, &'a Arc<Order>)>,
}

/// Something that people should know of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The instance or the sync group.
    pub subject: String,
    /// A stable name.
    pub cause: &'static str,
    /// In words.
    pub text: String,
}

/// An instance with all others of its sync group, in file order; nobody, where there is no such instance.
fn together<'a>(config: &'a Config, instance: &str) -> Vec<&'a String> {
    let group =
        config.vrrp_sync_group.iter().find(|group| group.group.iter().any(|member| member == instance));
    match group {
        Some(group) => {
            let there: BTreeSet<&String> = config.vrrp_instance.iter().map(|one| &one.name).collect();
            group.group.iter().filter(|name| there.contains(name)).collect()
        }
        None => config.vrrp_instance.iter().map(|one| &one.name).filter(|name| *name == instance).collect(),
    }
}

/// The instances that an order about this name is about: an instance with its sync group, a sync group, or (`None`) all.
/// Empty where nothing is called so.
pub fn meant(config: &Config, name: Option<&str>) -> Vec<String> {
    let Some(name) = name else { return config.vrrp_instance.iter().map(|one| one.name.clone()).collect() };
    let mut found = together(config, name);
    if found.is_empty() {
        let group = config.vrrp_sync_group.iter().find(|group| group.name == name);
        found = group
            .and_then(|group| group.group.first())
            .map_or_else(Vec::new, |first| together(config, first));
    }
    let mut seen = BTreeSet::new();
    found.into_iter().filter(|name| seen.insert(*name)).cloned().collect()
}

#[cfg(test)]
mod tests;
