//! Instances: what the vrrp thread says of each, and what its block says. Pure.

use std::collections::HashMap;
use std::time::Instant;

use super::stamp;
use crate::config::model::{Config, Instance, VrrpVersion};
use crate::control::view::{CountersView, InstanceView, PeerView, TrackerView, TransitionView};
use crate::core::orders;
use crate::vrrp::machine::StateName;
use crate::vrrp::priority::{Tracker, TrackerKind, Value, contribution};
use crate::vrrp::status::{Counters, InstanceStatus, Passed, Peer, Status};

/// The instances, in the order of the vrrp thread, which is that of the file.
/// `running`: seconds since this process began, which is how long one without a transition has been as it is.
pub(super) fn views(status: &Status, config: &Config, running: f64) -> Vec<InstanceView> {
    let blocks: HashMap<&str, &Instance> =
        config.vrrp_instance.iter().map(|block| (block.name.as_str(), block)).collect();
    let of = |one| view(one, status, &blocks, running);
    status.instances.iter().map(of).collect()
}

/// A state by its word; one that has ended is as one that has not begun.
pub(super) const fn state(state: StateName) -> &'static str {
    match state {
        StateName::Init | StateName::Stopped => "INIT",
        StateName::Backup => "BACKUP",
        StateName::Master => "MASTER",
        StateName::Fault => "FAULT",
    }
}

fn view(
    one: &InstanceStatus,
    status: &Status,
    blocks: &HashMap<&str, &Instance>,
    running: f64,
) -> InstanceView {
    let settings = &*one.settings;
    // A reload may lie between the two: then there are no addresses to tell of until the next look.
    let block = blocks.get(settings.name.as_str());
    let addresses = block
        .iter()
        .flat_map(|block| block.virtual_ipaddress.iter().chain(&block.virtual_ipaddress_excluded));
    InstanceView {
        name: settings.name.clone(),
        state: state(one.state).to_owned(),
        wants_master: one.wants_master,
        interface: settings.interface.clone(),
        vrid: settings.vrid,
        version: if settings.version == VrrpVersion::V2 { 2 } else { 3 },
        family: if settings.ipv6 { "inet6" } else { "inet" }.to_owned(),
        group: settings.group.clone(),
        own_address: one.own.map(|address| address.to_string()),
        priority: one.priority,
        own_priority: one.own_priority,
        base_priority: settings.base_priority,
        trackers: one.trackers.iter().map(tracker).collect(),
        fault: one.fault.clone().or_else(|| one.socket_error.clone()),
        addresses: addresses.map(ToString::to_string).collect(),
        wants_addresses: one.wants_addresses,
        peers: peers(one, status.at),
        advert_interval: one.master_interval.as_secs_f64(),
        down_interval: one.down_interval.as_secs_f64(),
        last: one.last.as_ref().map(|last| transition(last, status)),
        in_state: one
            .last
            .as_ref()
            .map_or(running, |last| status.at.saturating_duration_since(last.at).as_secs_f64()),
        // The journal knows.
        master_since: None,
        order: one.order.as_ref().map(|order| orders::view(order, status.at)),
        counters: counters(&one.counters),
        refused: one.refused.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        transitions: one.transitions.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
    }
}

/// Who was heard, the last one first.
fn peers(one: &InstanceStatus, now: Instant) -> Vec<PeerView> {
    let mut heard: Vec<_> = one.peers.iter().collect();
    heard.sort_by_key(|peer| std::cmp::Reverse(peer.at));
    let view = |peer: &Peer| PeerView {
        address: peer.address.to_string(),
        priority: peer.priority,
        ago: now.saturating_duration_since(peer.at).as_secs_f64(),
        adverts: peer.adverts,
    };
    heard.into_iter().map(view).collect()
}

fn tracker(tracker: &Tracker) -> TrackerView {
    TrackerView {
        kind: match tracker.kind {
            TrackerKind::Script => "script",
            TrackerKind::Interface => "interface",
            TrackerKind::File => "file",
            TrackerKind::Process => "process",
            TrackerKind::Bfd => "bfd",
            TrackerKind::Quorum => "virtual_server",
        }
        .to_owned(),
        name: tracker.name.clone(),
        value: match tracker.value {
            Value::Up => "up".to_owned(),
            Value::Down => "down".to_owned(),
            Value::Unknown => "unknown".to_owned(),
            Value::Number(number) => number.to_string(),
        },
        weight: tracker.weight,
        reverse: tracker.reverse,
        contribution: contribution(tracker),
        why: tracker.why.clone(),
    }
}

fn transition(last: &Passed, status: &Status) -> TransitionView {
    let ago = status.at.saturating_duration_since(last.at);
    TransitionView {
        from: state(last.transition.from).to_owned(),
        to: state(last.transition.to).to_owned(),
        at: stamp(last.since_1970),
        ago: ago.as_secs_f64(),
        cause: last.cause().name().to_owned(),
        why: last.sentence(),
    }
}

const fn counters(counters: &Counters) -> CountersView {
    CountersView {
        adverts_received: counters.received,
        adverts_sent: counters.sent,
        became_master: counters.became_master,
        released_master: counters.released_master,
        zero_received: counters.zero_received,
        zero_sent: counters.zero_sent,
    }
}
