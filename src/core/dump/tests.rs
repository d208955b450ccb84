//! Ours beside those of keepalived 2.2.7 for the same configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Seen, services, sessions, topology};
use crate::check::status::{CheckerStatus, RealStatus, ServiceStatus, Status as CheckStatus};
use crate::config::model::Config;
use crate::config::resolve::Facts;
use crate::net::link::{Link, LinkAddress, Links};
use crate::observe::data::Topology;
use crate::observe::{bfd, data, json, services as shown, stats};
use crate::vrrp::lateness::Lag;
use crate::vrrp::machine::{Cause, StateName, Timer, Transition, skew};
use crate::vrrp::params::{Host, Settings, TrackerValues};
use crate::vrrp::snapshot::Snapshot;
use crate::vrrp::status::{Counters, GroupStatus, InstanceStatus, Passed, Status};
use crate::vrrp::trackers::{Said, TrackerKind, Value};

const THEIRS: &str = include_str!("../../../tests/captures/dumps/keepalived.data");
const THEIR_STATS: &str = include_str!("../../../tests/captures/dumps/keepalived.stats");
const THEIR_JSON: &str = include_str!("../../../tests/captures/dumps/keepalived.json");
const THEIR_CHECKS: &str = include_str!("../../../tests/captures/dumps/keepalived_check.data");
const THEIR_BFD: &str = include_str!("../../../tests/captures/dumps/keepalived_bfd.data");

fn config(text: &str) -> Config {
    crate::config::load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default()).config
}

fn link(index: u32, name: &str, addresses: &[&str]) -> (String, Link) {
    let addresses = addresses.iter().map(|text| {
        let (address, prefix_len) = text.split_once('/').unwrap();
        LinkAddress {
            address: address.parse().unwrap(),
            prefix_len: prefix_len.parse().unwrap(),
            scope: 0,
            label: None,
            broadcast: None,
            protocol: 0,
            tentative: false,
        }
    });
    let link = Link {
        index,
        name: name.to_owned(),
        up: true,
        admin_up: true,
        loopback: name == "lo",
        mac: (name != "lo").then_some([0x1e, 0x81, 0x9f, 0x4c, 0xb2, 0x5b]),
        mtu: if name == "lo" { 65536 } else { 1500 },
        addresses: addresses.collect(),
    };
    (name.to_owned(), link)
}

/// The scene of the captures: all three instances are master.
fn scene() -> (Seen, Status) {
    let config = config(include_str!("../../../tests/captures/dumps/vrrp.conf"));
    let links: Links =
        [link(1, "lo", &["127.0.0.1/8"]), link(2, "veth0", &["10.9.0.1/24", "fe80::1c81:9fff:fe4c:b25b/64"])]
            .into_iter()
            .collect();
    let now = Instant::now();
    let mut values = TrackerValues::new();
    for (kind, name, value) in [
        (TrackerKind::Script, "chk", Value::Up),
        (TrackerKind::File, "tf", Value::Number(3)),
        (TrackerKind::Process, "proc", Value::Down),
    ] {
        values.set(kind, name, Said::new(value, "", now));
    }
    let since_1970 = Duration::from_secs(1_795_296_116);
    let instances = Settings::of_config(&config, &Host::default()).into_iter().map(|settings| {
        let counters = if settings.name == "VI_1" {
            Counters { sent: 1, became_master: 1, ..Counters::default() }
        } else {
            Counters { sent: 10, became_master: 1, ..Counters::default() }
        };
        let priority = if settings.name == "VI_1" { 163 } else { settings.base_priority };
        let interval = settings.advert_int;
        let own = settings.own_address(&links, |_| false);
        let trackers = settings.trackers_now(&links, &values).into();
        let transition =
            Transition { from: StateName::Backup, to: StateName::Master, cause: Cause::Started, priority };
        InstanceStatus {
            state: StateName::Master,
            wants_master: false,
            own,
            priority,
            own_priority: priority,
            order: None,
            peers: Vec::new(),
            fault: None,
            trackers,
            last_advert: None,
            master_interval: interval,
            down_interval: interval * 3 + skew(settings.version, priority, interval),
            timer: Some((Timer::Advert, now + Duration::from_millis(500))),
            wants_addresses: true,
            last: Some(Arc::new(Passed {
                transition,
                snapshot: Snapshot::default(),
                at: now,
                since_1970: Duration::new(1_795_296_113, 781_483_000),
            })),
            counters,
            transitions: BTreeMap::new(),
            refused: if settings.name == "VI_1" {
                BTreeMap::from([("password", 2), ("auth_missing", 1), ("checksum", 9)])
            } else {
                BTreeMap::new()
            },
            socket_error: None,
            settings: Arc::new(settings),
        }
    });
    let status = Status {
        at: now,
        since_1970,
        instances: instances.collect(),
        groups: vec![GroupStatus {
            name: "VG1".to_owned(),
            state: StateName::Master,
            members: vec!["VI_6".to_owned()],
        }],
        lost_reports: 0,
        lag: Lag::default(),
    };
    let seen = Seen {
        config: Arc::new(config),
        links: Arc::new(links),
        values: Arc::new(values),
        sessions: Arc::default(),
    };
    (seen, status)
}

/// What is written for the scene.
fn ours() -> Topology {
    let (seen, status) = scene();
    topology(&seen, &status)
}

/// Their lines that have no meaning here, and those of ours that keepalived has not: what is left must be equal, in its
/// order, but for values that differ from run to run.
fn comparable(text: &str) -> Vec<String> {
    const THEIRS_ALONE: [&str; 6] =
        ["fd_in", "Unicast checksum", "Reset ", "Original ", "Not IPv6", "NIC netlink"];
    const OURS_ALONE: [&str; 2] = ["Last transition cause", "Fault reason"];
    const VARIES: [&str; 3] = ["Last transition = ", "Read timeout = ", "Password = "];
    text.lines()
        .skip_while(|line| !line.contains("VRRP Topology"))
        .take_while(|line| !line.contains("VRRP Sockpool") && !line.contains("VRRP Sync groups"))
        .filter(|line| {
            let line = line.trim_start();
            !THEIRS_ALONE.iter().chain(&OURS_ALONE).any(|label| line.starts_with(label))
        })
        .map(|line| {
            let varies = VARIES.iter().find(|label| line.trim_start().starts_with(*label));
            match varies {
                Some(label) => (*label).to_owned(),
                // They show the path behind the link, and who runs it.
                None => line.replace(", uid:gid 0:0", "").replace("/usr/bin/true", "/bin/true"),
            }
        })
        .collect()
}

#[test]
fn instances_are_line_by_line_as_keepalived_shows_them() {
    let text = data::topology(&ours());
    let routing = |lines: Vec<String>| -> Vec<String> {
        // The words of routes and rules are those of the file here, and keepalived's own there.
        let is_routing = |line: &String| line.contains("10.77.0.0/16") || line.contains("from 10.9.0.100");
        lines.into_iter().map(|line| if is_routing(&line) { "routing".to_owned() } else { line }).collect()
    };
    let (ours, theirs) = (routing(comparable(&text)), routing(comparable(THEIRS)));
    for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(our, their, "line {number} of what is compared");
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 100, "too little was compared: {}", ours.len());
    assert!(!text.contains("secret99"), "a dump is read by many");
    for label in [
        " VRRP Sync Group = VG1, MASTER",
        " VRRP Script = chk",
        "   Status = GOOD",
        "   State = idle",
        " Track file = tf",
        "   Status = 3",
        " VRRP Track process = proc",
        "   Have quorum = false",
        " VRRP Track BFD = b1",
        "   Bfd is down",
        " Name = veth0",
        "   MAC = 1e:81:9f:4c:b2:5b",
    ] {
        assert!(THEIRS.lines().any(|line| line == label), "not theirs: {label}");
        assert!(text.lines().any(|line| line == label), "{label} is missing in\n{text}");
    }
}

#[test]
fn statistics_are_keepalived_s() {
    let text = stats::render(&ours().instances);
    let labels = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).collect()
    };
    // Instance names end in digits, too: the same ones on both sides.
    assert_eq!(labels(&text), labels(THEIR_STATS));
    // A wrong password and a missing header are two kinds of the same three.
    assert!(text.contains("    Type Mismatch: 1\n    Failure: 2\n"), "{text}");
}

#[test]
fn json_has_keepalived_s_fields_and_types() {
    use serde_json::Value;
    fn kind(value: &Value) -> &'static str {
        match value {
            Value::Null => "null",
            Value::Bool(_) => "switch",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        }
    }
    let (ours, theirs): (Value, Value) =
        (serde_json::from_str(&json::render(&ours(), 1)).unwrap(), serde_json::from_str(THEIR_JSON).unwrap());
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (our, their) in ours.iter().zip(theirs) {
        for part in ["data", "stats"] {
            for (key, value) in their[part].as_object().unwrap() {
                let name = &their["data"]["iname"];
                let found = our[part].get(key).unwrap_or_else(|| panic!("{name}: no {part}.{key}"));
                assert_eq!(kind(found), kind(value), "{name}: {part}.{key}");
                const VARIES: [&str; 6] = [
                    "auth_data",
                    "advert_sent",
                    "auth_failure",
                    "authtype_mismatch",
                    "last_transition",
                    "vroutes",
                ];
                const WORDS: [&str; 4] = ["vrules", "script", "script_master", "track_script"];
                if !VARIES.contains(&key.as_str()) && !WORDS.contains(&key.as_str()) {
                    assert_eq!(found, value, "{name}: {part}.{key}");
                }
            }
        }
    }
    let second: Value = serde_json::from_str(&json::render(&self::ours(), 2)).unwrap();
    assert_eq!(second["vrrp"].as_array().map(Vec::len), Some(3));
    assert_eq!(second["track_process"][0]["process"], "sshd");
}

#[test]
fn virtual_servers_are_as_keepalived_shows_them() {
    let config = config(include_str!("../../../tests/captures/dumps/check.conf"));
    let begins = services(&config, None);
    assert_eq!(begins.len(), 2);
    assert!(begins[0].reals[0].alive && !begins[0].reals[0].checkers[0].has_run);
    let plan = crate::check::plan::Plan::new(&config);
    let status = CheckStatus {
        services: plan
            .services
            .iter()
            .map(|service| ServiceStatus {
                name: service.name.clone(),
                members: Vec::new(),
                suspended: false,
                quorum_up: service.reals.len() == 1,
                quorum: 1,
                weight: 0,
                serving: crate::check::quorum::Serving::RealServers,
                tiers: vec![true],
                counts: crate::check::counts::ServiceCounts::default(),
                draining: Vec::new(),
                reals: service
                    .reals
                    .iter()
                    .map(|real| {
                        let up = service.reals.len() == 1;
                        let kind = real.checkers[0].kind.name();
                        RealStatus {
                            name: real.name().to_string(),
                            warning: None,
                            certificate_ends: None,
                            key: real.key,
                            up,
                            weight: real.weight,
                            tenths: 10,
                            tier: 0,
                            sorry: false,
                            held_until: None,
                            last_failure: None,
                            last_change: None,
                            checkers: vec![CheckerStatus { kind, up, known: !up, took_us: 7, users: 1 }],
                        }
                    })
                    .collect(),
            })
            .collect(),
        ..CheckStatus::default()
    };
    let text = shown::topology(&[], &services(&config, Some(&status)));
    let lines = |text: &str| -> Vec<String> {
        const THEIRS_ALONE: [&str; 3] = ["System is compiled", "reloaded", "previous"];
        text.lines()
            .skip_while(|line| !line.contains("LVS Topology"))
            .take_while(|line| !line.contains("Health checkers"))
            .filter(|line| !THEIRS_ALONE.iter().any(|label| line.trim_start().starts_with(label)))
            .map(|line| line.replace(", uid:gid 0:0", "").replace("/usr/bin/true", "/bin/true"))
            // Its default without any address to mail to.
            .map(|line| line.replace("smtp notification = yes", "smtp notification = ?"))
            .map(|line| line.replace("smtp notification = no", "smtp notification = ?"))
            .collect()
    };
    let (ours, theirs) = (lines(&text), lines(THEIR_CHECKS));
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(our, their, "in\n{text}");
    }
    assert_eq!(ours.len(), theirs.len());
    // What programs look for in the other half.
    for line in ["   Up = no", "   Has run = yes", "   Has run = no", "   Keepalive method = TCP_CHECK"] {
        assert!(THEIR_CHECKS.lines().any(|their| their == line), "not theirs: {line}");
        assert!(text.lines().any(|our| our == line), "{line} is missing in\n{text}");
    }
    let of_server = " [10.9.0.100]:tcp:80 -> [10.9.0.11]:tcp:80";
    assert!(text.contains(of_server) && THEIR_CHECKS.contains(of_server), "{text}");
    let of_mark = " FWM 7 -> [10.9.0.13]:none:8080";
    assert!(text.contains(of_mark) && THEIR_CHECKS.contains(of_mark), "{text}");
}

#[test]
fn sessions_are_as_keepalived_shows_them() {
    let (seen, _) = scene();
    let text = bfd::topology(&[], &sessions(&seen));
    let ours: Vec<&str> = text.lines().skip_while(|line| !line.contains("BFD Topology")).collect();
    let theirs: Vec<&str> = THEIR_BFD.lines().skip_while(|line| !line.contains("BFD Topology")).collect();
    for line in ours.iter().filter(|line| !line.contains("cause")) {
        assert!(theirs.contains(line), "{line} is not keepalived's");
    }
    assert!(ours.contains(&"   local state = Down"), "{text}");
}

#[test]
fn a_master_that_is_heard_is_shown() {
    use crate::vrrp::snapshot::Heard;
    let (seen, mut status) = scene();
    let peer: IpAddr = "10.9.0.2".parse().unwrap();
    let first = &mut status.instances[0];
    first.state = StateName::Backup;
    first.wants_addresses = false;
    first.last_advert = Some(Heard { source: peer, priority: 200, age: Duration::from_millis(3) });
    let text = data::topology(&topology(&seen, &status));
    assert!(
        text.contains("   State = BACKUP\n   Master router = 10.9.0.2\n   Master priority = 200\n"),
        "{text}"
    );
    assert!(text.contains("     10.9.0.101 dev veth0 scope global\n"), "not set: {text}");
}
