//! All that one instance needs of authentication, whichever kind it is: what its adverts bear, and whether those of
//! others are believed. It holds the numbers; the settings may change under it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::ah::{self, IpFields};
use super::replay::Counter;
use super::trailer::{self, Proof, Receiver, Sender};
use super::{AuthError, Flaw, Scheme};
use crate::vrrp::packet::{AuthField, PROTOCOL as VRRP};

/// What an instance's configuration asks for, besides PASS, which is a field of the advert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: no authentication, or PASS.
    #[default]
    Bare,
    /// `auth_type AH`: version 2 over IPv4.
    Ah(ah::Key),
    /// `auth_hmac`.
    Hmac(trailer::Settings),
}

/// The number of one advert, which all unicast peers get alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(u64);

/// An advert ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// A payload of IP protocol 112.
    Payload(Vec<u8>),
    /// A whole IPv4 packet of protocol 51: what was signed includes its header.
    Packet(Vec<u8>),
}

/// What came in, as the socket gives it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The IP payload, cut to the length that the IP header gives.
    pub payload: &'a [u8],
    /// The whole IPv4 packet, where the socket delivers it; empty over IPv6.
    pub packet: &'a [u8],
    /// Sender.
    pub source: IpAddr,
}

/// What was behind the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The VRRP message, for [`accept`](crate::vrrp::accept::accept).
    pub bytes: Cow<'a, [u8]>,
    /// What an `auth_hmac` trailer proved.
    pub proof: Option<Proof>,
}

/// The numbers of one instance under its policy.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    policy: Policy,
    peers: Vec<IpAddr>,
    counter: Counter,
    sender: Sender,
    receiver: Receiver,
}

impl Guard {
    /// For a policy and the unicast peers, none with multicast.
    pub fn new(policy: Policy, peers: Vec<IpAddr>) -> Self {
        let receiver = Receiver::new(peers.clone());
        Self { policy, peers, counter: Counter::default(), sender: Sender::default(), receiver }
    }

    /// Takes a reloaded policy. Numbers go on, ours and those of others: a reload opens no door to a recording.
    pub fn reload(&mut self, policy: Policy, peers: Vec<IpAddr>) {
        self.policy = policy;
        if peers != self.peers {
            self.receiver.set_peers(peers.clone());
            self.peers = peers;
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// True where adverts bear the time at which they were signed.
    pub fn goes_by_time(&self) -> bool {
        matches!(self.policy, Policy::Hmac(_))
    }

    /// True when what came in was signed with a key of ours, whenever that was.
    pub fn is_signed(&self, incoming: &Incoming<'_>) -> bool {
        match &self.policy {
            Policy::Hmac(settings) => trailer::is_signed(settings, incoming.payload, incoming.source),
            Policy::Bare | Policy::Ah(_) => false,
        }
    }

    /// IP protocol of the instance's socket: 112, or 51 with an authentication header.
    pub fn protocol(&self) -> u8 {
        match self.policy {
            Policy::Ah(_) => ah::PROTOCOL,
            Policy::Bare | Policy::Hmac(_) => VRRP,
        }
    }

    /// Bytes that it adds to an advert: what is left of the MTU is for addresses.
    pub fn overhead(&self) -> usize {
        match &self.policy {
            Policy::Ah(_) => ah::HEADER,
            Policy::Hmac(settings) if settings.signs() => trailer::LENGTH,
            Policy::Bare | Policy::Hmac(_) => 0,
        }
    }

    /// The authentication field of adverts that are sent, and of those that are accepted; `None` when the policy
    /// leaves it to PASS.
    pub fn field(&self) -> Option<AuthField> {
        matches!(self.policy, Policy::Ah(_)).then_some(AuthField::Unknown(ah::AUTH_TYPE))
    }

    /// The number of the next advert, for all of its destinations. `now` is the time since 1970.
    pub fn number(&mut self, now: Duration) -> Number {
        Number(match &self.policy {
            Policy::Ah(_) => self.counter.next(now.as_secs()).into(),
            Policy::Hmac(settings) if settings.signs() => self.sender.next(settings, now),
            Policy::Bare | Policy::Hmac(_) => 0,
        })
    }

    /// Signs a message for one destination. Addresses of IPv6 are sent bare under [`Policy::Ah`], which `resolve` does
    /// not let through.
    pub fn seal(&self, number: Number, message: Vec<u8>, source: IpAddr, ip: Option<&IpFields>) -> Sealed {
        match (&self.policy, ip) {
            (Policy::Ah(key), Some(ip)) => {
                // The number came from a counter of 32 bits.
                let number = u32::try_from(number.0).unwrap_or(u32::MAX);
                Sealed::Packet(ah::seal(key, number, ip, &message))
            }
            (Policy::Hmac(settings), _) if settings.signs() => {
                Sealed::Payload(trailer::seal(&settings.keys, number.0, message, source))
            }
            _ => Sealed::Payload(message),
        }
    }

    /// Judges what came in for this instance's VRID, and notes its number. `now` is the time since 1970.
    ///
    /// # Errors
    /// What is wrong with the proof; a proof that was not asked for is one, too.
    pub fn open<'a>(&mut self, incoming: &Incoming<'a>, now: Duration) -> Result<Message<'a>, AuthError> {
        match &self.policy {
            Policy::Bare => Ok(Message { bytes: Cow::Borrowed(incoming.payload), proof: None }),
            Policy::Ah(_) if incoming.source.is_ipv6() => Err(AuthError::Malformed {
                source_address: incoming.source,
                scheme: Scheme::Ah,
                flaw: Flaw::Packet,
            }),
            Policy::Ah(key) => {
                let opened = ah::open(key, incoming.packet)?;
                opened.judge(&mut self.counter)?;
                Ok(Message { bytes: Cow::Borrowed(opened.message), proof: None })
            }
            Policy::Hmac(settings) => {
                let judged = self.receiver.judge(settings, incoming.payload, incoming.source, now)?;
                Ok(Message { bytes: judged.message, proof: judged.proof })
            }
        }
    }
}

/// The VRID of a packet, for finding the instance before anything is believed: behind the authentication header where
/// there is one. `payload` is what follows the IP header, `protocol` the socket's.
pub fn peek_vrid(protocol: u8, payload: &[u8]) -> Option<u8> {
    let message = if protocol == ah::PROTOCOL { payload.get(ah::HEADER..)? } else { payload };
    crate::vrrp::packet::peek_vrid(message)
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Key, KeyRing};
    use super::*;
    use crate::config::model::{AuthHmac, HmacMode};
    use crate::vrrp::datagram::dissect;
    use std::net::Ipv4Addr;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);

    fn hmac(secret: u8, mode: HmacMode) -> Policy {
        let keys = KeyRing::new(Key::new(1, &[secret; 32]).unwrap(), Vec::new());
        let config = AuthHmac { mode: Some(mode), ..AuthHmac::default() };
        Policy::Hmac(trailer::Settings::new(&config, keys, Duration::from_secs(1)))
    }

    fn ah() -> Policy {
        Policy::Ah(ah::Key::of_password("lab-pass"))
    }

    /// A message of version 3 with one address; its checksum is nobody's business here.
    fn message() -> Vec<u8> {
        vec![0x31, 51, 150, 1, 0, 100, 0, 0, 10, 7, 0, 100]
    }

    fn fields() -> IpFields {
        let destination = Ipv4Addr::new(224, 0, 0, 18);
        IpFields { source: SOURCE, destination, tos: 0xc0, identification: 1, ttl: 255 }
    }

    /// What `to` makes of an advert of `from`, by name.
    fn heard(from: &mut Guard, to: &mut Guard) -> &'static str {
        let number = from.number(NOW);
        let sealed = from.seal(number, message(), SOURCE.into(), Some(&fields()));
        arrives(&sealed, to)
    }

    fn arrives(sealed: &Sealed, to: &mut Guard) -> &'static str {
        let (payload, packet) = match sealed {
            Sealed::Payload(payload) => {
                let mut packet = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 1, 0, 0, 255, 112, 0, 0];
                packet.extend(SOURCE.octets().iter().chain(&[224, 0, 0, 18]).chain(payload));
                (payload.as_slice(), packet)
            }
            Sealed::Packet(packet) => (dissect(packet).payload, packet.clone()),
        };
        let incoming = Incoming { payload, packet: &packet, source: SOURCE.into() };
        match to.open(&incoming, NOW) {
            Ok(opened) if *opened.bytes == message() => "message",
            Ok(_) => "more than the message",
            Err(error) => error.name(),
        }
    }

    #[test]
    fn each_policy_hears_each() {
        let enforce = || hmac(1, HmacMode::Enforce);
        for (from, to, expected) in [
            (Policy::Bare, Policy::Bare, "message"),
            (ah(), ah(), "message"),
            (enforce(), enforce(), "message"),
            (Policy::Bare, ah(), "auth_missing"),
            (Policy::Bare, enforce(), "auth_missing"),
            (Policy::Bare, hmac(1, HmacMode::Permissive), "message"),
            (hmac(1, HmacMode::ReceiveOnly), enforce(), "auth_missing"),
            (enforce(), hmac(1, HmacMode::ReceiveOnly), "message"),
            (enforce(), hmac(2, HmacMode::Permissive), "auth_invalid_hmac"),
            (Policy::Ah(ah::Key::of_password("other")), ah(), "auth_invalid_hmac"),
            // The parser refuses the length.
            (enforce(), Policy::Bare, "more than the message"),
        ] {
            let (mut from, mut to) = (Guard::new(from, Vec::new()), Guard::new(to, Vec::new()));
            assert_eq!(heard(&mut from, &mut to), expected, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_recording_is_not_believed_not_even_after_a_reload() {
        for policy in [ah(), hmac(1, HmacMode::Enforce)] {
            let (mut from, mut to) =
                (Guard::new(policy.clone(), Vec::new()), Guard::new(policy.clone(), Vec::new()));
            let number = from.number(NOW);
            let sealed = from.seal(number, message(), SOURCE.into(), Some(&fields()));
            assert_eq!(arrives(&sealed, &mut to), "message");
            assert_eq!(arrives(&sealed, &mut to), "auth_replay");
            to.reload(policy.clone(), vec![SOURCE.into()]);
            assert_eq!(arrives(&sealed, &mut to), "auth_replay");
            from.reload(policy, Vec::new());
            assert_eq!(heard(&mut from, &mut to), "message");
        }
    }

    #[test]
    fn what_the_socket_and_the_encoder_must_know() {
        let guard = |policy| Guard::new(policy, Vec::new());
        assert_eq!((guard(ah()).protocol(), guard(ah()).overhead()), (51, 24));
        assert_eq!(guard(ah()).field(), Some(AuthField::Unknown(2)));
        let signs = guard(hmac(1, HmacMode::Enforce));
        assert_eq!((signs.protocol(), signs.overhead(), signs.field()), (112, 28, None));
        assert_eq!(guard(hmac(1, HmacMode::ReceiveOnly)).overhead(), 0);
        let packet = ah::seal(&ah::Key::of_password("x"), 1, &fields(), &message());
        assert_eq!(peek_vrid(51, dissect(&packet).payload), Some(51));
        assert_eq!(peek_vrid(112, &message()), Some(51));
        assert_eq!(peek_vrid(51, &message()), None);
    }

    #[test]
    fn no_secret_is_shown() {
        let policies = [ah(), hmac(b'k', HmacMode::Enforce)];
        let text = format!("{:?}", policies.map(|policy| Guard::new(policy, Vec::new())));
        assert!(text.contains("XXXXXX") && !text.contains("lab-pass") && !text.contains("107"), "{text}");
    }
}
