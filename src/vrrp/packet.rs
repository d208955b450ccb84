//! The advert on the wire: bytes to [`Advert`] and back, with the checksums of both versions and families
//! (RFC 9568 section 5.2, RFC 3768 section 5.3).
//!
//! ```text
//!  0       1       2        3      4                 6         8           8+size*count
//!  ver|typ VRID    priority count  v2: auth, seconds  checksum  addresses…  v2: 8 bytes of authentication
//!                                  v3: 0|centiseconds
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use thiserror::Error;

use crate::config::model::VrrpVersion;

/// IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;

/// Length of the fixed part, in bytes.
const HEADER: usize = 8;

/// Length of the authentication data of version 2, in bytes. It is there with every authentication type.
const AUTH_DATA: usize = 8;

/// The one message type there is.
const ADVERTISEMENT: u8 = 1;

/// Authentication type of a plain password (RFC 2338 section 10.2).
const AUTH_PASS: u8 = 1;

/// Greatest interval of version 3, in centiseconds: the field has 12 bits.
const MAX_CENTISECONDS: u16 = 0x0fff;

/// One VRRP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Protocol version.
    pub version: VrrpVersion,
    /// Virtual router, 1..=255.
    pub vrid: u8,
    /// 1..=254, 255 for the owner of the addresses, 0 from a master that gives up.
    pub priority: u8,
    /// Time between adverts: whole seconds up to 255 (version 2), centiseconds up to 40.95 s (version 3).
    /// Zero when the sender said zero.
    pub interval: Duration,
    /// Authentication; version 3 has none.
    pub auth: AuthField,
    /// The virtual addresses, at most 255, of the family of the packet.
    pub addresses: Vec<IpAddr>,
}

/// What the authentication fields of a version 2 advert say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AuthField {
    /// Type 0, and every version 3 advert.
    None,
    /// Type 1: the password, filled up with zero bytes.
    Pass([u8; 8]),
    /// Another type, by its number (2 was IP authentication header).
    Unknown(u8),
}

impl std::fmt::Debug for AuthField {
    /// The password never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Pass(_) => f.write_str("Pass(XXXXXX)"),
            Self::Unknown(number) => write!(f, "Unknown({number})"),
        }
    }
}

/// How version 3 sums up over IPv4, where implementations differ. Version 2 and IPv6 know one way only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumMode {
    /// With the pseudo header of the packet itself (RFC 9568 section 5.2.8).
    #[default]
    Rfc,
    /// Without pseudo header, as version 2 does (keepalived's `v3_checksum_as_v2`). What comes in may be either.
    AsV2,
    /// With the multicast group in the pseudo header of a unicast packet (`old_unicast_checksum`: keepalived before
    /// 1.3.6). What comes in may be either.
    OldUnicast,
}

/// The group that old senders put into the pseudo header.
const OLD_GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

/// Why bytes are no advert.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Shorter than the fixed part.
    #[error("{length} bytes are no VRRP message: its fixed part alone has 8")]
    TooShort {
        /// Bytes there are.
        length: usize,
    },
    /// A version that does not exist.
    #[error("VRRP version {found} does not exist (2 and 3 do)")]
    Version {
        /// Version field.
        found: u8,
    },
    /// Version 2 carries IPv4 only (RFC 3768 section 5).
    #[error("version 2 over IPv6: only version 3 carries IPv6")]
    Version2OverIpv6,
    /// Source and destination of different families: no real packet.
    #[error("source {source_address} and destination {destination} are of different families")]
    MixedFamilies {
        /// Sender.
        source_address: IpAddr,
        /// Receiver.
        destination: IpAddr,
    },
    /// Not an advertisement.
    #[error("message type {found} is unknown (1, the advertisement, is the only one)")]
    Type {
        /// Type field.
        found: u8,
    },
    /// The length does not fit the number of addresses.
    #[error("{length} bytes, but a version {version} message with {count} addresses has {expected}")]
    Length {
        /// Version field.
        version: u8,
        /// Bytes there are.
        length: usize,
        /// Bytes there should be.
        expected: usize,
        /// Address count field.
        count: u8,
    },
    /// The checksum is wrong.
    #[error(
        "checksum {found:#06x}, computed {computed:#06x}{}",
        if *.without_pseudo_header {
            "; it would be right without the pseudo header: write v3_checksum_as_v2 here, too, or remove it from the sender"
        } else {
            ""
        }
    )]
    Checksum {
        /// Checksum field.
        found: u16,
        /// What it should be.
        computed: u16,
        /// The sender left out the pseudo header that version 3 asks for (keepalived's `v3_checksum_as_v2`).
        without_pseudo_header: bool,
    },
}

/// The virtual router that a message speaks of, for finding the instance before anything else is checked.
pub fn peek_vrid(payload: &[u8]) -> Option<u8> {
    payload.get(1).copied()
}

/// An interval as version 2 sends it: whole seconds, rounded to the nearest, at least 1 unless it is zero,
/// at most 255.
pub fn interval_seconds(interval: Duration) -> u8 {
    let rounded = (interval.as_millis() + 500) / 1000;
    let least = u128::from(!interval.is_zero());
    u8::try_from(rounded.max(least)).unwrap_or(u8::MAX)
}

/// An interval as version 3 sends it: centiseconds, rounded to the nearest, at least 1 unless it is zero, at
/// most 4095.
pub fn interval_centiseconds(interval: Duration) -> u16 {
    let rounded = (interval.as_micros() + 5_000) / 10_000;
    let least = u128::from(!interval.is_zero());
    u16::try_from(rounded.max(least)).unwrap_or(u16::MAX).min(MAX_CENTISECONDS)
}

impl Advert {
    /// Reads one message: the IP payload, cut to the length that the IP header gives.
    ///
    /// # Errors
    /// A [`ParseError`] for everything that RFC 9568 section 7.1 asks to check inside the message.
    pub fn parse(payload: &[u8], source: IpAddr, destination: IpAddr) -> Result<Self, ParseError> {
        Self::parse_as(payload, source, destination, ChecksumMode::Rfc)
    }

    /// As [`Self::parse`], from senders whose checksums may be others.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_as(
        payload: &[u8],
        source: IpAddr,
        destination: IpAddr,
        mode: ChecksumMode,
    ) -> Result<Self, ParseError> {
        let Some((header, rest)) = payload.split_first_chunk::<HEADER>() else {
            return Err(ParseError::TooShort { length: payload.len() });
        };
        let &[version_type, vrid, priority, count, auth_type, short_interval, sum_high, sum_low] = header;
        let number = version_type >> 4;
        let version =
            VrrpVersion::try_from(number).map_err(|_unknown| ParseError::Version { found: number })?;
        let ipv6 = source.is_ipv6();
        if ipv6 != destination.is_ipv6() {
            return Err(ParseError::MixedFamilies { source_address: source, destination });
        }
        if version == VrrpVersion::V2 && ipv6 {
            return Err(ParseError::Version2OverIpv6);
        }
        let message_type = version_type & 0x0f;
        if message_type != ADVERTISEMENT {
            return Err(ParseError::Type { found: message_type });
        }
        let addresses_length = usize::from(count) * if ipv6 { 16 } else { 4 };
        let auth_length = match version {
            VrrpVersion::V2 => AUTH_DATA,
            VrrpVersion::V3 => 0,
        };
        let expected = HEADER + addresses_length + auth_length;
        let length = payload.len();
        let Some((address_bytes, auth_bytes)) =
            rest.split_at_checked(addresses_length).filter(|_| length == expected)
        else {
            return Err(ParseError::Length { version: number, length, expected, count });
        };
        verify(payload, version, (source, destination), mode, u16::from_be_bytes([sum_high, sum_low]))?;
        let (interval, auth) = match version {
            VrrpVersion::V2 => (
                Duration::from_secs(u64::from(short_interval)),
                match (auth_type, <[u8; AUTH_DATA]>::try_from(auth_bytes)) {
                    (0, _) => AuthField::None,
                    (AUTH_PASS, Ok(password)) => AuthField::Pass(password),
                    (other, _) => AuthField::Unknown(other),
                },
            ),
            // The upper four bits are reserved: sent as zero, ignored on receipt (section 5.2.6).
            VrrpVersion::V3 => {
                let centiseconds = u16::from_be_bytes([auth_type, short_interval]) & MAX_CENTISECONDS;
                (Duration::from_millis(u64::from(centiseconds) * 10), AuthField::None)
            }
        };
        let addresses = if ipv6 {
            let (chunks, _none_left) = address_bytes.as_chunks::<16>();
            chunks.iter().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))).collect()
        } else {
            let (chunks, _none_left) = address_bytes.as_chunks::<4>();
            chunks.iter().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets))).collect()
        };
        Ok(Self { version, vrid, priority, interval, auth, addresses })
    }

    /// The message as bytes, checksum included, for a packet from `source` to `destination`.
    ///
    /// What cannot be said is left out: addresses of the other family than `source`, and those after the 255th
    /// (`resolve` reports both). The interval is rounded to what the version can say.
    pub fn encode(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        self.encode_as(source, destination, ChecksumMode::Rfc)
    }

    /// As [`Self::encode`], for receivers that expect another checksum.
    pub fn encode_as(&self, source: IpAddr, destination: IpAddr, mode: ChecksumMode) -> Vec<u8> {
        let fitting: Vec<IpAddr> =
            self.addresses.iter().copied().filter(|a| a.is_ipv6() == source.is_ipv6()).take(255).collect();
        let count = u8::try_from(fitting.len()).unwrap_or(u8::MAX);
        let mut bytes = Vec::with_capacity(HEADER + fitting.len() * 16 + AUTH_DATA);
        bytes.extend([(u8::from(self.version) << 4) | ADVERTISEMENT, self.vrid, self.priority, count]);
        match self.version {
            VrrpVersion::V2 => {
                let auth_type = match self.auth {
                    AuthField::None => 0,
                    AuthField::Pass(_) => AUTH_PASS,
                    AuthField::Unknown(number) => number,
                };
                bytes.extend([auth_type, interval_seconds(self.interval)]);
            }
            VrrpVersion::V3 => bytes.extend(interval_centiseconds(self.interval).to_be_bytes()),
        }
        bytes.extend([0, 0]);
        for address in fitting {
            match address {
                IpAddr::V4(v4) => bytes.extend(v4.octets()),
                IpAddr::V6(v6) => bytes.extend(v6.octets()),
            }
        }
        if self.version == VrrpVersion::V2 {
            bytes.extend(match self.auth {
                AuthField::Pass(password) => password,
                AuthField::None | AuthField::Unknown(_) => [0; AUTH_DATA],
            });
        }
        let sum = message_checksum(&bytes, self.version, (source, destination), mode);
        if let Some(field) = bytes.get_mut(6..8) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }
}

/// Compares the checksum field with the computed one.
fn verify(
    payload: &[u8],
    version: VrrpVersion,
    ends: (IpAddr, IpAddr),
    mode: ChecksumMode,
    found: u16,
) -> Result<(), ParseError> {
    // 0x0000 and 0xffff are the same number in one's complement: both are sent for a zero sum.
    let fits = |computed: u16| found == computed || (found == 0xffff && computed == 0);
    let computed = message_checksum(payload, version, ends, ChecksumMode::Rfc);
    if fits(computed) || (mode != ChecksumMode::Rfc && fits(message_checksum(payload, version, ends, mode))) {
        return Ok(());
    }
    let without_pseudo_header = version == VrrpVersion::V3 && found == fold(sum_message(payload));
    Err(ParseError::Checksum { found, computed, without_pseudo_header })
}

/// The checksum of a message from one address to another, its own field read as zero: over the message alone in version
/// 2, with the pseudo header of the family in version 3 (RFC 9568 section 5.2.8) unless the mode says otherwise.
fn message_checksum(
    message: &[u8],
    version: VrrpVersion,
    (source, destination): (IpAddr, IpAddr),
    mode: ChecksumMode,
) -> u16 {
    let pseudo = |destination| pseudo_header(source, destination, message.len(), PROTOCOL);
    let pseudo = match (version, mode) {
        (VrrpVersion::V2, _) => 0,
        (VrrpVersion::V3, ChecksumMode::AsV2) if source.is_ipv4() => 0,
        (VrrpVersion::V3, ChecksumMode::OldUnicast) if source.is_ipv4() => pseudo(OLD_GROUP),
        (VrrpVersion::V3, _) => pseudo(destination),
    };
    fold(pseudo + sum_message(message))
}

/// Sum of a message without its checksum field.
fn sum_message(message: &[u8]) -> u64 {
    let (before, from_checksum) = message.split_at_checked(6).unwrap_or((message, &[]));
    sum(before) + sum(from_checksum.get(2..).unwrap_or(&[]))
}

/// Sum of the pseudo header: both addresses, the length of the message, the protocol. The same words add up
/// for IPv4 and IPv6 (RFC 8200 section 8.1); only the width of the length field differs.
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize, protocol: u8) -> u64 {
    let address = |address: IpAddr| match address {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    };
    address(source) + address(destination) + length as u64 + u64::from(protocol)
}

/// Sum of big-endian 16-bit words, a last odd byte filled up with zero (RFC 1071).
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let (words, odd) = bytes.as_chunks::<2>();
    let whole: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    whole + odd.first().map_or(0, |byte| u64::from(*byte) << 8)
}

/// One's complement of the folded sum.
pub(super) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
