use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use super::*;
use crate::check::status::{CheckerStatus, Status as Checks};
use crate::config::resolve::Facts;
use crate::core::journal::Journal;
use crate::core::journal::events::event;
use crate::ipvs::table::{DestinationKey, Protocol, ServiceKey};
use crate::vrrp::machine::{Cause, Order, OrderKind, Transition};
use crate::vrrp::params::{Host, Settings};
use crate::vrrp::snapshot::Snapshot;
use crate::vrrp::status::{Counters, Passed, Peer};
use crate::vrrp::trackers::{Tracker, TrackerKind};

const CONF: &str = "vrrp_script chk { script /bin/true }
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 51
 priority 150
 virtual_ipaddress { 10.0.0.100 }
}
vrrp_instance VI_2 {
 interface eth0
 virtual_router_id 52
 virtual_ipaddress { 10.0.0.101 }
}
vrrp_sync_group VG { group { VI_1
VI_2 } }
virtual_server 10.0.0.100 80 {
 protocol TCP
 real_server 10.1.0.1 80 { weight 2 }
 real_server 10.1.0.2 80 { weight 3 }
}
";

fn peer(priority: u8, ago: Duration, now: Instant) -> Peer {
    Peer { address: "10.0.0.2".parse().unwrap(), priority, at: now.checked_sub(ago).unwrap(), adverts: 7 }
}

/// An instance that is BACKUP since four minutes, since a step-down.
fn instance(config: &Config, now: Instant) -> InstanceStatus {
    let settings = Settings::of_config(config, &Host::default()).remove(0);
    let by = "root(uid=0,pid=7)".to_owned();
    let cause = Cause::StepDown { by, maintenance: false };
    InstanceStatus {
        state: StateName::Backup,
        wants_master: false,
        own: Some(IpAddr::from([10, 0, 0, 1])),
        priority: 150,
        own_priority: 150,
        order: None,
        fault: None,
        trackers: Vec::new().into(),
        peers: vec![peer(100, Duration::from_millis(300), now)],
        last_advert: None,
        master_interval: Duration::from_secs(1),
        down_interval: Duration::from_millis(3414),
        timer: None,
        wants_addresses: false,
        last: Some(Arc::new(Passed {
            transition: Transition { from: StateName::Master, to: StateName::Backup, cause, priority: 1 },
            snapshot: Snapshot::default(),
            at: now.checked_sub(Duration::from_secs(250)).unwrap(),
            since_1970: Duration::from_secs(1_795_284_061),
        })),
        counters: Counters::default(),
        transitions: BTreeMap::new(),
        refused: BTreeMap::new(),
        socket_error: None,
        settings: Arc::new(settings),
    }
}

fn status(one: InstanceStatus, now: Instant) -> Box<Status> {
    Box::new(Status {
        at: now,
        since_1970: Duration::from_secs(1_795_284_311),
        instances: vec![one],
        groups: Vec::new(),
        lag: crate::vrrp::lateness::Lag::default(),
        lost_reports: 0,
    })
}

fn tracker(kind: TrackerKind, name: &str, weight: i16, value: Value) -> Tracker {
    Tracker { name: name.to_owned(), kind, weight, reverse: false, value, why: "exit status 1".to_owned() }
}

fn config() -> Arc<Config> {
    Arc::new(crate::config::load_text(Path::new("x.conf"), CONF.as_bytes(), &Facts::default()).config)
}

#[test]
fn an_instance_says_since_when_why_with_what_and_beside_whom() {
    let (config, now) = (config(), Instant::now() + Duration::from_secs(1000));
    let one = instance(&config, now);
    let says = |one: InstanceStatus| {
        let status = status(one.clone(), now);
        instance_now(&one, &status, &config)
    };
    assert_eq!(
        says(one.clone()),
        "VI_1 is BACKUP since 2026-11-21T18:01:01.000Z, 4 min ago: stepped down by root(uid=0,pid=7). The priority is \
         150 = 150 base. The master is 10.0.0.2 with priority 100, last advert 0.3 s ago"
    );

    let mut ordered = one.clone();
    let order = Order {
        kind: OrderKind::StepDown,
        by: "root(uid=0,pid=7)".to_owned(),
        at: Duration::ZERO,
        until: Some(now + Duration::from_secs(350)),
    };
    (ordered.order, ordered.priority, ordered.own_priority) = (Some(Arc::new(order)), 1, 140);
    ordered.trackers = vec![
        tracker(TrackerKind::Script, "chk", -10, Value::Down),
        tracker(TrackerKind::Script, "other", 5, Value::Down),
    ]
    .into();
    let said = says(ordered);
    assert!(
        said.contains(
            "The priority is 1 by order: step_down of root(uid=0,pid=7), for 5 min more; without it 140 = 150 base - 10 \
             (script chk failed (exit status 1))"
        ),
        "{said}"
    );

    let mut alone = one.clone();
    (alone.state, alone.peers) = (StateName::Master, Vec::new());
    assert!(says(alone).ends_with("It is the master; no other router was heard"));
    let mut silent = one.clone();
    silent.peers = vec![peer(100, Duration::from_secs(30), now)];
    let said = says(silent);
    assert!(
        said.ends_with("No master is heard; the last advert came from 10.0.0.2 with priority 100, 30 s ago")
    );
    let mut faulty = one;
    (faulty.state, faulty.fault) = (StateName::Fault, Some("script chk failed".to_owned()));
    assert!(says(faulty).contains(". It must not take part: script chk failed. The priority is"));
}

fn known(now: Instant) -> Known {
    let config = config();
    let mut journal = Journal::default();
    for n in 0..3 {
        let mut note = |kind: &str, subject: &str, real: Option<&str>| {
            let mut event = event("info", kind, subject, format!("{kind} {n}"));
            event.real_server = real.map(str::to_owned);
            journal.push(event);
        };
        note("reload", "", None);
        note("transition", "VI_2", None);
        note("transition", "VI_1", None);
        note("group", "VG", None);
        note("check", "TCP 10.0.0.100:80", Some("10.1.0.1:80"));
        note("quorum", "TCP 10.0.0.100:80", None);
        note("tracker", "nobodys", None);
    }
    let key = ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 100].into(), port: 80 };
    let real = |last: u8, up: bool| RealStatus {
        name: format!("10.1.0.{last}:80"),
        key: DestinationKey { address: [10, 1, 0, last].into(), port: 80 },
        up,
        weight: 2,
        tenths: 10,
        tier: 0,
        sorry: false,
        held_until: None,
        last_failure: (!up).then(|| ("connection refused (try 2 of 2)".to_owned(), now)),
        warning: None,
        certificate_ends: None,
        last_change: None,
        checkers: vec![CheckerStatus { kind: "TCP_CHECK", up, known: true, took_us: 7, users: 1 }],
    };
    let service = ServiceStatus {
        name: key.into(),
        members: vec![key],
        suspended: false,
        quorum_up: true,
        quorum: 1,
        weight: 3,
        serving: Serving::RealServers,
        tiers: vec![true],
        counts: crate::check::counts::ServiceCounts::default(),
        draining: Vec::new(),
        reals: vec![real(1, false), real(2, true)],
    };
    let checks = Checks { services: vec![service], ..Checks::default() };
    Known {
        picture: Picture {
            base: Arc::clone(&config),
            config: Arc::clone(&config),
            overrides: Vec::new(),
            status: Arc::new(checks),
            now,
        },
        vrrp: Some(status(instance(&config, now), now)),
        events: journal.all().cloned().collect(),
        checks_silent: false,
        troubles: Vec::new(),
    }
}

fn ask(subject: Option<&str>, last: usize) -> Result<WhyView, Failure> {
    known(Instant::now() + Duration::from_secs(1000))
        .why(&WhyQuery { subject: subject.map(str::to_owned), last })
}

#[test]
fn of_checks_that_do_not_answer_nothing_is_known() {
    let mut known = known(Instant::now() + Duration::from_secs(1000));
    (known.picture.status, known.checks_silent) = (Arc::default(), true);
    let ask = |subject: &str| known.why(&WhyQuery { subject: Some(subject.to_owned()), last: 2 });
    assert!(ask("VI_1").unwrap().about[0].now.starts_with("VI_1 is "));
    assert_eq!(ask("TCP 10.0.0.100:80").unwrap().about[0].now, "the check thread does not answer");
    let refused = ask("10.1.0.1:80").unwrap_err();
    assert_eq!((refused.status, refused.code), (503, "silent"), "it may well be there");
}

fn texts(about: &AboutView) -> Vec<&str> {
    about.events.iter().map(|event| event.text.as_str()).collect()
}

#[test]
fn the_last_changes_come_with_what_happened_around_them() {
    let why = ask(Some("VI_1"), 2).unwrap();
    let [about] = why.about.as_slice() else { panic!("{why:?}") };
    assert_eq!((about.name.as_str(), about.kind.as_str()), ("VI_1", "instance"));
    assert_eq!(
        texts(about),
        ["group 0", "reload 1", "transition 1", "group 1", "reload 2", "transition 2", "group 2"],
        "its own transitions, the reloads, its group; nobody else's"
    );
    let all: Vec<String> = ask(None, 1).unwrap().about.into_iter().map(|about| about.name).collect();
    assert_eq!(all, ["VI_1", "VI_2"]);
    assert_eq!(ask(Some("VG"), 1).unwrap().about[0].kind, "group");
}

#[test]
fn servers_say_how_they_stand() {
    let why = ask(Some("10.0.0.100:80"), 9).unwrap();
    assert_eq!(why.about.len(), 1);
    assert_eq!(
        why.about[0].now,
        "TCP 10.0.0.100:80 has its quorum: weight 3 for quorum 1, the real servers serve; 1 of 2 real servers are up. \
         10.1.0.1:80 is down: connection refused (try 2 of 2)"
    );
    assert_eq!(texts(&why.about[0]).len(), 6);
    let why = ask(Some("10.1.0.1"), 2).unwrap();
    assert_eq!((why.about[0].name.as_str(), why.about[0].kind.as_str()), ("10.1.0.1:80", "real_server"));
    assert_eq!(
        why.about[0].now,
        "10.1.0.1:80 of TCP 10.0.0.100:80 is down: connection refused (try 2 of 2), 0.0 s ago. Its weight while up is 2"
    );
    assert_eq!(texts(&why.about[0]), ["check 1", "check 2"]);
}

#[test]
fn without_a_name_all_that_is_wrong_is_told() {
    let mut known = known(Instant::now() + Duration::from_secs(1000));
    known.troubles = vec!["The last reload was refused: it has 1 errors".to_owned()];
    Arc::make_mut(&mut known.picture.status).services[0].quorum_up = false;
    let ask = |known: &Known| known.why(&WhyQuery { subject: None, last: 1 }).unwrap().about;
    let about = ask(&known);
    let names: Vec<&str> = about.iter().map(|about| about.name.as_str()).collect();
    assert_eq!(names, ["tandem", "VI_1", "VI_2", "TCP 10.0.0.100:80"]);
    assert_eq!((about[0].kind.as_str(), about[0].now.as_str()), ("daemon", known.troubles[0].as_str()));
    assert_eq!(texts(&about[0]), ["reload 2"]);
    assert!(about[3].now.contains("has lost its quorum"), "{}", about[3].now);
    // The address is with the peer: that is no trouble of this director, and what it knew is told as what it was.
    let service = &mut Arc::make_mut(&mut known.picture.status).services[0];
    service.suspended = true;
    assert_eq!(ask(&known).len(), 3);
    let says = |subject: &str| {
        let query = WhyQuery { subject: Some(subject.to_owned()), last: 1 };
        known.why(&query).unwrap().about[0].now.clone()
    };
    assert!(says("TCP 10.0.0.100:80").contains("what was found when it was last checked"));
    assert!(says("10.1.0.1:80").starts_with("10.1.0.1:80 of TCP 10.0.0.100:80 is not checked here"));
}

#[test]
fn a_server_that_nobody_has_looked_at_is_told_as_that() {
    let mut known = known(Instant::now() + Duration::from_secs(1000));
    let reals = &mut Arc::make_mut(&mut known.picture.status).services[0].reals;
    reals[0].up = true;
    reals[0].checkers.clear();
    reals[1].checkers[0].known = false;
    let says = |subject: &str| {
        let query = WhyQuery { subject: Some(subject.to_owned()), last: 1 };
        known.why(&query).unwrap().about[0].now.clone()
    };
    assert!(says("10.1.0.1:80").contains("is up: it has no checks"));
    assert!(says("10.1.0.2:80").contains("is up: no check of it has ended yet"));
    assert!(says("TCP 10.0.0.100:80").contains("2 of them count as up without a check that has ended"));
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let failure = ask(Some("VI_9"), 1).unwrap_err();
    assert_eq!((failure.status, failure.code), (404, "unknown-subject"));
    assert_eq!(failure.candidates, ["VI_1", "VI_2", "TCP 10.0.0.100:80"]);
}

#[test]
fn times_are_short() {
    for (millis, wanted) in
        [(300, "0.3 s"), (48_000, "48 s"), (250_000, "4 min"), (7_200_000, "2 h"), (172_800_000, "2 d")]
    {
        assert_eq!(span(Duration::from_millis(millis)), wanted);
    }
}
