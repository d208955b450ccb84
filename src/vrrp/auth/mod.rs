//! Proof that an advert comes from a director that knows the secret: the authentication header of version 2
//! ([`ah`], RFC 2338 section 10.3), and the signed trailer of both versions ([`trailer`], keepalived's `auth_hmac`).
//! The plain password (`auth_type PASS`) is a field of the advert: [`super::packet`] reads it, [`super::accept`]
//! compares it. [`guard`] is what an instance holds: either of them, or none.
//!
//! Everything here is pure: wall-clock time, files and random numbers come in as arguments. What is refused is an
//! [`AuthError`], counted by its [name](AuthError::name).
//!
//! | what | covers | where the numbers come from |
//! | --- | --- | --- |
//! | PASS | nothing: it is readable on the LAN | none |
//! | AH | the IP header without TOS and checksum (and TTL, in unicast), and the advert | one counter, continued by whoever is master |
//! | `auth_hmac` | source address, VRID, version, the advert | the sender's clock, without its steps ([`steady`]) |

pub mod ah;
pub mod guard;
pub mod keys;
pub mod replay;
pub mod steady;
pub mod trailer;

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

/// Which kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `auth_type AH`.
    Ah,
    /// `auth_hmac`.
    Hmac,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ah => "an authentication header (auth_type AH)",
            Self::Hmac => "an auth_hmac trailer",
        })
    }
}

/// What is wrong with the shape of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The datagram is no whole IPv4 packet.
    Packet,
    /// It is a fragment.
    Fragment,
    /// Length of the header or trailer, in bytes.
    Length(usize),
    /// What follows the authentication header, by its IP protocol number, is not VRRP.
    NextHeader(u8),
    /// Length field of the authentication header: 4 is the only right one.
    LengthField(u8),
    /// The security parameter index is not the sender's address.
    Index(u32),
    /// Type of the trailer: 1 is the only one.
    Type(u8),
    /// The reserved field of the trailer is not zero.
    Reserved(u16),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet => f.write_str("not a whole IPv4 packet"),
            Self::Fragment => f.write_str("a fragment of an IP packet"),
            Self::Length(bytes) => write!(f, "{bytes} bytes of it, which is no length that it can have"),
            Self::NextHeader(found) => write!(f, "IP protocol {found} behind it instead of 112, VRRP"),
            Self::LengthField(found) => write!(f, "length field {found} instead of 4"),
            Self::Index(found) => {
                write!(f, "security parameter index {found:#010x}, not the sender's address")
            }
            Self::Type(found) => write!(f, "type {found} instead of 1 (HMAC-SHA256/128)"),
            Self::Reserved(found) => write!(f, "reserved field {found:#06x} instead of 0"),
        }
    }
}

/// Why an advert's proof was not believed. The texts name no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// There is none, and it is required.
    #[error("{source_address} sends no {}: configure it there too, or there are two masters", bare(*.scheme))]
    Missing {
        /// Sender.
        source_address: IpAddr,
        /// What is missing.
        scheme: Scheme,
    },
    /// It has not the shape that it must have.
    #[error("{source_address} sends {scheme} that cannot be read: {flaw}")]
    Malformed {
        /// Sender; unspecified where not even that can be read.
        source_address: IpAddr,
        /// What it was to be.
        scheme: Scheme,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Signed with a key that we do not have.
    #[error("{source_address} signs with key {id}: this instance has no such key, add it to auth_hmac")]
    UnknownKey {
        /// Sender.
        source_address: IpAddr,
        /// Number of the key.
        id: u8,
    },
    /// The digest does not fit: another secret, or the bytes were changed on the way.
    #[error(
        "{source_address} sends {scheme} with a wrong digest: {}, or somebody changes adverts on the way",
        cure(*.scheme)
    )]
    Digest {
        /// Sender.
        source_address: IpAddr,
        /// What it sends.
        scheme: Scheme,
    },
    /// Signed at a time too far from ours.
    #[error(
        "{source_address} signed it {} s {} our clock, {window} s are allowed: synchronise the clocks (NTP), or raise \
         time_window", ahead.unsigned_abs(), if *.ahead < 0 { "behind" } else { "ahead of" }
    )]
    Stale {
        /// Sender.
        source_address: IpAddr,
        /// Its clock minus ours, in seconds.
        ahead: i64,
        /// `time_window`, in seconds.
        window: u32,
    },
    /// Its number is not greater than the last one: a recording, or a sender whose number started anew.
    #[error(
        "{source_address} sends number {found:#x} after {last:#x}: it was sent before (somebody plays back a \
         recording), or its numbers started anew"
    )]
    Replay {
        /// Sender.
        source_address: IpAddr,
        /// What it sends: numbers of AH have 32 bits, those of `auth_hmac` 64.
        scheme: Scheme,
        /// Its number.
        found: u64,
        /// The last one that was accepted (AH: or sent by this instance).
        last: u64,
    },
}

impl AuthError {
    /// Name of the counter that this refusal adds to.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "auth_missing",
            Self::Malformed { .. } => "auth_malformed",
            Self::UnknownKey { .. } => "auth_unknown_key",
            Self::Digest { .. } => "auth_invalid_hmac",
            Self::Stale { .. } => "auth_stale",
            Self::Replay { .. } => "auth_replay",
        }
    }

    /// What keepalived's statistics call it: "Authentication Extension Errors" since 2.4 for the trailer,
    /// "Authentication Errors" for the authentication header.
    pub fn keepalived_label(&self) -> &'static str {
        match (self.scheme(), self) {
            (Scheme::Ah, Self::Missing { .. }) => "Type Mismatch",
            (Scheme::Ah, _) => "Failure",
            (Scheme::Hmac, Self::Missing { .. }) => "Missing",
            (Scheme::Hmac, Self::Malformed { .. }) => "Malformed",
            (Scheme::Hmac, Self::UnknownKey { .. }) => "Unknown Key",
            (Scheme::Hmac, Self::Digest { .. }) => "Invalid HMAC",
            (Scheme::Hmac, Self::Stale { .. }) => "Stale",
            (Scheme::Hmac, Self::Replay { .. }) => "Replay",
        }
    }

    /// Which kind of proof it speaks of.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Missing { scheme, .. }
            | Self::Malformed { scheme, .. }
            | Self::Digest { scheme, .. }
            | Self::Replay { scheme, .. } => *scheme,
            Self::UnknownKey { .. } | Self::Stale { .. } => Scheme::Hmac,
        }
    }
}

/// The scheme without its article.
fn bare(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Ah => "authentication header (auth_type AH)",
        Scheme::Hmac => "auth_hmac trailer",
    }
}

/// Where to look when the digest is wrong.
fn cure(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Ah => "write the same auth_pass on both (its first 8 bytes count)",
        Scheme::Hmac => "give the key of this number the same secret on both",
    }
}
