//! `vrrp_instance`.

use crate::config::diagnostic::Level;
use crate::config::model::{
    AuthType, Authentication, InitialState, Instance, Secret, Track, UnicastPeer, VirtualAddress,
};
use crate::config::units::Secs;

use super::global::{DAY, repeat, version};
use super::reader::{Reader, Table};
use super::tree::Node;

/// An instance under construction, with the two things that it cannot do without still missing.
struct Draft {
    instance: Instance,
    vrid: Option<u8>,
    interface: Option<String>,
}

const INSTANCE: Table<Draft> = &[
    ("state", |r, n, d| {
        d.instance.state = match n.argument(0) {
            Some("MASTER") => Some(InitialState::Master),
            Some("BACKUP") => Some(InitialState::Backup),
            other => {
                let other = other.unwrap_or_default().to_owned();
                r.bad(n, &other, "MASTER or BACKUP", "BACKUP is taken, as keepalived does");
                Some(InitialState::Backup)
            }
        };
    }),
    ("interface", |r, n, d| d.interface = r.text(n)),
    ("virtual_router_id", |r, n, d| d.vrid = r.number(n, 1..=255)),
    ("priority", |r, n, d| {
        d.instance.priority = match n.argument(0).and_then(|t| t.parse::<u8>().ok()).filter(|p| *p > 0) {
            Some(priority) => Some(priority),
            None => {
                let text = n.argument(0).unwrap_or_default().to_owned();
                r.bad(n, &text, "a number from 1 to 254 (255: owner)", "100 is taken, as keepalived does");
                Some(100)
            }
        };
    }),
    ("advert_int", |r, n, d| d.instance.advert_int = r.secs(n, 0.01, 255.0)),
    ("version", |r, n, d| d.instance.version = version(r, n)),
    ("authentication", |r, n, d| d.instance.authentication = authentication(r, n)),
    ("virtual_ipaddress", |r, n, d| d.instance.virtual_ipaddress.extend(addresses(r, n))),
    ("virtual_ipaddress_excluded", |r, n, d| d.instance.virtual_ipaddress_excluded.extend(addresses(r, n))),
    ("mcast_src_ip", |r, n, d| d.instance.mcast_src_ip = r.address(n)),
    ("unicast_src_ip", |r, n, d| d.instance.unicast_src_ip = r.address(n)),
    ("unicast_peer", |r, n, d| peers(r, n, &mut d.instance.unicast_peer)),
    ("check_unicast_src", |r, n, d| d.instance.check_unicast_src = r.switch(n)),
    ("track_script", |r, n, d| d.instance.track_script.extend(tracks(r, n))),
    ("track_interface", |r, n, d| d.instance.track_interface.extend(tracks(r, n))),
    ("dont_track_primary", |_, _, d| d.instance.dont_track_primary = true),
    ("nopreempt", |_, _, d| d.instance.nopreempt = true),
    ("preempt", |_, _, d| d.instance.nopreempt = false),
    ("preempt_delay", |r, n, d| d.instance.preempt_delay = r.secs(n, 0.0, 1000.0)),
    ("garp_master_delay", |r, n, d| d.instance.garp_master_delay = r.secs(n, 0.0, DAY)),
    ("garp_master_repeat", |r, n, d| d.instance.garp_master_repeat = repeat(r, n)),
    ("garp_master_refresh", |r, n, d| d.instance.garp_master_refresh = r.secs(n, 0.0, DAY)),
    ("garp_master_refresh_repeat", |r, n, d| d.instance.garp_master_refresh_repeat = repeat(r, n)),
    ("garp_lower_prio_delay", |r, n, d| d.instance.garp_lower_prio_delay = r.secs(n, 0.0, DAY)),
    ("garp_lower_prio_repeat", |r, n, d| d.instance.garp_lower_prio_repeat = r.number(n, 0..=u32::MAX)),
    ("down_timer_adverts", |r, n, d| d.instance.down_timer_adverts = r.number(n, 1..=100)),
    ("notify_master", |r, n, d| d.instance.notify_master = r.command(n)),
    ("notify_backup", |r, n, d| d.instance.notify_backup = r.command(n)),
    ("notify_fault", |r, n, d| d.instance.notify_fault = r.command(n)),
    ("notify_stop", |r, n, d| d.instance.notify_stop = r.command(n)),
    ("notify_deleted", |r, n, d| {
        if n.argument(0).is_some() {
            d.instance.notify_deleted = r.command(n);
        }
    }),
    ("notify_master_rx_lower_pri", |r, n, d| d.instance.notify_master_rx_lower_pri = r.command(n)),
    ("notify", |r, n, d| d.instance.notify = r.command(n)),
    ("smtp_alert", |r, n, d| d.instance.smtp_alert = r.switch(n)),
    // Without any effect in keepalived as well.
    ("native_ipv6", |_, _, _| {}),
    ("debug", |_, _, _| {}),
];

/// Words of an instance that nothing acts on yet.
const LATER: &[&str] = &[
    "vrf",
    "auth_hmac",
    "no_virtual_ipaddress",
    "promote_secondaries",
    "virtual_routes",
    "virtual_rules",
    "mcast_dst_ip",
    "track_src_ip",
    "unicast_fault_no_peer",
    "unicast_ttl",
    "old_unicast_checksum",
    "v3_checksum_as_v2",
    "use_vmac",
    "use_vmac_addr",
    "vmac_xmit_base",
    "use_ipvlan",
    "track_file",
    "track_process",
    "track_bfd",
    "garp_extra_if",
    "vmac_garp_intvl",
    "timer_expired_backup",
    "thread_timer_expired",
    "lower_prio_no_advert",
    "higher_prio_send_advert",
    "owner_ignore_adverts",
    "accept",
    "no_accept",
    "skip_check_adv_addr",
    "strict_mode",
    "notify_priority_changes",
    "kernel_rx_buf_size",
    "linkbeat_use_polling",
    "lvs_sync_daemon_interface",
];

/// `vrrp_instance NAME { … }`; dropped without VRID or interface.
pub(super) fn instance(r: &mut Reader, node: &Node) -> Option<Instance> {
    let name = r.text(node)?;
    let mut draft = Draft { instance: blank(name), vrid: None, interface: None };
    r.block(node.children(), INSTANCE, LATER, "vrrp_instance", &mut draft);
    let name = draft.instance.name.clone();
    let mut dropped = |what: &str, fix: &str| {
        let problem = format!("vrrp_instance \"{name}\" has no {what}");
        r.find(Level::Error, node, 1, "incomplete-instance", problem, "the instance is dropped", fix);
    };
    if draft.vrid.is_none() {
        dropped(
            "virtual_router_id",
            "write virtual_router_id with a number from 1 to 255, the same on both directors",
        );
    }
    if draft.interface.is_none() {
        dropped("interface", "write interface with the name of the network interface of its adverts");
    }
    draft.instance.virtual_router_id = draft.vrid?;
    draft.instance.interface = draft.interface?;
    Some(draft.instance)
}

fn blank(name: String) -> Instance {
    Instance {
        name,
        state: None,
        interface: String::new(),
        virtual_router_id: 0,
        priority: None,
        advert_int: None,
        version: None,
        authentication: None,
        virtual_ipaddress: Vec::new(),
        virtual_ipaddress_excluded: Vec::new(),
        mcast_src_ip: None,
        unicast_src_ip: None,
        unicast_peer: Vec::new(),
        check_unicast_src: None,
        track_script: Vec::new(),
        track_interface: Vec::new(),
        dont_track_primary: false,
        nopreempt: false,
        preempt_delay: None::<Secs>,
        garp_master_delay: None,
        garp_master_repeat: None,
        garp_master_refresh: None,
        garp_master_refresh_repeat: None,
        garp_lower_prio_delay: None,
        garp_lower_prio_repeat: None,
        down_timer_adverts: None,
        notify_master: None,
        notify_backup: None,
        notify_fault: None,
        notify_stop: None,
        notify_deleted: None,
        notify_master_rx_lower_pri: None,
        notify: None,
        smtp_alert: None,
    }
}

#[derive(Default)]
struct Auth {
    kind: Option<AuthType>,
    pass: Option<String>,
}

const AUTHENTICATION: Table<Auth> = &[
    ("auth_type", |r, n, a| {
        a.kind = match n.argument(0) {
            Some("PASS") => Some(AuthType::Pass),
            Some("AH") => Some(AuthType::Ah),
            other => {
                let other = other.unwrap_or_default().to_owned();
                r.bad(n, &other, "PASS", "the line is passed over");
                None
            }
        };
    }),
    ("auth_pass", |r, n, a| {
        a.pass = r.text(n);
        // The text itself is a secret: findings speak of its length only.
        if a.pass.as_ref().is_some_and(|p| p.len() > 8) {
            let fix = "write at most 8 characters; the other director cuts in the same way";
            let problem = "the password is longer than 8 bytes";
            r.find(Level::Warning, n, 1, "long-password", problem, "the first 8 bytes are used", fix);
        }
    }),
];

fn authentication(r: &mut Reader, node: &Node) -> Option<Authentication> {
    let mut auth = Auth::default();
    r.block(node.children(), AUTHENTICATION, &[], "authentication", &mut auth);
    match (auth.kind, auth.pass) {
        (Some(auth_type), Some(pass)) => Some(Authentication { auth_type, auth_pass: Secret(pass) }),
        (None, None) => None,
        (kind, _) => {
            let what = if kind.is_none() { "auth_type" } else { "auth_pass" };
            let problem = format!("the authentication block has no {what}");
            let fix = format!("write {what}, the same on both directors");
            r.find(Level::Warning, node, 0, "incomplete-auth", problem, "there is no authentication", fix);
            None
        }
    }
}

fn addresses(r: &mut Reader, node: &Node) -> Vec<VirtualAddress> {
    let mut found = Vec::new();
    for child in node.children() {
        let (address, errors) = VirtualAddress::parse_words(&child.texts());
        let fix = "the form is IP[/LENGTH] [dev IF] [label L] [brd +|-|IP] [scope S]";
        let without = "the address is used without it";
        for error in errors {
            let (level, code, consequence) = match &address {
                None => (Level::Error, "bad-address", "this address is dropped"),
                Some(_) => (Level::Warning, "bad-option", without),
            };
            r.find(level, child, error.word, code, error.problem, consequence, fix);
        }
        for option in address.iter().flat_map(VirtualAddress::not_acted_on) {
            let word = child.texts().iter().position(|text| *text == option).unwrap_or(0);
            let problem = format!("\"{option}\" is accepted, not acted on yet");
            r.find(Level::Warning, child, word, "not-acted-on", problem, without, fix);
        }
        found.extend(address);
    }
    found
}

fn peers(r: &mut Reader, node: &Node, into: &mut Vec<UnicastPeer>) {
    for child in node.children() {
        let Some(address) = r.address_text(child, 0, child.key()) else { continue };
        if into.iter().any(|p| p.address == address) {
            let problem = format!("the peer {address} is named twice");
            r.find(
                Level::Warning,
                child,
                0,
                "duplicate-peer",
                problem,
                "the second one is passed over",
                "remove it",
            );
            continue;
        }
        let mut peer = UnicastPeer { address, min_ttl: None, max_ttl: None };
        let mut words = child.arguments().into_iter();
        while let Some(option) = words.next() {
            let value = words.next().and_then(|v| v.parse().ok());
            match (option, value) {
                ("min_ttl", Some(ttl)) => peer.min_ttl = Some(ttl),
                ("max_ttl", Some(ttl)) => peer.max_ttl = Some(ttl),
                _ => {
                    let problem = format!("\"{option}\" is no option of a peer");
                    let fix = "write min_ttl N or max_ttl N";
                    r.find(Level::Warning, child, 1, "bad-option", problem, "it is passed over", fix);
                }
            }
        }
        into.push(peer);
    }
}

/// `NAME [weight N [reverse|noreverse]]`, one a line.
fn tracks(r: &mut Reader, node: &Node) -> Vec<Track> {
    let mut found = Vec::new();
    for child in node.children() {
        let mut track = Track { name: child.key().to_owned(), weight: None, reverse: None };
        let words = child.arguments();
        match words.as_slice() {
            [] => {}
            ["weight", number, rest @ ..] if number.parse::<i16>().is_ok_and(|n| n.abs() <= 254) => {
                track.weight = number.parse::<i16>().ok().map(|n| n.clamp(-253, 253));
                match rest {
                    ["reverse", ..] => track.reverse = Some(true),
                    ["noreverse", ..] => track.reverse = Some(false),
                    _ => {}
                }
            }
            _ => {
                let problem = format!("\"{}\" is no option of a tracked name", words.join(" "));
                let fix = "write NAME weight N, with N from -253 to 253";
                r.find(Level::Warning, child, 1, "bad-option", problem, "it is passed over", fix);
            }
        }
        found.push(track);
    }
    found
}
