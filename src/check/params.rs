//! From the configuration to a [`Plan`]: every default resolved, so that nothing behind this file knows of inheritance.
//!
//! A value comes from the checker, else its real server, else its virtual server, else the checker's own default.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

mod http;
mod inherit;
mod probes;

use super::plan::{Plan, RealPlan, SorryPlan, VirtualPlan};
use super::quorum;
use crate::config::model::{Config, Global, Method, Protocol, RealServer, Scheduler, VirtualServer};
use inherit::{Inherit, written};

use crate::ipvs::table::{self, DestinationKey, Family, Forward, Persistence, Service, ServiceKey};

/// Persistence that port 0 and a bare `persistence_granularity` bring with them, seconds.
const PERSISTENCE: u32 = 360;
impl Plan {
    /// Resolves a configuration. Objects that cannot be run are left out: a virtual server without address and mark,
    /// without real servers, or with the key of an earlier one; a real server with the key of an earlier one.
    pub fn new(config: &Config) -> Self {
        let mut keys = BTreeSet::new();
        let services = config
            .virtual_server
            .iter()
            .filter_map(|server| virtual_plan(config, server))
            .filter(|plan| keys.insert(plan.key))
            .collect();
        Self { services }
    }

    /// Number of checkers.
    pub fn checkers(&self) -> usize {
        self.services.iter().flat_map(|s| &s.reals).map(|r| r.checkers.len()).sum()
    }
}

fn virtual_plan(config: &Config, server: &VirtualServer) -> Option<VirtualPlan> {
    let global = &config.global_defs;
    let key = service_key(server)?;
    let mut keys = BTreeSet::new();
    let reals: Vec<RealPlan> = server
        .real_server
        .iter()
        .map(|real| real_plan(config, server, &key, real))
        .filter(|plan| keys.insert(plan.key))
        .collect();
    if reals.is_empty() {
        return None;
    }
    let sum = reals.iter().fold(0u32, |sum, real| sum.saturating_add(real.weight));
    let sorry = server.sorry_server.as_ref().map(|sorry| {
        let forward = forward(server.sorry_server_lvs_method.or(server.lb_kind));
        SorryPlan {
            key: destination_key(&key, forward, sorry.address, sorry.port),
            forward,
            inhibit: server.sorry_server_inhibit,
        }
    });
    Some(VirtualPlan {
        service: Service {
            scheduler: scheduler_name(server.lb_algo.unwrap_or(Scheduler::Wlc)).to_owned(),
            persistence: persistence(server, &key),
            one_packet: server.ops,
            scheduler_flags: 0,
        },
        key,
        quorum: quorum::Rules::corrected(server.quorum.unwrap_or(1), server.hysteresis.unwrap_or(0), sum),
        quorum_up: server.quorum_up.clone(),
        quorum_down: server.quorum_down.clone(),
        omega: server.omega,
        smtp_alert: alert(server.smtp_alert, global, false),
        sorry,
        reals,
    })
}

/// keepalived's order: the object's own word, the checkers' default, the general default, and what nobody asked for
/// (on for real servers, off for virtual servers).
fn alert(own: Option<bool>, global: &Global, default: bool) -> bool {
    own.or(global.smtp_alert_checker).or(global.smtp_alert).unwrap_or(default)
}

fn service_key(server: &VirtualServer) -> Option<ServiceKey> {
    if let Some(mark) = server.fwmark.filter(|mark| *mark != 0) {
        let ipv6 = server.real_server.first().is_some_and(|real| real.address.is_ipv6());
        return Some(ServiceKey::Fwmark { family: if ipv6 { Family::V6 } else { Family::V4 }, mark });
    }
    let protocol = match server.protocol {
        Some(Protocol::Tcp) => table::Protocol::Tcp,
        Some(Protocol::Sctp) => table::Protocol::Sctp,
        Some(Protocol::Udp) | None => table::Protocol::Udp,
    };
    Some(ServiceKey::Address { protocol, address: server.address?, port: server.port.unwrap_or(0) })
}

/// A client stays where it is when the file says so, and with port 0, where the kernel asks for it.
fn persistence(server: &VirtualServer, key: &ServiceKey) -> Option<Persistence> {
    let any_port = matches!(key, ServiceKey::Address { port: 0, .. });
    let implied = (any_port || server.persistence_granularity.is_some()).then_some(PERSISTENCE);
    let timeout = server.persistence_timeout.filter(|secs| *secs > 0).or(implied)?;
    let whole = match key.family() {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let granularity = server.persistence_granularity.unwrap_or(whole).clamp(1, whole);
    Some(Persistence { timeout, granularity })
}

/// The kernel's name of a scheduler.
pub const fn scheduler_name(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Rr => "rr",
        Scheduler::Wrr => "wrr",
        Scheduler::Lc => "lc",
        Scheduler::Wlc => "wlc",
        Scheduler::Lblc => "lblc",
        Scheduler::Lblcr => "lblcr",
        Scheduler::Sh => "sh",
        Scheduler::Mh => "mh",
        Scheduler::Dh => "dh",
        Scheduler::Fo => "fo",
        Scheduler::Ovf => "ovf",
        Scheduler::Sed => "sed",
        Scheduler::Nq => "nq",
        Scheduler::Twos => "twos",
    }
}

fn forward(method: Option<Method>) -> Forward {
    match method {
        None | Some(Method::Nat) => Forward::Masquerade,
        Some(Method::Dr) => Forward::DirectRoute,
        Some(Method::Tun) => Forward::Tunnel,
    }
}

const fn service_port(key: &ServiceKey) -> u16 {
    match key {
        ServiceKey::Address { port, .. } => *port,
        ServiceKey::Fwmark { .. } => 0,
    }
}

/// DR and TUN leave the packet's port alone, so their destinations have the service's port (0 = any, with a mark).
fn destination_key(key: &ServiceKey, forward: Forward, address: IpAddr, port: Option<u16>) -> DestinationKey {
    let port = match forward {
        Forward::Masquerade | Forward::Local => written(port).unwrap_or(service_port(key)),
        Forward::DirectRoute | Forward::Tunnel => service_port(key),
    };
    DestinationKey { address, port }
}

fn real_plan(config: &Config, server: &VirtualServer, key: &ServiceKey, real: &RealServer) -> RealPlan {
    let global = &config.global_defs;
    let forward = forward(real.lvs_method.or(server.lb_kind));
    // Checks go to the port that is written, also where DR or TUN make no use of it.
    let own = SocketAddr::new(real.address, written(real.port).unwrap_or(service_port(key)));
    let inherit = Inherit { config, server, real, own };
    let checkers = inherit.checkers().into_iter().map(Arc::new).collect();
    RealPlan {
        key: destination_key(key, forward, real.address, real.port),
        name: own.to_string(),
        forward,
        weight: u32::from(real.weight.or(server.weight).unwrap_or(1)),
        upper_threshold: real.uthreshold.unwrap_or(0),
        lower_threshold: real.lthreshold.unwrap_or(0),
        inhibit: real.inhibit_on_failure.unwrap_or(server.inhibit_on_failure),
        notify_up: real.notify_up.clone(),
        notify_down: real.notify_down.clone(),
        smtp_alert: alert(real.smtp_alert, global, true),
        checkers,
    }
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
