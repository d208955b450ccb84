//! Who tracks what: from the configuration to each instance's trackers, the trackers of its sync group included, and
//! what they last said. Pure; `track` finds out what is so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::config::model::{Config, Instance, SyncGroup, Track};
use crate::net::link::{Link, Links};

pub use super::priority::{Tracker, TrackerKind, Value};

/// A tracker's last word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What it says.
    pub value: Value,
    /// What made it so, in words.
    pub why: String,
    /// Since when; `None` = since ever, as far as anybody here knows.
    pub since: Option<Instant>,
}

impl Said {
    /// A value with its reason.
    pub fn new(value: Value, why: impl Into<String>, since: Instant) -> Self {
        Self { value, why: why.into(), since: Some(since) }
    }
}

/// The last word of every tracker, by kind and name.
///
/// An interface is in it only when somebody knows better than the kernel's flags: `interface_up_down_delays` and
/// polled link beats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackerValues(BTreeMap<TrackerKind, BTreeMap<String, Said>>);

impl TrackerValues {
    /// Nobody has said anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a tracker last said; `None` = it is not watched.
    pub fn get(&self, kind: TrackerKind, name: &str) -> Option<&Said> {
        self.0.get(&kind)?.get(name)
    }

    /// Takes a word over. The same value again keeps its time; returns true when the value is another.
    pub fn set(&mut self, kind: TrackerKind, name: &str, said: Said) -> bool {
        let names = self.0.entry(kind).or_default();
        match names.get_mut(name) {
            Some(before) if before.value == said.value => {
                before.why = said.why;
                false
            }
            Some(before) => {
                *before = said;
                true
            }
            None => {
                names.insert(name.to_owned(), said);
                true
            }
        }
    }

    /// Forgets what is not kept.
    pub fn retain(&mut self, kind: TrackerKind, keep: impl Fn(&str) -> bool) {
        if let Some(names) = self.0.get_mut(&kind) {
            names.retain(|name, _| keep(name));
        }
    }

    /// All of a kind, by name.
    pub fn all(&self, kind: TrackerKind) -> impl Iterator<Item = (&str, &Said)> {
        self.0.get(&kind).into_iter().flatten().map(|(name, said)| (name.as_str(), said))
    }
}

/// One thing that an instance tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerSpec {
    /// Name of the script, interface, file, process or session.
    pub name: String,
    /// Which of them.
    pub kind: TrackerKind,
    /// -254..=254; 0 = FAULT when down.
    pub weight: i16,
    /// Swapped sense.
    pub reverse: bool,
}

impl TrackerSpec {
    /// An interface whose loss is a FAULT.
    pub fn interface(name: &str) -> Self {
        Self { name: name.to_owned(), kind: TrackerKind::Interface, weight: 0, reverse: false }
    }

    /// The tracker with its value now. What nobody watches: an interface is as the kernel says (one that does not
    /// exist is down), a file says 0, a session is down (keepalived has it so until it first comes up), and a script, a
    /// process or a quorum is unknown.
    pub fn now(&self, links: &Links, values: &TrackerValues) -> Tracker {
        let (value, why) = match (values.get(self.kind, &self.name), self.kind) {
            (Some(said), _) => (said.value, said.why.clone()),
            (None, TrackerKind::Interface) => {
                let link = links.get(&self.name);
                (Value::of(link.is_some_and(|link| link.up)), link_words(link).to_owned())
            }
            (None, TrackerKind::File) => (Value::Number(0), "not read".to_owned()),
            (None, TrackerKind::Bfd) => (Value::Down, "no session yet".to_owned()),
            (None, TrackerKind::Script | TrackerKind::Process | TrackerKind::Quorum) => {
                (Value::Unknown, String::new())
            }
        };
        let (name, kind) = (self.name.clone(), self.kind);
        Tracker { name, kind, weight: self.weight, reverse: self.reverse, value, why }
    }
}

/// Why an interface is not up, or that it is.
pub fn link_words(link: Option<&Link>) -> &'static str {
    match link {
        None => "it does not exist",
        Some(link) if link.up => "up with carrier",
        Some(link) if link.admin_up => "no carrier",
        Some(_) => "set down",
    }
}

/// All that decides on an instance besides its own interface: its trackers, whose weights count in a sync group only
/// with `sync_group_tracking_weight`, those of its group, and the other interfaces that its addresses are for.
pub fn trackers_of(instance: &Instance, config: &Config) -> Vec<TrackerSpec> {
    let group = config.vrrp_sync_group.iter().find(|group| group.group.contains(&instance.name));
    let mut specs = specs(&Lists::of(instance), config);
    if let Some(group) = group {
        specs.retain(|spec| group.sync_group_tracking_weight || spec.weight == 0);
        for spec in self::specs(&Lists::of_group(group), config) {
            add(&mut specs, spec);
        }
    }
    for interface in address_interfaces(instance) {
        add(&mut specs, TrackerSpec::interface(interface));
    }
    specs
}

/// The own tracker of a thing goes before another's of the same.
fn add(specs: &mut Vec<TrackerSpec>, spec: TrackerSpec) {
    if !specs.iter().any(|own| own.kind == spec.kind && own.name == spec.name) {
        specs.push(spec);
    }
}

/// Interfaces besides the own one that carry an address whose loss would matter (no `no_track`): while one of them is
/// missing or down the instance is in FAULT.
fn address_interfaces(instance: &Instance) -> BTreeSet<&str> {
    let addresses = instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded);
    addresses
        .filter(|address| !address.no_track)
        .filter_map(|address| address.dev.as_deref())
        .filter(|dev| *dev != instance.interface && !dev.is_empty())
        .collect()
}

/// The six lists of an instance or a group.
struct Lists<'a> {
    script: &'a [Track],
    interface: &'a [Track],
    file: &'a [Track],
    process: &'a [Track],
    bfd: &'a [Track],
    quorum: &'a [Track],
}

impl<'a> Lists<'a> {
    fn of(instance: &'a Instance) -> Self {
        Self {
            script: &instance.track_script,
            interface: &instance.track_interface,
            file: &instance.track_file,
            process: &instance.track_process,
            bfd: &instance.track_bfd,
            quorum: &instance.track_virtual_server,
        }
    }

    fn of_group(group: &'a SyncGroup) -> Self {
        Self {
            script: &group.track_script,
            interface: &group.track_interface,
            file: &group.track_file,
            process: &group.track_process,
            bfd: &group.track_bfd,
            quorum: &group.track_virtual_server,
        }
    }

    fn kind(self, kind: TrackerKind) -> &'a [Track] {
        match kind {
            TrackerKind::Script => self.script,
            TrackerKind::Interface => self.interface,
            TrackerKind::File => self.file,
            TrackerKind::Process => self.process,
            TrackerKind::Bfd => self.bfd,
            TrackerKind::Quorum => self.quorum,
        }
    }
}

/// A block with what the named thing's own block says of weight and sense.
type Block<'a> = (TrackerKind, &'a [Track], &'a dyn Fn(&str) -> Option<(i16, bool)>);

/// The trackers of six lists, with weight and sense of the place of use, else of the thing's own block. What has no
/// block of its own is left out (the front end has named it); a group's interface needs none.
fn specs(lists: &Lists<'_>, config: &Config) -> Vec<TrackerSpec> {
    let script = |name: &str| {
        let found = config.vrrp_script.iter().find(|script| script.name == name)?;
        Some((found.weight.unwrap_or(0), found.reverse))
    };
    let file = |name: &str| {
        let found = config.track_file.iter().find(|file| file.name == name)?;
        Some((found.weight.unwrap_or(1), found.reverse))
    };
    let process = |name: &str| {
        let found = config.vrrp_track_process.iter().find(|process| process.name == name)?;
        Some((found.weight.unwrap_or(0), found.reverse))
    };
    let bfd = |name: &str| {
        let found = config.bfd_instance.iter().find(|session| session.name == name)?;
        Some((found.weight.unwrap_or(0), found.reverse))
    };
    // Neither has a block that says how much it counts.
    let plain = |_: &str| Some((0, false));
    let kinds: [Block<'_>; 6] = [
        (TrackerKind::Script, lists.script, &script),
        (TrackerKind::Interface, lists.interface, &plain),
        (TrackerKind::File, lists.file, &file),
        (TrackerKind::Process, lists.process, &process),
        (TrackerKind::Bfd, lists.bfd, &bfd),
        (TrackerKind::Quorum, lists.quorum, &plain),
    ];
    let mut specs = Vec::new();
    for (kind, tracks, default) in kinds {
        specs.extend(tracks.iter().filter_map(|track| {
            let (weight, reverse) = default(&track.name)?;
            Some(TrackerSpec {
                name: track.name.clone(),
                kind,
                weight: track.weight.unwrap_or(weight),
                reverse: track.reverse.unwrap_or(reverse),
            })
        }));
    }
    specs
}

/// Names of a kind that some instance or group tracks: nobody else's script runs, nobody else's file is read.
pub fn tracked_names(kind: TrackerKind, config: &Config) -> BTreeSet<&str> {
    let instances = config.vrrp_instance.iter().map(Lists::of);
    let groups = config.vrrp_sync_group.iter().map(Lists::of_group);
    instances.chain(groups).flat_map(|lists| lists.kind(kind)).map(|track| track.name.as_str()).collect()
}

#[cfg(test)]
mod tests;
