//! The laws of the diff, and its order in single cases.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::ipvs::strategies::{small_key, table};
use crate::ipvs::table::Protocol;

fn equal_but_for_local(actual: &VirtualService, desired: &VirtualService) -> bool {
    actual.service == desired.service
        && actual.destinations.keys().eq(desired.destinations.keys())
        && actual
            .destinations
            .iter()
            .all(|(key, settings)| same_destination(settings, &desired.destinations[key]))
}

fn usable(service: &VirtualService) -> bool {
    service.destinations.values().any(|settings| settings.weight > 0)
}

proptest! {
    /// apply(diff(a, d), a) == d on ours, and a on everything else; a second diff is empty.
    #[test]
    fn leads_to_desired_and_leaves_others_alone(
        actual in table(true),
        desired in table(false),
        ours in proptest::collection::btree_set(small_key(), 0..10),
        all in any::<bool>(),
    ) {
        let ours: BTreeSet<_> =
            if all { actual.keys().chain(desired.keys()).copied().collect() } else { ours };
        let mut result = actual.clone();
        for change in diff(&actual, &desired, &ours) {
            prop_assert!(ours.contains(change.service()), "{change} is not ours");
            change.apply(&mut result);
        }
        for key in actual.keys().chain(desired.keys()).chain(&ours) {
            match (ours.contains(key), result.get(key)) {
                (false, now) => prop_assert_eq!(now, actual.get(key)),
                (true, None) => prop_assert!(!desired.contains_key(key)),
                (true, Some(now)) => {
                    let wanted = desired.get(key);
                    prop_assert!(wanted.is_some_and(|wanted| equal_but_for_local(now, wanted)), "{key}");
                }
            }
        }
        prop_assert_eq!(diff(&result, &desired, &ours), Vec::new());
    }

    /// No black hole in between: every prefix keeps the destinations that both tables have, and a destination that
    /// takes connections if both tables have one. Services of both tables are never deleted, not even for a moment.
    #[test]
    fn every_prefix_is_safe(actual in table(true), desired in table(false)) {
        let ours: BTreeSet<_> = actual.keys().chain(desired.keys()).copied().collect();
        let mut result = actual.clone();
        for change in diff(&actual, &desired, &ours) {
            change.apply(&mut result);
            for (key, before) in &actual {
                let Some(wanted) = desired.get(key) else { continue };
                let now = result.get(key);
                prop_assert!(now.is_some(), "{change} took {key} away");
                let Some(now) = now else { continue };
                for destination in before.destinations.keys().filter(|d| wanted.destinations.contains_key(d)) {
                    prop_assert!(now.destinations.contains_key(destination), "{change}: {destination} missing");
                }
                if usable(before) && usable(wanted) {
                    prop_assert!(usable(now), "{change} leaves {key} without a server");
                }
            }
        }
    }

    /// The same for two sets of the same few servers, many of them out of service: the take-overs.
    #[test]
    fn a_take_over_leaves_no_gap(
        actual in proptest::collection::btree_map(0u8..4, 0u32..2, 1..5),
        desired in proptest::collection::btree_map(0u8..4, 0u32..2, 1..5),
    ) {
        let of = |weights: BTreeMap<u8, u32>| {
            one(&weights.into_iter().map(|(last, w)| (last, settings(Forward::Tunnel, w))).collect::<Vec<_>>())
        };
        let (mut result, desired) = (of(actual), of(desired));
        let always = usable(&result[&key()]) && usable(&desired[&key()]);
        for change in diff(&result.clone(), &desired, &[key()].into()) {
            change.apply(&mut result);
            prop_assert!(!always || usable(&result[&key()]), "{change} leaves no server");
        }
        prop_assert_eq!(result, desired);
    }

    /// A deleted service is one message, and each thing is changed at most once.
    #[test]
    fn is_minimal(actual in table(true), desired in table(false)) {
        let ours: BTreeSet<_> = actual.keys().chain(desired.keys()).copied().collect();
        let changes = diff(&actual, &desired, &ours);
        let subjects: BTreeSet<_> = changes.iter().map(Change::subject).collect();
        prop_assert_eq!(subjects.len(), changes.len());
        for change in &changes {
            if !desired.contains_key(change.service()) {
                prop_assert!(matches!(change, Change::DeleteService { .. }), "{change}");
            }
        }
    }
}

fn key() -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 1].into(), port: 80 }
}

fn server(last: u8) -> DestinationKey {
    DestinationKey { address: [10, 0, 0, last].into(), port: 80 }
}

fn settings(forward: Forward, weight: u32) -> Destination {
    Destination { forward, weight, upper_threshold: 0, lower_threshold: 0 }
}

fn one(destinations: &[(u8, Destination)]) -> Table {
    let service = Service::plain("wlc");
    let destinations = destinations.iter().map(|(last, settings)| (server(*last), *settings)).collect();
    [(key(), VirtualService { service, destinations })].into()
}

fn words(actual: &Table, desired: &Table) -> Vec<String> {
    diff(actual, desired, &[key()].into()).iter().map(ToString::to_string).collect()
}

#[test]
fn new_service_comes_with_its_destinations() {
    let desired = one(&[(2, settings(Forward::DirectRoute, 1)), (3, settings(Forward::Masquerade, 5))]);
    assert_eq!(
        words(&Table::new(), &desired),
        [
            "add service TCP 10.0.0.1:80 (wlc)",
            "add TCP 10.0.0.1:80 -> 10.0.0.2:80 (DR, weight 1)",
            "add TCP 10.0.0.1:80 -> 10.0.0.3:80 (NAT, weight 5)",
        ]
    );
}

#[test]
fn a_server_taking_over_is_there_before_the_other_leaves() {
    let dr = |weight| settings(Forward::DirectRoute, weight);
    let actual = one(&[(2, dr(1)), (3, dr(0)), (4, dr(7))]);
    let desired = one(&[(2, dr(0)), (3, dr(1)), (5, dr(2))]);
    assert_eq!(
        words(&actual, &desired),
        [
            "add TCP 10.0.0.1:80 -> 10.0.0.5:80 (DR, weight 2)",
            "set TCP 10.0.0.1:80 -> 10.0.0.3:80 (DR, weight 1)",
            "set TCP 10.0.0.1:80 -> 10.0.0.2:80 (DR, weight 0)",
            "delete TCP 10.0.0.1:80 -> 10.0.0.4:80",
        ]
    );
}

#[test]
fn a_local_destination_is_right_whatever_was_asked_for() {
    for forward in [Forward::Masquerade, Forward::DirectRoute, Forward::Tunnel] {
        let actual = one(&[(2, settings(Forward::Local, 3))]);
        assert_eq!(words(&actual, &one(&[(2, settings(forward, 3))])), [""; 0]);
        assert_eq!(words(&actual, &one(&[(2, settings(forward, 4))])).len(), 1);
    }
    // The other way round it is a real difference: nobody asks for Local, but if so it is not what is there.
    let actual = one(&[(2, settings(Forward::Tunnel, 3))]);
    assert_eq!(words(&actual, &one(&[(2, settings(Forward::Masquerade, 3))])).len(), 1);
}

#[test]
fn thresholds_and_settings_of_the_service_count() {
    let actual = one(&[(2, settings(Forward::Tunnel, 3))]);
    let mut desired = actual.clone();
    let service = desired.get_mut(&key()).unwrap();
    service.service.persistence = Some(crate::ipvs::table::Persistence { timeout: 360, granularity: 24 });
    service.service.scheduler_flags = 0b10;
    service.destinations.get_mut(&server(2)).unwrap().upper_threshold = 100;
    assert_eq!(
        words(&actual, &desired),
        [
            "set service TCP 10.0.0.1:80 (wlc, persistent 360 s by /24, flag-2)",
            "set TCP 10.0.0.1:80 -> 10.0.0.2:80 (TUN, weight 3, thresholds 100 / 0)",
        ]
    );
}
