//! Virtual servers and their real servers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::members::scheduler_name;
use crate::check::plan::{Plan, RealPlan, VirtualPlan};
use crate::check::status::{RealStatus, ServiceStatus, Status};
use crate::config::model::{Config, Method, Protocol, Scheduler, ServiceName, VirtualServer};
use crate::ipvs::table::Forward;
use crate::observe::services::{Checker, Name, Real, Service};

use super::quoted;

/// Time that a connection may take, and time between checks, where the file has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DELAY_LOOP: Duration = Duration::from_secs(60);

/// What `keepalived_check.data` shows; without a status everything counts as not checked yet.
pub fn services(config: &Config, status: Option<&Status>) -> Vec<Service> {
    let plan = Plan::new(config);
    let plans: BTreeMap<String, &VirtualPlan> =
        plan.services.iter().map(|service| (service.name.to_string(), &**service)).collect();
    let states: BTreeMap<String, &ServiceStatus> = status
        .into_iter()
        .flat_map(|status| &status.services)
        .map(|service| (service.name.to_string(), service))
        .collect();
    let mut shown = Vec::new();
    for server in &config.virtual_server {
        let Some(name) = ServiceName::of(server, &config.virtual_server_group) else { continue };
        let name = name.to_string();
        let Some(plan) = plans.get(&name) else { continue };
        shown.push(service(server, plan, states.get(&name).copied(), config));
    }
    shown
}

fn service(
    server: &VirtualServer,
    plan: &VirtualPlan,
    state: Option<&ServiceStatus>,
    config: &Config,
) -> Service {
    let port = server.port.unwrap_or(0);
    let name = match (server.address, server.fwmark, &server.group) {
        (_, _, Some(group)) => Name::Group(group.clone(), port),
        (_, Some(mark), None) => Name::Fwmark(mark),
        (Some(address), None, None) => Name::Address(address, port),
        // A plan has one of the three.
        (None, None, None) => Name::Fwmark(0),
    };
    let states: BTreeMap<&str, &RealStatus> =
        state.into_iter().flat_map(|state| &state.reals).map(|real| (real.name.as_str(), real)).collect();
    let connect_timeout = server.connect_timeout.map_or(CONNECT_TIMEOUT, |secs| secs.0);
    let delay_loop = server.delay_loop.map_or(DELAY_LOOP, |secs| secs.0);
    let reals = plan.reals.iter().map(|real| {
        let name = real.name().to_string();
        let mut shown = real_server(real, states.get(name.as_str()).copied());
        let block = server.real_server.iter().find(|block| server.at(block).to_string() == name);
        let own = block.and_then(|block| block.connect_timeout).map(|secs| secs.0);
        shown.connect_timeout = own.unwrap_or(connect_timeout);
        shown.delay_loop = real.checkers.first().map_or(delay_loop, |checker| checker.rules.delay_loop);
        shown
    });
    let method = server.lb_kind.map_or("NAT", method);
    Service {
        name,
        ipv6: plan.reals.first().is_some_and(|real| real.key.address.is_ipv6()),
        connect_timeout,
        delay_loop,
        scheduler: scheduler_name(server.lb_algo.unwrap_or(Scheduler::Wlc)),
        flags: [server.flag_1, server.flag_2, server.flag_3],
        ops: server.ops,
        persistence: server.persistence_timeout,
        protocol: match (server.protocol, server.fwmark) {
            (None, Some(_)) => "none",
            (Some(Protocol::Tcp), _) => "TCP",
            (Some(Protocol::Sctp), _) => "SCTP",
            (Some(Protocol::Udp) | None, _) => "UDP",
        },
        alpha: server.alpha,
        omega: server.omega,
        inhibit: server.inhibit_on_failure,
        quorum: (server.quorum.unwrap_or(1), server.hysteresis.unwrap_or(0)),
        notify: [("Quorum up", &server.quorum_up), ("Quorum down", &server.quorum_down)]
            .into_iter()
            .filter_map(|(label, command)| Some((label, quoted(command.as_ref()?))))
            .collect(),
        smtp_alert: plan.smtp_alert && !config.global_defs.notification_email.is_empty(),
        method,
        sorry: plan
            .sorry
            .as_ref()
            .map(|sorry| (sorry.key.address, sorry.key.port, forward(sorry.forward), sorry.inhibit)),
        quorum_up: state.is_none_or(|state| state.quorum_up),
        reals: reals.collect(),
    }
}

fn real_server(plan: &RealPlan, state: Option<&RealStatus>) -> Real {
    let weight = state.map_or(plan.weight, |state| state.weight);
    let alive = state.is_none_or(|state| state.up);
    // Without a status every checker is as it will begin.
    let checkers = match state {
        Some(state) => state
            .checkers
            .iter()
            .map(|checker| Checker {
                kind: checker.kind,
                up: checker.up,
                has_run: checker.known,
                took_us: checker.took_us,
            })
            .collect(),
        None => plan
            .checkers
            .iter()
            .map(|checker| Checker {
                kind: checker.kind.name(),
                up: !checker.alpha,
                has_run: false,
                took_us: 0,
            })
            .collect(),
    };
    Real {
        address: (plan.key.address, plan.port.unwrap_or(plan.key.port)),
        weight: (plan.weight, weight),
        method: forward(plan.forward),
        alpha: plan.checkers.iter().any(|checker| checker.alpha),
        connect_timeout: CONNECT_TIMEOUT,
        limits: (plan.lower_threshold, plan.upper_threshold),
        delay_loop: DELAY_LOOP,
        inhibit: plan.inhibit,
        smtp_alert: plan.smtp_alert,
        alive,
        set: alive || plan.inhibit,
        last_failure: state.and_then(|state| state.last_failure.as_ref()).map(|(words, _)| words.clone()),
        checkers,
    }
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Nat => "NAT",
        Method::Dr => "DR",
        Method::Tun => "TUN",
    }
}

const fn forward(forward: Forward) -> &'static str {
    match forward {
        Forward::Masquerade => "NAT",
        Forward::DirectRoute => "DR",
        _ => "TUN",
    }
}
