//! Orders of people to a running pair: step down, take over, failback, maintenance; what they do on the wire, and that they
//! outlive reloads, crashes and restarts.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// A command to the Tandem of a host: exit code and all that it said.
pub(crate) fn tandem(pair: &Pair, host: &str, words: &[&str]) -> (Option<i32>, String) {
    let control = pair.lab.work().join(host).join("control.sock");
    let output =
        Command::new(director::tandem()).args(words).arg("--control").arg(control).output().expect("tandem");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said + &String::from_utf8_lossy(&output.stderr))
}

/// The same, which must be done.
#[track_caller]
pub(crate) fn told(pair: &Pair, host: &str, words: &[&str]) -> String {
    let (code, said) = tandem(pair, host, words);
    println!("{host}: tandem {}\n{said}", words.join(" "));
    assert_eq!(code, Some(0), "{said}");
    said
}

/// A master and a backup.
fn two(name: &str) -> Option<(Pair, Director, Director)> {
    if director::tandem_only("orders to the daemon") {
        return None;
    }
    let pair = Pair::new(name);
    let d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    // Until then d2 knows of no master.
    pair.wire.next_advert("d1", patience());
    Some((pair, d1, d2))
}

#[test]
fn a_step_down_yields_to_the_peer_and_does_not_lose_the_address() {
    let Some((pair, _d1, mut d2)) = two("ordstep") else { return };
    let took = pair.takeover("d1", "d2", || drop(told(&pair, "d1", &["step-down", "VI_1"])));
    // From the last advert of priority 0 on; the command has its own time before it.
    measured("step_down_takeover", took, skew(s(1), 100), ms(200));
    pair.master("d2");
    let since = now();
    pair.calm(since, s(5));
    assert!(pair.wire.adverts("d1", since).is_empty(), "its priority is 150, and it does not preempt");

    // Nobody else is left: it takes the address, and yields to the first advert of the peer.
    let took = pair.takeover("d2", "d1", || d2.kill());
    measured("step_down_alone", took, down_interval(s(1), 1), ms(200));
    assert!(pair.wire.adverts("d1", since).iter().all(|(_, priority)| *priority == 1));
    let _d2 = d2.again(&pair.lab);
    pair.master("d2");

    let said = told(&pair, "d1", &["failback", "VI_1"]);
    assert!(said.contains("is MASTER") || said.contains("is BACKUP"), "{said}");
    pair.master("d1");
    let (_, priority) = pair.wire.last_advert("d1").expect("adverts");
    assert_eq!(priority, 150, "the order is over");
}

#[test]
fn a_take_over_is_at_once_and_ends_by_itself() {
    let Some((pair, _d1, _d2)) = two("ordtake") else { return };
    let since = now();
    let said = told(&pair, "d2", &["take-over", "VI_1", "--for", "4s"]);
    assert!(said.contains("VI_1 is MASTER") && said.contains("take_over of"), "{said}");
    pair.master("d2");
    measured("take_over", since.elapsed(), Duration::ZERO, ms(500));
    wait("adverts of 254", patience(), || pair.wire.last_advert("d2").is_some_and(|(_, p)| p == 254));
    // Its time is over: the peer's 150 is above its 100 again.
    pair.master("d1");
    assert!(since.elapsed() > s(4), "after {:?}", since.elapsed());
    let said = told(&pair, "d2", &["history", "--kind", "order"]);
    assert!(said.contains("the time of an order is over for VI_1"), "{said}");
}

#[test]
fn failback_is_a_preemption_for_once() {
    if director::tandem_only("orders to the daemon") {
        return;
    }
    let pair = Pair::new("ordback");
    let conf = |priority| Conf::new("BACKUP", priority).line("nopreempt");
    let mut d1 = pair.start("d1", &conf(150));
    pair.master("d1");
    let _d2 = pair.start("d2", &conf(100));
    pause(s(1));
    d1.stop();
    pair.master("d2");
    let _d1 = d1.again(&pair.lab);
    pair.wire.next_advert("d2", patience());
    pause(ms(500));
    pair.calm(now(), s(4));
    let since = now();
    let said = told(&pair, "d1", &["failback", "VI_1"]);
    assert!(said.contains("VI_1 is MASTER"), "{said}");
    pair.master("d1");
    measured("failback_command", since.elapsed(), Duration::ZERO, ms(500));
    // For d2 there is nothing to give back.
    let said = told(&pair, "d2", &["failback", "VI_1"]);
    assert!(said.contains("VI_1 is BACKUP"), "{said}");
    pair.calm(now(), s(4));
}

#[test]
fn maintenance_outlives_everything_until_it_is_off() {
    let Some((pair, mut d1, _d2)) = two("ordmaint") else { return };
    told(&pair, "d1", &["maintenance", "on"]);
    pair.master("d2");
    let (code, said) = tandem(&pair, "d1", &["take-over", "VI_1"]);
    assert!(code == Some(2) && said.contains("in maintenance"), "{said}");

    let since = now();
    d1.reload(&Conf::new("MASTER", 160).text());
    pause(s(1));
    let workers = process::descendants(d1.process.pid());
    for worker in workers {
        let _ = kill(Pid::from_raw(worker), Signal::SIGKILL);
    }
    pause(s(1));
    wait("a worker that answers", patience(), || tandem(&pair, "d1", &["why", "VI_1"]).0 == Some(0));
    assert!(told(&pair, "d1", &["why", "VI_1"]).contains("maintenance of root"));
    d1.stop();
    let _d1 = d1.again(&pair.lab);
    pair.calm(since, s(8));
    assert!(pair.wire.adverts("d1", since).is_empty(), "never once");
    let said = told(&pair, "d1", &["why", "VI_1", "--json"]);
    assert!(said.contains("by order: maintenance of root"), "{said}");

    told(&pair, "d1", &["maintenance", "off"]);
    pair.master("d1");
    assert!(told(&pair, "d1", &["maintenance", "off"]).contains("was off already"));
}

#[test]
fn strict_maintenance_leaves_the_address_to_nobody() {
    let Some((pair, _d1, mut d2)) = two("ordstrict") else { return };
    told(&pair, "d1", &["maintenance", "on", "--strict", "--for", "12s"]);
    pair.master("d2");
    d2.stop();
    pair.watch.wait_holders(VIP, &[], patience());
    pause(s(4));
    assert!(pair.watch.holders(VIP).is_empty(), "it takes nothing");
    // Until its time is over.
    pair.master("d1");
}

#[test]
fn a_member_is_ordered_about_with_its_whole_group() {
    if director::tandem_only("orders to the daemon") {
        return;
    }
    let pair = Pair::new("ordgroup");
    let text = |state: &str, priority: u8| {
        let one = |name: &str, id: u8| {
            format!(
                "vrrp_instance {name} {{\n state {state}\n interface eth0\n virtual_router_id {id}\n priority {priority}\n \
                 advert_int 1\n virtual_ipaddress {{ 10.9.0.{}/24 }}\n}}\n",
                id + 49
            )
        };
        format!(
            "{}{}vrrp_sync_group VG {{\n group {{\n VI_1\n VI_2\n }}\n}}\n",
            one("VI_1", 51),
            one("VI_2", 52)
        )
    };
    let _d1 = Director::start(&pair.lab, "d1", &text("MASTER", 150));
    let _d2 = Director::start(&pair.lab, "d2", &text("BACKUP", 100));
    let both = |host: &str| {
        pair.watch.wait_holders(VIP, &[host], patience());
        pair.watch.wait_holders("10.9.0.101", &[host], patience());
    };
    both("d1");
    pair.wire.next_advert("d1", patience());
    let said = told(&pair, "d1", &["step-down", "VI_2"]);
    assert!(said.contains("VI_1 and VI_2: ordered to step down"), "{said}");
    both("d2");
    told(&pair, "d1", &["end-order", "VG"]);
    both("d1");
    told(&pair, "d2", &["take-over", "VG"]);
    both("d2");
    told(&pair, "d2", &["failback"]);
    both("d1");
}

#[test]
fn an_order_whose_instance_a_reload_renames_is_told_and_can_be_taken_back() {
    let Some((pair, d1, _d2)) = two("ordname") else { return };
    told(&pair, "d1", &["step-down", "VI_1"]);
    pair.master("d2");
    let renamed = Conf::new("MASTER", 150).text().replace("vrrp_instance VI_1", "vrrp_instance VI_web");
    d1.reload(&renamed);
    // Nobody said that VI_web should step down.
    pair.master("d1");
    let said = told(&pair, "d1", &["history", "--kind", "order", "--json"]);
    assert!(said.contains("order_without_instance"), "{said}");
    assert!(d1.said().contains("VI_1 has an order and is no vrrp_instance"), "{}", d1.said());
    let (code, said) = tandem(&pair, "d1", &["step-down", "VI_1"]);
    assert!(code == Some(2) && said.contains("there is no vrrp_instance"), "{said}");
    let said = told(&pair, "d1", &["end-order", "VI_1"]);
    assert!(said.contains("the order is taken back"), "{said}");
    let (code, said) = tandem(&pair, "d1", &["end-order", "VI_1"]);
    assert!(code == Some(2) && said.contains("there is no vrrp_instance"), "{said}");
}

#[test]
fn what_cannot_be_ordered_is_refused_and_changes_nothing() {
    let Some((pair, _d1, _d2)) = two("ordbad") else { return };
    let since = now();
    for (words, says) in [
        (&["step-down", "VI_2"][..], "did you mean VI_1?"),
        (&["take-over", "nobody"], "there is no vrrp_instance"),
        (&["end-order", "VI_1"], "no order is in force for VI_1"),
        (&["why", "10.9.0.77:80"], "nothing is called"),
    ] {
        let (code, said) = tandem(&pair, "d1", words);
        assert_eq!(code, Some(2), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
    }
    assert_eq!(tandem(&pair, "d1", &["maintenance", "perhaps"]).0, Some(64));
    assert_eq!(tandem(&pair, "d1", &["step-down", "VI_1", "--for", "never"]).0, Some(64));
    pair.calm(since, s(2));
}
