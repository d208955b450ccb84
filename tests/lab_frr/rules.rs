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

#[test]
fn without_the_pseudo_header_frr_hears_nothing() {
    if left_out() {
        return;
    }
    // FRR 8.4 includes the pseudo header over IPv4, as keepalived does by default, and knows no other way.
    let specs = [Spec::new(Program::Tandem, 150).lines("v3_checksum_as_v2"), Spec::new(Program::Frr, 100)];
    let scene = Scene::started("fck", Mode::V3, &specs);
    let both = || ["r1", "r2"].iter().all(|name| scene.wire.adverts(name, now() - ms(500)).len() > 1);
    wait("two masters that do not believe each other", patience(), both);
    pause(s(1));
    assert!(both(), "{:#?}", scene.reigns());
    // Tandem takes either checksum, and so hears and says that there is another master.
    let said = scene.said(0);
    assert!(said.contains("10.9.0.2"), "it says who the other master is: {said}");
}
