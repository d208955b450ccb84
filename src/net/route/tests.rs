//! The law of the difference: applied, it gives the wish on what is ours, and touches nothing else.

use proptest::prelude::*;

use super::*;

fn key(host: u8, metric: u32, protocol: u8) -> RouteKey {
    RouteKey {
        table: Table::Number(MAIN),
        destination: (IpAddr::from([10, host, 0, 0]), 16),
        source: None,
        tos: 0,
        metric,
        protocol,
    }
}

fn keys() -> impl Strategy<Value = RouteKey> {
    (0..3u8, 0..2u32, prop::sample::select(vec![4u8, 18])).prop_map(|(h, m, p)| key(h, m, p))
}

fn hop() -> impl Strategy<Value = Hop> {
    (0..3u8, prop::option::of(Just("eth0".to_owned())), any::<bool>()).prop_map(|(host, dev, onlink)| Hop {
        gateway: (host > 0).then(|| IpAddr::from([10, 9, 0, host])),
        dev,
        weight: 1,
        onlink,
        ..Hop::default()
    })
}

fn route() -> impl Strategy<Value = Route> {
    let metrics = prop::collection::btree_map(2..5u16, 0..3u32, 0..2);
    (keys(), prop::collection::vec(hop(), 0..3), metrics, prop::option::of(Just("vegas".to_owned())))
        .prop_map(|(key, hops, metrics, congestion)| Route {
            key,
            spec: RouteSpec {
                hops,
                metrics: metrics.into_iter().collect(),
                congestion,
                ..RouteSpec::default()
            },
        })
}

/// What the kernel makes of an addition: it finds the interface itself, and drops metrics of 0.
fn as_found(wish: &Route) -> Route {
    let mut found = wish.clone();
    found.spec.metrics.retain(|(_, value)| *value != 0);
    for hop in &mut found.spec.hops {
        hop.dev.get_or_insert_with(|| "eth9".to_owned());
    }
    found.spec.hops.reverse();
    found
}

proptest! {
    #[test]
    fn applied_it_gives_the_wish_and_leaves_others_alone(
        actual in prop::collection::vec(route(), 0..8),
        wanted in prop::collection::vec(route(), 0..6),
        more in prop::collection::btree_set(keys(), 0..4),
    ) {
        let mut kernel = actual.clone();
        for change in diff(&actual, &wanted, &more) {
            match change {
                Change::Remove(route) => {
                    let at = kernel.iter().position(|there| *there == route);
                    prop_assert!(at.is_some(), "{} was not there", route.key);
                    kernel.remove(at.unwrap());
                }
                Change::Add(route) => kernel.push(as_found(&route)),
            }
        }
        let ours = |route: &&Route| {
            more.contains(&route.key) || wanted.iter().any(|wish| wish.key == route.key)
        };
        prop_assert_eq!(kernel.iter().filter(ours).count(), wanted.len());
        let before: Vec<&Route> = actual.iter().filter(|route| !ours(route)).collect();
        let after: Vec<&Route> = kernel.iter().filter(|route| !ours(route)).collect();
        prop_assert_eq!(before, after);
        prop_assert_eq!(diff(&kernel, &wanted, &more), vec![]);
    }

    #[test]
    fn what_was_asked_for_fits(wish in route()) {
        prop_assert!(as_found(&wish).fits(&wish));
    }
}

#[test]
fn what_differs_does_not_fit() {
    let hop =
        Hop { gateway: Some([10, 9, 0, 1].into()), dev: Some("eth0".into()), weight: 1, ..Hop::default() };
    let wish = Route {
        key: key(1, 0, 18),
        spec: RouteSpec { hops: vec![hop], metrics: vec![(2, 1400)], ..RouteSpec::default() },
    };
    let there = as_found(&wish);
    assert!(there.fits(&wish));
    let changed: [fn(&mut Route); 9] = [
        |r| r.key.metric = 5,
        |r| r.spec.kind = 6,
        |r| r.spec.scope = 253,
        |r| r.spec.src = Some([10, 0, 0, 1].into()),
        |r| r.spec.metrics.clear(),
        |r| r.spec.locked = 4,
        |r| r.spec.hops[0].gateway = None,
        |r| r.spec.hops[0].dev = Some("eth1".into()),
        |r| r.spec.hops[0].encap = Some(Encap::Mpls(vec![7])),
    ];
    for change in changed {
        let mut other = there.clone();
        change(&mut other);
        assert!(!other.fits(&wish), "{other:?}");
    }
}

#[test]
fn a_gateway_that_changes_is_one_removal_and_one_addition() {
    let with = |host: u8| Route {
        key: key(1, 0, 18),
        spec: RouteSpec {
            hops: vec![Hop { gateway: Some([10, 9, 0, host].into()), weight: 1, ..Hop::default() }],
            ..RouteSpec::default()
        },
    };
    let changes = diff(&[with(1)], &[with(2)], &BTreeSet::new());
    assert_eq!(changes, [Change::Remove(with(1)), Change::Add(with(2))]);
    let foreign = Route { key: key(1, 0, 4), ..with(1) };
    assert_eq!(diff(&[foreign], &[], &BTreeSet::from([key(1, 0, 18)])), []);
}

#[test]
fn keys_are_shown_as_ip_route_writes_them() {
    assert_eq!(key(1, 0, 18).to_string(), "route 10.1.0.0/16");
    let more = RouteKey { table: Table::Vrf("red".into()), tos: 4, metric: 7, ..key(1, 0, 18) };
    assert_eq!(more.to_string(), "route 10.1.0.0/16 vrf red tos 0x04 metric 7");
}
