//! Checks a model across its objects and against the machine, all mistakes at once, and returns one that is safe to
//! run: what cannot work is dropped or mended as keepalived does it, and said.

mod certificates;
mod groups;
mod health;
mod instances;
mod names;
mod overrides;
mod pair;
mod probes;
mod routing;
mod scripts;
mod servers;
mod sessions;
mod status;
mod strict;
mod together;
mod tracked;

use super::diagnostic::{Diagnostic, Level, Place};
pub use super::facts::Facts;
use super::model::{Config, Origin, VirtualServer};
use super::units::Secs;

/// Findings with the place of what they concern.
struct Resolver<'a> {
    facts: &'a Facts,
    findings: Vec<Diagnostic>,
    /// Interfaces may come and go: one that is not there is nothing to speak of.
    dynamic: bool,
}

impl Resolver<'_> {
    /// A finding about an object; `at` names the word that it is about, "" = the object itself.
    #[allow(clippy::too_many_arguments, reason = "a finding has that many parts")]
    fn find(
        &mut self,
        level: Level,
        origin: &Origin,
        at: &str,
        code: &'static str,
        problem: String,
        consequence: &str,
        fix: impl Into<String>,
    ) {
        let place: Option<Place> = if at.is_empty() { origin.place() } else { origin.word(at) };
        let (consequence, fix) = (consequence.to_owned(), fix.into());
        self.findings.push(Diagnostic { level, place, code, problem, consequence, fix });
    }
}

impl Resolver<'_> {
    /// Moves the last finding to where it belongs more exactly.
    fn at(&mut self, place: Option<Place>) {
        if let (Some(finding), Some(place)) = (self.findings.last_mut(), place) {
            finding.place = Some(place);
        }
    }
}

/// Drops and mends; see the module.
pub(super) fn resolve(mut config: Config, facts: &Facts) -> (Config, Vec<Diagnostic>) {
    let mut resolver =
        Resolver { facts, findings: Vec::new(), dynamic: config.global_defs.dynamic_interfaces };
    for found in super::keepalived::inspect(&mut config) {
        resolver.findings.push(Diagnostic {
            level: found.level,
            place: found.place,
            code: found.code,
            problem: found.problem,
            consequence: found.consequence,
            fix: found.fix,
        });
    }
    resolver.global(&mut config);
    resolver.status(&mut config);
    resolver.pair(&mut config);
    resolver.scripts(&mut config);
    resolver.processes(&mut config);
    resolver.sessions(&mut config);
    resolver.trackers(&mut config);
    resolver.instances(&mut config);
    resolver.groups(&mut config);
    resolver.links(&config);
    resolver.followers(&mut config);
    resolver.address_options(&mut config);
    resolver.routing(&mut config);
    resolver.runnable(&mut config);
    resolver.overrides(&mut config);
    resolver.servers(&mut config);
    resolver.tracked_services(&mut config);
    resolver.certificates(&config);
    resolver.deaf(&config);
    super::fwmarks::assign(&mut config, None);
    (config, resolver.findings)
}

impl Resolver<'_> {
    fn global(&mut self, config: &mut Config) {
        let global = &mut config.global_defs;
        if global.vrrp_min_garp == Some(true) {
            global.vrrp_garp_master_repeat = Some(1);
            global.vrrp_garp_master_delay = Some(Secs::from_secs(0));
        }
        let origin = global.origin.clone();
        let group4 =
            global.vrrp_mcast_group4.take_if(|group| !group.is_multicast()).map(std::net::IpAddr::V4);
        let group6 =
            global.vrrp_mcast_group6.take_if(|group| !group.is_multicast()).map(std::net::IpAddr::V6);
        let wrong = [("vrrp_mcast_group4", group4), ("vrrp_mcast_group6", group6)];
        for (word, address) in wrong.into_iter().filter_map(|(word, address)| Some((word, address?))) {
            let problem = format!("{word} {address} is no multicast address");
            self.find(
                Level::Error,
                &origin,
                word,
                "bad-value",
                problem,
                "the default is taken",
                "write one, or remove the line",
            );
        }
        self.firewall(config);
        let global = &config.global_defs;
        let mails = !global.notification_email.is_empty();
        if mails && global.smtp_server.is_none() {
            let problem = "notification_email without smtp_server".to_owned();
            let fix = "write smtp_server HOST";
            let origin = global.origin.clone();
            self.find(
                Level::Advice,
                &origin,
                "notification_email",
                "no-relay",
                problem,
                "no mail is sent",
                fix,
            );
        }
        self.relay_login(config);
    }

    /// A login that cannot work, or that anybody on the way can read.
    fn relay_login(&mut self, config: &Config) {
        if config.namespace_with_ipsets {
            let origin = config.origin.clone();
            let problem = "namespace_with_ipsets: there are no ipsets here".to_owned();
            let consequence = "nothing is lacking: nftables has their part, in every network namespace";
            let fix = "remove the line";
            self.find(
                Level::Advice,
                &origin,
                "namespace_with_ipsets",
                "no-effect",
                problem,
                consequence,
                fix,
            );
        }
        let global = &config.global_defs;
        let origin = global.origin.clone();
        let (user, password) = (global.smtp_login.is_some(), global.smtp_password.is_some());
        if user != password {
            let (there, missing) =
                if user { ("smtp_login", "smtp_password") } else { ("smtp_password", "smtp_login") };
            let problem = format!("{there} without {missing}");
            let fix = format!("write {missing}, or remove {there}");
            let consequence = "mails are sent without a login";
            self.find(Level::Warning, &origin, there, "half-a-login", problem, consequence, fix);
        } else if user && global.smtp_starttls == Some(false) {
            let problem = "smtp_login with smtp_starttls off".to_owned();
            let consequence = "the password travels in the clear";
            let fix = "remove smtp_starttls off";
            self.find(
                Level::Warning,
                &origin,
                "smtp_starttls",
                "password-in-the-clear",
                problem,
                consequence,
                fix,
            );
        }
    }
}

impl Resolver<'_> {
    /// Interfaces that other objects than instances name.
    fn links(&mut self, config: &Config) {
        let waits = "it waits until the interface is there";
        for group in &config.garp_group {
            if let Some(name) = &group.interface {
                self.interface("garp_group", name, &group.origin, "interface", waits);
            }
            for (n, name) in group.interfaces.iter().enumerate() {
                if self.interface("garp_group", name, &group.origin, "interfaces", waits) {
                    self.at(group.origin.element("interfaces", n));
                }
            }
        }
        for linkbeat in &config.linkbeat_interfaces {
            self.interface("linkbeat_interfaces", &linkbeat.interface, &linkbeat.origin, "", waits);
        }
        for delay in &config.interface_up_down_delays {
            self.interface("interface_up_down_delays", &delay.interface, &delay.origin, "", waits);
        }
        let origin = &config.origin;
        let addresses = config.static_ipaddress.iter().enumerate();
        let addresses =
            addresses.flat_map(|(n, va)| va.dev.as_deref().map(|dev| ("static_ipaddress", n, dev)));
        let routes = config.static_routes.iter().enumerate();
        let routes =
            routes.flat_map(|(n, route)| route.interfaces().map(move |dev| ("static_routes", n, dev)));
        let rules = config.static_rules.iter().enumerate();
        let rules = rules.flat_map(|(n, rule)| rule.interfaces().map(move |dev| ("static_rules", n, dev)));
        for (word, n, name) in addresses.chain(routes).chain(rules) {
            if self.interface(word, name, origin, word, waits) {
                self.at(origin.element(word, n));
            }
        }
    }
}

/// A virtual server as a person names it.
pub(super) fn shown(server: &VirtualServer) -> String {
    match (server.address, server.fwmark, &server.group) {
        (Some(address), ..) => format!("virtual_server {address} {}", server.port.unwrap_or(0)),
        (None, Some(mark), _) => format!("virtual_server fwmark {mark}"),
        (None, None, Some(group)) => format!("virtual_server group {group}"),
        (None, None, None) => "virtual_server".to_owned(),
    }
}
