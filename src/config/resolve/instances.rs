//! VRRP instances: what keepalived mends or refuses at start, what does not work out, and what people trip over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, Global, InitialState, Instance, Track, VirtualAddress, VrrpVersion};

impl Resolver<'_> {
    pub(super) fn instances(&mut self, config: &mut Config) {
        let global = config.global_defs.clone();
        let mut names = BTreeSet::new();
        let mut vrids: BTreeMap<(String, bool, u8), String> = BTreeMap::new();
        let mut all = std::mem::take(&mut config.vrrp_instance);
        all.retain(|instance| self.identity(instance, &mut names, &mut vrids));
        let mut owners: BTreeMap<(IpAddr, Option<String>), String> = BTreeMap::new();
        for instance in &mut all {
            let object = format!("vrrp_instance {}", instance.name);
            self.instance(&object, instance, &global);
            for va in instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded) {
                if va.address.address.is_unspecified() {
                    continue;
                }
                let key = (va.address.address, va.dev.clone());
                let Some(other) = owners.insert(key, instance.name.clone()) else { continue };
                let problem = format!(
                    "{} is an address of {other} and of {} as well",
                    va.address.address, instance.name
                );
                let consequence = "whichever instance steps down takes it away from the other one";
                let (origin, fix) = (&instance.origin, "remove one of them");
                self.find(
                    Level::Warning,
                    origin,
                    "virtual_ipaddress",
                    "shared-address",
                    problem,
                    consequence,
                    fix,
                );
            }
        }
        self.links_of_instances(&mut all);
        self.weights(config, &all);
        config.vrrp_instance = all;
    }

    fn identity(
        &mut self,
        instance: &Instance,
        names: &mut BTreeSet<String>,
        vrids: &mut BTreeMap<(String, bool, u8), String>,
    ) -> bool {
        let object = format!("vrrp_instance {}", instance.name);
        let mut drop = |at: &str, code, problem: String, fix: &str| {
            self.find(Level::Error, &instance.origin, at, code, problem, "the instance is dropped", fix);
            false
        };
        if !names.insert(instance.name.clone()) {
            return drop("", "duplicate-name", format!("{object} is there twice"), "give it another name");
        }
        if instance.virtual_router_id == 0 {
            let problem = format!("{object} has virtual_router_id 0");
            return drop("virtual_router_id", "bad-vrid", problem, "write a number from 1 to 255");
        }
        let unicast = !instance.unicast_peer.is_empty() || instance.unicast_fault_no_peer;
        if instance.interface.is_empty() && !unicast {
            let problem = format!("{object} has no interface");
            return drop(
                "",
                "incomplete-instance",
                problem,
                "write interface with the name of its network interface",
            );
        }
        if instance.interface == "lo" {
            let problem = format!("{object}: adverts cannot be sent on the loopback interface lo");
            return drop(
                "interface",
                "loopback",
                problem,
                "write the interface that leads to the other director",
            );
        }
        let key = (instance.interface.clone(), is_ipv6(instance), instance.virtual_router_id);
        if let Some(other) = vrids.get(&key) {
            let problem = format!(
                "{object} has virtual_router_id {} on {}, which {other} has already",
                instance.virtual_router_id, instance.interface
            );
            let fix = "give it another virtual_router_id, on both directors";
            return drop("virtual_router_id", "duplicate-vrid", problem, fix);
        }
        vrids.insert(key, instance.name.clone());
        true
    }

    /// Drops what is understood and accepted, but not run yet.
    pub(super) fn runnable(&mut self, config: &mut Config) {
        let mut all = std::mem::take(&mut config.vrrp_instance);
        all.retain(|instance| self.is_runnable(instance));
        for group in &mut config.vrrp_sync_group {
            group.group.retain(|member| all.iter().any(|instance| instance.name == *member));
        }
        config.vrrp_instance = all;
    }

    fn is_runnable(&mut self, instance: &Instance) -> bool {
        let unicast = !instance.unicast_peer.is_empty();
        if !instance.interface.is_empty() || (unicast && instance.unicast_src_ip.is_some()) {
            return true;
        }
        let problem = format!("vrrp_instance {} has no interface and no unicast_src_ip", instance.name);
        let fix = "write interface NAME, or unicast_src_ip ADDRESS for unicast without one";
        let consequence = "the instance does not run";
        self.find(Level::Error, &instance.origin, "", "missing-value", problem, consequence, fix);
        false
    }

    fn instance(&mut self, object: &str, instance: &mut Instance, global: &Global) {
        let origin = instance.origin.clone();
        self.interfaces(object, instance);
        self.addresses(object, instance);
        self.preemption(object, instance, global);
        self.authentication(object, instance, global);
        self.transport(object, instance);
        if instance.is_strict(global) {
            self.strict(object, instance, global);
        }
        if instance.use_vmac.is_some() && instance.promote_secondaries {
            let problem = format!("{object}: promote_secondaries is set for a VMAC by itself");
            let at = "promote_secondaries";
            self.find(
                Level::Advice,
                &origin,
                at,
                "no-effect",
                problem,
                "the line changes nothing",
                "remove it",
            );
        }
        let version = instance.vrrp_version(global);
        if let Some(secs) = instance.advert_int
            && version == VrrpVersion::V2
            && secs.0.subsec_nanos() != 0
        {
            let problem = format!("{object}: advert_int {secs} is no whole number of seconds");
            let consequence = "version 2 carries whole seconds: it is rounded";
            let fix = "write whole seconds, or version 3";
            self.find(Level::Warning, &origin, "advert_int", "rounded", problem, consequence, fix);
        }
        if let Some(secs) = instance.advert_int
            && version == VrrpVersion::V3
            && secs.0 > std::time::Duration::from_millis(40_950)
        {
            let problem = format!("{object}: advert_int {secs} is more than version 3 can carry");
            let fix = "write at most 40.95";
            self.find(Level::Warning, &origin, "advert_int", "rounded", problem, "40.95 s is used", fix);
        }
        for (word, slot) in [
            ("notify_master", &mut instance.notify_master),
            ("notify_backup", &mut instance.notify_backup),
            ("notify_fault", &mut instance.notify_fault),
            ("notify_stop", &mut instance.notify_stop),
            ("notify_deleted", &mut instance.notify_deleted),
            ("notify_master_rx_lower_pri", &mut instance.notify_master_rx_lower_pri),
            ("notify", &mut instance.notify),
        ] {
            self.usable(slot, global, &origin, word, object);
        }
    }

    fn interfaces(&mut self, object: &str, instance: &mut Instance) {
        let origin = instance.origin.clone();
        if !instance.interface.is_empty() {
            let consequence = "the instance waits in FAULT until the interface is there";
            self.interface(object, &instance.interface.clone(), &origin, "interface", consequence);
        }
        let mut named: Vec<(&'static str, usize, String)> = Vec::new();
        let tracked = instance.track_interface.iter().enumerate();
        named.extend(tracked.map(|(n, track)| ("track_interface", n, track.name.clone())));
        for (word, list) in [
            ("virtual_ipaddress", &instance.virtual_ipaddress),
            ("virtual_ipaddress_excluded", &instance.virtual_ipaddress_excluded),
        ] {
            let devices = list.iter().enumerate();
            named.extend(devices.filter_map(|(n, va)| va.dev.clone().map(|dev| (word, n, dev))));
        }
        for (n, route) in instance.virtual_routes.iter().enumerate() {
            named.extend(route.interfaces().map(|dev| ("virtual_routes", n, dev.to_owned())));
        }
        for (n, rule) in instance.virtual_rules.iter().enumerate() {
            named.extend(rule.interfaces().map(|dev| ("virtual_rules", n, dev.to_owned())));
        }
        let mut said = BTreeSet::new();
        for (word, n, dev) in named {
            let consequence = match word {
                "track_interface" => "it counts as down until it is there",
                _ => "what is on it waits until the interface is there",
            };
            if said.insert((word, n, dev.clone())) && self.interface(object, &dev, &origin, word, consequence)
            {
                self.at(origin.element(word, n));
            }
        }
        if instance.track_interface.iter().any(|track| track.name == instance.interface) {
            let problem = format!("{object}: track_interface names its own interface {}", instance.interface);
            let fix = "remove it: the own interface is tracked always (dont_track_primary turns that off)";
            let at = "track_interface";
            self.find(Level::Warning, &origin, at, "own-interface", problem, "the line changes nothing", fix);
            instance.track_interface.retain(|track| track.name != instance.interface);
        }
    }

    /// A named interface that this machine does not have; true when that was said.
    pub(super) fn interface(
        &mut self,
        object: &str,
        name: &str,
        origin: &crate::config::model::Origin,
        word: &str,
        consequence: &str,
    ) -> bool {
        let Some(known) = &self.facts.interfaces else { return false };
        if known.contains(name) || self.dynamic {
            return false;
        }
        let problem = format!("{object}: this machine has no interface {name}");
        let near = crate::config::suggest::closest(name, known.iter().map(String::as_str));
        let fix = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("it has {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        self.find(Level::Warning, origin, word, "no-interface", problem, consequence, fix);
        true
    }

    fn addresses(&mut self, object: &str, instance: &Instance) {
        let origin = &instance.origin;
        if instance.virtual_ipaddress.is_empty() && !instance.no_virtual_ipaddress {
            let problem = format!("{object} has no virtual_ipaddress");
            let consequence = "it elects a master that carries nothing";
            let fix = "write virtual_ipaddress { ADDRESS/LENGTH }, or no_virtual_ipaddress if that is meant";
            self.find(Level::Warning, origin, "virtual_ipaddress", "no-address", problem, consequence, fix);
        }
        let ipv6 = is_ipv6(instance);
        let other = |va: &&VirtualAddress| {
            !va.address.address.is_unspecified() && va.address.address.is_ipv6() != ipv6
        };
        if let Some(va) = instance.virtual_ipaddress.iter().find(other) {
            let problem = format!("{object}: {} is of the other address family", va.address.address);
            let fix = "write it in virtual_ipaddress_excluded";
            let consequence = "it moves, but is not advertised";
            self.find(Level::Warning, origin, "virtual_ipaddress", "other-family", problem, consequence, fix);
        }
    }

    fn preemption(&mut self, object: &str, instance: &Instance, global: &Global) {
        let origin = instance.origin.clone();
        let master = instance.state == Some(InitialState::Master);
        let owner = instance.base_priority() == 255;
        if instance.nopreempt && (master || owner) {
            let why = if master { "state MASTER" } else { "priority 255" };
            let problem = format!("{object}: nopreempt has no effect with {why}");
            let consequence = "this director takes the addresses back whenever it returns";
            let fix = "write state BACKUP on both directors if it should not";
            self.find(Level::Warning, &origin, "nopreempt", "nopreempt-ignored", problem, consequence, fix);
        }
        let strict = instance.is_strict(global);
        if instance.preempt_delay.is_some_and(|delay| !delay.0.is_zero())
            && (master || instance.nopreempt || strict)
        {
            let why = if master {
                "state MASTER"
            } else if strict {
                "vrrp_strict"
            } else {
                "nopreempt"
            };
            let problem = format!("{object}: preempt_delay has no effect with {why}");
            let consequence =
                if master { "it preempts at once when it returns" } else { "it never preempts" };
            let fix = if master { "write state BACKUP" } else { "remove one of the two" };
            self.find(
                Level::Warning,
                &origin,
                "preempt_delay",
                "preempt-delay-ignored",
                problem,
                consequence,
                fix,
            );
        }
    }

    fn authentication(&mut self, object: &str, instance: &Instance, global: &Global) {
        if instance.authentication.is_none() {
            return;
        }
        let origin = &instance.origin;
        let version = instance.vrrp_version(global);
        if version == VrrpVersion::V3 {
            let problem = format!("{object}: VRRP version 3 has no authentication");
            let fix = "remove the authentication block";
            let consequence = "its adverts carry none";
            self.find(Level::Warning, origin, "authentication", "auth-v3", problem, consequence, fix);
        }
    }

    fn transport(&mut self, object: &str, instance: &mut Instance) {
        let origin = instance.origin.clone();
        let ipv6 = is_ipv6(instance);
        instance.unicast_peer.retain(|peer| {
            let good = peer.address.is_ipv6() == ipv6;
            if !good {
                let problem = format!("{object}: the peer {} is of the other address family", peer.address);
                let fix = "write its address of the instance's family";
                let at = "unicast_peer";
                self.find(Level::Error, &origin, at, "other-family", problem, "the peer is dropped", fix);
            }
            good
        });
        let unicast = ["unicast_src_ip", "unicast_peer", "check_unicast_src", "old_unicast_checksum"];
        let keyword = unicast.into_iter().find(|word| origin.has(word)).or_else(|| {
            // YAML says it by the value only.
            instance.unicast_src_ip.is_some().then_some("unicast_src_ip")
        });
        if let Some(word) = keyword
            && instance.unicast_peer.is_empty()
            && !instance.unicast_fault_no_peer
        {
            let what = if word == "unicast_peer" {
                "an empty unicast_peer".to_owned()
            } else {
                format!("{word} and no unicast_peer")
            };
            let problem = format!("{object} has {what}");
            let consequence = "it uses multicast, as keepalived does";
            let fix = "write unicast_peer { ADDRESS OF THE OTHER DIRECTOR }, or mcast_src_ip for multicast";
            self.find(Level::Warning, &origin, word, "unicast-without-peers", problem, consequence, fix);
        }
        if let Some(address) = instance.mcast_dst_ip.take_if(|address| !address.is_multicast()) {
            let problem = format!("{object}: mcast_dst_ip {address} is no multicast address");
            let (at, fix) = ("mcast_dst_ip", "write one, or remove the line");
            self.find(Level::Error, &origin, at, "bad-value", problem, "the default is taken", fix);
        }
        if instance.mcast_dst_ip.is_some() && !instance.unicast_peer.is_empty() {
            let problem = format!("{object}: mcast_dst_ip means nothing with unicast_peer");
            let at = "mcast_dst_ip";
            self.find(
                Level::Warning,
                &origin,
                at,
                "no-effect",
                problem,
                "it is passed over",
                "remove one of the two",
            );
        }
        if instance.unicast_ttl.is_some() && instance.unicast_peer.is_empty() {
            let problem = format!("{object}: unicast_ttl means nothing without unicast_peer");
            let at = "unicast_ttl";
            self.find(
                Level::Warning,
                &origin,
                at,
                "no-effect",
                problem,
                "it is passed over",
                "remove the line",
            );
        }
        let unicast = !instance.unicast_peer.is_empty()
            || ["unicast_peer", "unicast_src_ip"].iter().any(|word| origin.has(word));
        if instance.use_vmac.is_some() && unicast && !instance.vmac_xmit_base {
            let problem = format!("{object}: unicast with use_vmac needs vmac_xmit_base");
            let fix = "write vmac_xmit_base";
            self.find(Level::Warning, &origin, "use_vmac", "vmac-xmit-base", problem, "it is set", fix);
            instance.vmac_xmit_base = true;
        }
        if instance.vmac_xmit_base && instance.use_vmac.is_none() && instance.use_ipvlan.is_none() {
            let problem = format!("{object}: vmac_xmit_base means nothing without use_vmac");
            let at = "vmac_xmit_base";
            self.find(
                Level::Warning,
                &origin,
                at,
                "vmac-xmit-base",
                problem,
                "it is passed over",
                "remove the line",
            );
            instance.vmac_xmit_base = false;
        }
        let source = instance.mcast_src_ip.or(instance.unicast_src_ip);
        if instance.use_ipvlan.as_ref().is_some_and(|ipvlan| ipvlan.address.is_none())
            && source.is_none()
            && !is_ipv6(instance)
        {
            let problem = format!("{object}: use_ipvlan over IPv4 needs a source address");
            let fix = "write mcast_src_ip, unicast_src_ip, or an address behind use_ipvlan";
            self.find(
                Level::Error,
                &origin,
                "use_ipvlan",
                "ipvlan-source",
                problem,
                "the instance stays in FAULT",
                fix,
            );
        }
    }

    /// Weights that can never cause a failover, as far as one file shows it.
    fn weights(&mut self, config: &Config, instances: &[Instance]) {
        for instance in instances {
            let base = i32::from(instance.base_priority());
            if base == 255 {
                self.owner_weights(config, instance);
            }
            for track in &instance.track_script {
                let Some(script) = config.vrrp_script.iter().find(|s| s.name == track.name) else { continue };
                let weight = i32::from(track.weight.or(script.weight).unwrap_or(0));
                let reverse = track.reverse.unwrap_or(script.reverse);
                if weight == 0 || base == 255 || reverse {
                    continue;
                }
                // A positive weight is added while all is well; both lose it when it fails.
                let (well, failed) = if weight > 0 { (base + weight, base) } else { (base, base + weight) };
                let (well, failed) = (well.clamp(1, 254), failed.clamp(1, 254));
                let holds = instance.nopreempt && instance.state != Some(InitialState::Master);
                if holds && well != failed {
                    let problem = format!(
                        "vrrp_instance {}: the weight of {} moves the priority from {well} to {failed}, but under nopreempt \
                         on the other director nobody takes over from a living master",
                        instance.name, track.name
                    );
                    let consequence = "a failing script does not move the addresses";
                    let fix = "remove the weight: then a failure means FAULT, and the other director takes over at once";
                    let origin = &instance.origin;
                    self.find(
                        Level::Advice,
                        origin,
                        "track_script",
                        "weight-nopreempt",
                        problem,
                        consequence,
                        fix,
                    );
                } else if well == failed {
                    let problem = format!(
                        "vrrp_instance {}: the weight of {} changes nothing: the priority stays {well}",
                        instance.name, track.name
                    );
                    let consequence = "a failing script causes no failover";
                    let fix = "leave room for the weight between 1 and 254";
                    let origin = &instance.origin;
                    self.find(
                        Level::Advice,
                        origin,
                        "track_script",
                        "weight-without-effect",
                        problem,
                        consequence,
                        fix,
                    );
                }
            }
        }
    }
}

impl Resolver<'_> {
    /// Weights of trackers, where priority 255 never changes.
    fn owner_weights(&mut self, config: &Config, instance: &Instance) {
        let script = |t: &Track| {
            t.weight
                .or_else(|| config.vrrp_script.iter().find(|s| s.name == t.name).and_then(|s| s.weight))
                .unwrap_or(0)
        };
        let file = |t: &Track| {
            t.weight
                .or_else(|| config.track_file.iter().find(|f| f.name == t.name).and_then(|f| f.weight))
                .unwrap_or(1)
        };
        let process = |t: &Track| {
            let own = || config.vrrp_track_process.iter().find(|p| p.name == t.name).and_then(|p| p.weight);
            t.weight.or_else(own).unwrap_or(0)
        };
        let bfd = |t: &Track| {
            t.weight
                .or_else(|| config.bfd_instance.iter().find(|b| b.name == t.name).and_then(|b| b.weight))
                .unwrap_or(0)
        };
        let interface = |t: &Track| t.weight.unwrap_or(0);
        let lists: [WeightOf<'_>; 6] = [
            ("track_script", &instance.track_script, &script),
            ("track_interface", &instance.track_interface, &interface),
            ("track_file", &instance.track_file, &file),
            ("track_process", &instance.track_process, &process),
            ("track_bfd", &instance.track_bfd, &bfd),
            ("track_virtual_server", &instance.track_virtual_server, &interface),
        ];
        for (word, list, weight) in lists {
            for track in list.iter().filter(|track| weight(track) != 0) {
                let problem = format!(
                    "vrrp_instance {}: {word} {} has a weight, and priority 255 never changes",
                    instance.name, track.name
                );
                let (fix, nothing) =
                    ("write a priority of at most 254, or weight 0", "the weight has no effect");
                self.find(Level::Warning, &instance.origin, word, "owner-weight", problem, nothing, fix);
            }
        }
    }
}

/// A word, its list, and the weight that one of the list has.
type WeightOf<'a> = (&'a str, &'a [Track], &'a dyn Fn(&Track) -> i16);

/// True when adverts of this instance are IPv6.
pub(in crate::config) fn is_ipv6(instance: &Instance) -> bool {
    instance.is_ipv6()
}
