//! ICMP echoes (RFC 792, RFC 4443): a request out, and whether a datagram is the reply to it.

use pnet_packet::util;

/// Bytes of data in a request: enough to be told from everybody else's.
const DATA: usize = 16;
const HEADER: usize = 8;
/// Length of a whole request, bytes.
pub const LENGTH: usize = HEADER + DATA;
/// The greatest IPv4 header and a whole reply.
pub const LONGEST: usize = 60 + LENGTH;

/// One echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// ICMPv6 rather than ICMP.
    pub v6: bool,
    /// Whose it is; the kernel writes and checks its own on a datagram socket.
    pub identifier: u16,
    /// Which of ours.
    pub sequence: u16,
    /// What the reply must carry.
    pub token: u64,
}

impl Echo {
    const fn types(self) -> (u8, u8) {
        if self.v6 { (128, 129) } else { (8, 0) }
    }

    /// The request, with the checksum of ICMP. That of ICMPv6 covers addresses, and the kernel computes it.
    pub fn request(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = self.types().0;
        bytes[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.token.to_be_bytes());
        // So that it is known in a capture.
        bytes[16..].copy_from_slice(b"tandem\0\0");
        if !self.v6 {
            let sum = util::checksum(&bytes, 1);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }

    /// Whether a datagram answers this request. `raw`: it comes from a raw socket, so with an IPv4 header before it, and
    /// with replies to others.
    pub fn is_answered_by(self, datagram: &[u8], raw: bool) -> bool {
        let message = match datagram.first() {
            Some(first) if raw && !self.v6 => datagram.get(usize::from(first & 0xF) * 4..),
            _ => Some(datagram),
        };
        let Some((header, data)) = message.and_then(|message| message.split_at_checked(HEADER)) else {
            return false;
        };
        header[..2] == [self.types().1, 0]
            && (!raw || header[4..6] == self.identifier.to_be_bytes())
            && header[6..8] == self.sequence.to_be_bytes()
            && data.starts_with(&self.token.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn echo(v6: bool) -> Echo {
        Echo { v6, identifier: 0x1234, sequence: 7, token: 0x0102_0304_0506_0708 }
    }

    fn reply(v6: bool) -> Vec<u8> {
        let mut bytes = echo(v6).request().to_vec();
        bytes[0] = if v6 { 129 } else { 0 };
        bytes
    }

    #[test]
    fn requests_as_on_the_wire() {
        let wire = echo(false).request();
        assert_eq!(wire[..8], [8, 0, wire[2], wire[3], 0x12, 0x34, 0, 7]);
        assert_eq!(wire[8..16], [1, 2, 3, 4, 5, 6, 7, 8]);
        // RFC 1071: with its checksum in place a message sums up to 0.
        assert_eq!(util::checksum(&wire, usize::MAX), 0);
        assert_eq!(echo(true).request()[..4], [128, 0, 0, 0]);
    }

    #[test]
    fn replies_are_told_from_everything_else() {
        for v6 in [false, true] {
            let echo = echo(v6);
            assert!(echo.is_answered_by(&reply(v6), false));
            assert!(!echo.is_answered_by(&echo.request(), false), "our own request");
            assert!(!echo.is_answered_by(&reply(!v6), false), "the other family");
            for (at, raw, answered) in
                [(0, false, false), (1, false, false), (4, false, true), (6, false, false)]
                    .into_iter()
                    .chain([(7, false, false), (8, false, false), (15, false, false), (20, false, true)])
                    .chain([(4, true, false), (5, true, false)])
            {
                let mut other = reply(v6);
                other[at] ^= 0x40;
                if raw && !v6 {
                    other.splice(0..0, [0x45; 20]);
                }
                assert_eq!(echo.is_answered_by(&other, raw), answered, "byte {at}, raw {raw}, v6 {v6}");
            }
        }
        // A raw socket hands the IPv4 header over, with its options.
        for words in [5, 6, 15u8] {
            let mut raw = vec![0x40 | words; usize::from(words) * 4];
            raw.extend(reply(false));
            assert!(echo(false).is_answered_by(&raw, true));
        }
        assert!(echo(true).is_answered_by(&reply(true), true));
    }

    proptest! {
        #[test]
        fn no_datagram_panics_or_answers(bytes in proptest::collection::vec(any::<u8>(), 0..100), v6: bool, raw: bool) {
            // The token is 64 bits: chance does not find it.
            prop_assert!(!echo(v6).is_answered_by(&bytes, raw));
        }

        #[test]
        fn a_cut_reply_is_none(cut in 0..16usize, v6: bool) {
            prop_assert!(!echo(v6).is_answered_by(&reply(v6)[..cut], false));
        }
    }
}
