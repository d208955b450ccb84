//! The IPVS part of a plan.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::expect::{self, Expected};
use super::{Action, Basis, Entry, InstanceNow, Kind, Net, Question, Role, When};
use crate::check::plan::{Plan, VirtualPlan};
use crate::core::active::Active;
use crate::core::settings::Setting;
use crate::ipvs::diff::{Change, diff};
use crate::ipvs::table::{
    Destination, DestinationKey, Forward, Persistence, Service, ServiceKey, Table, VirtualService,
};

/// Why something comes with a role.
const AS_MASTER: &str = "comes when this machine becomes MASTER";

/// Each service of the file or the kernel that something is to be said of, with its destinations behind it.
pub(super) fn entries(
    question: &Question<'_>,
    basis: Basis,
    actual: &Table,
    instances: &[InstanceNow],
    net: Option<&Net>,
) -> Vec<Entry> {
    let plan = Plan::new(question.file);
    let before = question.before.map(Plan::new);
    let mut expected = expect::tables(&plan, before.as_ref(), basis, actual, question.now);
    let standby = Standby { active: Active::of(question.file), instances };
    let mut as_master = Vec::new();
    // As the daemon counts them: whatever any desired table of its life named.
    let ours = plan.services.iter().chain(before.iter().flat_map(|b| &b.services));
    let ours: BTreeSet<ServiceKey> = ours.flat_map(|s| &s.members).map(|member| member.key).collect();
    // Without the machine's interfaces nobody knows who is master.
    if let Some(net) = net.filter(|_| !standby.active.is_empty()) {
        let at_once = standby.table(&expected.at_once, net);
        as_master = diff(&at_once, &expected.at_once, &ours);
        expected = Expected { at_once, healthy: standby.table(&expected.healthy, net) };
    }
    let (at_once, healthy) = (&expected.at_once, &expected.healthy);
    let words = Words { plan: &plan, basis, actual, at_once, healthy, standby: &standby };
    let now = diff(actual, &expected.at_once, &ours);
    let later = diff(&expected.at_once, &expected.healthy, &ours);
    let mut entries: Vec<(ServiceKey, Option<DestinationKey>, Entry)> = now
        .iter()
        .map(|change| words.entry(change, actual, When::Now))
        .chain(later.iter().map(|change| words.entry(change, &expected.at_once, When::OnceHealthy)))
        .chain(as_master.iter().map(|change| words.entry(change, &expected.at_once, When::AsMaster)))
        .collect();
    entries.extend(
        actual
            .iter()
            .filter(|(key, _)| !ours.contains(key))
            .map(|(key, found)| (*key, None, left_alone(*key, found))),
    );
    // The service before its destinations, what happens now before what happens later; what is left alone at the end.
    entries.sort_by_key(|(key, destination, entry)| {
        (entry.action == Action::Leave, *key, *destination, entry.when)
    });
    entries.into_iter().map(|(.., entry)| entry).collect()
}

fn left_alone(key: ServiceKey, found: &VirtualService) -> Entry {
    let destinations = match found.destinations.len() {
        1 => "1 destination".to_owned(),
        count => format!("{count} destinations"),
    };
    Entry {
        kind: Kind::Service,
        action: Action::Leave,
        when: When::Now,
        subject: key.to_string(),
        of: None,
        detail: format!("{}; {destinations}", found.service),
        settings: Vec::new(),
        cause: "the file does not name it".to_owned(),
    }
}

/// Services of `active_on`, and the roles that the instances are taken to have.
struct Standby<'a> {
    active: Active,
    instances: &'a [InstanceNow],
}

impl Standby<'_> {
    fn is_master(&self, name: &str) -> bool {
        self.instances.iter().any(|instance| instance.name == name && instance.role == Role::Master)
    }

    fn table(&self, whole: &Table, net: &Net) -> Table {
        let here: BTreeSet<IpAddr> = net.installed.keys().map(|key| key.address).collect();
        self.active.table(whole, |name| self.is_master(name), |address| here.contains(&address))
    }

    /// The instance whose mastership the rest of a service waits for.
    fn waits_for(&self, key: &ServiceKey) -> Option<&str> {
        self.active.instance(key).filter(|name| !self.is_master(name))
    }
}

/// What the words of an entry are taken from.
struct Words<'a> {
    plan: &'a Plan,
    basis: Basis,
    actual: &'a Table,
    at_once: &'a Table,
    healthy: &'a Table,
    standby: &'a Standby<'a>,
}

impl Words<'_> {
    /// A change as an entry. `from`: the table that it starts from.
    fn entry(
        &self,
        change: &Change,
        from: &Table,
        when: When,
    ) -> (ServiceKey, Option<DestinationKey>, Entry) {
        let (key, destination) = change.subject();
        let of_service = from.get(&key);
        let mut entry = Entry {
            kind: if destination.is_some() { Kind::Destination } else { Kind::Service },
            action: Action::Add,
            when,
            subject: destination.map_or_else(|| key.to_string(), |destination| destination.to_string()),
            of: destination.map(|_| key.to_string()),
            detail: String::new(),
            settings: Vec::new(),
            cause: String::new(),
        };
        match change {
            Change::NewService { service, .. } => {
                entry.detail = service.to_string();
                entry.cause = match when {
                    When::AsMaster => AS_MASTER.to_owned(),
                    When::Now | When::OnceHealthy | When::OnceInterface => {
                        "the kernel does not have it".to_owned()
                    }
                };
            }
            Change::SetService { service, .. } => {
                entry.action = Action::Change;
                entry.settings =
                    of_service.map_or_else(Vec::new, |old| service_settings(&old.service, service));
                entry.cause = "the file says otherwise; its connections stay".to_owned();
            }
            Change::DeleteService { .. } => {
                entry.action = Action::Remove;
                entry.cause = match self.standby.waits_for(&key) {
                    Some(instance) => format!("active_on {instance}, which is not MASTER here"),
                    None => "the file before named it, this one does not".to_owned(),
                };
            }
            Change::NewDestination { destination, settings, .. } => {
                entry.detail = settings.to_string();
                entry.cause = self.why_added(key, *destination, when);
            }
            Change::SetDestination { destination, settings, .. } => {
                let old = of_service.and_then(|old| old.destinations.get(destination));
                entry.action = Action::Change;
                entry.settings = old.map_or_else(Vec::new, |old| destination_settings(old, settings));
                entry.cause = match when {
                    When::OnceHealthy => "its checks have yet to succeed".to_owned(),
                    When::Now | When::AsMaster | When::OnceInterface => {
                        "the file says otherwise; its connections stay".to_owned()
                    }
                };
            }
            Change::DeleteDestination { destination, .. } => {
                entry.action = Action::Remove;
                entry.cause = self.why_removed(key, *destination, when);
            }
        }
        (key, destination, entry)
    }

    fn is_real_server(&self, key: ServiceKey, destination: DestinationKey) -> Option<bool> {
        let has = |service: &&Arc<VirtualPlan>| service.members.iter().any(|member| member.key == key);
        let service = self.plan.services.iter().find(has)?;
        let real = service.reals.iter().find(|real| real.at(&key) == destination)?;
        Some(!real.checkers.is_empty())
    }

    fn why_added(&self, key: ServiceKey, destination: DestinationKey, when: When) -> String {
        let is_known = self.actual.contains_key(&key);
        match (self.is_real_server(key, destination), when) {
            (_, When::AsMaster) => AS_MASTER.to_owned(),
            (_, When::OnceHealthy) if self.basis == Basis::Start => {
                "down until its checks succeed (alpha)".to_owned()
            }
            (_, When::OnceHealthy) => "new, or down by its checks: it comes when they succeed".to_owned(),
            (None, _) => "the sorry server, while the quorum is not reached".to_owned(),
            (Some(true), _) if is_known && self.basis == Basis::Start => {
                "the kernel does not have it; a start counts it as up until a check fails".to_owned()
            }
            (Some(_), _) => "the kernel does not have it".to_owned(),
        }
    }

    fn why_removed(&self, key: ServiceKey, destination: DestinationKey, when: When) -> String {
        let named = |table: &Table| {
            table.get(&key).is_some_and(|service| service.destinations.contains_key(&destination))
        };
        let waits = self.standby.waits_for(&key).filter(|_| !named(self.healthy));
        let is_named = self.is_real_server(key, destination).is_some();
        if let Some(instance) = waits.filter(|_| is_named) {
            format!("active_on {instance}, which is not MASTER here")
        } else if when == When::OnceHealthy {
            "the sorry server goes when the quorum is reached".to_owned()
        } else if named(self.healthy) && !named(self.at_once) {
            "down until its checks succeed".to_owned()
        } else if is_named {
            "down by its checks".to_owned()
        } else {
            "the file has no such real server; its connections break".to_owned()
        }
    }
}

fn service_settings(old: &Service, new: &Service) -> Vec<Setting> {
    let persistence = |service: &Service| match service.persistence {
        Some(Persistence { timeout, granularity }) => format!("{timeout} s by /{granularity}"),
        None => "off".to_owned(),
    };
    let flags = |service: &Service| match service.scheduler_flags {
        0 => "none".to_owned(),
        bits => (0..3)
            .filter(|bit| bits & (1 << bit) != 0)
            .map(|bit| format!("flag-{}", bit + 1))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let on = |flag: bool| if flag { "on" } else { "off" };
    let mut settings = Vec::new();
    if old.scheduler != new.scheduler {
        settings.push(Setting::new("scheduler", &old.scheduler, &new.scheduler));
    }
    if old.persistence != new.persistence {
        settings.push(Setting::new("persistence", persistence(old), persistence(new)));
    }
    if old.one_packet != new.one_packet {
        settings.push(Setting::new("one-packet", on(old.one_packet), on(new.one_packet)));
    }
    if old.scheduler_flags != new.scheduler_flags {
        settings.push(Setting::new("flags", flags(old), flags(new)));
    }
    if old.engine != new.engine {
        let engine = |service: &Service| service.engine.clone().unwrap_or_else(|| "none".to_owned());
        settings.push(Setting::new("persistence engine", engine(old), engine(new)));
    }
    settings
}

fn destination_settings(old: &Destination, new: &Destination) -> Vec<Setting> {
    let mut settings = Vec::new();
    // What the kernel calls local is right, whatever was asked for.
    if old.forward != new.forward && old.forward != Forward::Local {
        settings.push(Setting::new("method", old.forward, new.forward));
    }
    for (name, old, new) in [
        ("weight", old.weight, new.weight),
        ("upper threshold", old.upper_threshold, new.upper_threshold),
        ("lower threshold", old.lower_threshold, new.lower_threshold),
    ] {
        if old != new {
            settings.push(Setting::new(name, old, new));
        }
    }
    settings
}
