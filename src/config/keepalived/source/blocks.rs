//! Blocks of the outermost level by their text, so that another reading knows them again without looking into them.
//!
//! Only blocks that mean the same wherever they stand have a text: without variables, `@id`, sequences and includes, from
//! a line `virtual_server … {` to a line `}`.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use super::{LONGEST_LINE, plain};

/// The keyword of the blocks that there may be very many of.
const KEYWORD: &str = "virtual_server";

/// The text of a block. Two texts are taken for the same by 128 bits of a hash with keys that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Text {
    digest: [u64; 2],
    /// Hash of the first line.
    header: u64,
    /// Without the newline at its end.
    bytes: u32,
    lines: u32,
}

/// The keys of the hashes.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Keys([RandomState; 2]);

impl Keys {
    fn hash(&self, n: usize, text: &[u8]) -> u64 {
        let mut hasher = self.0[n].build_hasher();
        hasher.write(text);
        hasher.finish()
    }

    fn digest(&self, text: &[u8]) -> [u64; 2] {
        [self.hash(0, text), self.hash(1, text)]
    }
}

/// A block that was met.
#[derive(Clone, Debug)]
pub(in crate::config) struct Block {
    pub(in crate::config) text: Text,
    pub(in crate::config) file: Arc<PathBuf>,
    /// Its first line.
    pub(in crate::config) line: u32,
    /// Which of the texts that were known before it is.
    pub(in crate::config) known: Option<usize>,
}

impl Block {
    /// Its last line.
    pub(in crate::config) const fn last_line(&self) -> u32 {
        self.line + self.text.lines - 1
    }
}

/// Looks out for blocks while a file is read.
pub(in crate::config) struct Lookout<'k> {
    keys: &'k Keys,
    /// Those of an earlier reading, in their order there.
    texts: Vec<Text>,
    /// The one that is most likely next.
    next: usize,
    by_header: Option<HashMap<u64, usize>>,
    /// What was met, by its number.
    pub(in crate::config) met: Vec<Block>,
}

impl<'k> Lookout<'k> {
    /// With the texts of an earlier reading with the same keys.
    pub(in crate::config) const fn new(keys: &'k Keys, texts: Vec<Text>) -> Self {
        Self { keys, texts, next: 0, by_header: None, met: Vec::new() }
    }

    /// True when there are texts of an earlier reading.
    pub(super) const fn knows(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Which of the known texts begins here; `rest` is what is left of the file.
    pub(super) fn find(&mut self, header: &[u8], rest: &[u8]) -> Option<(usize, Text)> {
        let header = self.keys.hash(0, header);
        let is = |at: usize| -> Option<(usize, Text)> {
            let text = self.texts.get(at)?;
            let body = rest.get(..text.bytes as usize)?;
            let ends = matches!(rest.get(text.bytes as usize), None | Some(b'\n'));
            (ends && text.header == header && text.digest == self.keys.digest(body)).then_some((at, *text))
        };
        let found = is(self.next).or_else(|| {
            let by_header = self.by_header.get_or_insert_with(|| {
                // Of several with one header the first.
                self.texts.iter().enumerate().rev().map(|(at, text)| (text.header, at)).collect()
            });
            is(*by_header.get(&header)?)
        });
        if let Some((at, _)) = found {
            self.next = at + 1;
        }
        found
    }

    /// Notes a block, and gives it its number.
    pub(super) fn note(&mut self, block: Block) -> u32 {
        self.met.push(block);
        u32::try_from(self.met.len() - 1).unwrap_or(u32::MAX)
    }

    /// The text of a whole block; `None`: too large for one.
    pub(super) fn text(&self, header: &[u8], body: &[u8], lines: u32) -> Option<Text> {
        let bytes = u32::try_from(body.len()).ok()?;
        Some(Text { digest: self.keys.digest(body), header: self.keys.hash(0, header), bytes, lines })
    }
}

/// True for a line that opens a block and does nothing else.
pub(super) fn opens(line: &[u8]) -> bool {
    let Some(text) = plain(line) else { return false };
    let text = text.trim_ascii_start();
    let Some(behind) = text.strip_prefix(KEYWORD) else { return false };
    let Some(words) = behind.strip_suffix('{') else { return false };
    words.starts_with([' ', '\t']) && !words.contains(['{', '}', '"'])
}

/// True for a line that means the same in every file, at any place of it.
pub(super) fn is_inner(line: &[u8]) -> bool {
    let depends = |b: &u8| matches!(b, b'$' | b'@' | b'~' | 0);
    line.len() < LONGEST_LINE && !line.iter().any(depends) && !line.trim_ascii_start().starts_with(b"include")
}

/// True for a line that closes a block and does nothing else.
pub(super) fn closes(line: &[u8]) -> bool {
    line.trim_ascii() == b"}"
}

/// The lines of a file with their numbers, from 1.
pub(super) struct Lines<'b> {
    bytes: &'b [u8],
    /// Where the next line begins; behind the end: there is none.
    at: usize,
    number: u32,
}

impl<'b> Lines<'b> {
    pub(super) const fn of(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, number: 1 }
    }

    /// Where the next line begins.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// What was taken since a place, without the last newline.
    pub(super) fn since(&self, from: usize) -> &'b [u8] {
        self.bytes.get(from..self.at.saturating_sub(1)).unwrap_or_default()
    }

    /// What there is from a place on.
    pub(super) fn from(&self, at: usize) -> &'b [u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Goes on behind a block whose first line has been taken.
    pub(super) const fn skip(&mut self, from: usize, text: &Text) {
        self.at = from + text.bytes as usize + 1;
        self.number += text.lines - 1;
    }
}

impl<'b> Iterator for Lines<'b> {
    type Item = (u32, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        let number = self.number;
        (self.at, self.number) = (self.at + end + 1, number + 1);
        Some((number, rest.get(..end)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_that_a_split_gives() {
        for text in ["", "\n", "a", "a\n", "a\nb", "\n\na\n\n"] {
            let split: Vec<_> = (1u32..).zip(text.as_bytes().split(|b| *b == b'\n')).collect();
            assert_eq!(Lines::of(text.as_bytes()).collect::<Vec<_>>(), split, "{text:?}");
        }
    }

    #[test]
    fn which_lines_open_a_block() {
        for line in
            ["virtual_server 10.0.0.1 80 {", "\tvirtual_server group a{ ", "virtual_server fwmark 1 {"]
        {
            assert!(opens(line.as_bytes()), "{line}");
        }
        for line in [
            "virtual_server 10.0.0.1 80",
            "virtual_server_group a {",
            "virtual_server 10.0.0.1 80 { weight 1 }",
            "virtual_server $A {",
            "virtual_server \"10.0.0.1 80\" {",
            "virtual_server 10.0.0.1 80 { # web",
            "@a virtual_server 10.0.0.1 80 {",
            "real_server 10.0.0.1 80 {",
            "} virtual_server 10.0.0.1 80 {",
        ] {
            assert!(!opens(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn which_lines_mean_the_same_everywhere() {
        for line in ["", "  weight 1", "weight 1 # of three", "path /é", "}"] {
            assert!(is_inner(line.as_bytes()), "{line}");
        }
        for line in [
            "weight $W",
            "@a weight 1",
            "~SEQ(A, 3) x_$A",
            "include a.conf",
            " includea b",
            "include_check",
            "\0",
        ] {
            assert!(!is_inner(line.as_bytes()), "{line}");
        }
        assert!(!is_inner("x".repeat(LONGEST_LINE).as_bytes()));
    }

    #[test]
    fn a_text_is_known_again_wherever_it_stands_and_only_whole() {
        let keys = Keys::default();
        let texts = |all: &[&str]| -> Vec<Text> {
            let lookout = Lookout::new(&keys, Vec::new());
            let of = |text: &&str| {
                let header = text.lines().next()?;
                lookout.text(header.as_bytes(), text.as_bytes(), u32::try_from(text.lines().count()).ok()?)
            };
            all.iter().filter_map(of).collect()
        };
        let known = texts(&["a {\n1\n}", "b {\n2\n}", "a {\n3\n}", "c {\n}"]);
        let mut lookout = Lookout::new(&keys, known);
        let mut find = |text: &str| {
            let header = text.lines().next().unwrap_or_default();
            lookout.find(header.as_bytes(), text.as_bytes()).map(|(at, _)| at)
        };
        assert_eq!(find("c {\n}\nmore"), Some(3));
        assert_eq!(find("a {\n1\n}"), Some(0));
        assert_eq!(find("b {\n2\n}"), Some(1));
        // The second of one header where it follows what it followed; else it is read.
        assert_eq!(find("a {\n3\n}\n"), Some(2));
        assert_eq!(find("a {\n3\n}\n"), None);
        assert_eq!(find("b {\n2\n} x"), None);
        assert_eq!(find("b {\n2\n"), None);
        assert_eq!(find("d {\n2\n}"), None);
    }
}
