//! Virtual servers: quorum, who serves, traffic, checks.

use std::collections::BTreeSet;

use super::Seen;
use super::text::{Family, Labels, Value, Writer};
use crate::control::view::{RealServerView, TrafficView, VirtualServerView};

const SERVING: [&str; 4] = ["real_servers", "sorry_pool", "sorry_server", "unknown"];
/// Where a real server stands, the first that fits.
const STANDINGS: [&str; 6] = ["up", "down", "unknown", "drain", "disabled", "deleted"];

/// Those that are told, each name once, with their labels.
pub(super) fn named(all: &[VirtualServerView]) -> Vec<(&VirtualServerView, Labels)> {
    let mut seen = BTreeSet::new();
    let once = all.iter().filter(|view| seen.insert(view.name.as_str()));
    once.map(|view| (view, Labels::of(&[("virtual_server", &view.name)]))).collect()
}

pub(super) fn write(seen: &Seen, out: &mut Writer) {
    let all = named(&seen.status.virtual_servers);
    let mut each = |family: Family, value: &dyn Fn(&VirtualServerView) -> Option<Value>| {
        out.family(family);
        for (view, label) in &all {
            if let Some(value) = value(view) {
                out.sample(label, value);
            }
        }
    };
    let about = "The quorum is reached";
    each(Family::gauge("tandem_virtual_server_quorum_up", about), &|view| {
        is_known(view).then(|| view.quorum_up.into())
    });
    let about = "The quorum that is asked for";
    each(Family::gauge("tandem_virtual_server_quorum", about), &|view| {
        is_known(view).then(|| view.quorum.into())
    });
    let about = "Sum of the weights that count for the quorum";
    each(Family::gauge("tandem_virtual_server_weight", about), &|view| {
        is_known(view).then(|| view.weight.into())
    });
    let about = "Its checks do not run here, because its address is not on this director (ha_suspend)";
    each(Family::gauge("tandem_virtual_server_suspended", about), &|view| Some(view.suspended.into()));
    for (family, value) in traffic("virtual_server") {
        each(family, &|view| view.traffic.as_ref().map(|traffic| value(traffic).into()));
    }
    out.family(Family::states("tandem_virtual_server_serving", "Who serves"));
    for (view, label) in &all {
        out.states(label, &SERVING, &view.serving);
    }
    out.family(Family::gauge("tandem_virtual_server_real_servers", "Real servers, by how they stand"));
    for (view, label) in &all {
        let mut counts = [0u64; STANDINGS.len()];
        for real in &view.real_servers {
            let at = STANDINGS.iter().position(|word| *word == standing(real));
            if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
                *count += 1;
            }
        }
        for (word, count) in STANDINGS.iter().zip(counts) {
            out.sample(&label.and("state", word), count);
        }
    }
    out.family(Family::gauge(
        "tandem_virtual_server_draining",
        "Real servers that the file names no more and that end",
    ));
    for (view, label) in &all {
        out.sample(label, view.draining.len());
    }
    checks(seen, &all, out);
}

fn checks(seen: &Seen, all: &[(&VirtualServerView, Labels)], out: &mut Writer) {
    let known = |view: &VirtualServerView| seen.checks.as_ref()?.services.get(&view.name);
    out.family(Family::counter(
        "tandem_virtual_server_check_results",
        "Results of the checks of its real servers",
    ));
    for (view, label) in all {
        if let Some(checks) = known(view) {
            out.sample(&label.and("result", "success"), checks.succeeded);
            out.sample(&label.and("result", "failure"), checks.failed);
        }
    }
    let about = "How long the checks of its real servers took";
    out.family(Family::histogram("tandem_virtual_server_check_duration_seconds", about));
    for (view, label) in all {
        let ran = known(view).filter(|checks| checks.took.cumulative.last().is_some_and(|count| *count > 0));
        if let Some(checks) = ran {
            out.spread(label, checks.took.bounds, &checks.took.cumulative, checks.took.sum);
        }
    }
}

/// The check thread has said how it stands.
pub(super) fn is_known(view: &VirtualServerView) -> bool {
    view.serving != "unknown"
}

/// What a person has said comes first; of the others, their checks.
fn standing(real: &RealServerView) -> &str {
    match (real.admin_state.as_str(), real.up) {
        ("enabled", Some(true)) => "up",
        ("enabled", Some(false)) => "down",
        ("enabled", None) => "unknown",
        (word, _) => word,
    }
}

type Reading = fn(&TrafficView) -> u64;

/// What the kernel counts, as families of one kind of server.
pub(super) fn traffic(of: &str) -> [(Family, Reading); 5] {
    let connections = "Connections that the kernel has sent there";
    let (packets_in, packets_out) = ("Packets from clients", "Packets to clients; 0 with DR and TUN");
    let (bytes_in, bytes_out) = ("Bytes from clients", "Bytes to clients; 0 with DR and TUN");
    if of == "virtual_server" {
        [
            (Family::counter("tandem_virtual_server_connections", connections), |t| t.connections),
            (Family::counter("tandem_virtual_server_incoming_packets", packets_in), |t| t.packets_in),
            (Family::counter("tandem_virtual_server_outgoing_packets", packets_out), |t| t.packets_out),
            (Family::bytes_counter("tandem_virtual_server_incoming_bytes", bytes_in), |t| t.bytes_in),
            (Family::bytes_counter("tandem_virtual_server_outgoing_bytes", bytes_out), |t| t.bytes_out),
        ]
    } else {
        [
            (Family::counter("tandem_real_server_connections", connections), |t| t.connections),
            (Family::counter("tandem_real_server_incoming_packets", packets_in), |t| t.packets_in),
            (Family::counter("tandem_real_server_outgoing_packets", packets_out), |t| t.packets_out),
            (Family::bytes_counter("tandem_real_server_incoming_bytes", bytes_in), |t| t.bytes_in),
            (Family::bytes_counter("tandem_real_server_outgoing_bytes", bytes_out), |t| t.bytes_out),
        ]
    }
}
