use super::*;
use crate::control::view::{DaemonView, GroupView, LastFailure, OrderView, OverrideView, TransitionView};

fn instance() -> InstanceView {
    let tracker = |name: &str, contribution: i64, weight: i16, value: &str| TrackerView {
        kind: "script".to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        weight,
        contribution,
        ..TrackerView::default()
    };
    InstanceView {
        name: "VI_1".to_owned(),
        state: "MASTER".to_owned(),
        interface: "eth0".to_owned(),
        vrid: 51,
        priority: 150,
        base_priority: 100,
        trackers: vec![tracker("chk_nginx", 50, 50, "up"), tracker("quiet", 0, -10, "up")],
        addresses: ["10.0.0.100/24 dev eth0", "10.0.0.101/24", "10.0.0.102/24", "10.0.0.103/24"]
            .map(str::to_owned)
            .to_vec(),
        peers: vec![PeerView { address: "10.0.0.2".to_owned(), priority: 100, ago: 90.0, adverts: 3 }],
        last: Some(TransitionView {
            from: "BACKUP".to_owned(),
            to: "MASTER".to_owned(),
            ago: 300.0,
            why: "no advert was heard for 3.414 s".to_owned(),
            ..TransitionView::default()
        }),
        in_state: 300.0,
        ..InstanceView::default()
    }
}

#[test]
fn the_arithmetic_of_a_priority() {
    let mut one = instance();
    assert_eq!(priority(&one), "150 = 100 +50 script chk_nginx");
    one.trackers[1].contribution = -10;
    one.priority = 140;
    assert_eq!(priority(&one), "140 = 100 +50 script chk_nginx -10 script quiet");
    one.trackers[0].contribution = 200;
    one.priority = 254;
    assert_eq!(priority(&one), "254 = 100 +200 script chk_nginx -10 script quiet (of 290)");
    one.trackers.clear();
    one.priority = 100;
    assert_eq!(priority(&one), "100");
    // By order: what it would be without one is told beside it.
    let mut one = instance();
    (one.own_priority, one.priority) = (150, 1);
    one.order = Some(OrderView { order: "step_down".to_owned(), ..OrderView::default() });
    assert_eq!(priority(&one), "1 by order (150 = 100 +50 script chk_nginx)");
    one.trackers.clear();
    (one.own_priority, one.priority) = (100, 254);
    assert_eq!(priority(&one), "254 by order (100)");
    one.priority = 100;
    assert_eq!(priority(&one), "100");
}

#[test]
fn a_backup_is_not_heard_and_not_missed() {
    let mut one = instance();
    one.down_interval = 3.6;
    assert_eq!(heard(&one), "no other master (before: 10.0.0.2 priority 100, 90 s ago)");
    one.peers[0].ago = 0.4;
    assert_eq!(heard(&one), "10.0.0.2 priority 100, 0.4 s ago");
    (one.state, one.peers[0].ago) = ("BACKUP".to_owned(), 90.0);
    assert_eq!(heard(&one), "10.0.0.2 priority 100, 90 s ago");
    one.peers.clear();
    assert_eq!(heard(&one), "");
}

fn server(name: &str, quorum_up: bool, real_servers: Vec<RealServerView>) -> VirtualServerView {
    let serving = "real_servers".to_owned();
    VirtualServerView {
        name: name.to_owned(),
        quorum_up,
        serving,
        real_servers,
        ..VirtualServerView::default()
    }
}

fn real_of(name: &str, up: Option<bool>, unchecked: Option<&str>) -> RealServerView {
    RealServerView {
        name: name.to_owned(),
        admin_state: "enabled".to_owned(),
        up,
        unchecked: unchecked.map(str::to_owned),
        ..RealServerView::default()
    }
}

#[test]
fn what_was_not_looked_at_is_said_to_be_so() {
    for (unchecked, wanted) in [
        (Some("no_checks"), "up, no checks"),
        (Some("no_result"), "up, not checked yet"),
        (Some("suspended"), "not checked here"),
        (None, "unknown"),
    ] {
        let mut real = real_of("10.1.0.1:80", None, unchecked);
        // A failure of days ago is no failure of now.
        real.last_failure = Some(LastFailure { reason: "connection refused".to_owned(), ago: 260_000.0 });
        assert_eq!((health(&real).0.as_str(), remarks(&real).as_str()), (wanted, ""));
        real.admin_state = "drain".to_owned();
        assert_eq!(health(&real).0, format!("drain, {wanted}"));
    }
    let mut away = server("TCP 192.0.2.1:80", false, vec![real_of("10.1.0.1:80", None, Some("suspended"))]);
    away.suspended = true;
    assert!(heading(&away, false).contains("not checked here") && !lost(&away), "{}", heading(&away, false));
    (away.suspended, away.serving) = (false, "unknown".to_owned());
    let heading = heading(&away, false);
    assert!(!lost(&away) && !heading.contains("0 of 0") && heading.contains("nothing is known"), "{heading}");
}

#[test]
fn the_kernels_table_is_told_of() {
    let mut view = StatusView::default();
    assert!(missing(&view, false).is_empty(), "a part that was not asked for is no problem");
    (view.ipvs.applied, view.ipvs.wanted, view.ipvs.repaired) = (12, 14, 3);
    view.ipvs.foreign_services = Some(2);
    let text = missing(&view, false).join("\n");
    for wanted in ["has table 12, table 14 is not in it yet", "3 entries", "2 services of somebody else"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn problems_alone() {
    let down = real_of("10.1.0.2:80", Some(false), None);
    let good = server("TCP 192.0.2.1:80", true, vec![real_of("10.1.0.1:80", Some(true), None)]);
    let partly = server("TCP 192.0.2.2:80", true, vec![real_of("10.1.0.1:80", Some(true), None), down]);
    let lost = server("TCP 192.0.2.3:80", false, Vec::new());
    let (mut well, mut fault) = (instance(), instance());
    well.name = "VI_well".to_owned();
    (fault.name, fault.state) = ("VI_fault".to_owned(), "FAULT".to_owned());
    let view = StatusView {
        instances: vec![well, fault],
        virtual_servers: vec![good, partly, lost],
        ..StatusView::default()
    };
    assert_eq!(summary(&view, false), "1 of 3 virtual servers without quorum, 1 of 3 real servers down");
    let text = all(&problems(view.clone()), &summary(&view, false), true, false).join("\n");
    for (word, there) in [
        ("VI_fault", true),
        ("VI_well", false),
        ("192.0.2.1:80", false),
        ("192.0.2.2:80", true),
        ("192.0.2.3:80", true),
        ("10.1.0.2:80", true),
        ("10.1.0.1:80", false),
        ("1 of 3 real servers down", true),
        ("1 of 2 down", true),
    ] {
        assert_eq!(text.contains(word), there, "{word}: {text}");
    }
}

#[test]
fn a_page_for_people() {
    let down = RealServerView {
        name: "10.1.0.2:80".to_owned(),
        admin_state: "enabled".to_owned(),
        up: Some(false),
        weight_configured: Some(5),
        changed_ago: Some(130.0),
        last_failure: Some(LastFailure { reason: "connection \x1b[2Jrefused".to_owned(), ago: 3.0 }),
        ..RealServerView::default()
    };
    let drains = RealServerView {
        name: "10.1.0.1:80".to_owned(),
        admin_state: "drain".to_owned(),
        up: Some(true),
        weight_configured: Some(5),
        active: Some(7),
        connections: Some(12_345),
        traffic: Some(TrafficView { connection_rate: 3, byte_rate_in: 2_500, ..TrafficView::default() }),
        overridden: Some(OverrideView {
            change: "drain".to_owned(),
            by: Some("root(uid=0,pid=1)".to_owned()),
            ..OverrideView::default()
        }),
        ..RealServerView::default()
    };
    let view = StatusView {
        daemon: DaemonView {
            tandem: "0.1.0".to_owned(),
            host: "one".to_owned(),
            pid: 7,
            running: 130.0,
            config: "/etc/tandem/tandem.conf".to_owned(),
            config_digest: "0123".to_owned(),
            silent: vec!["the check thread does not answer".to_owned()],
            ..DaemonView::default()
        },
        instances: vec![instance()],
        groups: vec![GroupView {
            name: "G".to_owned(),
            state: "MASTER".to_owned(),
            members: vec!["VI_1".to_owned()],
        }],
        virtual_servers: vec![VirtualServerView {
            name: "TCP 192.0.2.1:80".to_owned(),
            quorum: 1,
            weight: 5,
            quorum_up: true,
            serving: "real_servers".to_owned(),
            real_servers: vec![drains, down],
            ..VirtualServerView::default()
        }],
        ..StatusView::default()
    };
    let all = |colours| all(&view, &summary(&view, colours), false, colours).join("\n");
    let text = all(false);
    assert_eq!(
        text,
        "tandem 0.1.0 on one, runs for 2 min, pid 7, /etc/tandem/tandem.conf (0123)
  the check thread does not answer: what it knows is missing here
0 of 1 virtual servers without quorum, 1 of 2 real servers down, 1 taken out by hand

instance  state   for    priority                        on            addresses                                            heard
VI_1      MASTER  5 min  150 = 100 +50 script chk_nginx  eth0 vrid 51  10.0.0.100/24, 10.0.0.101/24, 10.0.0.102/24, 1 more  no other master (before: 10.0.0.2 priority 100, 90 s ago)
    BACKUP -> MASTER 5 min ago: no advert was heard for 3.414 s
group G: MASTER (VI_1)

TCP 192.0.2.1:80 (quorum: 5 of 1, 1 of 2 down)
  real server  health      weight  active    all  conn/s  B/s in  B/s out
  10.1.0.1:80  drain, up   0/5          7  12.3k       3    2.5k        0  * drain by root(uid=0,pid=1)
  10.1.0.2:80  DOWN 2 min  0/5          -      -       -       -        -  connection ?[2Jrefused (3.0 s ago)"
    );
    let coloured = all(true);
    assert!(coloured.contains("\x1b[32mMASTER\x1b[0m") && coloured.contains("\x1b[1;31mDOWN 2 min\x1b[0m"));
    // Colours change nothing else.
    let mut bare = coloured;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, text);
}

#[test]
fn what_is_wrong_is_said_below_the_instance() {
    let mut one = instance();
    one.state = "FAULT".to_owned();
    one.fault = Some("script chk failed".to_owned());
    one.trackers[1].value = "unknown".to_owned();
    let notes = notes(&one, false);
    assert_eq!(notes[1], "    fault: script chk failed");
    assert_eq!(notes[2], "    script quiet is unknown");
}

#[test]
fn the_other_director() {
    use crate::control::view::PairDifferenceView;
    let difference = |name: &str, text: &str| PairDifferenceView {
        kind: "vrrp_instance".to_owned(),
        name: name.to_owned(),
        text: text.to_owned(),
        ..PairDifferenceView::default()
    };
    let mut pair = PairView {
        peer: "10.0.0.2:9651".to_owned(),
        name: Some("lb2".to_owned()),
        state: "agrees".to_owned(),
        in_state: 90.0,
        heard_ago: Some(3.0),
        agrees: Some(true),
        ..PairView::default()
    };
    let said = |pair: &PairView| -> Vec<String> { paired(pair).into_iter().map(|(_, text)| text).collect() };
    let first = said(&pair);
    assert!(first[0].starts_with("pair: configured as lb2 (10.0.0.2:9651) for "), "{first:?}");
    pair.state = "differs".to_owned();
    pair.differences =
        (0..22).map(|n| difference(&format!("VI_{n}"), "virtual_ipaddress, advert_int")).collect();
    pair.more_differences = 5;
    let lines = said(&pair);
    assert!(lines[0].contains("DIFFERS from lb2"), "{lines:?}");
    assert_eq!(lines[1], "  vrrp_instance VI_0: virtual_ipaddress, advert_int");
    assert_eq!((lines.len(), lines[21].as_str()), (22, "  and 7 more (--json names them)"));
    pair.state = "silent".to_owned();
    pair.problem = Some("it does not answer within 8 s".to_owned());
    let lines = said(&pair);
    assert!(
        lines[0].contains("NOT HEARD")
            && lines[0].ends_with("; alike when it was: it does not answer within 8 s"),
        "{lines:?}"
    );
}
