//! `virtual_server` and `real_server`.

use crate::config::diagnostic::Level;
use crate::config::model::{Method, Protocol, RealServer, Scheduler, SorryServer, VirtualServer};

use super::checker::{http_get, misc_check, tcp_check};
use super::global::DAY;
use super::reader::{Reader, Table};
use super::tree::Node;

const VIRTUAL_SERVER: Table<VirtualServer> = &[
    ("delay_loop", |r, n, v| v.delay_loop = r.secs(n, 0.000_001, DAY)),
    ("lb_algo", |r, n, v| v.lb_algo = scheduler(r, n)),
    ("lvs_sched", |r, n, v| v.lb_algo = scheduler(r, n)),
    ("lb_kind", |r, n, v| v.lb_kind = method(r, n)),
    ("lvs_method", |r, n, v| v.lb_kind = method(r, n)),
    ("protocol", |r, n, v| v.protocol = protocol(r, n)),
    ("persistence_timeout", |r, n, v| v.persistence_timeout = persistence(r, n)),
    ("persistence_granularity", |r, n, v| v.persistence_granularity = granularity(r, n)),
    ("ops", |_, _, v| v.ops = true),
    ("alpha", |_, _, v| v.alpha = true),
    ("omega", |_, _, v| v.omega = true),
    ("quorum", |r, n, v| v.quorum = r.number(n, 1..=u32::MAX)),
    ("hysteresis", |r, n, v| v.hysteresis = r.number(n, 0..=u32::MAX)),
    ("quorum_up", |r, n, v| v.quorum_up = r.command(n)),
    ("quorum_down", |r, n, v| v.quorum_down = r.command(n)),
    ("inhibit_on_failure", |_, _, v| v.inhibit_on_failure = true),
    ("weight", |r, n, v| v.weight = r.number(n, 1..=65_535)),
    ("retry", |r, n, v| v.retry = r.number(n, 1..=u32::MAX)),
    ("delay_before_retry", |r, n, v| v.delay_before_retry = r.secs(n, 0.0, DAY)),
    ("warmup", |r, n, v| v.warmup = r.secs(n, 0.0, DAY)),
    ("connect_timeout", |r, n, v| v.connect_timeout = r.secs(n, 0.000_001, DAY)),
    ("virtualhost", |r, n, v| v.virtualhost = r.text(n)),
    ("smtp_alert", |r, n, v| v.smtp_alert = r.switch(n)),
    ("sorry_server", |r, n, v| {
        if let Some(address) = r.address(n) {
            v.sorry_server = Some(SorryServer { address, port: port(r, n, 1) });
        }
    }),
    ("sorry_server_inhibit", |_, _, v| v.sorry_server_inhibit = true),
    ("sorry_server_lvs_method", |r, n, v| v.sorry_server_lvs_method = method(r, n)),
    ("real_server", |r, n, v| v.real_server.extend(real_server(r, n))),
    // Legacy, without effect in keepalived as well.
    ("hashed", |_, _, _| {}),
    ("nat_mask", |r, n, _| r.unknown(n, ["lb_kind"].into_iter(), "virtual_server")),
];

const VIRTUAL_LATER: &[&str] = &[
    "ip_family",
    "persistence_engine",
    "flag-1",
    "flag-2",
    "flag-3",
    "sh-port",
    "sh-fallback",
    "mh-port",
    "mh-fallback",
    "ha_suspend",
    "snmp_name",
];

/// `virtual_server IP [PORT] { … }` or `virtual_server fwmark N { … }`.
pub(super) fn virtual_server(r: &mut Reader, node: &Node) -> Option<VirtualServer> {
    let mut server = VirtualServer::default();
    match (node.argument(0), node.argument(1)) {
        (Some("fwmark"), Some(mark)) => match mark.parse::<u32>().ok().filter(|m| *m > 0) {
            Some(mark) => server.fwmark = Some(mark),
            None => {
                let problem = format!("\"{mark}\" is no firewall mark");
                let fix = "write a number from 1 to 4294967295";
                r.find(Level::Error, node, 2, "bad-value", problem, "the virtual server is dropped", fix);
                return None;
            }
        },
        (Some("group"), _) => {
            let problem = "accepted, not acted on yet: virtual_server group";
            let fix = "write a virtual_server for each address of the group";
            r.find(Level::Warning, node, 1, "not-acted-on", problem, "the virtual server does not run", fix);
            return None;
        }
        (Some(text), _) => match text.parse() {
            Ok(address) => {
                server.address = Some(address);
                server.port = port(r, node, 1);
            }
            Err(_) => {
                let problem = format!("\"{text}\" is not an IP address");
                let fix = "write virtual_server ADDRESS PORT { … }";
                r.find(Level::Error, node, 1, "bad-address", problem, "the virtual server is dropped", fix);
                return None;
            }
        },
        (None, _) => {
            let fix = "write virtual_server ADDRESS PORT { … }";
            let problem = "a virtual_server needs an address, fwmark or group";
            r.find(Level::Error, node, 0, "bad-address", problem, "the virtual server is dropped", fix);
            return None;
        }
    }
    r.block(node.children(), VIRTUAL_SERVER, VIRTUAL_LATER, "virtual_server", &mut server);
    Some(server)
}

const REAL_SERVER: Table<RealServer> = &[
    ("weight", |r, n, s| s.weight = r.number(n, 0..=65_535)),
    ("lvs_method", |r, n, s| s.lvs_method = method(r, n)),
    ("inhibit_on_failure", |r, n, s| s.inhibit_on_failure = r.switch(n)),
    ("alpha", |r, n, s| s.alpha = r.switch(n)),
    ("notify_up", |r, n, s| s.notify_up = r.command(n)),
    ("notify_down", |r, n, s| s.notify_down = r.command(n)),
    ("uthreshold", |r, n, s| s.uthreshold = r.number(n, 0..=u32::MAX)),
    ("lthreshold", |r, n, s| s.lthreshold = r.number(n, 0..=u32::MAX)),
    ("delay_loop", |r, n, s| s.delay_loop = r.secs(n, 0.000_001, DAY)),
    ("retry", |r, n, s| s.retry = r.number(n, 1..=u32::MAX)),
    ("delay_before_retry", |r, n, s| s.delay_before_retry = r.secs(n, 0.0, DAY)),
    ("warmup", |r, n, s| s.warmup = r.secs(n, 0.0, DAY)),
    ("connect_timeout", |r, n, s| s.connect_timeout = r.secs(n, 0.000_001, DAY)),
    ("virtualhost", |r, n, s| s.virtualhost = r.text(n)),
    ("smtp_alert", |r, n, s| s.smtp_alert = r.switch(n)),
    ("TCP_CHECK", |r, n, s| s.tcp_check.push(tcp_check(r, n))),
    ("HTTP_GET", |r, n, s| s.http_get.extend(http_get(r, n))),
    ("MISC_CHECK", |r, n, s| s.misc_check.extend(misc_check(r, n))),
];

const REAL_LATER: &[&str] = &["snmp_name"];

/// Checkers that are not there yet.
const CHECKERS_LATER: &[&str] =
    &["SSL_GET", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK", "PING_CHECK", "FILE_CHECK", "BFD_CHECK"];

/// `real_server IP [PORT] { … }`.
fn real_server(r: &mut Reader, node: &Node) -> Option<RealServer> {
    let text = r.text(node)?;
    let Ok(address) = text.parse() else {
        let problem = format!("\"{text}\" is not an IP address");
        let fix = "write real_server ADDRESS PORT { … }";
        r.find(Level::Error, node, 1, "bad-address", problem, "the real server is dropped", fix);
        return None;
    };
    let mut server = RealServer {
        address,
        port: port(r, node, 1),
        weight: None,
        lvs_method: None,
        inhibit_on_failure: None,
        alpha: None,
        notify_up: None,
        notify_down: None,
        uthreshold: None,
        lthreshold: None,
        delay_loop: None,
        retry: None,
        delay_before_retry: None,
        warmup: None,
        connect_timeout: None,
        virtualhost: None,
        smtp_alert: None,
        tcp_check: Vec::new(),
        http_get: Vec::new(),
        misc_check: Vec::new(),
    };
    let (later, known): (Vec<Node>, Vec<Node>) =
        node.children().iter().cloned().partition(|child| CHECKERS_LATER.contains(&child.key()));
    r.block(&known, REAL_SERVER, REAL_LATER, "real_server", &mut server);
    for child in &later {
        let problem = format!("accepted, not acted on yet: {}", child.key());
        let consequence = "the real server is not checked this way: without another check it counts as up";
        let fix = "use TCP_CHECK, HTTP_GET or MISC_CHECK for now";
        r.find(Level::Warning, child, 0, "not-acted-on", problem, consequence, fix);
    }
    Some(server)
}

/// The n-th argument as a port, if it is there.
fn port(r: &mut Reader, node: &Node, n: usize) -> Option<u16> {
    let text = node.argument(n)?;
    let port = text.parse().ok();
    if port.is_none() {
        let problem = format!("\"{text}\" is no port");
        let fix = "write a number from 0 to 65535";
        r.find(Level::Error, node, n + 1, "bad-port", problem, "port 0 (any) is taken", fix);
    }
    port
}

fn scheduler(r: &mut Reader, node: &Node) -> Option<Scheduler> {
    const NAMES: [(&str, Scheduler); 14] = [
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
    ];
    let text = r.text(node)?;
    let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, s)| *s);
    if found.is_none() {
        let says = "rr, wrr, lc, wlc, lblc, lblcr, sh, mh, dh, fo, ovf, sed, nq or twos";
        r.bad(node, &text, says, "wlc is used, as keepalived does");
    }
    found
}

fn method(r: &mut Reader, node: &Node) -> Option<Method> {
    let text = r.text(node)?;
    let found = match text.as_str() {
        "NAT" => Some(Method::Nat),
        "DR" => Some(Method::Dr),
        "TUN" => Some(Method::Tun),
        _ => None,
    };
    if found.is_none() {
        r.bad(node, &text, "NAT, DR or TUN (upper case)", "NAT is used, as keepalived does");
    }
    if node.argument(1).is_some() {
        let problem = format!("accepted, not acted on yet: the tunnel options of {}", node.key());
        r.find(Level::Warning, node, 2, "not-acted-on", problem, "the tunnel is plain ipip", "");
    }
    found
}

fn protocol(r: &mut Reader, node: &Node) -> Option<Protocol> {
    let text = r.text(node)?;
    let found = match text.to_ascii_uppercase().as_str() {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    };
    if found.is_none() {
        r.bad(node, &text, "TCP, UDP or SCTP", "UDP is used, as keepalived does");
    }
    found
}

/// Seconds, 1 to 31 days; bare = 360. 0 is common in public files and means no persistence.
fn persistence(r: &mut Reader, node: &Node) -> Option<u32> {
    match node.argument(0) {
        None => Some(360),
        Some("0") => {
            let problem = "persistence_timeout 0 means nothing";
            let fix = "remove the line";
            r.find(Level::Advice, node, 1, "bad-value", problem, "there is no persistence", fix);
            None
        }
        Some(_) => r.number(node, 1..=31 * 86_400),
    }
}

/// An IPv4 netmask or an IPv6 prefix length.
fn granularity(r: &mut Reader, node: &Node) -> Option<u8> {
    let text = r.text(node)?;
    let length = match text.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => {
            let bits = u32::from(mask);
            let length = bits.leading_ones();
            (bits.count_ones() == length && length > 0).then_some(length).and_then(|n| u8::try_from(n).ok())
        }
        Err(_) => text.parse().ok().filter(|n| (1..=128).contains(n)),
    };
    if length.is_none() {
        r.bad(node, &text, "a netmask such as 255.255.255.0, or a prefix length", "the line is passed over");
    }
    length
}
