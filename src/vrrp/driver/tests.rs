//! What becomes of masters when the thread fails inside. As root, on the loopback interface: unicast to nobody.

use std::net::IpAddr;

use super::*;
use crate::config::model::Config;
use crate::net::link::{Link, LinkAddress};
use crate::vrrp::machine::StateName;
use crate::vrrp::params::Host;

fn loopback() -> Arc<Links> {
    let address = LinkAddress {
        address: IpAddr::from([127, 0, 0, 1]),
        prefix_len: 8,
        scope: 254,
        label: None,
        broadcast: None,
        protocol: 0,
        tentative: false,
    };
    let link = Link {
        index: 1,
        name: "lo".to_owned(),
        up: true,
        admin_up: true,
        loopback: true,
        mac: None,
        mtu: 65536,
        addresses: vec![address],
    };
    Arc::new(Links::from([("lo".to_owned(), link)]))
}

fn setup() -> Setup {
    let config: Config = serde_json::from_value(serde_json::json!({
        "vrrp_instance": [
            {"name": "A", "virtual_router_id": 251, "priority": 255, "interface": "lo", "advert_int": "1s",
             "unicast_peer": [{"address": "127.0.0.9"}], "virtual_ipaddress": ["127.0.9.1/32"]},
            {"name": "B", "virtual_router_id": 252, "priority": 100, "interface": "lo", "advert_int": "20s",
             "unicast_peer": [{"address": "127.0.0.9"}], "virtual_ipaddress": ["127.0.9.2/32"]},
        ],
    }))
    .expect("a configuration");
    let mut setup = Setup::of(&config, &Host::default());
    setup.scheduling.nice = Some(0);
    setup
}

struct Running {
    handle: Handle,
    wanted: watch::Receiver<Arc<Wanted>>,
    reports: mpsc::Receiver<Report>,
}

fn start() -> Running {
    let (wanted_out, wanted) = watch::channel(Arc::new(Wanted::default()));
    let (reports_out, reports) = mpsc::channel(100);
    let out = Outputs {
        wanted: wanted_out,
        reports: reports_out,
        swift: false,
        board: None,
        resuming: BTreeSet::new(),
    };
    let handle = spawn(setup(), loopback(), Arc::default(), out).expect("the thread, as root");
    Running { handle, wanted, reports }
}

/// What is told until something is.
fn until(running: &mut Running, right: impl Fn(&Told) -> bool) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..500 {
        while let Ok(report) = running.reports.try_recv() {
            told.push(format!("{} {}", report.instance, report.told));
            if right(&report.told) {
                return told;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not told: {told:?}");
}

fn master(told: &Told) -> bool {
    matches!(told, Told::Transition { transition, .. } if transition.to == StateName::Master)
}

#[test]
fn a_master_outlives_a_failure_of_its_thread() {
    let mut running = start();
    until(&mut running, master);
    let before = running.wanted.borrow().want.clone();
    assert_eq!(before.len(), 1);
    let seen = running.wanted.clone();
    running.handle.mailbox.happen(|| panic!("as the test wishes"));
    let told = until(&mut running, master);
    assert!(told.iter().any(|line| line.contains("as the test wishes")), "{told:?}");
    assert!(told.last().unwrap().contains("goes on as the master that it was"), "{told:?}");
    assert!(!running.handle.ended());
    assert_eq!(seen.borrow().want, before, "its address was never taken away");
    running.handle.mailbox.stop();
    until(
        &mut running,
        |told| matches!(told, Told::Transition { transition, .. } if transition.to == StateName::Stopped),
    );
}

#[test]
fn one_that_fails_again_and_again_ends_without_addresses() {
    let mut running = start();
    until(&mut running, master);
    for _ in 0..FAILURES {
        running.handle.mailbox.happen(|| panic!("as the test wishes"));
        until(&mut running, master);
    }
    running.handle.mailbox.happen(|| panic!("as the test wishes"));
    for _ in 0..500 {
        if running.handle.ended() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(running.handle.ended());
    assert!(running.wanted.borrow().want.is_empty(), "the peer must be the only master");
}

#[test]
fn whoever_asks_is_told_how_things_stand() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut running = start();
    until(&mut running, master);
    let mailbox = running.handle.mailbox.clone();
    let status = mailbox.status(false, PATIENCE).expect("an answer");
    let [a, b] = status.instances.as_slice() else { panic!("two instances") };
    assert_eq!((a.settings.name.as_str(), a.state, a.priority), ("A", StateName::Master, 255));
    assert_eq!((b.settings.name.as_str(), b.state, b.wants_addresses), ("B", StateName::Backup, false));
    assert!(a.wants_addresses && a.counters.sent >= 1 && a.counters.became_master == 1);
    let last = a.last.as_ref().expect("its transition");
    assert_eq!(last.transition.to, StateName::Master);
    assert!(!last.sentence().is_empty() && last.at <= status.at && last.since_1970 <= status.since_1970);
    assert!(matches!(b.timer, Some((crate::vrrp::machine::Timer::MasterDown, at)) if at > status.at));
    // A failure inside costs neither the counters nor the story.
    mailbox.happen(|| panic!("as the test wishes"));
    until(&mut running, master);
    let after = mailbox.status(true, PATIENCE).expect("an answer");
    assert!(after.instances[0].counters.sent > a.counters.sent, "what was counted before counts on");
    let cleared = mailbox.status(false, PATIENCE).expect("an answer");
    assert_eq!(cleared.instances[0].counters.became_master, 0, "cleared behind the answer before");
    assert!(cleared.instances[0].last.is_some());
    mailbox.stop();
    for _ in 0..500 {
        if running.handle.ended() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let gone = mailbox.status(false, Duration::from_millis(50));
    assert_eq!(
        gone.map(drop),
        Err(crate::vrrp::status::NoAnswer::Silent),
        "who has ended keeps nobody waiting"
    );
}
