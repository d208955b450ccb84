use super::*;
use crate::config::model::Scope;

fn address(text: &str) -> VirtualAddress {
    VirtualAddress::plain(text.parse().unwrap())
}

/// The least instance that serde accepts.
fn instance(interface: &str) -> Instance {
    serde_json::from_value(
        serde_json::json!({"name": "VI_1", "interface": interface, "virtual_router_id": 51}),
    )
    .unwrap()
}

fn key(interface: &str, address: &str, prefix_len: u8) -> AddressKey {
    AddressKey { interface: interface.to_owned(), address: address.parse().unwrap(), prefix_len }
}

#[test]
fn devices_and_prefixes_follow_keepalived() {
    let mut instance = instance("eth0");
    instance.virtual_ipaddress = vec![
        address("10.9.0.100"),
        VirtualAddress { dev: Some("eth1".to_owned()), ..address("10.8.0.1/24") },
    ];
    instance.virtual_ipaddress_excluded = vec![address("2001:db8::64")];
    let keys: Vec<AddressKey> = wanted_addresses(&instance, "lan0").keys().cloned().collect();
    assert_eq!(
        keys,
        [key("eth0", "10.9.0.100", 32), key("eth0", "2001:db8::64", 128), key("eth1", "10.8.0.1", 24)]
    );
    assert_eq!(advertised_addresses(&instance, false).len(), 2);
    assert_eq!(advertised_addresses(&instance, true), [] as [IpAddr; 0]);

    instance.interface.clear();
    assert!(wanted_addresses(&instance, "lan0").get(&key("lan0", "10.9.0.100", 32)).is_some());
}

#[test]
fn spec_carries_everything_that_was_written() {
    let mut instance = instance("eth0");
    instance.virtual_ipaddress = vec![VirtualAddress {
        broadcast: Some(Broadcast::Plus),
        scope: Some(Scope(253)),
        label: Some("eth0:vip".to_owned()),
        peer: Some("10.7.0.9/29".parse().unwrap()),
        ..address("10.9.0.100/24")
    }];
    let wanted = wanted_addresses(&instance, "");
    let spec = wanted.get(&key("eth0", "10.9.0.100", 29)).unwrap();
    assert_eq!(
        *spec,
        AddressSpec {
            broadcast: Some(Ipv4Addr::new(10, 9, 0, 255)),
            scope: 253,
            label: Some("eth0:vip".to_owned()),
            peer: Some(("10.7.0.9".parse().unwrap(), 29)),
            ..AddressSpec::default()
        }
    );
}

#[test]
fn broadcast_is_computed_from_the_prefix() {
    let of = |text: &str, broadcast| {
        super::broadcast(&VirtualAddress { broadcast: Some(broadcast), ..address(text) })
            .map(|b| b.to_string())
    };
    assert_eq!(of("10.9.3.7/20", Broadcast::Plus).as_deref(), Some("10.9.15.255"));
    assert_eq!(of("10.9.3.7/20", Broadcast::Minus).as_deref(), Some("10.9.0.0"));
    assert_eq!(of("10.9.3.7/0", Broadcast::Plus).as_deref(), Some("255.255.255.255"));
    assert_eq!(of("10.9.3.7/32", Broadcast::Plus), None);
    assert_eq!(of("10.9.3.7", Broadcast::Address(Ipv4Addr::BROADCAST)).as_deref(), Some("255.255.255.255"));
    assert_eq!(of("2001:db8::1/64", Broadcast::Plus), None);
    assert_eq!(broadcast(&address("10.9.3.7/24")), None);
}

#[test]
fn the_first_of_two_equal_addresses_counts() {
    let mut instance = instance("eth0");
    instance.virtual_ipaddress =
        vec![VirtualAddress { scope: Some(Scope(254)), ..address("10.9.0.1") }, address("10.9.0.1")];
    let wanted = wanted_addresses(&instance, "");
    assert_eq!(wanted.len(), 1);
    assert!(wanted.iter().all(|(_, spec)| spec.scope == 254));
}

#[test]
fn every_option_reaches_the_kernel_value() {
    let mut instance = instance("eth0");
    let of = |text: &str| -> VirtualAddress { text.parse().unwrap() };
    instance.virtual_ipaddress = vec![
        of("fd00::1"),
        of("fd00::2 preferred_lft forever"),
        of("fd00::3/64 home mngtmpaddr noprefixroute -nodad preferred_lft 30"),
        of("224.0.0.9 autojoin"),
        of("0.0.0.0 dev eth7"),
    ];
    let wanted = wanted_addresses(&instance, "");
    assert_eq!(wanted.len(), 4, "an unspecified address only tracks its interface");
    let spec = |address: &str, length| wanted.get(&key("eth0", address, length)).unwrap();
    assert_eq!(spec("fd00::1", 128).preferred, Some(0), "never a source");
    assert_eq!(spec("fd00::2", 128).preferred, None);
    let full = spec("fd00::3", 64);
    assert!(full.home && full.manage_temporary && full.no_prefix_route && full.detect_duplicates);
    assert_eq!(full.preferred, Some(30));
    assert!(spec("224.0.0.9", 32).auto_join);
    assert_eq!(spec("224.0.0.9", 32).preferred, None);
    assert_eq!(needed_interfaces(&instance), BTreeSet::from(["eth7".to_owned()]));
}

#[test]
fn interfaces_of_tracked_addresses_and_routes_are_needed() {
    let mut instance = instance("eth0");
    instance.virtual_ipaddress =
        vec!["10.0.0.1 dev eth1".parse().unwrap(), "10.0.0.2 dev eth2 no_track".parse().unwrap()];
    instance.virtual_routes = vec![
        "10.1.0.0/16 dev eth3".parse().unwrap(),
        "10.2.0.0/16 dev eth4 no_track".parse().unwrap(),
        "10.3.0.0/16 dev eth0".parse().unwrap(),
    ];
    assert_eq!(needed_interfaces(&instance), BTreeSet::from(["eth1".to_owned(), "eth3".to_owned()]));
    let routing = wanted_routing(&instance, "");
    assert_eq!((routing.routes.len(), routing.our_routes.len(), routing.want.len()), (3, 3, 0));
    assert!(routing.untracked.contains(&Id::Address(key("eth2", "10.0.0.2", 32))));
    assert_eq!(routing.untracked.len(), 2);
}

#[test]
fn static_objects_know_their_groups() {
    let mut promoting = instance("eth5");
    promoting.promote_secondaries = true;
    let config = Config {
        static_ipaddress: vec!["10.0.0.1/24 track_group g".parse().unwrap()],
        static_routes: vec!["10.1.0.0/16 dev eth3 track_group g".parse().unwrap()],
        static_rules: vec!["from 10.0.0.1 table 7 preference 5 no_track".parse().unwrap()],
        vrrp_instance: vec![promoting, instance("eth6")],
        ..Config::default()
    };
    let fixed = fixed(&config);
    assert!(fixed.want.contains_key(&key("eth0", "10.0.0.1", 24)), "default_interface is eth0");
    assert_eq!(fixed.groups.len(), 2);
    assert_eq!(fixed.untracked.len(), 1);
    assert_eq!((fixed.our_rules.len(), fixed.our_routes.len(), fixed.ours.len()), (1, 1, 1));
    assert_eq!(fixed.promote, BTreeSet::from(["eth5".to_owned()]));
}
