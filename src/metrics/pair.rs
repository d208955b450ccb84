//! The other director of the pair; nothing where the file names none.

use super::Seen;
use super::text::{Family, Labels, Writer};
use crate::control::view::PairView;

/// Everything that it may be (`PairView::state`).
const STATES: [&str; 13] = [
    "agrees",
    "differs",
    "waiting",
    "unreachable",
    "silent",
    "broke_off",
    "not_authenticated",
    "other_version",
    "not_a_peer",
    "malformed",
    "refused",
    "myself",
    "closed",
];
/// Objects whose names stand in files; what commands say has no series of its own.
const KINDS: [&str; 4] = ["vrrp_instance", "vrrp_sync_group", "virtual_server_group", "virtual_server"];

pub(super) fn write(seen: &Seen, services: bool, out: &mut Writer) {
    let Some(pair) = &seen.status.pair else { return };
    let about = "The other director was heard when it was last asked";
    out.single(Family::gauge("tandem_peer_up", about), pair.problem.is_none() && pair.heard_ago.is_some());
    let about = "What is known of the other director";
    out.family(Family::states("tandem_peer_state", about)).states(&Labels::default(), &STATES, &pair.state);
    if let Some(ago) = pair.heard_ago {
        let about = "How long ago the other director was last heard";
        out.single(Family::seconds("tandem_peer_last_heard_age_seconds", about), ago);
    }
    if let Some(agrees) = pair.agrees {
        let about = "Both directors are configured alike, as last known, overrides of commands included";
        out.single(Family::gauge("tandem_peer_agrees", about), agrees);
        objects(seen, pair, services, out);
        let about = "What is not alike on both directors, by kind";
        out.family(Family::gauge("tandem_peer_differences", about));
        for kind in KINDS.iter().chain(&["override"]) {
            let count = pair.differences.iter().filter(|one| one.kind == **kind).count();
            out.sample(&Labels::of(&[("kind", kind)]), count);
        }
        out.sample(&Labels::of(&[("kind", "not_named")]), pair.more_differences);
    }
    if let Some(accepts) = pair.accepts_changes {
        let about = "The other director takes changes over the channel";
        out.single(Family::gauge("tandem_peer_accepts_changes", about), accepts);
    }
    let about = "Requests over the pair's channel, by what became of them";
    out.family(Family::counter("tandem_peer_requests", about))
        .sample(&Labels::of(&[("result", "answered")]), pair.requests_answered);
    for (name, count) in &pair.requests_refused {
        out.sample(&Labels::of(&[("result", name)]), *count);
    }
}

/// Each object with whether it is alike. Names are those of our own file; of the peer's those that the status names, bounded
/// there. Of more differences than are named, those that are not may be any.
fn objects(seen: &Seen, pair: &PairView, services: bool, out: &mut Writer) {
    let about = "An object is alike on both directors, as last known";
    out.family(Family::gauge("tandem_peer_config_agrees", about));
    let status = &seen.status;
    let instances = status.instances.iter().map(|one| (KINDS[0], one.name.as_str()));
    let groups = status.groups.iter().map(|one| (KINDS[1], one.name.as_str()));
    let servers = status.virtual_servers.iter().map(|one| (KINDS[3], one.name.as_str()));
    let own = instances.chain(groups).chain(servers.filter(|_| services));
    let differ: std::collections::BTreeSet<(&str, &str)> =
        pair.differences.iter().map(|one| (one.kind.as_str(), one.name.as_str())).collect();
    let labels = |kind: &str, name: &str| Labels::of(&[("kind", kind), ("name", name)]);
    let mut told = std::collections::BTreeSet::new();
    for (kind, name) in own {
        let alike = !differ.contains(&(kind, name));
        if (!alike || pair.more_differences == 0) && told.insert((kind, name)) {
            out.sample(&labels(kind, name), alike);
        }
    }
    for (kind, name) in differ {
        let wanted = KINDS.contains(&kind) && (services || !kind.starts_with("virtual_server"));
        if wanted && told.insert((kind, name)) {
            out.sample(&labels(kind, name), false);
        }
    }
}
