//! Whose packet is this, and is it allowed? (RFC 5880 section 6.8.6, RFC 5881 sections 3 and 5, RFC 5883
//! section 4.)
//!
//! What is refused is a [`Discard`]: counted by its name, and no timer knows of it.

use std::net::IpAddr;

use thiserror::Error;

use super::packet::{Control, ParseError};

/// One UDP datagram as the socket hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The UDP payload.
    pub payload: &'a [u8],
    /// Sender.
    pub source: IpAddr,
    /// The address it was sent to.
    pub destination: IpAddr,
    /// TTL or hop limit that it arrived with.
    pub ttl: u8,
    /// It came to port 4784 (RFC 5883) and not 3784 (RFC 5881).
    pub multihop: bool,
}

/// What tells the packets of one session from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The neighbour's address.
    pub neighbour: IpAddr,
    /// Our address, when the configuration names one.
    pub source: Option<IpAddr>,
    /// Port 4784 in place of 3784.
    pub multihop: bool,
    /// Least TTL or hop limit on arrival; `None`: whatever it is. 255 is the generalized TTL security mechanism
    /// (RFC 5881 section 5): no router can have forwarded it.
    pub least_ttl: Option<u8>,
}

/// Why a datagram is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Discard {
    /// It is no packet.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// Your discriminator is none of ours: the neighbour speaks to an earlier run of ours, or this is forged.
    #[error("its your discriminator {discriminator:#010x} is that of no session")]
    UnknownDiscriminator {
        /// Your discriminator field.
        discriminator: u32,
    },
    /// Your discriminator is zero, and nobody expects this sender.
    #[error("no bfd_instance has this neighbour, address and port")]
    UnknownNeighbour,
    /// The session exists, but between other addresses or on the other port.
    #[error("your discriminator is that of the session with another neighbour, address or port")]
    OtherPath,
    /// It came further than allowed.
    #[error("it arrived with TTL {ttl}, at least {least} is expected: raise max_hops if routers are between")]
    Ttl {
        /// TTL or hop limit on arrival.
        ttl: u8,
        /// What the session asks for.
        least: u8,
    },
}

impl Discard {
    /// Its name as a counter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed(error) => error.name(),
            Self::UnknownDiscriminator { .. } => "unknown_discriminator",
            Self::UnknownNeighbour => "unknown_neighbour",
            Self::OtherPath => "other_path",
            Self::Ttl { .. } => "ttl",
        }
    }

    /// True for what an honest neighbour does too while one of both starts anew: not worth a warning.
    pub const fn is_expected(self) -> bool {
        matches!(self, Self::UnknownDiscriminator { .. })
    }
}

impl Path {
    fn carries(&self, datagram: &Datagram<'_>) -> bool {
        self.neighbour == datagram.source
            && self.multihop == datagram.multihop
            && self.source.is_none_or(|own| own == datagram.destination)
    }
}

/// Finds the session of a datagram among (discriminator, path) and returns its place with the packet.
///
/// Two sessions may have one neighbour when they differ in our address; one that names our address goes before one
/// that does not.
///
/// # Errors
/// A [`Discard`], when it is none's or not allowed.
pub fn accept(sessions: &[(u32, Path)], datagram: &Datagram<'_>) -> Result<(usize, Control), Discard> {
    let packet = Control::parse(datagram.payload)?;
    let numbered = || sessions.iter().enumerate();
    let (index, path) = if packet.your_discriminator == 0 {
        let ours = || numbered().filter(|(_, (_, path))| path.carries(datagram));
        let found = ours().find(|(_, (_, path))| path.source.is_some()).or_else(|| ours().next());
        found.map(|(index, (_, path))| (index, path)).ok_or(Discard::UnknownNeighbour)?
    } else {
        let discriminator = packet.your_discriminator;
        let found = numbered().find(|(_, (own, _))| *own == discriminator);
        let (index, (_, path)) = found.ok_or(Discard::UnknownDiscriminator { discriminator })?;
        if !path.carries(datagram) {
            return Err(Discard::OtherPath);
        }
        (index, path)
    };
    match path.least_ttl {
        Some(least) if datagram.ttl < least => Err(Discard::Ttl { ttl: datagram.ttl, least }),
        _ => Ok((index, packet)),
    }
}

#[cfg(test)]
mod tests;
