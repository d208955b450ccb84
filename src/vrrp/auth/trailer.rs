//! `auth_hmac`: a signed trailer behind the message of either version and family (draft-cassen-vrrp-auth-hmac, as
//! keepalived sends it since 2.4.2).
//!
//! ```text
//! VRRP message | 1 | key id | 0 0 | seconds | fraction | counter | HMAC-SHA256, its first 16 bytes
//!                             res   4 B       2 B        2 B
//! ```
//!
//! The digest covers a pseudo header (family, version, VRID, source address), the message with its checksum read as
//! zero, and the first 12 bytes of the trailer. Seconds, fraction and counter are one number that only grows: the
//! sender's clock. The checksum of a message over IPv4 leaves the trailer out; over IPv6, where the kernel may write
//! it, it takes it in.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use hmac::digest::Key as Block;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::keys::{Key, KeyRing};
use super::replay::{Marks, is_newer};
use super::{AuthError, Flaw, Scheme};
use crate::config::model::{AntiReplay, AuthHmac, HmacMode};
use crate::vrrp::packet::{fold, sum};

/// Length of the trailer, in bytes.
pub const LENGTH: usize = 28;
/// The part of it that is signed.
const SIGNED: usize = 12;
/// HMAC-SHA256 cut to 128 bits.
const TYPE: u8 = 1;

/// What an instance's `auth_hmac` block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its keys.
    pub keys: KeyRing,
    /// What repeated adverts are recognised by.
    pub anti_replay: AntiReplay,
    /// How far clocks may differ, in seconds, 1..=300; mode `time` only.
    pub window: u32,
    /// What is asked of others, and whether we sign.
    pub mode: HmacMode,
}

impl Settings {
    /// From the configuration, with keepalived's defaults: mode enforce, by time, and a window of three intervals but
    /// at least 5 s.
    pub fn new(config: &AuthHmac, keys: KeyRing, advert_int: Duration) -> Self {
        let three = advert_int.saturating_mul(3).as_millis().div_ceil(1000);
        let window = config.time_window.unwrap_or_else(|| u32::try_from(three).unwrap_or(300).max(5));
        Self {
            keys,
            anti_replay: config.anti_replay.unwrap_or(AntiReplay::Time),
            window: window.clamp(1, 300),
            mode: config.mode.unwrap_or(HmacMode::Enforce),
        }
    }

    /// True when our adverts bear a trailer.
    pub fn signs(&self) -> bool {
        self.mode != HmacMode::ReceiveOnly
    }
}

/// A point in time as the trailer has it: seconds since 1970, 1/65536 s, and a counter of zero.
fn stamp(now: Duration) -> u64 {
    // The field has 32 bits; receivers compare on a circle.
    let seconds = now.as_secs() & u64::from(u32::MAX);
    let fraction = (u64::from(now.subsec_nanos()) << 16) / 1_000_000_000;
    seconds << 32 | fraction << 16
}

/// The seconds of a number.
fn seconds(sequence: u64) -> u32 {
    u32::try_from(sequence >> 32).unwrap_or_default()
}

/// How far the seconds of a number lie ahead of the clock, in seconds.
fn ahead(sequence: u64, now: Duration) -> i64 {
    i64::from(seconds(sequence).wrapping_sub(seconds(stamp(now))).cast_signed())
}

/// The numbers of our own adverts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    last: Option<u64>,
}

impl Sender {
    /// The number of the next advert, which all unicast peers get alike. `now` is the time since 1970.
    ///
    /// It is the clock; where that is not greater than the last number (it was stepped back), the last one and one. A
    /// clock that stays behind by more than the window makes it start anew in mode `time`: those who hear us have
    /// forgotten the old number by then.
    pub fn next(&mut self, settings: &Settings, now: Duration) -> u64 {
        let clock = stamp(now);
        let next = match self.last {
            Some(last) if !is_newer(clock, last) => {
                let too_far = ahead(last, now) > i64::from(settings.window);
                if settings.anti_replay == AntiReplay::Time && too_far { clock } else { last.wrapping_add(1) }
            }
            _ => clock,
        };
        self.last = Some(next);
        next
    }
}

/// The message with its trailer, signed by the active key.
///
/// `message` is what [`Advert::encode`](crate::vrrp::packet::Advert::encode) gave for `source` and the destination;
/// over IPv6 its checksum is widened to the trailer.
pub fn seal(keys: &KeyRing, sequence: u64, mut message: Vec<u8>, source: IpAddr) -> Vec<u8> {
    let mut trailer = Vec::with_capacity(LENGTH);
    trailer.extend([TYPE, keys.active().id(), 0, 0]);
    trailer.extend(sequence.to_be_bytes());
    let digest = signature(keys.active(), &message, &trailer, source).finalize().into_bytes();
    trailer.extend(digest.iter().take(LENGTH - SIGNED));
    if source.is_ipv6() {
        shift_checksum(&mut message, span(&trailer));
    }
    message.extend(trailer);
    message
}

/// A payload whose trailer was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The message alone, for [`Advert::parse`](crate::vrrp::packet::Advert::parse); over IPv6 with the checksum that
    /// it has without the trailer (a wrong one stays wrong by as much).
    pub message: Cow<'a, [u8]>,
    /// What the trailer proved; `None` when there was none, and none was required.
    pub proof: Option<Proof>,
}

/// What a good trailer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Number of the key.
    pub key: u8,
    /// The sender's clock minus ours, in seconds.
    pub ahead: i64,
    /// The clocks differ by more than half the window: worth a warning before adverts are refused.
    pub skewed: bool,
}

/// Judges trailers, and remembers what was heard.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    marks: Marks,
}

impl Receiver {
    /// For these unicast peers; with none for multicast.
    pub fn new(peers: Vec<IpAddr>) -> Self {
        Self { marks: Marks::new(peers) }
    }

    /// Takes other peers; what was heard stays known.
    pub fn set_peers(&mut self, peers: Vec<IpAddr>) {
        self.marks.set_peers(peers);
    }

    /// Judges an IP payload whose VRID is the instance's. `now` is the time since 1970.
    ///
    /// A good trailer's number is noted at once, whatever becomes of the advert: only a holder of the key can make it
    /// grow.
    ///
    /// # Errors
    /// In this order: no trailer where one is required, shape, time, key, digest (in constant time), number.
    pub fn judge<'a>(
        &mut self,
        settings: &Settings,
        payload: &'a [u8],
        source: IpAddr,
        now: Duration,
    ) -> Result<Checked<'a>, AuthError> {
        let malformed = |flaw| AuthError::Malformed { source_address: source, scheme: Scheme::Hmac, flaw };
        let Some((message, trailer)) = split(payload, source.is_ipv6()) else {
            // Not even a message: the parser says better what is wrong with it.
            return Ok(Checked { message: Cow::Borrowed(payload), proof: None });
        };
        if trailer.is_empty() {
            return match settings.mode {
                HmacMode::Enforce => Err(AuthError::Missing { source_address: source, scheme: Scheme::Hmac }),
                HmacMode::Permissive | HmacMode::ReceiveOnly => {
                    Ok(Checked { message: Cow::Borrowed(message), proof: None })
                }
            };
        }
        let Ok(whole) = <&[u8; LENGTH]>::try_from(trailer) else {
            return Err(malformed(Flaw::Length(trailer.len())));
        };
        let (&[kind, id, r1, r2, s1, s2, s3, s4, f1, f2, c1, c2, ..], digest) = (whole, &whole[SIGNED..]);
        if kind != TYPE {
            return Err(malformed(Flaw::Type(kind)));
        }
        if [r1, r2] != [0, 0] {
            return Err(malformed(Flaw::Reserved(u16::from_be_bytes([r1, r2]))));
        }
        let sequence = u64::from_be_bytes([s1, s2, s3, s4, f1, f2, c1, c2]);
        let ahead_by = ahead(sequence, now);
        let by_time = settings.anti_replay == AntiReplay::Time;
        let window = i64::from(settings.window);
        if by_time && ahead_by.abs() > window {
            return Err(AuthError::Stale {
                source_address: source,
                ahead: ahead_by,
                window: settings.window,
            });
        }
        let key = settings.keys.get(id).ok_or(AuthError::UnknownKey { source_address: source, id })?;
        signature(key, message, &whole[..SIGNED], source)
            .verify_truncated_left(digest)
            .map_err(|_wrong| AuthError::Digest { source_address: source, scheme: Scheme::Hmac })?;
        // A mark outside the window is from before a step of a clock: what it would refuse is stale already.
        let mark = self.marks.last(source).filter(|mark| !by_time || ahead(*mark, now).abs() <= window);
        if let Some(last) = mark.filter(|last| !is_newer(sequence, *last)) {
            let (source_address, scheme, found) = (source, Scheme::Hmac, sequence);
            return Err(AuthError::Replay { source_address, scheme, found, last });
        }
        self.marks.note(source, sequence);
        let mut message = Cow::Borrowed(message);
        if source.is_ipv6() {
            shift_checksum(message.to_mut(), 0xffff - span(trailer));
        }
        let skewed = by_time && ahead_by.abs() * 2 > window;
        Ok(Checked { message, proof: Some(Proof { key: id, ahead: ahead_by, skewed }) })
    }
}

/// True for a payload that was signed with a key that we have, whenever that was.
pub fn is_signed(settings: &Settings, payload: &[u8], source: IpAddr) -> bool {
    let Some((message, trailer)) = split(payload, source.is_ipv6()) else { return false };
    let Ok(whole) = <&[u8; LENGTH]>::try_from(trailer) else { return false };
    let Some(key) = settings.keys.get(whole[1]).filter(|_| whole[0] == TYPE) else { return false };
    signature(key, message, &whole[..SIGNED], source).verify_truncated_left(&whole[SIGNED..]).is_ok()
}

/// The message, as long as its own fields say, and what is behind it. `None` when it is shorter than that.
fn split(payload: &[u8], ipv6: bool) -> Option<(&[u8], &[u8])> {
    let (version, count) = (payload.first()? >> 4, usize::from(*payload.get(3)?));
    let auth_data = if version == 2 { 8 } else { 0 };
    payload.split_at_checked(8 + count * if ipv6 { 16 } else { 4 } + auth_data)
}

/// The digest of a message and the first 12 bytes of its trailer.
fn signature(key: &Key, message: &[u8], trailer: &[u8], source: IpAddr) -> Hmac<Sha256> {
    let byte = |at: usize| message.get(at).copied().unwrap_or_default();
    let mut pseudo = [0; 20];
    pseudo[0] = if source.is_ipv6() { 6 } else { 4 };
    pseudo[1] = byte(0) >> 4;
    pseudo[2] = byte(1);
    match source {
        IpAddr::V4(v4) => pseudo[4..8].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => pseudo[4..20].copy_from_slice(&v6.octets()),
    }
    let mut block = Block::<Hmac<Sha256>>::default();
    block.copy_from_slice(key.block());
    let mut mac = <Hmac<Sha256>>::new(&block);
    mac.update(&pseudo);
    let (before, from_checksum) = message.split_at_checked(6).unwrap_or((message, &[]));
    mac.update(before);
    mac.update(&[0; 2]);
    mac.update(from_checksum.get(2..).unwrap_or_default());
    mac.update(trailer);
    mac.update(&[0; LENGTH - SIGNED]);
    mac
}

/// What a trailer adds to the sum that a checksum over IPv6 is made of, folded: its words, and its length in the
/// pseudo header.
fn span(trailer: &[u8]) -> u16 {
    !fold(sum(trailer) + trailer.len() as u64)
}

/// Adds to the sum behind the checksum field of a message. Subtracting is adding the complement.
fn shift_checksum(message: &mut [u8], by: u16) {
    if let Some(field) = message.get_mut(6..8) {
        let old = u16::from_be_bytes([field[0], field[1]]);
        field.copy_from_slice(&fold(u64::from(!old) + u64::from(by)).to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
