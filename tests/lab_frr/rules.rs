//! The rules of the election between the two programs: nopreempt, equal priorities, the master's interval, the checksum.

use super::*;

fn in_both_roles(one: impl Fn(Program, Program)) {
    if left_out() {
        return;
    }
    one(Program::Tandem, Program::Frr);
    one(Program::Frr, Program::Tandem);
}

#[test]
fn nopreempt_leaves_the_sitting_master() {
    in_both_roles(|high, low| {
        let specs = [Spec::new(high, 150).nopreempt(), Spec::new(low, 100).nopreempt()];
        let mut scene = Scene::new(&format!("fnp{high}"), Mode::V3, &specs);
        scene.start(1);
        scene.master(1);
        scene.start(0);
        pause(s(2));
        scene.master(1);
        assert!(scene.reigns().iter().all(|reign| reign.host == "r2"), "{:#?}", scene.reigns());
        // It takes over when there is need, and then keeps it against the other.
        scene.takeover(1, 0, |scene| scene.kill(1));
        scene.master(0);
        scene.start(1);
        pause(s(1));
        scene.master(0);
        scene.assert_one_at_a_time();
    });
}

fn equal_priorities(name: &str, mode: Mode) {
    in_both_roles(|first, second| {
        // The second has the greater address.
        let specs = [Spec::new(first, 100), Spec::new(second, 100)];
        let mut scene = Scene::new(&format!("{name}{first}"), mode, &specs);
        scene.start(0);
        scene.master(0);
        // A backup does not preempt its equal.
        scene.start(1);
        pause(s(1));
        scene.master(0);
        assert!(scene.reigns().iter().all(|reign| reign.host == "r1"), "{:#?}", scene.reigns());
        // Two masters that meet: the greater address stays.
        scene.isolated(1, |scene| {
            let start = now();
            wait("both are master", patience(), || {
                !scene.wire.adverts("r1", start).is_empty() && !scene.wire.adverts("r2", start).is_empty()
            });
        });
        scene.master(1);
        scene.assert_one_at_a_time();
    });
}

#[test]
fn equal_priorities_are_decided_by_the_address() {
    equal_priorities("feq", Mode::V3);
}

#[test]
fn equal_priorities_are_decided_by_the_address_over_ipv6() {
    equal_priorities("fe6", Mode::SIX);
}

#[test]
fn a_backup_waits_by_the_masters_interval() {
    in_both_roles(|high, low| {
        let fast = ms(300);
        // By its own interval it would wait for 6.4 s.
        let specs = [Spec::new(high, 150).advert(fast), Spec::new(low, 100).advert(s(2))];
        let mut scene = Scene::started(&format!("fad{high}"), Mode { advert: fast, ..Mode::V3 }, &specs);
        let start = now();
        wait("the first is master", patience(), || scene.wire.adverts("r1", start).len() > 5);
        let took = scene.takeover(0, 1, |scene| scene.kill(0));
        measured(&format!("frr_learned_interval_{low}"), took, down_interval(fast, 100), ms(100));
        assert!(took > fast * 3, "{took:?}: it did not wait for three adverts");
    });
}

/// Two routers that each speak for a second, because FRR believes nothing that Tandem says.
fn deaf(name: &str, mode: Mode, tandem: Spec, frr: Spec) {
    if left_out() {
        return;
    }
    let scene = Scene::started(name, mode, &[tandem, frr]);
    let both =
        || ["r1", "r2"].iter().all(|name| scene.wire.adverts(name, now() - scene.advert() * 3).len() > 1);
    wait("two masters, one of which hears nothing", patience(), both);
    pause(s(1).max(scene.advert()));
    assert!(both(), "{:#?}", scene.reigns());
    // Tandem says who the other master is, or why it does not believe it.
    let said = scene.said(0);
    assert!(said.contains("10.9.0.2"), "who is the other? {said}");
}

#[test]
fn without_the_pseudo_header_frr_hears_nothing() {
    // FRR 8.4 includes the pseudo header over IPv4, as keepalived does by default, and knows no other way.
    let tandem = Spec::new(Program::Tandem, 150).lines("v3_checksum_as_v2");
    deaf("fck", Mode::V3, tandem, Spec::new(Program::Frr, 100));
}

#[test]
fn another_number_of_addresses_is_only_told() {
    if left_out() {
        return;
    }
    let more = "virtual_ipaddress {\n        10.9.0.101/24\n    }";
    let specs = [Spec::new(Program::Tandem, 150).lines(more), Spec::new(Program::Frr, 100)];
    let mut scene = Scene::started("fad2", Mode::V3, &specs);
    scene.master(0);
    assert_eq!(scene.reigns().len(), 1, "{:#?}", scene.reigns());
    // Nor does Tandem drop what FRR says.
    scene.kill(0);
    scene.master(1);
    scene.start(0);
    scene.master(0);
    scene.assert_one_at_a_time();
}

#[test]
fn with_another_interval_of_version_2_frr_hears_nothing() {
    deaf("fint", Mode::V2, Spec::new(Program::Tandem, 150).advert(s(2)), Spec::new(Program::Frr, 100));
}

#[test]
fn a_killed_frr_leaves_its_device_up() {
    if left_out() {
        return;
    }
    let specs = [Spec::new(Program::Frr, 150), Spec::new(Program::Tandem, 100)];
    let mut scene = Scene::started("fup", Mode::V3, &specs);
    scene.master(0);
    scene.takeover(0, 1, |scene| scene.kill(0));
    scene.master(1);
    let link = scene.lab.command("r1", &["ip", "link", "show", "vrrp-51"]);
    assert!(!link.contains("NO-CARRIER"), "{link}");
}
