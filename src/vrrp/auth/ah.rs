//! `auth_type AH`: an IP authentication header (RFC 2402) before the advert of version 2 (RFC 2338 section 10.3), laid
//! out and signed as keepalived does it (observed with 2.2.7; `tests/captures/ka_v2_ah*.hex`).
//!
//! ```text
//! IPv4 header, protocol 51 | 112 | 4 | 0 0 | SPI | number | ICV: 12 bytes | VRRP message, authentication type 2
//!                            next  len res   4 B   4 B
//! ```
//!
//! - SPI: the sender's IPv4 address. Number: one [counter](super::replay::Counter) for all directors.
//! - ICV: HMAC-MD5 cut to 96 bits (RFC 2403), key = the first 8 bytes of `auth_pass`; over the whole IP packet with
//!   its TOS, header checksum and ICV read as zero, and its TTL read as zero when the destination is no multicast
//!   group. Identification, flags, fragment offset and IP options count as they are.
//! - The message carries authentication type 2 and eight zero bytes of authentication data.
//!
//! The identification counts, and the kernel writes another one where a raw packet's is zero: it must not be zero.
//! RFC 2402 reads the flags as zero; keepalived does not, so both are sent as zero here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use hmac::digest::Key as Block;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

use super::replay::Counter;
use super::{AuthError, Flaw, Scheme};
use crate::vrrp::packet::PROTOCOL as VRRP;

/// IP protocol number of the authentication header.
pub const PROTOCOL: u8 = 51;
/// Authentication type of an advert of version 2 behind an authentication header (RFC 2338 section 5.3.6).
pub const AUTH_TYPE: u8 = 2;
/// Length of the authentication header, in bytes.
pub const HEADER: usize = 24;
/// Length field of the header: its length in 32-bit words, less 2.
const WORDS: u8 = 4;
const IP_HEADER: usize = 20;
/// Where the ICV lies in the authentication header.
const ICV: std::ops::Range<usize> = 12..24;

/// The secret of `auth_type AH`. Its `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 8]);

impl Key {
    /// From `auth_pass`: its first 8 bytes, as keepalived cuts it.
    pub fn of_password(password: &str) -> Self {
        let mut key = [0; 8];
        for (to, from) in key.iter_mut().zip(password.bytes()) {
            *to = from;
        }
        Self(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XXXXXX")
    }
}

/// What the sender chooses of the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpFields {
    /// Sender.
    pub source: Ipv4Addr,
    /// Group or peer.
    pub destination: Ipv4Addr,
    /// TOS byte; not signed. CS6 is 0xc0.
    pub tos: u8,
    /// Identification; 0 is sent as 1, since the kernel would write another one over it.
    pub identification: u16,
    /// TTL.
    pub ttl: u8,
}

/// The whole IP packet of an advert, without its header checksum, which the kernel writes.
///
/// `message` is the advert with authentication type 2 ([`AUTH_TYPE`]); at most 65491 bytes of it are sent.
pub fn seal(key: &Key, number: u32, ip: &IpFields, message: &[u8]) -> Vec<u8> {
    let room = usize::from(u16::MAX) - IP_HEADER - HEADER;
    let message = message.get(..room).unwrap_or(message);
    let length = u16::try_from(IP_HEADER + HEADER + message.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(usize::from(length));
    packet.extend([0x45, ip.tos]);
    packet.extend(length.to_be_bytes());
    packet.extend(ip.identification.max(1).to_be_bytes());
    packet.extend([0, 0, ip.ttl, PROTOCOL, 0, 0]);
    packet.extend(ip.source.octets());
    packet.extend(ip.destination.octets());
    packet.extend([VRRP, WORDS, 0, 0]);
    packet.extend(ip.source.octets());
    packet.extend(number.to_be_bytes());
    packet.extend([0; 12]);
    packet.extend(message);
    let icv = signature(key, &packet, IP_HEADER).finalize().into_bytes();
    if let Some(place) = packet.get_mut(IP_HEADER + ICV.start..IP_HEADER + ICV.end) {
        for (to, from) in place.iter_mut().zip(icv) {
            *to = from;
        }
    }
    packet
}

/// A packet whose digest is right. Its number is not judged yet: see [`Opened::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Sender.
    pub source: Ipv4Addr,
    /// Group or peer.
    pub destination: Ipv4Addr,
    /// TTL that it arrived with.
    pub ttl: u8,
    /// Its number.
    pub number: u32,
    /// The VRRP message.
    pub message: &'a [u8],
}

impl Opened<'_> {
    /// Judges the number and notes it. To be called before the message is read: keepalived notes the number of an
    /// advert that it refuses for another reason, too.
    ///
    /// # Errors
    /// [`AuthError::Replay`] when the number is not greater than the last.
    pub fn judge(&self, counter: &mut Counter) -> Result<(), AuthError> {
        if !counter.is_new(self.number) {
            return Err(AuthError::Replay {
                source_address: self.source.into(),
                scheme: Scheme::Ah,
                found: self.number.into(),
                last: counter.last().unwrap_or(0).into(),
            });
        }
        counter.heard(self.number);
        Ok(())
    }
}

/// What can be read without the key. It is good for finding the instance, and for nothing else.
pub fn message(packet: &[u8]) -> Result<Opened<'_>, AuthError> {
    dissect(packet).map(|(opened, _)| opened)
}

/// Reads an IP packet of protocol 51 as the raw socket delivers it (padding behind the IP length is cut off), and
/// checks its digest in constant time.
///
/// # Errors
/// [`AuthError::Malformed`], [`AuthError::Digest`]; [`AuthError::Missing`] when the packet carries VRRP without the
/// header.
pub fn open<'a>(key: &Key, packet: &'a [u8]) -> Result<Opened<'a>, AuthError> {
    let (opened, parts) = dissect(packet)?;
    let mac = signature(key, parts.packet, parts.ip_header);
    let icv = parts.packet.get(parts.ip_header + ICV.start..parts.ip_header + ICV.end).unwrap_or_default();
    mac.verify_truncated_left(icv)
        .map_err(|_wrong| AuthError::Digest { source_address: opened.source.into(), scheme: Scheme::Ah })?;
    Ok(opened)
}

/// The packet without padding, and the length of its IP header: at least 20, with room for the authentication header.
struct Parts<'a> {
    packet: &'a [u8],
    ip_header: usize,
}

fn dissect(bytes: &[u8]) -> Result<(Opened<'_>, Parts<'_>), AuthError> {
    let nobody = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let flawed =
        |source_address: IpAddr, flaw| AuthError::Malformed { source_address, scheme: Scheme::Ah, flaw };
    let Some(ip) = bytes.first_chunk::<IP_HEADER>() else { return Err(flawed(nobody, Flaw::Packet)) };
    let &[first, _, length_high, length_low, _, _, fragment_high, fragment_low, ttl, protocol, ..] = ip;
    let &[.., s1, s2, s3, s4, d1, d2, d3, d4] = ip;
    let (source, destination) = (Ipv4Addr::new(s1, s2, s3, s4), Ipv4Addr::new(d1, d2, d3, d4));
    let from = IpAddr::from(source);
    let total = usize::from(u16::from_be_bytes([length_high, length_low]));
    let ip_header = usize::from(first & 15) * 4;
    let packet = bytes.get(..total).filter(|packet| packet.len() >= ip_header);
    let Some(packet) = packet.filter(|_| first >> 4 == 4 && ip_header >= IP_HEADER) else {
        return Err(flawed(from, Flaw::Packet));
    };
    // More fragments, or an offset.
    if u16::from_be_bytes([fragment_high, fragment_low]) & 0x3fff != 0 {
        return Err(flawed(from, Flaw::Fragment));
    }
    match protocol {
        PROTOCOL => {}
        VRRP => return Err(AuthError::Missing { source_address: from, scheme: Scheme::Ah }),
        other => return Err(flawed(from, Flaw::NextHeader(other))),
    }
    let behind = packet.get(ip_header..).unwrap_or_default();
    let Some((header, message)) = behind.split_first_chunk::<HEADER>() else {
        return Err(flawed(from, Flaw::Length(behind.len())));
    };
    let &[next, words, _, _, i1, i2, i3, i4, n1, n2, n3, n4, ..] = header;
    if next != VRRP {
        return Err(flawed(from, Flaw::NextHeader(next)));
    }
    if words != WORDS {
        return Err(flawed(from, Flaw::LengthField(words)));
    }
    if [i1, i2, i3, i4] != source.octets() {
        return Err(flawed(from, Flaw::Index(u32::from_be_bytes([i1, i2, i3, i4]))));
    }
    let number = u32::from_be_bytes([n1, n2, n3, n4]);
    Ok((Opened { source, destination, ttl, number, message }, Parts { packet, ip_header }))
}

/// The digest over a packet with `ip_header` bytes of IP header and an authentication header behind it.
fn signature(key: &Key, packet: &[u8], ip_header: usize) -> Hmac<Md5> {
    let icv = ip_header + ICV.start..ip_header + ICV.end;
    // Byte 16 is the first one of the destination.
    let multicast = packet.get(16).is_some_and(|first| first >> 4 == 14);
    let unsigned = |at: usize| match at {
        // TOS, header checksum.
        1 | 10 | 11 => true,
        // TTL.
        8 => !multicast,
        _ => icv.contains(&at),
    };
    let (head, message) = packet.split_at_checked(icv.end).unwrap_or((packet, &[]));
    let head: Vec<u8> =
        head.iter().enumerate().map(|(at, byte)| if unsigned(at) { 0 } else { *byte }).collect();
    // A block of the digest is longer than the key: every length is a good one, and zeros behind it change nothing.
    let mut mac = <Hmac<Md5>>::new(&md5_block(key));
    mac.update(&head);
    mac.update(message);
    mac
}

/// The key as one block of the digest, filled up with zeros (RFC 2104 section 2).
fn md5_block(key: &Key) -> Block<Hmac<Md5>> {
    let mut block = Block::<Hmac<Md5>>::default();
    for (to, from) in block.iter_mut().zip(key.0) {
        *to = from;
    }
    block
}

#[cfg(test)]
mod tests;
