//! Words of one object that do not go together, of which keepalived refuses the one that comes later: families,
//! tunnels, names and numbers.

use std::collections::BTreeMap;

use super::Resolver;
use crate::config::diagnostic::{Level, Place};
use crate::config::model::{
    Broadcast, Config, Connection, Instance, IpFamily, Origin, RealServer, Tunnel, TunnelKind, UdpCheck,
    VirtualAddress, VirtualServer,
};
use crate::config::text::hex::{self, HexError, Pattern};
use crate::config::units::Prefix;

/// Longest answer that a UDP_CHECK takes when the file does not say (keepalived's default), bytes.
const REPLY: u16 = 255;

/// What a tunnel can be written as.
const TUNNEL: &str = "gue goes with a port, ipip and gre without one";

impl Resolver<'_> {
    /// `quorum` and `quorum_max` of processes: the later one is passed over.
    pub(super) fn processes(&mut self, config: &mut Config) {
        for process in &mut config.vrrp_track_process {
            let (Some(least), Some(most)) = (process.quorum, process.quorum_max) else { continue };
            if most >= least {
                continue;
            }
            let origin = process.origin.clone();
            let last = later(&origin, "quorum_max", "quorum");
            if last == "quorum" {
                process.quorum = None;
            } else {
                process.quorum_max = None;
            }
            let problem =
                format!("vrrp_track_process {}: quorum_max {most} is below quorum {least}", process.name);
            let fix = "write a greater quorum_max, or remove it";
            let consequence = "the later of the two is passed over";
            self.find(Level::Warning, &origin, last, "quorum-max", problem, consequence, fix);
        }
    }

    /// Options of addresses that they cannot have.
    pub(super) fn address_options(&mut self, config: &mut Config) {
        let statics = ("static_ipaddress", &mut config.static_ipaddress);
        self.addresses_of(&config.origin, "", [statics]);
        for instance in &mut config.vrrp_instance {
            let object = format!("vrrp_instance {}: ", instance.name);
            let lists = [
                ("virtual_ipaddress", &mut instance.virtual_ipaddress),
                ("virtual_ipaddress_excluded", &mut instance.virtual_ipaddress_excluded),
            ];
            self.addresses_of(&instance.origin, &object, lists);
        }
    }

    fn addresses_of<const N: usize>(
        &mut self,
        origin: &Origin,
        object: &str,
        lists: [(&'static str, &mut Vec<VirtualAddress>); N],
    ) {
        for (word, list) in lists {
            for (n, va) in list.iter_mut().enumerate() {
                let Prefix { address, length } = va.address;
                let made =
                    |broadcast: &mut Broadcast| matches!(broadcast, Broadcast::Plus | Broadcast::Minus);
                let mut say = |problem, consequence, fix| {
                    self.find(Level::Warning, origin, word, "bad-option", problem, consequence, fix);
                    self.at(origin.element(word, n));
                };
                // A network of one or two addresses has no broadcast address (RFC 3021).
                if address.is_ipv4() && length > 30 && va.broadcast.take_if(made).is_some() {
                    let problem = format!("{object}a /{length} network has no broadcast address to make");
                    let fix = "write the prefix length of the network, or remove brd";
                    say(problem, "the address is used without it", fix);
                }
                if word != "static_ipaddress"
                    && let Some(group) = va.track_group.take()
                {
                    let problem = format!(
                        "{object}{address} cannot follow track_group {group}: it follows its instance"
                    );
                    let fix = "remove track_group; it is for static_ipaddress";
                    say(problem, "the address is used without it", fix);
                }
            }
        }
    }

    /// Names and addresses of VMACs; VRFs.
    pub(super) fn links_of_instances(&mut self, all: &mut [Instance]) {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for instance in all {
            let object = format!("vrrp_instance {}", instance.name);
            let origin = instance.origin.clone();
            if let Some(vmac) = &mut instance.use_vmac {
                let group = |mac: &mut String| {
                    let first = mac.split(':').next().and_then(|octet| u8::from_str_radix(octet, 16).ok());
                    first.is_some_and(|octet| octet & 1 == 1)
                };
                if let Some(mac) = vmac.mac.take_if(group) {
                    let problem = format!("{object}: {mac} is a multicast address");
                    let fix = "write one whose first octet is even, as 02:00:00:00:00:01, or none";
                    let consequence = "the virtual router's own hardware address is taken";
                    self.find(Level::Warning, &origin, "use_vmac", "bad-value", problem, consequence, fix);
                }
                if let Some(name) = vmac.name.clone() {
                    if let Some(other) = names.get(&name) {
                        let problem =
                            format!("{object}: vrrp_instance {other} has an interface {name} already");
                        let fix = "give each its own name, or write use_vmac alone";
                        let consequence = "it gets a name of its own";
                        vmac.name = None;
                        self.find(
                            Level::Warning,
                            &origin,
                            "use_vmac",
                            "vmac-name",
                            problem,
                            consequence,
                            fix,
                        );
                    } else {
                        names.insert(name, instance.name.clone());
                    }
                }
            }
            if instance.interface.is_empty() {
                if let Some(vrf) = &instance.vrf {
                    let consequence = "the instance waits until it is there";
                    self.interface(&object, &vrf.clone(), &origin, "vrf", consequence);
                }
            } else if let Some(vrf) = instance.vrf.take() {
                let problem = format!("{object}: vrf {vrf} means nothing beside an interface");
                let fix = "remove it: the interface is in its VRF already";
                self.find(Level::Warning, &origin, "vrf", "no-effect", problem, "it is passed over", fix);
            }
        }
    }

    /// `track_group` of static addresses, routes and rules: it stands above them.
    pub(super) fn followers(&mut self, config: &mut Config) {
        let groups: BTreeMap<String, Option<Place>> =
            config.track_group.iter().map(|group| (group.name.clone(), group.origin.place())).collect();
        let origin = config.origin.clone();
        let mut unknown = |word: &'static str, n: usize, name: &str| -> bool {
            let place = origin.element(word, n);
            let fix = match groups.get(name) {
                None => format!("write track_group {name} {{ … }} above it"),
                Some(Some(group)) if place.as_ref().is_some_and(|at| group.is_below(at)) => {
                    format!("write track_group {name} above it: keepalived reads from top to bottom")
                }
                Some(_) => return false,
            };
            let problem = format!("{word}: there is no track_group {name}");
            let consequence = "it is there whatever the instances do";
            self.find(Level::Warning, &origin, word, "unknown-group", problem, consequence, fix);
            self.at(place);
            true
        };
        for (n, address) in config.static_ipaddress.iter_mut().enumerate() {
            address.track_group.take_if(|name| unknown("static_ipaddress", n, name));
        }
        for (n, route) in config.static_routes.iter_mut().enumerate() {
            route.track_group.take_if(|name| unknown("static_routes", n, name));
        }
        for (n, rule) in config.static_rules.iter_mut().enumerate() {
            rule.track_group.take_if(|name| unknown("static_rules", n, name));
        }
    }

    /// `vrrp_iptables` means nftables in keepalived of today: the first one counts.
    pub(super) fn firewall(&mut self, config: &mut Config) {
        let global = &mut config.global_defs;
        let origin = global.origin.clone();
        for (word, written) in
            [("vrrp_iptables", global.vrrp_iptables.is_some()), ("vrrp_ipsets", global.vrrp_ipsets.is_some())]
        {
            if written {
                let problem = format!("{word}: there are no rules of iptables any more");
                let consequence = "nftables protects the addresses in its place";
                let fix = "write nftables";
                self.find(Level::Warning, &origin, word, "instead-of-iptables", problem, consequence, fix);
            }
        }
        if global.vrrp_iptables.is_some()
            && global.nftables.is_some()
            && later(&origin, "nftables", "vrrp_iptables") == "nftables"
        {
            global.nftables = None;
            let problem = "nftables beside vrrp_iptables, which means the same".to_owned();
            let fix = "remove vrrp_iptables";
            self.find(
                Level::Warning,
                &origin,
                "nftables",
                "already-set",
                problem,
                "the first one counts",
                fix,
            );
        }
    }

    /// Families, tunnels and checks of a virtual server.
    pub(super) fn service_words(&mut self, server: &mut VirtualServer, name: &str) {
        let origin = server.origin.clone();
        let family = server.address.map(|address| address.is_ipv6());
        let other = |wanted: &mut IpFamily| family.is_some_and(|ipv6| ipv6 != (*wanted == IpFamily::Inet6));
        if server.ip_family.take_if(other).is_some() {
            let problem = format!("{name}: ip_family is the other one than its address has");
            let fix = "remove it: it is for firewall marks";
            self.find(
                Level::Warning,
                &origin,
                "ip_family",
                "other-family",
                problem,
                "it is passed over",
                fix,
            );
        }
        self.tunnel(&mut server.tunnel, &origin, "lb_kind", name);
        self.tunnel(&mut server.sorry_server_tunnel, &origin, "sorry_server_lvs_method", name);
        for real in &mut server.real_server {
            let who = format!("{name}: real server {}", real.address);
            let origin = real.origin.clone();
            self.tunnel(&mut real.tunnel, &origin, "lvs_method", &who);
            self.sources(real, &who);
            for check in &mut real.udp_check {
                self.udp(check, &who);
            }
        }
    }

    fn tunnel(&mut self, tunnel: &mut Option<Tunnel>, origin: &Origin, word: &str, who: &str) {
        let wrong = |tunnel: &mut Tunnel| (tunnel.kind == TunnelKind::Gue) != tunnel.port.is_some();
        if let Some(wrong) = tunnel.take_if(wrong) {
            let problem = match wrong.port {
                Some(port) => format!("{who}: only a gue tunnel has a port, here {port}"),
                None => format!("{who}: a gue tunnel without a port"),
            };
            self.find(Level::Warning, origin, word, "bad-value", problem, "the tunnel is plain ipip", TUNNEL);
        }
    }

    /// `bindto` of the target's family.
    fn sources(&mut self, real: &mut RealServer, who: &str) {
        let address = real.address;
        let mut look = |connection: &mut Connection, origin: &Origin| {
            let target = connection.connect_ip.unwrap_or(address);
            let other = |source: &mut std::net::IpAddr| source.is_ipv6() != target.is_ipv6();
            if let Some(source) = connection.bindto.take_if(other) {
                let problem =
                    format!("{who}: nothing can go from {source} to {target}: two address families");
                let fix = "write an address of the target's family";
                let consequence = "the kernel chooses the source";
                self.find(Level::Warning, origin, "bindto", "other-family", problem, consequence, fix);
            }
        };
        real.tcp_check.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.ping_check.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.udp_check.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.dns_check.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.smtp_check.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.http_get.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.ssl_get.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
        real.grpc_check.iter_mut().for_each(|check| look(&mut check.connection, &check.origin));
    }

    fn no_digits(
        &mut self,
        origin: &Origin,
        who: &str,
        word: &'static str,
        why: &HexError,
        consequence: &str,
    ) {
        let problem = format!("{who}: {word}: {why}");
        let fix = "write two digits for each byte, as 0a1b (X in require_reply: any digit)";
        self.find(Level::Error, origin, word, "bad-value", problem, consequence, fix);
    }

    /// Bytes and lengths of a UDP_CHECK.
    fn udp(&mut self, check: &mut UdpCheck, who: &str) {
        let origin = check.origin.clone();
        let payload = check.payload.as_deref().and_then(|text| hex::bytes(text).err());
        let reply = check.require_reply.as_deref().and_then(|text| Pattern::parse(text).err());
        if let Some(why) = payload {
            check.payload = None;
            self.no_digits(&origin, who, "payload", &why, "random bytes are sent");
        }
        if let Some(why) = reply {
            // An answer is wanted all the same.
            check.require_reply = Some(String::new());
            self.no_digits(&origin, who, "require_reply", &why, "any answer is taken");
        }
        let (least, most) = (check.min_reply_length.unwrap_or(0), check.max_reply_length.unwrap_or(REPLY));
        if least > most {
            let problem =
                format!("{who}: min_reply_length {least} is above max_reply_length {most} (default {REPLY})");
            let fix = "write a greater max_reply_length";
            let consequence = "no answer can be right: the check always fails";
            self.find(Level::Warning, &origin, "min_reply_length", "out-of-range", problem, consequence, fix);
        }
    }
}

/// The one of two words that stands below the other; the first where the file does not tell.
fn later<'a>(origin: &Origin, one: &'a str, other: &'a str) -> &'a str {
    match (origin.word(one), origin.word(other)) {
        (Some(first), Some(second)) if second.is_below(&first) => other,
        (_, _) => one,
    }
}
