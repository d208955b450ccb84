//! From a virtual server of the configuration to its [`VirtualPlan`]: every default resolved, so that nothing behind this file knows of
//! inheritance.
//!
//! A value comes from the checker, else its real server, else its virtual server, else the checker's own default.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

mod http;
mod inherit;
mod pools;
mod probes;

use super::damping;
use super::identity::Identity;
use super::members::{self, forward, service_port};
use super::plan::{RealPlan, RealRules, SorryPlan, VirtualPlan};
use super::quorum;
use super::tiers;
use crate::config::model::{Config, FlapDamping, Global, RealServer, TierMode, VirtualServer};
use crate::ipvs::table::{DestinationKey, Forward};
use inherit::{Inherit, written};
pub(super) use pools::Pools;

/// `tier_hysteresis` where the file has none, percent.
const TIER_HYSTERESIS: u8 = 10;
/// `drain_timeout` where the file has none.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);
/// The first hold of `flap_damping` where the file has none.
const DAMPING_HOLD: Duration = Duration::from_secs(60);

pub(super) fn virtual_plan(config: &Config, server: &VirtualServer, pools: &Pools) -> Option<VirtualPlan> {
    let global = &config.global_defs;
    let (name, members) = members::of(server, &config.virtual_server_group)?;
    let mut keys = BTreeSet::new();
    // Whatever numbers the file has: the least is the first tier.
    let tiers: BTreeSet<u16> =
        server.real_server.iter().filter(|real| !real.sorry).map(|real| real.tier.unwrap_or(1)).collect();
    let mut reals: Vec<RealPlan> = server
        .real_server
        .iter()
        .map(|real| real_plan(config, server, &name, real, tier(&tiers, real), pools))
        .filter(|plan| keys.insert(plan.key))
        .collect();
    if reals.is_empty() {
        return None;
    }
    reals.shrink_to_fit();
    let sum = reals.iter().filter(|real| !real.sorry).fold(0u32, |sum, real| sum.saturating_add(real.weight));
    let sorry = server.sorry_server.as_ref().map(|sorry| {
        let forward = match server.sorry_server_lvs_method {
            None => forward(server.lb_kind, server.tunnel.as_ref()),
            own => forward(own, server.sorry_server_tunnel.as_ref()),
        };
        SorryPlan {
            key: key_in(&name, forward, sorry.address, sorry.port),
            port: port_in(&name, sorry.port),
            forward,
            inhibit: server.sorry_server_inhibit,
        }
    });
    Some(VirtualPlan {
        name,
        number: 0,
        members,
        // keepalived has it for addresses alone.
        suspend: server.address.filter(|_| server.ha_suspend && server.fwmark.is_none()),
        quorum: quorum::Rules::corrected(server.quorum.unwrap_or(1), server.hysteresis.unwrap_or(0), sum),
        quorum_up: server.quorum_up.clone(),
        quorum_down: server.quorum_down.clone(),
        omega: server.omega,
        smtp_alert: alert(server.smtp_alert, global, false),
        sorry,
        tier_count: tiers.len().max(1),
        tiers: tiers::Rules {
            least: u32::from(server.tier_min_weight.unwrap_or(0)),
            hysteresis: u32::from(server.tier_hysteresis.unwrap_or(TIER_HYSTERESIS)),
            mode: match server.tier_mode {
                None | Some(TierMode::TakeOver) => tiers::Mode::TakeOver,
                Some(TierMode::Join) => tiers::Mode::Join,
            },
        },
        drain: server
            .drain_on_removal
            .then(|| inherit::first_limit([server.drain_timeout]).unwrap_or(DRAIN_TIMEOUT)),
        reals,
    })
}

/// The index of a real server's tier.
fn tier(tiers: &BTreeSet<u16>, real: &RealServer) -> usize {
    tiers.range(..real.tier.unwrap_or(1)).count()
}

fn damping(damping: FlapDamping) -> damping::Rules {
    damping::Rules {
        flips: damping.flips,
        within: damping.within.0,
        hold: damping.hold.map_or(DAMPING_HOLD, |hold| hold.0),
    }
}

/// keepalived's order: the object's own word, the checkers' default, the general default, and what nobody asked for
/// (on for real servers, off for virtual servers).
fn alert(own: Option<bool>, global: &Global, default: bool) -> bool {
    own.or(global.smtp_alert_checker).or(global.smtp_alert).unwrap_or(default)
}

/// A server's key in its virtual server: that of the service, or in a group what the file says.
fn key_in(name: &Identity, forward: Forward, address: IpAddr, port: Option<u16>) -> DestinationKey {
    match name {
        Identity::Service(key) => members::destination_key(key, forward, address, written(port)),
        Identity::Group { .. } => DestinationKey { address, port: port.unwrap_or(0) },
    }
}

/// The port of a server's destinations: what the file says; in a group without a word 0, the packet's own, as
/// keepalived has it.
fn port_in(name: &Identity, port: Option<u16>) -> Option<u16> {
    match name {
        Identity::Service(_) => written(port),
        Identity::Group { .. } => Some(port.unwrap_or(0)),
    }
}

fn real_plan(
    config: &Config,
    server: &VirtualServer,
    name: &Identity,
    real: &RealServer,
    tier: usize,
    pools: &Pools,
) -> RealPlan {
    let global = &config.global_defs;
    let forward = match real.lvs_method {
        None => forward(server.lb_kind, server.tunnel.as_ref()),
        own => forward(own, real.tunnel.as_ref()),
    };
    let default_port = match name {
        Identity::Service(key) => service_port(key),
        Identity::Group { .. } => 0,
    };
    // Checks go to the port that is written, also where DR or TUN make no use of it.
    let own = SocketAddr::new(real.address, written(real.port).unwrap_or(default_port));
    let inherit = Inherit { config, server, real, own, pools };
    let rules = RealRules {
        forward,
        weight: u32::from(real.weight.or(server.weight).unwrap_or(1)),
        upper_threshold: real.uthreshold.unwrap_or(0),
        lower_threshold: real.lthreshold.unwrap_or(0),
        inhibit: real.inhibit_on_failure.unwrap_or(if real.sorry {
            server.sorry_server_inhibit
        } else {
            server.inhibit_on_failure
        }),
        tier,
        sorry: real.sorry,
        state: real.admin_state.unwrap_or_default(),
        slow_start: inherit::first_limit([real.slow_start, server.slow_start]),
        damping: real.flap_damping.or(server.flap_damping).map(damping),
        notify_up: real.notify_up.clone(),
        notify_down: real.notify_down.clone(),
        smtp_alert: alert(real.smtp_alert, global, true),
    };
    RealPlan {
        key: key_in(name, forward, real.address, real.port),
        port: port_in(name, real.port),
        named: own.port(),
        rules: pools.reals.keep(rules),
        checkers: inherit.checkers().into_iter().map(Arc::new).collect(),
    }
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
