//! The laws of the settings' diff.

use proptest::prelude::*;

use super::*;

fn daemon() -> impl Strategy<Value = Daemon> {
    let interface = prop_oneof![Just("eth0"), Just("eth1")];
    (interface, 0u8..3, proptest::option::of(1000u16..1003), 1u8..3).prop_map(
        |(interface, id, max_length, ttl)| Daemon {
            interface: interface.to_owned(),
            id,
            max_length,
            group: Daemon::GROUP,
            port: Daemon::PORT,
            ttl,
        },
    )
}

fn daemons() -> impl Strategy<Value = Daemons> {
    (proptest::option::of(daemon()), proptest::option::of(daemon()))
        .prop_map(|(master, backup)| Daemons { master, backup })
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    proptest::array::uniform3(proptest::option::of(1u32..4)).prop_map(Timeouts::of)
}

fn settings() -> impl Strategy<Value = Settings> {
    (timeouts(), proptest::option::of(daemons()))
        .prop_map(|(timeouts, daemons)| Settings { timeouts, daemons })
}

fn actual() -> impl Strategy<Value = Actual> {
    (proptest::array::uniform3(1u32..4), daemons())
        .prop_map(|(all, daemons)| Actual { timeouts: Timeouts::of(all.map(Some)), daemons })
}

proptest! {
    /// apply(diff(a, d), a) holds d, and a second diff is empty; what is not asked for stays.
    #[test]
    fn leads_to_desired(actual in actual(), desired in settings()) {
        let mut result = actual.clone();
        for order in diff(&actual, &desired, &[]) {
            order.apply(&mut result);
        }
        prop_assert_eq!(diff(&result, &desired, &[]), vec![]);
        prop_assert_eq!(desired.timeouts.or(&actual.timeouts), result.timeouts);
        match &desired.daemons {
            None => prop_assert_eq!(&result.daemons, &actual.daemons),
            Some(daemons) => {
                for role in Role::ALL {
                    prop_assert_eq!(result.daemons.get(role).is_some(), daemons.get(role).is_some());
                }
            }
        }
    }

    /// A daemon is never started while one of its role runs: the kernel would refuse.
    #[test]
    fn never_starts_a_second_one(actual in actual(), desired in settings()) {
        let mut result = actual.clone();
        for order in diff(&actual, &desired, &[]) {
            if let Order::Start(role, _) = &order {
                prop_assert_eq!(result.daemons.get(*role), None);
            }
            order.apply(&mut result);
        }
    }
}

#[test]
fn what_the_kernel_made_of_it_is_right() {
    let asked = Daemon {
        interface: "eth0".to_owned(),
        id: 1,
        max_length: Some(600),
        group: Daemon::GROUP,
        port: Daemon::PORT,
        ttl: 1,
    };
    let got = Daemon { max_length: Some(1024), ..asked.clone() };
    let actual =
        Actual { daemons: Daemons { backup: Some(got.clone()), ..Daemons::default() }, ..Actual::default() };
    let desired = Settings {
        daemons: Some(Daemons { backup: Some(asked.clone()), ..Daemons::default() }),
        ..Settings::default()
    };
    assert_eq!(
        diff(&actual, &desired, &[]),
        [Order::Stop(Role::Backup), Order::Start(Role::Backup, asked.clone())]
    );
    assert_eq!(diff(&actual, &desired, &[(Role::Backup, asked.clone(), got.clone())]), []);
    assert_eq!(diff(&actual, &desired, &[(Role::Master, asked, got)]).len(), 2);
}

#[test]
fn words() {
    let timeouts = Timeouts { tcp: Some(100), tcp_fin: None, udp: Some(7) };
    assert_eq!(Order::SetTimeouts(timeouts).to_string(), "set the timeouts tcp 100 s, udp 7 s");
    assert_eq!(Order::Stop(Role::Master).to_string(), "stop the master sync daemon");
}
