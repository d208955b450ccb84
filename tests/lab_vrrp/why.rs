//! `tandem why` names the right cause, on both sides, for whatever moved the address.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::orders::told;
use super::*;

/// A pair of Tandems whose first one is master.
fn two(name: &str, high: &Conf, low: &Conf) -> Option<(Pair, Director, Director)> {
    if director::tandem_only("why") {
        return None;
    }
    let pair = Pair::new(name);
    let d1 = pair.start("d1", high);
    pair.master("d1");
    let d2 = pair.start("d2", low);
    wait("d2 hears its master", patience(), || {
        pair.wire.next_advert("d1", patience());
        orders::tandem(&pair, "d2", &["why"]).1.contains("The master is 10.9.0.1")
    });
    Some((pair, d1, d2))
}

fn plain() -> (Conf, Conf) {
    (Conf::new("MASTER", 150), Conf::new("BACKUP", 100))
}

/// What `why` says of VI_1: its events and how it stands.
fn why(pair: &Pair, host: &str, last: &str) -> (Vec<Value>, String) {
    let said = told(pair, host, &["why", "VI_1", "--last", last, "--json"]);
    let why: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    let about = &why["about"][0];
    let events = about["events"].as_array().expect("events").clone();
    (events, about["now"].as_str().expect("now").to_owned())
}

/// Waits until the last transition of VI_1 went there by that cause, and returns its words.
#[track_caller]
fn because(pair: &Pair, host: &str, to: &str, cause: &str) -> String {
    let mut text = String::new();
    wait(&format!("{host}: {to} because of {cause}"), patience(), || {
        let (events, now) = why(pair, host, "1");
        let last = events.iter().rev().find(|event| event["kind"] == "transition");
        let Some(last) = last.filter(|last| last["to"] == to) else { return false };
        assert_eq!(last["cause"], cause, "{last:#}");
        assert!(last["details"]["base_priority"].is_u64(), "{last:#}");
        assert!(now.contains(&format!("VI_1 is {to} since ")), "{now}");
        text = last["text"].as_str().expect("a text").to_owned();
        true
    });
    text
}

#[test]
fn adverts_that_are_lost_and_a_peer_of_higher_priority() {
    let (high, low) = plain();
    let Some((pair, _d1, _d2)) = two("whylost", &high, &low) else { return };
    pair.lab.isolate("d1", "eth0");
    let text = because(&pair, "d2", "MASTER", "master_down");
    assert!(text.contains("the last advert came from 10.9.0.1 with priority 150"), "{text}");
    pair.lab.rejoin("d1", "eth0", "lan");
    let text = because(&pair, "d2", "BACKUP", "higher_priority");
    assert!(text.contains("10.9.0.1 advertises the higher priority 150, ours is 100"), "{text}");
    pair.wire.next_advert("d1", patience());
    let (_, now) = why(&pair, "d2", "1");
    assert!(
        now.contains("The priority is 100 = 100 base. The master is 10.9.0.1 with priority 150"),
        "{now}"
    );
}

#[test]
fn a_peer_that_is_killed_and_one_that_ends() {
    let (high, low) = plain();
    let Some((pair, mut d1, _d2)) = two("whykill", &high, &low) else { return };
    d1.kill();
    because(&pair, "d2", "MASTER", "master_down");
    let mut d1 = d1.again(&pair.lab);
    pair.master("d1");
    because(&pair, "d1", "MASTER", "preempted");
    d1.stop();
    let text = because(&pair, "d2", "MASTER", "master_resigned");
    assert!(text.contains("the master 10.9.0.1 gave up with priority 0"), "{text}");
    // The journal knows the whole story, over the restart of d1, too.
    let _d1 = d1.again(&pair.lab);
    pair.master("d1");
    let said = told(&pair, "d1", &["history", "--kind", "daemon", "--json"]);
    let texts = said.matches("started").count();
    assert!(texts >= 3 && said.contains("\"stopped\""), "{said}");
}

#[test]
fn a_script_and_an_interface() {
    let (high, low) = plain();
    let state = std::env::temp_dir().join(format!("tandem-why-{}", std::process::id()));
    let _ = std::fs::remove_file(&state);
    let script = format!(
        "vrrp_script chk {{\n script \"/usr/bin/test ! -e {}\"\n interval 1\n fall 1\n rise 1\n}}\n",
        state.display()
    );
    let high = high.head(&script).line("track_script {\n chk\n }");
    let Some((pair, _d1, _d2)) = two("whyfault", &high, &low) else { return };
    std::fs::write(&state, "x").expect("a file");
    let text = because(&pair, "d1", "FAULT", "fault");
    assert!(text.contains("script chk failed"), "{text}");
    because(&pair, "d2", "MASTER", "master_resigned");
    let (_, now) = why(&pair, "d1", "1");
    assert!(now.contains("It must not take part: script chk failed"), "{now}");
    std::fs::remove_file(&state).expect("the file");
    because(&pair, "d1", "MASTER", "preempted");

    pair.lab.cut("d1", "eth0");
    let text = because(&pair, "d1", "FAULT", "fault");
    assert!(text.contains("interface eth0 is down"), "{text}");
    because(&pair, "d2", "MASTER", "master_down");
}

#[test]
fn a_person_and_a_reload() {
    let (high, low) = plain();
    let Some((pair, d1, _d2)) = two("whyperson", &high, &low) else { return };
    told(&pair, "d1", &["step-down", "VI_1", "--for", "10m"]);
    let text = because(&pair, "d1", "BACKUP", "step_down");
    assert!(text.starts_with("stepped down by root(uid=0,pid="), "{text}");
    let text = because(&pair, "d2", "MASTER", "master_resigned");
    assert!(text.contains("10.9.0.1"), "{text}");
    let (_, now) = why(&pair, "d1", "1");
    assert!(now.contains("The priority is 1 by order: step_down of root(uid=0,pid="), "{now}");
    assert!(now.contains("for 9 min more; without it 150 = 150 base"), "{now}");
    told(&pair, "d1", &["end-order", "VI_1"]);
    because(&pair, "d1", "MASTER", "preempted");

    d1.reload(&Conf::new("MASTER", 50).text());
    because(&pair, "d2", "MASTER", "preempted");
    let text = because(&pair, "d1", "BACKUP", "higher_priority");
    assert!(text.contains("the higher priority 100, ours is 50"), "{text}");
    let (events, _) = why(&pair, "d1", "1");
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    let at = |kind: &str| {
        kinds.iter().rposition(|one| *one == kind).unwrap_or_else(|| panic!("{kind} in {kinds:?}"))
    };
    assert!(
        at("reload") < at("transition") && at("priority") < at("transition"),
        "what led to it: {kinds:?}"
    );
    // A reload that is refused is in the journal as well, and changes nothing.
    d1.reload("vrrp_instance VI_1 {");
    wait("the refusal", patience(), || {
        told(&pair, "d1", &["history", "--kind", "reload"]).contains("the reload was refused")
    });
}

#[test]
fn a_machine_that_stood_still_blames_nobody_else() {
    let conf = |priority| Conf::new("BACKUP", priority).line("nopreempt");
    let Some((pair, d1, _d2)) = two("whystall", &conf(150), &conf(100)) else { return };
    let mut all = process::descendants(d1.process.pid());
    all.push(d1.process.pid());
    let signal = |signal: Signal| {
        for pid in &all {
            let _ = kill(Pid::from_raw(*pid), signal);
        }
    };
    signal(Signal::SIGSTOP);
    because(&pair, "d2", "MASTER", "master_down");
    pause(s(1));
    signal(Signal::SIGCONT);
    let text = because(&pair, "d1", "BACKUP", "replaced_while_away");
    assert!(text.contains("this machine stood still for"), "{text}");
    let (events, _) = why(&pair, "d1", "1");
    let away =
        events.iter().any(|event| event["text"].as_str().is_some_and(|text| text.contains("stood still")));
    assert!(away, "{events:#?}");
}

#[test]
fn the_quorum_of_a_virtual_server_decides_on_the_priority() {
    let (high, low) = plain();
    // Nobody listens there: the checks fail.
    let server = "virtual_server 10.9.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n \
                  real_server 127.0.0.1 4711 {\n TCP_CHECK {\n connect_timeout 1\n retry 0\n }\n }\n}\n";
    let high = high.head(server).line("track_virtual_server 10.9.0.100 80 TCP weight -60");
    if director::tandem_only("track_virtual_server") {
        return;
    }
    let pair = Pair::new("whyquorum");
    let _d2 = pair.start("d2", &low);
    pair.master("d2");
    let listener = pair.lab.inside("d1", || std::net::TcpListener::bind("127.0.0.1:4711").expect("a port"));
    let _d1 = pair.start("d1", &high);
    pair.master("d1");
    assert!(!told(&pair, "d1", &["history"]).contains("FAULT"), "it waited for its checks");
    drop(listener);
    pair.master("d2");
    let text = because(&pair, "d1", "BACKUP", "higher_priority");
    assert!(text.contains("priority 90 of base 150 (virtual server TCP 10.9.0.100:80 down -60"), "{text}");
    let about = told(&pair, "d1", &["why", "127.0.0.1:4711"]);
    assert!(about.contains("is down") && about.contains("refused"), "{about}");
    let about = told(&pair, "d1", &["why", "TCP 10.9.0.100:80"]);
    assert!(about.contains("has lost its quorum"), "{about}");
}
