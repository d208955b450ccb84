//! Virtual servers of two directors: whoever is master must balance the same. Compared are resolved values, so what is
//! written out and what is left to its default are equal.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::check::plan::{CheckerPlan, Kind, Plan, RealPlan, VirtualPlan};
use crate::check::tiers::Mode;
use crate::config::diagnostic::Level;
use crate::ipvs::table::{Service, ServiceKey};

use super::{Findings, Side, Who, listed};

/// Compares; returns how many services both have.
pub(super) fn compare(sides: [&Side<'_>; 2], findings: &mut Findings) -> usize {
    let plans = sides.map(|side| Plan::new(side.config));
    let [a, b] = plans.each_ref().map(|plan| {
        plan.services.iter().map(|service| (service.name.clone(), service)).collect::<BTreeMap<_, _>>()
    });
    for (who, ours, theirs) in [(Who::A, &a, &b), (Who::B, &b, &a)] {
        for key in ours.keys().filter(|key| !theirs.contains_key(key)) {
            findings.add(
                Level::Error,
                "pair-missing-service",
                format!("virtual_server {key} is on {who} alone"),
                format!("while {} is master, nobody balances it", who.other()),
                "write the same virtual servers on both",
            );
        }
    }
    let mut common = 0;
    for (key, ours) in &a {
        let Some(theirs) = b.get(key) else { continue };
        common += 1;
        service(ours, theirs, findings);
        farm(ours, theirs, findings);
    }
    let members = a.values().chain(b.values()).flat_map(|plan| &plan.members);
    uncarried(sides, members.map(|member| &member.key), findings);
    common
}

/// `what is X on A and Y on B`, one finding for all that differs.
fn differs(title: &str, code: &'static str, what: &[String], consequence: &str, findings: &mut Findings) {
    if !what.is_empty() {
        let problem = format!("{title}: {}", listed(what));
        findings.add(Level::Warning, code, problem, consequence, "write the same on both");
    }
}

/// Adds a difference in words.
fn note<T: PartialEq>(list: &mut Vec<String>, name: &str, a: &T, b: &T, show: impl Fn(&T) -> String) {
    if a != b {
        list.push(format!("{name} is {} on A and {} on B", show(a), show(b)));
    }
}

fn on(value: &bool) -> String {
    if *value { "on" } else { "off" }.to_owned()
}

fn persistence(service: &Service) -> String {
    match &service.persistence {
        None => "off".to_owned(),
        Some(persistence) => format!("{} s (/{})", persistence.timeout, persistence.granularity),
    }
}

fn settings(a: &Service, b: &Service, what: &mut Vec<String>) {
    note(what, "the scheduler", &a.scheduler, &b.scheduler, String::clone);
    let flags = |flags: &u8| format!("{flags:#05b}");
    note(what, "its flags", &a.scheduler_flags, &b.scheduler_flags, flags);
    note(what, "persistence", &persistence(a), &persistence(b), String::clone);
    let engine = |engine: &Option<String>| engine.clone().unwrap_or_else(|| "none".to_owned());
    note(what, "persistence_engine", &a.engine, &b.engine, engine);
    note(what, "ops", &a.one_packet, &b.one_packet, on);
}

fn service(a: &VirtualPlan, b: &VirtualPlan, findings: &mut Findings) {
    let mut what = Vec::new();
    let keys = |plan: &VirtualPlan| -> Vec<String> {
        plan.members.iter().map(|member| member.key.to_string()).collect()
    };
    note(&mut what, "the group", &keys(a), &keys(b), |keys| listed(keys));
    if let (Some(a), Some(b)) = (a.members.first(), b.members.first()) {
        settings(&a.service, &b.service, &mut what);
    }
    note(&mut what, "quorum", &a.quorum, &b.quorum, |rules| {
        format!("{} (hysteresis {})", rules.quorum, rules.hysteresis)
    });
    let sorry = |plan: &VirtualPlan| match &plan.sorry {
        None => "none".to_owned(),
        Some(sorry) => {
            let inhibit = if sorry.inhibit { ", inhibited" } else { "" };
            format!("{} by {}{inhibit}", sorry.key, sorry.forward)
        }
    };
    note(&mut what, "the sorry server", &sorry(a), &sorry(b), String::clone);
    note(&mut what, "tiers", &a.tiers, &b.tiers, |rules| {
        let mode = match rules.mode {
            Mode::TakeOver => "take_over",
            Mode::Join => "join",
        };
        format!("{mode} below {} % (hysteresis {} %)", rules.least, rules.hysteresis)
    });
    let title = format!("virtual_server {}", a.name);
    let consequence = "clients are treated differently after a failover";
    differs(&title, "pair-service", &what, consequence, findings);
}

/// Real servers by the name that both files give them.
fn farm(a: &VirtualPlan, b: &VirtualPlan, findings: &mut Findings) {
    let by_name = |plan: &VirtualPlan| -> BTreeMap<String, RealPlan> {
        plan.reals.iter().map(|real| (real.name().to_string(), real.clone())).collect()
    };
    let (ours, theirs) = (by_name(a), by_name(b));
    for (who, ours, theirs) in [(Who::A, &ours, &theirs), (Who::B, &theirs, &ours)] {
        let only: Vec<String> = ours.keys().filter(|name| !theirs.contains_key(*name)).cloned().collect();
        if !only.is_empty() {
            let (s, get) = if only.len() == 1 { ("", "it gets") } else { ("s", "they get") };
            findings.add(
                Level::Warning,
                "pair-real-server",
                format!("virtual_server {}: real server{s} {} on {who} alone", a.name, listed(&only)),
                format!("while {} is master, {get} no connections", who.other()),
                "write the same real servers on both",
            );
        }
    }
    for (name, real) in &ours {
        let Some(other) = theirs.get(name) else { continue };
        let mut what = Vec::new();
        note(&mut what, "weight", &real.weight, &other.weight, u32::to_string);
        note(&mut what, "the method", &real.forward, &other.forward, ToString::to_string);
        let limits = |real: &RealPlan| (real.upper_threshold, real.lower_threshold);
        note(&mut what, "uthreshold/lthreshold", &limits(real), &limits(other), |(upper, lower)| {
            format!("{upper}/{lower}")
        });
        note(&mut what, "inhibit_on_failure", &real.inhibit, &other.inhibit, on);
        note(&mut what, "sorry", &real.sorry, &other.sorry, on);
        note(&mut what, "admin_state", &real.state, &other.state, |state| state.word().to_owned());
        note(&mut what, "tier", &real.tier, &other.tier, |tier| (tier + 1).to_string());
        note(&mut what, "slow_start", &real.slow_start, &other.slow_start, |time| {
            time.map_or_else(|| "off".to_owned(), |time| format!("{} s", time.as_secs_f64()))
        });
        note(&mut what, "flap_damping", &real.damping, &other.damping, |rules| {
            rules.map_or_else(|| "off".to_owned(), |rules| rules.to_string())
        });
        checks(real, other, &mut what);
        let title = format!("virtual_server {}, real server {name}", a.name);
        let consequence = "it is balanced or judged differently after a failover";
        differs(&title, "pair-real-server", &what, consequence, findings);
    }
}

/// How the checks of a real server differ. Where they come from (bindto) is each director's own.
fn checks(a: &RealPlan, b: &RealPlan, what: &mut Vec<String>) {
    let kinds = |real: &RealPlan| match real.checkers.as_slice() {
        [] => "none".to_owned(),
        some => some.iter().map(|checker| checker.kind.name()).collect::<Vec<_>>().join(" and "),
    };
    let (x, y) = (kinds(a), kinds(b));
    if x != y {
        what.push(format!("the checks are {x} on A and {y} on B"));
        return;
    }
    for (one, other) in a.checkers.iter().zip(&b.checkers) {
        let mut more = Vec::new();
        checker(one, other, &mut more);
        // Several checks of one kind mostly differ alike.
        what.extend(more.into_iter().filter(|text| !what.contains(text)).collect::<Vec<_>>());
    }
}

fn checker(a: &CheckerPlan, b: &CheckerPlan, what: &mut Vec<String>) {
    let name = a.kind.name();
    let secs = |time: &std::time::Duration| format!("{} s", time.as_secs_f64());
    note(what, &format!("delay_loop of {name}"), &a.rules.delay_loop, &b.rules.delay_loop, secs);
    note(what, &format!("retry of {name}"), &a.rules.retry, &b.rules.retry, u32::to_string);
    let before_retry = (&a.rules.delay_before_retry, &b.rules.delay_before_retry);
    note(what, &format!("delay_before_retry of {name}"), before_retry.0, before_retry.1, secs);
    note(what, &format!("rise of {name}"), &a.rules.rise, &b.rules.rise, u32::to_string);
    note(
        what,
        &format!("timeout_retry of {name}"),
        &a.rules.timeout_retry,
        &b.rules.timeout_retry,
        |retry| retry.map_or_else(|| "off".to_owned(), |retry| retry.to_string()),
    );
    note(what, &format!("alpha of {name}"), &a.alpha, &b.alpha, on);
    match (&a.kind, &b.kind) {
        (Kind::Http(x), Kind::Http(y)) => {
            note(what, &format!("the target of {name}"), &x.target.address, &y.target.address, |address| {
                address.to_string()
            });
            note(what, &format!("connect_timeout of {name}"), &x.target.timeout, &y.target.timeout, secs);
            if x.urls != y.urls || x.protocol != y.protocol {
                what.push(format!("the requests or expectations of {name} differ"));
            }
        }
        (Kind::Misc(x), Kind::Misc(y)) => {
            note(what, "misc_path", &x.argv, &y.argv, |argv| argv.join(" "));
            note(what, "misc_timeout", &x.timeout, &y.timeout, secs);
            note(what, "misc_dynamic", &x.dynamic, &y.dynamic, on);
        }
        (Kind::File(x), Kind::File(y)) => {
            note(what, "track_file of FILE_CHECK", &x.name, &y.name, String::clone);
            note(what, "weight of FILE_CHECK", &x.weight, &y.weight, i64::to_string);
            note(what, "reverse of FILE_CHECK", &x.reverse, &y.reverse, on);
        }
        (Kind::Bfd(x), Kind::Bfd(y)) => note(what, "session of BFD_CHECK", x, y, String::clone),
        (x, y) => {
            if let Some((to, other)) = x.target().zip(y.target()) {
                note(
                    what,
                    &format!("the target of {name}"),
                    &to.address,
                    &other.address,
                    ToString::to_string,
                );
                note(what, &format!("connect_timeout of {name}"), &to.timeout, &other.timeout, secs);
            }
            let same = match (x, y) {
                (Kind::Smtp(x), Kind::Smtp(y)) => x.helo == y.helo,
                (Kind::Dns(x), Kind::Dns(y)) => (&x.name, x.kind) == (&y.name, y.kind),
                (Kind::Udp(x), Kind::Udp(y)) => (&x.payload, &x.reply) == (&y.payload, &y.reply),
                (_, _) => true,
            };
            if !same {
                what.push(format!("the requests or expectations of {name} differ"));
            }
        }
    }
}

/// A service whose address no instance carries.
fn uncarried<'a>(sides: [&Side<'_>; 2], keys: impl Iterator<Item = &'a ServiceKey>, findings: &mut Findings) {
    // Without any instance the addresses are somebody else's business on purpose.
    if sides.iter().all(|side| side.config.vrrp_instance.is_empty()) {
        return;
    }
    let carried: Vec<IpAddr> = sides
        .iter()
        .flat_map(|side| &side.config.vrrp_instance)
        .flat_map(|instance| instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded))
        .map(|va| va.address.address)
        .collect();
    let mut missing: Vec<String> = Vec::new();
    for key in keys {
        if let ServiceKey::Address { address, .. } = key
            && !carried.contains(address)
            && !missing.contains(&address.to_string())
        {
            missing.push(address.to_string());
        }
    }
    if !missing.is_empty() {
        let (is, its) = if missing.len() == 1 { ("is", "it") } else { ("are", "them") };
        findings.add(
            Level::Warning,
            "pair-uncarried",
            format!("{} {is} balanced, but no instance carries {its}", listed(&missing)),
            "unless something else brings the address to the master, no client reaches the service",
            "write the address in virtual_ipaddress or virtual_ipaddress_excluded of an instance on both",
        );
    }
}
