//! What is tracked, and by whom.

use std::time::Duration;

use crate::bfd::report::SessionStates;
use crate::config::model::{Config, ParamMatch, Track};
use crate::net::link::Links;
use crate::observe::data::{File, Interface, Process, Script, Session};
use crate::vrrp::params::TrackerValues;
use crate::vrrp::priority::{TrackerKind, Value};

use super::quoted;

/// What a `track_file` without a weight counts with.
pub(super) fn file_weight(config: &Config, name: &str) -> i16 {
    config.track_file.iter().find(|file| file.name == name).and_then(|file| file.weight).unwrap_or(1)
}

/// The weight of a `vrrp_track_process`.
pub(super) fn process_weight(config: &Config, name: &str) -> i16 {
    let block = config.vrrp_track_process.iter().find(|process| process.name == name);
    block.and_then(|process| process.weight).unwrap_or(0)
}

/// The weight of a `bfd_instance`.
pub(super) fn session_weight(config: &Config, name: &str) -> i16 {
    config.bfd_instance.iter().find(|session| session.name == name).and_then(|s| s.weight).unwrap_or(0)
}

/// Which instances track something of this name, and with what weight.
fn by<'a>(
    config: &'a Config,
    list: impl Fn(&'a crate::config::model::Instance) -> &'a [Track],
    name: &str,
    weight: i16,
) -> Vec<(String, i16)> {
    let found = |instance: &'a crate::config::model::Instance| {
        let track = list(instance).iter().find(|track| track.name == name)?;
        Some((instance.name.clone(), track.weight.unwrap_or(weight)))
    };
    config.vrrp_instance.iter().filter_map(found).collect()
}

pub(super) fn scripts(config: &Config, values: &TrackerValues) -> Vec<Script> {
    let all = config.vrrp_script.iter().map(|block| {
        let said = values.get(TrackerKind::Script, &block.name);
        let weight = block.weight.unwrap_or(0);
        let interval = block.interval.map_or(Duration::from_secs(1), |secs| secs.0);
        Script {
            name: block.name.clone(),
            command: quoted(&block.script),
            interval: (interval, block.timeout.map_or(Duration::ZERO, |secs| secs.0)),
            weight,
            rise_fall: (block.rise.unwrap_or(1), block.fall.unwrap_or(1)),
            good: said.and_then(|said| said.value.up()),
            why: said.map(|said| said.why.clone()).unwrap_or_default(),
            tracked_by: by(config, |instance| &instance.track_script, &block.name, weight),
        }
    });
    all.collect()
}

pub(super) fn files(config: &Config, values: &TrackerValues) -> Vec<File> {
    let all = config.track_file.iter().map(|block| {
        let weight = block.weight.unwrap_or(1);
        File {
            name: block.name.clone(),
            path: block.file.clone(),
            status: match values.get(TrackerKind::File, &block.name).map(|said| said.value) {
                Some(Value::Number(number)) => Some(number),
                _ => None,
            },
            weight,
            tracked_by: by(config, |instance| &instance.track_file, &block.name, weight),
        }
    });
    all.collect()
}

pub(super) fn processes(config: &Config, values: &TrackerValues) -> Vec<Process> {
    let all = config.vrrp_track_process.iter().map(|block| {
        let weight = block.weight.unwrap_or(0);
        let up = values.get(TrackerKind::Process, &block.name).and_then(|said| said.value.up());
        let delay = |secs: Option<crate::config::units::Secs>| secs.map_or(Duration::ZERO, |secs| secs.0);
        Process {
            name: block.name.clone(),
            process: block.process.first().cloned().unwrap_or_default(),
            parameters: block.process.iter().skip(1).cloned().collect(),
            param_match: block.param_match.map(|how| match how {
                ParamMatch::Initial => "initial",
                ParamMatch::Partial => "partial",
            }),
            bounds: (block.quorum.unwrap_or(1), block.quorum_max),
            have_quorum: up == Some(true),
            current: None,
            weight,
            delays: (delay(block.terminate_delay), delay(block.fork_delay)),
            full_command: block.full_command,
            tracked_by: by(config, |instance| &instance.track_process, &block.name, weight),
        }
    });
    all.collect()
}

pub(super) fn sessions(config: &Config, states: &SessionStates) -> Vec<Session> {
    let all = config.bfd_instance.iter().filter(|block| block.vrrp || !block.checker).map(|block| {
        let weight = block.weight.unwrap_or(0);
        Session {
            name: block.name.clone(),
            weight,
            up: states.get(&block.name).is_some_and(|at| at.up),
            tracked_by: by(config, |instance| &instance.track_bfd, &block.name, weight),
        }
    });
    all.collect()
}

/// Interfaces that an instance is on or tracks: of thousands of others nobody wants to read.
pub(super) fn interfaces(config: &Config, links: &Links) -> Vec<Interface> {
    let mut all: Vec<Interface> = Vec::new();
    for link in links.values() {
        let mut tracked_by = by(config, |instance| &instance.track_interface, &link.name, 0);
        let on = config.vrrp_instance.iter().filter(|instance| instance.interface == link.name);
        for instance in on {
            if !tracked_by.iter().any(|(name, _)| *name == instance.name) {
                tracked_by.push((instance.name.clone(), 0));
            }
        }
        if tracked_by.is_empty() {
            continue;
        }
        all.push(Interface {
            name: link.name.clone(),
            index: link.index,
            addresses: (
                link.addresses.iter().map(|at| at.address).find(|at| at.is_ipv4()),
                link.primary(true, |_| false),
            ),
            mac: link.mac,
            up: (link.admin_up, link.up),
            loopback: link.loopback,
            mtu: link.mtu,
            tracked_by,
        });
    }
    all.sort_by_key(|interface| interface.index);
    all
}
