//! Tandem, keepalived and FRR on one LAN: the masters are killed in turn and brought back, one master each time.

use super::*;
use Program::{Frr, Keepalived, Tandem};

fn triple(name: &str, mode: Mode, order: [Program; 3]) {
    if left_out() {
        return;
    }
    let specs: Vec<Spec> =
        order.iter().zip([200, 150, 100]).map(|(program, priority)| Spec::new(*program, priority)).collect();
    let mut scene = Scene::started(name, mode, &specs);
    scene.master(0);
    for index in [0, 1] {
        let late = if mode.six && order[index + 1] == Frr { mode.advert } else { Duration::ZERO };
        let took = scene.takeover(index, index + 1, |scene| scene.kill(index));
        let (from, to) = (order[index], order[index + 1]);
        let name = format!("frr_triple_{mode}_{from}_to_{to}_sigkill");
        measured(&name, took, scene.down_interval(index + 1) + late, ms(100));
        scene.master(index + 1);
    }
    // Back in the order of their priorities, from below: each takes over from the one before.
    for index in [1, 0] {
        scene.start(index);
        scene.master(index);
    }
    // Orderly, and the third does not become master while the second is there: its skew is longer. But a resignation leaves
    // FRR over IPv6 so late with its first word that the third comes first.
    let before = now();
    let overtaken = mode.six && order[1] == Frr && scene.skew(2) < scene.skew(1) + mode.advert;
    let late = if mode.six && order[1] == Frr { mode.advert } else { Duration::ZERO };
    let took = scene.takeover(0, 1, |scene| scene.terminate(0));
    measured(
        &format!("frr_triple_{mode}_{}_to_{}_sigterm", order[0], order[1]),
        took,
        scene.skew(1) + late,
        ms(100),
    );
    scene.ended(0);
    scene.master(1);
    scene.start(0);
    scene.master(0);
    let third = scene.reigns().into_iter().filter(|reign| reign.host == "r3" && reign.from > before);
    assert!(overtaken || third.count() == 0, "the third was master beside the second: {:#?}", scene.reigns());
    scene.assert_one_at_a_time();
}

#[test]
fn tandem_keepalived_frr() {
    triple("3tkf", Mode::V3, [Tandem, Keepalived, Frr]);
}

#[test]
fn keepalived_frr_tandem() {
    triple("3kft", Mode::V3, [Keepalived, Frr, Tandem]);
}

#[test]
fn frr_tandem_keepalived() {
    triple("3ftk", Mode::V3, [Frr, Tandem, Keepalived]);
}

#[test]
fn frr_tandem_keepalived_ipv6() {
    triple("36ftk", Mode::SIX, [Frr, Tandem, Keepalived]);
}

#[test]
fn tandem_frr_keepalived_ipv6() {
    triple("36tfk", Mode::SIX, [Tandem, Frr, Keepalived]);
}
