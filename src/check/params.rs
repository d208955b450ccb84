//! From the configuration to a [`Plan`]: every default resolved, so that nothing behind this file knows of inheritance.
//!
//! A value comes from the checker, else its real server, else its virtual server, else the checker's own default.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::identity::Identity;
use super::members::{self, forward, service_port};
use super::plan::{
    CheckerPlan, HttpPlan, Kind, MiscPlan, Plan, RealPlan, SorryPlan, Target, UrlPlan, VirtualPlan,
};
use super::{health, quorum};
use crate::config::model::{
    Config, Connection, Global, HttpGet, HttpProtocol, MiscCheck, Pace, RealServer, Scheduler, StatusRange,
    TcpCheck, Url, VirtualServer, VirtualServerGroup,
};
use crate::config::units::Secs;
use crate::ipvs::table::{DestinationKey, Forward};

/// keepalived's `delay_loop` where the file has none.
const DELAY_LOOP: Duration = Duration::from_secs(60);
/// keepalived's `connect_timeout` where the file has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest pause between two checks: with 0 a checker would keep a processor busy.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// Longer times mean never; a clock can be added to them without overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Plan {
    /// Resolves a configuration. Objects that cannot be run are left out: a virtual server without address and mark,
    /// without real servers, or with the name of an earlier one; a service of the kernel that an earlier virtual server
    /// has; a real server with the key of an earlier one.
    pub fn new(config: &Config) -> Self {
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let mut numbers = BTreeMap::new();
        let services = config
            .virtual_server
            .iter()
            .filter_map(|server| virtual_plan(&config.global_defs, server, &config.virtual_server_group))
            .filter(|plan| names.insert(plan.name.clone()))
            .filter_map(|mut plan| {
                if let Identity::Group { name, .. } = &plan.name {
                    let number = numbers.entry(name.clone()).or_insert(0);
                    plan.number = std::mem::replace(number, *number + 1);
                }
                plan.members.retain(|member| keys.insert(member.key));
                (!plan.members.is_empty()).then_some(plan)
            })
            .collect();
        let init_notifies = config.global_defs.rs_init_notifies.unwrap_or(false);
        Self { services, init_notifies }
    }

    /// Number of checkers.
    pub fn checkers(&self) -> usize {
        self.services.iter().flat_map(|s| &s.reals).map(|r| r.checkers.len()).sum()
    }
}

fn virtual_plan(
    global: &Global,
    server: &VirtualServer,
    groups: &[VirtualServerGroup],
) -> Option<VirtualPlan> {
    let (name, members) = members::of(server, groups)?;
    let mut keys = BTreeSet::new();
    let reals: Vec<RealPlan> = server
        .real_server
        .iter()
        .map(|real| real_plan(global, server, &name, real))
        .filter(|plan| keys.insert(plan.key))
        .collect();
    if reals.is_empty() {
        return None;
    }
    let sum = reals.iter().fold(0u32, |sum, real| sum.saturating_add(real.weight));
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
        reals,
    })
}

/// keepalived's order: the object's own word, the checkers' default, the general default, and what nobody asked for
/// (on for real servers, off for virtual servers).
fn alert(own: Option<bool>, global: &Global, default: bool) -> bool {
    own.or(global.smtp_alert_checker).or(global.smtp_alert).unwrap_or(default)
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

/// The port that the file writes, when it is one.
fn written(port: Option<u16>) -> Option<u16> {
    port.filter(|port| *port != 0)
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

fn real_plan(global: &Global, server: &VirtualServer, name: &Identity, real: &RealServer) -> RealPlan {
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
    let inherit = Inherit { global, server, real, own };
    let checkers = real
        .tcp_check
        .iter()
        .map(|check| inherit.tcp(check))
        .chain(real.http_get.iter().filter(|check| !check.url.is_empty()).map(|check| inherit.http(check)))
        .chain(real.misc_check.iter().map(|check| inherit.misc(check)))
        .map(Arc::new)
        .collect();
    RealPlan {
        key: key_in(name, forward, real.address, real.port),
        port: port_in(name, real.port),
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

/// Where the values of one real server's checkers come from.
struct Inherit<'a> {
    global: &'a Global,
    server: &'a VirtualServer,
    real: &'a RealServer,
    /// The real server as the file names it.
    own: SocketAddr,
}

/// The first value that is written, as a duration.
fn first<const N: usize>(values: [Option<Secs>; N]) -> Option<Duration> {
    values.into_iter().flatten().next().map(|secs| secs.0.min(LONGEST))
}

/// The same for a time limit, where 0 would leave no time to succeed and counts as not written.
fn first_limit<const N: usize>(values: [Option<Secs>; N]) -> Option<Duration> {
    first(values.map(|secs| secs.filter(|secs| !secs.0.is_zero())))
}

impl Inherit<'_> {
    fn tcp(&self, check: &TcpCheck) -> CheckerPlan {
        self.checker(Kind::Tcp(self.target(&check.connection)), &check.pace, 1, Duration::from_secs(1))
    }

    fn http(&self, check: &HttpGet) -> CheckerPlan {
        let target = self.target(&check.connection);
        let virtualhost = check
            .virtualhost
            .as_ref()
            .or(self.real.virtualhost.as_ref())
            .or(self.server.virtualhost.as_ref());
        let urls: Vec<UrlPlan> =
            check.url.iter().map(|url| url_plan(url, virtualhost, target.address)).collect();
        let count = urls.len();
        let protocol = check.http_protocol.unwrap_or(HttpProtocol::V1_0);
        let kind = Kind::Http(HttpPlan { target, protocol, urls });
        let mut plan = self.checker(kind, &check.pace, 1, Duration::from_secs(3));
        plan.rules.urls = count;
        plan.rules.fast_recovery = check.fast_recovery;
        plan
    }

    fn misc(&self, check: &MiscCheck) -> CheckerPlan {
        let mut plan = self.checker(
            Kind::Misc(MiscPlan {
                argv: check.misc_path.argv.clone(),
                user: check.misc_path.user.clone().or_else(|| self.global.script_user.clone()),
                timeout: Duration::ZERO,
                dynamic: check.misc_dynamic,
            }),
            &check.pace,
            0,
            Duration::from_secs(1),
        );
        if let Kind::Misc(misc) = &mut plan.kind {
            misc.timeout = first_limit([check.misc_timeout]).unwrap_or(plan.rules.delay_loop);
        }
        plan
    }

    fn target(&self, connection: &Connection) -> Target {
        Target {
            address: SocketAddr::new(
                connection.connect_ip.unwrap_or(self.own.ip()),
                written(connection.connect_port).unwrap_or(self.own.port()),
            ),
            bindto: connection.bindto,
            bind_if: connection.bind_if.clone(),
            timeout: first_limit([
                connection.connect_timeout,
                self.real.connect_timeout,
                self.server.connect_timeout,
            ])
            .unwrap_or(CONNECT_TIMEOUT),
        }
    }

    fn checker(&self, kind: Kind, pace: &Pace, retry: u32, before_retry: Duration) -> CheckerPlan {
        let (real, server) = (self.real, self.server);
        CheckerPlan {
            kind,
            rules: health::Rules {
                delay_loop: first([pace.delay_loop, real.delay_loop, server.delay_loop])
                    .unwrap_or(DELAY_LOOP)
                    .max(SHORTEST_PAUSE),
                retry: pace.retry.or(real.retry).or(server.retry).unwrap_or(retry),
                delay_before_retry: first([
                    pace.delay_before_retry,
                    real.delay_before_retry,
                    server.delay_before_retry,
                ])
                .unwrap_or(before_retry)
                .max(SHORTEST_PAUSE),
                urls: 1,
                fast_recovery: false,
            },
            warmup: first([pace.warmup, real.warmup, server.warmup]),
            alpha: pace.alpha.or(real.alpha).unwrap_or(server.alpha),
            log_all_failures: pace.log_all_failures.or(self.global.checker_log_all_failures).unwrap_or(false),
        }
    }
}

fn url_plan(url: &Url, virtualhost: Option<&String>, target: SocketAddr) -> UrlPlan {
    let slash = if url.path.starts_with('/') { "" } else { "/" };
    let status = if url.status_code.is_empty() {
        vec![StatusRange { from: 200, to: 299 }]
    } else {
        url.status_code.clone()
    };
    UrlPlan {
        path: format!("{slash}{}", url.path),
        host: url.virtualhost.as_ref().or(virtualhost).cloned().unwrap_or_else(|| target.to_string()),
        digest: url.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
        status,
    }
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
