use std::net::Ipv4Addr;

use super::*;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));

fn rules(version: VrrpVersion) -> Rules {
    Rules {
        version,
        vrid: 51,
        ipv6: false,
        password: None,
        ah: false,
        checksum: ChecksumMode::Rfc,
        advert_int: Duration::from_secs(1),
        addresses: BTreeSet::from([VIP]),
        own: Some(OWN),
        own_priority: Some(150),
        unicast: None,
    }
}

fn advert(version: VrrpVersion) -> Advert {
    Advert {
        version,
        vrid: 51,
        priority: 150,
        interval: Duration::from_secs(1),
        auth: AuthField::None,
        addresses: vec![VIP],
    }
}

/// What becomes of an advert sent from `source` with `ttl`.
fn sent(rules: &Rules, advert: &Advert, source: IpAddr, ttl: u8) -> Result<Accepted, Discard> {
    let payload = advert.encode(source, GROUP);
    accept(rules, &Datagram { payload: &payload, source, destination: GROUP, ttl })
}

fn name(result: Result<Accepted, Discard>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(discard) => discard.name(),
    }
}

const V2: VrrpVersion = VrrpVersion::V2;
const V3: VrrpVersion = VrrpVersion::V3;

#[test]
fn a_good_advert_is_taken_as_it_is() {
    for version in [V2, V3] {
        let accepted = sent(&rules(version), &advert(version), SOURCE, 255).unwrap();
        assert_eq!(accepted.source(), SOURCE);
        assert_eq!(accepted.priority(), 150);
        assert_eq!(accepted.interval(), Duration::from_secs(1));
        assert_eq!(accepted.address_mismatch(), None);
    }
}

#[test]
fn multicast_asks_for_ttl_255() {
    assert_eq!(name(sent(&rules(V2), &advert(V2), SOURCE, 254)), "ttl");
    let text = sent(&rules(V2), &advert(V2), SOURCE, 64).unwrap_err().to_string();
    assert_eq!(text, "TTL 64 from 10.0.0.2, multicast adverts must arrive with 255: it crossed a router");
}

#[test]
fn unicast_asks_for_what_the_peers_say() {
    let peer = |min_ttl, max_ttl| PeerRule { address: SOURCE, min_ttl, max_ttl };
    let unicast = |check_source, peers: &[PeerRule]| Rules {
        unicast: Some(UnicastRules { peers: peers.to_vec(), check_source }),
        ..rules(V2)
    };
    let stranger: IpAddr = "192.0.2.9".parse().unwrap();
    let of = |rules: &Rules, source, ttl| name(sent(rules, &advert(V2), source, ttl));
    // Any TTL, any sender, unless asked for.
    assert_eq!(of(&unicast(false, &[peer(None, None)]), SOURCE, 1), "accepted");
    assert_eq!(of(&unicast(false, &[peer(None, None)]), stranger, 1), "accepted");
    assert_eq!(of(&unicast(true, &[peer(None, None)]), stranger, 255), "unknown_peer");
    assert_eq!(of(&unicast(false, &[peer(Some(254), None)]), stranger, 255), "unknown_peer");
    assert_eq!(of(&unicast(false, &[peer(Some(254), None)]), SOURCE, 254), "accepted");
    assert_eq!(of(&unicast(false, &[peer(Some(254), None)]), SOURCE, 253), "peer_ttl");
    assert_eq!(of(&unicast(false, &[peer(None, Some(64))]), SOURCE, 65), "peer_ttl");
}

#[test]
fn what_is_not_for_this_instance_is_told_apart() {
    assert_eq!(name(sent(&rules(V2), &Advert { vrid: 52, ..advert(V2) }, SOURCE, 255)), "vrid");
    // Another router's packets are not held against this one, whatever their TTL.
    assert_eq!(name(sent(&rules(V2), &Advert { vrid: 52, ..advert(V2) }, SOURCE, 1)), "vrid");
    assert_eq!(name(sent(&rules(V2), &advert(V2), OWN, 255)), "own_packet");
    // Another director with our source address is another director.
    let other = Advert { priority: 100, ..advert(V2) };
    assert_eq!(name(sent(&rules(V2), &other, OWN, 255)), "accepted");
    let silent = Rules { own_priority: None, ..rules(V2) };
    assert_eq!(name(sent(&silent, &advert(V2), OWN, 255)), "accepted");
    assert_eq!(name(sent(&rules(V2), &advert(V3), SOURCE, 255)), "version");
    assert_eq!(name(sent(&rules(V3), &advert(V2), SOURCE, 255)), "version");
    assert_eq!(name(sent(&Rules { ipv6: true, ..rules(V3) }, &advert(V3), SOURCE, 255)), "family");
}

#[test]
fn passwords_must_agree_and_are_never_told() {
    let with = |password| Rules { password, ..rules(V2) };
    let sends = |auth| Advert { auth, ..advert(V2) };
    let secret = AuthField::Pass(*b"secret99");
    let of = |rules: &Rules, auth| name(sent(rules, &sends(auth), SOURCE, 255));
    assert_eq!(of(&with(Some(*b"secret99")), secret), "accepted");
    assert_eq!(of(&with(Some(*b"secret98")), secret), "password");
    assert_eq!(of(&with(None), secret), "auth_type");
    assert_eq!(of(&with(Some(*b"secret99")), AuthField::None), "auth_type");
    assert_eq!(of(&with(None), AuthField::Unknown(2)), "auth_type");
    for result in [
        sent(&with(Some(*b"secret98")), &sends(secret), SOURCE, 255),
        sent(&with(None), &sends(secret), SOURCE, 255),
    ] {
        let error = result.unwrap_err();
        let told = format!("{error} {error:?} {:?} {secret:?}", with(Some(*b"secret98")));
        assert!(!told.contains("secret9") && !told.contains("115, 101"), "{told}");
    }
}

#[test]
fn version_2_refuses_another_interval_and_says_how_to_cure_it() {
    let slow = Advert { interval: Duration::from_secs(5), ..advert(V2) };
    let discard = sent(&rules(V2), &slow, SOURCE, 255).unwrap_err();
    assert_eq!(discard, Discard::Interval { source_address: SOURCE, found: 5, expected: 1 });
    let text = discard.to_string();
    for part in ["each 5 s", "each 1 s", "both become master", "the same advert_int", "version 3"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn version_3_adopts_the_interval_and_survives_a_zero() {
    let of = |interval| sent(&rules(V3), &Advert { interval, ..advert(V3) }, SOURCE, 255).unwrap().interval();
    assert_eq!(of(Duration::from_millis(250)), Duration::from_millis(250));
    assert_eq!(of(Duration::ZERO), Duration::from_secs(1));
}

#[test]
fn other_addresses_are_marked_and_accepted() {
    let other: IpAddr = "10.0.0.101".parse().unwrap();
    let accepted = sent(&rules(V2), &Advert { addresses: vec![other], ..advert(V2) }, SOURCE, 255).unwrap();
    let mismatch = accepted.address_mismatch().unwrap();
    assert_eq!((mismatch.only_ours.as_slice(), mismatch.only_theirs.as_slice()), (&[VIP][..], &[other][..]));
    assert!(mismatch.to_string().contains("only here 10.0.0.100; only there 10.0.0.101"), "{mismatch}");
    // Order and repetition do not matter.
    let accepted =
        sent(&rules(V2), &Advert { addresses: vec![VIP, VIP], ..advert(V2) }, SOURCE, 255).unwrap();
    assert_eq!(accepted.address_mismatch(), None);
}

#[test]
fn malformed_bytes_have_names_of_their_own() {
    let good = advert(V2).encode(SOURCE, GROUP);
    let of = |bytes: &[u8]| {
        name(accept(&rules(V2), &Datagram { payload: bytes, source: SOURCE, destination: GROUP, ttl: 255 }))
    };
    let changed = |index: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[index] = value;
        bytes
    };
    assert_eq!(of(&[]), "too_short");
    assert_eq!(of(&good[..7]), "too_short");
    assert_eq!(of(&good[..good.len() - 1]), "length");
    assert_eq!(of(&[good.as_slice(), &[0]].concat()), "length");
    assert_eq!(of(&changed(0, 0x41)), "unknown_version");
    assert_eq!(of(&changed(0, 0x22)), "type");
    assert_eq!(of(&changed(2, 151)), "checksum");
    assert_eq!(of(&changed(3, 2)), "length");
    assert_eq!(of(&good), "accepted");
}
