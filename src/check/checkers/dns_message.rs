//! As much of DNS messages as a check needs (RFC 1035, section 4): a question out, and whether what comes back answers it.

use crate::config::model::DnsType;

/// The longest answer that is looked at, bytes: header and question are at its beginning. What is behind is cut off
/// by the kernel.
pub const LONGEST: usize = 512;
const HEADER: usize = 12;
/// Class IN.
const IN: u16 = 1;
/// QR: it is an answer.
const ANSWER: u16 = 0x8000;
/// Opcode: 0 is a standard query.
const OPCODE: u16 = 0x7800;
/// RD: a resolver may ask others.
const RECURSION: u16 = 0x0100;
const RCODE: u16 = 0x000F;

/// Why a name cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// `a..b`.
    #[error("it has an empty label")]
    EmptyLabel,
    /// RFC 1035, section 2.3.4.
    #[error("a label is longer than 63 bytes")]
    LongLabel,
    /// RFC 1035, section 2.3.4.
    #[error("it is longer than 255 bytes")]
    LongName,
}

/// Why a datagram is no answer to our question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Strange {
    /// Less than a header.
    #[error("a datagram shorter than a DNS header")]
    Short,
    /// Another id: an answer to somebody else, or forged.
    #[error("an answer with another id")]
    Id,
    /// A question, or no standard query.
    #[error("a datagram that is no answer")]
    NoAnswer,
    /// The question that it repeats is not ours.
    #[error("the answer to another question")]
    Question,
}

/// A question with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    bytes: Vec<u8>,
}

impl Question {
    /// The question for a name's records of one type.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(id: u16, name: &str, kind: DnsType) -> Result<Self, NameError> {
        let mut bytes = Vec::with_capacity(HEADER + name.len() + 6);
        for field in [id, RECURSION, 1, 0, 0, 0] {
            bytes.extend(field.to_be_bytes());
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        if !name.is_empty() {
            for label in name.split('.') {
                match u8::try_from(label.len()) {
                    Ok(0) => return Err(NameError::EmptyLabel),
                    Ok(length) if length <= 63 => bytes.push(length),
                    _ => return Err(NameError::LongLabel),
                }
                bytes.extend(label.as_bytes());
            }
        }
        bytes.push(0);
        if bytes.len() - HEADER > 255 {
            return Err(NameError::LongName);
        }
        bytes.extend(number(kind).to_be_bytes());
        bytes.extend(IN.to_be_bytes());
        Ok(Self { bytes })
    }

    /// As it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The rcode of an answer, 0..=15. A server may leave the question out; one that it repeats must be ours.
    ///
    /// # Errors
    /// [`Strange`]: the datagram is none of ours.
    pub fn answer(&self, datagram: &[u8]) -> Result<u8, Strange> {
        let Some((header, rest)) = datagram.split_at_checked(HEADER) else { return Err(Strange::Short) };
        let field = |at: usize| match header.get(at..at + 2) {
            Some([high, low]) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        if header[..2] != self.bytes[..2] {
            return Err(Strange::Id);
        }
        let flags = field(2);
        if flags & ANSWER == 0 || flags & OPCODE != 0 {
            return Err(Strange::NoAnswer);
        }
        let question = self.bytes.get(HEADER..).unwrap_or_default();
        // Names are compared as hosts do, without regard to case; lengths of labels have no case.
        let same = || rest.get(..question.len()).is_some_and(|got| got.eq_ignore_ascii_case(question));
        if field(4) != 0 && !same() {
            return Err(Strange::Question);
        }
        Ok((flags & RCODE).to_be_bytes()[1])
    }
}

/// Numbers of record types.
const fn number(kind: DnsType) -> u16 {
    match kind {
        DnsType::A => 1,
        DnsType::Ns => 2,
        DnsType::Cname => 5,
        DnsType::Soa => 6,
        DnsType::Mx => 15,
        DnsType::Txt => 16,
        DnsType::Aaaa => 28,
        DnsType::Rrsig => 46,
        DnsType::Dnskey => 48,
    }
}

/// The word of an rcode (RFC 1035, RFC 2136), as resolvers show it.
pub const fn rcode_word(rcode: u8) -> &'static str {
    match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question() -> Question {
        Question::new(0x1234, "www.Example.org", DnsType::Aaaa).unwrap()
    }

    /// What a server would say.
    fn answer(question: &Question, rcode: u8) -> Vec<u8> {
        let mut bytes = question.bytes().to_vec();
        bytes[2] = 0x85;
        bytes[3] = 0x80 | rcode;
        bytes
    }

    #[test]
    fn questions_as_on_the_wire() {
        let wire = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\x03org\0\0\x1c\0\x01";
        assert_eq!(question().bytes(), wire);
        let root = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01";
        for name in [".", ""] {
            assert_eq!(Question::new(1, name, DnsType::Soa).unwrap().bytes(), root);
        }
        assert_eq!(Question::new(1, "a.", DnsType::A), Question::new(1, "a", DnsType::A));
    }

    #[test]
    fn names_that_cannot_be_asked_for() {
        let long = ["a".repeat(63).as_str(); 4].join(".");
        for (name, error) in [
            ("a..b".to_owned(), NameError::EmptyLabel),
            (".a".to_owned(), NameError::EmptyLabel),
            ("..".to_owned(), NameError::EmptyLabel),
            ("a".repeat(64), NameError::LongLabel),
            ("a".repeat(300), NameError::LongLabel),
            (long, NameError::LongName),
        ] {
            assert_eq!(Question::new(1, &name, DnsType::A), Err(error), "{name}");
        }
    }

    #[test]
    fn answers() {
        let question = question();
        assert_eq!(question.answer(&answer(&question, 0)), Ok(0));
        assert_eq!(question.answer(&answer(&question, 3)), Ok(3));
        let lower = question.answer(&answer(&question, 0).to_ascii_lowercase());
        assert_eq!(lower, Ok(0));
        // Without the question, with records behind, or cut.
        let mut bare = answer(&question, 2);
        bare.truncate(HEADER);
        assert_eq!(question.answer(&bare), Err(Strange::Question));
        bare[5] = 0;
        assert_eq!(question.answer(&bare), Ok(2));
        let mut more = answer(&question, 0);
        more.extend([0xC0; 200]);
        assert_eq!(question.answer(&more), Ok(0));

        assert_eq!(question.answer(b""), Err(Strange::Short));
        assert_eq!(question.answer(&[0x12; 11]), Err(Strange::Short));
        assert_eq!(question.answer(question.bytes()), Err(Strange::NoAnswer));
        let mut other = answer(&question, 0);
        other[0] ^= 1;
        assert_eq!(question.answer(&other), Err(Strange::Id));
        let mut other = answer(&question, 0);
        other[14] = b'x';
        assert_eq!(question.answer(&other), Err(Strange::Question));
        let mut other = answer(&question, 0);
        other[2] |= 0x10;
        assert_eq!(question.answer(&other), Err(Strange::NoAnswer));
    }

    proptest! {
        #[test]
        fn every_name_asks_and_is_answered(name in "[a-zA-Z0-9_-]{1,20}(\\.[a-zA-Z0-9_-]{1,20}){0,4}\\.?", id: u16, rcode in 0..16u8) {
            let question = Question::new(id, &name, DnsType::Mx).unwrap();
            prop_assert_eq!(question.answer(&answer(&question, rcode)), Ok(rcode));
        }

        #[test]
        fn no_datagram_panics(name: String, datagram: Vec<u8>, tail: Vec<u8>) {
            if let Ok(question) = Question::new(7, &name, DnsType::A) {
                let _ = question.answer(&datagram);
                let mut ours = answer(&question, 0);
                ours.truncate(datagram.len());
                ours.extend(tail);
                let _ = question.answer(&ours);
            }
        }
    }
}
