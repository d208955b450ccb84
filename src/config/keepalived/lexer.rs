//! Bytes to statements. Everything that a file can do wrong at this level is reported with its place and passed
//! over: comments in any encoding, CRLF, a byte order mark, NUL bytes, over-long lines, braces anywhere.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};

/// keepalived's line buffer: a longer line is dropped.
const LONGEST_LINE: usize = 1024;

/// One word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// From 1, in characters.
    pub(super) column: u32,
    /// It stood in double quotes.
    pub(super) quoted: bool,
}

/// One line, or the part of it between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Words; the raw text behind the first one is kept for commands, which have quoting rules of their own.
    Words { words: Vec<Word>, raw: String, line: u32, file: Arc<PathBuf> },
    /// `{`
    Open { line: u32, column: u32, file: Arc<PathBuf> },
    /// `}`
    Close { line: u32, column: u32, file: Arc<PathBuf> },
}

/// Splits a file into lines of text without comments, with their numbers. Bytes that are no UTF-8 (comments in GBK
/// are common) become replacement characters; they matter only outside comments.
pub(super) fn lines(bytes: &[u8], file: &Arc<PathBuf>, findings: &mut Vec<Diagnostic>) -> Vec<(u32, String)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let report = |code, problem: &str, fix: &str| Diagnostic {
            level: Level::Warning,
            place: Some(Place { file: Arc::clone(file), line: number, column: 0 }),
            code,
            problem: problem.to_owned(),
            consequence: "the line is passed over".to_owned(),
            fix: fix.to_owned(),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&0) {
            findings.push(report("nul-byte", "there is a NUL byte in this line", "remove it"));
            continue;
        }
        let text = String::from_utf8_lossy(line).replace('\r', "");
        let text = without_comment(&text);
        if text.len() >= LONGEST_LINE {
            let fix = "split it into several lines (at most 1023 bytes each)";
            findings.push(report("line-too-long", "this line is longer than keepalived reads", fix));
            continue;
        }
        lines.push((number, text));
    }
    lines
}

/// Cuts a comment off: `#` or `!` anywhere outside double quotes; `\#` and `\!` are the characters themselves.
fn without_comment(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '#' | '!' if !quoted => break,
            '\\' if !quoted => {
                if let Some(literal @ ('#' | '!')) = characters.peek().copied() {
                    characters.next();
                    out.push(literal);
                    continue;
                }
            }
            _ => {}
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Splits a line into statements: words, and braces wherever they stand outside double quotes.
pub(super) fn statements(
    line: &str,
    number: u32,
    file: &Arc<PathBuf>,
    findings: &mut Vec<Diagnostic>,
) -> Vec<Statement> {
    let mut out = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    // Where the raw text behind the first word begins and ends.
    let mut raw = String::new();
    let mut word: Option<Word> = None;
    let mut quoted = false;
    let mut previous = ' ';
    let flush = |words: &mut Vec<Word>, raw: &mut String, out: &mut Vec<Statement>| {
        if !words.is_empty() {
            out.push(Statement::Words {
                words: std::mem::take(words),
                raw: std::mem::take(raw).trim().to_owned(),
                line: number,
                file: Arc::clone(file),
            });
        }
        raw.clear();
    };
    for (column, c) in (1..).zip(line.chars()) {
        let behind_first = !words.is_empty();
        match c {
            '"' => {
                quoted = !quoted;
                if quoted && word.is_none() {
                    word = Some(Word { text: String::new(), column, quoted: true });
                } else if !quoted {
                    words.extend(word.take());
                }
            }
            '{' | '}' if !(quoted || in_variable(word.as_ref()) || (c == '{' && previous == '$')) => {
                words.extend(word.take());
                flush(&mut words, &mut raw, &mut out);
                let file = Arc::clone(file);
                out.push(if c == '{' {
                    Statement::Open { line: number, column, file }
                } else {
                    Statement::Close { line: number, column, file }
                });
                previous = c;
                continue;
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => match &mut word {
                Some(word) => word.text.push(c),
                None => word = Some(Word { text: c.to_string(), column, quoted }),
            },
        }
        if behind_first {
            raw.push(c);
        }
        previous = c;
    }
    if quoted {
        findings.push(Diagnostic {
            level: Level::Warning,
            place: Some(Place {
                file: Arc::clone(file),
                line: number,
                column: word.as_ref().map_or(0, |w| w.column),
            }),
            code: "open-quote",
            problem: "a double quote is never closed on this line".to_owned(),
            consequence: "the text up to the end of the line is taken".to_owned(),
            fix: "write the closing \"".to_owned(),
        });
    }
    words.extend(word.take());
    flush(&mut words, &mut raw, &mut out);
    out
}

/// Inside `${NAME` a brace belongs to the variable.
fn in_variable(word: Option<&Word>) -> bool {
    word.is_some_and(|w| w.text.rfind("${").is_some_and(|at| !w.text[at..].contains('}')))
}

/// Splits a command with both kinds of quotes and backslashes (keepalived's rule for scripts).
pub(super) fn command_words(text: &str) -> Vec<String> {
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

    fn words(line: &str) -> Vec<Vec<String>> {
        let file = Arc::new(PathBuf::from("t"));
        let mut findings = Vec::new();
        let text = lines(line.as_bytes(), &file, &mut findings);
        text.iter()
            .flat_map(|(n, l)| statements(l, *n, &file, &mut findings))
            .map(|s| match s {
                Statement::Words { words, .. } => words.into_iter().map(|w| w.text).collect(),
                Statement::Open { .. } => vec!["{".to_owned()],
                Statement::Close { .. } => vec!["}".to_owned()],
            })
            .collect()
    }

    #[test]
    fn comments_are_cut_wherever_they_stand() {
        assert_eq!(words("unicast_src_ip 192.168.1.21##text"), [["unicast_src_ip", "192.168.1.21"]]);
        assert_eq!(words("! all of it\n# and this"), Vec::<Vec<String>>::new());
        assert_eq!(words("auth_pass \"a#b!c\" ! x"), [["auth_pass", "a#b!c"]]);
        assert_eq!(words(r"auth_pass a\#b"), [["auth_pass", "a#b"]]);
    }

    #[test]
    fn braces_may_stand_anywhere() {
        let expected: Vec<Vec<&str>> =
            vec![vec!["vrrp_instance", "VI_1"], vec!["{"], vec!["state", "MASTER"], vec!["}"]];
        assert_eq!(words("vrrp_instance VI_1{\r\n\tstate\tMASTER }"), expected);
        assert_eq!(words("vrrp_instance VI_1\n{ state MASTER\n}"), expected);
        assert_eq!(words("a \"{b}\""), [["a", "{b}"]]);
    }

    #[test]
    fn foreign_bytes_do_no_harm() {
        assert_eq!(words("\u{feff}state MASTER"), [["state", "MASTER"]]);
        let file = Arc::new(PathBuf::from("t"));
        let mut findings = Vec::new();
        let text = lines(b"priority 100 #\xd6\xd8\n\0\nstate BACKUP", &file, &mut findings);
        assert_eq!(text, [(1, "priority 100".to_owned()), (3, "state BACKUP".to_owned())]);
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn commands_know_both_quotes() {
        assert_eq!(command_words("killall -0 nginx"), ["killall", "-0", "nginx"]);
        assert_eq!(command_words("/bin/sh -c 'a \"b\"'"), ["/bin/sh", "-c", "a \"b\""]);
        assert_eq!(command_words(r"a\ b '' c"), ["a b", "", "c"]);
    }
}
