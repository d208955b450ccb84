//! BFD sessions over real links, in network namespaces, as root: Tandem with Tandem, with Debian's keepalived and with
//! FRR's bfdd.

mod lab;

#[path = "lab_bfd/frr.rs"]
mod frr;
#[path = "lab_bfd/pair.rs"]
mod pair;
#[path = "lab_bfd/with_frr.rs"]
mod with_frr;
#[path = "lab_bfd/with_keepalived.rs"]
mod with_keepalived;

use std::time::{Duration, Instant};

use lab::director::tandem_only;
use lab::*;

/// Sending and receiving at most every 100 ms, 3 packets may be missed.
const PACE: &str = "min_rx 100\n    min_tx 100\n    multiplier 3";
/// The detection time that follows.
const DETECTION: Duration = Duration::from_millis(300);

/// One `bfd_instance`.
fn session(name: &str, neighbour: &str, lines: &str) -> String {
    format!("bfd_instance {name} {{\n    neighbor_ip {neighbour}\n    {lines}\n}}\n")
}

/// A file of these sessions, with an instance that tracks them: keepalived tells in its log what that is told.
fn conf(sessions: &[String]) -> String {
    let names: Vec<&str> = sessions.iter().filter_map(|text| text.split_whitespace().nth(1)).collect();
    let tracked: String = names.iter().map(|name| format!("        {name} weight 5\n")).collect();
    format!(
        "global_defs {{\n    router_id lab\n    script_user root\n}}\n{}vrrp_instance VI_1 {{
    state BACKUP\n    interface eth0\n    virtual_router_id 51\n    priority 100
    track_bfd {{\n{tracked}    }}\n    virtual_ipaddress {{\n        10.9.0.100/24\n    }}\n}}\n",
        sessions.concat()
    )
}

/// Two hosts on a LAN, with both families.
fn two_hosts(name: &str) -> Lab {
    let at = |number: u8| {
        host(&format!("d{number}"))
            .nic("eth0", "lan", &format!("10.9.0.{number}/24"))
            .sysctl("net/ipv6/conf/all/disable_ipv6", "0")
            .ip(&format!("addr add fd09::{number}/64 dev eth0 nodad"))
    };
    Lab::build(name, &["lan"], &[at(1), at(2)])
}

/// Two hosts with a router between them.
fn routed(name: &str) -> Lab {
    let at = |number: u8| {
        host(&format!("d{number}"))
            .nic("eth0", &format!("lan{number}"), &format!("10.9.{number}.1/24"))
            .sysctl("net/ipv6/conf/all/disable_ipv6", "0")
            .ip(&format!("addr add fd09:{number}::1/64 dev eth0 nodad"))
            .ip(&format!("route add default via 10.9.{number}.254"))
            .ip(&format!("route add default via fd09:{number}::254"))
    };
    let router = host("router")
        .nic("eth1", "lan1", "10.9.1.254/24")
        .nic("eth2", "lan2", "10.9.2.254/24")
        .sysctl("net/ipv6/conf/all/disable_ipv6", "0")
        .sysctl("net/ipv4/ip_forward", "1")
        .sysctl("net/ipv6/conf/all/forwarding", "1")
        .ip("addr add fd09:1::254/64 dev eth1 nodad")
        .ip("addr add fd09:2::254/64 dev eth2 nodad");
    Lab::build(name, &["lan1", "lan2"], &[at(1), at(2), router])
}

/// What a Tandem or keepalived says when a session changes.
fn line(kind: Kind, session: &str, up: bool) -> String {
    match (kind, up) {
        (Kind::Tandem, true) => format!("bfd {session}: INIT -> UP"),
        (Kind::Tandem, false) => format!("bfd {session}: UP -> DOWN"),
        (Kind::Keepalived, true) => format!("instance {session} is in state Up"),
        (Kind::Keepalived, false) => format!("instance {session} is in state Down"),
    }
}

/// True when the log since `mark` says so. A session may come up straight from Down.
fn says(director: &Director, mark: usize, session: &str, up: bool) -> bool {
    let said = director.said_since(mark);
    said.contains(&line(director.kind, session, up))
        || (up && director.kind == Kind::Tandem && said.contains(&format!("bfd {session}: DOWN -> UP")))
}

/// Waits until it says so; the time when that was seen.
#[track_caller]
fn wait_said(director: &Director, mark: usize, session: &str, up: bool) -> Instant {
    let word = if up { "up" } else { "down" };
    wait(&format!("{} on {}: {session} {word}", director.kind, director.host), patience(), || {
        says(director, mark, session, up)
    });
    now()
}

/// Nothing of this session changes for so long.
#[track_caller]
fn calm(director: &Director, sessions: &[&str], time: Duration) {
    let mark = director.mark();
    pause(time);
    let said = director.said_since(mark);
    for session in sessions {
        let moved = said.contains(&line(director.kind, session, false));
        assert!(!moved, "{} on {}: {session} went down: {said}", director.kind, director.host);
    }
}
