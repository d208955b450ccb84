//! What the kernel counts, and what the checkers of a real server say, beside the virtual servers that they belong to. Pure.

use std::collections::HashMap;
use std::time::Duration;

use super::ledger::{Account, Ledger, Own};
use crate::check::status::{CheckerStatus, RealStatus, ServiceStatus, Status};
use crate::control::view::{CheckerView, RealServerView, TrafficView, VirtualServerView};
use crate::ipvs::counts::{Counts, DestinationCounts, ServiceCounts, Traffic};
use crate::ipvs::table::{DestinationKey, ServiceKey};

/// Fills in what `GET /v1/real-servers` leaves out.
pub(super) fn fill(
    servers: &mut [VirtualServerView],
    status: &Status,
    counts: Option<&Counts>,
    ledger: &Ledger,
) {
    let mut books = counts.map(|counts| ledger.open(counts));
    if let Some(books) = &mut books
        && !status.services.is_empty()
    {
        books.keep_only(status);
    }
    let services: HashMap<String, &ServiceStatus> =
        status.services.iter().map(|service| (service.name.to_string(), service)).collect();
    for server in servers {
        let Some(service) = services.get(&server.name) else { continue };
        let members: Vec<(&ServiceKey, &ServiceCounts)> = counts
            .iter()
            .flat_map(|counts| service.members.iter().filter_map(|key| counts.services.get_key_value(key)))
            .collect();
        let mut own = books.as_mut().and_then(|books| books.of(&server.name, service));
        let each = members.iter().map(|(key, counts)| (**key, counts.traffic));
        server.traffic = sum(each, own.as_mut().map(|own| own.whole())).map(view);
        fill_reals(server, service, &members, counts.is_some(), own);
    }
}

fn fill_reals(
    server: &mut VirtualServerView,
    service: &ServiceStatus,
    members: &[(&ServiceKey, &ServiceCounts)],
    counted: bool,
    mut own: Option<Own<'_>>,
) {
    let mut by_name: HashMap<&str, &RealStatus> = HashMap::new();
    for (n, real) in server.real_servers.iter_mut().enumerate() {
        // Nearly always both lists are the same file's.
        let status = match service.reals.get(n).filter(|status| status.name == real.name) {
            Some(status) => Some(status),
            None => {
                if by_name.is_empty() {
                    by_name.extend(service.reals.iter().map(|real| (real.name.as_str(), real)));
                }
                by_name.get(real.name.as_str()).copied()
            }
        };
        let Some(status) = status else { continue };
        real.checkers = status.checkers.iter().map(checker).collect();
        let found = members.iter().filter_map(|(key, counts)| Some((**key, *at(counts, key, status.key)?)));
        let mut found = found.peekable();
        if found.peek().is_some() {
            let mut total = DestinationCounts::default();
            let each = found.map(|(key, one)| {
                total.active = total.active.saturating_add(one.active);
                total.inactive = total.inactive.saturating_add(one.inactive);
                (key, one.traffic)
            });
            let traffic = sum(each, own.as_mut().map(|own| own.real(&real.name)));
            total.traffic = traffic.unwrap_or_default();
            tell(real, &total);
        } else if counted && real.admin_state == "drain" {
            // What is in the kernel's table no more has none.
            (real.connections, real.active) = (Some(0), Some(0));
        }
    }
}

/// The counts of a real server in one service. Its port is that of its key, but where it takes the service's: with DR and
/// TUN in a group, or where the file names none.
fn at<'a>(
    counts: &'a ServiceCounts,
    service: &ServiceKey,
    key: DestinationKey,
) -> Option<&'a DestinationCounts> {
    let port = match service {
        ServiceKey::Address { port, .. } => *port,
        ServiceKey::Fwmark { .. } => 0,
    };
    let own = || counts.destinations.get(&DestinationKey { port, ..key });
    counts.destinations.get(&key).or_else(own)
}

fn tell(real: &mut RealServerView, counts: &DestinationCounts) {
    real.connections = Some(counts.active.saturating_add(counts.inactive));
    real.active = Some(counts.active);
    real.traffic = Some(view(counts.traffic));
}

/// The sum; of what only goes up, as the account has it where there is one.
fn sum(
    all: impl Iterator<Item = (ServiceKey, Traffic)>,
    mut account: Option<(&mut Account, bool)>,
) -> Option<Traffic> {
    let all = all.inspect(|(key, one)| {
        if let Some((account, true)) = &mut account {
            account.enter(*key, one);
        }
    });
    let sum = all.map(|(_, traffic)| traffic).reduce(|mut sum, one| {
        sum += one;
        sum
    })?;
    Some(account.map_or(sum, |(account, _)| account.instead_of(sum)))
}

const fn view(traffic: Traffic) -> TrafficView {
    TrafficView {
        connections: traffic.connections,
        packets_in: traffic.packets_in,
        packets_out: traffic.packets_out,
        bytes_in: traffic.bytes_in,
        bytes_out: traffic.bytes_out,
        connection_rate: traffic.connection_rate,
        packet_rate_in: traffic.packet_rate_in,
        packet_rate_out: traffic.packet_rate_out,
        byte_rate_in: traffic.byte_rate_in,
        byte_rate_out: traffic.byte_rate_out,
    }
}

fn checker(checker: &CheckerStatus) -> CheckerView {
    let took = |us| Duration::from_micros(us).as_secs_f64();
    CheckerView {
        kind: checker.kind.to_owned(),
        up: checker.known.then_some(checker.up),
        took: Some(checker.took_us).filter(|us| *us != 0).map(took),
        shared_by: checker.users,
    }
}
