//! Real servers: health, weights, connections, traffic. There may be ten thousand: their labels are made once.

use std::collections::BTreeSet;

use super::stamp::unix;
use super::text::{Family, Labels, Value, Writer};
use super::virtual_servers::{is_known, named, traffic};
use crate::control::view::{RealServerView, StatusView};

pub(super) fn write(status: &StatusView, out: &mut Writer) {
    let mut all: Vec<(&RealServerView, Labels, bool)> = Vec::new();
    for (service, label) in named(&status.virtual_servers) {
        let mut seen = BTreeSet::new();
        let once = service.real_servers.iter().filter(|real| seen.insert(real.name.as_str()));
        let known = is_known(service);
        all.extend(once.map(|real| (real, label.and("real_server", &real.name), known)));
    }
    let mut each = |family: Family, value: &dyn Fn(&RealServerView, bool) -> Option<Value>| {
        out.family(family);
        for (real, label, known) in &all {
            if let Some(value) = value(real, *known) {
                out.sample(label, value);
            }
        }
    };
    let about = "Its checks say that it is up; nothing where it has none, before the first result, and while they are suspended";
    each(Family::gauge("tandem_real_server_up", about), &|real, _| real.up.map(Value::from));
    let about = "Weight that new connections go by: 0 while it drains, is disabled or is down";
    each(Family::gauge("tandem_real_server_weight", about), &|real, known| known.then(|| real.weight.into()));
    let about = "Weight of the file";
    each(Family::gauge("tandem_real_server_configured_weight", about), &|real, _| {
        real.weight_configured.map(Value::from)
    });
    let about = "Active connections";
    each(Family::gauge("tandem_real_server_active_connections", about), &|real, _| {
        real.active.map(Value::from)
    });
    let about = "Inactive connections";
    each(Family::gauge("tandem_real_server_inactive_connections", about), &|real, _| {
        real.connections.zip(real.active).map(|(all, active)| all.saturating_sub(active).into())
    });
    for (family, value) in traffic("real_server") {
        each(family, &|real, _| real.traffic.as_ref().map(|traffic| value(traffic).into()));
    }
    let about = "Something is to be said of it though its checks go well: its certificate ends soon";
    each(Family::gauge("tandem_real_server_warning", about), &|real, _| {
        real.warning.as_ref().map(|_| true.into())
    });
    let about = "The weight that it has been given in the place of its block's";
    each(Family::gauge("tandem_real_server_override_weight", about), &|real, _| {
        weight(&real.overridden.as_ref()?.change).map(Value::from)
    });
    let about =
        "When the first of the certificates ends that its checks by TLS were shown, seconds since 1970";
    let family = Family::seconds("tandem_real_server_certificate_expiry_timestamp_seconds", about);
    each(family, &|real, _| real.certificate_ends.as_deref().and_then(unix).map(Value::from));
    out.family(Family::gauge("tandem_real_server_out_of_service", "A person has taken it out"));
    for (real, label, _) in all.iter().filter(|(real, ..)| real.admin_state != "enabled") {
        out.sample(&label.and("admin_state", &real.admin_state), true);
    }
    let about = "Since when a command, or a line of the file, has made it other than its block, seconds since 1970; 0 = not known";
    out.family(Family::seconds("tandem_real_server_override_since_seconds", about));
    for (real, label, _) in &all {
        if let Some(one) = &real.overridden {
            let persisted = if one.persisted { "true" } else { "false" };
            let label = label.and("change", &kinds(&one.change)).and("persisted", persisted);
            out.sample(&label, one.at.as_deref().and_then(unix).unwrap_or_default());
        }
    }
}

/// What an override does, without its figures: whoever sets a weight each minute makes no series each minute.
fn kinds(change: &str) -> String {
    const KINDS: [&str; 6] = ["add", "delete", "drain", "disabled", "enabled", "weight"];
    let said = KINDS.into_iter().filter(|kind| change.split(' ').any(|word| word == *kind));
    said.collect::<Vec<_>>().join(" ")
}

fn weight(change: &str) -> Option<u64> {
    change.split(' ').skip_while(|word| *word != "weight").nth(1)?.parse().ok()
}
