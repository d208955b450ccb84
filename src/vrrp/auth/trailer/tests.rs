use std::net::Ipv4Addr;

use super::*;
use crate::config::model::VrrpVersion;
use crate::vrrp::packet::{Advert, AuthField};
use proptest::prelude::*;

/// The images' number: their clock.
const IMAGE: u64 = 0x6800_0000_8000_0000;
const IMAGE_NOW: Duration = Duration::from_secs(0x6800_0000);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key(id: u8) -> Key {
    let secret: Vec<u8> = (0..32).map(|byte| byte + (id - 1)).collect();
    Key::new(id, &secret).unwrap()
}

fn settings() -> Settings {
    Settings::new(&AuthHmac::default(), KeyRing::new(key(1), vec![key(9)]), Duration::from_secs(1))
}

fn with(anti_replay: AntiReplay, mode: HmacMode) -> Settings {
    Settings { anti_replay, mode, ..settings() }
}

const V4: &str = "3133c80100644402c0000264 010100006800000080000000 1b84bc4e8e43892dc6d98448f8ee2265";
const V6: &str = "3133c8010064a2e9fe800000000000000000000000000100 010100006800000080000000 c8c56146ebfd66ee10ec4d8186461b78";

/// What an image is judged to be.
fn judged(payload: &[u8], source: &str) -> Result<Option<Proof>, AuthError> {
    Receiver::default().judge(&settings(), payload, ip(source), IMAGE_NOW).map(|checked| checked.proof)
}

#[test]
fn the_digest_is_the_one_of_rfc_4231() {
    // Test case 7 has a key that is longer than ours may be; case 4 has 25 bytes, filled up with zeros here as HMAC does.
    let mut secret: Vec<u8> = (1..=25).collect();
    secret.resize(64, 0);
    let mut block = Block::<Hmac<Sha256>>::default();
    block.copy_from_slice(Key::new(1, &secret).unwrap().block());
    let mut mac = <Hmac<Sha256>>::new(&block);
    mac.update(&[0xcd; 50]);
    let expected = hex("82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    assert_eq!(mac.finalize().into_bytes()[..], expected);
}

#[test]
fn the_images_of_the_draft() {
    let good = Some(Proof { key: 1, ahead: 0, skewed: false });
    for (image, source, length) in [(V4, "198.51.100.10", 12), (V6, "fe80::10", 24)] {
        let image = hex(image);
        assert_eq!(judged(&image, source), Ok(good));
        let mut message = image[..length].to_vec();
        // The checksum is no part of what is signed: start from any.
        message[6..8].copy_from_slice(&[0xab, 0xcd]);
        let sealed = seal(&settings().keys, IMAGE, message, ip(source));
        assert_eq!(sealed[..6], image[..6]);
        assert_eq!(sealed[8..], image[8..]);
    }
}

#[test]
fn over_ipv6_the_checksum_takes_the_trailer_in() {
    let (source, destination) = (ip("fe80::10"), ip("fe80::20"));
    let advert = Advert {
        version: VrrpVersion::V3,
        vrid: 51,
        priority: 200,
        interval: Duration::from_secs(1),
        auth: AuthField::None,
        addresses: vec![ip("fe80::100")],
    };
    let message = advert.encode(source, destination);
    assert_eq!(seal(&settings().keys, IMAGE, message.clone(), source), hex(V6));
    let (image, mut receiver) = (hex(V6), Receiver::default());
    let checked = receiver.judge(&settings(), &image, source, IMAGE_NOW).unwrap();
    assert_eq!(*checked.message, message);
    // Without the trailer the checksum of the image is wrong, and wrong it stays.
    let mut wrong = hex(V6);
    wrong[7] ^= 4;
    let checked =
        Receiver::default().judge(&settings(), &wrong, source, IMAGE_NOW).unwrap().message.into_owned();
    assert!(Advert::parse(&checked, source, destination).is_err());
}

#[test]
fn who_signed_is_known_however_old_it_is() {
    for (image, source) in [(V4, "198.51.100.10"), (V6, "fe80::10")] {
        let (image, source) = (hex(image), ip(source));
        let late = IMAGE_NOW + Duration::from_secs(3600);
        let judged = Receiver::default().judge(&settings(), &image, source, late).unwrap_err();
        assert!(matches!(judged, AuthError::Stale { ahead: -3600, .. }), "{judged}");
        assert!(is_signed(&settings(), &image, source));
        let trailer = image.len() - LENGTH;
        for at in 0..image.len() * 8 {
            let mut changed = image.clone();
            changed[at / 8] ^= 0x80 >> (at % 8);
            // Neither the checksum nor the reserved field can be changed into a proof of something else.
            if ![6, 7].contains(&(at / 8)) {
                assert!(!is_signed(&settings(), &changed, source), "bit {at}");
            }
        }
        assert!(!is_signed(&settings(), &image[..trailer], source) && !is_signed(&settings(), &[], source));
    }
}

#[test]
fn every_flipped_bit_has_its_name() {
    for (image, source) in [(V4, "198.51.100.10"), (V6, "fe80::10")] {
        let image = hex(image);
        let trailer = image.len() - LENGTH;
        for at in 0..image.len() * 8 {
            let mut changed = image.clone();
            changed[at / 8] ^= 0x80 >> (at % 8);
            let name = judged(&changed, source).map_or_else(|error| error.name(), |_| "good");
            let expected: &[&str] = match at / 8 {
                // Another version or count is another length.
                0 | 3 => &["auth_malformed", "auth_invalid_hmac", "auth_missing", "good"],
                6 | 7 => &["good"],
                byte if byte < trailer => &["auth_invalid_hmac"],
                byte => match byte - trailer {
                    0 | 2 | 3 => &["auth_malformed"],
                    1 => &["auth_unknown_key", "auth_invalid_hmac"],
                    4..=7 => &["auth_stale", "auth_invalid_hmac"],
                    _ => &["auth_invalid_hmac"],
                },
            };
            assert!(expected.contains(&name), "bit {at}: {name}, expected {expected:?}");
            if name == "good" && !matches!(at / 8, 6 | 7) {
                // Nothing was proved: the message is shorter than it says, which the parser refuses.
                assert_eq!(judged(&changed, source), Ok(None));
                assert!(Advert::parse(&changed, ip(source), ip(source)).is_err());
            }
        }
        assert_eq!(
            judged(&image, if source.contains(':') { "fe80::11" } else { "198.51.100.11" })
                .unwrap_err()
                .name(),
            "auth_invalid_hmac"
        );
    }
}

#[test]
fn what_is_asked_for_by_each_mode() {
    let image = hex(V4);
    let source = ip("198.51.100.10");
    let bare = &image[..12];
    for (mode, without, signs) in [
        (HmacMode::Enforce, "auth_missing", true),
        (HmacMode::Permissive, "taken", true),
        (HmacMode::ReceiveOnly, "taken", false),
    ] {
        let settings = with(AntiReplay::Time, mode);
        let name = |payload: &[u8]| {
            let judged = Receiver::default().judge(&settings, payload, source, IMAGE_NOW);
            judged.map_or_else(|error| error.name(), |_| "taken")
        };
        assert_eq!((name(bare), name(&image), settings.signs()), (without, "taken", signs), "{mode:?}");
        let mut wrong = image.clone();
        wrong[39] ^= 1;
        assert_eq!(name(&wrong), "auth_invalid_hmac", "a wrong trailer is never taken: {mode:?}");
        assert_eq!(name(&image[..39]), "auth_malformed");
        assert_eq!(name(&image[..13]), "auth_malformed");
    }
}

#[test]
fn a_receiver_without_the_extension_refuses_the_length() {
    let error = Advert::parse(&hex(V4), ip("198.51.100.10"), ip("224.0.0.18")).unwrap_err();
    assert!(error.to_string().contains("40 bytes"), "{error}");
}

/// Signs a message for a number, by a key.
fn signed(sequence: u64, keys: &KeyRing, source: IpAddr) -> Vec<u8> {
    seal(keys, sequence, hex("3133c80100644402c0000264"), source)
}

#[test]
fn time_replay_and_their_order() {
    let (settings, source) = (settings(), ip("10.0.0.1"));
    let mut receiver = Receiver::default();
    let mut judge = |sequence: u64, now: u64| {
        let payload = signed(sequence, &settings.keys, source);
        let judged = receiver.judge(&settings, &payload, source, Duration::from_secs(now));
        judged.map_or_else(
            |error| error.name(),
            |checked| if checked.proof.unwrap().skewed { "skewed" } else { "good" },
        )
    };
    let at = |seconds: u64| seconds << 32;
    for (sequence, now, expected) in [
        (at(1000), 1000, "good"),
        (at(1000), 1000, "auth_replay"),
        (at(999), 1000, "auth_replay"),
        (at(1000) + 1, 1000, "good"),
        (at(1006), 1000, "auth_stale"),
        (at(1005), 1000, "skewed"),
        (at(1004), 1001, "auth_replay"),
        (at(1005) + 7, 1010, "skewed"),
        (at(1005) + 8, 1011, "auth_stale"),
        // The sender's clock was stepped back, and ours, too: the mark lies outside the window.
        (at(500), 500, "good"),
        (at(500), 500, "auth_replay"),
        (at(502), 500, "good"),
        (at(505), 502, "skewed"),
    ] {
        assert_eq!(judge(sequence, now), expected, "{sequence:#x} at {now}");
    }
}

#[test]
fn monotonic_asks_only_for_growth() {
    let (settings, source) = (with(AntiReplay::Monotonic, HmacMode::Enforce), ip("10.0.0.1"));
    let mut receiver = Receiver::default();
    let mut judge = |sequence: u64| {
        let payload = signed(sequence, &settings.keys, source);
        let judged = receiver.judge(&settings, &payload, source, Duration::from_secs(5));
        judged.map_or_else(|error| error.name(), |_| "good")
    };
    for (sequence, expected) in [
        (1 << 60, "good"),
        (1 << 60, "auth_replay"),
        ((1 << 60) + 1, "good"),
        (7, "auth_replay"),
        (1 << 62, "good"),
    ] {
        assert_eq!(judge(sequence), expected, "{sequence:#x}");
    }
}

#[test]
fn keys_are_changed_one_director_after_the_other() {
    // Both know both keys; one signs with the new one already.
    let (old, new) = (KeyRing::new(key(1), vec![key(9)]), KeyRing::new(key(9), vec![key(1)]));
    let only_old = Settings { keys: KeyRing::new(key(1), Vec::new()), ..settings() };
    let source = ip("10.0.0.1");
    let payload = signed(IMAGE, &new, source);
    let settings = Settings { keys: old, ..settings() };
    let checked = Receiver::default().judge(&settings, &payload, source, IMAGE_NOW).unwrap();
    assert_eq!(checked.proof.unwrap().key, 9);
    let error = Receiver::default().judge(&only_old, &payload, source, IMAGE_NOW).unwrap_err();
    assert_eq!(error, AuthError::UnknownKey { source_address: source, id: 9 });
}

#[test]
fn senders_have_numbers_of_their_own() {
    let settings = settings();
    let mut receiver = Receiver::new(vec![ip("10.0.0.1")]);
    for last in 1..=2_u8 {
        let source = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let payload = signed(IMAGE - u64::from(last), &settings.keys, source);
        assert!(receiver.judge(&settings, &payload, source, IMAGE_NOW).is_ok());
    }
}

#[test]
fn a_clock_that_is_stepped_back() {
    let sent = |anti_replay| {
        let settings = with(anti_replay, HmacMode::Enforce);
        let mut sender = Sender::default();
        [1000, 1000, 998, 995, 994, 995].map(|now| sender.next(&settings, Duration::from_secs(now)))
    };
    let at = |seconds: u64| seconds << 32;
    // The window is 5 s: at 994 the last number is 6 s ahead.
    assert_eq!(
        sent(AntiReplay::Time),
        [at(1000), at(1000) + 1, at(1000) + 2, at(1000) + 3, at(994), at(995)]
    );
    let first = at(1000);
    assert_eq!(sent(AntiReplay::Monotonic), [first, first + 1, first + 2, first + 3, first + 4, first + 5]);
    let mut sender = Sender::default();
    assert_eq!(sender.next(&settings(), Duration::new(1, 500_000_000)), 0x1_8000_0000);
}

#[test]
fn the_window_is_keepalived_s() {
    for (advert_int, written, window) in [
        (10, None, 5),
        (1000, None, 5),
        (2000, None, 6),
        (255_000, None, 300),
        (40_950, None, 123),
        (1000, Some(30), 30),
    ] {
        let config = AuthHmac { time_window: written, ..AuthHmac::default() };
        let settings =
            Settings::new(&config, KeyRing::new(key(1), Vec::new()), Duration::from_millis(advert_int));
        assert_eq!(settings.window, window, "{advert_int} ms, {written:?}");
    }
}

proptest! {
    #[test]
    fn what_a_sender_signs_is_taken_whatever_its_clock_does(
        steps in prop::collection::vec(-3..20_i64, 1..40),
        skew in -2..=2_i64,
    ) {
        // Two clocks that differ by up to two seconds, one of them stepping back a little at times.
        let settings = settings();
        let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
        let source = ip("10.0.0.1");
        let (mut now, mut latest) = (10_000_i64, 10_000);
        for step in steps {
            now = (now + step).max(latest - 3);
            latest = latest.max(now);
            let at = |seconds: i64| Duration::from_secs(seconds.cast_unsigned());
            let payload = signed(sender.next(&settings, at(now)), &settings.keys, source);
            let judged = receiver.judge(&settings, &payload, source, at(now + skew));
            prop_assert!(judged.is_ok(), "{judged:?}");
            let again = receiver.judge(&settings, &payload, source, at(now + skew)).map(|_| ());
            prop_assert_eq!(again.unwrap_err().name(), "auth_replay");
        }
    }

    #[test]
    fn any_bytes_at_all_are_survived(payload in prop::collection::vec(any::<u8>(), 0..200), six in any::<bool>()) {
        let source = if six { ip("fe80::1") } else { ip("10.0.0.1") };
        let judged = Receiver::default().judge(&settings(), &payload, source, IMAGE_NOW);
        prop_assert!(judged.is_err() || judged.is_ok_and(|checked| checked.proof.is_none()));
    }

    #[test]
    fn sealed_adverts_are_read_again(count in 0..20_u8, six in any::<bool>(), v2 in any::<bool>(), sequence in any::<u64>()) {
        let six = six && !v2;
        let (source, destination) = if six { (ip("fe80::1"), ip("ff02::12")) } else { (ip("10.0.0.1"), ip("224.0.0.18")) };
        let address = |n: u8| if six { IpAddr::from([n; 16]) } else { IpAddr::from([n; 4]) };
        let advert = Advert {
            version: if v2 { VrrpVersion::V2 } else { VrrpVersion::V3 },
            vrid: 7,
            priority: 3,
            interval: Duration::from_secs(1),
            auth: AuthField::None,
            addresses: (0..count).map(address).collect(),
        };
        let settings = with(AntiReplay::Monotonic, HmacMode::Enforce);
        let sealed = seal(&settings.keys, sequence, advert.encode(source, destination), source);
        let mut receiver = Receiver::default();
        let checked = receiver.judge(&settings, &sealed, source, Duration::ZERO).unwrap();
        prop_assert_eq!(Advert::parse(&checked.message, source, destination), Ok(advert));
    }
}
