//! Over the model kernel: what is set, put back, restored, held back.

use std::time::Duration;

use super::*;
use crate::clock;
use crate::ipvs::fake::FakeKernel;
use crate::ipvs::settings::Daemons;

const KERNEL: Timeouts = Timeouts { tcp: Some(900), tcp_fin: Some(120), udp: Some(300) };

fn kernel() -> FakeKernel {
    let kernel = FakeKernel::default();
    kernel.state(|state| state.settings.timeouts = KERNEL);
    kernel
}

fn daemon(id: u8) -> Daemon {
    Daemon {
        interface: "eth0".to_owned(),
        id,
        max_length: Some(600),
        group: Daemon::GROUP,
        port: Daemon::PORT,
        ttl: Daemon::TTL,
    }
}

fn both() -> Settings {
    Settings {
        timeouts: Timeouts { tcp: Some(100), ..Timeouts::default() },
        daemons: Some(Daemons { master: Some(daemon(1)), backup: Some(daemon(2)) }),
    }
}

#[test]
fn sets_once_and_puts_back_what_others_change() {
    let (kernel, mut keeper, now) = (kernel(), Keeper::new(), clock::now());
    let mut session = kernel.session();
    let kept = keeper.turn(&mut session, &both(), now).unwrap();
    assert_eq!((kept.applied.len(), kept.repaired.len(), kept.in_place), (3, 0, true));
    // The kernel has made a longer message of what the backup daemon was asked for: that is right.
    for seconds in [0, 6, 12] {
        let kept = keeper.turn(&mut session, &both(), now + Duration::from_secs(seconds)).unwrap();
        assert_eq!(kept, Kept { in_place: true, ..Kept::default() });
    }
    kernel.state(|state| {
        state.settings.daemons.master = None;
        state.settings.timeouts.tcp = Some(7);
        state.orders.clear();
    });
    let kept = keeper.turn(&mut session, &both(), now + Duration::from_secs(18)).unwrap();
    assert_eq!(kept.repaired.len(), 2);
    assert_eq!(kernel.state(|state| state.orders.len()), 2);
}

#[test]
fn what_was_there_before_comes_back() {
    let (kernel, mut keeper, now) = (kernel(), Keeper::new(), clock::now());
    let mut session = kernel.session();
    keeper.turn(&mut session, &both(), now).unwrap();
    kernel.state(|state| state.settings.timeouts.udp = Some(55));
    keeper.turn(&mut session, &Settings::default(), now).unwrap();
    // What others set beside ours stays theirs.
    let settings = kernel.state(|state| state.settings.clone());
    assert_eq!(settings.timeouts, Timeouts { udp: Some(55), ..KERNEL });
    assert_eq!(settings.daemons, Daemons::default());
    assert!(keeper.is_idle(&Settings::default()));
    assert_eq!(keeper.deadline(), None);
}

#[test]
fn daemons_of_others_stay() {
    let (kernel, mut keeper, now) = (kernel(), Keeper::new(), clock::now());
    kernel.state(|state| state.settings.daemons.master = Some(daemon(9)));
    let mut session = kernel.session();
    let timeouts = Settings { daemons: None, ..both() };
    for settings in [&timeouts, &Settings::default()] {
        keeper.turn(&mut session, settings, now).unwrap();
        assert_eq!(kernel.state(|state| state.settings.daemons.master.clone()), Some(daemon(9)));
    }
}

#[test]
fn a_refusal_is_told_once_and_tried_again_after_a_while() {
    let (kernel, mut keeper, now) = (kernel(), Keeper::new(), clock::now());
    kernel.state(|state| state.refuse_orders = libc::ENODEV);
    let mut session = kernel.session();
    let first = keeper.turn(&mut session, &both(), now).unwrap();
    assert!(!first.in_place);
    assert_eq!(first.refused.len(), 3);
    assert!(first.refused[1].contains("there is no interface eth0"), "{}", first.refused[1]);
    keeper.turn(&mut session, &both(), now).unwrap();
    assert_eq!(kernel.state(|state| state.orders.len()), 3);
    let again = keeper.turn(&mut session, &both(), now + RETRY_FIRST).unwrap();
    assert_eq!((again.refused.len(), kernel.state(|state| state.orders.len())), (0, 6));
    kernel.state(|state| state.refuse_orders = 0);
    let done = keeper.turn(&mut session, &both(), now + RETRY_FIRST * 4).unwrap();
    assert!(done.in_place);
    assert_eq!((done.applied.len(), done.repaired.len(), keeper.errors().count()), (3, 0, 0));
}
