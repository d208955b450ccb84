//! Tables: what is there, what the file says, what the plan tells.

use std::net::IpAddr;
use std::path::Path;

use super::*;
use crate::config::load_text;
use crate::config::resolve::Facts;
use crate::ipvs::table::{
    Destination, DestinationKey, Forward, Protocol, Service, ServiceKey, VirtualService,
};
use crate::net::link::{Link, LinkAddress};

const FILE: &str = "vrrp_instance A { interface eth0\nvirtual_router_id 7\nauthentication { auth_type PASS\nauth_pass old\n}\n\
    virtual_ipaddress {\n 10.0.0.1/24\n 10.0.0.2/24\n}\n}\n\
    virtual_server 10.0.0.1 80 {\n protocol TCP\n lb_algo wlc\n lb_kind DR\n\
    real_server 10.0.0.11 80 {\n weight 2\n TCP_CHECK { }\n }\n real_server 10.0.0.12 80 { }\n}\n";

fn config(text: &str) -> Config {
    load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default()).config
}

fn links(addresses: &[(&str, u8)]) -> Links {
    let addresses = addresses.iter().map(|(address, prefix_len)| LinkAddress {
        address: address.parse().unwrap(),
        prefix_len: *prefix_len,
        scope: 0,
        label: None,
        broadcast: None,
        protocol: 0,
        tentative: false,
    });
    let link = Link {
        index: 2,
        name: "eth0".to_owned(),
        up: true,
        loopback: false,
        mac: None,
        mtu: 1500,
        addresses: addresses.collect(),
    };
    Links::from([(link.name.clone(), link)])
}

fn told(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|e| format!("{:?} {} {} | {}", e.action, e.kind, e.name, e.detail)).collect()
}

#[test]
fn addresses_follow_the_role() {
    let config = config(FILE);
    let cases: &[(&[(&str, u8)], Role, &[&str])] = &[
        (&[("10.0.0.9", 24)], Role::AsNow, &["Note instance"]),
        (
            &[("10.0.0.9", 24)],
            Role::Master,
            &["Note instance", "Add address 10.0.0.1/24", "Add address 10.0.0.2/24"],
        ),
        (&[("10.0.0.1", 24)], Role::AsNow, &["Note instance", "Add address 10.0.0.2/24"]),
        (&[("10.0.0.1", 24)], Role::Backup, &["Note instance", "Remove address 10.0.0.1/24"]),
        // The same address with another length is not ours.
        (&[("10.0.0.1", 32)], Role::Backup, &["Note instance"]),
        (&[("10.0.0.1", 24), ("10.0.0.2", 24)], Role::AsNow, &["Note instance"]),
    ];
    for (here, role, wanted) in cases {
        let entries = told(&addresses(&config, &links(here), *role));
        assert_eq!(entries.len(), wanted.len(), "{here:?} {role:?}: {entries:#?}");
        for (entry, part) in entries.iter().zip(*wanted) {
            assert!(entry.starts_with(part), "{entry} / {part}");
        }
    }
    let gone = addresses(&config, &Links::new(), Role::Master);
    assert!(told(&gone).iter().any(|entry| entry.contains("once the interface is there")));
}

fn key(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap(), port: 80 }
}

fn service(scheduler: &str, weights: &[(&str, u32)]) -> VirtualService {
    let destination = |weight| Destination {
        forward: Forward::DirectRoute,
        weight,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    VirtualService {
        service: Service {
            scheduler: scheduler.to_owned(),
            persistence: None,
            one_packet: false,
            scheduler_flags: 0,
        },
        destinations: weights
            .iter()
            .map(|(address, weight)| {
                let address: IpAddr = address.parse().unwrap();
                (DestinationKey { address, port: 80 }, destination(*weight))
            })
            .collect(),
    }
}

#[test]
fn services_are_compared_with_the_kernel_s() {
    let config = config(FILE);
    let now = crate::clock::now();
    let of = |table: &Table| told(&services(&config, table, now));
    let right = Table::from([(key("10.0.0.1"), service("wlc", &[("10.0.0.11", 2), ("10.0.0.12", 1)]))]);
    assert_eq!(of(&right), Vec::<String>::new());
    let empty = of(&Table::new());
    assert!(empty[0].starts_with("Add service TCP 10.0.0.1:80 | wlc") && empty.len() == 3, "{empty:#?}");
    let other = Table::from([
        (key("10.0.0.1"), service("rr", &[("10.0.0.12", 5), ("10.0.0.13", 1)])),
        (key("10.0.0.99"), service("sh", &[])),
    ]);
    let entries = of(&other);
    for part in [
        "Change service TCP 10.0.0.1:80 | rr -> wlc",
        "Add destination TCP 10.0.0.1:80 -> 10.0.0.11:80 | DR, weight 2 (unless its checks keep it out)",
        "Change destination TCP 10.0.0.1:80 -> 10.0.0.12:80 | DR, weight 5 -> DR, weight 1",
        "Remove destination TCP 10.0.0.1:80 -> 10.0.0.13:80",
        "Note service TCP 10.0.0.99:80 | not in the file, left alone",
    ] {
        assert!(entries.iter().any(|entry| entry.starts_with(part)), "{part}\n{entries:#?}");
    }
    assert_eq!(entries.len(), 5);
}

#[test]
fn settings_are_named_one_by_one_and_secrets_never_shown() {
    let new = FILE
        .replace("weight 2", "weight 7")
        .replace("auth_pass old", "auth_pass new")
        .replace(" 10.0.0.2/24\n", "");
    let entries = told(&settings(&config(FILE), &config(&new)));
    for part in [
        "Change setting virtual_server 10.0.0.1 80 TCP real_server 10.0.0.11 80 weight | 2 -> 7",
        "Change setting vrrp_instance A authentication auth_pass | XXXXXX -> XXXXXX",
        "Remove setting vrrp_instance A virtual_ipaddress | 10.0.0.2/24",
    ] {
        assert!(entries.iter().any(|entry| entry == part), "{part}\n{entries:#?}");
    }
    assert_eq!(entries.len(), 3, "{entries:#?}");
    assert!(settings(&config(FILE), &config(FILE)).is_empty());
    let none = told(&settings(&config(FILE), &Config::default()));
    assert!(none.contains(&"Remove setting vrrp_instance A | ".to_owned()), "{none:#?}");
}
