//! Is this advert for us, and allowed? (RFC 9568 section 7.1, with keepalived's unicast and PASS rules.)
//!
//! [`Accepted`] has no public constructor, so that the machine cannot be fed an advert that was not checked.
//! What is refused is a [`Discard`]: counted by its name, and no timer knows of it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::auth::AuthError;
use super::auth::ah::AUTH_TYPE;
use super::packet::{Advert, AuthField, ChecksumMode, ParseError, interval_seconds, peek_vrid};
use crate::config::model::VrrpVersion;

/// One datagram as the socket hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The IP payload, cut to the length that the IP header gives.
    pub payload: &'a [u8],
    /// Sender.
    pub source: IpAddr,
    /// The address it was sent to.
    pub destination: IpAddr,
    /// TTL or hop limit that it arrived with.
    pub ttl: u8,
}

/// What an instance asks of an advert.
#[derive(Clone)]
pub struct Rules {
    /// Version that the instance speaks.
    pub version: VrrpVersion,
    /// Its virtual router.
    pub vrid: u8,
    /// Its family.
    pub ipv6: bool,
    /// PASS password, filled up with zero bytes; version 2 only.
    pub password: Option<[u8; 8]>,
    /// What comes has an authentication header, which was opened already: authentication type 2 is right.
    pub ah: bool,
    /// Which checksums count besides the right one.
    pub checksum: ChecksumMode,
    /// Its own interval: what version 2 demands of others.
    pub advert_int: Duration,
    /// Its advertised addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Its own source address: what comes from there may be our own voice.
    pub own: Option<IpAddr>,
    /// The priority that it sends itself now; `None` while it sends nothing. Only what bears it, from our own address,
    /// is our own voice: two directors whose files name one source address are common, and must still elect.
    pub own_priority: Option<u8>,
    /// Unicast instead of multicast.
    pub unicast: Option<UnicastRules>,
}

impl fmt::Debug for Rules {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("version", &self.version)
            .field("vrid", &self.vrid)
            .field("ipv6", &self.ipv6)
            .field("password", &self.password.map(|_| "XXXXXX"))
            .field("ah", &self.ah)
            .field("checksum", &self.checksum)
            .field("advert_int", &self.advert_int)
            .field("addresses", &self.addresses)
            .field("own", &self.own)
            .field("own_priority", &self.own_priority)
            .field("unicast", &self.unicast)
            .finish()
    }
}

/// Rules of a unicast instance.
#[derive(Clone, Debug, Default)]
pub struct UnicastRules {
    /// The peers.
    pub peers: Vec<PeerRule>,
    /// Refuse strangers. A TTL limit on any peer switches this on too, as in keepalived.
    pub check_source: bool,
}

/// What is asked of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRule {
    /// Its address.
    pub address: IpAddr,
    /// Least TTL.
    pub min_ttl: Option<u8>,
    /// Greatest TTL.
    pub max_ttl: Option<u8>,
}

/// An advert that may move the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    source: IpAddr,
    priority: u8,
    interval: Duration,
    mismatch: Option<AddressMismatch>,
}

impl Accepted {
    /// Who sent it.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Its priority; 0 = the master gives up.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The sender's interval, never zero: a version 3 sender that says zero is taken at our own interval, since
    /// refusing it would make two masters.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Set when the sender's virtual addresses are not ours. The advert counts all the same (as in
    /// keepalived 2.3.4 and later): refusing it would make two masters in every rolling change of addresses.
    pub fn address_mismatch(&self) -> Option<&AddressMismatch> {
        self.mismatch.as_ref()
    }
}

/// How two lists of virtual addresses differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMismatch {
    /// Ours that the sender does not name.
    pub only_ours: Vec<IpAddr>,
    /// The sender's that we do not have.
    pub only_theirs: Vec<IpAddr>,
}

impl fmt::Display for AddressMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: &[IpAddr]| match addresses {
            [] => "none".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        write!(
            f,
            "the virtual addresses differ: only here {}; only there {}. Make virtual_ipaddress the same on both \
             (the advert is accepted)",
            list(&self.only_ours),
            list(&self.only_theirs)
        )
    }
}

/// Why an advert was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Discard {
    /// The wrong IP family for this instance.
    #[error("an advert over {} for an instance over {}", family(*.ipv6), family(!*.ipv6))]
    Family {
        /// The packet is IPv6.
        ipv6: bool,
    },
    /// Another virtual router.
    #[error("virtual_router_id {found}, this instance is {expected}")]
    Vrid {
        /// In the packet.
        found: u8,
        /// Ours.
        expected: u8,
    },
    /// Our own advert, looped back by the network (or another host uses our address).
    #[error(
        "it comes from our own address {source_address}: looped back, or another host has this address: see that \
         each director has its own"
    )]
    OwnPacket {
        /// The address.
        source_address: IpAddr,
    },
    /// A multicast advert that passed a router, or was forged from beyond one.
    #[error("TTL {found} from {source_address}, multicast adverts must arrive with 255: it crossed a router")]
    Ttl {
        /// TTL it came with.
        found: u8,
        /// Sender.
        source_address: IpAddr,
    },
    /// A peer's advert outside its TTL limits.
    #[error(
        "TTL {found} from peer {source_address} is outside {least}..={greatest}: adapt min_ttl / max_ttl of that \
         peer, or unicast_ttl there"
    )]
    PeerTtl {
        /// TTL it came with.
        found: u8,
        /// Sender.
        source_address: IpAddr,
        /// `min_ttl`.
        least: u8,
        /// `max_ttl`.
        greatest: u8,
    },
    /// Not one of the configured peers.
    #[error("{source_address} is no peer of this instance: add it to unicast_peer if it should be one")]
    UnknownPeer {
        /// Sender.
        source_address: IpAddr,
    },
    /// The bytes are no advert.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The other version.
    #[error(
        "{source_address} speaks VRRP version {found}, this instance version {expected}: set the same version \
         (vrrp_version) on both, or there are two masters"
    )]
    Version {
        /// Sender.
        source_address: IpAddr,
        /// In the packet.
        found: u8,
        /// Ours.
        expected: u8,
    },
    /// Password here, none there, or the other way round, or a type that we do not know.
    #[error(
        "{source_address} sends {found}, this instance wants {expected}: write the same authentication block on \
         both, or there are two masters"
    )]
    AuthType {
        /// Sender.
        source_address: IpAddr,
        /// Its type in words.
        found: AuthName,
        /// Ours in words.
        expected: AuthName,
    },
    /// The wrong password. The text names neither.
    #[error(
        "{source_address} sends another password: write the same auth_pass on both (its first 8 bytes count), or \
         there are two masters"
    )]
    Password {
        /// Sender.
        source_address: IpAddr,
    },
    /// The authentication header or the signed trailer is not right.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Version 2 and another interval.
    #[error(
        "{source_address} advertises each {found} s, this instance each {expected} s: version 2 refuses that, and \
         both become master. Set the same advert_int on both, or use version 3, which adopts the master's"
    )]
    Interval {
        /// Sender.
        source_address: IpAddr,
        /// Its interval in seconds.
        found: u8,
        /// Ours in seconds, as version 2 rounds it.
        expected: u8,
    },
}

/// An authentication type in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthName {
    /// Type 0.
    None,
    /// Type 1.
    Pass,
    /// Another number.
    Unknown(u8),
}

impl fmt::Display for AuthName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no authentication"),
            Self::Pass => f.write_str("a password (auth_type PASS)"),
            Self::Unknown(2) => f.write_str("authentication type 2 (auth_type AH)"),
            Self::Unknown(number) => write!(f, "authentication type {number}"),
        }
    }
}

impl Discard {
    /// Name of the counter that this refusal adds to.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Family { .. } => "family",
            Self::Vrid { .. } => "vrid",
            Self::OwnPacket { .. } => "own_packet",
            Self::Ttl { .. } => "ttl",
            Self::PeerTtl { .. } => "peer_ttl",
            Self::UnknownPeer { .. } => "unknown_peer",
            Self::Malformed(error) => match error {
                ParseError::TooShort { .. } => "too_short",
                ParseError::Version { .. } => "unknown_version",
                ParseError::Version2OverIpv6 => "version2_over_ipv6",
                ParseError::MixedFamilies { .. } => "mixed_families",
                ParseError::Type { .. } => "type",
                ParseError::Length { .. } => "length",
                ParseError::Checksum { .. } => "checksum",
            },
            Self::Version { .. } => "version",
            Self::AuthType { .. } => "auth_type",
            Self::Password { .. } => "password",
            Self::Auth(error) => error.name(),
            Self::Interval { .. } => "interval",
        }
    }
}

/// Checks one datagram. Cheap checks come first, so that a flood of bad packets costs little; what belongs to
/// another virtual router is told apart before anything is held against this one.
///
/// # Errors
/// The first rule that the datagram breaks.
pub fn accept(rules: &Rules, datagram: &Datagram<'_>) -> Result<Accepted, Discard> {
    let &Datagram { payload, source, destination, ttl } = datagram;
    if source.is_ipv6() != rules.ipv6 {
        return Err(Discard::Family { ipv6: source.is_ipv6() });
    }
    if let Some(found) = peek_vrid(payload).filter(|vrid| *vrid != rules.vrid) {
        return Err(Discard::Vrid { found, expected: rules.vrid });
    }
    match &rules.unicast {
        None if ttl != 255 => return Err(Discard::Ttl { found: ttl, source_address: source }),
        None => {}
        Some(unicast) => check_peer(unicast, source, ttl)?,
    }
    let advert = Advert::parse_as(payload, source, destination, rules.checksum)?;
    let ours = |priority| rules.own_priority.is_some_and(|own| priority == own || priority == 0);
    if rules.own == Some(source) && ours(advert.priority) {
        return Err(Discard::OwnPacket { source_address: source });
    }
    if advert.version != rules.version {
        return Err(Discard::Version {
            source_address: source,
            found: advert.version.into(),
            expected: rules.version.into(),
        });
    }
    let interval = match rules.version {
        VrrpVersion::V2 => {
            check_auth(rules, advert.auth, source)?;
            let (found, expected) = (interval_seconds(advert.interval), interval_seconds(rules.advert_int));
            if found != expected {
                return Err(Discard::Interval { source_address: source, found, expected });
            }
            rules.advert_int
        }
        VrrpVersion::V3 if advert.interval.is_zero() => rules.advert_int,
        VrrpVersion::V3 => advert.interval,
    };
    let theirs: BTreeSet<IpAddr> = advert.addresses.into_iter().collect();
    let mismatch = (theirs != rules.addresses).then(|| AddressMismatch {
        only_ours: rules.addresses.difference(&theirs).copied().collect(),
        only_theirs: theirs.difference(&rules.addresses).copied().collect(),
    });
    Ok(Accepted { source, priority: advert.priority, interval, mismatch })
}

/// Source and TTL of a unicast advert.
fn check_peer(rules: &UnicastRules, source: IpAddr, ttl: u8) -> Result<(), Discard> {
    let limited = rules.peers.iter().any(|peer| peer.min_ttl.is_some() || peer.max_ttl.is_some());
    let Some(peer) = rules.peers.iter().find(|peer| peer.address == source) else {
        if rules.check_source || limited {
            return Err(Discard::UnknownPeer { source_address: source });
        }
        return Ok(());
    };
    let (least, greatest) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(u8::MAX));
    if !(least..=greatest).contains(&ttl) {
        return Err(Discard::PeerTtl { found: ttl, source_address: source, least, greatest });
    }
    Ok(())
}

/// Authentication of a version 2 advert.
fn check_auth(rules: &Rules, found: AuthField, source: IpAddr) -> Result<(), Discard> {
    if rules.ah {
        let right = found == AuthField::Unknown(AUTH_TYPE);
        let found = name_of(found);
        let expected = AuthName::Unknown(AUTH_TYPE);
        return if right {
            Ok(())
        } else {
            Err(Discard::AuthType { source_address: source, found, expected })
        };
    }
    let password = rules.password;
    let found_name = name_of(found);
    let wrong_type =
        |expected| Err(Discard::AuthType { source_address: source, found: found_name, expected });
    match (password, found) {
        (None, AuthField::None) => Ok(()),
        (None, AuthField::Pass(_) | AuthField::Unknown(_)) => wrong_type(AuthName::None),
        (Some(ours), AuthField::Pass(theirs)) if ours == theirs => Ok(()),
        (Some(_), AuthField::Pass(_)) => Err(Discard::Password { source_address: source }),
        (Some(_), AuthField::None | AuthField::Unknown(_)) => wrong_type(AuthName::Pass),
    }
}

fn name_of(field: AuthField) -> AuthName {
    match field {
        AuthField::None => AuthName::None,
        AuthField::Pass(_) => AuthName::Pass,
        AuthField::Unknown(number) => AuthName::Unknown(number),
    }
}

/// The family in words.
fn family(ipv6: bool) -> &'static str {
    if ipv6 { "IPv6" } else { "IPv4" }
}

#[cfg(test)]
mod tests;
