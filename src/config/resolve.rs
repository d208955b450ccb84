//! Checks a model across its objects and against the machine, all mistakes at once, and returns one that is safe to
//! run: what cannot work is dropped or mended as keepalived does it, and said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::diagnostic::{Diagnostic, Level, Place};
pub use super::facts::Facts;
use super::keepalived::{Places, server_key};
use super::model::{AuthType, Config, Global, InitialState, Instance, Method, VirtualServer, VrrpVersion};

/// Findings with the place of the object that they concern.
struct Resolver<'a> {
    places: &'a Places,
    facts: &'a Facts,
    findings: Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn find(
        &mut self,
        level: Level,
        object: &str,
        code: &'static str,
        problem: String,
        consequence: &str,
        fix: impl Into<String>,
    ) {
        let place: Option<Place> = self.places.get(object).cloned();
        let (consequence, fix) = (consequence.to_owned(), fix.into());
        self.findings.push(Diagnostic { level, place, code, problem, consequence, fix });
    }
}

/// Drops and mends; see the module. The places of objects come from the front end, where it knows them.
pub(super) fn resolve(mut config: Config, places: &Places, facts: &Facts) -> (Config, Vec<Diagnostic>) {
    let mut resolver = Resolver { places, facts, findings: Vec::new() };
    for bad in super::ranges::check(&mut config) {
        resolver.find(
            Level::Error,
            &bad.object,
            "out-of-range",
            bad.problem,
            "its default is taken",
            bad.fix,
        );
    }
    resolver.scripts(&mut config);
    resolver.instances(&mut config);
    resolver.servers(&mut config);
    (config, resolver.findings)
}

impl Resolver<'_> {
    fn scripts(&mut self, config: &mut Config) {
        let global = config.global_defs.clone();
        let mut seen = BTreeSet::new();
        config.vrrp_script.retain(|script| {
            let object = format!("vrrp_script {}", script.name);
            if !seen.insert(script.name.clone()) {
                let fix = "give it another name, or remove one";
                let problem = format!("{object} is there twice");
                self.find(Level::Error, &object, "duplicate-name", problem, "the second one is dropped", fix);
                return false;
            }
            if script.script.argv.is_empty() {
                let problem = format!("{object} has no command");
                self.find(Level::Error, &object, "no-command", problem, "it is dropped", "write one");
                return false;
            }
            let (user, security) = (global.script_user.as_ref(), global.enable_script_security);
            let Some((problem, fix)) = self.facts.command_problem(&script.script, user, security) else {
                return true;
            };
            self.find(
                Level::Warning,
                &object,
                "script-unusable",
                format!("{object}: {problem}"),
                "the script is dropped, and instances that track it go on without it, as under keepalived",
                fix,
            );
            false
        });
        let names: BTreeSet<String> = config.vrrp_script.iter().map(|s| s.name.clone()).collect();
        for instance in &mut config.vrrp_instance {
            let object = format!("vrrp_instance {}", instance.name);
            instance.track_script.retain(|track| {
                let known = names.contains(&track.name);
                if !known && !seen.contains(&track.name) {
                    let problem =
                        format!("{object} tracks the script \"{}\", which does not exist", track.name);
                    let fix = format!("write vrrp_script {} {{ … }} before the instance", track.name);
                    self.find(Level::Warning, &object, "unknown-script", problem, "it is passed over", fix);
                }
                known
            });
        }
    }

    fn instances(&mut self, config: &mut Config) {
        let global = config.global_defs.clone();
        let mut names = BTreeSet::new();
        let mut vrids: BTreeMap<(String, u8), String> = BTreeMap::new();
        let mut owners: BTreeMap<IpAddr, String> = BTreeMap::new();
        config.vrrp_instance.retain(|instance| {
            let object = format!("vrrp_instance {}", instance.name);
            let mut drop = |code, problem: String, fix: &str| {
                self.find(Level::Error, &object, code, problem, "the instance is dropped", fix);
                false
            };
            if !names.insert(instance.name.clone()) {
                return drop("duplicate-name", format!("{object} is there twice"), "give it another name");
            }
            if instance.virtual_router_id == 0 {
                let problem = format!("{object} has virtual_router_id 0");
                return drop("bad-vrid", problem, "write a number from 1 to 255");
            }
            if is_ipv6(instance) {
                let problem = format!("{object} is an IPv6 instance, which Tandem does not run yet");
                let fix = "move its addresses to virtual_ipaddress_excluded of an IPv4 instance";
                return drop("ipv6-instance", problem, fix);
            }
            let key = (instance.interface.clone(), instance.virtual_router_id);
            if let Some(other) = vrids.insert(key, instance.name.clone()) {
                let problem = format!(
                    "{object} has virtual_router_id {} on {}, which {other} has already",
                    instance.virtual_router_id, instance.interface
                );
                vrids.insert((instance.interface.clone(), instance.virtual_router_id), other);
                return drop(
                    "duplicate-vrid",
                    problem,
                    "give it another virtual_router_id, on both directors",
                );
            }
            true
        });
        for instance in &mut config.vrrp_instance {
            let object = format!("vrrp_instance {}", instance.name);
            self.instance(&object, instance, &global);
            for va in instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded) {
                let address = va.address.address;
                if let Some(other) = owners.insert(address, instance.name.clone()) {
                    let problem =
                        format!("{address} is an address of {other} and of {} as well", instance.name);
                    let consequence = "whichever instance steps down takes it away from the other one";
                    self.find(
                        Level::Warning,
                        &object,
                        "shared-address",
                        problem,
                        consequence,
                        "remove one of them",
                    );
                }
            }
        }
    }

    fn instance(&mut self, object: &str, instance: &mut Instance, global: &Global) {
        let version = instance.version.or(global.vrrp_version).unwrap_or(VrrpVersion::V2);
        if let Some(known) = &self.facts.interfaces
            && !known.contains(&instance.interface)
        {
            let problem = format!("{object}: this machine has no interface {}", instance.interface);
            let near = super::suggest::closest(&instance.interface, known.iter().map(String::as_str));
            let fix = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("it has {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
            };
            let consequence = "the instance waits in FAULT until the interface is there";
            self.find(Level::Warning, object, "no-interface", problem, consequence, fix);
        }
        if instance.virtual_ipaddress.is_empty() {
            let problem = format!("{object} has no virtual_ipaddress");
            let consequence = "it elects a master that carries nothing";
            let fix = "write virtual_ipaddress { ADDRESS/LENGTH }";
            self.find(Level::Warning, object, "no-address", problem, consequence, fix);
        }
        let mixed = |va: &&super::model::VirtualAddress| va.address.address.is_ipv6();
        if let Some(va) = instance.virtual_ipaddress.iter().find(mixed) {
            let problem = format!("{object}: {} is no IPv4 address", va.address.address);
            let fix = "write it in virtual_ipaddress_excluded";
            self.find(
                Level::Warning,
                object,
                "other-family",
                problem,
                "it moves, but is not advertised",
                fix,
            );
        }
        let master = instance.state == Some(InitialState::Master);
        if instance.nopreempt && (master || instance.priority == Some(255)) {
            let why = if master { "state MASTER" } else { "priority 255" };
            self.find(
                Level::Warning,
                object,
                "nopreempt-ignored",
                format!("{object}: nopreempt has no effect with {why}"),
                "this director takes the addresses back whenever it returns",
                "write state BACKUP on both directors if it should not",
            );
        }
        if let Some(auth) = &instance.authentication {
            if version == VrrpVersion::V3 {
                let problem = format!("{object}: VRRP version 3 has no authentication");
                let fix = "remove the authentication block";
                self.find(Level::Warning, object, "auth-v3", problem, "its adverts carry none", fix);
            } else if auth.auth_type == AuthType::Ah {
                let problem = "accepted, not acted on yet: auth_type AH".to_owned();
                let consequence = "adverts are sent and expected without authentication";
                self.find(
                    Level::Warning,
                    object,
                    "not-acted-on",
                    problem,
                    consequence,
                    "use PASS on both directors",
                );
            }
        }
        if let Some(secs) = instance.advert_int
            && version == VrrpVersion::V2
            && secs.0.subsec_nanos() != 0
        {
            let problem = format!("{object}: advert_int {secs} is no whole number of seconds");
            let consequence = "version 2 carries whole seconds: it is rounded";
            let fix = "write whole seconds, or version 3";
            self.find(Level::Warning, object, "rounded", problem, consequence, fix);
        }
        instance.unicast_peer.retain(|peer| {
            let good = peer.address.is_ipv4();
            if !good {
                let problem = format!("{object}: the peer {} is no IPv4 address", peer.address);
                self.find(
                    Level::Error,
                    object,
                    "other-family",
                    problem,
                    "the peer is dropped",
                    "write its IPv4 address",
                );
            }
            good
        });
        let (user, security) = (global.script_user.as_ref(), global.enable_script_security);
        for slot in [
            &mut instance.notify_master,
            &mut instance.notify_backup,
            &mut instance.notify_fault,
            &mut instance.notify_stop,
            &mut instance.notify_deleted,
            &mut instance.notify_master_rx_lower_pri,
            &mut instance.notify,
        ] {
            let problem = slot.as_ref().and_then(|c| self.facts.command_problem(c, user, security));
            if let Some((problem, fix)) = problem {
                let problem = format!("{object}: {problem}");
                let consequence = "this notify script is dropped, as under keepalived";
                self.find(Level::Warning, object, "script-unusable", problem, consequence, fix);
                *slot = None;
            }
        }
    }

    fn servers(&mut self, config: &mut Config) {
        let global = config.global_defs.clone();
        let mut seen = BTreeSet::new();
        config.virtual_server.retain_mut(|server| {
            let key = server_key(server);
            let name = shown(server);
            let good = self.identity(server, &key, &name);
            if !good {
                return false;
            }
            if !seen.insert(key.clone()) {
                let problem = format!("{name} is there twice");
                let fix = "put the real servers of both into one";
                self.find(Level::Error, &key, "duplicate-server", problem, "the second one is dropped", fix);
                return false;
            }
            self.farm(server, &key, &name);
            self.checks(server, &key, &name, &global);
            if server.real_server.is_empty() {
                let problem = format!("{name} has no real server");
                let fix = "write real_server ADDRESS PORT { … } into it";
                self.find(
                    Level::Error,
                    &key,
                    "no-real-server",
                    problem,
                    "the virtual server is dropped",
                    fix,
                );
                return false;
            }
            self.numbers(server, &key, &name);
            true
        });
    }

    /// Address or mark, protocol, port.
    fn identity(&mut self, server: &mut VirtualServer, key: &str, name: &str) -> bool {
        let dropped = "the virtual server is dropped";
        match (server.address, server.fwmark) {
            (None, None) => {
                let problem = "a virtual_server has neither address nor fwmark".to_owned();
                self.find(Level::Error, key, "no-address", problem, dropped, "write one of them");
                return false;
            }
            (Some(_), Some(_)) => {
                let problem = format!("{name} has both an address and a fwmark");
                self.find(Level::Error, key, "two-identities", problem, dropped, "write one of them");
                return false;
            }
            (Some(_), None) => {}
            (None, Some(_)) => return true,
        }
        if server.protocol.is_none() {
            let problem = format!("{name} names no protocol");
            let consequence = "it balances UDP, as under keepalived";
            self.find(
                Level::Warning,
                key,
                "no-protocol",
                problem,
                consequence,
                "write protocol TCP (or UDP)",
            );
        }
        if server.port.unwrap_or(0) == 0 && server.persistence_timeout.is_none() {
            let problem = format!("{name} has no port, which the kernel takes only with persistence");
            let fix = "write a port, or persistence_timeout";
            self.find(Level::Warning, key, "any-port", problem, "persistence_timeout 360 is set", fix);
            server.persistence_timeout = Some(360);
        }
        if server.persistence_granularity.is_some() && server.persistence_timeout.is_none() {
            server.persistence_timeout = Some(360);
        }
        true
    }

    /// Duplicates, ports that the forwarding method cannot map, families.
    fn farm(&mut self, server: &mut VirtualServer, key: &str, name: &str) {
        let mut seen = BTreeSet::new();
        let service_port = server.port.unwrap_or(0);
        let default_method = server.lb_kind.unwrap_or(Method::Nat);
        let family = server.address.map(|a| a.is_ipv6());
        server.real_server.retain_mut(|real| {
            let method = real.lvs_method.unwrap_or(default_method);
            let other_port = real.port.is_some_and(|port| port != 0 && port != service_port);
            if method != Method::Nat && other_port && server.fwmark.is_none() {
                let problem = format!(
                    "{name}: real server {} has port {}, but {} cannot map ports",
                    real.address,
                    real.port.unwrap_or(0),
                    if method == Method::Dr { "DR" } else { "TUN" },
                );
                let fix = format!("write port {service_port}, or use NAT");
                let consequence = "the service's port is used, for checks as well";
                self.find(Level::Warning, key, "port-mapping", problem, consequence, fix);
                real.port = None;
            }
            if family.is_some_and(|ipv6| ipv6 != real.address.is_ipv6()) && method != Method::Tun {
                let problem = format!("{name}: real server {} is of the other address family", real.address);
                let fix = "write an address of the service's family";
                self.find(Level::Error, key, "other-family", problem, "the real server is dropped", fix);
                return false;
            }
            let fresh = seen.insert((real.address, real.port.unwrap_or(service_port)));
            if !fresh {
                let problem = format!("{name}: real server {} is there twice", real.address);
                self.find(
                    Level::Error,
                    key,
                    "duplicate-server",
                    problem,
                    "the second one is dropped",
                    "remove it",
                );
            }
            fresh
        });
    }

    /// Checks without what they need, scripts that cannot run.
    fn checks(&mut self, server: &mut VirtualServer, key: &str, name: &str, global: &Global) {
        let (user, security) = (global.script_user.as_ref(), global.enable_script_security);
        for real in &mut server.real_server {
            let before = real.http_get.len();
            real.http_get.retain(|check| !check.url.is_empty());
            if real.http_get.len() < before {
                let problem = format!("{name}: HTTP_GET of {} has no url", real.address);
                self.find(
                    Level::Error,
                    key,
                    "no-url",
                    problem,
                    "the check is dropped",
                    "write url { path / }",
                );
            }
            let address = real.address;
            real.misc_check.retain(|check| {
                match self.facts.command_problem(&check.misc_path, user, security) {
                    None => true,
                    Some((problem, fix)) => {
                        let problem = format!("{name}: MISC_CHECK of {address}: {problem}");
                        let consequence = "the check is dropped: the real server counts as up without it";
                        self.find(Level::Warning, key, "script-unusable", problem, consequence, fix);
                        false
                    }
                }
            });
            for slot in [&mut real.notify_up, &mut real.notify_down] {
                let problem = slot.as_ref().and_then(|c| self.facts.command_problem(c, user, security));
                if let Some((problem, fix)) = problem {
                    let problem = format!("{name}: notify script of {address}: {problem}");
                    self.find(Level::Warning, key, "script-unusable", problem, "the script is dropped", fix);
                    *slot = None;
                }
            }
        }
    }

    /// Quorum and hysteresis within what the weights allow.
    fn numbers(&mut self, server: &mut VirtualServer, key: &str, name: &str) {
        let default = server.weight.unwrap_or(1);
        let sum: u32 = server.real_server.iter().map(|r| u32::from(r.weight.unwrap_or(default))).sum();
        if server.quorum.is_some_and(|quorum| quorum > sum.max(1)) {
            let problem =
                format!("{name}: the quorum {} is above the sum of all weights", server.quorum.unwrap_or(0));
            let fix = format!("write at most {sum}");
            self.find(Level::Warning, key, "quorum-unreachable", problem, "the sum is taken", fix);
            server.quorum = Some(sum.max(1));
        }
        let quorum = server.quorum.unwrap_or(1);
        if server.hysteresis.is_some_and(|hysteresis| hysteresis >= quorum) {
            let problem = format!("{name}: the hysteresis is not below the quorum {quorum}");
            let fix = format!("write at most {}", quorum - 1);
            self.find(Level::Warning, key, "hysteresis-too-wide", problem, "quorum - 1 is taken", fix);
            server.hysteresis = Some(quorum - 1);
        }
    }
}

/// True when adverts of this instance would have to be IPv6.
fn is_ipv6(instance: &Instance) -> bool {
    let source = instance.unicast_src_ip.or(instance.mcast_src_ip);
    match source {
        Some(source) => source.is_ipv6(),
        None => match instance.virtual_ipaddress.first() {
            Some(first) => first.address.address.is_ipv6(),
            None => instance.unicast_peer.first().is_some_and(|p| p.address.is_ipv6()),
        },
    }
}

/// A virtual server as a person names it.
pub(super) fn shown(server: &VirtualServer) -> String {
    match (server.address, server.fwmark) {
        (Some(address), _) => format!("virtual_server {address} {}", server.port.unwrap_or(0)),
        (None, Some(mark)) => format!("virtual_server fwmark {mark}"),
        (None, None) => "virtual_server".to_owned(),
    }
}
