//! One line of text to words and braces, wherever these stand; commands to their words.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};

use super::tree::Tree;

/// Where a line comes from: its words' columns are looked up here.
pub(super) struct Line<'l> {
    pub(super) file: u32,
    pub(super) name: &'l Arc<PathBuf>,
    pub(super) number: u32,
    pub(super) text: &'l str,
    /// For text that was expanded: parts as (offset here, column there, whether columns go on within the part).
    pub(super) map: Option<&'l [(usize, u32, bool)]>,
    /// Characters that stood before the text on its line.
    pub(super) indent: u32,
}

impl Line<'_> {
    /// The column, from 1, in characters, of a byte of the text.
    fn column(&self, at: usize) -> u32 {
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(0);
        let Some(map) = self.map else {
            let before = self.text.get(..at).unwrap_or_default();
            let characters = if before.is_ascii() { u32::try_from(at).unwrap_or(0) } else { count(before) };
            return self.indent + characters + 1;
        };
        match map.iter().rev().find(|(offset, ..)| *offset <= at) {
            Some((offset, column, true)) => column + count(self.text.get(*offset..at).unwrap_or_default()),
            Some((_, column, false)) => *column,
            None => 0,
        }
    }

    /// The place of a byte of the text.
    pub(super) fn place(&self, at: usize) -> Place {
        Place { file: Arc::clone(self.name), line: self.number, column: self.column(at) }
    }
}

/// Cuts a comment off: `#` or `!` anywhere outside double quotes; `\#` and `\!` are the characters themselves.
pub(super) fn without_comment(line: &str) -> Cow<'_, str> {
    if !line.bytes().any(|b| matches!(b, b'#' | b'!')) {
        return Cow::Borrowed(trim_end(line));
    }
    let mut quoted = false;
    let mut escaped = false;
    let mut bytes = line.bytes().enumerate().peekable();
    let mut end = line.len();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'#' | b'!' if !quoted => {
                end = at;
                break;
            }
            b'\\' if !quoted => {
                let literal = bytes.next_if(|(_, next)| matches!(next, b'#' | b'!'));
                escaped |= literal.is_some();
            }
            _ => {}
        }
    }
    let kept = trim_end(line.get(..end).unwrap_or_default());
    if !escaped {
        return Cow::Borrowed(kept);
    }
    let mut out = String::with_capacity(kept.len());
    let mut quoted = false;
    let mut characters = kept.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if !quoted => {
                if let Some(literal) = characters.next_if(|next| matches!(next, '#' | '!')) {
                    out.push(literal);
                    continue;
                }
            }
            _ => {}
        }
        out.push(c);
    }
    Cow::Owned(out)
}

/// Without blanks in front. Only ASCII blanks count: an ideographic space belongs to the word, as in keepalived.
pub(super) fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\u{b}', '\u{c}'])
}

/// Without blanks behind.
pub(super) fn trim_end(text: &str) -> &str {
    text.trim_end_matches([' ', '\t', '\u{b}', '\u{c}'])
}

/// Blanks between words.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

/// Puts a line's words and braces into the tree. Only double quotes protect.
pub(super) fn take(line: &Line<'_>, tree: &mut Tree) {
    let text = line.text;
    let bytes = text.as_bytes();
    let mut at = 0;
    // The part of the line that is being read: where its first word ended, whether it has words.
    let mut part: Option<usize> = None;
    let mut begun = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            byte if is_blank(*byte) => at += 1,
            b'{' | b'}' => {
                if begun {
                    tree.end(raw(text, part, at));
                    begun = false;
                    part = None;
                }
                let place = || line.place(at);
                if *byte == b'{' {
                    tree.open(&place);
                } else {
                    tree.close(&place);
                }
                at += 1;
            }
            _ => {
                if !begun {
                    tree.begin(line.file, line.number);
                    begun = true;
                }
                at = word(line, at, tree);
                part.get_or_insert(at);
            }
        }
    }
    if begun {
        tree.end(raw(text, part, text.len()));
    }
}

fn raw(text: &str, from: Option<usize>, to: usize) -> &str {
    trim_end(trim_start(from.and_then(|from| text.get(from..to)).unwrap_or_default()))
}

/// Reads one word and returns where it ends.
fn word(line: &Line<'_>, start: usize, tree: &mut Tree) -> usize {
    let (text, bytes) = (line.text, line.text.as_bytes());
    if bytes.get(start) == Some(&b'"') {
        let from = start + 1;
        let close = bytes.get(from..).and_then(|rest| rest.iter().position(|b| *b == b'"'));
        let end = close.map_or(bytes.len(), |n| from + n);
        if close.is_none() {
            tree.findings.push(Diagnostic {
                level: Level::Warning,
                place: Some(line.place(start)),
                code: "open-quote",
                problem: "a double quote is never closed on this line".to_owned(),
                consequence: "the text up to the end of the line is taken".to_owned(),
                fix: "write the closing \"".to_owned(),
            });
        }
        tree.word(text.get(from..end).unwrap_or_default(), line.column(start));
        return (end + 1).min(bytes.len());
    }
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            // Inside ${NAME} braces belong to the variable (one that is not defined, or it would not be here).
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                let close = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'}'));
                at = close.map_or(bytes.len(), |n| at + n + 1);
            }
            b'{' | b'}' | b'"' => break,
            byte if is_blank(*byte) => break,
            _ => at += 1,
        }
    }
    tree.word(text.get(start..at).unwrap_or_default(), line.column(start));
    at
}

/// Splits a command with both kinds of quotes and backslashes (keepalived's rule for scripts).
pub(in crate::config) fn command_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                if let Some(next) = characters.next() {
                    word.get_or_insert_default().push(next);
                }
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        fn collect(node: super::super::tree::Node<'_>, out: &mut Vec<Vec<String>>) {
            for child in node.children() {
                out.push(child.texts().into_iter().map(str::to_owned).collect());
                if child.has_block() {
                    out.push(vec!["{".to_owned()]);
                    collect(child, out);
                    out.push(vec!["}".to_owned()]);
                }
            }
        }
        let (tree, _) = super::super::source::read(
            std::path::Path::new("t"),
            text.as_bytes(),
            &super::super::source::ReadOptions::default(),
        );
        let mut out = Vec::new();
        collect(tree.root(), &mut out);
        out
    }

    #[test]
    fn comments_are_cut_wherever_they_stand() {
        assert_eq!(words("unicast_src_ip 192.168.1.21##text"), [["unicast_src_ip", "192.168.1.21"]]);
        assert_eq!(words("! all of it\n# and this"), Vec::<Vec<String>>::new());
        assert_eq!(words("auth_pass \"a#b!c\" ! x"), [["auth_pass", "a#b!c"]]);
        assert_eq!(words(r"auth_pass a\#b # c"), [["auth_pass", "a#b"]]);
    }

    #[test]
    fn braces_may_stand_anywhere() {
        let expected: Vec<Vec<&str>> =
            vec![vec!["vrrp_instance", "VI_1"], vec!["{"], vec!["state", "MASTER"], vec!["}"]];
        assert_eq!(words("vrrp_instance VI_1{\r\n\tstate\tMASTER }"), expected);
        assert_eq!(words("vrrp_instance VI_1\n\n# x\n{ state MASTER\n}"), expected);
        assert_eq!(words("a \"{b}\""), [["a", "{b}"]]);
        assert_eq!(words("a ${x} {b}"), [vec!["a", "${x}"], vec!["{"], vec!["b"], vec!["}"]]);
    }

    #[test]
    fn commands_know_both_quotes() {
        assert_eq!(command_words("killall -0 nginx"), ["killall", "-0", "nginx"]);
        assert_eq!(command_words("/bin/sh -c 'a \"b\"'"), ["/bin/sh", "-c", "a \"b\""]);
        assert_eq!(command_words(r"a\ b '' c"), ["a b", "", "c"]);
    }
}
