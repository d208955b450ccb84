//! Two directors, Tandem and FRR, each in both roles, in every mode that they share.

use super::*;

/// Kill, return, orderly stop, return.
fn pair(name: &str, mode: Mode, high: Program, low: Program, killed: bool, stopped: bool) {
    if left_out() {
        return;
    }
    let mut scene = Scene::started(name, mode, &[Spec::new(high, 150), Spec::new(low, 100)]);
    scene.master(0);
    // FRR over IPv6 cannot send before its device is up again, and says its first word with the next advert.
    let late = if mode.six && low == Program::Frr { mode.advert } else { Duration::ZERO };
    if killed {
        let took = scene.takeover(0, 1, |scene| scene.kill(0));
        measured(
            &format!("frr_{mode}_{high}_to_{low}_sigkill"),
            took,
            scene.down_interval(1) + late,
            ms(100),
        );
        scene.master(1);
        scene.start(0);
        scene.master(0);
    }
    if stopped {
        let took = scene.takeover(0, 1, |scene| scene.terminate(0));
        measured(&format!("frr_{mode}_{high}_to_{low}_sigterm"), took, scene.skew(1) + late, ms(100));
        scene.ended(0);
        scene.master(1);
        // The other one goes and comes while this one is away, and stays master.
        scene.start(0);
        scene.master(0);
    }
    scene.assert_one_at_a_time();
}

/// Tests for both roles: `both!(name, short name, mode, killed, stopped)`.
macro_rules! both {
    ($name:ident, $short:literal, $mode:expr, $killed:literal, $stopped:literal) => {
        mod $name {
            use super::*;

            #[test]
            fn tandem_high() {
                pair(concat!($short, "t"), $mode, Program::Tandem, Program::Frr, $killed, $stopped);
            }

            #[test]
            fn frr_high() {
                pair(concat!($short, "f"), $mode, Program::Frr, Program::Tandem, $killed, $stopped);
            }
        }
    };
}

both!(version_2_killed, "f2k", Mode::V2, true, false);
both!(version_2_stopped, "f2s", Mode::V2, false, true);
both!(version_3, "f3", Mode::V3, true, true);
both!(version_3_centiseconds, "f3c", Mode::V3_CENTISECONDS, true, true);
both!(version_3_ipv6, "f6", Mode::SIX, true, true);
