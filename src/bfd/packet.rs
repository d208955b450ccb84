//! The control packet on the wire: bytes to [`Control`] and back (RFC 5880 section 4.1), with every check of
//! section 6.8.6 that needs nothing but the packet.
//!
//! ```text
//!  0         1           2     3       4        8        12          16          20            24
//!  ver|diag  st|PFCADM   mult  length  my disc  your     desired tx  required rx required echo authentication…
//! ```
//!
//! Times are microseconds on the wire and here: 32 bits, up to 71 minutes.

use std::fmt;

use thiserror::Error;

/// The one protocol version.
const VERSION: u8 = 1;

/// Length of a packet without authentication, in bytes.
pub const LENGTH: usize = 24;

/// Least length of a packet with an authentication section.
const LENGTH_WITH_AUTHENTICATION: usize = 26;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// State of a session (RFC 5880 section 6.2). The order is that of the numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Switched off by its own operator: no statement about the path.
    AdminDown,
    /// No connection.
    Down,
    /// The neighbour is heard, and does not hear us yet as far as we know.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    const fn of_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AdminDown => "ADMIN_DOWN",
            Self::Down => "DOWN",
            Self::Init => "INIT",
            Self::Up => "UP",
        })
    }
}

/// Why a side says that its session last changed its state (RFC 5880 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diagnostic {
    /// 0.
    #[default]
    None,
    /// 1: no packet within the detection time.
    DetectionTimeExpired,
    /// 2.
    EchoFailed,
    /// 3: the neighbour said Down or AdminDown.
    NeighbourSignaledDown,
    /// 4.
    ForwardingPlaneReset,
    /// 5.
    PathDown,
    /// 6.
    ConcatenatedPathDown,
    /// 7: switched off.
    AdministrativelyDown,
    /// 8.
    ReverseConcatenatedPathDown,
    /// A number that RFC 5880 keeps for later, 9..=31.
    Reserved(u8),
}

impl Diagnostic {
    const fn of_bits(bits: u8) -> Self {
        match bits & 0x1f {
            0 => Self::None,
            1 => Self::DetectionTimeExpired,
            2 => Self::EchoFailed,
            3 => Self::NeighbourSignaledDown,
            4 => Self::ForwardingPlaneReset,
            5 => Self::PathDown,
            6 => Self::ConcatenatedPathDown,
            7 => Self::AdministrativelyDown,
            8 => Self::ReverseConcatenatedPathDown,
            other => Self::Reserved(other),
        }
    }

    /// Its number on the wire, 0..=31.
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::DetectionTimeExpired => 1,
            Self::EchoFailed => 2,
            Self::NeighbourSignaledDown => 3,
            Self::ForwardingPlaneReset => 4,
            Self::PathDown => 5,
            Self::ConcatenatedPathDown => 6,
            Self::AdministrativelyDown => 7,
            Self::ReverseConcatenatedPathDown => 8,
            Self::Reserved(number) => number & 0x1f,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no diagnostic"),
            Self::DetectionTimeExpired => f.write_str("its detection time expired"),
            Self::EchoFailed => f.write_str("its echo function failed"),
            Self::NeighbourSignaledDown => f.write_str("its neighbour signaled session down"),
            Self::ForwardingPlaneReset => f.write_str("its forwarding plane was reset"),
            Self::PathDown => f.write_str("its path is down"),
            Self::ConcatenatedPathDown => f.write_str("its concatenated path is down"),
            Self::AdministrativelyDown => f.write_str("administratively down"),
            Self::ReverseConcatenatedPathDown => f.write_str("its reverse concatenated path is down"),
            Self::Reserved(number) => write!(f, "diagnostic {number}"),
        }
    }
}

/// One control packet without authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Why the sender's session last changed.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// It asks for an answer with `is_final` (section 6.5).
    pub poll: bool,
    /// It answers a poll.
    pub is_final: bool,
    /// The sender's BFD survives its control plane.
    pub control_plane_independent: bool,
    /// The sender wants no periodic packets while both are Up (section 6.6).
    pub demand: bool,
    /// Packets that may be missed, 1..=255.
    pub multiplier: u8,
    /// The sender's number of the session, never zero.
    pub my_discriminator: u32,
    /// The receiver's number of the session; zero while the sender does not know it.
    pub your_discriminator: u32,
    /// Least time between packets that the sender wants, microseconds.
    pub desired_min_tx: u32,
    /// Least time between packets that the sender can take, microseconds; zero: send none.
    pub required_min_rx: u32,
    /// Least time between echo packets that the sender can take, microseconds; zero: none at all.
    pub required_min_echo_rx: u32,
}

/// Why bytes are no control packet for us: the checks of RFC 5880 section 6.8.6, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Fewer bytes than the smallest packet.
    #[error("{length} bytes are no BFD control packet: the smallest has 24")]
    TooShort {
        /// Bytes there are.
        length: usize,
    },
    /// A version that does not exist.
    #[error("BFD version {found} does not exist (1 does)")]
    Version {
        /// Version field.
        found: u8,
    },
    /// The length field is less than the smallest packet of its kind.
    #[error("its length field says {found}, the least is {least}")]
    LengthField {
        /// Length field.
        found: u8,
        /// 24, with authentication 26.
        least: usize,
    },
    /// The length field says more than was received.
    #[error("its length field says {found}, but {length} bytes were received")]
    Truncated {
        /// Length field.
        found: u8,
        /// Bytes there are.
        length: usize,
    },
    /// Detection multiplier zero.
    #[error("detection multiplier 0")]
    ZeroMultiplier,
    /// The multipoint bit, which RFC 5880 keeps for later.
    #[error("the multipoint bit is set: point-to-point sessions only")]
    Multipoint,
    /// The sender's discriminator is zero.
    #[error("my discriminator is 0")]
    ZeroMyDiscriminator,
    /// A sender in Init or Up has to name our discriminator.
    #[error("your discriminator is 0 in state {state}, which is allowed in DOWN and ADMIN_DOWN only")]
    ZeroYourDiscriminator {
        /// State field.
        state: State,
    },
    /// An authentication section: no session of ours has one.
    #[error("it is authenticated, and BFD authentication is not supported: switch it off at the neighbour")]
    Authenticated,
    /// Poll and final in one packet (forbidden by section 6.5).
    #[error("poll and final bit are both set")]
    PollAndFinal,
}

impl ParseError {
    /// Its name as a counter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::Version { .. } => "version",
            Self::LengthField { .. } => "length_field",
            Self::Truncated { .. } => "truncated",
            Self::ZeroMultiplier => "zero_multiplier",
            Self::Multipoint => "multipoint",
            Self::ZeroMyDiscriminator => "zero_my_discriminator",
            Self::ZeroYourDiscriminator { .. } => "zero_your_discriminator",
            Self::Authenticated => "authenticated",
            Self::PollAndFinal => "poll_and_final",
        }
    }
}

impl Control {
    /// Reads one packet: the UDP payload. Bytes behind its own length are ignored, as RFC 5880 has it.
    ///
    /// # Errors
    /// A [`ParseError`] for everything that section 6.8.6 says to discard without looking at a session.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let Some((fixed, _)) = payload.split_first_chunk::<LENGTH>() else {
            return Err(ParseError::TooShort { length: payload.len() });
        };
        let &[version_diagnostic, state_flags, multiplier, length, ref numbers @ ..] = fixed;
        let version = version_diagnostic >> 5;
        if version != VERSION {
            return Err(ParseError::Version { found: version });
        }
        let flag = |bit: u8| state_flags & bit != 0;
        let least = if flag(AUTHENTICATION) { LENGTH_WITH_AUTHENTICATION } else { LENGTH };
        if usize::from(length) < least {
            return Err(ParseError::LengthField { found: length, least });
        }
        if usize::from(length) > payload.len() {
            return Err(ParseError::Truncated { found: length, length: payload.len() });
        }
        if multiplier == 0 {
            return Err(ParseError::ZeroMultiplier);
        }
        if flag(MULTIPOINT) {
            return Err(ParseError::Multipoint);
        }
        let (words, _) = numbers.as_chunks::<4>();
        let word = |index: usize| words.get(index).map_or(0, |octets| u32::from_be_bytes(*octets));
        let state = State::of_bits(state_flags >> 6);
        let packet = Self {
            diagnostic: Diagnostic::of_bits(version_diagnostic),
            state,
            poll: flag(POLL),
            is_final: flag(FINAL),
            control_plane_independent: flag(CONTROL_PLANE_INDEPENDENT),
            demand: flag(DEMAND),
            multiplier,
            my_discriminator: word(0),
            your_discriminator: word(1),
            desired_min_tx: word(2),
            required_min_rx: word(3),
            required_min_echo_rx: word(4),
        };
        if packet.my_discriminator == 0 {
            return Err(ParseError::ZeroMyDiscriminator);
        }
        if packet.your_discriminator == 0 && matches!(state, State::Init | State::Up) {
            return Err(ParseError::ZeroYourDiscriminator { state });
        }
        if flag(AUTHENTICATION) {
            return Err(ParseError::Authenticated);
        }
        if packet.poll && packet.is_final {
            return Err(ParseError::PollAndFinal);
        }
        Ok(packet)
    }

    /// The packet as bytes.
    pub fn encode(&self) -> [u8; LENGTH] {
        let state = match self.state {
            State::AdminDown => 0,
            State::Down => 1,
            State::Init => 2,
            State::Up => 3_u8,
        };
        let flags = [
            (self.poll, POLL),
            (self.is_final, FINAL),
            (self.control_plane_independent, CONTROL_PLANE_INDEPENDENT),
            (self.demand, DEMAND),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        let mut bytes = [0; LENGTH];
        let (head, numbers) = bytes.split_at_mut(4);
        head.copy_from_slice(&[
            (VERSION << 5) | self.diagnostic.number(),
            (state << 6) | flags,
            self.multiplier,
            LENGTH as u8,
        ]);
        let words = [
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        ];
        for (to, word) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *to = word.to_be_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
