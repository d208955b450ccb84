//! Virtual servers and their farms.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Resolver, shown};
use crate::config::diagnostic::Level;
use crate::config::model::{
    Config, Global, IpFamily, Method, Protocol, RealServer, VirtualServer, VirtualServerGroup,
};
use crate::config::units::Prefix;

/// What makes two virtual servers the same service.
type Identity =
    (Option<IpAddr>, Option<u16>, Option<Protocol>, Option<(u32, Option<IpFamily>)>, Option<String>);

fn identity(server: &VirtualServer) -> Identity {
    let port = server.address.map(|_| server.port.unwrap_or(0));
    // A group may be balanced once for each protocol.
    let protocol = server.protocol.filter(|_| server.fwmark.is_none());
    (server.address, port, protocol, server.fwmark.map(|mark| (mark, server.ip_family)), server.group.clone())
}

/// True when anything checks a real server.
fn has_checker(real: &RealServer) -> bool {
    let connects = real.tcp_check.len() + real.http_get.len() + real.ssl_get.len() + real.smtp_check.len();
    let others = real.dns_check.len() + real.misc_check.len() + real.udp_check.len() + real.ping_check.len();
    connects + others + real.grpc_check.len() + real.file_check.len() + real.bfd_check.len() > 0
}

impl Resolver<'_> {
    pub(super) fn servers(&mut self, config: &mut Config) {
        let global = config.global_defs.clone();
        let mut seen = BTreeSet::new();
        let carried: BTreeSet<IpAddr> = config
            .vrrp_instance
            .iter()
            .flat_map(|i| i.virtual_ipaddress.iter().chain(&i.virtual_ipaddress_excluded))
            .chain(&config.static_ipaddress)
            .map(|va| va.address.address)
            .collect();
        let mut subnets = self.facts.subnets.clone();
        let addresses = config.vrrp_instance.iter();
        let addresses =
            addresses.flat_map(|i| i.virtual_ipaddress.iter().chain(&i.virtual_ipaddress_excluded));
        let prefixes = addresses.map(|va| va.address);
        subnets.extend(prefixes.filter(|prefix| *prefix != Prefix::host(prefix.address)));
        let has_instances = !config.vrrp_instance.is_empty();
        let mut all = std::mem::take(&mut config.virtual_server);
        all.retain_mut(|server| {
            // Of one that was judged before, with all that it is judged by unchanged, all that is left to ask is whether
            // another one is the same service.
            let settled = server.is_settled();
            let origin = server.origin();
            if settled && seen.insert(identity(server)) {
                return true;
            }
            let name = shown(server);
            if !settled && !self.service(server, &name, &config.virtual_server_group) {
                return false;
            }
            if settled || !seen.insert(identity(server)) {
                let problem = format!("{name} is there twice");
                let fix = "put the real servers of both into one";
                let consequence = "the second one is dropped";
                self.find(Level::Warning, &origin, "", "duplicate-server", problem, consequence, fix);
                return false;
            }
            self.service_words(server, &name);
            self.farm(server, &name, &config.virtual_server_group);
            self.checks(server, &name, &global);
            self.probes(server, &name);
            if server.real_server.is_empty() {
                let problem = format!("{name} has no real server");
                let fix = "write real_server ADDRESS PORT { … } into it";
                let consequence = "the virtual server is dropped";
                self.find(Level::Error, &origin, "", "no-real-server", problem, consequence, fix);
                return false;
            }
            self.numbers(server, &name);
            self.health(server, &name);
            self.reachable(server, &name, &subnets);
            if let Some(address) = server.address.filter(|a| has_instances && !carried.contains(a)) {
                let problem = format!("{name}: no vrrp_instance carries {address}");
                let consequence =
                    "clients reach it only where something else puts the address on this machine";
                let fix = format!("write {address} into a virtual_ipaddress, or mend the address");
                self.find(Level::Advice, &origin, "", "vip-not-carried", problem, consequence, fix);
            }
            let group = server.group.as_ref();
            group.is_none_or(|group| {
                let found = config.virtual_server_group.iter().find(|known| known.name == *group);
                let by_marks = global.nftables_ipvs.is_some();
                found.is_none_or(|group| self.group(server, &name, group, by_marks))
            })
        });
        config.virtual_server = all;
        self.drops_traffic(config);
    }

    /// A group must be of one family, not empty, and no wider than the kernel should be filled by accident.
    fn group(
        &mut self,
        server: &VirtualServer,
        name: &str,
        group: &VirtualServerGroup,
        by_marks: bool,
    ) -> bool {
        let origin = server.origin.clone();
        let dropped = "the virtual server is dropped";
        let families: BTreeSet<bool> =
            group.entries.iter().filter_map(|entry| entry.address).map(|address| address.is_ipv6()).collect();
        if group.entries.is_empty() {
            let problem = format!("{name}: virtual_server_group {} has no entry", group.name);
            let fix = "write IP PORT, a range or fwmark N into it";
            self.find(Level::Error, &origin, "", "empty-group", problem, dropped, fix);
            return false;
        }
        if families.len() > 1 {
            let problem = format!("{name}: virtual_server_group {} has IPv4 and IPv6 addresses", group.name);
            let fix = "write a group and a virtual_server for each family";
            self.find(Level::Error, &origin, "", "mixed-group", problem, dropped, fix);
            return false;
        }
        // By marks any number of them is one service.
        let by_marks = by_marks && group.entries.iter().all(|entry| entry.address.is_some());
        let entries: &[_] = if by_marks { &[] } else { group.entries.as_slice() };
        for entry in entries {
            let Some(address) = entry.address else { continue };
            let bits = |address: IpAddr| match address {
                IpAddr::V4(v4) => u128::from(u32::from(v4)),
                IpAddr::V6(v6) => u128::from(v6),
            };
            let host = if address.is_ipv6() { 128 } else { 32 };
            let by_length = entry.length.is_some_and(|length| host - u32::from(length).min(host) > 16);
            if by_length || entry.to.is_some_and(|to| bits(to).saturating_sub(bits(address)) >= 65_536) {
                let problem = format!(
                    "{name}: an entry of {} from {address} on is wider than 65536 addresses",
                    group.name
                );
                let fix = "write nftables_ipvs into global_defs, or mark the packets and write fwmark N";
                let consequence = "its first 65536 addresses are taken";
                self.find(Level::Warning, &origin, "", "wide-group", problem, consequence, fix);
            }
        }
        true
    }

    /// DR needs the real server on a network of the director's own; `alpha` needs a check that can succeed.
    fn reachable(&mut self, server: &VirtualServer, name: &str, subnets: &[Prefix]) {
        let default = server.lb_kind.unwrap_or(Method::Nat);
        for real in &server.real_server {
            let direct = real.lvs_method.unwrap_or(default) == Method::Dr;
            let near = |prefix: &Prefix| prefix.contains(real.address);
            let family = |prefix: &&Prefix| prefix.address.is_ipv6() == real.address.is_ipv6();
            if direct && subnets.iter().any(|p| family(&p)) && !subnets.iter().any(near) {
                let problem =
                    format!("{name}: real server {} is on another subnet than the director", real.address);
                let consequence =
                    "DR changes the hardware address only: packets do not reach it through a router";
                let fix = "put it on a network of the director's, or use TUN or NAT";
                self.find(Level::Advice, &real.origin, "", "dr-other-subnet", problem, consequence, fix);
            }
            if real.alpha.unwrap_or(server.alpha) && !has_checker(real) {
                let problem = format!("{name}: alpha of real server {} without a check", real.address);
                let consequence = "nothing could ever prove it, so it counts as up";
                let fix = "write a check into it, or remove alpha";
                self.find(
                    Level::Advice,
                    &real.origin,
                    "alpha",
                    "alpha-without-check",
                    problem,
                    consequence,
                    fix,
                );
            }
        }
    }

    /// `no_accept` and `vrrp_strict` on an address that a virtual server uses.
    fn drops_traffic(&mut self, config: &Config) {
        for instance in &config.vrrp_instance {
            if instance.accepts(&config.global_defs) {
                continue;
            }
            let carried = instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded);
            let addresses: BTreeSet<IpAddr> = carried.map(|va| va.address.address).collect();
            for server in &config.virtual_server {
                let Some(address) = server.address.filter(|a| addresses.contains(a)) else { continue };
                let (why, fix) = super::strict::why_deaf(instance, &config.global_defs);
                let problem = format!(
                    "{}: {why} in vrrp_instance {} makes a director drop what is sent to {address}",
                    shown(server),
                    instance.name
                );
                let consequence = "clients of the virtual server get no answer";
                self.find(Level::Warning, &server.origin(), "", "drops-traffic", problem, consequence, fix);
            }
        }
    }

    /// Address, mark or group; protocol, port.
    fn service(&mut self, server: &mut VirtualServer, name: &str, groups: &[VirtualServerGroup]) -> bool {
        let dropped = "the virtual server is dropped";
        let origin = server.origin.clone();
        let identities = [server.address.is_some(), server.fwmark.is_some(), server.group.is_some()];
        match identities.iter().filter(|there| **there).count() {
            0 => {
                let problem = "a virtual_server has neither address nor fwmark nor group".to_owned();
                self.find(Level::Error, &origin, "", "no-address", problem, dropped, "write one of them");
                return false;
            }
            1 => {}
            _ => {
                let problem = format!("{name} has more than one of address, fwmark and group");
                self.find(Level::Error, &origin, "", "two-identities", problem, dropped, "write one of them");
                return false;
            }
        }
        for (word, code, set, taken) in [
            ("lb_algo", "no-scheduler", server.lb_algo.is_some(), "wlc"),
            ("lb_kind", "no-method", server.lb_kind.is_some(), "NAT"),
        ] {
            if !set {
                let problem = format!("{name} goes without {word}");
                let consequence = format!("{taken} is taken, as in keepalived");
                let fix = format!("write {word} {taken}, or what is meant");
                self.find(Level::Advice, &origin, word, code, problem, &consequence, fix);
            }
        }
        let mut only_marks = server.fwmark.is_some();
        if let Some(group) = &server.group {
            let Some(found) = groups.iter().find(|g| g.name == *group) else {
                let problem = format!("{name}: there is no virtual_server_group {group}");
                let near = crate::config::suggest::closest(group, groups.iter().map(|g| g.name.as_str()));
                let fix = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("write virtual_server_group {group} {{ … }}"),
                };
                self.find(Level::Warning, &origin, "", "unknown-group", problem, dropped, fix);
                return false;
            };
            only_marks = !found.entries.is_empty() && found.entries.iter().all(|e| e.fwmark.is_some());
        }
        if only_marks {
            if server.protocol.is_some() {
                let problem = format!("{name}: a firewall mark has no protocol");
                let fix = "remove the line";
                self.find(
                    Level::Warning,
                    &origin,
                    "protocol",
                    "mark-protocol",
                    problem,
                    "it is passed over",
                    fix,
                );
            }
            return true;
        }
        if server.protocol.is_none() {
            let problem = format!("{name} names no protocol");
            let consequence = "it balances UDP, as under keepalived";
            let fix = "write protocol TCP (or UDP)";
            self.find(Level::Warning, &origin, "protocol", "no-protocol", problem, consequence, fix);
        }
        if server.ops && server.protocol.is_some_and(|p| p != Protocol::Udp) {
            let problem = format!("{name}: ops (one-packet scheduling) is for UDP");
            let fix = "remove ops, or write protocol UDP";
            self.find(Level::Warning, &origin, "ops", "ops-protocol", problem, "it is passed over", fix);
            server.ops = false;
        }
        if server.address.is_some() && server.port.unwrap_or(0) == 0 && server.persistence_timeout.is_none() {
            let problem = format!("{name} has no port, which the kernel takes only with persistence");
            let fix = "write a port, or persistence_timeout";
            self.find(
                Level::Warning,
                &origin,
                "",
                "any-port",
                problem,
                "persistence_timeout 360 is set",
                fix,
            );
            server.persistence_timeout = Some(360);
        }
        if server.persistence_granularity.is_some() && server.persistence_timeout.is_none() {
            server.persistence_timeout = Some(360);
        }
        let widest = if server.address.is_some_and(|a| a.is_ipv6()) { 128 } else { 32 };
        if server.address.is_some()
            && let Some(length) = server.persistence_granularity.take_if(|length| *length > widest)
        {
            let problem = format!("{name}: persistence_granularity {length} is longer than an address");
            let fix = format!("write 1 to {widest}, or a netmask");
            let at = "persistence_granularity";
            self.find(Level::Error, &origin, at, "out-of-range", problem, "its default is taken", fix);
        }
        true
    }

    /// Duplicates, ports that the forwarding method cannot map, families.
    fn farm(&mut self, server: &mut VirtualServer, name: &str, groups: &[VirtualServerGroup]) {
        let mut seen = BTreeSet::new();
        let service_port = server.port.unwrap_or(0);
        let default_method = server.lb_kind.unwrap_or(Method::Nat);
        let group = server.group.as_ref().and_then(|name| groups.iter().find(|g| g.name == *name));
        let is_mark = server.fwmark.is_some();
        // A mark has the family that the file says, or that of its first real server.
        let family = server.address.map(|a| a.is_ipv6());
        let family = family.or(server.ip_family.map(|family| family == IpFamily::Inet6));
        let family =
            family.or(server.real_server.first().filter(|_| is_mark).map(|real| real.address.is_ipv6()));
        server.real_server.retain_mut(|real| {
            let method = real.lvs_method.unwrap_or(default_method);
            if family.is_some_and(|ipv6| ipv6 != real.address.is_ipv6()) && method != Method::Tun {
                let problem = format!("{name}: real server {} is of the other address family", real.address);
                let fix = "write an address of the service's family";
                let consequence = "the real server is dropped";
                self.find(Level::Error, &real.origin, "", "other-family", problem, consequence, fix);
                return false;
            }
            if method != Method::Nat {
                self.port_mapping(real, method, name, service_port, is_mark, group);
            }
            let fresh = seen.insert((real.address, real.port.unwrap_or(service_port)));
            if !fresh {
                let problem = format!("{name}: real server {} is there twice", real.address);
                let consequence = "the second one is dropped";
                self.find(
                    Level::Error,
                    &real.origin,
                    "",
                    "duplicate-server",
                    problem,
                    consequence,
                    "remove it",
                );
            }
            fresh
        });
    }

    fn port_mapping(
        &mut self,
        real: &mut RealServer,
        method: Method,
        name: &str,
        service_port: u16,
        is_mark: bool,
        group: Option<&VirtualServerGroup>,
    ) {
        let Some(port) = real.port.filter(|port| *port != 0) else { return };
        let origin = real.origin.clone();
        let how = if method == Method::Dr { "DR" } else { "TUN" };
        let marks = is_mark || group.is_some_and(|g| g.entries.iter().any(|e| e.fwmark.is_some()));
        if marks {
            let problem =
                format!("{name}: real server {} has port {port}, but a firewall mark has none", real.address);
            let consequence = "the port is passed over: packets keep theirs";
            self.find(
                Level::Warning,
                &origin,
                "",
                "mark-port",
                problem,
                consequence,
                "write no port, or use NAT",
            );
            if is_mark {
                real.port = None;
                return;
            }
        }
        let mut other = |service: u16, consequence: &str| {
            let problem =
                format!("{name}: real server {} has port {port}, but {how} cannot map ports", real.address);
            let fix = format!("write port {service}, or use NAT");
            self.find(Level::Warning, &origin, "", "port-mapping", problem, consequence, fix);
        };
        match group {
            Some(group) => {
                for entry in group
                    .entries
                    .iter()
                    .filter(|entry| entry.fwmark.is_none() && entry.port.unwrap_or(0) != port)
                {
                    other(entry.port.unwrap_or(0), "the entry's port is used");
                }
            }
            None if port != service_port => {
                // The closure above says it at the real server.
                other(service_port, "the service's port is used, for checks as well");
                real.port = None;
            }
            None => {}
        }
    }

    /// Checks without what they need, scripts that cannot run.
    fn checks(&mut self, server: &mut VirtualServer, name: &str, global: &Global) {
        let origin = server.origin.clone();
        self.usable(&mut server.quorum_up, global, &origin, "quorum_up", name);
        self.usable(&mut server.quorum_down, global, &origin, "quorum_down", name);
        for real in &mut server.real_server {
            if real.http_get.is_empty()
                && real.ssl_get.is_empty()
                && real.misc_check.is_empty()
                && real.notify_up.is_none()
                && real.notify_down.is_none()
            {
                continue;
            }
            let (address, origin) = (real.address, real.origin.clone());
            let real = real.settings_mut();
            for (word, checks) in [("HTTP_GET", &mut real.http_get), ("SSL_GET", &mut real.ssl_get)] {
                let before = checks.len();
                checks.retain(|check| !check.url.is_empty());
                if checks.len() < before {
                    let problem = format!("{name}: {word} of {address} has no url");
                    let fix = "write url { path / }";
                    self.find(Level::Error, &origin, word, "no-url", problem, "the check is dropped", fix);
                }
            }
            real.misc_check.retain(|check| match self.command_problem(&check.misc_path, global) {
                None => true,
                Some((problem, fix)) => {
                    let problem = format!("{name}: MISC_CHECK of {address}: {problem}");
                    let consequence = "the check is dropped: the real server counts as up without it";
                    let place = check.origin.clone();
                    self.find(
                        Level::Warning,
                        &place,
                        "misc_path",
                        "script-unusable",
                        problem,
                        consequence,
                        fix,
                    );
                    false
                }
            });
            if real.notify_up.is_none() && real.notify_down.is_none() {
                continue;
            }
            let who = format!("{name}: real server {address}");
            self.usable(&mut real.notify_up, global, &origin, "notify_up", &who);
            self.usable(&mut real.notify_down, global, &origin, "notify_down", &who);
        }
    }

    /// Quorum and hysteresis within what the weights allow.
    fn numbers(&mut self, server: &mut VirtualServer, name: &str) {
        let origin = server.origin.clone();
        let default = server.weight.unwrap_or(1);
        let counts = server.real_server.iter().filter(|real| !real.sorry);
        let sum: u32 = counts.map(|r| u32::from(r.weight.unwrap_or(default))).sum();
        if server.quorum.is_some_and(|quorum| quorum > sum.max(1)) {
            let problem =
                format!("{name}: the quorum {} is above the sum of all weights", server.quorum.unwrap_or(0));
            let fix = format!("write at most {sum}");
            self.find(
                Level::Warning,
                &origin,
                "quorum",
                "quorum-unreachable",
                problem,
                "the sum is taken",
                fix,
            );
            server.quorum = Some(sum.max(1));
        }
        if sum == 0 && server.quorum.is_none() {
            let problem = format!("{name}: all weights are 0");
            let fix = "give at least one real server a weight";
            let consequence = "no real server gets anything, and the quorum is never reached";
            self.find(Level::Warning, &origin, "quorum", "quorum-unreachable", problem, consequence, fix);
        }
        if let Some(sorry) = server.sorry_server.take_if(|sorry| {
            let ipv6 = server.address.map(|a| a.is_ipv6());
            ipv6.is_some_and(|ipv6| ipv6 != sorry.address.is_ipv6()) && server.lb_kind != Some(Method::Tun)
        }) {
            let problem =
                format!("{name}: the sorry server {} is of the other address family", sorry.address);
            let fix = "write an address of the service's family";
            let consequence = "it is dropped";
            self.find(Level::Error, &origin, "sorry_server", "other-family", problem, consequence, fix);
        }
        if server.lb_kind.is_some_and(|method| method != Method::Nat)
            && let Some(sorry) = &mut server.sorry_server
            && server.address.is_some()
            && sorry.port.is_some_and(|port| port != 0 && Some(port) != server.port)
        {
            let problem = format!("{name}: the sorry server has another port, which DR and TUN cannot map");
            let fix = "write the service's port, or none";
            let consequence = "the service's port is used";
            sorry.port = None;
            self.find(Level::Warning, &origin, "sorry_server", "port-mapping", problem, consequence, fix);
        }
        let quorum = server.quorum.unwrap_or(1);
        if server.hysteresis.is_some_and(|hysteresis| hysteresis >= quorum) {
            let problem = format!("{name}: the hysteresis is not below the quorum {quorum}");
            let fix = format!("write at most {}", quorum - 1);
            let consequence = "quorum - 1 is taken";
            self.find(
                Level::Warning,
                &origin,
                "hysteresis",
                "hysteresis-too-wide",
                problem,
                consequence,
                fix,
            );
            server.hysteresis = Some(quorum - 1);
        }
        let hysteresis = server.hysteresis.unwrap_or(0);
        if sum > 0 && quorum.saturating_add(hysteresis) > sum {
            let problem = format!(
                "{name}: the quorum {quorum} with hysteresis {hysteresis} is regained at {}, and all weights sum to {sum}",
                quorum.saturating_add(hysteresis)
            );
            let consequence = "once lost, the quorum never comes back";
            let fix = "lower the quorum or the hysteresis";
            self.find(Level::Advice, &origin, "quorum", "quorum-never-back", problem, consequence, fix);
        }
    }
}
