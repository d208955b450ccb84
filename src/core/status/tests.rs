use std::collections::BTreeMap;
use std::time::Instant;

use super::*;
use crate::check::farm::Farm;
use crate::check::plan::Plan;
use crate::config;
use crate::config::resolve::Facts as Machine;
use crate::ipvs::counts::{DestinationCounts, ServiceCounts, Traffic};
use crate::ipvs::table::{Destination, Forward, Service, ServiceKey, Table, VirtualService};
use crate::vrrp::machine::{Cause, StateName, Timer, Transition};
use crate::vrrp::params::{Host, Settings};
use crate::vrrp::priority::{Tracker, TrackerKind, Value};
use crate::vrrp::snapshot::{Heard, Snapshot};
use crate::vrrp::status::{Counters, GroupStatus, InstanceStatus, Passed, Peer};

const FILE: &str = "vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 51
 priority 100
 virtual_ipaddress { 10.0.0.100/24 dev eth1 }
 virtual_ipaddress_excluded { 10.0.0.101 }
}
vrrp_sync_group G { group { VI_1 } }
bfd_instance B { neighbor_ip 10.0.0.2 }
virtual_server 10.0.0.100 80 {
 protocol TCP
 lb_kind NAT
 real_server 10.1.0.1 8080 { weight 4
  TCP_CHECK { } }
 real_server 10.1.0.2 8080 { weight 3
  admin_state drain }
 real_server 10.1.0.3 8080 { }
}
virtual_server_group web {
 10.0.0.100 81
 fwmark 5
}
virtual_server group web {
 protocol TCP
 lb_kind DR
 real_server 10.1.0.1 { }
}
";

fn instance(config: &config::model::Config, now: Instant) -> InstanceStatus {
    let settings = Settings::of_config(config, &Host::default()).remove(0);
    let tracker = |name: &str, weight, value| Tracker {
        name: name.to_owned(),
        kind: TrackerKind::Script,
        weight,
        reverse: false,
        value,
        why: String::new(),
    };
    let cause = Cause::MasterDown {
        waited: Duration::from_millis(3610),
        limit: Duration::from_millis(3609),
        last: None,
    };
    let transition = Transition { from: StateName::Backup, to: StateName::Master, cause, priority: 150 };
    InstanceStatus {
        settings: Arc::new(settings),
        state: StateName::Master,
        wants_master: false,
        own: Some([10, 0, 0, 1].into()),
        priority: 150,
        own_priority: 150,
        order: None,
        fault: None,
        trackers: [tracker("good", 50, Value::Up), tracker("bad", -20, Value::Unknown)].into(),
        last_advert: Some(Heard {
            source: [10, 0, 0, 2].into(),
            priority: 90,
            age: Duration::from_millis(2500),
        }),
        peers: vec![Peer {
            address: [10, 0, 0, 2].into(),
            priority: 90,
            at: now - Duration::from_millis(2500),
            adverts: 3,
        }],
        master_interval: Duration::from_secs(1),
        down_interval: Duration::from_millis(3414),
        timer: Some((Timer::Advert, now)),
        wants_addresses: true,
        last: Some(Arc::new(Passed {
            transition,
            snapshot: Snapshot::default(),
            at: now - Duration::from_secs(8),
            since_1970: Duration::from_millis(1_795_284_061_250),
        })),
        counters: Counters { received: 3, sent: 9, became_master: 1, ..Counters::default() },
        transitions: BTreeMap::from([("master_down", 1)]),
        refused: BTreeMap::from([("password", 2)]),
        socket_error: None,
    }
}

fn counted(active: u64, connections: u64) -> DestinationCounts {
    let traffic = Traffic { connections, bytes_in: 10 * connections, ..Traffic::default() };
    DestinationCounts { active, inactive: 1, traffic }
}

fn seen() -> Seen {
    let config = config::load_text("x.conf".as_ref(), FILE.as_bytes(), &Machine::default()).config;
    let now = crate::clock::now();
    let checks = Farm::start(Plan::new(&config), 1, now).0.status();
    let members: Vec<Vec<ServiceKey>> =
        checks.services.iter().map(|service| service.members.clone()).collect();
    let status = Status {
        at: now,
        since_1970: Duration::ZERO,
        instances: vec![instance(&config, now)],
        groups: vec![GroupStatus {
            name: "G".to_owned(),
            state: StateName::Master,
            members: vec!["VI_1".to_owned()],
        }],
        lag: crate::vrrp::lateness::Lag::default(),
        lost_reports: 0,
    };
    let service = |of: &[(&str, DestinationCounts)]| {
        let mut counts = ServiceCounts::default();
        for (at, one) in of {
            let at: std::net::SocketAddr = at.parse().unwrap();
            let key = crate::ipvs::table::DestinationKey { address: at.ip(), port: at.port() };
            counts.destinations.insert(key, *one);
            counts.traffic += one.traffic;
        }
        counts
    };
    let services = [
        (members[0][0], service(&[("10.1.0.1:8080", counted(4, 70))])),
        // DR: the port of the service, and none of a mark.
        (members[1][0], service(&[("10.1.0.1:81", counted(2, 5))])),
        (members[1][1], service(&[("10.1.0.1:0", counted(1, 3))])),
    ];
    let nat = Destination { forward: Forward::Masquerade, weight: 1, upper_threshold: 0, lower_threshold: 0 };
    let table: Table = services
        .iter()
        .map(|(key, counts)| {
            let destinations = counts.destinations.keys().map(|key| (*key, nat)).collect();
            (*key, VirtualService { service: Service::plain("rr"), destinations })
        })
        .collect();
    let config = Arc::new(config);
    let picture =
        Picture { base: Arc::clone(&config), config, overrides: Vec::new(), status: Arc::new(checks), now };
    Seen {
        picture,
        vrrp: Some(Box::new(status)),
        sessions: Arc::default(),
        report: Report { applied: 7, drift_repaired: 2, table: Arc::new(table), ..Report::default() },
        wanted: 7,
        counts: Some(Arc::new(Counts { services: services.into(), foreign: 3, ..Counts::default() })),
        ledger: Arc::default(),
        daemon: DaemonView { pid: 9, running: 77.0, ..DaemonView::default() },
        since_1970: Duration::from_millis(1_795_284_061_007),
    }
}

#[test]
fn an_instance_from_all_sides() {
    let view = view(&seen(), &Want::default());
    assert_eq!((view.at.as_str(), view.daemon.pid), ("2026-11-21T18:01:01.007Z", 9));
    let one = &view.instances[0];
    assert_eq!((one.name.as_str(), one.state.as_str(), one.family.as_str()), ("VI_1", "MASTER", "inet"));
    assert_eq!((one.priority, one.base_priority, one.vrid, one.version), (150, 100, 51, 2));
    assert_eq!(one.addresses, ["10.0.0.100/24 dev eth1", "10.0.0.101"]);
    assert_eq!((one.group.as_deref(), one.own_address.as_deref()), (Some("G"), Some("10.0.0.1")));
    let trackers: Vec<String> = one
        .trackers
        .iter()
        .map(|one| format!("{} {} {} {:+}", one.kind, one.name, one.value, one.contribution))
        .collect();
    assert_eq!(trackers, ["script good up +50", "script bad unknown +0"]);
    let last = one.last.as_ref().expect("a transition");
    assert_eq!(
        (last.from.as_str(), last.to.as_str(), last.cause.as_str()),
        ("BACKUP", "MASTER", "master_down")
    );
    assert_eq!((last.at.as_str(), last.ago, one.in_state), ("2026-11-21T18:01:01.250Z", 8.0, 8.0));
    assert!(last.why.starts_with("no advert was heard for 3.610 s"), "{}", last.why);
    let peer = &one.peers[0];
    assert_eq!((peer.address.as_str(), peer.priority, peer.ago), ("10.0.0.2", 90, 2.5));
    assert_eq!((one.counters.adverts_sent, one.refused.get("password")), (9, Some(&2)));
    assert_eq!(
        (view.groups[0].state.as_str(), view.bfd[0].up, view.bfd[0].changed_ago),
        ("MASTER", false, None)
    );
}

#[test]
fn counts_find_their_real_servers() {
    let view = view(&seen(), &Want::default());
    let [one, group] = view.virtual_servers.as_slice() else { panic!("two virtual servers") };
    assert_eq!(one.traffic.as_ref().map(|traffic| traffic.connections), Some(70));
    let shown: Vec<_> = one.real_servers.iter().map(|real| (real.active, real.connections)).collect();
    // In the table; gone from it while it drains; not there.
    assert_eq!(shown, [(Some(4), Some(5)), (Some(0), Some(0)), (None, None)]);
    assert_eq!(one.real_servers[0].traffic.as_ref().map(|traffic| traffic.bytes_in), Some(700));
    let checker = &one.real_servers[0].checkers[0];
    assert_eq!(
        (checker.kind.as_str(), checker.up, checker.took, checker.shared_by),
        ("TCP_CHECK", None, None, 1)
    );
    // All services of a group together.
    assert_eq!(group.traffic.as_ref().map(|traffic| traffic.connections), Some(8));
    let real = &group.real_servers[0];
    assert_eq!((real.active, real.connections), (Some(3), Some(5)));
    let ipvs = &view.ipvs;
    assert_eq!((ipvs.in_order, ipvs.services, ipvs.foreign_services, ipvs.repaired), (true, 3, Some(3), 2));
    assert_eq!((ipvs.applied, ipvs.wanted), (7, 7));
}

#[test]
fn parts_and_what_is_silent() {
    let mut seen = seen();
    let want = |part| Want { part: Some(part), service: None };
    let lists = |view: &StatusView| {
        [view.instances.len(), view.groups.len(), view.bfd.len(), view.virtual_servers.len()]
    };
    assert_eq!(lists(&view(&seen, &want(Part::Instances))), [1, 1, 1, 0]);
    assert_eq!(lists(&view(&seen, &want(Part::VirtualServers))), [0, 0, 0, 2]);
    assert_eq!(lists(&view(&seen, &want(Part::Daemon))), [0, 0, 0, 0]);
    let one = Want { service: Some("group web".parse().unwrap()), part: None };
    assert_eq!(lists(&view(&seen, &one)), [1, 1, 1, 1]);
    // Neither thread has answered, and the kernel has no IPVS.
    seen.vrrp = None;
    seen.picture.status = Arc::default();
    seen.counts = None;
    seen.report.errors = vec!["this kernel has no IPVS".to_owned()];
    let view = view(&seen, &Want::default());
    assert_eq!(lists(&view), [0, 0, 1, 2]);
    let real = &view.virtual_servers[0].real_servers[0];
    assert_eq!((real.up, real.active, real.traffic.as_ref()), (None, None, None));
    assert_eq!((view.virtual_servers[0].serving.as_str(), view.ipvs.in_order), ("unknown", false));
    assert_eq!(
        (real.unchecked.as_ref(), view.ipvs.foreign_services),
        (None, None),
        "nothing is known of them"
    );
}

#[test]
fn what_was_not_looked_at_is_not_up() {
    let mut seen = seen();
    let told = |seen: &Seen| {
        let view = view(seen, &Want::default());
        let one = &view.virtual_servers[0];
        let reals = one.real_servers.iter().map(|real| (real.up, real.unchecked.clone().unwrap_or_default()));
        (one.suspended, reals.collect::<Vec<_>>())
    };
    let none = |why: &str| (None, why.to_owned());
    assert_eq!(told(&seen), (false, vec![none("no_result"), none("no_checks"), none("no_checks")]));
    let checks = Arc::make_mut(&mut seen.picture.status);
    checks.services[0].reals[0].checkers[0].known = true;
    checks.services[0].reals[1].up = false;
    let found = |up| (Some(up), String::new());
    assert_eq!(told(&seen), (false, vec![found(true), found(false), none("no_checks")]));
    // The address went to the peer: what was found then is days old.
    Arc::make_mut(&mut seen.picture.status).services[0].suspended = true;
    assert_eq!(told(&seen), (true, vec![none("suspended"), none("suspended"), none("suspended")]));
}

#[test]
fn an_instance_that_waits_does_so_since_the_start_and_not_since_now() {
    let mut seen = seen();
    let status = seen.vrrp.as_mut().unwrap();
    (status.instances[0].last, status.instances[0].own_priority) = (None, 140);
    let one = &view(&seen, &Want::default()).instances[0];
    assert_eq!((one.in_state, one.own_priority), (77.0, 140));
}
