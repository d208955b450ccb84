//! A status as a busy director would tell it, of any size, the same at each call: what is looked at and measured with it can be
//! looked at and measured again.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem::control::view::{
    CheckerView, CountersView, DaemonView, EventView, GroupView, InstanceView, IpvsView, LagView,
    LastFailure, OverrideView, PeerView, RealServerView, StatusView, TrackerView, TrafficView,
    TransitionView, VirtualServerView,
};

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

const AT: &str = "2026-11-21T18:10:00.500Z";

/// So many real servers in virtual servers of 16, or of 40 where there are more than 1,000. `turn`: rates move with it.
pub(crate) fn status(reals: usize, turn: u64) -> StatusView {
    let each = if reals > 1000 { 40 } else { 16 };
    let mut chance = Chance(7);
    let mut moves = Chance(1000 + turn);
    let services = (0..reals / each).map(|n| service(n, each, &mut chance, &mut moves)).collect::<Vec<_>>();
    StatusView {
        at: AT.to_owned(),
        daemon: DaemonView {
            tandem: env!("CARGO_PKG_VERSION").to_owned(),
            pid: 812,
            host: "director-1".to_owned(),
            running: 93_400.0,
            config: "/etc/tandem/tandem.conf".to_owned(),
            config_digest: "9f1c44aa02b7e3d1".to_owned(),
            reloads: 3,
            lag: Some(LagView { worst: 0.0021, worst_lately: 0.0004, late: 0 }),
            ..DaemonView::default()
        },
        instances: instances(),
        groups: vec![GroupView {
            name: "G_lb".to_owned(),
            state: "MASTER".to_owned(),
            members: vec!["VI_web".to_owned(), "VI_web6".to_owned()],
        }],
        ipvs: IpvsView {
            in_order: true,
            services: services.len() as u64,
            repaired: 2,
            ..IpvsView::default()
        },
        virtual_servers: services,
        bfd: Vec::new(),
        pair: None,
    }
}

fn service(n: usize, each: usize, chance: &mut Chance, moves: &mut Chance) -> VirtualServerView {
    let reals: Vec<RealServerView> = (0..each).map(|r| real(n, r, chance, moves)).collect();
    let sum =
        |of: fn(&TrafficView) -> u64| reals.iter().filter_map(|real| real.traffic.as_ref()).map(of).sum();
    let weight = reals.iter().map(|real| real.weight).sum();
    VirtualServerView {
        name: format!("TCP 192.0.2.{}:{}", n % 250 + 1, [80, 443, 8443, 25][n / 250 % 4]),
        quorum_up: weight > 0,
        quorum: 1,
        weight,
        serving: if weight > 0 { "real_servers" } else { "sorry_server" }.to_owned(),
        traffic: Some(TrafficView {
            connections: sum(|t| t.connections),
            packets_in: sum(|t| t.packets_in),
            packets_out: sum(|t| t.packets_out),
            bytes_in: sum(|t| t.bytes_in),
            bytes_out: sum(|t| t.bytes_out),
            connection_rate: sum(|t| t.connection_rate),
            packet_rate_in: sum(|t| t.packet_rate_in),
            packet_rate_out: sum(|t| t.packet_rate_out),
            byte_rate_in: sum(|t| t.byte_rate_in),
            byte_rate_out: sum(|t| t.byte_rate_out),
        }),
        real_servers: reals,
        ..VirtualServerView::default()
    }
}

fn real(n: usize, r: usize, chance: &mut Chance, moves: &mut Chance) -> RealServerView {
    // Every sixtieth is down by chance; of the fourth virtual server nine, of the sixth all.
    let up = chance.below(60) > 0 && !(n == 3 && r < 9) && n != 5;
    let admin = match (n, r) {
        (1, 2) => "drain",
        (2, 4) => "disabled",
        _ => "enabled",
    };
    let by_hand = |change: &str, by: &str, at: &str, persisted| {
        Some(OverrideView {
            virtual_server: String::new(),
            real_server: String::new(),
            change: change.to_owned(),
            by: Some(by.to_owned()),
            at: Some(at.to_owned()),
            until: None,
            persisted,
            without_effect: None,
        })
    };
    let overridden = match (n, r) {
        (1, 2) => by_hand("drain", "anna(uid=1000,pid=4711)", "2026-11-18T09:12:00Z", false),
        (2, 4) => by_hand("disabled", "root(uid=0,pid=81)", "2026-11-21T16:10:00Z", false),
        (4, 1) => by_hand("weight 5", "root(uid=0,pid=81)", "2026-11-21T17:55:00Z", true),
        _ => None,
    };
    let reasons = [
        "connection refused (try 3 of 3)",
        "no answer within 3s (try 3 of 3)",
        "HTTP_GET /health: status 503, wanted 200-299 (try 2 of 2)",
    ];
    let serves = up && admin == "enabled";
    let base = chance.below(60);
    let rate = if serves { base + moves.below(base / 2 + 1) } else { 0 };
    let total = base * 86_400;
    let active = chance.below(200) + 5;
    RealServerView {
        name: format!("10.{}.{}.{}:8080", 1 + n / 200, n % 200, r + 10),
        admin_state: admin.to_owned(),
        up: Some(up),
        weight_configured: Some(10),
        weight: match (serves, n, r) {
            (false, ..) => 0,
            (true, 4, 1) => 5,
            _ => 10,
        },
        last_failure: (!up).then(|| LastFailure {
            reason: reasons[usize::try_from(chance.below(3)).unwrap_or(0)].to_owned(),
            ago: 2.5,
        }),
        warning: ((n, r) == (0, 3))
            .then(|| "certificate CN=shop.example ends in 9 days, at 2026-12-01 00:00:00 UTC".to_owned()),
        certificate_ends: (n == 3).then(|| "2026-12-01T18:00:00.000Z".to_owned()),
        changed_ago: (!up).then_some(4711.0),
        connections: Some(active * 2),
        active: Some(active),
        traffic: Some(TrafficView {
            connections: total,
            packets_in: total * 12,
            packets_out: total * 14,
            bytes_in: total * 9_000,
            bytes_out: total * 70_000,
            connection_rate: rate,
            packet_rate_in: rate * 12,
            packet_rate_out: rate * 14,
            byte_rate_in: rate * 9_000,
            byte_rate_out: rate * 70_000,
        }),
        checkers: vec![CheckerView {
            kind: "HTTP_GET".to_owned(),
            up: Some(up),
            took: Some(0.0031),
            shared_by: 1,
        }],
        overridden,
        ..RealServerView::default()
    }
}

fn instances() -> Vec<InstanceView> {
    let transition = |from: &str, to: &str, ago, cause: &str, why: &str| {
        Some(TransitionView {
            from: from.to_owned(),
            to: to.to_owned(),
            at: "2026-11-21T16:06:19.000Z".to_owned(),
            ago,
            cause: cause.to_owned(),
            why: why.to_owned(),
        })
    };
    let tracker = |kind: &str, name: &str, value: &str, contribution, why: &str| TrackerView {
        kind: kind.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        contribution,
        why: why.to_owned(),
        ..TrackerView::default()
    };
    let counters =
        CountersView { adverts_sent: 7421, adverts_received: 7, became_master: 1, ..CountersView::default() };
    let web = InstanceView {
        name: "VI_web".to_owned(),
        state: "MASTER".to_owned(),
        interface: "bond0.100".to_owned(),
        vrid: 51,
        version: 3,
        family: "inet".to_owned(),
        group: Some("G_lb".to_owned()),
        own_address: Some("198.51.100.2".to_owned()),
        priority: 140,
        own_priority: 140,
        base_priority: 150,
        trackers: vec![
            tracker("script", "chk_haproxy", "down", -10, "exit 1"),
            tracker("interface", "bond0", "up", 0, ""),
        ],
        addresses: (1..6).map(|n| format!("192.0.2.{n}/24")).collect(),
        wants_addresses: true,
        peers: vec![PeerView { address: "198.51.100.3".to_owned(), priority: 100, ago: 421.2, adverts: 7 }],
        advert_interval: 1.0,
        down_interval: 3.414,
        last: transition(
            "BACKUP",
            "MASTER",
            7421.0,
            "master_down",
            "no advert was heard for 3.414 s (limit 3.414 s); priority 140",
        ),
        in_state: 7421.0,
        master_since: None,
        counters,
        transitions: BTreeMap::from([("started".to_owned(), 1), ("master_down".to_owned(), 1)]),
        refused: BTreeMap::from([("checksum".to_owned(), 2)]),
        ..InstanceView::default()
    };
    let web6 = InstanceView {
        name: "VI_web6".to_owned(),
        state: "BACKUP".to_owned(),
        vrid: 52,
        family: "inet6".to_owned(),
        own_address: Some("fe80::2".to_owned()),
        priority: 150,
        own_priority: 150,
        trackers: Vec::new(),
        addresses: vec!["2001:db8::80/64".to_owned()],
        wants_addresses: false,
        peers: vec![PeerView { address: "fe80::3".to_owned(), priority: 200, ago: 0.4, adverts: 7000 }],
        last: transition("MASTER", "BACKUP", 63.0, "higher_priority", "fe80::3 has the higher priority 200"),
        in_state: 63.0,
        master_since: None,
        ..web.clone()
    };
    let db = InstanceView {
        name: "VI_db".to_owned(),
        state: "FAULT".to_owned(),
        interface: "eth2".to_owned(),
        vrid: 61,
        version: 2,
        group: None,
        priority: 100,
        own_priority: 100,
        base_priority: 100,
        trackers: vec![tracker("interface", "eth2", "down", 0, "no carrier")],
        fault: Some("interface eth2 is down: no carrier".to_owned()),
        addresses: vec!["10.9.0.100/24".to_owned()],
        wants_addresses: false,
        peers: Vec::new(),
        last: transition("BACKUP", "FAULT", 340.0, "fault", "interface eth2 is down"),
        in_state: 340.0,
        master_since: None,
        ..web.clone()
    };
    vec![web, web6, db]
}

/// What happened, numbered from 1.
pub(crate) fn events(count: u64) -> Vec<Arc<EventView>> {
    type Sketch =
        (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);
    let sketches: [Sketch; 6] = [
        (
            "info",
            "transition",
            "VI_web",
            "",
            "BACKUP>MASTER",
            "master_down",
            "no advert was heard for 3.414 s (limit 3.414 s)",
        ),
        (
            "warning",
            "check",
            "TCP 192.0.2.4:80",
            "10.1.3.12:8080",
            "up>down",
            "",
            "connection refused (try 3 of 3)",
        ),
        ("info", "command", "TCP 192.0.2.2:80", "10.1.1.12:8080", "", "", "drain"),
        (
            "error",
            "quorum",
            "TCP 192.0.2.6:80",
            "",
            "up>down",
            "",
            "weight 0 for quorum 1; sorry server 10.9.9.9:80 serves",
        ),
        ("error", "transition", "VI_db", "", "BACKUP>FAULT", "fault", "interface eth2 is down: no carrier"),
        ("info", "check", "TCP 192.0.2.4:80", "10.1.3.17:8080", "down>up", "", "HTTP_GET succeeded"),
    ];
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (1..=count)
        .map(|number| {
            let at = usize::try_from(number).unwrap_or(0) % sketches.len();
            let (level, kind, subject, real, states, cause, text) = sketches[at];
            let states = states.split_once('>');
            let minute = number * 3;
            Arc::new(EventView {
                number,
                at: format!("2026-11-21T{:02}:{:02}:09.123Z", 12 + minute / 60 % 12, minute % 60),
                level: level.to_owned(),
                kind: kind.to_owned(),
                subject: subject.to_owned(),
                real_server: some(real),
                from: states.map(|(from, _)| from.to_owned()),
                to: states.map(|(_, to)| to.to_owned()),
                cause: some(cause),
                text: text.to_owned(),
                details: None,
                by: (kind == "command").then(|| "anna(uid=1000,pid=4711)".to_owned()),
            })
        })
        .collect()
}
