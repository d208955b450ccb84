use super::super::packet::{Diagnostic, State};
use super::*;

const HERE: &str = "10.0.0.1";
const THERE: &str = "10.0.0.2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn packet(state: State, your_discriminator: u32) -> Vec<u8> {
    let packet = Control {
        diagnostic: Diagnostic::None,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        demand: false,
        multiplier: 3,
        my_discriminator: 99,
        your_discriminator,
        desired_min_tx: 1000,
        required_min_rx: 1000,
        required_min_echo_rx: 0,
    };
    packet.encode().to_vec()
}

fn path(neighbour: &str, source: Option<&str>) -> Path {
    Path { neighbour: ip(neighbour), source: source.map(ip), multihop: false, least_ttl: Some(255) }
}

/// Discriminator 1: to THERE from anywhere; 2: to 10.0.0.3; 3: to THERE from 10.0.0.9; 4: multihop to THERE.
fn sessions() -> Vec<(u32, Path)> {
    vec![
        (1, path(THERE, None)),
        (2, path("10.0.0.3", None)),
        (3, path(THERE, Some("10.0.0.9"))),
        (4, Path { multihop: true, least_ttl: None, ..path(THERE, None) }),
    ]
}

#[test]
fn each_packet_finds_its_session_or_the_name_of_its_refusal() {
    let unknown = |discriminator| Err(Discard::UnknownDiscriminator { discriminator });
    // (your discriminator, sender, our address, multihop port, TTL) -> place.
    let table = [
        ((0, THERE, HERE, false, 255), Ok(0)),
        ((0, THERE, "10.0.0.9", false, 255), Ok(2)),
        ((0, "10.0.0.3", HERE, false, 255), Ok(1)),
        ((0, THERE, HERE, true, 3), Ok(3)),
        ((0, "10.0.0.4", HERE, false, 255), Err(Discard::UnknownNeighbour)),
        ((0, "10.0.0.3", HERE, true, 255), Err(Discard::UnknownNeighbour)),
        ((0, "fe80::1", "fe80::2", false, 255), Err(Discard::UnknownNeighbour)),
        ((1, THERE, HERE, false, 255), Ok(0)),
        ((3, THERE, "10.0.0.9", false, 255), Ok(2)),
        ((4, THERE, HERE, true, 1), Ok(3)),
        ((3, THERE, HERE, false, 255), Err(Discard::OtherPath)),
        ((1, "10.0.0.3", HERE, false, 255), Err(Discard::OtherPath)),
        ((1, THERE, HERE, true, 255), Err(Discard::OtherPath)),
        ((5, THERE, HERE, false, 255), unknown(5)),
        ((u32::MAX, THERE, HERE, false, 255), unknown(u32::MAX)),
        ((0, THERE, HERE, false, 254), Err(Discard::Ttl { ttl: 254, least: 255 })),
        ((1, THERE, HERE, false, 0), Err(Discard::Ttl { ttl: 0, least: 255 })),
    ];
    for ((your, source, destination, multihop, ttl), expected) in table {
        let payload = packet(State::Down, your);
        let datagram =
            Datagram { payload: &payload, source: ip(source), destination: ip(destination), ttl, multihop };
        let found = accept(&sessions(), &datagram).map(|(index, packet)| {
            assert_eq!(packet.your_discriminator, your);
            index
        });
        assert_eq!(found, expected, "{datagram:?}");
        if let Err(discard) = expected {
            assert!(!discard.name().is_empty() && !discard.to_string().is_empty());
        }
    }
}

#[test]
fn the_order_of_sessions_does_not_matter() {
    let mut sessions = sessions();
    sessions.reverse();
    let payload = packet(State::Down, 0);
    for (destination, discriminator) in [(HERE, 1), ("10.0.0.9", 3)] {
        let datagram = Datagram {
            payload: &payload,
            source: ip(THERE),
            destination: ip(destination),
            ttl: 255,
            multihop: false,
        };
        let (index, _) = accept(&sessions, &datagram).unwrap();
        assert_eq!(sessions[index].0, discriminator);
    }
}

#[test]
fn what_is_no_packet_is_nobodys() {
    let datagram =
        Datagram { payload: &[1, 2, 3], source: ip(THERE), destination: ip(HERE), ttl: 255, multihop: false };
    let expected = Discard::Malformed(ParseError::TooShort { length: 3 });
    assert_eq!(accept(&sessions(), &datagram), Err(expected));
    assert_eq!(expected.name(), "too_short");
}
