//! The two messages of grpc.health.v1.Health/Check, by hand: one text out, one number in. Framing: the gRPC protocol over
//! HTTP/2 ("Length-Prefixed-Message"); encoding: protocol buffers.

/// The most that an answer may have, bytes. A real one has 2.
pub const LONGEST: usize = 4096;
/// A flag and a length.
const PREFIX: usize = 5;
/// Field 1 as text or bytes.
const FIELD_1_TEXT: u8 = 0x0a;
/// Field 1 as a number.
const FIELD_1_NUMBER: u64 = 0x08;

/// What a server says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// 0.
    Unknown,
    /// 1: all is well.
    Serving,
    /// 2.
    NotServing,
    /// 3: only of watches, says the protocol.
    ServiceUnknown,
    /// What no version of the protocol knows.
    Other(u64),
}

impl Serving {
    /// The protocol's word.
    pub fn word(self) -> String {
        match self {
            Self::Unknown => "UNKNOWN".to_owned(),
            Self::Serving => "SERVING".to_owned(),
            Self::NotServing => "NOT_SERVING".to_owned(),
            Self::ServiceUnknown => "SERVICE_UNKNOWN".to_owned(),
            Self::Other(number) => format!("status {number}"),
        }
    }
}

/// Why bytes are no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// More than an answer can have.
    #[error("a message of more than {LONGEST} bytes")]
    TooLong,
    /// We offer no compression.
    #[error("a compressed message")]
    Compressed,
    /// The message ends early, or something follows it.
    #[error("a message that is not whole")]
    Cut,
    /// No protocol buffers.
    #[error("a message that is no HealthCheckResponse")]
    NoMessage,
}

/// The question about a service, with its prefix.
pub fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 16);
    if !service.is_empty() {
        message.push(FIELD_1_TEXT);
        put_number(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(message.len() + PREFIX);
    framed.push(0);
    framed.extend(length.to_be_bytes());
    framed.append(&mut message);
    framed
}

/// An answer as it comes.
#[derive(Debug, Default)]
pub struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Problem::TooLong`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.bytes.len() + bytes.len() > LONGEST {
            return Err(Problem::TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Nothing has come.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the whole answer says.
    ///
    /// # Errors
    /// What about it is no answer.
    pub fn serving(&self) -> Result<Serving, Problem> {
        let (prefix, message) = self.bytes.split_first_chunk::<PREFIX>().ok_or(Problem::Cut)?;
        let [flag, a, b, c, d] = *prefix;
        if flag != 0 {
            return Err(Problem::Compressed);
        }
        if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
            return Err(Problem::Cut);
        }
        read(message).ok_or(Problem::NoMessage)
    }
}

/// Field 1, the last one counts; without it the default, which is 0. Fields that we do not know are passed over.
fn read(mut bytes: &[u8]) -> Option<Serving> {
    let mut status = 0;
    while !bytes.is_empty() {
        let key = number(&mut bytes)?;
        if key == FIELD_1_NUMBER {
            status = number(&mut bytes)?;
            continue;
        }
        if key >> 3 == 0 || key >> 3 == 1 {
            return None;
        }
        let skip = match key & 7 {
            0 => number(&mut bytes).map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(number(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        bytes = bytes.get(skip..)?;
    }
    Some(match status {
        0 => Serving::Unknown,
        1 => Serving::Serving,
        2 => Serving::NotServing,
        3 => Serving::ServiceUnknown,
        other => Serving::Other(other),
    })
}

/// A number of variable length: seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_number(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// The word of a status of gRPC.
pub const fn status_word(code: u32) -> &'static str {
    match code {
        0 => "OK",
        1 => "CANCELLED",
        2 => "UNKNOWN",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => "no status of gRPC",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(bytes: &[u8]) -> Result<Serving, Problem> {
        let mut answer = Answer::default();
        answer.feed(bytes)?;
        answer.serving()
    }

    #[test]
    fn questions() {
        assert_eq!(question(""), b"\0\0\0\0\0");
        assert_eq!(question("a.B"), b"\0\0\0\0\x05\x0a\x03a.B");
        let long = question(&"x".repeat(300));
        assert_eq!((&long[..8], long.len()), (&b"\0\0\0\x01\x2f\x0a\xac\x02"[..], 308));
    }

    #[test]
    fn answers() {
        for (bytes, wanted) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], Ok(Serving::Serving)),
            (b"\0\0\0\0\0", Ok(Serving::Unknown)),
            (b"\0\0\0\0\x02\x08\x02", Ok(Serving::NotServing)),
            (b"\0\0\0\0\x02\x08\x03", Ok(Serving::ServiceUnknown)),
            (b"\0\0\0\0\x03\x08\xac\x02", Ok(Serving::Other(300))),
            // The last one counts; fields that are not known are passed over: number, text, 8 and 4 bytes.
            (b"\0\0\0\0\x04\x08\x02\x08\x01", Ok(Serving::Serving)),
            (b"\0\0\0\0\x0a\x10\x96\x01\x1a\x03abc\x08\x01", Ok(Serving::Serving)),
            (b"\0\0\0\0\x10\x11abcdefgh\x25abcd\x08\x01", Ok(Serving::Serving)),
            (b"\x01\0\0\0\x02\x08\x01", Err(Problem::Compressed)),
            (b"\0\0\0\0\x03\x08\x01", Err(Problem::Cut)),
            (b"\0\0\0\0\x01\x08\x01", Err(Problem::Cut)),
            (b"\0\0\0\0", Err(Problem::Cut)),
            (b"", Err(Problem::Cut)),
            (b"\0\0\0\0\x01\x08", Err(Problem::NoMessage)),
            // Field 1 as text, field 0, a length beyond the end, a number without end, a group.
            (b"\0\0\0\0\x03\x0a\x01a", Err(Problem::NoMessage)),
            (b"\0\0\0\0\x02\x00\x01", Err(Problem::NoMessage)),
            (b"\0\0\0\0\x03\x12\x09a", Err(Problem::NoMessage)),
            (b"\0\0\0\0\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(Problem::NoMessage)),
            (b"\0\0\0\0\x01\x13", Err(Problem::NoMessage)),
        ] {
            assert_eq!(answer(bytes), wanted, "{bytes:?}");
        }
        assert_eq!(answer(&[0; LONGEST + 1]), Err(Problem::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>) {
            let _ = answer(&bytes);
            let length = u32::try_from(bytes.len()).unwrap();
            bytes.splice(0..0, [&[0][..], &length.to_be_bytes()].concat());
            let _ = answer(&bytes);
        }

        #[test]
        fn numbers_read_back(value: u64) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            prop_assert_eq!(number(&mut &bytes[..]), Some(value));
        }
    }
}
