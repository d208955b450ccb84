use super::*;

fn route(text: &str) -> route::Route {
    kernel_route(&text.parse().unwrap()).unwrap()
}

fn rule(text: &str) -> rule::Rule {
    kernel_rule(&text.parse().unwrap()).unwrap()
}

#[test]
fn what_the_file_leaves_open_is_as_keepalived_has_it() {
    let plain = route("10.20.0.7/24 dev eth0");
    assert_eq!(plain.key.destination, ([10, 20, 0, 0].into(), 24));
    assert_eq!((plain.key.metric, plain.key.protocol, &plain.key.table), (0, 18, &route::Table::Number(254)));
    assert_eq!((plain.spec.scope, plain.spec.kind, plain.spec.insertion), (0, 1, route::Insertion::Prepend));
    assert_eq!(route("fd00::/64 dev eth0").key.metric, 1024);
    assert_eq!(route("local 10.25.0.0/24 dev lo").spec.scope, 254, "global is refused by the kernel");
    assert_eq!(route("10.20.0.0/24 dev eth0 scope link").spec.scope, 253);
}

#[test]
fn only_untracked_routes_have_a_protocol_of_their_own() {
    assert_eq!(route("10.0.0.0/8 dev eth0 protocol 77").key.protocol, 18);
    assert_eq!(route("10.0.0.0/8 dev eth0 protocol 77 no_track").key.protocol, 77);
    assert_eq!(route("10.0.0.0/8 via 10.0.0.1 protocol 77").key.protocol, 77);
    let untracked = |text: &str| is_untracked(&text.parse().unwrap());
    assert!(!untracked("10.0.0.0/8 dev eth0"));
    assert!(untracked("10.0.0.0/8 via 10.0.0.1"));
    assert!(untracked("fd00::/64 dev eth0 expires 30"));
    assert!(untracked("10.0.0.0/8 dev eth0 no_track"));
}

#[test]
fn metrics_are_in_the_units_of_the_kernel() {
    let spec = route(
        "10.0.0.0/8 dev eth0 mtu lock 1400 rtt 300ms rttvar lock 50ms rto_min 20ms features ecn quickack 1 \
         congctl lock vegas hoplimit 9 fastopen_no_cookie 0",
    )
    .spec;
    assert_eq!(spec.metrics, [(2, 1400), (4, 2400), (5, 800), (10, 9), (12, 1), (13, 20), (15, 1), (17, 0)]);
    assert_eq!(spec.locked, 1 << 2 | 1 << 5 | 1 << 16);
    assert_eq!(spec.congestion.as_deref(), Some("vegas"));
}

#[test]
fn every_way_is_there() {
    let several = route(
        "10.0.0.0/8 realms 3 nexthop via 10.0.0.1 dev eth0 weight 2 nexthop via 10.0.0.2 dev eth1 onlink realms 1/2 \
         encap mpls 100/200",
    );
    let [first, second] = several.spec.hops.as_slice() else { panic!("{several:?}") };
    assert_eq!((first.weight, first.flow, first.onlink), (2, Some(3), false));
    assert_eq!((second.weight, second.flow, second.onlink), (1, Some(0x0001_0002), true));
    assert_eq!(second.encap, Some(route::Encap::Mpls(vec![100, 200])));
    assert_eq!(route("10.0.0.0/8 via 10.0.0.1 or 10.0.0.2 dev eth0").spec.hops.len(), 2);
    assert!(route("blackhole 10.0.0.0/8 dev lo").spec.hops.is_empty());
    let red = route("10.0.0.0/8 dev eth0 vrf red");
    assert_eq!(red.key.table, route::Table::Vrf("red".to_owned()));
}

#[test]
fn a_name_without_a_number_gives_nothing() {
    assert_eq!(kernel_route(&"10.0.0.0/8 dev eth0 table nowhere".parse().unwrap()), None);
    assert_eq!(kernel_rule(&"from all table nowhere preference 5".parse().unwrap()), None);
    assert_eq!(kernel_rule(&"from all table 5 realms nowhere preference 5".parse().unwrap()), None);
}

#[test]
fn rules_are_whole() {
    let full = rule(
        "not from 10.0.0.5/24 to 192.0.2.1 tos 0x10 fwmark 5/0xff iif eth0 oif eth1 tunnel-id 9 uidrange 1-99 \
         ipproto 6 sport 1-1023 dport 80-80 realms 1/2 preference 100 suppress_prefixlength 0 suppress_ifgroup 7 \
         table 77",
    );
    let wanted = rule::Rule {
        invert: true,
        from: Some(([10, 0, 0, 0].into(), 24)),
        to: Some(([192, 0, 2, 1].into(), 32)),
        tos: 0x10,
        fwmark: Some((5, 0xff)),
        iif: Some("eth0".to_owned()),
        oif: Some("eth1".to_owned()),
        tunnel_id: Some(9),
        uids: Some((1, 99)),
        ip_protocol: Some(6),
        source_ports: Some((1, 1023)),
        destination_ports: Some((80, 80)),
        flow: Some(0x0001_0002),
        suppress_length: Some(0),
        suppress_group: Some(7),
        ..rule::Rule::all(false, 100, rule::Action::Table(77))
    };
    assert_eq!(full, wanted);
    assert_eq!(
        rule("fwmark 5 preference 7 l3mdev inet6"),
        rule::Rule { fwmark: Some((5, u32::MAX)), ..rule::Rule::all(true, 7, rule::Action::L3mdev) }
    );
    assert_eq!(rule("from all preference 7 protocol 5 prohibit no_track").protocol, 5);
    assert_eq!(rule("from all preference 7 protocol 5 prohibit").protocol, 18);
}
