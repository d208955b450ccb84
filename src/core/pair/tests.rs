use std::path::Path;

use super::situation::{Condition, Watched};
use super::trackers::Kind;
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

fn bad(kind: Kind, name: &str, number: i64) -> Watched {
    Watched { kind, name: name.to_owned(), reverse: false, number }
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
    let row = |watched: &[(Kind, &str)]| {
        let wanted = watched.iter().map(|(kind, name)| bad(*kind, name, 0)).collect();
        let wanted = Condition::Failing(wanted);
        let table = &report.instances[0].table;
        let row = table.iter().find(|row| row.situation.a == wanted && row.situation.b == Condition::Healthy);
        row.expect("the situation is asked").standing[0].arithmetic.clone()
    };
    assert_eq!(report.instances[0].table[0].standing[0].arithmetic, "254 + 2 = 256, held at 254");
    assert_eq!(row(&[(Kind::Script, "one")]), "254");
    assert_eq!(row(&[(Kind::Script, "two")]), "254 + 2 - 60 = 196");
    assert_eq!(row(&[(Kind::Interface, "eth1")]), "FAULT");
    assert_eq!(row(&[(Kind::Interface, "eth0")]), "FAULT");
    let all = [(Kind::Script, "one"), (Kind::Script, "two"), (Kind::Interface, "eth1")];
    assert_eq!(row(&all), "FAULT");
}

/// Two instances, V and W, with what is said of each, and of their group ("-" = there is none).
fn grouped(priorities: [u8; 2], more: [&str; 2], group: &str) -> Config {
    let group = match group {
        "-" => String::new(),
        more => format!("vrrp_sync_group G {{\n group {{\n V\n W\n }}\n{more}\n}}\n"),
    };
    let text = script("one", 0)
        + &script("two", -60)
        + "track_file load {\n file /run/load\n weight -60\n}\n"
        + "vrrp_track_process web {\n process nginx\n}\n"
        + "bfd_instance up {\n neighbor_ip 10.0.0.9\n}\n"
        + &group
        + &instance("V", 1, priorities[0], more[0])
        + &instance("W", 2, priorities[1], more[1]);
    config(&text)
}

/// Who has an instance of A's while that fails at A.
fn holder_when(report: &PairReport, instance: usize, failing: Watched) -> Option<Holder> {
    let wanted = Condition::Failing(vec![failing]);
    let table = &report.instances[instance].table;
    table.iter().find(|row| row.situation.a == wanted).map(|row| row.outcome.holder)
}

const OF_V: &str = "track_script {\n one\n }";
const OF_W: &str = "track_script {\n two\n }";

#[test]
fn a_group_goes_as_a_whole() {
    let side = |priorities| grouped(priorities, [OF_V, OF_W], "");
    let report = compare(&side([150, 150]), &side([100, 100]));
    let errors: Vec<_> = report.findings.iter().filter(|f| f.level > Level::Advice).collect();
    assert!(errors.is_empty(), "{errors:?}");
    for instance in 0..2 {
        let of = |name| holder_when(&report, instance, bad(Kind::Script, name, 0));
        assert_eq!(of("one"), Some(Holder::One(Who::B)), "{instance} follows its group");
        assert_eq!(of("two"), None, "its weight is dropped");
    }
    // Crossed priorities never agree, and a group of one side alone tears the pair apart.
    let report = compare(&side([150, 100]), &side([100, 150]));
    assert!(report.findings.iter().any(|f| f.code == "pair-group" && f.level == Level::Error));
    // Where one of two would stay away, both do: said once, for the director that they belong to.
    let stuck = |a: &Config, b: &Config| {
        let report = compare(a, b);
        report.findings.iter().filter(|f| f.code == "pair-group-return").count()
    };
    assert_eq!(stuck(&side([150, 100]), &side([100, 100])), 1, "equal priorities of one member");
    let nopreempt = grouped([150, 150], [&format!("{OF_V}\nnopreempt"), OF_W], "");
    assert_eq!(stuck(&nopreempt, &side([100, 100])), 1, "nopreempt of one member");
    let both = grouped(
        [150, 150],
        [OF_V, OF_W].map(|of| format!("{of}\nnopreempt")).each_ref().map(String::as_str),
        "",
    );
    assert_eq!(stuck(&both, &side([100, 100])), 0, "all of them stay");
    assert_eq!(stuck(&side([150, 120]), &side([100, 90])), 0);
    let report = compare(&side([150, 150]), &grouped([100, 100], [OF_V, OF_W], "-"));
    assert!(report.findings.iter().any(|f| f.code == "pair-group-members"));
}

#[test]
fn a_group_waits_for_its_last_member() {
    let compared =
        |more, group: &str| compare(&grouped([150, 150], more, group), &grouped([100, 100], more, group));
    let two = || bad(Kind::Script, "two", 0);
    // The weight of one member is kept, but the other one still wants A.
    let report = compared([OF_V, OF_W], "sync_group_tracking_weight");
    for instance in 0..2 {
        assert_eq!(holder_when(&report, instance, two()), Some(Holder::One(Who::A)));
    }
    let row = report.instances[1].table.iter().find(|row| row.kept_by.is_some()).expect("W is kept");
    assert_eq!(row.kept_by.as_deref(), Some("V (VRID 1)"));
    let finding = report.findings.iter().find(|f| f.code == "pair-no-failover").expect("said");
    assert!(finding.problem.contains("V (VRID 1) of its sync group stays on A"), "{finding}");
    // What the group itself tracks lowers all its members alike.
    let report = compared(["", ""], OF_W);
    for instance in 0..2 {
        assert_eq!(holder_when(&report, instance, two()), Some(Holder::One(Who::B)));
    }
    assert!(report.findings.iter().all(|f| f.code != "pair-no-failover"));
}

#[test]
fn files_processes_and_sessions_fail_too() {
    let more = "track_file {\n load\n }\n track_process {\n web\n }\n track_bfd {\n up\n }";
    let report = compare(&grouped([150, 150], [more, ""], "-"), &grouped([100, 100], [more, ""], "-"));
    let row = |one: Watched| {
        let wanted = Condition::Failing(vec![one]);
        let row = report.instances[0].table.iter().find(|row| row.situation.a == wanted).expect("asked");
        (row.standing[0].arithmetic.clone(), row.outcome.holder)
    };
    let on_b = Holder::One(Who::B);
    assert_eq!(row(bad(Kind::File, "load", 1)), ("150 - 60 = 90".to_owned(), on_b));
    assert_eq!(row(bad(Kind::Process, "web", 0)), ("FAULT".to_owned(), on_b));
    assert_eq!(row(bad(Kind::Bfd, "up", 0)), ("FAULT".to_owned(), on_b));
    // A session is to something that both need; a process is each director's own.
    let advice: Vec<_> = report.findings.iter().filter(|f| f.code == "pair-both-fault").collect();
    assert_eq!(advice.len(), 1, "{advice:?}");
    assert!(advice[0].problem.contains("bfd up is down on both"), "{advice:?}");
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
