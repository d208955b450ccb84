//! The law of the difference: applied, it gives the wish on what is ours, and touches nothing else.

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
    (prop::sample::select(vec![0u8, 253]), label, any::<bool>(), prop::sample::select(vec![0u8, PROTOCOL]))
        .prop_map(|(scope, label, broadcast, protocol)| Installed {
            scope,
            label,
            broadcast: broadcast.then_some(Ipv4Addr::BROADCAST),
            protocol,
        })
}

fn spec() -> impl Strategy<Value = AddressSpec> {
    let label = prop::option::of(Just("eth0:v".to_owned()));
    (prop::sample::select(vec![0u8, 253]), label, any::<bool>()).prop_map(|(scope, label, broadcast)| {
        AddressSpec { scope, label, broadcast: broadcast.then_some(Ipv4Addr::BROADCAST), peer: None }
    })
}

/// What the kernel makes of an addition.
fn as_installed(key: &AddressKey, spec: &AddressSpec) -> Installed {
    Installed {
        scope: spec.scope,
        label: Some(spec.label.clone().unwrap_or_else(|| key.interface.clone())),
        broadcast: spec.broadcast,
        protocol: PROTOCOL,
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
        let wanted = Wanted { generation: 1, want, ours: ours.clone() };
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
            prop_assert_eq!(kernel.contains_key(key), wanted.want.contains_key(key));
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
    let wanted = Wanted { generation: 1, want, ours: BTreeSet::from([key.clone()]) };
    assert_eq!(diff(&actual, &wanted), []);
    let nobody = Wanted { want: BTreeMap::new(), ..wanted };
    assert_eq!(diff(&actual, &nobody), [Change::Remove(key)]);
}
