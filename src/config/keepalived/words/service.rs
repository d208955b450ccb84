//! `virtual_server`.

use crate::config::diagnostic::Level;
use crate::config::keepalived::blocks::Blocks;
use crate::config::keepalived::form::{
    Choice, DAY, Flag, FlagSwitch, LONGEST, Nothing, Number, Seconds, Switch, Text,
};
use crate::config::keepalived::forms::Cmd;
use crate::config::keepalived::keyword::{Block, Form, Inspection, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{IpFamily, Method, Protocol, Scheduler, SorryServer, VirtualServer};

use super::health::{Damping, TIER_MODES};
use super::server::{Forwarding, MethodOf, bare, port};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const SCHEDULERS: Choice<Scheduler> = Choice(
    &[
        ("rr", Scheduler::Rr),
        ("wrr", Scheduler::Wrr),
        ("lc", Scheduler::Lc),
        ("wlc", Scheduler::Wlc),
        ("lblc", Scheduler::Lblc),
        ("lblcr", Scheduler::Lblcr),
        ("sh", Scheduler::Sh),
        ("mh", Scheduler::Mh),
        ("dh", Scheduler::Dh),
        ("fo", Scheduler::Fo),
        ("ovf", Scheduler::Ovf),
        ("sed", Scheduler::Sed),
        ("nq", Scheduler::Nq),
        ("twos", Scheduler::Twos),
    ],
    "wlc is used, as keepalived does",
);

const FAMILIES: Choice<IpFamily> =
    Choice(&[("inet", IpFamily::Inet), ("inet6", IpFamily::Inet6)], "the line is passed over");

const VIRTUAL_SERVER: Table<VirtualServer> = keywords! { VirtualServer:
    "ip_family" => { ip_family: FAMILIES };
    "delay_loop" => { delay_loop: Seconds(0.000_001, LONGEST) };
    "lb_algo" | "lvs_sched" => { lb_algo: SCHEDULERS };
    "flag-1" | "sh-fallback" | "mh-fallback" => { flag_1: Flag };
    "flag-2" | "sh-port" | "mh-port" => { flag_2: Flag };
    "flag-3" => { flag_3: Flag };
    "lb_kind" | "lvs_method" => { * MethodOf::<VirtualServer>::of() };
    "protocol" => { protocol: ProtocolName };
    "persistence_engine" => { persistence_engine: Text };
    "persistence_timeout" => { persistence_timeout: Persistence };
    "persistence_granularity" => { persistence_granularity: Granularity };
    "ops" => { ops: Flag };
    "ha_suspend" => { ha_suspend: Flag };
    "active_on" => { active_on: Text };
    "alpha" => { alpha: Flag };
    "omega" => { omega: Flag };
    "quorum" => { quorum: Number(1, u32::MAX) };
    "hysteresis" => { hysteresis: Number(0, u32::MAX) };
    "quorum_up" => { quorum_up: Cmd };
    "quorum_down" => { quorum_down: Cmd };
    "inhibit_on_failure" => { inhibit_on_failure: Flag };
    "weight" => { weight: Number(1, u16::MAX) };
    "retry" => { retry: Number(1, u32::MAX) };
    "delay_before_retry" => { delay_before_retry: Seconds(0.0, LONGEST) };
    "fall" => { fall: Number(1, 1000) };
    "rise" => { rise: Number(1, 1000) };
    "fast_interval" => { fast_interval: Seconds(0.001, LONGEST) };
    "timeout_retry" => { timeout_retry: Number(0, 1000) };
    "share" => { share: Switch };
    "slow_start" => { slow_start: Seconds(0.001, DAY) };
    "flap_damping" => { flap_damping: Damping };
    "tier_min_weight" => { tier_min_weight: Number(0, 100) };
    "tier_hysteresis" => { tier_hysteresis: Number(0, 100) };
    "tier_mode" => { tier_mode: TIER_MODES };
    "drain_on_removal" => { drain_on_removal: FlagSwitch };
    "drain_timeout" => { drain_timeout: Seconds(0.001, DAY) };
    "warmup" => { warmup: Seconds(0.0, LONGEST) };
    "connect_timeout" => { connect_timeout: Seconds(0.000_001, LONGEST) };
    "virtualhost" => { virtualhost: Text };
    "smtp_alert" => { smtp_alert: Switch };
    later "snmp_name" => { snmp_name: Text };
    "sorry_server" => { sorry_server: Sorry };
    "sorry_server_inhibit" => { sorry_server_inhibit: Flag };
    "sorry_server_lvs_method" => { * MethodOf::<SorryMethod>::of() };
    never "hashed" => { * Hashed };
    "real_server" => { real_server: Blocks::<crate::config::model::RealServer>::all() };
};

impl Block for VirtualServer {
    const WHAT: &'static str = "virtual_server";
    origin!();

    fn table() -> Table<Self> {
        VIRTUAL_SERVER
    }

    fn open(r: &mut Reader, node: &Node<'_>) -> Option<Self> {
        let mut server = Self::default();
        let first = r.argument(node, 0).map(str::to_owned);
        let second = r.argument(node, 1).map(str::to_owned);
        let dropped = "the virtual server is dropped";
        match (first.as_deref(), second) {
            (Some("fwmark"), Some(mark)) => match mark.parse::<u32>().ok().filter(|m| *m > 0) {
                Some(mark) => server.fwmark = Some(mark),
                None => {
                    let problem = format!("\"{mark}\" is no firewall mark");
                    let fix = "write a number from 1 to 4294967295";
                    r.find(Level::Error, node, 2, "bad-value", problem, dropped, fix);
                    return None;
                }
            },
            (Some("group"), Some(name)) => server.group = Some(name),
            (Some("fwmark" | "group"), None) | (None, _) => {
                r.missing(node);
                return None;
            }
            (Some(text), _) => match bare(r, node, text).parse() {
                Ok(address) => {
                    server.address = Some(address);
                    server.port = port(r, node, 1)?;
                }
                Err(_) => {
                    let problem = format!("\"{text}\" is not an IP address");
                    let fix = "write virtual_server ADDRESS PORT { … }";
                    r.find(Level::Error, node, 1, "bad-address", problem, dropped, fix);
                    return None;
                }
            },
        }
        Some(server)
    }

    fn header(&self, w: &mut Writer) -> Vec<String> {
        match (self.address, self.fwmark, &self.group) {
            (Some(address), ..) => {
                let mut words = vec![address.to_string()];
                words.extend(self.port.map(|port| port.to_string()));
                words
            }
            (None, Some(mark), _) => vec!["fwmark".to_owned(), mark.to_string()],
            (None, None, Some(group)) => vec!["group".to_owned(), w.quote(group)],
            (None, None, None) => {
                w.impossible.push("a virtual_server without address, fwmark and group".to_owned());
                Vec::new()
            }
        }
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        if self.flag_1 || self.flag_2 {
            self.hashing_flags(r, node);
        }
        true
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        let mut server = Self::default();
        match s.below(3) {
            0 => server.fwmark = Some(7),
            1 => server.group = Some(s.name()),
            _ => {
                server.address = Some(s.ip());
                server.port = s.flip().then_some(80);
            }
        }
        server
    }
}

impl VirtualServer {
    /// `sh-port` and its like are for the hashing schedulers, which must be named above them; `flag-1` is for all.
    fn hashing_flags(&mut self, r: &mut Reader, node: &Node<'_>) {
        (self.flag_1, self.flag_2) = (false, false);
        let mut hashes = false;
        for child in node.children() {
            let key = child.key();
            let flag = match key {
                "lb_algo" | "lvs_sched" => {
                    hashes = matches!(child.argument(0), Some("sh" | "mh"));
                    continue;
                }
                "flag-1" | "sh-fallback" | "mh-fallback" => &mut self.flag_1,
                "flag-2" | "sh-port" | "mh-port" => &mut self.flag_2,
                _ => continue,
            };
            if hashes || key.starts_with("flag-") {
                *flag = true;
                continue;
            }
            let problem = format!("{key} without lb_algo sh or mh above it");
            let fix = "write lb_algo sh (or mh) above it, or remove it";
            r.find(Level::Warning, &child, 0, "no-effect", problem, "it is passed over", fix);
        }
    }
}

/// Legacy, without effect in keepalived as well.
struct Hashed;

impl WholeForm<VirtualServer> for Hashed {
    fn read(&self, r: &mut Reader, node: &Node<'_>, _: &mut VirtualServer) {
        Nothing.read(r, node, &mut ());
    }
    fn write(&self, _: &str, _: &VirtualServer, _: &mut Writer) {}
    fn is_set(&self, _: &VirtualServer) -> bool {
        false
    }
    fn says(&self) -> String {
        String::new()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut VirtualServer) {}
}

/// The forwarding method of the sorry server.
struct SorryMethod;

impl Forwarding<VirtualServer> for SorryMethod {
    fn get(server: &VirtualServer) -> (Option<Method>, Option<&crate::config::model::Tunnel>) {
        (server.sorry_server_lvs_method, server.sorry_server_tunnel.as_ref())
    }
    fn set(server: &mut VirtualServer) -> (&mut Option<Method>, &mut Option<crate::config::model::Tunnel>) {
        (&mut server.sorry_server_lvs_method, &mut server.sorry_server_tunnel)
    }
}

impl Forwarding<Self> for VirtualServer {
    fn get(server: &Self) -> (Option<Method>, Option<&crate::config::model::Tunnel>) {
        (server.lb_kind, server.tunnel.as_ref())
    }
    fn set(server: &mut Self) -> (&mut Option<Method>, &mut Option<crate::config::model::Tunnel>) {
        (&mut server.lb_kind, &mut server.tunnel)
    }
}

/// `TCP`, `UDP` or `SCTP`, in either case.
struct ProtocolName;

const PROTOCOLS: [(&str, Protocol); 3] =
    [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];

impl Form for ProtocolName {
    type Slot = Option<Protocol>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.word(node) else { return };
        match PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, protocol)) => *slot = Some(*protocol),
            None => r.bad(node, text, "TCP, UDP or SCTP", "UDP is used, as keepalived does"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some((name, _)) = PROTOCOLS.iter().find(|(_, protocol)| Some(*protocol) == *slot) {
            w.line(word, &[name]);
        }
    }

    fn says(&self) -> String {
        "TCP|UDP|SCTP".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(&PROTOCOLS).map(|(_, protocol)| protocol);
    }
}

/// Seconds, 1 to 31 days; bare = 360. 0 is common in public files and means no persistence.
struct Persistence;

/// 31 days: what IPVS takes for a persistence.
const LONGEST_PERSISTENCE: u32 = 31 * 86_400;

impl Form for Persistence {
    type Slot = Option<u32>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        match r.argument(node, 0) {
            None => *slot = Some(360),
            Some("0") => {
                let problem = "persistence_timeout 0 means nothing";
                let fix = "remove the line";
                r.find(Level::Advice, node, 1, "bad-value", problem, "there is no persistence", fix);
            }
            Some(_) => Number(1, LONGEST_PERSISTENCE).read(r, node, slot),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Number(1, LONGEST_PERSISTENCE).write(word, slot, w);
    }

    fn says(&self) -> String {
        "[seconds from 1 to 2678400]".to_owned()
    }

    fn limits(&self) -> Option<(i64, i64)> {
        Some((1, i64::from(LONGEST_PERSISTENCE)))
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(1, LONGEST_PERSISTENCE).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(1, LONGEST_PERSISTENCE).sample(s, slot);
    }
}

/// An IPv4 netmask or a prefix length.
struct Granularity;

impl Form for Granularity {
    type Slot = Option<u8>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.word(node) else { return };
        let length = match text.parse::<std::net::Ipv4Addr>() {
            Ok(mask) => {
                let bits = u32::from(mask);
                let length = bits.leading_ones();
                (bits.count_ones() == length && length > 0)
                    .then_some(length)
                    .and_then(|n| u8::try_from(n).ok())
            }
            Err(_) => text.parse().ok().filter(|n| (1..=128).contains(n)),
        };
        match length {
            Some(length) => *slot = Some(length),
            None => {
                r.bad(
                    node,
                    text,
                    "a netmask such as 255.255.255.0, or a prefix length",
                    "the line is passed over",
                );
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        // A mask for IPv4: keepalived takes a length for IPv6 only.
        match slot {
            Some(length @ 1..=32) => {
                let mask = u32::MAX << (32 - u32::from(*length));
                w.line(word, &[std::net::Ipv4Addr::from(mask).to_string()]);
            }
            Some(length) => w.line(word, &[length.to_string()]),
            None => {}
        }
    }

    fn says(&self) -> String {
        "a netmask, or a prefix length from 1 to 128".to_owned()
    }

    fn limits(&self) -> Option<(i64, i64)> {
        Some((1, 128))
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(1, 128).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(1, 128).sample(s, slot);
    }
}

/// `IP [PORT]`.
struct Sorry;

impl Form for Sorry {
    type Slot = Option<SorryServer>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(address) = r.address(node) else { return };
        if let Some(port) = port(r, node, 1) {
            *slot = Some(SorryServer { address, port });
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(sorry) = slot {
            let mut words = vec![sorry.address.to_string()];
            words.extend(sorry.port.map(|port| port.to_string()));
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "IP [PORT]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(SorryServer { address: s.ip(), port: s.flip().then_some(8080) });
    }
}
