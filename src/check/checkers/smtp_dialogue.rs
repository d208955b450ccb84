//! The client's side of an SMTP dialogue as far as a check needs it (RFC 5321, section 4.2): bytes in, what to do out.
//!
//! Of each line only the first four bytes are kept, so that no server can make us remember more.

/// The most that a server may say in one reply, bytes, all lines together. RFC 5321 allows 512 a line; a banner
/// longer than this is none.
pub const LONGEST_REPLY: usize = 16 * 1024;

/// What an SMTP server said wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line does not begin with three digits.
    #[error("a line that begins with no reply code")]
    NoCode,
    /// The reply goes on and on.
    #[error("a reply longer than {LONGEST_REPLY} bytes")]
    Endless,
}

/// A reply that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Code of its last line, 0..=999.
    pub code: u16,
    /// Bytes of the input that belong to it.
    pub used: usize,
}

/// Puts one reply together from the pieces in which it arrives. Begin a new one for each reply.
#[derive(Debug, Default)]
pub struct Reader {
    /// Beginning of the line under way.
    head: [u8; 4],
    /// Bytes of that line so far, its end included.
    line: usize,
    /// Bytes of the whole reply so far.
    total: usize,
}

impl Reader {
    /// Takes the next bytes. `None`: the reply goes on.
    ///
    /// # Errors
    /// [`Fault`]: what comes is no SMTP reply.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Reply>, Fault> {
        for (index, byte) in bytes.iter().enumerate() {
            self.total += 1;
            if self.total > LONGEST_REPLY {
                return Err(Fault::Endless);
            }
            if *byte == b'\n' {
                if let Some(code) = self.end_of_line()? {
                    return Ok(Some(Reply { code, used: index + 1 }));
                }
                continue;
            }
            if let Some(place) = self.head.get_mut(self.line) {
                // Told at once: who speaks another protocol may never send a line's end.
                if self.line < 3 && !byte.is_ascii_digit() {
                    return Err(Fault::NoCode);
                }
                *place = *byte;
            }
            self.line += 1;
        }
        Ok(None)
    }

    /// The code, if this line was the reply's last one.
    fn end_of_line(&mut self) -> Result<Option<u16>, Fault> {
        if self.line < 3 {
            return Err(Fault::NoCode);
        }
        let goes_on = self.line > 3 && self.head[3] == b'-';
        let code = self.head[..3].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        self.line = 0;
        Ok((!goes_on).then_some(code))
    }
}

/// `HELO name` with its line end; `None` for a name that would break the line.
pub fn helo(name: &str) -> Option<String> {
    let good = !name.is_empty() && name.chars().all(|c| !c.is_control()) && name.len() <= 255;
    good.then(|| format!("HELO {name}\r\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Result<Option<Reply>, Fault> {
        Reader::default().feed(text)
    }

    #[test]
    fn replies() {
        let reply = |code, used| Ok(Some(Reply { code, used }));
        for (text, wanted) in [
            (&b"220 mail ready\r\n"[..], reply(220, 16)),
            (b"220\r\n", reply(220, 5)),
            (b"220\n", reply(220, 4)),
            (b"220-one\r\n220-two\r\n220 three\r\n", reply(220, 29)),
            (b"250 ok\r\n221 bye\r\n", reply(250, 8)),
            // The last line's code counts.
            (b"250-one\r\n550 two\r\n", reply(550, 18)),
            (b"220 no end", Ok(None)),
            (b"220-more\r\n", Ok(None)),
            (b"", Ok(None)),
            (b"22", Ok(None)),
            (b"\r\n", Err(Fault::NoCode)),
            (b"22\n", Err(Fault::NoCode)),
            (b"HTTP/1.1 400 Bad Request\r\n", Err(Fault::NoCode)),
            (b"SSH-2.0", Err(Fault::NoCode)),
            (b"220-a\r\nxyz\r\n", Err(Fault::NoCode)),
            (&[0xFF; 40], Err(Fault::NoCode)),
        ] {
            assert_eq!(read(text), wanted, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_never_ends_is_ended() {
        let mut one_line = Reader::default();
        assert_eq!(one_line.feed(b"220 "), Ok(None));
        let mut fed = 4;
        let fault = loop {
            match one_line.feed(&[b'x'; 1000]) {
                Ok(None) => fed += 1000,
                other => break other,
            }
            assert!(fed <= LONGEST_REPLY);
        };
        assert_eq!(fault, Err(Fault::Endless));
        let lines = b"220-more\r\n".repeat(LONGEST_REPLY);
        assert_eq!(read(&lines), Err(Fault::Endless));
    }

    #[test]
    fn names() {
        assert_eq!(helo("a.example").as_deref(), Some("HELO a.example\r\n"));
        assert_eq!(helo("a\r\nMAIL FROM:<x>"), None);
        assert_eq!(helo(""), None);
    }

    proptest! {
        /// However the network cuts a reply, it is the same reply.
        #[test]
        fn pieces_make_the_whole(lines in proptest::collection::vec("[ -~]{0,40}", 1..6), cut in 1..7usize, code in 0..1000u16) {
            let last = lines.len() - 1;
            let text: String = lines.iter().enumerate().map(|(n, line)| {
                format!("{code:03}{}{line}\r\n", if n == last { ' ' } else { '-' })
            }).collect();
            let whole = read(text.as_bytes());
            prop_assert_eq!(&whole, &Ok(Some(Reply { code, used: text.len() })));
            let mut reader = Reader::default();
            let mut pieces = Ok(None);
            for piece in text.as_bytes().chunks(cut) {
                prop_assert_eq!(&pieces, &Ok(None));
                pieces = reader.feed(piece);
            }
            prop_assert!(matches!(pieces, Ok(Some(reply)) if reply.code == code));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(Some(reply)) = read(&bytes) {
                prop_assert!(reply.used <= bytes.len() && reply.code < 1000);
            }
        }
    }
}
