//! An HTTP/1 answer from its bytes, as they come: the head, then the body without its framing. Pure; holds no body.
//!
//! Real servers are old and odd, and a check asks whether they answer, not whether they are tidy: lines may end with a
//! bare LF, headers that make no sense are passed over. What decides where the body ends is read strictly.

use std::str;

/// The most that the head, and the trailer after chunks, may have, bytes.
pub const MAX_HEAD: usize = 64 * 1024;
/// The longest line with the size of a chunk, bytes.
const MAX_SIZE_LINE: usize = 1024;

/// Why bytes are no HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The first line is no status line.
    #[error("the answer begins with {0:?}, not with an HTTP status line")]
    NoStatusLine(String),
    /// Headers without end.
    #[error("headers of more than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// A Content-Length that is no number, or two that differ.
    #[error("a Content-Length that cannot be: {0:?}")]
    BadLength(String),
    /// The size of a chunk is no number.
    #[error("a chunk whose size cannot be: {0:?}")]
    BadChunk(String),
}

/// Whom the parts of a body are told.
pub trait Sink {
    /// A part of the body, without its framing.
    fn body(&mut self, part: &[u8]);
    /// The same bytes as they came, with the sizes of the chunks. Only for a body that comes in chunks.
    fn raw(&mut self, _part: &[u8]) {}
    /// A line of the head, without its end; empty: the head is complete.
    fn head(&mut self, _line: &[u8]) {}
}

/// How the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the status line.
    Start,
    /// In the headers.
    Headers,
    /// This many bytes of body are still to come.
    Length(u64),
    /// A line with the size of a chunk comes.
    Size,
    /// This many bytes of a chunk are still to come.
    Chunk(u64),
    /// The end of the line after a chunk comes.
    ChunkEnd,
    /// Lines after the last chunk come.
    Trailer,
    /// The body ends with the connection.
    UntilClose,
    /// Nothing more comes.
    Done,
}

/// An answer that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    state: State,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// Bytes of head and trailer so far.
    head: usize,
    status: Option<u16>,
    length: Option<u64>,
    chunked: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self { state: State::Start, line: Vec::new(), head: 0, status: None, length: None, chunked: false }
    }
}

impl Answer {
    /// The status, once the head is complete.
    pub const fn status(&self) -> Option<u16> {
        match self.state {
            State::Start | State::Headers => None,
            _ => self.status,
        }
    }

    /// The answer is complete, whatever else may come on the connection.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The body comes in chunks.
    pub const fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// Whether the answer is complete when the connection ends now.
    pub const fn may_end(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// What about them is no HTTP; nothing is to be fed after that.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), Problem> {
        while !bytes.is_empty() {
            match self.state {
                State::Done => return Ok(()),
                State::UntilClose => {
                    sink.body(bytes);
                    return Ok(());
                }
                State::Length(left) | State::Chunk(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (part, rest) = bytes.split_at(here);
                    sink.body(part);
                    if matches!(self.state, State::Chunk(_)) {
                        sink.raw(part);
                    }
                    bytes = rest;
                    let left = left - here as u64;
                    self.state = match (self.state, left) {
                        (State::Chunk(_), 0) => State::ChunkEnd,
                        (State::Chunk(_), left) => State::Chunk(left),
                        (_, 0) => State::Done,
                        (_, left) => State::Length(left),
                    };
                }
                _ => {
                    let (taken, whole) = self.take_line(bytes, sink)?;
                    bytes = &bytes[taken..];
                    if whole {
                        let mut line = std::mem::take(&mut self.line);
                        self.line(&line, sink)?;
                        // Its room serves the next line.
                        line.clear();
                        self.line = line;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes bytes up to the end of the line: how many, and whether the line is complete.
    fn take_line(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(usize, bool), Problem> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |at| at + 1);
        if matches!(self.state, State::Size | State::ChunkEnd | State::Trailer) {
            sink.raw(&bytes[..taken]);
        }
        match self.state {
            State::Size | State::ChunkEnd => {
                if self.line.len() + taken > MAX_SIZE_LINE {
                    return Err(Problem::BadChunk(shown(&self.line)));
                }
            }
            _ => {
                self.head += taken;
                if self.head > MAX_HEAD {
                    return Err(Problem::HeadTooLong);
                }
            }
        }
        self.line.extend_from_slice(&bytes[..taken]);
        // What is no HTTP is told at once: a server of another kind may say no second line.
        let begins = self.line.len().min(5);
        if self.state == State::Start && self.line[..begins] != b"HTTP/"[..begins] {
            return Err(Problem::NoStatusLine(shown(&self.line)));
        }
        Ok((taken, end.is_some()))
    }

    fn line(&mut self, line: &[u8], sink: &mut impl Sink) -> Result<(), Problem> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.state {
            State::Start => {
                sink.head(line);
                self.status = Some(status(line).ok_or_else(|| Problem::NoStatusLine(shown(line)))?);
                (self.length, self.chunked) = (None, false);
                self.state = State::Headers;
            }
            State::Headers => {
                sink.head(line);
                if line.is_empty() { self.body_begins() } else { self.header(line)? }
            }
            State::Size => {
                let size = line.split(|byte| *byte == b';').next().unwrap_or(line).trim_ascii();
                let digits =
                    str::from_utf8(size).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
                let size = digits.and_then(|text| u64::from_str_radix(text, 16).ok());
                self.state = match size.ok_or_else(|| Problem::BadChunk(shown(line)))? {
                    0 => State::Trailer,
                    size => State::Chunk(size),
                };
            }
            State::ChunkEnd if line.is_empty() => self.state = State::Size,
            State::ChunkEnd => return Err(Problem::BadChunk(shown(line))),
            State::Trailer if line.is_empty() => self.state = State::Done,
            _ => {}
        }
        Ok(())
    }

    fn body_begins(&mut self) {
        self.state = match (self.status, self.length) {
            // 100 Continue and its like: the answer itself follows. 101 leaves HTTP.
            (Some(100 | 102..=199), _) => State::Start,
            (Some(101 | 204 | 304), _) => State::Done,
            _ if self.chunked => State::Size,
            (_, Some(0)) => State::Done,
            (_, Some(length)) => State::Length(length),
            (_, None) => State::UntilClose,
        };
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Problem> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let length = digits.and_then(|text| text.parse().ok());
            if length.is_none() || self.length.is_some_and(|earlier| Some(earlier) != length) {
                return Err(Problem::BadLength(shown(value)));
            }
            self.length = length;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or(value).trim_ascii();
            self.chunked |= last.eq_ignore_ascii_case(b"chunked");
        }
        Ok(())
    }
}

/// The code of `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.next().filter(|version| version.starts_with(b"HTTP/"))?;
    let code = words.next()?;
    if code.len() != 3 || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(code).ok()?.parse().ok()
}

/// The beginning of bytes, for people.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default, Debug, PartialEq)]
    struct Kept {
        body: Vec<u8>,
        raw: Vec<u8>,
        head: Vec<String>,
    }

    impl Sink for Kept {
        fn body(&mut self, part: &[u8]) {
            self.body.extend_from_slice(part);
        }
        fn raw(&mut self, part: &[u8]) {
            self.raw.extend_from_slice(part);
        }
        fn head(&mut self, line: &[u8]) {
            self.head.push(String::from_utf8_lossy(line).into_owned());
        }
    }

    fn read(bytes: &[u8], step: usize) -> Result<(Answer, Kept), Problem> {
        let (mut answer, mut kept) = (Answer::default(), Kept::default());
        for part in bytes.chunks(step.max(1)) {
            answer.feed(part, &mut kept)?;
        }
        Ok((answer, kept))
    }

    #[test]
    fn answers() {
        // Answer, status, body, complete, may end here.
        let table: &[(&str, Option<u16>, &str, bool, bool)] = &[
            ("HTTP/1.0 200 OK\r\n\r\nhello", Some(200), "hello", false, true),
            ("HTTP/1.0 200\n\nhello", Some(200), "hello", false, true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEXTRA", Some(200), "hello", true, true),
            ("HTTP/1.1 200 OK\r\ncontent-length : 6\r\n\r\nhello", Some(200), "hello", false, false),
            ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", Some(503), "", true, true),
            ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", Some(204), "", true, true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
                Some(200),
                "hello",
                true,
                true,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Some(200), "hel", false, false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 There\r\n\r\n", Some(301), "", false, true),
            ("HTTP/1.1 200 OK\r\nno header\r\n folded\r\n: x\r\n\r\n", Some(200), "", false, true),
            ("HTTP/1.1 200 OK\r\n", None, "", false, false),
        ];
        for &(bytes, status, body, done, may_end) in table {
            for step in [1, 2, 3, 7, 1000] {
                let (answer, kept) = read(bytes.as_bytes(), step).unwrap();
                let body_got = String::from_utf8(kept.body).unwrap();
                assert_eq!(
                    (answer.status(), body_got.as_str(), answer.is_done(), answer.may_end()),
                    (status, body, done, may_end),
                    "{bytes:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_answer() {
        let long = format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(MAX_HEAD / 6 + 1));
        let line = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", "0".repeat(2000));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let table: &[(String, Problem)] = &[
            ("220 mail\r\n".to_owned(), Problem::NoStatusLine("220 mail".to_owned())),
            ("HTTP/1.1 OK\r\n".to_owned(), Problem::NoStatusLine("HTTP/1.1 OK".to_owned())),
            ("HTTP/1.1 20 OK\r\n".to_owned(), Problem::NoStatusLine("HTTP/1.1 20 OK".to_owned())),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(), Problem::BadLength("-1".to_owned())),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
                Problem::BadLength("2".to_owned()),
            ),
            (format!("{chunked}+5\r\n"), Problem::BadChunk("+5".to_owned())),
            (format!("{chunked}1\r\nab\r\n"), Problem::BadChunk("b".to_owned())),
            (format!("{chunked}fffffffffffffffff\r\n"), Problem::BadChunk("fffffffffffffffff".to_owned())),
            (long, Problem::HeadTooLong),
        ];
        for (bytes, problem) in table {
            assert_eq!(read(bytes.as_bytes(), 1000).map(|_| ()), Err(problem.clone()), "{bytes:.60}");
        }
        assert!(matches!(read(line.as_bytes(), 100), Err(Problem::BadChunk(_))));
    }

    #[test]
    fn the_raw_body_of_chunks_has_their_sizes() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let (answer, kept) = read(bytes, 4).unwrap();
        assert!(answer.is_chunked());
        assert_eq!(kept.raw, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
        assert_eq!(kept.head, ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", ""]);
    }

    proptest! {
        #[test]
        fn bytes_from_outside_never_panic_and_their_cuts_do_not_matter(
            tail in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..50, chunked: bool,
        ) {
            let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
            if chunked {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            }
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(read(&bytes, step).is_ok(), read(&bytes, 10_000).is_ok());
            if let (Ok(one), Ok(other)) = (read(&bytes, step), read(&bytes, 10_000)) {
                prop_assert_eq!(one, other);
            }
            let _ = read(&tail, step);
        }

        #[test]
        fn a_body_in_chunks_is_the_body(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..9),
            step in 1usize..60) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in &parts {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let (answer, kept) = read(&bytes, step).unwrap();
            prop_assert!(answer.is_done());
            prop_assert_eq!(kept.body, parts.concat());
        }
    }
}
