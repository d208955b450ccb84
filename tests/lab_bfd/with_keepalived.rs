//! Tandem with Debian's keepalived.

use super::*;

/// Both come up; each finds the other's sudden death; an orderly stop of Tandem is told at once.
fn each_finds_the_others_death(lab: &Lab, tandem: &str, keepalived: &str) {
    let names = ["four", "six"];
    let mut t = Director::start_as(lab, "d1", Kind::Tandem, tandem);
    let mut k = Director::start_as(lab, "d2", Kind::Keepalived, keepalived);
    for name in names {
        wait_said(&t, 0, name, true);
        wait_said(&k, 0, name, true);
    }
    calm(&t, &names, s(3));

    let mark = t.mark();
    let killed = now();
    k.kill();
    for name in names {
        let took = wait_said(&t, mark, name, false) - killed;
        measured(&format!("bfd_keepalived_killed_{name}"), took, DETECTION, ms(200));
    }
    assert!(t.said_since(mark).contains("(detection time 0.300 s)"), "{}", t.said_since(mark));

    let (mark, k) = (t.mark(), k.again(lab));
    for name in names {
        wait_said(&t, mark, name, true);
        wait_said(&k, 0, name, true);
    }
    calm(&t, &names, s(1));
    let mark = k.mark();
    let killed = now();
    t.kill();
    for name in names {
        let took = wait_said(&k, mark, name, false) - killed;
        measured(&format!("bfd_tandem_killed_{name}"), took, DETECTION, ms(200));
    }

    let mark = k.mark();
    let mut t = t.again(lab);
    for name in names {
        wait_said(&t, 0, name, true);
        wait_said(&k, mark, name, true);
    }
    calm(&t, &names, s(1));
    let mark = k.mark();
    let stopped = now();
    t.stop();
    for name in names {
        let took = wait_said(&k, mark, name, false) - stopped;
        measured(&format!("bfd_tandem_stopped_{name}"), took, ms(0), ms(200));
    }
}

#[test]
fn single_hop() {
    if tandem_only("keepalived is the other side") {
        return;
    }
    let lab = two_hosts("bfdkhop");
    let both = |other: u8| {
        conf(&[
            session("four", &format!("10.9.0.{other}"), PACE),
            session("six", &format!("fd09::{other}"), PACE),
        ])
    };
    each_finds_the_others_death(&lab, &both(2), &both(1));
}

#[test]
fn several_hops() {
    if tandem_only("keepalived is the other side") {
        return;
    }
    let lab = routed("bfdkhops");
    let hops = format!("{PACE}\n    max_hops 1");
    let both = |other: u8| {
        conf(&[
            session("four", &format!("10.9.{other}.1"), &hops),
            session("six", &format!("fd09:{other}::1"), &hops),
        ])
    };
    each_finds_the_others_death(&lab, &both(2), &both(1));
}

#[test]
fn what_crossed_a_router_is_refused_unless_max_hops_allows_it() {
    if tandem_only("keepalived is the other side") {
        return;
    }
    let lab = routed("bfdkttl");
    let with = |other: u8, lines: &str| {
        conf(&[
            session("four", &format!("10.9.{other}.1"), &format!("{PACE}\n    {lines}")),
            session("six", &format!("fd09:{other}::1"), &format!("{PACE}\n    hoplimit 255\n    {lines}")),
        ])
    };
    let t = Director::start_as(&lab, "d1", Kind::Tandem, &with(2, ""));
    let _k = Director::start_as(&lab, "d2", Kind::Keepalived, &with(1, "max_hops 2"));
    for name in ["four", "six"] {
        let refused =
            format!("bfd {name}: packet refused: it arrived with TTL 254, at least 255 is expected");
        t.process.wait_for(&refused, patience());
    }
    pause(s(2));
    assert!(!says(&t, 0, "four", true) && !says(&t, 0, "six", true));
    let mark = t.mark();
    t.reload(&with(2, "max_hops 1"));
    wait_said(&t, mark, "four", true);
    wait_said(&t, mark, "six", true);
}

#[test]
fn with_keepalived_passive_and_with_tandem_passive() {
    if tandem_only("keepalived is the other side") {
        return;
    }
    for (name, tandem, keepalived) in [("bfdkpt", "passive", ""), ("bfdkpk", "", "passive")] {
        let lab = two_hosts(name);
        let with = |other: u8, lines: &str| {
            conf(&[session("four", &format!("10.9.0.{other}"), &format!("{PACE}\n    {lines}"))])
        };
        let t = Director::start_as(&lab, "d1", Kind::Tandem, &with(2, tandem));
        let k = Director::start_as(&lab, "d2", Kind::Keepalived, &with(1, keepalived));
        wait_said(&t, 0, "four", true);
        wait_said(&k, 0, "four", true);
        calm(&t, &["four"], s(2));
    }
}

/// RFC 5882 section 3.2, and what [`tandem::bfd::session::Session::counts_as_up`] follows: a neighbour that switches
/// its session off says nothing about the path.
#[test]
fn keepalived_does_not_tell_its_trackers_of_admin_down() {
    if tandem_only("keepalived is the other side") {
        return;
    }
    let lab = two_hosts("bfdkadm");
    let (four, six) = (session("four", "10.9.0.2", PACE), session("six", "fd09::2", PACE));
    let t = Director::start_as(&lab, "d1", Kind::Tandem, &conf(&[four.clone(), six.clone()]));
    let others = conf(&[session("four", "10.9.0.1", PACE), session("six", "fd09::1", PACE)]);
    let k = Director::start_as(&lab, "d2", Kind::Keepalived, &others);
    for name in ["four", "six"] {
        wait_said(&t, 0, name, true);
        wait_said(&k, 0, name, true);
    }
    let mark = k.mark();
    t.reload(&conf(std::slice::from_ref(&six)));
    wait("keepalived's session is down", patience(), || {
        k.said_since(mark).contains("(four) Entering Down state")
    });
    pause(s(1));
    assert!(!says(&k, mark, "four", false), "{}", k.said_since(mark));
    // It comes back without its trackers having noticed anything but that.
    let mark = k.mark();
    t.reload(&conf(&[four, six]));
    wait_said(&k, mark, "four", true);
}
