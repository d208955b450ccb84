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
    let keys: Vec<AddressKey> = wanted_addresses(&instance, "lan0").into_keys().collect();
    assert_eq!(
        keys,
        [key("eth0", "10.9.0.100", 32), key("eth0", "2001:db8::64", 128), key("eth1", "10.8.0.1", 24)]
    );
    assert_eq!(advertised_addresses(&instance, false).len(), 2);
    assert_eq!(advertised_addresses(&instance, true), [] as [IpAddr; 0]);

    instance.interface.clear();
    assert!(wanted_addresses(&instance, "lan0").contains_key(&key("lan0", "10.9.0.100", 32)));
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
    let spec = &wanted[&key("eth0", "10.9.0.100", 29)];
    assert_eq!(
        *spec,
        AddressSpec {
            broadcast: Some(Ipv4Addr::new(10, 9, 0, 255)),
            scope: 253,
            label: Some("eth0:vip".to_owned()),
            peer: Some(("10.7.0.9".parse().unwrap(), 29)),
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
    assert!(wanted.values().all(|spec| spec.scope == 254));
}
