//! The farm in words: events with their reasons, log lines, the status.

use std::time::Duration;

use super::super::checkers::certificate::Told;
use super::super::event::{Event, What};
use super::super::health::Flip;
use super::super::outcome::{Failure, Outcome};
use super::super::plan::{CheckerPlan, Kind, RealPlan, VirtualPlan};
use super::super::quorum::Serving;
use super::super::status::{CheckerStatus, DrainStatus, RealStatus, ServiceStatus, Status};
use super::super::tiers::Weights;
use super::suspend::is_suspended;
use super::{CheckerState, Farm, RealState, ServiceState, is_up};
use crate::config::model::DnsType;

/// Reason of what an orderly stop tells.
pub(super) const STOPPING: &str = "the daemon stops (omega)";
/// Reason of what a reload changes.
pub(super) const RECONFIGURED: &str = "its checkers were reconfigured";

/// Reason of a server that comes back when it was held down for long enough.
pub(super) const RELEASED: &str = "it was held down for flapping, and its time is over";

/// `rs_init_notifies`: how each real server begins. Nobody is mailed: it is no change.
pub(super) fn beginnings(service: &ServiceState) -> Vec<Event> {
    let reals = service.plan.reals.iter().zip(&service.reals);
    reals
        .map(|(plan, real)| {
            let what = if real.now.up { What::RealServerUp } else { What::RealServerDown };
            let event = real_event(&service.plan, plan, what, "at start".to_owned());
            Event { smtp_alert: false, ..event }
        })
        .collect()
}

fn real_subject(service: &VirtualPlan, real: &RealPlan) -> String {
    format!("real server {} of {}", real.name(), service.name)
}

pub(super) fn real_event(service: &VirtualPlan, real: &RealPlan, what: What, reason: String) -> Event {
    Event {
        subject: real_subject(service, real),
        what,
        reason,
        command: if what.is_up() { real.notify_up.clone() } else { real.notify_down.clone() },
        virtual_server: service.name.clone(),
        number: service.number,
        real_server: Some(real.name().to_string()),
        smtp_alert: real.smtp_alert,
    }
}

pub(super) fn quorum_event(service: &VirtualPlan, what: What, reason: String) -> Event {
    Event {
        subject: format!("virtual server {}", service.name),
        what,
        reason,
        command: if what.is_up() { service.quorum_up.clone() } else { service.quorum_down.clone() },
        virtual_server: service.name.clone(),
        number: service.number,
        real_server: None,
        smtp_alert: service.smtp_alert,
    }
}

/// `weight 4 of quorum 3, hysteresis 1; the sorry server serves`.
pub(super) fn weighed(state: &ServiceState, sum: u32, what: What) -> String {
    let service = &state.plan;
    let hysteresis = match service.quorum.hysteresis {
        0 => String::new(),
        n => format!(", hysteresis {n}"),
    };
    let effect = match (&service.sorry, what.is_up()) {
        (_, false) if state.serving() == Serving::SorryPool => "; sorry servers serve".to_owned(),
        (Some(sorry), false) => format!("; sorry server {} serves", sorry.key),
        (None, false) if sum > 0 => "; no sorry server, so the rest goes on".to_owned(),
        _ => String::new(),
    };
    format!("weight {sum} for quorum {}{hysteresis}{effect}", service.quorum.quorum)
}

/// A result as a reason: `connection refused (try 2 of 2)`, `HTTP_GET /p: status 500, wanted 200-299 (try 1 of 1)`,
/// `TCP_CHECK succeeded`.
pub(super) fn result_words(
    real: &RealPlan,
    checker: &CheckerPlan,
    url: usize,
    outcome: &Outcome,
    tries: Option<(u32, u32)>,
) -> String {
    let name = checker.kind.name();
    let Err(failure) = &outcome.result else { return format!("{name} succeeded") };
    let at = match &checker.kind {
        Kind::Tcp(target) if target.address == real.name() => String::new(),
        Kind::Http(http) => format!("{name} {}: ", http.urls.get(url).map_or("", |url| url.path.as_str())),
        Kind::Misc(misc) => format!("{name} {}: ", misc.argv.first().map_or("", String::as_str)),
        Kind::Ping(target) => format!("{name} of {}: ", target.address.ip()),
        Kind::Dns(dns) => format!("{name} {} {}: ", dns.name, word(dns.kind)),
        Kind::Tcp(target) => format!("{name} of {}: ", target.address),
        Kind::Smtp(_) | Kind::Udp(_) => match checker.kind.target() {
            Some(target) if target.address != real.name() => format!("{name} of {}: ", target.address),
            _ => format!("{name}: "),
        },
        // The failure names the service.
        Kind::Grpc(_) => format!("{name}: "),
        Kind::File(file) => format!("{name} {}: ", file.name),
        Kind::Bfd(session) => format!("{name} {session}: "),
    };
    match tries {
        Some((n, of)) => format!("{at}{failure} (try {n} of {of})"),
        None => format!("{at}{failure}"),
    }
}

/// Why a new user of a probe is what it is: nothing was run for it.
pub(super) fn shared_words(checker: &CheckerPlan, flip: Option<Flip>) -> String {
    let name = checker.kind.name();
    let found = match flip {
        Some(Flip::Up) => "succeeds",
        Some(Flip::Down) => "fails",
        None => "goes on",
    };
    format!("{name} {found}, as is known already from an equal check")
}

/// Why a server that flaps is out: `connection refused (try 1 of 1); it flaps (4 times within 60 s) and is held down for
/// 120 s`.
pub(super) fn held_words(real: &RealPlan, hold: Duration, words: &str) -> String {
    let often = real.damping.map_or_else(String::new, |rules| {
        format!(" ({} times within {} s)", rules.flips, rules.within.as_secs_f64())
    });
    format!("{words}; it flaps{often} and is held down for {} s", hold.as_secs_f64())
}

/// A flip of a checker while the server is held down.
pub(super) fn held_line(service: &VirtualPlan, real: &RealPlan, left: Duration, words: &str) -> String {
    let subject = real_subject(service, real);
    format!("{subject} flaps and is held down for {:.0} s more: {words}", left.as_secs_f64())
}

/// `virtual server TCP 10.0.0.1:80: tier 1 has weight 2 of 10, tier 2 serves`.
pub(super) fn tiers_line(state: &ServiceState, weights: &[Weights]) -> String {
    let serving = state.tiers.serving(state.plan.tiers);
    let tiers: Vec<String> = weights
        .iter()
        .zip(serving)
        .enumerate()
        .map(|(n, (weights, serves))| {
            let verb = if serves { "serves" } else { "waits" };
            format!("tier {} {verb} (weight {} of {})", n + 1, weights.healthy, weights.configured)
        })
        .collect();
    format!("virtual server {}: {}", state.plan.name, tiers.join(", "))
}

/// A result that did not change the real server.
pub(super) fn checker_line(
    service: &VirtualPlan,
    real: &RealPlan,
    checker: &CheckerPlan,
    flip: Option<Flip>,
    words: &str,
) -> String {
    let subject = real_subject(service, real);
    match flip {
        None => format!("check of {subject} failed: {words}"),
        Some(flip) => {
            let state = if is_up(flip) { "up" } else { "down" };
            let name = checker.kind.name();
            format!("{name} of {subject} is {state}, another checker keeps it down: {words}")
        }
    }
}

pub(super) fn not_run_line(
    service: &VirtualPlan,
    real: &RealPlan,
    checker: &CheckerPlan,
    failure: &Failure,
) -> String {
    let (subject, name) = (real_subject(service, real), checker.kind.name());
    let pause = checker.rules.delay_loop.as_secs_f64();
    format!("{name} of {subject} says nothing, the server stays as it is, again in {pause} s: {failure}")
}

pub(super) fn weight_line(
    service: &VirtualPlan,
    real: &RealPlan,
    checker: &CheckerPlan,
    from: u32,
    to: u32,
) -> String {
    let says = checker.kind.name();
    format!("weight of {} goes from {from} to {to}: {says} says so", real_subject(service, real))
}

/// The word of a record type.
const fn word(kind: DnsType) -> &'static str {
    match kind {
        DnsType::A => "A",
        DnsType::Ns => "NS",
        DnsType::Cname => "CNAME",
        DnsType::Soa => "SOA",
        DnsType::Mx => "MX",
        DnsType::Txt => "TXT",
        DnsType::Aaaa => "AAAA",
        DnsType::Rrsig => "RRSIG",
        DnsType::Dnskey => "DNSKEY",
    }
}

impl Farm {
    /// Everything at this moment; the counts of runs under way and of lost events are the driver's.
    pub fn status(&self) -> Status {
        self.status_with(&Told::default())
    }

    /// The same with what is to be said of servers' certificates.
    pub fn status_with(&self, certificates: &Told) -> Status {
        let services = self.services.iter().map(|service| ServiceStatus {
            name: service.plan.name.clone(),
            members: service.plan.members.iter().map(|member| member.key).collect(),
            suspended: is_suspended(&service.plan, &self.carried),
            quorum_up: service.quorum.is_up(),
            quorum: service.plan.quorum.quorum,
            weight: service.sum(),
            serving: service.serving(),
            tiers: service.tiers.serving(service.plan.tiers),
            counts: service.counts.clone(),
            draining: service
                .draining
                .iter()
                .map(|one| DrainStatus {
                    name: one.plan.name().to_string(),
                    until: one.until,
                    connections: one.connections,
                })
                .collect(),
            reals: service
                .plan
                .reals
                .iter()
                .zip(&service.reals)
                .map(|(plan, real)| RealStatus {
                    name: plan.name().to_string(),
                    key: plan.key,
                    up: real.now.up,
                    weight: real.now.weight,
                    tenths: real.now.tenths,
                    tier: plan.tier,
                    sorry: plan.sorry,
                    held_until: real.held_until(),
                    last_failure: real.past.as_ref().and_then(|past| {
                        past.last_failure.as_ref().map(|(failure, at)| (failure.to_string(), *at))
                    }),
                    warning: self.warning(real, certificates),
                    certificate_ends: self.certificate_ends(real, certificates),
                    last_change: real.past.as_ref().and_then(|past| past.last_change),
                    checkers: real.checkers.iter().map(|checker| self.checker_status(checker)).collect(),
                })
                .collect(),
        });
        Status {
            services: services.collect(),
            in_flight: 0,
            checks: self.checks,
            failures: self.failures.clone(),
            kinds: self.kinds.clone(),
            late_results: self.late_results,
            lost_events: 0,
        }
    }

    fn warning(&self, real: &RealState, certificates: &Told) -> Option<String> {
        if certificates.warnings.is_empty() {
            return None;
        }
        let of = |checker: &CheckerState| {
            let plan = &self.probes.get(checker.probe)?.plan;
            certificates.warnings.get(&plan.kind.target()?.address).filter(|_| plan.kind.warns())
        };
        real.checkers.iter().find_map(of).cloned()
    }

    /// The first end of any certificate that its checkers were shown.
    fn certificate_ends(&self, real: &RealState, certificates: &Told) -> Option<i64> {
        if certificates.ends.is_empty() {
            return None;
        }
        let of = |checker: &CheckerState| {
            let plan = &self.probes.get(checker.probe)?.plan;
            certificates.ends.get(&plan.kind.target()?.address).filter(|_| plan.kind.is_by_tls()).copied()
        };
        real.checkers.iter().filter_map(of).min()
    }

    fn checker_status(&self, checker: &CheckerState) -> CheckerStatus {
        let probe = self.probes.get(checker.probe);
        CheckerStatus {
            kind: probe.map_or("", |probe| probe.plan.kind.name()),
            up: checker.health.is_up(),
            known: checker.known,
            took_us: probe.map_or(0, |probe| probe.took_us.into()),
            users: probe.map_or(0, |probe| probe.users.len()),
        }
    }
}
