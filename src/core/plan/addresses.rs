//! The part of a plan that depends on roles: which addresses come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Basis, Entry, InstanceNow, Kind, Net, Plan, Question, Role, When};
use crate::core::settings::Setting;
use crate::net::address::{AddressKey, AddressSpec, Change, Installed, Wanted, diff};
use crate::vrrp::params::{Host, Settings, TrackerValues};
use crate::vrrp::priority::{self, TrackerKind};

/// Adds the instances and their addresses to the plan.
pub(super) fn plan(question: &Question<'_>, basis: Basis, net: &Net, plan: &mut Plan) {
    let settings = Settings::of_config(question.file, &Host::default());
    let before = question.before.map(|before| Settings::of_config(before, &Host::default()));
    let found: Vec<Found<'_>> =
        settings.iter().map(|one| Found::look(one, before.as_deref(), question.role, net)).collect();
    // As the daemon counts them: every virtual address of this file and of those before it.
    let mut ours: BTreeSet<AddressKey> = keys(&settings);
    ours.extend(before.as_deref().map(keys).unwrap_or_default());
    let of_roles: BTreeMap<AddressKey, AddressSpec> =
        found.iter().filter(|one| one.role == Role::Master).flat_map(Found::addresses).collect();
    let wanted = Wanted { generation: 1, want: of_roles.clone(), ours: ours.clone(), ..Wanted::default() };
    let now = merge(diff(&net.installed, &wanted));

    let mut everybody = of_roles.clone();
    everybody.extend(found.iter().flat_map(Found::addresses));
    let mut after = net.installed.clone();
    after.retain(|key, _| now.get(key) != Some(&Action::Remove));
    let all = Wanted { generation: 1, want: everybody.clone(), ours, ..Wanted::default() };
    let as_master = merge(diff(&after, &all));

    let mut told = BTreeSet::new();
    for one in &found {
        plan.instances.push(one.summary(net, &of_roles));
        for (key, spec) in one.settings.addresses.iter() {
            let (action, when) = match (now.get(key), as_master.get(key)) {
                (Some(action), _) => (*action, When::Now),
                (None, Some(action)) => (*action, When::AsMaster),
                (None, None) => continue,
            };
            if !told.insert(key) {
                continue;
            }
            plan.entries.push(entry(&one.settings.name, key, spec, action, when, net));
            // What goes now may come back.
            if action == Action::Remove && as_master.contains_key(key) && one.role != Role::Master {
                plan.entries.push(entry(&one.settings.name, key, spec, Action::Add, When::AsMaster, net));
            }
        }
        plan.entries.extend(similar(one.settings, net, &all));
        if basis == Basis::Start && one.present > 0 && one.role == Role::Master && !one.is_owner() {
            plan.notes.push(format!(
                "{}: a start begins as BACKUP: it takes the addresses away and brings them back when it has won the \
                 election (a reload of a running Tandem does not)",
                one.settings.name
            ));
        }
    }
    for old in before.iter().flatten() {
        for (key, spec) in old.addresses.iter() {
            if now.get(key) == Some(&Action::Remove) && told.insert(key) {
                let mut entry = entry(&old.name, key, spec, Action::Remove, When::Now, net);
                entry.cause = "the file before named it, this one does not".to_owned();
                plan.entries.push(entry);
            }
        }
    }
}

fn keys(settings: &[Settings]) -> BTreeSet<AddressKey> {
    settings.iter().flat_map(|one| one.addresses.keys().cloned()).collect()
}

/// The steps of a diff by address: what is removed and added again is changed.
fn merge(changes: Vec<Change>) -> BTreeMap<AddressKey, Action> {
    let mut merged = BTreeMap::new();
    for change in changes {
        match change {
            Change::Remove(key) => _ = merged.insert(key, Action::Remove),
            Change::Add(key, _) => {
                merged.entry(key).and_modify(|action| *action = Action::Change).or_insert(Action::Add);
            }
        }
    }
    merged
}

/// One instance and what the kernel shows of it.
struct Found<'a> {
    settings: &'a Settings,
    present: usize,
    role: Role,
    because: String,
}

impl<'a> Found<'a> {
    fn look(settings: &'a Settings, before: Option<&[Settings]>, asked: Option<Role>, net: &Net) -> Self {
        let old = before.map(|before| {
            before.iter().find(|old| old.name == settings.name).filter(|old| old.same_router(settings))
        });
        let present = settings.addresses.keys().filter(|key| net.installed.contains_key(*key)).count();
        let (role, because) = role(settings, old, asked, net);
        Self { settings, present, role, because }
    }

    fn is_owner(&self) -> bool {
        self.settings.base_priority == u8::MAX
    }

    fn addresses(&self) -> impl Iterator<Item = (AddressKey, AddressSpec)> {
        self.settings.addresses.iter().map(|(key, spec)| (key.clone(), spec.clone()))
    }

    fn summary(&self, net: &Net, of_roles: &BTreeMap<AddressKey, AddressSpec>) -> InstanceNow {
        let settings = self.settings;
        let of_this = Wanted {
            generation: 1,
            want: self.addresses().collect(),
            ours: settings.addresses.keys().cloned().collect(),
            ..Wanted::default()
        };
        let as_master = merge(diff(&net.installed, &of_this));
        let count = |wanted: Action| as_master.values().filter(|action| **action == wanted).count();
        // An address that another master of this machine carries does not go.
        let others = |key: &&AddressKey| self.role != Role::Master && of_roles.contains_key(*key);
        let there = settings.addresses.keys().filter(|key| net.installed.contains_key(*key));
        InstanceNow {
            name: settings.name.clone(),
            interface: settings.interface.clone(),
            vrid: settings.vrid,
            present: self.present,
            addresses: settings.addresses.len(),
            role: self.role,
            because: self.because.clone(),
            master_adds: count(Action::Add),
            master_changes: count(Action::Change),
            backup_removes: there.filter(|key| !others(key)).count(),
        }
    }
}

/// The role that the plan is made for. `old`: `None` = the file before is not known, `Some(None)` = it had no such
/// router.
fn role(
    settings: &Settings,
    old: Option<Option<&Settings>>,
    asked: Option<Role>,
    net: &Net,
) -> (Role, String) {
    if let Some(role) = asked {
        return (role, "as asked for".to_owned());
    }
    // What the scripts say nobody knows here; they are left out.
    let mut trackers = settings.trackers_now(&net.links, &TrackerValues::new());
    trackers.retain(|tracker| tracker.kind == TrackerKind::Interface);
    if let priority::Effective::Fault(why) = priority::effective(settings.base_priority, &trackers) {
        return (Role::Fault, why);
    }
    if settings.base_priority == u8::MAX {
        return (Role::Master, "priority 255 is MASTER at once".to_owned());
    }
    let reference = match old {
        Some(None) => return (Role::Backup, "new: it begins as BACKUP".to_owned()),
        Some(Some(old)) => &old.addresses,
        None => &settings.addresses,
    };
    let total = reference.len();
    match reference.keys().filter(|key| net.installed.contains_key(*key)).count() {
        _ if total == 0 => (Role::Backup, "it has no addresses to tell its role by".to_owned()),
        0 => (Role::Backup, "the kernel has none of its addresses".to_owned()),
        present if present == total => (Role::Master, "the kernel has all of its addresses".to_owned()),
        present => {
            (Role::Master, format!("the kernel has {present} of its {total} addresses: taken for MASTER"))
        }
    }
}

fn entry(
    instance: &str,
    key: &AddressKey,
    spec: &AddressSpec,
    action: Action,
    when: When,
    net: &Net,
) -> Entry {
    let exists = net.links.contains_key(&key.interface);
    let cause = match (action, when) {
        (Action::Add, _) if !exists => format!("it waits for {}: there is no such interface", key.interface),
        (Action::Add, When::AsMaster) => "comes when this machine becomes MASTER".to_owned(),
        (Action::Add, _) => "the kernel does not have it".to_owned(),
        (Action::Change, _) => "the kernel has it in another form; it goes for a moment".to_owned(),
        (Action::Remove | Action::Leave, _) => "its instance is not MASTER".to_owned(),
    };
    let installed = net.installed.get(key).filter(|_| action == Action::Change);
    Entry {
        kind: Kind::Address,
        action,
        when: if exists || when != When::Now || action != Action::Add { when } else { When::OnceInterface },
        subject: key.to_string(),
        of: Some(instance.to_owned()),
        detail: if action == Action::Add { words(spec) } else { String::new() },
        settings: installed.map_or_else(Vec::new, |installed| differences(key, installed, spec)),
        cause,
    }
}

/// What is there, is not ours, and could be mistaken for it: the same address elsewhere or with another prefix.
fn similar(settings: &Settings, net: &Net, all: &Wanted) -> Vec<Entry> {
    let is_other = |key: &AddressKey| !all.ours.contains(key) && !all.want.contains_key(key);
    let mut entries = Vec::new();
    for key in settings.addresses.keys() {
        for there in net.installed.keys().filter(|there| there.address == key.address && is_other(there)) {
            entries.push(Entry {
                kind: Kind::Address,
                action: Action::Leave,
                when: When::Now,
                subject: there.to_string(),
                of: Some(settings.name.clone()),
                detail: String::new(),
                settings: Vec::new(),
                cause: format!("the file says {key}, and this one is not ours"),
            });
        }
    }
    entries
}

/// What is said of an address beside its key.
fn words(spec: &AddressSpec) -> String {
    let mut words = Vec::new();
    if let Some((peer, length)) = spec.peer {
        words.push(format!("peer {peer}/{length}"));
    }
    if let Some(broadcast) = spec.broadcast {
        words.push(format!("brd {broadcast}"));
    }
    if spec.scope != 0 {
        words.push(format!("scope {}", scope(spec.scope)));
    }
    if let Some(label) = &spec.label {
        words.push(format!("label {label}"));
    }
    words.join(", ")
}

fn scope(number: u8) -> String {
    crate::config::model::Scope(number).to_string()
}

fn differences(key: &AddressKey, there: &Installed, spec: &AddressSpec) -> Vec<Setting> {
    let none = || "none".to_owned();
    let mut settings = Vec::new();
    let mut tell = |name: &str, old: String, new: String| {
        if old != new {
            settings.push(Setting::new(name, old, new));
        }
    };
    let own = || Some(key.interface.clone());
    let label = |label: Option<String>| label.or_else(own).unwrap_or_default();
    if key.address.is_ipv4() {
        tell("label", label(there.label.clone()), label(spec.label.clone()));
        tell("scope", scope(there.scope), scope(spec.scope));
    }
    let text = |address: Option<std::net::Ipv4Addr>| address.map_or_else(none, |a| a.to_string());
    tell("brd", text(there.broadcast), text(spec.broadcast));
    let peer = spec.peer.map(|(peer, _)| peer).filter(|peer| *peer != key.address);
    let text = |address: Option<std::net::IpAddr>| address.map_or_else(none, |a| a.to_string());
    tell("peer", text(there.peer), text(peer));
    if there.tentative {
        tell("duplicate address detection", "waits or failed".to_owned(), "off".to_owned());
    }
    settings
}
