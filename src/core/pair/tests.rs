use std::path::Path;

use super::situation::{Condition, Watched};
use super::*;
use crate::config::load_text;
use crate::config::resolve::Facts;

fn config(text: &str) -> Config {
    let loaded = load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default());
    let errors: Vec<_> = loaded.diagnostics.iter().filter(|d| d.level == Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    loaded.config
}

/// An instance with the usual words, and more.
fn instance(name: &str, vrid: u8, priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n \
         virtual_ipaddress {{\n 10.0.0.{}/24\n }}\n{more}\n}}\n",
        u16::from(vrid) + 100
    )
}

fn script(name: &str, weight: i16) -> String {
    format!("vrrp_script {name} {{\n script /bin/{name}\n weight {weight}\n}}\n")
}

fn codes(a: &str, b: &str) -> Vec<&'static str> {
    let mut codes: Vec<_> =
        compare(&config(a), &config(b)).findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes
}

/// Two instances of VRID 1 that differ in what is given.
fn of_one(a: (u8, &str), b: (u8, &str)) -> Vec<&'static str> {
    codes(&instance("V", 1, a.0, a.1), &instance("V", 1, b.0, b.1))
}

const NONE: [&str; 0] = [];

#[test]
fn what_differs_is_named() {
    let pass = |word: &str| format!("authentication {{\n auth_type PASS\n auth_pass {word}\n }}");
    let peer = |own: &str, other: &str| format!("unicast_src_ip {own}\n unicast_peer {{\n {other}\n }}");
    let (to_b, to_a) = (peer("10.0.0.1", "10.0.0.2"), peer("10.0.0.2", "10.0.0.1"));
    for (a, b, wanted) in [
        ("", "", &NONE[..]),
        ("version 3", "", &["pair-version"]),
        ("advert_int 2", "", &["pair-advert-int"]),
        ("version 3\nadvert_int 2", "version 3", &["pair-advert-int"]),
        ("down_timer_adverts 5", "", &["pair-down-timer"]),
        (&pass("one"), "", &["pair-auth-type"]),
        (&pass("one"), &pass("two"), &["pair-password"]),
        (&pass("12345678x"), &pass("12345678y"), &NONE),
        (&pass("secret"), &pass("secret"), &NONE),
        (&to_b, &to_a, &NONE),
        (&to_b, "", &["pair-transport"]),
        (&to_b, &peer("10.0.0.3", "10.0.0.1"), &["pair-peer"]),
        (&to_b, "unicast_peer {\n 10.0.0.1\n }", &["pair-no-source"]),
        ("mcast_src_ip 10.0.0.1", "mcast_src_ip 10.0.0.1", &["pair-source"]),
        ("mcast_src_ip 10.0.0.1", "mcast_src_ip 10.1.0.1", &["pair-subnet"]),
        ("mcast_src_ip 10.0.0.1", "mcast_src_ip 10.0.0.2", &NONE),
        ("state MASTER", "state BACKUP", &NONE),
        ("state BACKUP", "state MASTER", &["pair-state"]),
        ("state MASTER", "state MASTER", &["pair-two-masters"]),
        ("nopreempt", "nopreempt", &NONE),
        ("nopreempt", "", &["pair-nopreempt"]),
        ("", "nopreempt", &["pair-nopreempt"]),
        ("nopreempt\nstate MASTER", "nopreempt", &["pair-nopreempt-ignored"]),
        ("preempt_delay 5", "preempt_delay 5", &NONE),
        ("preempt_delay 5", "", &NONE),
        ("", "preempt_delay 5", &["pair-preempt-delay"]),
        ("preempt_delay 5\nstate MASTER", "", &["pair-delay-ignored"]),
        ("dont_track_primary", "", &["pair-untracked-cable"]),
    ] {
        assert_eq!(of_one((150, a), (100, b)), wanted, "A: {a}; B: {b}");
    }
    assert_eq!(of_one((100, ""), (100, "")), ["pair-equal-priority"]);
    assert_eq!(of_one((255, ""), (255, "")), ["pair-two-owners"]);
    let groups = ["global_defs {\n vrrp_mcast_group4 224.0.0.19\n}\n", ""]
        .map(|global| format!("{global}{}", instance("V", 1, if global.is_empty() { 100 } else { 150 }, "")));
    assert_eq!(codes(&groups[0], &groups[1]), ["pair-mcast-group"]);
}

#[test]
fn the_file_of_the_other_one_is_recognised() {
    let own = "unicast_src_ip 10.0.0.1\n unicast_peer {\n 10.0.0.1\n 10.0.0.2\n }";
    let other = "unicast_src_ip 10.0.0.2\n unicast_peer {\n 10.0.0.1\n }";
    assert_eq!(of_one((150, own), (100, other)), ["pair-own-peer"]);
}

#[test]
fn instances_are_paired_by_vrid() {
    let (a, b) = (instance("X", 1, 150, ""), instance("Y", 1, 100, ""));
    assert_eq!(codes(&a, &b), ["pair-name"]);
    assert_eq!(codes(&a, ""), ["pair-missing-instance"]);
    assert_eq!(codes("", &b), ["pair-missing-instance"]);
    let other = b.replace("virtual_router_id 1", "virtual_router_id 2");
    assert_eq!(codes(&a, &other), ["pair-vrid"]);
    // One VRID on two interfaces: the addresses say which belong together.
    let second = |name, priority| {
        instance(name, 1, priority, "").replace("eth0", "eth1").replace("10.0.0.101", "10.0.1.101")
    };
    let a = instance("X", 1, 150, "") + &second("Z", 150);
    let b = second("Z", 100) + &instance("X", 1, 100, "");
    assert_eq!(codes(&a, &b), NONE);
}

#[test]
fn address_lists_are_compared() {
    let with = |addresses: &str, priority| instance("V", 1, priority, "").replace("10.0.0.101/24", addresses);
    let codes = |a, b| codes(&with(a, 150), &with(b, 100));
    assert_eq!(codes("10.0.0.1/24\n10.0.0.2/24", "10.0.0.2/24\n10.0.0.1/24"), ["pair-order"]);
    assert_eq!(codes("10.0.0.1/24\n10.0.0.2/24", "10.0.0.1/24"), ["pair-addresses"]);
    assert_eq!(codes("10.0.0.1/24", "10.0.0.1"), ["pair-prefix"]);
}

#[test]
fn weights_that_never_move_anything_are_told_from_those_that_do_together() {
    let track = "track_script {\n one\n two\n }";
    let side = |weights: [i16; 2], priority| {
        script("one", weights[0]) + &script("two", weights[1]) + &instance("V", 1, priority, track)
    };
    let levels = |weights, a, b| -> Vec<Level> {
        let report = compare(&config(&side(weights, a)), &config(&side(weights, b)));
        report.findings.iter().filter(|f| f.code == "pair-no-failover").map(|f| f.level).collect()
    };
    assert_eq!(levels([-60, -60], 150, 100), []);
    assert_eq!(levels([-30, -30], 150, 100), [Level::Advice, Level::Advice]);
    assert_eq!(levels([-3, -3], 150, 100), [Level::Warning, Level::Warning]);
    assert_eq!(levels([2, -60], 150, 100), [Level::Advice]);
    assert_eq!(levels([-60, -60], 255, 100), [Level::Warning, Level::Warning]);
    assert_eq!(levels([0, 0], 150, 100), [], "FAULT always moves them");
}

#[test]
fn a_failure_that_makes_the_backup_master_is_named() {
    // While eth1 is down, B counts 60 more.
    let raised = instance("V", 1, 100, "track_interface {\n eth1 weight -60 reverse\n }");
    assert_eq!(codes(&instance("V", 1, 150, ""), &raised), ["pair-raised"]);
}

#[test]
fn the_arithmetic_is_shown() {
    let text = script("one", 2)
        + &script("two", -60)
        + &instance("V", 1, 254, "track_script {\n one\n two\n }\ntrack_interface {\n eth1\n }");
    let report = compare(&config(&text), &config(&text.replace("254", "100")));
    let row = |watched: &[(TrackerKind, &str)]| {
        let wanted = watched
            .iter()
            .map(|(kind, name)| Watched { kind: *kind, name: (*name).to_owned(), reverse: false })
            .collect();
        let wanted = Condition::Failing(wanted);
        let table = &report.instances[0].table;
        let row = table.iter().find(|row| row.situation.a == wanted && row.situation.b == Condition::Healthy);
        row.expect("the situation is asked").standing[0].arithmetic.clone()
    };
    assert_eq!(report.instances[0].table[0].standing[0].arithmetic, "254 + 2 = 256, held at 254");
    assert_eq!(row(&[(TrackerKind::Script, "one")]), "254");
    assert_eq!(row(&[(TrackerKind::Script, "two")]), "254 + 2 - 60 = 196");
    assert_eq!(row(&[(TrackerKind::Interface, "eth1")]), "FAULT");
    assert_eq!(row(&[(TrackerKind::Interface, "eth0")]), "FAULT");
    let all = [(TrackerKind::Script, "one"), (TrackerKind::Script, "two"), (TrackerKind::Interface, "eth1")];
    assert_eq!(row(&all), "FAULT");
}

#[test]
fn a_group_goes_as_a_whole() {
    let side = |first, second| {
        config(
            &(script("one", 0)
                + &script("two", -60)
                + &instance("V", 1, first, "track_script {\n one\n }")
                + &instance("W", 2, second, "track_script {\n two\n }")),
        )
    };
    let group = SyncGroup {
        name: "G".to_owned(),
        members: vec!["V".to_owned(), "W".to_owned()],
        tracking_weight: false,
    };
    let groups = [group];
    let report = compare_with_groups(&side(150, 150), &side(100, 100), [&groups, &groups]);
    let errors: Vec<_> = report.findings.iter().filter(|f| f.level > Level::Advice).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let fails = |name: &str| {
        let watched = Watched { kind: TrackerKind::Script, name: name.to_owned(), reverse: false };
        Condition::Failing(vec![watched])
    };
    for instance in &report.instances {
        let row = instance.table.iter().find(|row| row.situation.a == fails("one")).expect("asked");
        assert_eq!(row.outcome.holder, Holder::One(Who::B), "{} follows its group", instance.title);
        assert!(!instance.table.iter().any(|row| row.situation.a == fails("two")), "its weight is dropped");
    }
    // Crossed priorities never agree, and a group of one side alone tears the pair apart.
    let report = compare_with_groups(&side(150, 100), &side(100, 150), [&groups, &groups]);
    assert!(report.findings.iter().any(|f| f.code == "pair-group" && f.level == Level::Error));
    let report = compare_with_groups(&side(150, 150), &side(100, 100), [&groups, &[]]);
    assert!(report.findings.iter().any(|f| f.code == "pair-group-members"));
}

#[test]
fn services_are_compared_with_their_defaults() {
    let service = |head: &str, real: &str| {
        format!(
            "virtual_server 10.0.0.101 80 {{\n protocol TCP\n{head}\n real_server 10.0.0.11 80 {{\n{real}\n }}\n}}\n"
        )
    };
    let codes = |a: &str, b: &str| codes(&(instance("V", 1, 150, "") + a), &(instance("V", 1, 100, "") + b));
    let plain = service("", "");
    assert_eq!(codes(&plain, &service("lb_algo wlc\nlb_kind NAT\nquorum 1", "weight 1")), NONE);
    assert_eq!(codes(&plain, ""), ["pair-missing-service"]);
    for head in ["lb_algo rr", "persistence_timeout 60", "sorry_server 10.0.0.9 80"] {
        assert_eq!(codes(&plain, &service(head, "")), ["pair-service"], "{head}");
    }
    for real in ["weight 2", "TCP_CHECK {\n }", "uthreshold 9", "inhibit_on_failure", "lvs_method DR"] {
        assert_eq!(codes(&plain, &service("", real)), ["pair-real-server"], "{real}");
    }
    let check = |more: &str| service("", &format!("TCP_CHECK {{\n{more}\n }}"));
    assert_eq!(codes(&check(""), &check("connect_timeout 5\nretry 1")), NONE);
    assert_eq!(codes(&check(""), &check("connect_port 81")), ["pair-real-server"]);
    assert_eq!(codes(&check("bindto 10.0.0.1"), &check("bindto 10.0.0.2")), NONE, "each its own");
    let away = plain.replace("10.0.0.101", "10.0.0.200");
    assert_eq!(codes(&away, &away), ["pair-uncarried"]);
    let mark = plain.replace("10.0.0.101 80", "fwmark 7");
    assert_eq!(codes(&mark, &mark), NONE);
}
