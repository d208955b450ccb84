//! What the instances of a file watch, as the file says it: own trackers, those of the sync group, and what each does
//! to the priority when it fails (keepalived's rules of `track_script`, `track_interface`, `track_file`,
//! `track_process`, `track_bfd` and `sync_group_tracking_weight`).

use crate::config::model::{Config, Instance, SyncGroup, Track};

/// What kind of thing is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `vrrp_script`.
    Script,
    /// An interface.
    Interface,
    /// A `track_file` with a number in it.
    File,
    /// A `vrrp_track_process`.
    Process,
    /// A `bfd_instance`.
    Bfd,
}

impl Kind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Interface => "interface",
            Self::File => "file",
            Self::Process => "process",
            Self::Bfd => "bfd",
        }
    }
}

/// The largest and the smallest change that is no FAULT.
const MOST: i64 = 253;

/// One tracker of an instance, with its own weight or that of the place where it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) weight: i64,
    pub(super) reverse: bool,
}

impl Spec {
    /// The own interface.
    pub(super) fn interface(name: &str) -> Self {
        Self { kind: Kind::Interface, name: name.to_owned(), weight: 0, reverse: false }
    }

    /// What a file says when it is bad: with weight 0 anything but 0 (`reverse`: 0); 1 where 1 lowers the priority;
    /// else the number that lowers it most without FAULT. 0 for whatever is no file.
    pub(super) fn bad_number(&self) -> i64 {
        let per_one = if self.reverse { -self.weight } else { self.weight };
        match (self.kind == Kind::File, per_one) {
            (false, _) => 0,
            (true, 0) => i64::from(!self.reverse),
            (true, ..0) => 1,
            (true, _) => -(MOST / per_one).max(1),
        }
    }

    /// Whether it is up. What a reversed tracker watches for is bad, so it is silent while all is well; an interface
    /// is up or down, whatever is made of it.
    fn up(&self, fails: bool) -> bool {
        if self.kind == Kind::Interface { !fails } else { fails == self.reverse }
    }

    /// What it adds to the base priority; a failing file says `number`.
    pub(super) fn contribution(&self, fails: bool, number: i64) -> i64 {
        let sign = if self.reverse { -1 } else { 1 };
        if self.kind == Kind::File {
            let number = if fails { number } else { 0 };
            return (number * self.weight * sign).min(MOST);
        }
        if (self.weight > 0) == self.up(fails) { self.weight * sign } else { 0 }
    }

    /// Why it forbids taking part, in words.
    pub(super) fn fault(&self, fails: bool, number: i64) -> Option<String> {
        let bad = match (self.kind, self.weight) {
            // Without a weight a file is good or bad, whatever its number is.
            (Kind::File, 0) => fails,
            (Kind::File, _) => self.contribution(fails, number) < -MOST,
            (_, 0) => self.up(fails) == self.reverse,
            (_, _) => false,
        };
        let what = match (self.kind, self.reverse) {
            (Kind::Interface | Kind::Bfd, false) => "is down".to_owned(),
            (Kind::Interface | Kind::Bfd, true) => "is up (reverse)".to_owned(),
            (Kind::Script | Kind::Process, false) => "failed".to_owned(),
            (Kind::Script | Kind::Process, true) => "succeeds (reverse)".to_owned(),
            (Kind::File, _) => format!("says {number}"),
        };
        bad.then(|| format!("{} {} {what}", self.kind.word(), self.name))
    }
}

/// All that decides on an instance besides its own interface: its trackers, whose weights count in a sync group only
/// with `sync_group_tracking_weight`, and those of the group.
pub(super) fn of_instance(instance: &Instance, config: &Config) -> Vec<Spec> {
    let group = config.vrrp_sync_group.iter().find(|group| group.group.contains(&instance.name));
    let mut specs = specs(config, &Lists::of(instance));
    if let Some(group) = group {
        specs.retain(|spec| group.sync_group_tracking_weight || spec.weight == 0);
        for spec in self::specs(config, &Lists::of_group(group)) {
            if !specs.iter().any(|own| own.kind == spec.kind && own.name == spec.name) {
                specs.push(spec);
            }
        }
    }
    specs
}

/// The five blocks of an instance or a group.
struct Lists<'a> {
    script: &'a [Track],
    interface: &'a [Track],
    file: &'a [Track],
    process: &'a [Track],
    bfd: &'a [Track],
}

impl<'a> Lists<'a> {
    fn of(instance: &'a Instance) -> Self {
        Self {
            script: &instance.track_script,
            interface: &instance.track_interface,
            file: &instance.track_file,
            process: &instance.track_process,
            bfd: &instance.track_bfd,
        }
    }

    fn of_group(group: &'a SyncGroup) -> Self {
        Self {
            script: &group.track_script,
            interface: &group.track_interface,
            file: &group.track_file,
            process: &group.track_process,
            bfd: &group.track_bfd,
        }
    }
}

/// Weight and sense that a tracker's own block gives.
type Own = (Option<i16>, bool);

fn specs(config: &Config, lists: &Lists<'_>) -> Vec<Spec> {
    let script = |name: &str| -> Option<Own> {
        config.vrrp_script.iter().find(|one| one.name == name).map(|one| (one.weight, one.reverse))
    };
    // A file counts each of its numbers once unless it is told otherwise.
    let file = |name: &str| -> Option<Own> {
        let found = config.track_file.iter().find(|one| one.name == name)?;
        Some((found.weight.or(Some(1)), found.reverse))
    };
    let process = |name: &str| -> Option<Own> {
        config.vrrp_track_process.iter().find(|one| one.name == name).map(|one| (one.weight, one.reverse))
    };
    let bfd = |name: &str| -> Option<Own> {
        config.bfd_instance.iter().find(|one| one.name == name).map(|one| (one.weight, one.reverse))
    };
    let interface = |_: &str| -> Option<Own> { Some((None, false)) };
    let mut all = Vec::new();
    collect(&mut all, Kind::Script, lists.script, script);
    collect(&mut all, Kind::Interface, lists.interface, interface);
    collect(&mut all, Kind::File, lists.file, file);
    collect(&mut all, Kind::Process, lists.process, process);
    collect(&mut all, Kind::Bfd, lists.bfd, bfd);
    all
}

fn collect(all: &mut Vec<Spec>, kind: Kind, tracks: &[Track], own: impl Fn(&str) -> Option<Own>) {
    all.extend(tracks.iter().filter_map(|track| {
        let (weight, reverse) = own(&track.name)?;
        Some(Spec {
            kind,
            name: track.name.clone(),
            weight: i64::from(track.weight.or(weight).unwrap_or(0)),
            reverse: track.reverse.unwrap_or(reverse),
        })
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: Kind, weight: i64, reverse: bool) -> Spec {
        Spec { kind, name: "x".to_owned(), weight, reverse }
    }

    #[test]
    fn what_each_kind_does_when_it_fails() {
        // (kind, weight, reverse), then what it adds while well, while failing, and whether failing is FAULT.
        for ((kind, weight, reverse), well, failing, fault) in [
            ((Kind::Script, 0, false), 0, 0, true),
            ((Kind::Script, 0, true), 0, 0, true),
            ((Kind::Script, 10, false), 10, 0, false),
            ((Kind::Script, -10, false), 0, -10, false),
            ((Kind::Script, 10, true), 0, -10, false),
            ((Kind::Interface, 10, false), 10, 0, false),
            ((Kind::Interface, -10, true), 0, 10, false),
            ((Kind::Process, -10, false), 0, -10, false),
            ((Kind::Bfd, 0, false), 0, 0, true),
            ((Kind::File, 0, false), 0, 0, true),
            ((Kind::File, 0, true), 0, 0, true),
            ((Kind::File, -20, false), 0, -20, false),
            ((Kind::File, 20, true), 0, -20, false),
            ((Kind::File, 1, false), 0, -253, false),
            ((Kind::File, 100, false), 0, -200, false),
            // The number times the weight at or below -254 is FAULT.
            ((Kind::File, -254, false), 0, -254, true),
            ((Kind::File, 254, false), 0, -254, true),
        ] {
            let spec = spec(kind, weight, reverse);
            let number = spec.bad_number();
            assert_eq!(spec.contribution(false, number), well, "{spec:?}");
            assert_eq!(spec.contribution(true, number), failing, "{spec:?}");
            assert_eq!(spec.fault(true, number).is_some(), fault, "{spec:?}");
            assert_eq!(spec.fault(false, number), None, "{spec:?}");
        }
    }
}
