use super::*;
use proptest::prelude::*;

const FIELDS: IpFields = IpFields {
    source: Ipv4Addr::new(10, 7, 0, 1),
    destination: Ipv4Addr::new(224, 0, 0, 18),
    tos: 0xc0,
    identification: 7,
    ttl: 255,
};

fn key() -> Key {
    Key::of_password("lab-pass")
}

fn peer() -> IpFields {
    IpFields { destination: Ipv4Addr::new(10, 7, 0, 2), ..FIELDS }
}

/// Why a packet is refused, by the name of its counter.
fn refused(packet: &[u8]) -> &'static str {
    open(&key(), packet).expect_err("refused").name()
}

#[test]
fn the_digest_is_the_one_of_rfc_2202() {
    // Test case 2 of section 2, the one whose key has no more than 8 bytes.
    let mut mac = <Hmac<Md5>>::new(&md5_block(&Key::of_password("Jefe")));
    mac.update(b"what do ya want for nothing?");
    let digest: Vec<String> = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest.concat(), "750c783e6ab0b503eaa86e310a5db738");
}

#[test]
fn what_is_sealed_is_opened() {
    for fields in [FIELDS, peer()] {
        let packet = seal(&key(), 42, &fields, b"message");
        let opened = open(&key(), &packet).unwrap();
        assert_eq!((opened.number, opened.message, opened.ttl), (42, b"message".as_slice(), 255));
        assert_eq!((opened.source, opened.destination), (fields.source, fields.destination));
    }
}

#[test]
fn only_the_first_eight_bytes_of_a_password_count_and_none_is_shown() {
    assert_eq!(Key::of_password("lab-pass-and-more"), key());
    assert_ne!(Key::of_password("lab-pas"), key());
    assert_eq!(format!("{:?}", key()), "XXXXXX");
}

#[test]
fn a_zero_identification_is_never_signed() {
    let packet = seal(&key(), 1, &IpFields { identification: 0, ..FIELDS }, b"");
    assert_eq!(packet[4..6], [0, 1]);
}

#[test]
fn tos_and_header_checksum_may_change_and_the_ttl_only_in_unicast() {
    for (fields, at, survives) in [
        (FIELDS, 1, true),
        (FIELDS, 10, true),
        (FIELDS, 11, true),
        (FIELDS, 8, false),
        (peer(), 8, true),
        (FIELDS, 4, false),
        (peer(), 5, false),
        (peer(), 12, false),
        (peer(), 19, false),
        (peer(), 28, false),
        (peer(), 31, false),
        (peer(), 32, false),
        (peer(), 43, false),
        (peer(), 44, false),
    ] {
        let mut packet = seal(&key(), 1, &fields, b"message");
        packet[at] ^= 1;
        assert_eq!(open(&key(), &packet).is_ok(), survives, "byte {at} of {fields:?}");
    }
}

#[test]
fn padding_is_cut_off_and_options_are_signed() {
    let mut packet = seal(&key(), 1, &FIELDS, b"message");
    packet.extend([0; 9]);
    assert_eq!(open(&key(), &packet).unwrap().message, b"message");
    // With the router alert option: keepalived 2.2.7 takes such a packet, the option signed as it is.
    let mut packet = seal(&key(), 1, &FIELDS, b"message");
    packet[0] = 0x46;
    packet[3] += 4;
    packet.splice(20..20, [0x94, 4, 0, 0]);
    assert_eq!(refused(&packet), "auth_invalid_hmac");
    packet[36..48].fill(0);
    let icv = signature(&key(), &packet, 24).finalize().into_bytes();
    packet[36..48].copy_from_slice(&icv[..12]);
    assert_eq!(open(&key(), &packet).unwrap().message, b"message");
    packet[22] = 1;
    assert_eq!(refused(&packet), "auth_invalid_hmac");
}

#[test]
fn refusals_and_their_names() {
    let good = seal(&key(), 9, &FIELDS, b"message");
    let with = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        refused(&packet)
    };
    assert_eq!(open(&Key::of_password("other"), &good).unwrap_err().name(), "auth_invalid_hmac");
    assert_eq!(with(0, 0x55), "auth_malformed");
    assert_eq!(with(0, 0x41), "auth_malformed");
    assert_eq!(with(3, 200), "auth_malformed");
    assert_eq!(with(6, 0x20), "auth_malformed");
    assert_eq!(with(7, 1), "auth_malformed");
    assert_eq!(with(6, 0x40), "auth_invalid_hmac", "don't fragment is signed, as keepalived does it");
    assert_eq!(with(9, 112), "auth_missing");
    assert_eq!(with(9, 6), "auth_malformed");
    assert_eq!(with(20, 6), "auth_malformed");
    assert_eq!(with(21, 5), "auth_malformed");
    assert_eq!(with(24, 11), "auth_malformed");
    for length in 0..good.len() {
        assert_eq!(refused(&good[..length]), "auth_malformed", "{length} bytes");
    }
}

#[test]
fn one_packet_is_believed_once() {
    let packet = seal(&key(), 9, &FIELDS, b"message");
    let mut counter = Counter::default();
    let opened = open(&key(), &packet).unwrap();
    opened.judge(&mut counter).unwrap();
    let again = opened.judge(&mut counter).unwrap_err();
    assert_eq!(again.name(), "auth_replay");
    assert!(again.to_string().contains("10.7.0.1 sends number 0x9 after 0x9"), "{again}");
    assert_eq!(counter.next(0), 10);
}

proptest! {
    #[test]
    fn any_bytes_at_all_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = open(&key(), &bytes) {
            prop_assert!(!error.to_string().is_empty() && !error.name().is_empty());
        }
    }

    #[test]
    fn a_changed_signed_byte_is_never_believed(
        message in prop::collection::vec(any::<u8>(), 0..64),
        number in any::<u32>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut packet = seal(&key(), number, &FIELDS, &message);
        let at = at.index(packet.len());
        packet[at] ^= flip;
        prop_assert_eq!(open(&key(), &packet).is_ok(), [1, 10, 11].contains(&at));
    }
}
