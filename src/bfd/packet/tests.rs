use proptest::prelude::*;

use super::*;

/// What Debian's keepalived 2.2.7 sends in state Init, as captured.
const INIT: [u8; 24] = [
    0x20, 0x80, 3, 24, 0x55, 0x96, 0x70, 0xac, 0x0d, 0xa3, 0x9e, 0xb6, 0, 0x0f, 0x42, 0x40, 0, 0x01, 0x86,
    0xa0, 0, 0, 0, 0,
];

fn init() -> Control {
    Control {
        diagnostic: Diagnostic::None,
        state: State::Init,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        demand: false,
        multiplier: 3,
        my_discriminator: 0x5596_70ac,
        your_discriminator: 0x0da3_9eb6,
        desired_min_tx: 1_000_000,
        required_min_rx: 100_000,
        required_min_echo_rx: 0,
    }
}

#[test]
fn a_captured_packet_is_read_and_written() {
    assert_eq!(Control::parse(&INIT), Ok(init()));
    assert_eq!(init().encode(), INIT);
}

#[test]
fn every_check_of_section_6_8_6_has_its_name() {
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = INIT.to_vec();
        for (at, value) in changes {
            bytes[*at] = *value;
        }
        bytes
    };
    let no_your = |state_flags: u8| with(&[(1, state_flags), (8, 0), (9, 0), (10, 0), (11, 0)]);
    let table: Vec<(Vec<u8>, ParseError)> = vec![
        (Vec::new(), ParseError::TooShort { length: 0 }),
        (INIT[..23].to_vec(), ParseError::TooShort { length: 23 }),
        (with(&[(0, 0x00)]), ParseError::Version { found: 0 }),
        (with(&[(0, 0x40)]), ParseError::Version { found: 2 }),
        (with(&[(0, 0xff)]), ParseError::Version { found: 7 }),
        (with(&[(3, 23)]), ParseError::LengthField { found: 23, least: 24 }),
        (with(&[(1, 0x84), (3, 25)]), ParseError::LengthField { found: 25, least: 26 }),
        (with(&[(3, 25)]), ParseError::Truncated { found: 25, length: 24 }),
        (with(&[(1, 0x84), (3, 26)]), ParseError::Truncated { found: 26, length: 24 }),
        (with(&[(2, 0)]), ParseError::ZeroMultiplier),
        (with(&[(1, 0x81)]), ParseError::Multipoint),
        (with(&[(4, 0), (5, 0), (6, 0), (7, 0)]), ParseError::ZeroMyDiscriminator),
        (no_your(0x80), ParseError::ZeroYourDiscriminator { state: State::Init }),
        (no_your(0xc0), ParseError::ZeroYourDiscriminator { state: State::Up }),
        (with(&[(1, 0xb0)]), ParseError::PollAndFinal),
        ([&with(&[(1, 0x84), (3, 26)])[..], &[1, 2]].concat(), ParseError::Authenticated),
    ];
    for (bytes, expected) in table {
        assert_eq!(Control::parse(&bytes), Err(expected), "{bytes:02x?}");
        assert!(!expected.to_string().is_empty() && !expected.name().is_empty());
    }
    // Allowed without our discriminator; and longer than it says.
    for state_flags in [0x00, 0x40] {
        assert!(Control::parse(&no_your(state_flags)).is_ok());
    }
    assert_eq!(Control::parse(&[&INIT[..], &[0xff; 40]].concat()), Ok(init()));
}

fn any_control() -> impl Strategy<Value = Control> {
    let states = prop::sample::select(vec![State::AdminDown, State::Down, State::Init, State::Up]);
    (states, 0..32_u8, any::<[bool; 4]>(), 1..=255_u8, (1..=u32::MAX, 1..=u32::MAX), any::<[u32; 3]>())
        .prop_map(
            |(
                state,
                diagnostic,
                [poll, other, independent, demand],
                multiplier,
                (my, your),
                [tx, rx, echo],
            )| {
                Control {
                    diagnostic: Diagnostic::of_bits(diagnostic),
                    state,
                    poll,
                    is_final: other && !poll,
                    control_plane_independent: independent,
                    demand,
                    multiplier,
                    my_discriminator: my,
                    your_discriminator: your,
                    desired_min_tx: tx,
                    required_min_rx: rx,
                    required_min_echo_rx: echo,
                }
            },
        )
}

proptest! {
    #[test]
    fn every_packet_survives_the_wire(packet in any_control()) {
        prop_assert_eq!(Control::parse(&packet.encode()), Ok(packet));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(packet) = Control::parse(&bytes) {
            prop_assert_eq!(Control::parse(&packet.encode()), Ok(packet));
        }
    }
}
