//! VRRP instances: states, priorities, adverts, trackers, peers.

use std::collections::BTreeSet;

use super::stamp::unix;
use super::text::{Family, Labels, Writer};
use crate::control::view::{InstanceView, StatusView};

const STATES: [&str; 4] = ["INIT", "BACKUP", "MASTER", "FAULT"];

/// An instance with its label.
struct One<'a> {
    view: &'a InstanceView,
    label: Labels,
}

pub(super) fn write(status: &StatusView, out: &mut Writer) {
    let mut seen = BTreeSet::new();
    let all: Vec<One<'_>> = status
        .instances
        .iter()
        // Two series of one name would make the whole text unreadable.
        .filter(|view| seen.insert(view.name.as_str()))
        .map(|view| One { view, label: Labels::of(&[("vrrp_instance", &view.name)]) })
        .collect();
    out.family(Family::info("tandem_vrrp_instance", "What a VRRP instance is"));
    for One { view, label } in &all {
        let label = label
            .and("interface", &view.interface)
            .and("vrid", &view.vrid.to_string())
            .and("version", &view.version.to_string())
            .and("family", &view.family)
            .and("group", view.group.as_deref().unwrap_or_default());
        out.said(&label);
    }
    out.family(Family::states("tandem_vrrp_state", "State of a VRRP instance"));
    for One { view, label } in &all {
        out.states(label, &STATES, &view.state);
    }
    let at = unix(&status.at).unwrap_or_default();
    each(
        out,
        &all,
        Family::seconds("tandem_vrrp_state_since_seconds", "Since when, seconds since 1970"),
        |view| Some(view.master_since.as_deref().and_then(unix).unwrap_or(at - view.in_state)),
    );
    let about = "Its addresses should be on this machine";
    each(out, &all, Family::gauge("tandem_vrrp_addresses_wanted", about), |view| Some(view.wants_addresses));
    each(out, &all, Family::gauge("tandem_vrrp_priority", "Effective priority"), |view| Some(view.priority));
    let about = "Configured priority";
    each(out, &all, Family::gauge("tandem_vrrp_base_priority", about), |view| Some(view.base_priority));
    out.family(Family::counter("tandem_vrrp_transitions", "Changes of state, by cause"));
    for One { view, label } in &all {
        for (cause, count) in &view.transitions {
            out.sample(&label.and("cause", cause), *count);
        }
    }
    let about = "Changes of state, whatever their cause";
    each(out, &all, Family::counter("tandem_vrrp_state_changes", about), |view| {
        Some(view.transitions.values().sum::<u64>())
    });
    let about = "How often it became master";
    each(out, &all, Family::counter("tandem_vrrp_became_master", about), |view| {
        Some(view.counters.became_master)
    });
    let about = "An order of a person is in force";
    out.family(Family::gauge("tandem_vrrp_order", about));
    for One { view, label } in &all {
        if let Some(order) = &view.order {
            out.sample(&label.and("order", &order.order), true);
        }
    }
    adverts(&all, out);
    trackers(&all, out);
    out.family(Family::states("tandem_vrrp_group_state", "State of a sync group"));
    for group in &status.groups {
        out.states(&Labels::of(&[("vrrp_group", &group.name)]), &STATES, &group.state);
    }
}

/// One sample for each instance that has a value.
fn each<V: Into<super::text::Value>>(
    out: &mut Writer,
    all: &[One<'_>],
    family: Family,
    value: impl Fn(&InstanceView) -> Option<V>,
) {
    out.family(family);
    for One { view, label } in all {
        if let Some(value) = value(view) {
            out.sample(label, value);
        }
    }
}

fn adverts(all: &[One<'_>], out: &mut Writer) {
    let about = "Adverts that were sent";
    each(out, all, Family::counter("tandem_vrrp_adverts_sent", about), |view| {
        Some(view.counters.adverts_sent)
    });
    let about = "Adverts that were received and accepted";
    each(out, all, Family::counter("tandem_vrrp_adverts_received", about), |view| {
        Some(view.counters.adverts_received)
    });
    let about = "Adverts that were received and refused, by reason";
    out.family(Family::counter("tandem_vrrp_adverts_discarded", about));
    for One { view, label } in all {
        for (reason, count) in &view.refused {
            out.sample(&label.and("reason", reason), *count);
        }
    }
    let about = "Sent adverts of priority 0: a master that leaves";
    each(out, all, Family::counter("tandem_vrrp_zero_priority_sent", about), |view| {
        Some(view.counters.zero_sent)
    });
    let about = "Accepted adverts of priority 0";
    each(out, all, Family::counter("tandem_vrrp_zero_priority_received", about), |view| {
        Some(view.counters.zero_received)
    });
    let about = "Time between adverts, as the master counts";
    each(out, all, Family::seconds("tandem_vrrp_advert_interval_seconds", about), |view| {
        Some(view.advert_interval)
    });
    let about = "After that time without an advert a backup takes over";
    each(out, all, Family::seconds("tandem_vrrp_down_interval_seconds", about), |view| {
        Some(view.down_interval)
    });
    let about = "Time since any other router's last advert was accepted";
    each(out, all, Family::seconds("tandem_vrrp_last_advert_age_seconds", about), |view| {
        view.peers.iter().map(|peer| peer.ago).reduce(f64::min)
    });
    peers(all, out);
}

/// A peer is told for so many master-down intervals after its last advert, or so many seconds: an address that was heard once
/// is no peer for ever.
const PEER_FOR: (f64, f64) = (3.0, 15.0);

/// Who else was heard lately, each address once.
fn peers(all: &[One<'_>], out: &mut Writer) {
    let of = |one: &One<'_>| {
        let mut seen = BTreeSet::new();
        let lately = (PEER_FOR.0 * one.view.down_interval).max(PEER_FOR.1);
        let peers = one.view.peers.iter().filter(|peer| peer.ago <= lately);
        let peers = peers.filter(|peer| seen.insert(peer.address.clone()));
        peers.map(|peer| (one.label.and("peer", &peer.address), peer.clone())).collect::<Vec<_>>()
    };
    let peers: Vec<_> = all.iter().flat_map(of).collect();
    out.family(Family::seconds(
        "tandem_vrrp_peer_last_advert_age_seconds",
        "Time since a peer's last accepted advert",
    ));
    for (label, peer) in &peers {
        out.sample(label, peer.ago);
    }
    out.family(Family::gauge("tandem_vrrp_peer_priority", "Priority of a peer's last accepted advert"));
    for (label, peer) in &peers {
        out.sample(label, peer.priority);
    }
    out.family(Family::counter("tandem_vrrp_peer_adverts_received", "Accepted adverts of a peer"));
    for (label, peer) in &peers {
        out.sample(label, peer.adverts);
    }
}

fn trackers(all: &[One<'_>], out: &mut Writer) {
    let of = |one: &One<'_>| {
        let mut seen = BTreeSet::new();
        let trackers =
            one.view.trackers.iter().filter(|one| seen.insert((one.kind.clone(), one.name.clone())));
        let labelled = |tracker: &crate::control::view::TrackerView| {
            (one.label.and("kind", &tracker.kind).and("tracker", &tracker.name), tracker.clone())
        };
        trackers.map(labelled).collect::<Vec<_>>()
    };
    let trackers: Vec<_> = all.iter().flat_map(of).collect();
    let about =
        "What an instance watches: 1 up, 0 down, the number of a track_file; nothing while it is not known";
    out.family(Family::gauge("tandem_vrrp_tracker_value", about));
    for (label, tracker) in &trackers {
        let value = match tracker.value.as_str() {
            "up" => Some(1),
            "down" => Some(0),
            number => number.parse::<i64>().ok(),
        };
        if let Some(value) = value {
            out.sample(label, value);
        }
    }
    let about = "What it adds to the configured priority now";
    out.family(Family::gauge("tandem_vrrp_tracker_contribution", about));
    for (label, tracker) in &trackers {
        out.sample(label, tracker.contribution);
    }
}
