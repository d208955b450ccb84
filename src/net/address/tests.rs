//! The law of the difference: applied, it gives the wish on what is ours, and touches nothing else.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn key(interface: u8, host: u8, prefix_len: u8) -> AddressKey {
    AddressKey { interface: format!("eth{interface}"), address: IpAddr::from([10, 0, 0, host]), prefix_len }
}

fn keys() -> impl Strategy<Value = AddressKey> {
    (0..2u8, 0..6u8, prop::sample::select(vec![24u8, 32])).prop_map(|(i, h, p)| key(i, h, p))
}

fn installed() -> impl Strategy<Value = Installed> {
    let label = prop::option::of(prop::sample::select(vec!["eth0".to_owned(), "eth0:v".to_owned()]));
    let scope = prop::sample::select(vec![0u8, 253]);
    let protocol = prop::sample::select(vec![0u8, PROTOCOL]);
    (scope, label, any::<bool>(), protocol, peer(), any::<bool>()).prop_map(
        |(scope, label, broadcast, protocol, peer, tentative)| Installed {
            scope,
            label,
            broadcast: broadcast.then_some(Ipv4Addr::BROADCAST),
            protocol,
            peer,
            tentative,
            ..Installed::default()
        },
    )
}

fn peer() -> impl Strategy<Value = Option<IpAddr>> {
    prop::option::weighted(
        0.2,
        prop::sample::select(vec![[10, 0, 1, 1], [10, 0, 1, 2]]).prop_map(IpAddr::from),
    )
}

fn spec() -> impl Strategy<Value = AddressSpec> {
    let label = prop::option::of(Just("eth0:v".to_owned()));
    (prop::sample::select(vec![0u8, 253]), label, any::<bool>(), peer()).prop_map(
        |(scope, label, broadcast, peer)| AddressSpec {
            scope,
            label,
            broadcast: broadcast.then_some(Ipv4Addr::BROADCAST),
            peer: peer.map(|peer| (peer, 24)),
            no_prefix_route: broadcast,
            ..AddressSpec::default()
        },
    )
}

/// What the kernel makes of an addition.
fn as_installed(key: &AddressKey, spec: &AddressSpec) -> Installed {
    Installed {
        scope: spec.scope,
        label: Some(spec.label.clone().unwrap_or_else(|| key.interface.clone())),
        broadcast: spec.broadcast,
        protocol: PROTOCOL,
        peer: spec.peer.map(|(peer, _)| peer),
        no_prefix_route: spec.no_prefix_route,
        ..Installed::default()
    }
}

proptest! {
    #[test]
    fn applied_it_gives_the_wish_and_leaves_others_alone(
        actual in prop::collection::btree_map(keys(), installed(), 0..8),
        want in prop::collection::btree_map(keys(), spec(), 0..6),
        more in prop::collection::btree_set(keys(), 0..6),
    ) {
        let ours: BTreeSet<AddressKey> = want.keys().cloned().chain(more).collect();
        let wanted = Wanted { generation: 1, want, ours: ours.clone(), ..Wanted::default() };
        let mut kernel = actual.clone();
        for change in diff(&actual, &wanted) {
            prop_assert!(ours.contains(change.key()), "{} is not ours", change.key());
            match change {
                Change::Remove(key) => prop_assert!(kernel.remove(&key).is_some(), "{key} was not there"),
                Change::Add(key, spec) => {
                    let there = as_installed(&key, &spec);
                    prop_assert!(kernel.insert(key, there).is_none(), "added over another");
                }
            }
        }
        for (key, installed) in &actual {
            if !ours.contains(key) {
                prop_assert_eq!(kernel.get(key), Some(installed));
            }
        }
        for key in &ours {
            match (kernel.get(key), wanted.want.get(key)) {
                (None, None) => {}
                (Some(there), Some(spec)) => prop_assert!(there.fits(key, spec), "{key}: {there:?}, not {spec:?}"),
                (there, spec) => prop_assert!(false, "{key}: {there:?}, wanted {spec:?}"),
            }
        }
        prop_assert!(diff(&kernel, &wanted).is_empty(), "a second difference is left");
    }
}

#[test]
fn what_a_crash_left_behind_is_adopted() {
    let key = key(0, 100, 24);
    let left = Installed { label: Some("eth0".to_owned()), ..Installed::default() };
    let actual = BTreeMap::from([(key.clone(), left)]);
    let want = BTreeMap::from([(key.clone(), AddressSpec::default())]);
    let wanted = Wanted { generation: 1, want, ours: BTreeSet::from([key.clone()]), ..Wanted::default() };
    assert_eq!(diff(&actual, &wanted), []);
    let nobody = Wanted { want: BTreeMap::new(), ..wanted };
    assert_eq!(diff(&actual, &nobody), [Change::Remove(key)]);
}

#[test]
fn the_same_address_in_another_form_is_replaced() {
    let key = key(0, 100, 24);
    let spec = AddressSpec { label: Some("eth0:v".to_owned()), ..AddressSpec::default() };
    let right = as_installed(&key, &spec);
    let others = [
        Installed { label: Some("eth0".to_owned()), ..right.clone() },
        Installed { label: Some("eth0:w".to_owned()), ..right.clone() },
        Installed { scope: 253, ..right.clone() },
        Installed { broadcast: Some(Ipv4Addr::BROADCAST), ..right.clone() },
        Installed { peer: Some([10, 0, 1, 1].into()), ..right.clone() },
        Installed { tentative: true, ..right.clone() },
        Installed { home: true, ..right.clone() },
        Installed { manage_temporary: true, ..right.clone() },
        Installed { no_prefix_route: true, ..right.clone() },
        Installed { auto_join: true, ..right.clone() },
        Installed { deprecated: true, ..right.clone() },
    ];
    let want = BTreeMap::from([(key.clone(), spec.clone())]);
    let wanted = Wanted { generation: 1, want, ..Wanted::default() };
    for other in others {
        let changes = diff(&BTreeMap::from([(key.clone(), other.clone())]), &wanted);
        assert_eq!(
            changes,
            [Change::Remove(key.clone()), Change::Add(key.clone(), spec.clone())],
            "{other:?}"
        );
    }
    assert_eq!(diff(&BTreeMap::from([(key, Installed { protocol: 0, ..right })]), &wanted), []);
}

#[test]
fn an_ipv6_address_has_no_scope_of_ours() {
    let key = AddressKey { address: "fe80::100".parse().unwrap(), ..key(0, 0, 64) };
    let spec = AddressSpec::default();
    let installed = Installed { scope: 253, ..as_installed(&key, &spec) };
    assert!(installed.fits(&key, &spec));
}

#[test]
fn waiting_for_duplicate_detection_fits_where_it_is_asked_for() {
    let key = AddressKey { address: "fd00::100".parse().unwrap(), ..key(0, 0, 64) };
    let spec = AddressSpec { detect_duplicates: true, preferred: Some(0), ..AddressSpec::default() };
    let waiting = Installed { tentative: true, deprecated: true, ..Installed::default() };
    assert!(waiting.fits(&key, &spec));
    assert!(!waiting.fits(&key, &AddressSpec { detect_duplicates: false, ..spec.clone() }));
    assert!(!waiting.fits(&key, &AddressSpec { preferred: None, ..spec.clone() }));
    assert!(waiting.fits(&key, &AddressSpec { preferred: Some(30), ..spec }), "it ran out");
}
