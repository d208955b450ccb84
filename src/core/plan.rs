//! What would change on this machine if a configuration were applied now: the same deciders as the daemon's, against
//! what the kernel says, and nothing carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::check::farm::Farm;
use crate::check::plan::Plan as Checks;
use crate::config::model::Config;
use crate::ipvs::diff::{self, Change};
use crate::ipvs::table::Table;
use crate::net::address::{self, AddressKey, Installed, Wanted};
use crate::net::link::Links;
use crate::vrrp::params::Settings;

/// What the kernel says now.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Interfaces with their addresses.
    pub links: Links,
    /// The IPVS table, or why it could not be read.
    pub table: Result<Table, String>,
}

/// Which role the instances are thought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As the kernel shows it: an instance some of whose addresses are here is master.
    AsNow,
    /// All are master.
    Master,
    /// All are backup.
    Backup,
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It comes.
    Add,
    /// It stays, with other settings.
    Change,
    /// It goes.
    Remove,
    /// Nothing happens to it; worth knowing.
    Note,
}

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What happens.
    pub action: Action,
    /// `instance`, `address`, `service`, `destination`, `setting`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// Old and new, or why.
    pub detail: String,
}

impl Entry {
    fn new(action: Action, kind: &'static str, name: impl ToString, detail: impl ToString) -> Self {
        Self { action, kind, name: name.to_string(), detail: detail.to_string() }
    }
}

/// True when any entry means a change.
pub fn changes(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.action != Action::Note)
}

/// The addresses that would change, instance by instance.
pub fn addresses(config: &Config, links: &Links, role: Role) -> Vec<Entry> {
    let actual = installed(links);
    let mut entries = Vec::new();
    for settings in Settings::of_config(config) {
        let all: BTreeSet<AddressKey> = settings.addresses.keys().cloned().collect();
        let here = all.iter().filter(|key| actual.contains_key(key)).count();
        let master = match role {
            Role::AsNow => here > 0,
            Role::Master => true,
            Role::Backup => false,
        };
        let want = if master { settings.addresses.clone() } else { BTreeMap::new() };
        let wanted = Wanted { generation: 0, want, ours: all.clone() };
        let shown = format!("vrrp_instance {}", settings.name);
        let state = match here {
            0 => "BACKUP or stopped: none of its addresses is here".to_owned(),
            n if n == all.len() => format!("MASTER: all {n} of its addresses are here"),
            n => format!("{n} of its {} addresses are here", all.len()),
        };
        let other = if master {
            format!("as BACKUP it would remove {here}")
        } else {
            format!("as MASTER it would add {}", all.len())
        };
        entries.push(Entry::new(Action::Note, "instance", &shown, format!("now {state}; {other}")));
        for change in address::diff(&actual, &wanted) {
            let key = change.key();
            let waits = if links.contains_key(&key.interface) { "" } else { ", once the interface is there" };
            match change {
                address::Change::Add(..) if actual.contains_key(key) => {
                    entries
                        .retain(|entry| !(entry.action == Action::Remove && entry.name == key.to_string()));
                    let detail =
                        format!("{shown}: it is there in another form (label, scope, broadcast or peer)");
                    entries.push(Entry::new(Action::Change, "address", key, detail));
                }
                address::Change::Add(..) => {
                    entries.push(Entry::new(Action::Add, "address", key, format!("{shown}{waits}")));
                }
                address::Change::Remove(_) => {
                    entries.push(Entry::new(Action::Remove, "address", key, &shown))
                }
            }
        }
    }
    entries
}

fn installed(links: &Links) -> BTreeMap<AddressKey, Installed> {
    let mut all = BTreeMap::new();
    for link in links.values() {
        for address in &link.addresses {
            let key = AddressKey {
                interface: link.name.clone(),
                address: address.address,
                prefix_len: address.prefix_len,
            };
            let installed = Installed {
                scope: address.scope,
                label: address.label.clone(),
                broadcast: address.broadcast,
                protocol: address.protocol,
                peer: None,
                tentative: address.tentative,
            };
            all.insert(key, installed);
        }
    }
    all
}

/// The services and destinations that would change. `now` is where the checks would start from.
pub fn services(config: &Config, table: &Table, now: Instant) -> Vec<Entry> {
    let checks = Checks::new(config);
    let checked: BTreeSet<_> = checks
        .services
        .iter()
        .flat_map(|service| {
            service.reals.iter().map(move |real| (service.key, real.key, !real.checkers.is_empty()))
        })
        .filter_map(|(service, real, checked)| checked.then_some((service, real)))
        .collect();
    let desired = Farm::start(checks, 0, now).0.table();
    let ours: BTreeSet<_> = desired.keys().copied().collect();
    let mut entries = Vec::new();
    for change in diff::diff(table, &desired, &ours) {
        let old = table.get(change.service());
        entries.push(match &change {
            Change::NewService { key, service } => Entry::new(Action::Add, "service", key, service),
            Change::SetService { key, service } => {
                let before = old.map(|old| old.service.to_string()).unwrap_or_default();
                Entry::new(Action::Change, "service", key, format!("{before} -> {service}"))
            }
            Change::DeleteService { key } => Entry::new(Action::Remove, "service", key, ""),
            Change::NewDestination { key, destination, settings } => {
                let unless = if old.is_some() && checked.contains(&(*key, *destination)) {
                    " (unless its checks keep it out)"
                } else {
                    ""
                };
                let name = format!("{key} -> {destination}");
                Entry::new(Action::Add, "destination", name, format!("{settings}{unless}"))
            }
            Change::SetDestination { key, destination, settings } => {
                let before = old.and_then(|old| old.destinations.get(destination)).map(ToString::to_string);
                let name = format!("{key} -> {destination}");
                let detail = format!("{} -> {settings}", before.unwrap_or_default());
                Entry::new(Action::Change, "destination", name, detail)
            }
            Change::DeleteDestination { key, destination } => {
                Entry::new(Action::Remove, "destination", format!("{key} -> {destination}"), "")
            }
        });
    }
    for (key, service) in table.iter().filter(|(key, _)| !ours.contains(key)) {
        let detail = format!(
            "not in the file, left alone: {}, {} destinations",
            service.service,
            service.destinations.len()
        );
        entries.push(Entry::new(Action::Note, "service", key, detail));
    }
    entries
}

/// What differs between two configurations, setting by setting.
pub fn settings(old: &Config, new: &Config) -> Vec<Entry> {
    let mut entries = Vec::new();
    let value = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    compare("", &value(old), &value(new), &mut entries);
    entries
}

/// Words whose values are never shown.
fn is_secret(path: &str) -> bool {
    ["auth_pass", "secret", "password"].iter().any(|word| path.ends_with(word))
}

fn shown(path: &str, value: &Value) -> String {
    match value {
        _ if is_secret(path) => "XXXXXX".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(map) if map.contains_key("argv") => {
            let words = map.get("argv").and_then(Value::as_array);
            words.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// What a list's element is called by.
fn name(value: &Value) -> Option<String> {
    let word = |key: &str| value.get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    if let Some(name) = word("name") {
        return Some(name);
    }
    if let Some(mark) = word("fwmark") {
        return Some(format!("fwmark {mark}"));
    }
    let port = word("port").map(|port| format!(" {port}")).unwrap_or_default();
    let protocol = word("protocol").map(|protocol| format!(" {protocol}")).unwrap_or_default();
    word("address").map(|address| format!("{address}{port}{protocol}"))
}

fn compare(path: &str, old: &Value, new: &Value, entries: &mut Vec<Entry>) {
    if old == new {
        return;
    }
    let join = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path} {part}") };
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if !before.contains_key("argv") => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let none = Value::Null;
                let (before, after) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
                compare(&join(key), before, after, entries);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null) => {
            let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
            lists(path, &list(old), &list(new), entries);
        }
        (Value::Null, value) => entries.push(Entry::new(Action::Add, "setting", path, shown(path, value))),
        (value, Value::Null) => entries.push(Entry::new(Action::Remove, "setting", path, shown(path, value))),
        _ => {
            let detail = format!("{} -> {}", shown(path, old), shown(path, new));
            entries.push(Entry::new(Action::Change, "setting", path, detail));
        }
    }
}

fn lists(path: &str, old: &[Value], new: &[Value], entries: &mut Vec<Entry>) {
    let named =
        |list: &[Value]| list.iter().map(|v| name(v).map(|n| (n, v.clone()))).collect::<Option<Vec<_>>>();
    let (Some(before), Some(after)) = (named(old), named(new)) else {
        let one = |value: &Value| shown(path, value);
        for value in old.iter().filter(|value| !new.contains(value)) {
            entries.push(Entry::new(Action::Remove, "setting", path, one(value)));
        }
        for value in new.iter().filter(|value| !old.contains(value)) {
            entries.push(Entry::new(Action::Add, "setting", path, one(value)));
        }
        return;
    };
    for (name, value) in &after {
        let object = format!("{path} {name}");
        match before.iter().find(|(other, _)| other == name) {
            Some((_, other)) => compare(&object, other, value, entries),
            None => entries.push(Entry::new(Action::Add, "setting", object, "")),
        }
    }
    for (name, _) in before.iter().filter(|(name, _)| !after.iter().any(|(other, _)| other == name)) {
        entries.push(Entry::new(Action::Remove, "setting", format!("{path} {name}"), ""));
    }
}

#[cfg(test)]
mod tests;
