//! The advert on the wire: images from keepalived and from an independent implementation of the checksum, and
//! what must hold for any bytes at all.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_packet::util::{ipv4_checksum, ipv6_checksum};
use proptest::prelude::*;
use tandem::config::model::VrrpVersion;
use tandem::vrrp::accept::{Datagram, Rules, accept};
use tandem::vrrp::packet::{
    Advert, AuthField, ChecksumMode, PROTOCOL, ParseError, interval_centiseconds, interval_seconds,
};

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

/// Hexadecimal digits with spaces.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn keepalived_version_2_image_with_a_password() {
    // Sent by keepalived 2.2.7: VRID 51, priority 150, two addresses, auth_pass secret99.
    let mut image = hex("2133 9602 0101 bd68 0a090064 0a090065");
    image.extend(b"secret99");
    let source = ip("10.9.0.1");
    let advert = Advert::parse(&image, source, GROUP).unwrap();
    assert_eq!(
        advert,
        Advert {
            version: VrrpVersion::V2,
            vrid: 51,
            priority: 150,
            interval: Duration::from_secs(1),
            auth: AuthField::Pass(*b"secret99"),
            addresses: vec![ip("10.9.0.100"), ip("10.9.0.101")],
        }
    );
    assert_eq!(advert.encode(source, GROUP), image);
    // The version 2 checksum knows no addresses of the IP header.
    assert_eq!(Advert::parse(&image, ip("192.0.2.1"), ip("192.0.2.2")).unwrap(), advert);
}

#[test]
fn version_2_image_without_a_password_has_its_eight_bytes_too() {
    let advert = Advert {
        version: VrrpVersion::V2,
        vrid: 1,
        priority: 100,
        interval: Duration::from_secs(3),
        auth: AuthField::None,
        addresses: vec![ip("192.168.0.1")],
    };
    // By hand: 2101+6401+0003+c0a8+0001 = 145ae, folded 45af, complement ba50.
    let image = hex("2101 6401 0003 ba50 c0a8 0001 0000000000000000");
    assert_eq!(advert.encode(ip("192.168.0.30"), GROUP), image);
    assert_eq!(Advert::parse(&image, ip("192.168.0.30"), GROUP).unwrap(), advert);
}

#[test]
fn version_3_image_without_the_pseudo_header_is_recognised_and_named() {
    // Image of draft-cassen-vrrp-auth-hmac without its trailer: its checksum leaves the pseudo header out.
    let image = hex("3133c80100644402c0000264");
    let error = Advert::parse(&image, ip("198.51.100.10"), GROUP).unwrap_err();
    assert!(
        matches!(error, ParseError::Checksum { found: 0x4402, without_pseudo_header: true, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("v3_checksum_as_v2"), "{error}");
    // A wrong one is not excused.
    let image = hex("3133c80100644403c0000264");
    let error = Advert::parse(&image, ip("198.51.100.10"), GROUP).unwrap_err();
    assert!(matches!(error, ParseError::Checksum { without_pseudo_header: false, .. }), "{error:?}");
}

#[test]
fn version_3_images_of_both_families() {
    let four = Advert {
        version: VrrpVersion::V3,
        vrid: 51,
        priority: 200,
        interval: Duration::from_secs(1),
        auth: AuthField::None,
        addresses: vec![ip("192.0.2.100")],
    };
    let bytes = four.encode(ip("198.51.100.10"), GROUP);
    // The image above with the pseudo header: bbfd + (c633+640a+e000+0012+000c+0070) = c6ca, complement 3935.
    assert_eq!(bytes, hex("3133c8010064 3935 c0000264"));
    let six = Advert { addresses: vec![ip("fe80::100")], ..four };
    let bytes = six.encode(ip("fe80::10"), GROUP6);
    assert_eq!(bytes[..6], hex("3133c8010064"));
    assert_eq!(bytes[8..], hex("fe800000000000000000000000000100"));
    assert_eq!(Advert::parse(&bytes, ip("fe80::10"), GROUP6).unwrap(), six);
}

#[test]
fn the_reserved_bits_of_version_3_are_ignored() {
    let source = Ipv4Addr::new(10, 0, 0, 1);
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let mut image = hex("3101 6401 f064 0000 0a000064");
    let sum = ipv4_checksum(&image, 3, &[], &source, &group, IpNextHeaderProtocol(PROTOCOL));
    image[6..8].copy_from_slice(&sum.to_be_bytes());
    let advert = Advert::parse(&image, source.into(), GROUP).unwrap();
    assert_eq!(advert.interval, Duration::from_secs(1));
    assert_eq!(advert.encode(source.into(), GROUP)[4], 0);
}

#[test]
fn refusals_carry_their_figures() {
    let source = ip("10.0.0.1");
    let of = |bytes: &[u8]| Advert::parse(bytes, source, GROUP).unwrap_err();
    assert_eq!(of(&[0x21; 7]), ParseError::TooShort { length: 7 });
    assert_eq!(of(&[0x51; 8]), ParseError::Version { found: 5 });
    assert_eq!(of(&[0x23; 8]), ParseError::Type { found: 3 });
    assert_eq!(
        of(&hex("3101 6402 0064 0000 0a000064")),
        ParseError::Length { version: 3, length: 12, expected: 16, count: 2 }
    );
    // A version 2 message without its authentication data.
    assert_eq!(
        of(&hex("2101 6401 0001 0000 0a000064")),
        ParseError::Length { version: 2, length: 12, expected: 20, count: 1 }
    );
    // The padding of a short Ethernet frame is the socket's business: here it is a wrong length.
    assert_eq!(
        of(&hex("3101 6401 0064 0000 0a000064 000000000000")),
        ParseError::Length { version: 3, length: 18, expected: 12, count: 1 }
    );
    assert_eq!(Advert::parse(&[0x21; 20], ip("fe80::1"), GROUP6), Err(ParseError::Version2OverIpv6));
    assert!(matches!(Advert::parse(&[0x31; 20], source, GROUP6), Err(ParseError::MixedFamilies { .. })));
}

#[test]
fn intervals_are_rounded_to_what_can_be_said() {
    let ms = Duration::from_millis;
    for (interval, seconds, centiseconds) in [
        (ms(0), 0, 0),
        (ms(1), 1, 1),
        (ms(14), 1, 1),
        (ms(15), 1, 2),
        (ms(1499), 1, 150),
        (ms(1500), 2, 150),
        (ms(40_950), 41, 4095),
        (ms(255_000), 255, 4095),
        (Duration::MAX, 255, 4095),
    ] {
        assert_eq!(interval_seconds(interval), seconds, "{interval:?}");
        assert_eq!(interval_centiseconds(interval), centiseconds, "{interval:?}");
    }
}

#[test]
fn what_cannot_be_said_is_left_out() {
    let advert = Advert {
        version: VrrpVersion::V3,
        vrid: 1,
        priority: 1,
        interval: Duration::from_secs(1),
        auth: AuthField::None,
        addresses: std::iter::once(ip("fe80::1"))
            .chain((0..300_u32).map(|n| Ipv4Addr::from(n).into()))
            .collect(),
    };
    let bytes = advert.encode(ip("10.0.0.1"), GROUP);
    assert_eq!((bytes[3], bytes.len()), (255, 8 + 255 * 4));
    assert_eq!(Advert::parse(&bytes, ip("10.0.0.1"), GROUP).unwrap().addresses, advert.addresses[1..256]);
}

fn any_version() -> impl Strategy<Value = VrrpVersion> {
    prop_oneof![Just(VrrpVersion::V2), Just(VrrpVersion::V3)]
}

fn any_v4() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 4]>().prop_map(IpAddr::from)
}

fn any_v6() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 16]>().prop_map(IpAddr::from)
}

/// Any advert that can be sent, with source and destination.
fn any_sendable() -> impl Strategy<Value = (Advert, IpAddr, IpAddr)> {
    let auth = prop_oneof![
        Just(AuthField::None),
        any::<[u8; 8]>().prop_map(AuthField::Pass),
        (2..=255_u8).prop_map(AuthField::Unknown)
    ];
    let fields = (any_version(), any::<u8>(), any::<u8>(), 0..4096_u64, auth, any::<bool>());
    fields.prop_flat_map(|(version, vrid, priority, interval, auth, six)| {
        let ipv6 = six && version == VrrpVersion::V3;
        let address = if ipv6 { any_v6().boxed() } else { any_v4().boxed() };
        let addresses = prop::collection::vec(address.clone(), 0..=255);
        (addresses, address.clone(), address).prop_map(move |(addresses, source, destination)| {
            let (interval, auth) = match version {
                VrrpVersion::V2 => (Duration::from_secs(interval % 256), auth),
                VrrpVersion::V3 => (Duration::from_millis(interval * 10), AuthField::None),
            };
            (Advert { version, vrid, priority, interval, auth, addresses }, source, destination)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn parse_undoes_encode((advert, source, destination) in any_sendable()) {
        let bytes = advert.encode(source, destination);
        prop_assert_eq!(Advert::parse(&bytes, source, destination), Ok(advert));
    }

    #[test]
    fn the_checksum_is_the_one_of_an_independent_implementation((advert, source, destination) in any_sendable()) {
        let bytes = advert.encode(source, destination);
        let protocol = IpNextHeaderProtocol(PROTOCOL);
        let expected = match (advert.version, source, destination) {
            (VrrpVersion::V2, _, _) => pnet_packet::util::checksum(&bytes, 3),
            (VrrpVersion::V3, IpAddr::V4(s), IpAddr::V4(d)) => ipv4_checksum(&bytes, 3, &[], &s, &d, protocol),
            (VrrpVersion::V3, IpAddr::V6(s), IpAddr::V6(d)) => ipv6_checksum(&bytes, 3, &[], &s, &d, protocol),
            (VrrpVersion::V3, _, _) => unreachable!("one family"),
        };
        prop_assert_eq!(u16::from_be_bytes([bytes[6], bytes[7]]), expected);
    }

    #[test]
    fn any_bytes_at_all_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..1500),
        six in any::<bool>(),
        ttl in any::<u8>(),
    ) {
        let (source, destination) = if six { (ip("fe80::2"), GROUP6) } else { (ip("10.0.0.2"), GROUP) };
        let _ = Advert::parse(&bytes, source, destination);
        let rules = Rules {
            version: VrrpVersion::V3,
            vrid: bytes.get(1).copied().unwrap_or(1),
            ipv6: six,
            password: None,
            ah: false,
            checksum: ChecksumMode::Rfc,
            advert_int: Duration::from_secs(1),
            addresses: BTreeSet::new(),
            own: None,
            own_priority: None,
            unicast: None,
        };
        if let Err(discard) = accept(&rules, &Datagram { payload: &bytes, source, destination, ttl }) {
            prop_assert!(!discard.name().is_empty() && !discard.to_string().is_empty());
        }
    }

    #[test]
    fn one_changed_byte_or_a_cut_is_never_the_same_advert(
        (advert, source, destination) in any_sendable(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let good = advert.encode(source, destination);
        let mut bytes = good.clone();
        bytes[at.index(good.len())] ^= flip;
        let parsed = Advert::parse(&bytes, source, destination);
        prop_assert!(parsed.is_err(), "{parsed:?}");
        prop_assert!(Advert::parse(&good[..cut.index(good.len())], source, destination).is_err());
    }
}
