use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn socket() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddr::new(IpAddr::V4(ip.into()), port)),
        any::<(u128, u16)>().prop_map(|(ip, port)| SocketAddr::new(IpAddr::V6(ip.into()), port)),
    ]
}

fn some_protocol() -> impl Strategy<Value = Option<Protocol>> {
    of(select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp]))
}

pub(crate) fn service() -> impl Strategy<Value = ServiceName> {
    prop_oneof![
        (some_protocol(), socket()).prop_map(|(protocol, at)| ServiceName::Address { protocol, at }),
        (1u32.., of(select(&[IpFamily::Inet, IpFamily::Inet6])))
            .prop_map(|(mark, family)| ServiceName::Fwmark { mark, family }),
        ("[a-z][a-z0-9_.-]{0,12}", some_protocol())
            .prop_map(|(name, protocol)| ServiceName::Group { name, protocol }),
    ]
}

/// Overrides that mean something.
pub(crate) fn any_override() -> impl Strategy<Value = RealServerOverride> {
    let change = (of(any::<u16>()), of(select(&STATES[..])));
    let kind = prop_oneof![
        3 => Just(OverrideKind::Change),
        1 => of(socket()).prop_map(|like| OverrideKind::Add { like }),
        1 => Just(OverrideKind::Delete),
    ];
    let until = of("20[0-9]{2}-1[0-2]-[0-2][0-9]T1[0-9]:[0-5][0-9]:[0-5][0-9]Z");
    let said = (of("[a-z]{1,8}\\(uid=[0-9]{1,4},pid=[0-9]{1,5}\\)"), of("2026-11-21T18:[0-5][0-9]:00Z"));
    (service(), socket(), kind, change, until, said)
        .prop_map(|(service, server, kind, (weight, state), until, (by, at))| {
            let bare = kind == OverrideKind::Delete;
            let (weight, state) = if bare { (None, None) } else { (weight, state) };
            let until = until.filter(|_| state.is_some());
            RealServerOverride { service, server, kind, weight, state, until, by, at }
        })
        .prop_filter("means something", |one| !one.is_empty())
}

#[test]
fn lines() {
    for text in [
        "TCP 192.0.2.1:80 10.1.0.1:80 weight 5",
        "UDP [2001:db8::1]:53 [2001:db8::2]:53 drain by root(uid=0,pid=7) at 2026-11-21T18:00:00Z",
        "FWM 5 10.1.0.1:0 disabled",
        "FWM 5 IPv6 [2001:db8::2]:0 enabled",
        "group web TCP 10.1.0.1:80 add like 10.1.0.2:80 weight 0",
        "group web 10.1.0.1:80 add",
        "192.0.2.1:80 10.1.0.1:80 delete",
        "TCP 192.0.2.1:0 10.1.0.1:0 weight 65535 drain",
        "TCP 192.0.2.1:80 10.1.0.1:80 weight 5 drain until 2026-11-21T19:00:00Z by root(uid=0,pid=7)",
    ] {
        let read: RealServerOverride = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read.to_string(), text);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_word() {
    for (text, word, says) in [
        ("", 0, "no virtual server is named"),
        ("TCP", 0, "TCP without address"),
        ("TCP nowhere 10.1.0.1:80 drain", 1, "is no ADDRESS:PORT of a virtual server"),
        ("FWM 0 10.1.0.1:80 drain", 1, "firewall mark"),
        ("group", 0, "group NAME"),
        ("TCP 192.0.2.1:80", 2, "no real server is named"),
        ("TCP 192.0.2.1:80 10.1.0.1 drain", 2, "is no ADDRESS:PORT of a real server"),
        ("TCP 192.0.2.1:80 10.1.0.1:80", 0, "changes nothing"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 weight", 3, "weight without"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 weight 65536", 4, "from 0 to 65535"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 drian", 3, "\"drian\" is not known here"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 like 10.1.0.2:80", 3, "like belongs behind add"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 until 2026-11-21T19:00:00Z", 3, "until belongs behind"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 drain until soon", 5, "is not a time like"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 drain until 2026-11-21 19:00", 5, "is not a time like"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 add delete", 4, "\"delete\" is not known here"),
        ("TCP 192.0.2.1:80 10.1.0.1:80 delete weight 1", 0, "delete goes with neither"),
    ] {
        let words: Vec<&str> = text.split_whitespace().collect();
        let error = RealServerOverride::parse(&words).expect_err(text);
        assert_eq!(error.word, word, "{text}: {error}");
        assert!(error.problem.contains(says), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn a_written_override_reads_back(one in any_override()) {
        prop_assert_eq!(one.to_string().parse::<RealServerOverride>(), Ok(one));
    }

    #[test]
    fn no_line_panics(words in prop::collection::vec("TCP|FWM|group|5|add|like|delete|weight|by|at|drain|10.0.0.1:80|\\PC{0,6}", 0..9)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _ = RealServerOverride::parse(&words);
    }
}
