//! Adverts that other implementations really sent (`tests/captures/README.md`): they are read, and what Tandem would
//! send in their place is the same to the bit.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use tandem::config::model::VrrpVersion;
use tandem::vrrp::auth::ah;
use tandem::vrrp::auth::replay::Counter;
use tandem::vrrp::datagram::dissect;
use tandem::vrrp::packet::{Advert, AuthField, ParseError};

/// One frame of a scene.
struct Frame {
    /// The IP packet with the padding of the frame.
    packet: Vec<u8>,
}

fn captures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn scene(name: &str) -> Vec<Frame> {
    let path = captures().join(name).with_extension("hex");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let frames: Vec<Frame> =
        lines.map(|line| Frame { packet: bytes(line.split_once(' ').unwrap().1).split_off(14) }).collect();
    assert!(!frames.is_empty(), "{name} has no frames: make it anew");
    frames
}

/// (payload, source, destination, TTL), of either family.
fn opened(packet: &[u8]) -> (Vec<u8>, IpAddr, IpAddr, u8) {
    if packet[0] >> 4 == 4 {
        let arrived = dissect(packet);
        return (arrived.payload.to_vec(), arrived.source, arrived.destination, arrived.ttl);
    }
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
    assert_eq!(packet[6], 112, "VRRP behind the IPv6 header");
    (packet[40..40 + length].to_vec(), address(8), address(24), packet[7])
}

fn four(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 7, 0, last).into()
}

fn six(high: u16) -> IpAddr {
    let second = if high == 0x2001 { 0xdb8 } else { 0 };
    Ipv6Addr::new(high, second, 0, 0, 0, 0, 0, 0x100).into()
}

const V2: VrrpVersion = VrrpVersion::V2;
const V3: VrrpVersion = VrrpVersion::V3;
const PASS: AuthField = AuthField::Pass(*b"lab-pass");

/// scene, version, priority, interval in ms, authentication, addresses, unicast?, ends with priority 0?
type Expected = (&'static str, VrrpVersion, u8, u64, AuthField, Vec<IpAddr>, bool, bool);

fn expected() -> Vec<Expected> {
    let none = AuthField::None;
    let one = || vec![four(100)];
    let three = || vec![four(100), four(101), four(102)];
    vec![
        ("ka_v2", V2, 150, 1000, none, three(), false, true),
        ("ka_v2_pass", V2, 150, 1000, PASS, one(), false, true),
        ("ka_v2_twenty", V2, 254, 2000, none, (100..120).map(four).collect(), false, true),
        ("ka_v2_unicast", V2, 150, 1000, PASS, one(), true, true),
        ("ka_v3", V3, 150, 1000, none, three(), false, true),
        ("ka_v3_unicast", V3, 150, 1000, none, one(), true, true),
        ("ka_v3_fast", V3, 150, 10, none, one(), false, true),
        ("ka_v3_slow", V3, 255, 40_950, none, one(), false, true),
        ("ka_v6", V3, 150, 1000, none, vec![six(0xfe80), six(0x2001)], false, true),
        ("ka_v6_unicast", V3, 150, 1000, none, vec![six(0xfe80)], true, true),
        ("frr_v2", V2, 200, 1000, none, one(), false, false),
        ("frr_v3", V3, 200, 1000, none, one(), false, true),
        ("frr_v6", V3, 200, 1000, none, vec![six(0xfe80)], false, false),
    ]
}

#[test]
fn they_are_read_and_sent_alike() {
    for (name, version, priority, interval, auth, addresses, unicast, ends) in expected() {
        let frames = scene(name);
        for (at, frame) in frames.iter().enumerate() {
            let (payload, source, destination, ttl) = opened(&frame.packet);
            let advert = Advert::parse(&payload, source, destination)
                .unwrap_or_else(|error| panic!("{name}, frame {at}: {error}"));
            let last = ends && at + 1 == frames.len();
            let wanted = Advert {
                version,
                vrid: 51,
                priority: if last { 0 } else { priority },
                interval: Duration::from_millis(interval),
                auth,
                addresses: addresses.clone(),
            };
            assert_eq!(advert, wanted, "{name}, frame {at}");
            assert_eq!(advert.encode(source, destination), payload, "{name}, frame {at}");
            // Over IPv6 keepalived leaves the hop limit of unicast to the kernel.
            let hops = if unicast && source.is_ipv6() { 64 } else { 255 };
            assert_eq!((ttl, destination.is_multicast()), (hops, !unicast), "{name}, frame {at}");
        }
    }
}

#[test]
fn the_old_checksum_of_unicast_names_the_group_as_its_destination() {
    let group = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
    for frame in scene("ka_v3_old_checksum") {
        let (payload, source, destination, _) = opened(&frame.packet);
        let error = Advert::parse(&payload, source, destination).unwrap_err();
        assert!(matches!(error, ParseError::Checksum { without_pseudo_header: false, .. }), "{error:?}");
        let advert = Advert::parse(&payload, source, group).unwrap();
        assert_eq!(advert.encode(source, group), payload);
    }
}

/// The authenticated scenes with their passwords.
const AH: [(&str, &str); 4] = [
    ("ka_v2_ah", "lab-pass"),
    ("ka_v2_ah_short", "abc"),
    ("ka_v2_ah_unicast", "lab-pass"),
    ("ka_v2_ah_handover", "lab-pass"),
];

#[test]
fn authentication_headers_are_verified_and_sent_alike() {
    for (name, password) in AH {
        let key = ah::Key::of_password(password);
        let mut counter = Counter::default();
        for (at, frame) in scene(name).iter().enumerate() {
            let packet = &frame.packet;
            let opened = ah::open(&key, packet).unwrap_or_else(|error| panic!("{name}, frame {at}: {error}"));
            assert_eq!(opened.number, u32::try_from(at).unwrap() + 1, "one counter, whoever sends");
            opened.judge(&mut counter).unwrap();
            assert!(opened.judge(&mut counter).is_err(), "a recording is not believed");
            assert!(ah::open(&ah::Key::of_password("other"), packet).is_err());
            let (source, destination) = (opened.source, opened.destination);
            let advert = Advert::parse(opened.message, source.into(), destination.into()).unwrap();
            assert_eq!(advert.auth, AuthField::Unknown(ah::AUTH_TYPE));
            assert_eq!(advert.encode(source.into(), destination.into()), opened.message);
            let fields = ah::IpFields {
                source,
                destination,
                tos: packet[1],
                identification: u16::from_be_bytes([packet[4], packet[5]]),
                ttl: opened.ttl,
            };
            let mut sent = ah::seal(&key, opened.number, &fields, opened.message);
            // The kernel writes the header checksum.
            sent[10..12].copy_from_slice(&packet[10..12]);
            assert_eq!(&sent, packet, "{name}, frame {at}");
        }
    }
}

#[test]
fn every_capture_is_looked_at() {
    let listed = |name: &str| {
        name == "ka_v3_old_checksum"
            || expected().iter().any(|e| e.0 == name)
            || AH.iter().any(|(scene, _)| *scene == name)
    };
    for entry in fs::read_dir(captures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "hex") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(listed(name), "{name}.hex is compared with nothing");
        }
    }
}
