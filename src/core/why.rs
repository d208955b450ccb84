//! How something stands, and why, in sentences: `tandem why`. From the status of the rooms and the journal; reads no clock.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::check::quorum::Serving;
use crate::check::status::{RealStatus, ServiceStatus};
use crate::clock::utc_millis;
use crate::config::model::{Config, ServiceName};
use crate::control::answer::Failure;
use crate::control::routes::{ServerName, WhyQuery};
use crate::control::view::{AboutView, EventView, OverrideView, WhyView};
use crate::vrrp::machine::StateName;
use crate::vrrp::priority::{Value, contribution, describe};
use crate::vrrp::status::{InstanceStatus, Status};

use super::servers::Picture;

/// What happened so long before a change may have led to it.
const AROUND: usize = 4;
/// Names that a refusal offers.
const NAMED: usize = 20;

/// All that an answer is made from.
#[derive(Debug)]
pub struct Known {
    /// Configuration, overrides, and what the checks say.
    pub picture: Picture,
    /// What the vrrp thread says; `None`: it does not answer.
    pub vrrp: Option<Box<Status>>,
    /// The events that are kept, the oldest first.
    pub events: Vec<Arc<EventView>>,
    /// The check thread does not answer: of real servers nothing is known.
    pub checks_silent: bool,
    /// What is not as it should be with the daemon itself or with the kernel's table, in sentences.
    pub troubles: Vec<String>,
}

impl Known {
    /// How that stands which is asked for.
    ///
    /// # Errors
    /// 404 where nothing is called so.
    pub fn why(&self, query: &WhyQuery) -> Result<WhyView, Failure> {
        let config = &self.picture.config;
        let Some(name) = query.subject.as_deref() else {
            let instances = config.vrrp_instance.iter().map(|one| self.instance(&one.name, query.last));
            let lost = self.picture.status.services.iter().filter(|one| !one.quorum_up && !one.suspended);
            let lost = lost.take(NAMED).flat_map(|one| self.services(&one.name.to_string(), query.last));
            let about = self.daemon(query.last).into_iter().chain(instances).chain(lost);
            return Ok(WhyView { about: about.collect() });
        };
        if config.vrrp_instance.iter().any(|one| one.name == name) {
            return Ok(WhyView { about: vec![self.instance(name, query.last)] });
        }
        if let Some(group) = config.vrrp_sync_group.iter().find(|group| group.name == name) {
            let group = self.group(&group.name, query.last);
            return Ok(WhyView { about: vec![group] });
        }
        let mut about = self.services(name, query.last);
        about.extend(self.reals(name, query.last));
        match (about.is_empty(), self.checks_silent) {
            (false, _) => Ok(WhyView { about }),
            (true, false) => Err(self.unknown(name)),
            (true, true) => {
                let cure = "ask again; the log says more where the machine is starved";
                Err(Failure::new(503, "silent", "the check thread does not answer", cure))
            }
        }
    }

    /// The daemon, where something is wrong with it.
    fn daemon(&self, last: usize) -> Option<AboutView> {
        if self.troubles.is_empty() {
            return None;
        }
        let about = |event: &EventView| matches!(event.kind.as_str(), "reload" | "ipvs" | "order");
        let about = |event: &EventView| event.subject.is_empty() && about(event);
        let events = self.last(last, about, about);
        Some(AboutView {
            name: "tandem".to_owned(),
            kind: "daemon".to_owned(),
            now: self.troubles.join(". "),
            events,
        })
    }

    fn unknown(&self, name: &str) -> Failure {
        let config = &self.picture.config;
        let name: String = name.chars().take(80).collect();
        let problem = format!("nothing is called \"{name}\" here");
        let cure = "name a vrrp_instance, a vrrp_sync_group, a virtual server (TCP 192.0.2.1:80) or a real server \
                    (10.1.0.1:80)";
        let mut failure = Failure::new(404, "unknown-subject", problem, cure);
        let instances = config.vrrp_instance.iter().map(|one| one.name.clone());
        let services = self.picture.status.services.iter().map(|service| service.name.to_string());
        failure.candidates = instances.chain(services).take(NAMED).collect();
        failure
    }

    fn instance(&self, name: &str, last: usize) -> AboutView {
        let found = self
            .vrrp
            .as_ref()
            .map(|status| (status, status.instances.iter().find(|i| i.settings.name == name)));
        let (now, trackers): (String, Vec<&str>) = match found {
            None => ("the vrrp thread does not answer".to_owned(), Vec::new()),
            Some((_, None)) => (format!("{name} has not begun"), Vec::new()),
            Some((status, Some(one))) => (
                instance_now(one, status, &self.picture.config),
                one.trackers.iter().map(|tracker| tracker.name.as_str()).collect(),
            ),
        };
        let config = &self.picture.config;
        let group =
            config.vrrp_sync_group.iter().find(|group| group.group.iter().any(|member| member == name));
        let group = group.map(|group| group.name.as_str());
        let about = |event: &EventView| {
            event.subject == name
                || (group == Some(event.subject.as_str()) && event.kind == "group")
                || (event.kind == "tracker" && trackers.contains(&event.subject.as_str()))
                || (event.subject.is_empty() && matches!(event.kind.as_str(), "reload" | "daemon" | "order"))
        };
        let counts = |event: &EventView| event.kind == "transition" && event.subject == name;
        let events = self.last(last, counts, about);
        AboutView { name: name.to_owned(), kind: "instance".to_owned(), now, events }
    }

    fn group(&self, name: &str, last: usize) -> AboutView {
        let found =
            self.vrrp.as_ref().and_then(|status| status.groups.iter().find(|group| group.name == name));
        let members = found.map(|group| group.members.clone()).unwrap_or_default();
        let now = match (found, &self.vrrp) {
            (None, None) => "the vrrp thread does not answer".to_owned(),
            (None, Some(_)) => format!("sync group {name} has not begun"),
            (Some(group), status) => {
                let mut text = format!("sync group {name} is {}", group.state);
                for member in &group.members {
                    let of = |status: &Status| {
                        let one = status.instances.iter().find(|i| i.settings.name == *member)?;
                        Some(instance_now(one, status, &self.picture.config))
                    };
                    let _ = write!(text, ". {}", status.as_deref().and_then(of).unwrap_or_default());
                }
                text
            }
        };
        let about = |event: &EventView| {
            event.subject == name
                || members.contains(&event.subject)
                || (event.subject.is_empty() && matches!(event.kind.as_str(), "reload" | "daemon" | "order"))
        };
        let counts = |event: &EventView| event.kind == "group" && event.subject == name;
        let events = self.last(last, counts, about);
        AboutView { name: name.to_owned(), kind: "group".to_owned(), now, events }
    }

    /// Virtual servers of that name.
    fn services(&self, name: &str, last: usize) -> Vec<AboutView> {
        let config = &self.picture.config;
        let named = name.parse::<ServiceName>().map(|name| name.find(config)).unwrap_or_default();
        let own = |n: &usize| ServiceName::of(config.virtual_server.get(*n)?, &config.virtual_server_group);
        named
            .iter()
            .filter_map(own)
            .map(|own| {
                let own = own.to_string();
                let status = self.picture.status.services.iter().find(|one| one.name.to_string() == own);
                let unknown = || match self.checks_silent {
                    true => "the check thread does not answer".to_owned(),
                    false => format!("the checks of {own} have not begun"),
                };
                let now = status.map_or_else(unknown, service_now);
                let about = |event: &EventView| event.subject == own;
                let events = self.last(last, about, about);
                AboutView { name: own, kind: "virtual_server".to_owned(), now, events }
            })
            .collect()
    }

    /// Real servers of that name: one for each virtual server that has it.
    fn reals(&self, name: &str, last: usize) -> Vec<AboutView> {
        let Ok(named) = name.parse::<ServerName>() else { return Vec::new() };
        let fits = |real: &&RealStatus| match named {
            ServerName::At(at) => real.name == at.to_string(),
            ServerName::Address(address) => real.key.address == address,
        };
        let overrides = self.picture.overrides().overrides;
        let mut found = Vec::new();
        for service in &self.picture.status.services {
            let own = service.name.to_string();
            for real in service.reals.iter().filter(fits) {
                let overridden =
                    overrides.iter().find(|one| one.virtual_server == own && one.real_server == real.name);
                let about = |event: &EventView| {
                    event.subject == own && event.real_server.as_deref() == Some(real.name.as_str())
                };
                found.push(AboutView {
                    name: real.name.clone(),
                    kind: "real_server".to_owned(),
                    now: real_now(real, service, overridden, self.picture.now),
                    events: self.last(last, about, about),
                });
            }
        }
        found
    }

    /// The last of the events that count, and what happened around them; the oldest first.
    fn last(
        &self,
        last: usize,
        counts: impl Fn(&EventView) -> bool,
        about: impl Fn(&EventView) -> bool,
    ) -> Vec<EventView> {
        let mut chosen = Vec::new();
        let (mut counted, mut around) = (0, 0);
        for event in self.events.iter().rev() {
            if counts(event) {
                if counted == last {
                    break;
                }
                (counted, around) = (counted + 1, 0);
            } else if about(event) && around < AROUND {
                around += 1;
            } else {
                continue;
            }
            chosen.push(EventView::clone(event));
        }
        chosen.reverse();
        chosen
    }
}

/// A time in its largest unit that leaves more than one: `0.3 s`, `48 s`, `4 min`, `3 h`, `2 d`.
pub fn span(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        secs @ 10..120 => format!("{secs} s"),
        secs @ 120..7200 => format!("{} min", secs / 60),
        secs @ 7200..172_800 => format!("{} h", secs / 3600),
        secs => format!("{} d", secs / 86_400),
    }
}

/// How an instance stands, in sentences without a last full stop: `VI_1 is BACKUP since 18:02:11, 4 min ago: stepped down by
/// root. The priority is 150 = 150 base. The master is 10.0.0.2 with priority 100, last advert 0.3 s ago`.
pub fn instance_now(one: &InstanceStatus, status: &Status, config: &Config) -> String {
    let mut text = format!("{} is {}", one.settings.name, one.state);
    if let Some(last) = &one.last {
        let ago = span(status.at.saturating_duration_since(last.at));
        let cause = last.cause();
        let _ = write!(text, " since {}, {ago} ago: {cause}", utc_millis(last.since_1970));
    }
    if one.wants_master {
        let _ = write!(text, ". It would be MASTER, and waits for its sync group");
    }
    match (&one.fault, one.state) {
        (Some(fault), _) => {
            let _ = write!(text, ". It must not take part: {fault}");
        }
        (None, StateName::Fault) => {
            let members =
                config.vrrp_sync_group.iter().find(|group| Some(&group.name) == one.settings.group.as_ref());
            let group = members.map_or("its sync group", |group| group.name.as_str());
            let _ = write!(text, ". It must not take part: another member of {group} is in FAULT");
        }
        (None, StateName::Init) => {
            let unknown = one.trackers.iter().filter(|tracker| tracker.value == Value::Unknown);
            let waits: Vec<String> = unknown.map(describe).collect();
            if !waits.is_empty() {
                let _ = write!(text, ". It waits: {}", waits.join(", "));
            }
        }
        (None, _) => {}
    }
    let _ = write!(text, ". {}", priority(one, status.at));
    let _ = write!(text, ". {}", company(one, status.at));
    text
}

/// `The priority is 140 = 150 base - 10 (script chk failed)`.
fn priority(one: &InstanceStatus, now: Instant) -> String {
    let base = one.settings.base_priority;
    let mut sum = format!("{base} base");
    let mut plain = i64::from(base);
    for tracker in one.trackers.iter() {
        let adds = if base == u8::MAX { 0 } else { contribution(tracker) };
        if adds != 0 {
            plain += adds;
            let sign = if adds < 0 { '-' } else { '+' };
            let says = match tracker.value {
                Value::Up => format!("{} {} is up", tracker.kind, tracker.name),
                _ => describe(tracker),
            };
            let _ = write!(sum, " {sign} {} ({says})", adds.abs());
        }
    }
    if plain != i64::from(one.own_priority) && one.fault.is_none() {
        let _ = write!(sum, ", held within 1 and 254");
    }
    match &one.order {
        None => format!("The priority is {} = {sum}", one.priority),
        Some(order) => {
            let left = order.until.map_or_else(String::new, |until| {
                format!(", for {} more", span(until.saturating_duration_since(now)))
            });
            format!(
                "The priority is {} by order: {} of {}{left}; without it {} = {sum}",
                one.priority,
                order.kind.name(),
                order.by,
                one.own_priority
            )
        }
    }
}

/// Who is master, as far as this one hears.
fn company(one: &InstanceStatus, now: Instant) -> String {
    let heard =
        |number: usize| one.peers.get(number).map(|peer| (peer, now.saturating_duration_since(peer.at)));
    let last = heard(0);
    match (one.state, last) {
        (StateName::Master, None) => "It is the master; no other router was heard".to_owned(),
        (StateName::Master, Some((peer, ago))) => format!(
            "It is the master; the last other router that was heard is {} with priority {}, {} ago",
            peer.address,
            peer.priority,
            span(ago)
        ),
        (_, Some((peer, ago))) if peer.priority > 0 && ago <= one.down_interval => format!(
            "The master is {} with priority {}, last advert {} ago",
            peer.address,
            peer.priority,
            span(ago)
        ),
        (_, Some((peer, ago))) => format!(
            "No master is heard; the last advert came from {} with priority {}, {} ago",
            peer.address,
            peer.priority,
            span(ago)
        ),
        (_, None) => "No master was heard".to_owned(),
    }
}

/// `TCP 192.0.2.1:80 has its quorum: weight 4 for quorum 1, the real servers serve; 2 of 3 real servers are up`.
fn service_now(service: &ServiceStatus) -> String {
    let quorum = if service.quorum_up { "has its quorum" } else { "has lost its quorum" };
    let serves = match service.serving {
        Serving::RealServers => "the real servers serve",
        Serving::SorryPool => "sorry servers serve",
        Serving::SorryServer => "the sorry server serves",
    };
    let up = service.reals.iter().filter(|real| real.up).count();
    let mut text = format!(
        "{} {quorum}: weight {} for quorum {}, {serves}; {up} of {} real servers are up",
        service.name,
        service.weight,
        service.quorum,
        service.reals.len()
    );
    if service.suspended {
        text += ". That is what was found when it was last checked: its address is not on this director, and ha_suspend stops \
                 its checks until it is";
    }
    let assumed = service.reals.iter().filter(|real| real.assumed()).count();
    if assumed > 0 && !service.suspended {
        let _ = write!(text, ". {assumed} of them count as up without a check that has ended");
    }
    let down: Vec<&RealStatus> = service.reals.iter().filter(|real| !real.up).collect();
    for real in down.iter().take(NAMED) {
        let why = real.last_failure.as_ref().map_or("no failure is known", |(reason, _)| reason.as_str());
        let _ = write!(text, ". {} is down: {why}", real.name);
    }
    if down.len() > NAMED {
        let _ = write!(text, ". And {} more", down.len() - NAMED);
    }
    text
}

/// `10.1.0.1:80 of TCP 192.0.2.1:80 is down since 3 min: connection refused, 2.1 s ago. Its weight while up is 5`.
fn real_now(
    real: &RealStatus,
    service: &ServiceStatus,
    overridden: Option<&OverrideView>,
    now: Instant,
) -> String {
    let ago = |at: Instant| span(now.saturating_duration_since(at));
    let state = match (real.up, real.assumed(), real.checkers.is_empty()) {
        (true, true, true) => "up: it has no checks",
        (true, true, false) => "up: no check of it has ended yet",
        (true, false, _) => "up",
        (false, _, _) => "down",
    };
    let mut text = match service.suspended {
        false => format!("{} of {} is {state}", real.name, service.name),
        true => format!(
            "{} of {} is not checked here: the address is not on this director (ha_suspend). As far as it knew, it is {state}",
            real.name, service.name
        ),
    };
    if let Some(at) = real.last_change {
        let _ = write!(text, " since {}", ago(at));
    }
    match (&real.last_failure, real.up) {
        (Some((reason, at)), false) => {
            let _ = write!(text, ": {reason}, {} ago", ago(*at));
        }
        (Some((reason, at)), true) => {
            let _ = write!(text, ". Its last failure: {reason}, {} ago", ago(*at));
        }
        (None, _) => {}
    }
    if let Some(until) = real.held_until {
        let _ = write!(
            text,
            ". It flaps and is held down for {} more",
            span(until.saturating_duration_since(now))
        );
    }
    if let Some(warning) = &real.warning {
        let _ = write!(text, ". {warning}");
    }
    let _ = write!(text, ". Its weight while up is {}", real.weight);
    if let Some(one) = overridden {
        let by = one.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let _ = write!(text, ". Overridden: {}{by}", one.change);
    }
    text
}

#[cfg(test)]
mod tests;
