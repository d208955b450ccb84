//! Files and machines in, findings and wishes out.

use std::path::Path;

use super::*;
use crate::config::resolve;

const VI_1: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.0.0.100/32\n }\n}\n";

fn config(text: &str) -> Config {
    let loaded = crate::config::load_text(Path::new("t.conf"), text.as_bytes(), &resolve::Facts::default());
    let errors: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(!errors.iter().any(|e| e.contains(": error:")), "{errors:#?}");
    loaded.config
}

/// A virtual server with these lines and real servers at 10.0.0.1 and 10.0.0.2.
fn server(kind: &str, more: &str) -> String {
    format!(
        "virtual_server 10.0.0.100 80 {{\n lb_kind {kind}\n protocol TCP\n {more}\n real_server 10.0.0.1 80 {{\n }}\n \
         real_server 10.0.0.2 80 {{\n }}\n}}\n"
    )
}

/// A machine with these addresses, as `ADDRESS INTERFACE`, and these settings, as sysctl prints them.
fn machine(addresses: &[&str], settings: &[&str]) -> Facts {
    let mut facts = Facts::default();
    for text in addresses {
        let (address, interface) = text.split_once(' ').unwrap();
        facts.addresses.entry(address.parse().unwrap()).or_default().insert(interface.to_owned());
    }
    for text in settings {
        let (name, value) = text.split_once(" = ").unwrap();
        let parts: Vec<&str> = name.split('.').collect();
        let key = match parts[..] {
            ["net", "ipv4", "vs", name] => Key::vs(name),
            ["net", "ipv4", "conf", interface, name] => Key::v4(interface, name),
            ["net", "ipv6", "conf", interface, name] => Key::v6(interface, name),
            ["net", "ipv4", name] => Key::v4("", name),
            _ => panic!("{name}"),
        };
        assert_eq!(key.to_string(), name);
        facts.values.insert(key, value.to_owned());
    }
    facts
}

/// The lines to write, or the codes of findings that no setting cures.
fn told(text: &str, facts: &Facts) -> Vec<String> {
    let line = |finding: &Diagnostic| match finding.fix.split('"').nth(1) {
        Some(line) if finding.code == "kernel-setting" => line.to_owned(),
        _ => finding.code.to_owned(),
    };
    judge(&config(text), facts).iter().map(line).collect()
}

const AWAY: &[&str] = &["10.0.0.9 eth0"];
const HERE: &[&str] = &["10.0.0.1 eth0", "10.0.0.100 lo"];

#[test]
fn each_setting_is_told_where_it_is_needed_and_only_there() {
    let v6 = "virtual_server 2001:db8::1 80 {\n lb_kind NAT\n protocol TCP\n real_server 2001:db8::2 80 {\n }\n}\n";
    let sync = format!("global_defs {{\n lvs_sync_daemon eth1 VI_1\n}}\n{VI_1}{}", server("DR", ""));
    let hashes = format!("{VI_1}{}", server("DR", "lb_algo mh"));
    let synced = format!("global_defs {{\n lvs_sync_daemon eth1 VI_1\n}}\n{hashes}");
    let inhibit = server("DR", "persistence_timeout 60\n inhibit_on_failure");
    let cases: &[(&str, &[&str], &[&str])] = &[
        (&server("NAT", ""), &["net.ipv4.ip_forward = 0"], &["net.ipv4.ip_forward = 1"]),
        (&server("NAT", ""), &["net.ipv4.ip_forward = 1"], &[]),
        (&server("DR", ""), &["net.ipv4.ip_forward = 0"], &[]),
        // keepalived's default is NAT, and a server or the sorry server may have a method of its own.
        (
            "virtual_server 10.0.0.100 80 {\n protocol TCP\n real_server 10.0.0.1 80 {\n }\n}\n",
            &["net.ipv4.ip_forward = 0"],
            &["net.ipv4.ip_forward = 1"],
        ),
        (
            &server("DR", "sorry_server 10.0.0.3 80\n sorry_server_lvs_method NAT"),
            &["net.ipv4.ip_forward = 0"],
            &["net.ipv4.ip_forward = 1"],
        ),
        (
            v6,
            &["net.ipv6.conf.all.forwarding = 0", "net.ipv4.ip_forward = 0"],
            &["net.ipv6.conf.all.forwarding = 1"],
        ),
        (&server("NAT", ""), &["net.ipv4.vs.conntrack = 1"], &[]),
        (&server("DR", ""), &["net.ipv4.vs.conntrack = 1"], &["net.ipv4.vs.conntrack = 0"]),
        (&server("DR", ""), &["net.ipv4.vs.expire_nodest_conn = 0"], &["net.ipv4.vs.expire_nodest_conn = 1"]),
        (&server("DR", ""), &["net.ipv4.vs.conn_reuse_mode = 0"], &["net.ipv4.vs.conn_reuse_mode = 1"]),
        (&server("DR", ""), &["net.ipv4.vs.conn_reuse_mode = 3"], &[]),
        (
            &inhibit,
            &["net.ipv4.vs.expire_quiescent_template = 0"],
            &["net.ipv4.vs.expire_quiescent_template = 1"],
        ),
        (&server("DR", "persistence_timeout 60"), &["net.ipv4.vs.expire_quiescent_template = 0"], &[]),
        (
            &sync,
            &["net.ipv4.vs.sync_threshold = 3\t0", "net.ipv4.vs.sync_refresh_period = 0"],
            &["net.ipv4.vs.sync_threshold = 3 50"],
        ),
        (&sync, &["net.ipv4.vs.sync_threshold = 3\t0", "net.ipv4.vs.sync_refresh_period = 10"], &[]),
        (&sync, &["net.ipv4.vs.sync_threshold = 3\t50", "net.ipv4.vs.sync_refresh_period = 0"], &[]),
        (&hashes, &["net.ipv4.vs.sloppy_tcp = 0"], &["net.ipv4.vs.sloppy_tcp = 1"]),
        (&synced, &["net.ipv4.vs.sloppy_tcp = 0"], &[]),
    ];
    for (text, settings, wanted) in cases {
        assert_eq!(told(text, &machine(AWAY, settings)), *wanted, "{text}{settings:?}");
    }
    // A machine without IPVS and a file without services: nothing can be said, nothing is.
    assert_eq!(told(&server("NAT", ""), &machine(AWAY, &[])), [""; 0]);
    assert_eq!(told(VI_1, &machine(AWAY, &["net.ipv4.ip_forward = 0"])), [""; 0]);
    // Translation to a server on this very machine forwards nothing.
    let own = machine(&["10.0.0.1 eth0", "10.0.0.2 eth0"], &["net.ipv4.ip_forward = 0"]);
    assert_eq!(told(&server("NAT", ""), &own), [""; 0]);
}

#[test]
fn a_director_that_is_a_real_server_must_not_claim_the_address_as_backup() {
    let text = format!("{VI_1}{}", server("DR", "active_on VI_1"));
    let arp = |all: u8, announce: u8| {
        [
            format!("net.ipv4.conf.eth0.arp_ignore = {}", 0),
            format!("net.ipv4.conf.all.arp_ignore = {all}"),
            format!("net.ipv4.conf.eth0.arp_announce = {announce}"),
            "net.ipv4.conf.all.arp_announce = 0".to_owned(),
        ]
    };
    let judged = |addresses: &[&str], settings: &[String]| {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        told(&text, &machine(addresses, &settings))
    };
    let both = ["net.ipv4.conf.eth0.arp_ignore = 1", "net.ipv4.conf.eth0.arp_announce = 2"];
    assert_eq!(judged(HERE, &arp(0, 1)), both);
    assert_eq!(judged(HERE, &arp(1, 2)), [""; 0]);
    assert_eq!(judged(AWAY, &arp(0, 0)), [""; 0]);
    let tunnel = format!("{VI_1}{}", server("TUN", "active_on VI_1"));
    for (all, own, kept) in [(0, 0, true), (1, 0, false), (0, 1, false), (1, 2, true), (2, 1, true)] {
        let settings = [
            format!("net.ipv4.conf.all.rp_filter = {all}"),
            format!("net.ipv4.conf.tunl0.rp_filter = {own}"),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let wanted: &[&str] = if kept { &[] } else { &["net.ipv4.conf.tunl0.rp_filter = 2"] };
        assert_eq!(told(&tunnel, &machine(HERE, &settings)), wanted, "all {all}, tunl0 {own}");
    }
}

#[test]
fn packets_that_would_circle_are_told_of() {
    let plain = format!("{VI_1}{}", server("DR", ""));
    assert_eq!(told(&plain, &machine(HERE, &[])), ["packets-circle"]);
    let words = &judge(&config(&plain), &machine(HERE, &[]))[0];
    assert_eq!(words.fix, "write active_on VI_1 into it, on both directors");
    // Marked packets are sorted by a filter; by NAT nothing arrives with the virtual address; on a director alone no
    // packet reaches a second table.
    let mark = plain.replace("virtual_server 10.0.0.100 80", "virtual_server fwmark 7");
    assert_eq!(told(&mark, &machine(HERE, &[])), [""; 0]);
    assert_eq!(told(&format!("{VI_1}{}", server("NAT", "")), &machine(HERE, &[])), [""; 0]);
    assert_eq!(told(&plain, &machine(AWAY, &[])), [""; 0]);
    assert_eq!(told(&server("DR", ""), &machine(HERE, &[])), [""; 0]);
    let alone = format!("{VI_1}{}", server("DR", "active_on VI_1"));
    assert_eq!(told(&alone, &machine(HERE, &[])), [""; 0]);
}

#[test]
fn the_address_must_be_here_as_backup_too() {
    let text = format!("{VI_1}{}", server("DR", "active_on VI_1"));
    for here in [&["10.0.0.1 eth0"][..], &["10.0.0.1 eth0", "10.0.0.100 eth0"]] {
        assert_eq!(told(&text, &machine(here, &[])), ["address-not-on-lo"], "{here:?}");
    }
    let fixed = format!("static_ipaddress {{\n 10.0.0.100/32 dev lo\n}}\n{text}");
    assert_eq!(told(&fixed, &machine(&["10.0.0.1 eth0"], &[])), [""; 0]);
}

#[test]
fn the_switch_sets_what_is_safe_to_set_and_tells_the_rest() {
    let text = format!(
        "{VI_1}{}{}",
        server("NAT", "active_on VI_1"),
        server("DR", "active_on VI_1").replace(".100 80", ".100 81")
    );
    let on = format!("global_defs {{\n director_sysctl on\n}}\n{text}");
    let facts = machine(HERE, &["net.ipv4.ip_forward = 0", "net.ipv4.conf.eth0.arp_ignore = 0"]);
    assert_eq!(told(&text, &facts).len(), 2);
    assert_eq!(told(&on, &facts), [""; 0]);
    assert_eq!(wishes(&config(&text), &facts.addresses), BTreeMap::new());
    let wished = wishes(&config(&on), &facts.addresses);
    assert_eq!(
        wished,
        BTreeMap::from([
            (Key::v4("", "ip_forward"), Wish::Exactly(1)),
            (Key::v4("eth0", "arp_ignore"), Wish::AtLeast(1)),
            (Key::v4("eth0", "arp_announce"), Wish::AtLeast(2)),
            (Key::vs("conn_reuse_mode"), Wish::AtLeast(1)),
            (Key::vs("expire_nodest_conn"), Wish::Exactly(1)),
        ])
    );
    // What is told only stays told: tracking connections may be wished for other reasons.
    let tracked = machine(AWAY, &["net.ipv4.vs.conntrack = 1"]);
    let on = format!("global_defs {{\n director_sysctl on\n}}\n{}", server("DR", ""));
    assert_eq!(told(&on, &tracked), ["net.ipv4.vs.conntrack = 0"]);
}

#[test]
fn a_setting_that_is_wished_is_read_and_is_kept_once_written() {
    let text = format!(
        "global_defs {{\n director_sysctl on\n}}\n{VI_1}{}{}",
        server("TUN", "active_on VI_1\n lb_algo sh"),
        server("NAT", "persistence_timeout 60\n inhibit_on_failure").replace(".100 80", ".101 80"),
    );
    let config = config(&text);
    let mut facts = machine(HERE, &[]);
    let asked = settings(&config, &facts.addresses);
    facts.values = asked.iter().map(|key| (key.clone(), "0".to_owned())).collect();
    facts.values.insert(Key::v4("all", "rp_filter"), "1".to_owned());
    for (key, wish) in wishes(&config, &facts.addresses) {
        let value = wish.over(0).unwrap_or(0);
        assert!(facts.values.insert(key.clone(), value.to_string()).is_some(), "{key} is not read");
    }
    for need in needs(&config, &facts.addresses).iter().filter(|need| need.sets) {
        assert!(need.rule.is_kept(&need.key, &facts.values), "{}", need.key);
    }
}
