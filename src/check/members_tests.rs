//! Groups as services of the kernel.

use proptest::prelude::*;

use super::*;
use crate::config::model::RealServer;

fn entry(text: &str) -> GroupEntry {
    let blank = GroupEntry { address: None, to: None, length: None, port: None, fwmark: None, family: None };
    let (first, rest) = text.split_once(' ').map_or((text, None), |(first, rest)| (first, Some(rest)));
    let port = rest.map(|port| port.parse().unwrap());
    if let Some((from, to)) = first.split_once('-') {
        return GroupEntry { address: from.parse().ok(), to: to.parse().ok(), port, ..blank };
    }
    if let Some((from, length)) = first.split_once('/') {
        return GroupEntry { address: from.parse().ok(), length: length.parse().ok(), port, ..blank };
    }
    match first.parse() {
        Ok(mark) => GroupEntry { fwmark: Some(mark), ..blank },
        Err(_) => GroupEntry { address: first.parse().ok(), port, ..blank },
    }
}

fn group(entries: &[&str]) -> VirtualServerGroup {
    let mut group = VirtualServerGroup::new("web".to_owned());
    group.entries = entries.iter().map(|text| entry(text)).collect();
    group
}

fn server() -> VirtualServer {
    VirtualServer {
        group: Some("web".to_owned()),
        protocol: Some(model::Protocol::Tcp),
        real_server: vec![RealServer::new([10, 1, 0, 1].into())],
        ..VirtualServer::default()
    }
}

fn keys(entries: &[&str]) -> Vec<String> {
    let (_, members) = of(&server(), &[group(entries)]).unwrap();
    members.iter().map(|member| member.key.to_string()).collect()
}

#[test]
fn each_kind_of_entry() {
    assert_eq!(
        keys(&["10.0.0.1 80", "10.0.1.1-10.0.1.3 81", "10.0.2.0/30 53", "7", "10.0.0.1 80"]),
        [
            "TCP 10.0.0.1:80",
            "TCP 10.0.1.1:81",
            "TCP 10.0.1.2:81",
            "TCP 10.0.1.3:81",
            "TCP 10.0.2.0:53",
            "TCP 10.0.2.1:53",
            "TCP 10.0.2.2:53",
            "TCP 10.0.2.3:53",
            "FWM 7"
        ]
    );
    assert_eq!(keys(&["2001:db8::fffe-2001:db8::1:1 80"]).len(), 4);
    assert_eq!(keys(&["2001:db8::1 80", "7"])[1], "FWM 7 IPv6");
}

#[test]
fn a_slip_of_the_pen_does_not_fill_the_kernel() {
    assert_eq!(keys(&["10.0.0.0/8 80"]).len(), WIDEST);
    assert_eq!(keys(&["::/0 80"]).len(), WIDEST);
    assert_eq!(keys(&["10.0.0.9-10.0.0.1 80"]), [""; 0]);
}

#[test]
fn any_port_in_a_group_brings_persistence_for_all() {
    let (_, members) = of(&server(), &[group(&["10.0.0.1 80", "10.0.0.2"])]).unwrap();
    let kept: Vec<_> = members.iter().map(|member| member.service.persistence.map(|p| p.timeout)).collect();
    assert_eq!(kept, [Some(PERSISTENCE); 2]);
}

#[test]
fn flags_are_bits_from_the_first_on() {
    let flags = |flag_1, flag_2, flag_3| {
        let server = VirtualServer { flag_1, flag_2, flag_3, ..server() };
        of(&server, &[group(&["7"])]).unwrap().1[0].service.scheduler_flags
    };
    assert_eq!([flags(true, false, false), flags(false, true, false), flags(true, false, true)], [1, 2, 5]);
}

#[test]
fn tunnels() {
    let tunnel = |kind, port, checksum| model::Tunnel { kind, port, checksum };
    let tun = Some(model::Method::Tun);
    let gue = tunnel(model::TunnelKind::Gue, Some(6080), Some(model::TunnelChecksum::Csum));
    assert_eq!(forward(tun, None), Forward::Tunnel);
    assert_eq!(forward(tun, Some(&gue)), Forward::Gue { port: 6080, checksum: Checksum::Full });
    let gre = tunnel(model::TunnelKind::Gre, None, Some(model::TunnelChecksum::Remcsum));
    assert_eq!(forward(tun, Some(&gre)), Forward::Gre { checksum: Checksum::Remote });
    assert_eq!(forward(Some(model::Method::Dr), Some(&gre)), Forward::DirectRoute);
}

proptest! {
    /// A range has as many addresses as it says, all of its family, each one once, from its first to its last.
    #[test]
    fn ranges(first in any::<u32>(), count in 0u32..300) {
        let last = first.saturating_add(count);
        let text = format!("{}-{} 80", Ipv4Addr::from(first), Ipv4Addr::from(last));
        let all: Vec<IpAddr> = addresses(&entry(&text)).collect();
        prop_assert_eq!(all.len(), usize::try_from(last - first).unwrap() + 1);
        prop_assert_eq!(all.first(), Some(&IpAddr::from(Ipv4Addr::from(first))));
        prop_assert_eq!(all.last(), Some(&IpAddr::from(Ipv4Addr::from(last))));
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }

    /// The services of one virtual server are different ones, whatever the entries.
    #[test]
    fn members_are_unique(entries in proptest::collection::vec((0u8..3, 0u8..4, 0u16..2), 0..6)) {
        let lines: Vec<String> = entries
            .into_iter()
            .map(|(first, more, port)| format!("10.0.0.{first}-10.0.0.{} {port}", first + more))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let keys = keys(&lines);
        let unique: BTreeSet<_> = keys.iter().collect();
        prop_assert_eq!(unique.len(), keys.len());
    }
}
