//! `real_server`, and what it shares with `virtual_server`.

use std::marker::PhantomData;

use crate::config::diagnostic::Level;
use crate::config::keepalived::blocks::Blocks;
use crate::config::keepalived::form::{DAY, FlagSwitch, LONGEST, Number, Seconds, Switch, Text};
use crate::config::keepalived::forms::Cmd;
use crate::config::keepalived::keyword::{Block, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{Method, RealServer, Tunnel, TunnelChecksum, TunnelKind};

use super::health::{ADMIN_STATES, Damping};
use super::page::{HTTP_GET, SSL_GET};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const REAL_SERVER: Table<RealServer> = keywords! { RealServer:
    "weight" => { weight: Number(0, u16::MAX) };
    "lvs_method" => { * MethodOf::<RealServer>::of() };
    "inhibit_on_failure" => { inhibit_on_failure: Switch };
    "alpha" => { alpha: Switch };
    "notify_up" => { notify_up: Cmd };
    "notify_down" => { notify_down: Cmd };
    "uthreshold" => { uthreshold: Number(0, u32::MAX) };
    "lthreshold" => { lthreshold: Number(0, u32::MAX) };
    "delay_loop" => { delay_loop: Seconds(0.000_001, LONGEST) };
    "retry" => { retry: Number(1, u32::MAX) };
    "delay_before_retry" => { delay_before_retry: Seconds(0.0, LONGEST) };
    "fall" => { fall: Number(1, 1000) };
    "rise" => { rise: Number(1, 1000) };
    "fast_interval" => { fast_interval: Seconds(0.001, LONGEST) };
    "timeout_retry" => { timeout_retry: Number(0, 1000) };
    "share" => { share: Switch };
    "slow_start" => { slow_start: Seconds(0.001, DAY) };
    "flap_damping" => { flap_damping: Damping };
    "tier" => { tier: Number(1, 1000) };
    "sorry" => { sorry: FlagSwitch };
    "admin_state" => { admin_state: ADMIN_STATES };
    "warmup" => { warmup: Seconds(0.0, LONGEST) };
    "connect_timeout" => { connect_timeout: Seconds(0.000_001, LONGEST) };
    "virtualhost" => { virtualhost: Text };
    "smtp_alert" => { smtp_alert: Switch };
    later "snmp_name" => { snmp_name: Text };
    "TCP_CHECK" => { tcp_check: Blocks::<crate::config::model::TcpCheck>::all() };
    "HTTP_GET" => { http_get: HTTP_GET };
    "SSL_GET" => { ssl_get: SSL_GET };
    "SMTP_CHECK" => { smtp_check: Blocks::<crate::config::model::SmtpCheck>::all() };
    "DNS_CHECK" => { dns_check: Blocks::<crate::config::model::DnsCheck>::all() };
    "MISC_CHECK" => { misc_check: Blocks::<crate::config::model::MiscCheck>::all() };
    "UDP_CHECK" => { udp_check: Blocks::<crate::config::model::UdpCheck>::all() };
    "PING_CHECK" => { ping_check: Blocks::<crate::config::model::PingCheck>::all() };
    "GRPC_CHECK" => { grpc_check: Blocks::<crate::config::model::GrpcCheck>::all() };
    "FILE_CHECK" => { file_check: Blocks::<crate::config::model::FileCheck>::all() };
    "BFD_CHECK" => { bfd_check: Blocks::<crate::config::model::BfdCheck>::all() };
};

impl Block for RealServer {
    const WHAT: &'static str = "real_server";
    origin!();

    fn table() -> Table<Self> {
        REAL_SERVER
    }

    fn open(r: &mut Reader, node: &Node<'_>) -> Option<Self> {
        let text = r.word(node)?;
        let Ok(address) = bare(r, node, text).parse() else {
            let problem = format!("\"{text}\" is not an IP address");
            let fix = "write real_server ADDRESS PORT { … }";
            r.find(Level::Error, node, 1, "bad-address", problem, "the real server is dropped", fix);
            return None;
        };
        let mut server = Self::new(address);
        server.port = port(r, node, 1)?;
        Some(server)
    }

    fn header(&self, _: &mut Writer) -> Vec<String> {
        let mut words = vec![self.address.to_string()];
        words.extend(self.port.map(|port| port.to_string()));
        words
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        let mut server = Self::new(s.ip());
        server.port = s.flip().then_some(8080);
        server
    }
}

/// The n-th argument as a port, if it is there; `None` when it is none, which has been said then: the object is dropped,
/// as keepalived does.
pub(super) fn port(r: &mut Reader, node: &Node<'_>, n: usize) -> Option<Option<u16>> {
    match r.argument(node, n) {
        None => Some(None),
        Some(text) => port_text(r, node, n + 1, text),
    }
}

/// An address without what stands behind a `/`, which keepalived cuts.
pub(super) fn bare<'n>(r: &mut Reader, node: &Node<'_>, text: &'n str) -> &'n str {
    let bare = text.split('/').next().unwrap_or(text);
    if bare.len() < text.len() && bare.parse::<std::net::IpAddr>().is_ok() {
        let problem = format!("\"{text}\" carries more than an address");
        r.find(
            Level::Warning,
            node,
            1,
            "surplus-mask",
            problem,
            format!("{bare} is used"),
            format!("write {bare}"),
        );
        return bare;
    }
    text
}

/// The same for a text.
pub(super) fn port_text(r: &mut Reader, node: &Node<'_>, word: usize, text: &str) -> Option<Option<u16>> {
    let port = text.parse().ok();
    if port.is_none() {
        let problem = format!("\"{text}\" is no port");
        let fix = "write a number from 0 to 65535";
        r.find(Level::Error, node, word, "bad-port", problem, "the whole entry is dropped", fix);
        return None;
    }
    Some(port)
}

/// An object with a forwarding method and its tunnel.
pub(super) trait Forwarding<T> {
    fn get(object: &T) -> (Option<Method>, Option<&Tunnel>);
    fn set(object: &mut T) -> (&mut Option<Method>, &mut Option<Tunnel>);
}

impl Forwarding<Self> for RealServer {
    fn get(server: &Self) -> (Option<Method>, Option<&Tunnel>) {
        (server.lvs_method, server.tunnel.as_ref())
    }
    fn set(server: &mut Self) -> (&mut Option<Method>, &mut Option<Tunnel>) {
        let settings = server.settings_mut();
        (&mut settings.lvs_method, &mut settings.tunnel)
    }
}

/// `NAT`, `DR`, or `TUN [type ipip|gre|gue port N] [nocsum|csum|remcsum]`.
pub(super) struct MethodOf<F>(PhantomData<F>);

impl<F> MethodOf<F> {
    pub(super) const fn of() -> Self {
        Self(PhantomData)
    }
}

const METHODS: [(&str, Method); 3] = [("NAT", Method::Nat), ("DR", Method::Dr), ("TUN", Method::Tun)];
const KINDS: [(&str, TunnelKind); 3] =
    [("ipip", TunnelKind::Ipip), ("gre", TunnelKind::Gre), ("gue", TunnelKind::Gue)];
const CHECKSUMS: [(&str, TunnelChecksum); 3] = [
    ("nocsum", TunnelChecksum::Nocsum),
    ("csum", TunnelChecksum::Csum),
    ("remcsum", TunnelChecksum::Remcsum),
];

fn tunnel(r: &mut Reader, node: &Node<'_>) -> Option<Tunnel> {
    let words = node.arguments();
    let words = words.get(1..)?;
    let mut tunnel = Tunnel { kind: TunnelKind::Ipip, port: None, checksum: None };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let value = words.get(at + 1).copied();
        let checksum = CHECKSUMS.iter().find(|(name, _)| name == word).map(|(_, c)| *c);
        let kind = KINDS.iter().find(|(name, _)| Some(*name) == value).map(|(_, kind)| *kind);
        match (*word, kind) {
            ("type", Some(kind)) => {
                tunnel.kind = kind;
                at += 1;
            }
            ("port", _) if value.is_some_and(|v| v.parse::<u16>().is_ok()) => {
                tunnel.port = value.and_then(|v| v.parse().ok());
                at += 1;
            }
            _ if checksum.is_some() => tunnel.checksum = checksum,
            (other, _) => {
                let says = "type ipip|gre|gue, port N, nocsum, csum or remcsum";
                r.bad_word(node, at + 2, other, says, "it is passed over");
            }
        }
        at += 1;
    }
    (!words.is_empty()).then_some(tunnel)
}

impl<T, F: Forwarding<T>> WholeForm<T> for MethodOf<F> {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut T) {
        let Some(text) = r.word(node) else { return };
        let Some((_, method)) = METHODS.iter().find(|(name, _)| *name == text) else {
            r.used = usize::MAX;
            r.bad(node, text, "NAT, DR or TUN (upper case)", "NAT is used, as keepalived does");
            return;
        };
        let (slot, tunnel_slot) = F::set(object);
        *slot = Some(*method);
        *tunnel_slot = None;
        if *method == Method::Tun {
            r.used = usize::MAX;
            *tunnel_slot = tunnel(r, node);
            let plain = tunnel_slot.as_mut().filter(|t| t.kind == TunnelKind::Ipip);
            if plain.is_some_and(|t| t.checksum.take_if(|c| *c != TunnelChecksum::Nocsum).is_some()) {
                let problem = "an ipip tunnel has no checksum option";
                let fix = "remove it, or write type gue or gre";
                r.find(
                    Level::Warning,
                    node,
                    2,
                    "no-effect",
                    problem,
                    "it is passed over, as in keepalived",
                    fix,
                );
            }
            if tunnel_slot.as_ref().is_some_and(|t| t.kind == TunnelKind::Gue && t.port.unwrap_or(0) == 0) {
                let problem = "a gue tunnel without port";
                let consequence = "the kernel refuses the real servers";
                let fix = "write type gue port N, the UDP port that the real server listens at";
                r.find(Level::Warning, node, 2, "no-port", problem, consequence, fix);
            }
        }
    }

    fn write(&self, word: &str, object: &T, w: &mut Writer) {
        let (method, tunnel) = F::get(object);
        let mut words: Vec<String> = METHODS
            .iter()
            .find(|(_, m)| Some(*m) == method)
            .map(|(name, _)| (*name).to_owned())
            .into_iter()
            .collect();
        if let Some(tunnel) = tunnel {
            if method != Some(Method::Tun) {
                w.impossible.push(format!("a tunnel with {word} other than TUN"));
            }
            let kind = KINDS.iter().find(|(_, kind)| *kind == tunnel.kind).map_or("ipip", |(name, _)| name);
            words.push(format!("type {kind}"));
            words.extend(tunnel.port.map(|port| format!("port {port}")));
            let checksum = CHECKSUMS.iter().find(|(_, c)| Some(*c) == tunnel.checksum);
            words.extend(checksum.map(|(name, _)| (*name).to_owned()));
        }
        w.line(word, &words);
    }

    fn is_set(&self, object: &T) -> bool {
        let (method, tunnel) = F::get(object);
        method.is_some() || tunnel.is_some()
    }

    fn says(&self) -> String {
        "NAT|DR|TUN [type ipip|gre|gue port N] [nocsum|csum|remcsum]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut T) {
        let (slot, tunnel) = F::set(object);
        *slot = s.pick(&METHODS).map(|(_, method)| method);
        *tunnel = (*slot == Some(Method::Tun) && s.flip()).then_some(Tunnel {
            kind: TunnelKind::Gue,
            port: Some(6080),
            checksum: Some(TunnelChecksum::Csum),
        });
    }
}
