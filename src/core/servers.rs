//! What is told of real servers: configuration, overrides and the state of the checks in one document. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::overrides::change_words;
use super::status::stamp;
use crate::check::connections::Connections;
use crate::check::plan::Plan;
use crate::check::quorum::Serving;
use crate::check::ramp;
use crate::check::status::{RealStatus, ServiceStatus, Status};
use crate::config::model::{
    AdminState, Config, OverrideKind, RealServer, RealServerOverride, ServiceName, VirtualServer,
};
use crate::config::overrides::apply;
use crate::control::view::{
    DrainingView, LastFailure, OverrideView, Overrides, RealServerView, Servers, VirtualServerView,
};

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The configuration without the overrides of commands.
    pub base: Arc<Config>,
    /// The one in force.
    pub config: Arc<Config>,
    /// The overrides of commands.
    pub overrides: Vec<RealServerOverride>,
    /// What the checks say.
    pub status: Arc<Status>,
    /// When.
    pub now: Instant,
}

impl Picture {
    /// True when somebody has connections that are worth counting.
    pub fn drains(&self) -> bool {
        let mut reals = self.config.virtual_server.iter().flat_map(|server| &server.real_server);
        reals.any(|real| real.admin_state == Some(AdminState::Drain))
    }

    /// The overrides: those of the file, then those of commands.
    pub fn overrides(&self) -> Overrides {
        // What the file's own came to has been reported when it was read.
        let mut all: Vec<OverrideView> =
            self.base.real_server_override.iter().map(|one| view(one, true, None)).collect();
        let without: BTreeMap<usize, String> = if self.overrides.is_empty() {
            BTreeMap::new()
        } else {
            let mut config = (*self.base).clone();
            apply(&mut config, &self.overrides).into_iter().map(|(n, why)| (n, why.to_string())).collect()
        };
        for (n, one) in self.overrides.iter().enumerate() {
            all.push(view(one, false, without.get(&n).cloned()));
        }
        Overrides { overrides: all }
    }

    /// The virtual servers, or one of them. `connections`: the kernel's counts, where somebody drains and
    /// they can be read.
    pub fn servers(&self, only: Option<&ServiceName>, connections: Option<&Connections>) -> Servers {
        let wanted = only.map(|name| name.find(&self.config));
        let status: BTreeMap<String, &ServiceStatus> =
            self.status.services.iter().map(|service| (service.name.to_string(), service)).collect();
        let overrides = self.overrides().overrides;
        let mut by_service: BTreeMap<&str, Vec<&OverrideView>> = BTreeMap::new();
        for one in &overrides {
            by_service.entry(&one.virtual_server).or_default().push(one);
        }
        let own = |server| ServiceName::of(server, &self.base.virtual_server_group);
        let base: BTreeMap<ServiceName, &VirtualServer> =
            self.base.virtual_server.iter().filter_map(|server| Some((own(server)?, &**server))).collect();
        let counted =
            connections.filter(|_| self.drains()).map_or_else(BTreeMap::new, |counts| self.counted(counts));
        let mut servers = Servers::default();
        for (n, server) in self.config.virtual_server.iter().enumerate() {
            if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&n)) {
                continue;
            }
            let Some(name) = ServiceName::of(server, &self.config.virtual_server_group) else { continue };
            let text = name.to_string();
            let service = Service {
                base: base.get(&name).copied(),
                status: status.get(&text).copied(),
                overrides: by_service.get(text.as_str()).map_or(&[], Vec::as_slice),
                server,
                now: self.now,
            };
            servers.virtual_servers.push(service.view(&text, &counted));
        }
        servers
    }

    /// The connections of real servers that drain, by the names of both. What is not in the kernel's table has none.
    fn counted(&self, connections: &Connections) -> BTreeMap<(String, String), u64> {
        let plan = Plan::new(&self.config);
        let mut counted = BTreeMap::new();
        for service in &plan.services {
            for real in service.reals.iter().filter(|real| real.state == AdminState::Drain) {
                let counts =
                    service.members.iter().map(|member| connections.get(&(member.key, real.at(&member.key))));
                let sum = counts.flatten().map(|count| u64::from(*count)).sum();
                counted.insert((service.name.to_string(), real.name().to_string()), sum);
            }
        }
        counted
    }
}

/// One virtual server, from all sides.
struct Service<'a> {
    server: &'a VirtualServer,
    base: Option<&'a VirtualServer>,
    status: Option<&'a ServiceStatus>,
    overrides: &'a [&'a OverrideView],
    now: Instant,
}

impl Service<'_> {
    fn view(&self, name: &str, counted: &BTreeMap<(String, String), u64>) -> VirtualServerView {
        let known = self.status.map_or(&[][..], |service| service.reals.as_slice());
        let mut by_name: BTreeMap<&str, &RealStatus> = BTreeMap::new();
        // Nearly always both lists are the same file's, in its order: of ten thousand servers a look into a map is dear.
        let mut find = |n: usize, name: &str| match known.get(n).filter(|real| real.name == name) {
            Some(real) => Some(real),
            None => {
                if by_name.is_empty() {
                    by_name.extend(known.iter().map(|real| (real.name.as_str(), real)));
                }
                by_name.get(name).copied()
            }
        };
        let base: BTreeMap<SocketAddr, u32> = self
            .base
            .iter()
            .flat_map(|base| base.real_server.iter().map(|real| (base.at(real), weight(base, real))))
            .collect();
        let mut there = BTreeSet::new();
        let mut reals: Vec<RealServerView> = self
            .server
            .real_server
            .iter()
            .enumerate()
            .map(|(n, real)| {
                let at = self.server.at(real);
                there.insert(at);
                let own = at.to_string();
                let status = find(n, &own);
                let mut view = self.real(real, own, base.get(&at).copied(), status);
                if !counted.is_empty() {
                    view.connections = counted.get(&(name.to_owned(), view.name.clone())).copied();
                }
                view
            })
            .collect();
        for (at, weight) in base.into_iter().filter(|(at, _)| !there.contains(at)) {
            reals.push(RealServerView {
                name: at.to_string(),
                admin_state: "deleted".to_owned(),
                weight_configured: Some(weight),
                overridden: self.of(&at.to_string()),
                ..RealServerView::default()
            });
        }
        VirtualServerView {
            name: name.to_owned(),
            suspended: self.status.is_some_and(|status| status.suspended),
            quorum_up: self.status.is_some_and(|status| status.quorum_up),
            quorum: self.status.map_or(0, |status| status.quorum),
            weight: self.status.map_or(0, |status| status.weight),
            serving: match self.status.map(|status| status.serving) {
                None => "unknown",
                Some(Serving::RealServers) => "real_servers",
                Some(Serving::SorryPool) => "sorry_pool",
                Some(Serving::SorryServer) => "sorry_server",
            }
            .to_owned(),
            real_servers: reals,
            draining: self
                .status
                .iter()
                .flat_map(|status| &status.draining)
                .map(|one| DrainingView {
                    name: one.name.clone(),
                    seconds_left: one.until.saturating_duration_since(self.now).as_secs_f64(),
                    connections: one.connections,
                })
                .collect(),
            active_on: self.server.active_on.clone(),
            ..VirtualServerView::default()
        }
    }

    fn real(
        &self,
        real: &RealServer,
        name: String,
        in_base: Option<u32>,
        status: Option<&RealStatus>,
    ) -> RealServerView {
        let state = real.admin_state.unwrap_or_default();
        let ago = |since: Instant| self.now.saturating_duration_since(since).as_secs_f64();
        let unchecked = status.and_then(|status| self.unchecked(status));
        RealServerView {
            overridden: self.of(&name),
            name,
            admin_state: state.word().to_owned(),
            up: status.filter(|_| unchecked.is_none()).map(|status| status.up),
            unchecked: unchecked.map(str::to_owned),
            weight_configured: in_base,
            weight: status
                .filter(|_| state == AdminState::Enabled)
                .map_or(0, |status| self.effective(status)),
            last_failure: status
                .and_then(|status| status.last_failure.as_ref())
                .map(|(reason, at)| LastFailure { reason: reason.clone(), ago: ago(*at) }),
            warning: status.and_then(|status| status.warning.clone()),
            certificate_ends: status.and_then(|status| status.certificate_ends).map(|ends| {
                // One that ended before 1970 is no less at its end.
                stamp(Duration::from_secs(u64::try_from(ends).unwrap_or_default()))
            }),
            changed_ago: status.and_then(|status| status.last_change).map(ago),
            connections: None,
            ..RealServerView::default()
        }
    }

    /// Why its checks have said nothing that holds now; `None`: they have.
    fn unchecked(&self, real: &RealStatus) -> Option<&'static str> {
        match self.status {
            Some(service) if service.suspended => Some("suspended"),
            _ if !real.assumed() => None,
            _ if real.checkers.is_empty() => Some("no_checks"),
            _ => Some("no_result"),
        }
    }

    /// The weight that new connections go by, as the table has it.
    fn effective(&self, real: &RealStatus) -> u32 {
        let Some(service) = self.status else { return 0 };
        let in_turn = match service.serving {
            Serving::SorryServer => false,
            Serving::SorryPool => real.sorry,
            Serving::RealServers => !real.sorry && service.tiers.get(real.tier).copied().unwrap_or(true),
        };
        if real.up && in_turn { ramp::part(real.weight, real.tenths) } else { 0 }
    }

    /// The last word on a real server.
    fn of(&self, name: &str) -> Option<OverrideView> {
        self.overrides.iter().rev().find(|one| one.real_server == name).map(|one| (*one).clone())
    }
}

fn weight(server: &VirtualServer, real: &RealServer) -> u32 {
    u32::from(real.weight.or(server.weight).unwrap_or(1))
}

fn view(one: &RealServerOverride, persisted: bool, without_effect: Option<String>) -> OverrideView {
    OverrideView {
        virtual_server: one.service.to_string(),
        real_server: one.server.to_string(),
        change: change_words(one),
        by: one.by.clone(),
        at: one.at.clone(),
        until: one.until.clone(),
        persisted,
        without_effect,
    }
}

/// `2 real servers are overridden: 1 drain, 1 weight` at start and reload; empty without any.
pub fn summary(overrides: &[RealServerOverride]) -> String {
    let kind = |one: &RealServerOverride| match (one.kind, one.state) {
        (OverrideKind::Add { .. }, _) => "added",
        (OverrideKind::Delete, _) => "deleted",
        (OverrideKind::Change, Some(state)) => state.word(),
        (OverrideKind::Change, None) => "weight",
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in overrides {
        *counts.entry(kind(one)).or_default() += 1;
    }
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::farm::Farm;
    use crate::config;
    use crate::config::resolve::Facts;

    fn picture(overrides: &[&str]) -> Picture {
        let text = "virtual_server 10.0.0.1 80 {
 protocol TCP
 lb_kind NAT
 real_server 10.1.0.1 80 { weight 4 }
 real_server 10.1.0.2 80 { weight 3\n admin_state drain }
 real_server 10.1.0.3 80 { tier 2 }
}
real_server_override TCP 10.0.0.1:80 10.1.0.1:80 weight 5 by me
";
        let base = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config;
        let overrides: Vec<RealServerOverride> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        let mut config = base.clone();
        apply(&mut config, &overrides);
        let now = crate::clock::now();
        let status = Farm::start(Plan::new(&config), 1, now).0.status();
        Picture { base: Arc::new(base), config: Arc::new(config), overrides, status: Arc::new(status), now }
    }

    fn shown(servers: &Servers) -> Vec<String> {
        let real = |real: &RealServerView| {
            let word = real.overridden.as_ref().map_or("-", |one| one.change.as_str());
            let connections = real.connections.map_or_else(|| "-".to_owned(), |count| count.to_string());
            let configured =
                real.weight_configured.map_or_else(|| "-".to_owned(), |weight| weight.to_string());
            format!("{} {} {}/{configured} {connections} {word}", real.name, real.admin_state, real.weight)
        };
        servers.virtual_servers.iter().flat_map(|server| &server.real_servers).map(real).collect()
    }

    #[test]
    fn one_document_from_all_sides() {
        let list = "IP Virtual Server version 1.2.1 (size=4096)
TCP  0A000001:0050 wlc
  -> 0A010002:0050      Masq    0      7          2
";
        let connections = crate::check::connections::parse(list);
        let plain = picture(&[]);
        assert_eq!(
            shown(&plain.servers(None, Some(&connections))),
            [
                "10.1.0.1:80 enabled 5/5 - weight 5",
                "10.1.0.2:80 drain 0/3 9 -",
                // Another tier serves.
                "10.1.0.3:80 enabled 0/1 - -",
            ]
        );
        let changed = picture(&[
            "TCP 10.0.0.1:80 10.1.0.1:80 weight 9 by you",
            "TCP 10.0.0.1:80 10.1.0.3:80 delete",
            "TCP 10.0.0.1:80 10.1.0.4:80 add disabled",
            "TCP 10.0.0.1:80 10.1.0.5:80 drain",
        ]);
        assert_eq!(
            shown(&changed.servers(None, None)),
            [
                "10.1.0.1:80 enabled 9/5 - weight 9",
                "10.1.0.2:80 drain 0/3 - -",
                "10.1.0.4:80 disabled 0/- - add disabled",
                "10.1.0.3:80 deleted 0/1 - delete",
            ]
        );
        let all = changed.overrides().overrides;
        let persisted: Vec<bool> = all.iter().map(|one| one.persisted).collect();
        assert_eq!(persisted, [true, false, false, false, false]);
        let without = all.last().and_then(|one| one.without_effect.clone());
        assert_eq!(without.as_deref(), Some("TCP 10.0.0.1:80 has no real server 10.1.0.5:80"));
        assert_eq!(summary(&changed.overrides), "1 added, 1 deleted, 1 drain, 1 weight");
        let other = "UDP 10.0.0.1:80".parse().unwrap();
        assert!(changed.servers(Some(&other), None).virtual_servers.is_empty());
    }
}
