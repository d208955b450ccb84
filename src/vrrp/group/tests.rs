//! The rules as a table, and two machines as a group.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::*;
use crate::config::model::VrrpVersion;
use crate::vrrp::machine::{Action, Params};
use crate::vrrp::priority::Effective;

fn member(name: &str, state: StateName) -> Member {
    Member {
        name: name.to_owned(),
        state,
        wants_master: false,
        hears_master: false,
        own_fault: None,
        sibling_fault: None,
    }
}

fn wants(name: &str) -> Member {
    Member { wants_master: true, ..member(name, StateName::Backup) }
}

fn hears(name: &str) -> Member {
    Member { hears_master: true, ..member(name, StateName::Backup) }
}

fn fault(name: &str) -> Member {
    Member { own_fault: Some("eth1 is down".to_owned()), ..member(name, StateName::Fault) }
}

/// Orders in short: index and event.
fn brief(members: &[Member]) -> String {
    let words: Vec<String> = orders("VG", members)
        .into_iter()
        .map(|(index, event)| match event {
            Event::Sibling(Some(reason)) => format!("{index}: fault ({reason})"),
            Event::Sibling(None) => format!("{index}: free"),
            Event::Promote { .. } => format!("{index}: promote"),
            Event::Follow { member, .. } => format!("{index}: follow {member}"),
            other => format!("{index}: {other:?}"),
        })
        .collect();
    words.join(", ")
}

#[test]
fn the_rules_one_by_one() {
    use StateName::{Backup, Init, Master, Stopped};
    let told = |name: &str, state| Member { sibling_fault: Some("old".to_owned()), ..member(name, state) };
    let table: Vec<(&str, Vec<Member>, &str)> = vec![
        ("nobody wants", vec![member("a", Backup), member("b", Backup)], ""),
        ("one waits for the other", vec![wants("a"), member("b", Backup)], ""),
        ("one waits for one that hears a master", vec![wants("a"), hears("b")], ""),
        ("one waits for one that has not begun", vec![wants("a"), member("b", Init)], ""),
        ("all want", vec![wants("a"), wants("b")], "0: promote, 1: promote"),
        ("one member alone", vec![wants("a")], "0: promote"),
        ("a new member joins masters", vec![member("a", Master), wants("b")], "1: promote"),
        ("a new member still listens", vec![member("a", Master), member("b", Backup)], ""),
        ("one yields", vec![hears("a"), member("b", Master)], "1: follow a"),
        ("a yield goes before a wish", vec![hears("a"), wants("b"), member("c", Master)], "2: follow a"),
        (
            "a fault",
            vec![fault("a"), member("b", Master)],
            "1: fault (sync group VG: a is in FAULT: eth1 is down)",
        ),
        ("the fault is over", vec![member("a", Backup), told("b", StateName::Fault)], "1: free"),
        ("a stopped member is none", vec![member("a", Stopped), told("b", Stopped)], ""),
        ("masters", vec![member("a", Master), member("b", Master)], ""),
    ];
    for (what, members, expected) in table {
        assert_eq!(brief(&members), expected, "{what}");
    }
}

#[test]
fn the_state_of_the_whole_and_who_holds_it_back() {
    use StateName::{Backup, Fault, Init, Master, Stopped};
    let table: &[(&[StateName], StateName)] = &[
        (&[Master, Master], Master),
        (&[Master, Backup], Master),
        (&[Master, Fault], Fault),
        (&[Backup, Init], Backup),
        (&[Init, Init], Init),
        (&[Stopped, Stopped], Stopped),
        (&[], Stopped),
    ];
    for (states, expected) in table {
        let members: Vec<Member> = states.iter().map(|s| member("x", *s)).collect();
        assert_eq!(state(&members), *expected, "{states:?}");
    }
    assert_eq!(stuck(&[wants("a"), hears("b"), member("c", Init)]), [("b", Backup), ("c", Init)]);
    assert_eq!(stuck(&[wants("a"), wants("b")]), []);
    assert_eq!(stuck(&[hears("a"), member("b", Backup)]), [], "nobody waits");
}

/// Feeds orders until there are none; how many rounds that took.
fn settle(machines: &mut [Machine], now: Instant, done: &mut Vec<Action>) -> usize {
    for round in 0..10 {
        let members: Vec<Member> =
            machines.iter().enumerate().map(|(i, m)| Member::of(&format!("VI_{i}"), m)).collect();
        let orders = orders("VG", &members);
        if orders.is_empty() {
            return round;
        }
        for (index, event) in orders {
            done.extend(machines[index].handle(event, now));
        }
    }
    panic!("a group that never settles");
}

#[test]
fn members_go_and_come_together() {
    let params = |interval: u64| Params {
        version: VrrpVersion::V3,
        base_priority: 100,
        advert_int: Duration::from_millis(interval),
        own: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5))),
        grouped: true,
        ..Params::for_tests()
    };
    let start = Instant::now();
    let mut machines = [Machine::new(params(100)), Machine::new(params(300))];
    let mut done = Vec::new();
    for machine in &mut machines {
        done.extend(machine.handle(Event::Start { hold: Duration::ZERO }, start));
    }
    settle(&mut machines, start, &mut done);
    let (first, _) = machines[0].deadline().unwrap();
    done.extend(machines[0].handle(Event::Timeout, first));
    settle(&mut machines, first, &mut done);
    assert!(machines[0].wants_master() && machines[0].deadline().is_none());
    assert_eq!(machines[0].state(), StateName::Backup, "it waits for the slower one");

    let (second, _) = machines[1].deadline().unwrap();
    done.clear();
    done.extend(machines[1].handle(Event::Timeout, second));
    settle(&mut machines, second, &mut done);
    assert!(machines.iter().all(|m| m.state() == StateName::Master));
    assert_eq!(done.iter().filter(|a| matches!(a, Action::SendAdvert { priority: 100 })).count(), 2);

    done.clear();
    let broken = Event::Effective(Effective::Fault("script x fails".to_owned()));
    done.extend(machines[1].handle(broken, second));
    settle(&mut machines, second, &mut done);
    assert!(machines.iter().all(|m| m.state() == StateName::Fault));
    assert_eq!(done.iter().filter(|a| matches!(a, Action::SendAdvert { priority: 0 })).count(), 2);
    let causes: Vec<String> = done
        .iter()
        .filter_map(|action| match action {
            Action::Transition(transition) => Some(transition.cause.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(causes, ["script x fails", "sync group VG: VI_1 is in FAULT: script x fails"]);

    done.clear();
    done.extend(machines[1].handle(Event::Effective(Effective::Priority(100)), second));
    settle(&mut machines, second, &mut done);
    assert!(machines.iter().all(|m| m.state() == StateName::Backup));
}
