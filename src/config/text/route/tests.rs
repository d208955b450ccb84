use proptest::prelude::*;

use super::super::ElementError;
use super::super::route_words::OPTIONS;
use super::super::strategy;
use super::*;
use crate::config::model::{Encap, Scope};

fn read(text: &str) -> (Option<Route>, Vec<ElementError>) {
    Route::parse_in(&text.split_whitespace().collect::<Vec<_>>(), Block::Virtual)
}

/// The canonical form, read without an error.
fn line(text: &str) -> String {
    let (route, errors) = read(text);
    assert_eq!(errors, [], "{text}");
    route.unwrap().to_string()
}

#[test]
fn what_people_write_is_understood() {
    for (written, canonical) in [
        ("10.0.0.0/8 via 10.210.214.1 dev eth0", "10.0.0.0/8 via 10.210.214.1 dev eth0"),
        ("default via 192.0.2.1", "default via 192.0.2.1"),
        ("0.0.0.0/0 gw 192.0.2.1 oif eth0", "default via 192.0.2.1 dev eth0"),
        (
            "default via 192.168.60.1 dev float60 src 192.168.60.150 table 123",
            "default src 192.168.60.150 via 192.168.60.1 dev float60 table 123",
        ),
        ("src 10.0.10.213 to 224.0.0.0/4 dev eth3 no_track", "224.0.0.0/4 src 10.0.10.213 dev eth3 no_track"),
        ("unicast to 10.1.0.0/24 metric 0010 dev lo", "10.1.0.0/24 dev lo metric 10"),
        ("dev lo blackhole 10.1.0.0/24", "blackhole 10.1.0.0/24 dev lo"),
        (
            "192.168.100.0/24 table 6909 congctl lock vegas nexthop via 192.168.101.1 dev eth0 onlink weight 1 \
             nexthop via 192.168.101.2 dev eth4 realms a/2",
            "192.168.100.0/24 table 6909 congctl lock vegas nexthop via 192.168.101.1 dev eth0 weight 1 onlink \
             nexthop via 192.168.101.2 dev eth4 realms a/2",
        ),
        (
            "192.168.200.0/24 dev eth1 tos 0x04 protocol 112 scope link priority 12 mtu 1000 hoplimit 100 advmss \
             101 rtt 102 rttvar 103 reordering 104 window 105 cwnd 106 ssthresh lock 107 realms cosmos/0x14 rto_min \
             108 initcwnd 109 initrwnd 110 features ecn ttl-propagate enabled fastopen_no_cookie 1",
            "192.168.200.0/24 dev eth1 metric 12 scope link protocol 112 tos 0x04 realms cosmos/20 mtu 1000 \
             hoplimit 100 advmss 101 rtt 102ms rttvar 103ms rto_min 108ms reordering 104 window 105 cwnd 106 \
             ssthresh lock 107 initcwnd 109 initrwnd 110 features ecn fastopen_no_cookie 1 ttl-propagate enabled",
        ),
        (
            "fd00:1::4 dev eth2 tos CS1 expires 30 pref high",
            "fd00:1::4 dev eth2 tos CS1 expires 30 pref high",
        ),
        (
            "fd00::/32 from fd01::/48 dev lo quickack 1 append",
            "fd00::/32 from fd01::/48 dev lo quickack 1 append",
        ),
        ("10.0.0.0/8 dev lo rtt lock 1.5s rto_min 20ms", "10.0.0.0/8 dev lo rtt lock 1500ms rto_min 20ms"),
        ("10.0.0.0/8 via 10.0.0.1 or 10.0.0.2", "10.0.0.0/8 via 10.0.0.1 or 10.0.0.2"),
        ("10.0.0.0/8 dev lo as 100/200 vrf red onlink", "10.0.0.0/8 as to 100/200 dev lo onlink vrf red"),
        ("10.0.0.0/8 via inet6 fd00::1 dev lo", "10.0.0.0/8 via inet6 fd00::1 dev lo"),
        ("10.0.0.0/8 via inet 10.0.0.1", "10.0.0.0/8 via 10.0.0.1"),
    ] {
        assert_eq!(line(written), canonical);
    }
    let ila = [
        "10.1.0.0/24",
        "nexthop",
        "encap",
        "ip6",
        "flags",
        "65535",
        "id",
        "5",
        "via",
        "10.1.1.1",
        "encap",
        "ila",
        "  12ff:23:34:45",
    ];
    let (route, errors) = Route::parse_in(&ila, Block::Virtual);
    assert_eq!(errors, []);
    let hop = &route.unwrap().nexthops[0];
    assert_eq!(hop.gateway, Some("10.1.1.1".parse().unwrap()));
    assert_eq!(hop.encap, Some(Encap::Ila([0x12ff, 0x23, 0x34, 0x45])));
}

#[test]
fn the_family_of_default_shows_in_the_rest_of_the_line() {
    for (written, canonical, ipv6) in [
        ("default dev lo", "default dev lo", false),
        ("default dev lo inet6", "::/0 dev lo", true),
        ("inet6 default dev lo", "::/0 dev lo", true),
        ("default via fd00::1", "default via fd00::1", true),
        ("default nexthop via fd00::1", "default nexthop via fd00::1", true),
        ("inet default via inet6 fd00::1", "0.0.0.0/0 via inet6 fd00::1", false),
        ("::/0 via fd00::1", "default via fd00::1", true),
        ("10.0.0.0/0 dev lo", "10.0.0.0/0 dev lo", false),
    ] {
        assert_eq!(line(written), canonical);
        assert_eq!(read(written).0.unwrap().destination.address.is_ipv6(), ipv6, "{written}");
    }
}

#[test]
fn every_encapsulation_is_read() {
    for text in [
        "10.0.0.0/8 dev lo encap ip id 5 dst 10.0.0.5 src 10.0.0.6 tos 0x04 ttl 64 flags 5",
        "10.0.0.0/8 dev lo encap ip6 id 18446744073709551615 dst fd00::5 src fd00::6 tc 0x04 hoplimit 64 flags 5",
        "10.0.0.0/8 dev lo encap mpls 100/200",
        "10.0.0.0/8 dev lo encap ila 12ff:23:34:45",
        "10.0.0.0/8 dev lo encap ip id 1 nexthop dev lo encap mpls 16 nexthop dev eth0",
    ] {
        assert_eq!(line(text), text);
    }
    // What follows is the header's as long as it can be.
    let route = read("10.0.0.0/8 encap ip dst 10.0.0.5 src 10.0.0.6 dev lo src 10.0.0.7").0.unwrap();
    assert_eq!(route.src, Some("10.0.0.7".parse().unwrap()));
    for (encap, part) in [
        ("ip", "neither dst nor id"),
        ("ip src 10.0.0.1", "neither dst nor id"),
        ("ip dst fd00::1", "not an IPv4 address"),
        ("ip id 18446744073709551616", "write 0 to 18446744073709551615"),
        ("ip dst 10.0.0.1 ttl 256", "write 0 to 255"),
        ("ip dst 10.0.0.1 flags 0x10", "write 0 to 65535"),
        ("mpls 1048576", "MPLS labels"),
        ("mpls x", "MPLS labels"),
        ("ila 12ff:23:34", "four groups"),
        ("ila 12ff::5", "four groups"),
        ("seg6 x", "write ip, ip6, mpls or ila"),
        ("", "needs a value"),
    ] {
        let (route, errors) = read(&format!("10.0.0.0/8 dev lo encap {encap}"));
        assert!(route.is_none(), "{encap}: packets would leave without their header");
        assert!(errors.iter().any(|e| e.problem.contains(part)), "{encap}: {errors:?}");
    }
}

#[test]
fn an_option_that_is_wrong_is_named_and_the_route_used() {
    for (written, word, part, rest) in [
        ("10.1.0.0/24 rtt x dev lo", 2, "rtt: \"x\"", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo rtt 5.5ms", 4, "whole milliseconds", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo rtt 961s", 4, "at most 960s", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo rttvar lock 480001", 5, "at most 480s", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo rto_min 1us", 4, "rto_min", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo hoplimit 256", 4, "write 0 to 255", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo mtu lock", 3, "needs a value", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo features magic", 4, "write ecn", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo quickack on", 4, "neither 0 nor 1", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo ttl-propagate yes", 4, "enabled, disabled", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo expires 30", 3, "for IPv6", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo pref low", 3, "for IPv6", "10.1.0.0/24 dev lo"),
        ("fd00::/64 dev lo realms 3", 3, "for IPv4", "fd00::/64 dev lo"),
        ("10.1.0.0/24 dev lo realms 256", 4, "FROM/TO", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo scope nearby", 4, "no scope", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo protocol 256", 4, "protocol", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo src fd00::5", 3, "an IPv4 destination", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo src x", 4, "not an IP address", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/34 dev lo", 0, "counts as /32", "10.1.0.0 dev lo"),
        ("10.1.0.0/255.255.255.0 dev lo", 0, "write 10.1.0.0/24", "10.1.0.0 dev lo"),
        ("10.1.0.0/24 via 10.1.0.1 no-track", 3, "did you mean no_track?", "10.1.0.0/24 via 10.1.0.1"),
        ("10.1.0.0/24 dev lo track_group g", 3, "for static_", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 dev lo congctl lock lock", 5, "congestion", "10.1.0.0/24 dev lo"),
        ("10.1.0.0/24 nexthop dev lo weight 257", 5, "write 1 to 256", "10.1.0.0/24 nexthop dev lo"),
        ("10.1.0.0/24 nexthop dev lo nexthop via x", 6, "not an IP address", "10.1.0.0/24 nexthop dev lo"),
        (
            "10.1.0.0/24 nexthop dev lo nexthop via fd00::1",
            5,
            "IPv4 destination",
            "10.1.0.0/24 nexthop dev lo",
        ),
        (
            "10.1.0.0/24 nexthop dev lo table 5",
            4,
            "before the first one",
            "10.1.0.0/24 table 5 nexthop dev lo",
        ),
    ] {
        let (route, errors) = read(written);
        assert_eq!(route.map(|r| r.to_string()).as_deref(), Some(rest), "{written}: {errors:?}");
        let [error] = errors.as_slice() else { panic!("{written}: {errors:?}") };
        assert_eq!(error.word, word, "{written}: {error}");
        assert!(error.problem.contains(part), "{written}: {error}");
    }
}

#[test]
fn a_route_that_would_lead_elsewhere_is_dropped() {
    for (written, word, part) in [
        ("", 0, "a destination is missing"),
        ("via 10.1.0.1 dev lo", 0, "a destination is missing"),
        ("10.1/16 dev lo", 0, "not an IP address"),
        ("to nowhere dev lo", 1, "not an IP address"),
        ("10.1.0.0/24 to 10.2.0.0/24 dev lo", 2, "second destination"),
        ("10.1.0.0/24 via x dev lo", 2, "not an IP address"),
        ("10.1.0.0/24 via fd00::1 dev lo", 1, "write via inet6"),
        ("10.1.0.0/24 via inet fd00::1 dev lo", 3, "other family"),
        ("10.1.0.0/24 via", 1, "needs a value"),
        ("10.1.0.0/24 dev lo inet6", 3, "the destination is IPv4"),
        ("10.1.0.0/24 dev lo from 10.0.0.0/8", 3, "only IPv6"),
        ("10.1.0.0/24 dev lo metric -1", 4, "write 0 to 4294967295"),
        ("10.1.0.0/24 dev lo table 4294967296", 4, "table"),
        ("10.1.0.0/24 dev lo tos 256", 4, "tos"),
        ("10.1.0.0/24 dev lo tos 08", 4, "tos"),
        ("10.1.0.0/24 dev lo tabel 5", 3, "did you mean table?"),
        ("10.1.0.0/24 nexthop via x", 3, "not an IP address"),
    ] {
        let (route, errors) = read(written);
        assert_eq!(route, None, "{written}");
        assert!(errors.iter().any(|e| e.word == word && e.problem.contains(part)), "{written}: {errors:?}");
    }
}

#[test]
fn oddities_are_remarked_and_do_not_spoil_the_route() {
    let remarks = |text| {
        let found = read(text).0.unwrap().remarks();
        found
            .iter()
            .map(|remark| format!("{}: {}", remark.code, remark.problem))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(remarks("10.1.0.0/24 dev lo"), "");
    assert_eq!(remarks("10.1.0.0/24 dev lo protocol 18"), "");
    assert_eq!(remarks("10.1.0.0/24 dev lo protocol keepalived"), "");
    assert_eq!(remarks("10.1.0.0/24 protocol bird no_track"), "");
    assert!(
        remarks("10.1.0.0/24 via 10.1.0.1")
            .starts_with("route-not-tracked: the route to 10.1.0.0/24 names no")
    );
    assert!(remarks("10.1.0.0/24 dev lo protocol bird").contains("protocol bird is not used"));
    assert!(remarks("10.1.0.0/24 dev lo via 10.1.0.1 or 10.1.0.2").contains("write nexthop"));
    assert!(remarks("10.1.0.0/24 dev lo as to 100").contains("MPLS"));
}

#[test]
fn track_group_is_of_static_routes() {
    let fixed: Route = "10.1.0.0/24 dev lo track_group g".parse().unwrap();
    assert_eq!(
        (fixed.misplaced(Block::Virtual), fixed.misplaced(Block::Static)),
        (Some("track_group"), None)
    );
}

#[test]
fn in_yaml_it_is_the_same_text() {
    let route: Route = serde_json::from_str("\"10.1.0.0/24 dev lo scope link\"").unwrap();
    assert_eq!(route.scope, Some(Scope(253)));
    assert_eq!(serde_json::to_string(&route).unwrap(), "\"10.1.0.0/24 dev lo scope link\"");
    assert!("10.1.0.0/24 dev lo rtt x".parse::<Route>().is_err(), "YAML takes no half-read route");
}

proptest! {
    #[test]
    fn a_written_route_reads_back(route in strategy::route()) {
        let text = route.to_string();
        prop_assert_eq!(read(&text), (Some(route.clone()), vec![]), "{}", text);
        let json = serde_json::to_string(&route).unwrap();
        prop_assert_eq!(serde_json::from_str::<Route>(&json).unwrap(), route);
    }

    #[test]
    fn any_words_are_read_without_a_panic(
        words in prop::collection::vec(prop::sample::select(OPTIONS), 0..12),
        extra in prop::collection::vec("[a-z0-9/.:é-]{0,8}", 12),
    ) {
        let mixed: Vec<&str> = words.iter().copied().zip(&extra).flat_map(|(w, e)| [w, e.as_str()]).collect();
        let (route, errors) = Route::parse_in(&mixed, Block::Static);
        prop_assert!(route.is_some() || !errors.is_empty());
        prop_assert!(errors.iter().all(|e| e.word < mixed.len().max(1)));
    }
}
