//! Entries to spans: single cases, and that no packet is marked otherwise than the file says.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::config::fwmarks;
use crate::config::model::{self, GroupEntry};

fn entry(first: &str, to: Option<&str>, port: u16) -> GroupEntry {
    GroupEntry {
        address: Some(first.parse().unwrap()),
        to: to.map(|to| to.parse().unwrap()),
        length: None,
        port: Some(port),
        fwmark: None,
        family: None,
    }
}

fn config(groups: Vec<Vec<GroupEntry>>) -> Config {
    let mut config = Config::default();
    config.global_defs.nftables_ipvs = Some("t".to_owned());
    for (n, entries) in groups.into_iter().enumerate() {
        let name = format!("g{n}");
        config
            .virtual_server_group
            .push(VirtualServerGroup { entries, ..VirtualServerGroup::new(name.clone()) });
        let server = VirtualServer {
            group: Some(name),
            protocol: Some(model::Protocol::Tcp),
            ..VirtualServer::default()
        };
        config.virtual_server.push(server.into());
    }
    fwmarks::assign(&mut config, None);
    config
}

fn spans(config: &Config) -> Vec<String> {
    let ruleset = ruleset(config, &services(config), 1);
    let all = [&ruleset.ipv4, &ruleset.ipv6].into_iter().flatten().flat_map(|rules| &rules.marks);
    all.map(|((transport, span), mark)| {
        let Span { addresses: (a, b), ports: (p, q) } = span;
        format!("{transport:?} {a}-{b} {p}-{q} {mark}")
    })
    .collect()
}

#[test]
fn entries_become_spans() {
    let mut subnet = entry("10.1.0.0", None, 0);
    subnet.length = Some(24);
    let groups = vec![
        vec![entry("10.0.0.1", Some("10.0.0.9"), 80), subnet],
        vec![entry("2001:db8::1", None, 443), entry("2001:db8::ff", None, 0)],
    ];
    assert_eq!(
        spans(&config(groups)),
        [
            "Tcp 10.0.0.1-10.0.0.9 80-80 1000",
            "Tcp 10.1.0.0-10.1.0.255 0-65535 1000",
            "Tcp 2001:db8::1-2001:db8::1 443-443 1001",
            "Tcp 2001:db8::ff-2001:db8::ff 0-65535 1001",
        ]
    );
}

#[test]
fn the_first_one_has_what_both_name_and_a_port_goes_before_any_port() {
    let groups = vec![
        vec![entry("10.0.0.0", Some("10.0.0.9"), 0)],
        vec![entry("10.0.0.5", Some("10.0.0.12"), 80)],
        vec![entry("10.0.0.7", Some("10.0.0.20"), 80)],
    ];
    assert_eq!(
        spans(&config(groups)),
        [
            "Tcp 10.0.0.0-10.0.0.4 0-65535 1000",
            "Tcp 10.0.0.5-10.0.0.9 0-79 1000",
            "Tcp 10.0.0.5-10.0.0.9 81-65535 1000",
            "Tcp 10.0.0.5-10.0.0.12 80-80 1001",
            "Tcp 10.0.0.13-10.0.0.20 80-80 1002",
        ]
    );
}

#[test]
fn nothing_is_marked_before_its_service_is_there() {
    let config = config(vec![vec![entry("10.0.0.1", None, 80)], vec![entry("10.0.0.2", None, 80)]]);
    let first = ServiceKey::Fwmark { family: Family::V4, mark: 1000 };
    let rules = ruleset(&config, &[first].into(), 1);
    assert!(rules.ipv4.unwrap().marks.into_values().eq([1000]));
    let none = ruleset(&config, &BTreeSet::new(), 1);
    assert_eq!((none.ipv4, none.ipv6), (None, None));
}

fn small_entry() -> impl Strategy<Value = GroupEntry> {
    let port = prop_oneof![Just(0u16), 1..4u16, Just(u16::MAX)];
    let ends = prop_oneof![
        (0..12u8, 0..6u8).prop_map(|(a, more)| ([10, 0, 0, a], [10, 0, 0, a + more])),
        Just(([0, 0, 0, 0], [255, 255, 255, 255])),
    ];
    (ends, port).prop_map(|((first, to), port)| {
        entry(&IpAddr::from(first).to_string(), Some(&IpAddr::from(to).to_string()), port)
    })
}

proptest! {
    /// Spans never overlap, and each packet has the mark of the first virtual server that names its port, else of the
    /// first that has its address for any port.
    #[test]
    fn every_packet_has_the_mark_of_the_file(
        groups in prop::collection::vec(prop::collection::vec(small_entry(), 1..4), 1..4),
        host in prop_oneof![0..20u8, Just(255)],
        port in prop_oneof![0..5u16, Just(u16::MAX)],
    ) {
        let config = config(groups.clone());
        let rules = ruleset(&config, &services(&config), 1);
        let all: Vec<_> = rules.ipv4.unwrap_or_default().marks.into_iter().collect();
        let packet = IpAddr::from([10, 0, 0, host]);
        let hit = |span: &Span| {
            (span.addresses.0..=span.addresses.1).contains(&packet) && (span.ports.0..=span.ports.1).contains(&port)
        };
        let hits: Vec<u32> = all.iter().filter(|((_, span), _)| hit(span)).map(|(_, mark)| *mark).collect();
        let named = |wanted: u16| groups.iter().position(|entries| entries.iter().any(|entry| {
            entry.port == Some(wanted) && (entry.address.unwrap()..=entry.to.unwrap()).contains(&packet)
        }));
        let expected = (port != 0).then(|| named(port)).flatten().or_else(|| named(0));
        let expected: Vec<u32> = expected.and_then(|at| config.virtual_server[at].auto_fwmark).into_iter().collect();
        prop_assert_eq!(hits, expected);
        for (n, ((_, a), _)) in all.iter().enumerate() {
            for ((_, b), _) in &all[n + 1..] {
                let apart = a.addresses.1 < b.addresses.0 || b.addresses.1 < a.addresses.0
                    || a.ports.1 < b.ports.0 || b.ports.1 < a.ports.0;
                prop_assert!(apart, "{:?} {:?}", a, b);
            }
        }
    }
}
