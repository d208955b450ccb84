//! An IP packet of anybody on the LAN, from the socket to the machine's door, under a few rule sets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tandem::config::model::{AntiReplay, AuthHmac, HmacMode, VrrpVersion};
use tandem::vrrp::accept::{Datagram, PeerRule, Rules, UnicastRules, accept};
use tandem::vrrp::auth::ah::{self, IpFields};
use tandem::vrrp::auth::keys::{Key, KeyRing};
use tandem::vrrp::auth::replay::Counter;
use tandem::vrrp::auth::trailer::{self, Receiver, Settings};
use tandem::vrrp::auth::{AuthError, Scheme};
use tandem::vrrp::datagram::dissect;
use tandem::vrrp::packet::{Advert, ChecksumMode, ParseError};

/// Bits of the first byte: the rule set, and what is mended so that an input gets further in.
const VERSION3: u8 = 1;
const UNICAST: u8 = 2;
const PASSWORD: u8 = 4;
const AH: u8 = 8;
const HMAC: u8 = 16;
const MONOTONIC: u8 = 32;
const MEND_DIGEST: u8 = 64;
const MEND_CHECKSUM: u8 = 128;

/// A packet as the code behind the socket sees it.
struct Packet {
    payload: Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
}

/// The first byte chooses, the others are the packet.
pub(crate) fn receive(bytes: &[u8]) {
    let Some((&choice, packet)) = bytes.split_first() else { return };
    let Some(packet) = open(choice, packet) else { return };
    let Packet { payload, source, destination, ttl } = packet;
    let payload = if choice & HMAC != 0 {
        let Some(message) = judge(choice, payload, source) else { return };
        message
    } else {
        payload
    };
    let payload = mended(choice, payload, source, destination);
    let rules = rules(choice, source.is_ipv6());
    match accept(&rules, &Datagram { payload: &payload, source, destination, ttl }) {
        Ok(accepted) => {
            let advert = Advert::parse(&payload, source, destination).expect("only an advert is accepted");
            assert_eq!((advert.vrid, advert.version), (rules.vrid, rules.version));
            assert_eq!(accepted.priority(), advert.priority);
            assert!(!accepted.interval().is_zero(), "an interval of zero would spin");
            assert!(choice & UNICAST != 0 || ttl == 255, "accepted with TTL {ttl}");
            // What was read is what we would have sent, but for bits that are reserved.
            let again = advert.encode(source, destination);
            assert_eq!(Advert::parse(&again, source, destination).as_ref(), Ok(&advert));
            assert_eq!(again.len(), payload.len());
        }
        Err(discard) => assert!(!discard.to_string().is_empty() && !discard.name().is_empty()),
    }
}

/// Takes the IP header off, and the authentication header where the rules want one.
fn open(choice: u8, packet: &[u8]) -> Option<Packet> {
    if packet.first()? >> 4 == 6 {
        // The kernel takes the header of IPv6 off and hands over its fields.
        let (header, payload) = packet.split_first_chunk::<40>()?;
        let address = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).map(Ipv6Addr::from).ok();
        let (source, destination) = (address(8)?.into(), address(24)?.into());
        return Some(Packet { payload: payload.to_vec(), source, destination, ttl: header[7] });
    }
    if choice & AH == 0 {
        let arrived = dissect(packet);
        assert!(arrived.payload.len() + 20 <= packet.len().max(20));
        let (source, destination, ttl) = (arrived.source, arrived.destination, arrived.ttl);
        return Some(Packet { payload: arrived.payload.to_vec(), source, destination, ttl });
    }
    let key = ah::Key::of_password("lab-pass");
    let mut packet = packet.to_vec();
    if choice & MEND_DIGEST != 0
        && let Err(AuthError::Digest { .. }) = ah::open(&key, &packet)
    {
        let read = ah::message(&packet).expect("a wrong digest is found last");
        let identification = u16::from_be_bytes([packet[4], packet[5]]);
        let (source, destination, ttl) = (read.source, read.destination, read.ttl);
        let fields = IpFields { source, destination, tos: packet[1], identification, ttl };
        let sealed = ah::seal(&key, read.number, &fields, read.message);
        assert!(ah::open(&key, &sealed).is_ok(), "our own seal is opened");
        packet = sealed;
    }
    match ah::open(&key, &packet) {
        Ok(opened) => {
            let mut counter = Counter::default();
            opened.judge(&mut counter).expect("the first number is new");
            assert_eq!(counter.last(), Some(opened.number));
            let again = opened.judge(&mut counter);
            // Around the greatest number zero is new again, and nothing else.
            assert!(again.is_err() || opened.number > u32::MAX - 0x1_0000);
            let (source, destination) = (opened.source.into(), opened.destination.into());
            Some(Packet { payload: opened.message.to_vec(), source, destination, ttl: opened.ttl })
        }
        Err(error) => {
            sound(&error, Scheme::Ah);
            None
        }
    }
}

/// Checks the trailer; the message without it.
fn judge(choice: u8, payload: Vec<u8>, source: IpAddr) -> Option<Vec<u8>> {
    let key = |id: u8| Key::new(id, &[id; 32]).expect("32 bytes");
    let config = AuthHmac {
        anti_replay: Some(if choice & MONOTONIC != 0 { AntiReplay::Monotonic } else { AntiReplay::Time }),
        mode: Some(if choice & PASSWORD != 0 { HmacMode::Enforce } else { HmacMode::Permissive }),
        ..AuthHmac::default()
    };
    let settings = Settings::new(&config, KeyRing::new(key(1), vec![key(2)]), Duration::from_secs(1));
    let now = Duration::from_secs(0x6800_0000);
    let mut receiver = Receiver::default();
    let mut payload = payload;
    if choice & MEND_DIGEST != 0
        && let Err(AuthError::Digest { .. }) = receiver.judge(&settings, &payload, source, now)
    {
        let at = payload.len() - trailer::LENGTH;
        let number = <[u8; 8]>::try_from(&payload[at + 4..at + 12]).map(u64::from_be_bytes).expect("8 bytes");
        let keys = KeyRing::new(key(payload[at + 1]), Vec::new());
        payload = trailer::seal(&keys, number, payload[..at].to_vec(), source);
    }
    match receiver.judge(&settings, &payload, source, now) {
        Ok(checked) => {
            let message = checked.message.into_owned();
            if checked.proof.is_some() {
                assert_eq!(message.len() + trailer::LENGTH, payload.len());
                let again = receiver.judge(&settings, &payload, source, now);
                assert!(matches!(again, Err(AuthError::Replay { .. })), "believed twice");
            }
            Some(message)
        }
        Err(error) => {
            sound(&error, Scheme::Hmac);
            None
        }
    }
}

fn sound(error: &AuthError, scheme: Scheme) {
    assert!(
        !error.to_string().is_empty() && !error.name().is_empty() && !error.keepalived_label().is_empty()
    );
    assert_eq!(error.scheme(), scheme);
}

fn mended(choice: u8, mut payload: Vec<u8>, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    if choice & MEND_CHECKSUM != 0
        && let Err(ParseError::Checksum { computed, .. }) = Advert::parse(&payload, source, destination)
    {
        payload[6..8].copy_from_slice(&computed.to_be_bytes());
    }
    payload
}

fn rules(choice: u8, ipv6: bool) -> Rules {
    let has = |bit: u8| choice & bit != 0;
    let peer = IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1));
    let unicast = UnicastRules {
        peers: vec![PeerRule { address: peer, min_ttl: Some(250), max_ttl: None }],
        check_source: has(PASSWORD),
    };
    Rules {
        version: if has(VERSION3) { VrrpVersion::V3 } else { VrrpVersion::V2 },
        vrid: 51,
        ipv6,
        password: has(PASSWORD).then_some(*b"lab-pass"),
        ah: false,
        checksum: ChecksumMode::Rfc,
        advert_int: Duration::from_secs(1),
        addresses: BTreeSet::from([IpAddr::V4(Ipv4Addr::new(10, 7, 0, 100))]),
        own: Some(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2))),
        own_priority: Some(100),
        unicast: has(UNICAST).then_some(unicast),
    }
}
