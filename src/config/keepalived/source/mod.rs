//! The file with everything that it includes, `$NAME` replaced, `~SEQ` and `~LST` repeated and `@id` lines chosen, as
//! one tree. Findings point at the line that a person wrote, whatever became of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};

use super::lexer::{self, Line, trim_end, trim_start};
use super::tree::Tree;

mod blocks;
mod include;
mod sequence;
mod variables;

#[cfg(test)]
mod tests;

use blocks::Lines;
pub(in crate::config) use blocks::{Block, Keys, Lookout, Text};
use include::Checks;
pub(in crate::config) use include::matching;
use variables::Variables;

/// keepalived's line buffer: a longer line is dropped.
const LONGEST_LINE: usize = 1024;
/// Lines made out of lines: `$NAME` of several lines, `~SEQ`. Deeper is a circle.
const DEEPEST: usize = 32;
/// All that expansion may make of one file, in bytes: a slip must not fill the memory.
const MOST_EXPANDED: usize = 16 << 20;

/// What the outside gives to a file.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct ReadOptions {
    /// `@id` lines of this id are kept.
    pub(in crate::config) config_id: Option<String>,
    /// Plain `include` is checked like `includea`.
    pub(in crate::config) strict_includes: bool,
    /// Files are not opened: what a fuzzer makes up must not read this machine.
    pub(in crate::config) no_includes: bool,
    /// Seed of `${_RANDOM}`.
    pub(in crate::config) seed: u64,
}

/// Reads a file's bytes into a tree.
#[cfg(test)]
pub(in crate::config) fn read(name: &Path, bytes: &[u8], options: &ReadOptions) -> (Tree, Vec<Diagnostic>) {
    read_with(name, bytes, options, &mut None)
}

/// The same, looking out for blocks that are known.
pub(in crate::config) fn read_with(
    name: &Path,
    bytes: &[u8],
    options: &ReadOptions,
    lookout: &mut Option<Lookout<'_>>,
) -> (Tree, Vec<Diagnostic>) {
    let checks = if options.strict_includes { Checks::all() } else { Checks::default() };
    let mut source = Source {
        options,
        variables: Variables::new(options.seed),
        checks,
        expanded: 0,
        tree: Tree::new(match lookout {
            // Nearly all of it will be known.
            Some(lookout) if lookout.knows() => bytes.len() / 16,
            _ => bytes.len(),
        }),
        lookout,
    };
    source.file(name, bytes, 0);
    source.tree.finish();
    let mut tree = source.tree;
    let findings = std::mem::take(&mut tree.findings);
    (tree, findings)
}

/// A file under way.
struct File {
    name: Arc<PathBuf>,
    number: u32,
    /// How many includes it is deep.
    depth: usize,
}

struct Source<'a, 'k> {
    options: &'a ReadOptions,
    variables: Variables,
    /// What plain `include` is checked for.
    checks: Checks,
    /// Bytes that expansion has made so far.
    expanded: usize,
    tree: Tree,
    lookout: &'a mut Option<Lookout<'k>>,
}

/// A block of the outermost level under way.
struct Open<'l> {
    /// Where it begins, in bytes.
    from: usize,
    header: &'l [u8],
    number: u32,
    node: u32,
}

/// A line as it is read: its text, and where its parts stand in the file.
struct Written<'l> {
    number: u32,
    text: Cow<'l, str>,
    map: Option<Vec<(usize, u32, bool)>>,
    indent: u32,
}

impl Written<'_> {
    /// Where a byte of the text stands in the file: its column from 1 (0 = not known), and whether columns go on from
    /// there character by character.
    fn column(&self, at: usize) -> (u32, bool) {
        let count = |from: usize| {
            let text = self.text.get(from..at).unwrap_or_default();
            u32::try_from(text.chars().count()).unwrap_or(0)
        };
        let Some(map) = &self.map else { return (self.indent + count(0) + 1, true) };
        match map.iter().rev().find(|(offset, ..)| *offset <= at) {
            Some((offset, column, true)) => (column + count(*offset), true),
            Some((_, column, false)) => (*column, false),
            None => (0, false),
        }
    }
}

impl Source<'_, '_> {
    /// Takes a file's bytes; includes are relative to its directory.
    fn file(&mut self, name: &Path, bytes: &[u8], depth: usize) {
        let name = Arc::new(name.to_owned());
        let number = self.tree.file(Arc::clone(&name));
        let file = File { name, number, depth };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = Lines::of(bytes);
        // The block that is being read, when it may be known again.
        let mut open: Option<Open<'_>> = None;
        loop {
            let from = lines.at();
            let Some((number, line)) = lines.next() else { break };
            let begins = self.lookout.is_some() && self.tree.is_outside() && blocks::opens(line);
            if begins && self.known(&file, (from, number, line), &mut lines) {
                continue;
            }
            self.written(&file, number, line, &mut lines);
            open = match open {
                _ if begins => self.tree.outermost().map(|node| Open { from, header: line, number, node }),
                Some(block) if self.tree.is_outside() => {
                    if blocks::closes(line) {
                        self.remember(&file, &block, number, lines.since(block.from));
                    }
                    None
                }
                other => other.filter(|_| blocks::is_inner(line)),
            };
        }
    }

    /// Passes over a block whose text is known. False: it is none.
    fn known(
        &mut self,
        file: &File,
        (from, number, line): (usize, u32, &[u8]),
        lines: &mut Lines<'_>,
    ) -> bool {
        let found = self.lookout.as_mut().and_then(|lookout| lookout.find(line, lines.from(from)));
        let Some((at, text)) = found else { return false };
        self.written(file, number, line, lines);
        if let (Some(lookout), Some(node)) = (self.lookout.as_mut(), self.tree.outermost()) {
            lines.skip(from, &text);
            let file = Arc::clone(&file.name);
            self.tree.number(node, lookout.note(Block { text, file, line: number, known: Some(at) }));
            self.tree.close(&|| Place { file: Arc::default(), line: number, column: 0 });
        }
        true
    }

    /// Notes the text of a block that ends with this line.
    fn remember(&mut self, file: &File, block: &Open<'_>, last: u32, body: &[u8]) {
        let Some(lookout) = self.lookout.as_mut() else { return };
        let Some(text) = lookout.text(block.header, body, last - block.number + 1) else { return };
        let file = Arc::clone(&file.name);
        self.tree.number(block.node, lookout.note(Block { text, file, line: block.number, known: None }));
    }

    /// Takes a line of a file; a definition may take more of them.
    fn written(&mut self, file: &File, number: u32, line: &[u8], lines: &mut Lines<'_>) {
        if let Some(text) = plain(line) {
            let line = Line { file: file.number, name: &file.name, number, text, map: None, indent: 0 };
            lexer::take(&line, &mut self.tree);
            return;
        }
        let Some(text) = self.decoded(file, number, line) else { return };
        let text = lexer::without_comment(&text);
        let Some((text, indent)) = self.chosen(&text) else { return };
        if trim_start(text).is_empty() {
            return;
        }
        if let Some((variable, value)) = variables::definition(trim_start(text)) {
            let mut value = value.to_owned();
            // A trailing backslash goes on with the next line, which may be for another director.
            let mut more = value.ends_with('\\');
            while more {
                if value.ends_with('\\') {
                    value.pop();
                }
                let Some((number, next)) = lines.next() else { break };
                let Some(written) = self.decoded(file, number, next) else { continue };
                // The backslash counts before a comment, and also at its end.
                let next = lexer::without_comment(&written);
                more = next.ends_with('\\') || trim_end(&written).ends_with('\\');
                if next.is_empty() {
                    continue;
                }
                if let Some((text, _)) = self.chosen(&next) {
                    value.push('\n');
                    value.push_str(text);
                }
            }
            if value.ends_with('\\') {
                value.pop();
            }
            self.variables.define(variable, trim_end(trim_start(&value)));
            return;
        }
        let written = Written { number, text: Cow::Borrowed(text), map: None, indent };
        self.line(file, &written, 0);
    }

    /// A line as text, or nothing when it cannot be used, which is said.
    fn decoded<'l>(&mut self, file: &File, number: u32, line: &'l [u8]) -> Option<Cow<'l, str>> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut report = |code, problem: &str, fix: &str| {
            let place = Place { file: Arc::clone(&file.name), line: number, column: 0 };
            self.warn(place, code, problem, fix);
            None
        };
        if line.len() >= LONGEST_LINE {
            let fix = "split it into several lines (at most 1023 bytes each)";
            return report("line-too-long", "this line is longer than keepalived reads", fix);
        }
        if line.contains(&0) {
            return report("nul-byte", "there is a NUL byte in this line", "remove it");
        }
        // Bytes that are no UTF-8 (comments in GBK are common) matter only outside comments.
        let text = String::from_utf8_lossy(line);
        Some(if text.contains('\r') { Cow::Owned(text.replace('\r', "")) } else { text })
    }

    /// The line without its `@id` prefix and the number of characters in front, or nothing when it is for another
    /// director.
    fn chosen<'l>(&self, line: &'l str) -> Option<(&'l str, u32)> {
        let trimmed = trim_start(line);
        let Some(rest) = trimmed.strip_prefix('@') else { return Some((line, 0)) };
        let (id, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let ours = self.options.config_id.as_deref();
        let keep = match id.strip_prefix('^') {
            Some(id) => ours != Some(id),
            None => ours == Some(id),
        };
        let before = line.get(..line.len() - text.len()).unwrap_or_default();
        keep.then(|| (text, u32::try_from(before.chars().count()).unwrap_or(0)))
    }

    /// One line, or one of those that came out of it.
    fn line(&mut self, file: &File, written: &Written<'_>, depth: usize) {
        let trimmed = trim_start(&written.text);
        // A line that expands no further is read in any case: the file's structure must stay.
        let expands = depth > 0 || trimmed.contains('$') || trimmed.starts_with('~');
        if depth > DEEPEST || (expands && self.expanded > MOST_EXPANDED) {
            if self.expanded != usize::MAX {
                let fix = "look for a variable that names itself, or for too many ~SEQ";
                self.warn(place(file, written), "expansion-too-large", "this line expands without end", fix);
                self.expanded = usize::MAX;
            }
            return;
        }
        if let Some(at) = choice_behind_brace(&written.text) {
            // What stands behind a brace is read like a line of its own, its @id included.
            let (before, behind) = written.text.split_at(at);
            let part = |text: &str| Written {
                number: written.number,
                text: Cow::Owned(text.to_owned()),
                map: Some(vec![(0, 0, false)]),
                indent: 0,
            };
            self.line(file, &part(before), depth + 1);
            if let Some((text, _)) = self.chosen(behind) {
                self.line(file, &part(text), depth + 1);
            }
            return;
        }
        if trimmed.starts_with('~') && self.sequence(file, written, depth) {
            return;
        }
        if trimmed.starts_with("include") && !trimmed.contains('$') && self.include(file, written, trimmed) {
            return;
        }
        if trimmed.contains('$') {
            self.with_variables(file, written, depth);
            return;
        }
        let line = Line {
            file: file.number,
            name: &file.name,
            number: written.number,
            text: &written.text,
            map: written.map.as_deref(),
            indent: written.indent,
        };
        lexer::take(&line, &mut self.tree);
    }

    /// Replaces the variables of a line; the result may be several lines.
    fn with_variables(&mut self, file: &File, written: &Written<'_>, depth: usize) {
        let context = variables::Context {
            config_id: self.options.config_id.as_deref().unwrap_or_default(),
            directory: file.name.parent().unwrap_or_else(|| Path::new(".")),
        };
        let room = MOST_EXPANDED.saturating_sub(self.expanded);
        let replaced = self.variables.replaced(&written.text, &context, room);
        self.expanded = self.expanded.saturating_add(replaced.text.len());
        if replaced.too_large {
            self.expanded = MOST_EXPANDED + 1;
            return self.line(file, written, depth);
        }
        if replaced.text.contains('\n') {
            // A variable of several lines: each is read as if it stood here.
            for part in replaced.text.split('\n') {
                let part = if replaced.comment { lexer::without_comment(part) } else { Cow::Borrowed(part) };
                let Some((part, _)) = self.chosen(&part) else { continue };
                if let Some((variable, value)) = variables::definition(trim_start(part)) {
                    self.variables.define(variable, value.trim());
                    continue;
                }
                let text = Cow::Borrowed(part);
                let inner =
                    Written { number: written.number, text, map: Some(vec![(0, 0, false)]), indent: 0 };
                self.line(file, &inner, depth + 1);
            }
            return;
        }
        for name in &replaced.undefined {
            // A word at the start of a line is reported as the keyword that it is not.
            if trim_start(&written.text).starts_with(name.as_str()) {
                continue;
            }
            let at = written.text.find(name.as_str()).unwrap_or(0);
            let place =
                Place { file: Arc::clone(&file.name), line: written.number, column: written.column(at).0 };
            self.tree.findings.push(Diagnostic {
                level: Level::Warning,
                place: Some(place),
                code: "undefined-variable",
                problem: format!("the variable {name} is not defined"),
                consequence: "the text is left as it is, as in keepalived".to_owned(),
                fix: format!("write ${}=VALUE above this line", name.trim_matches(['$', '{', '}'])),
            });
        }
        let map: Vec<(usize, u32, bool)> = replaced
            .parts
            .iter()
            .map(|(here, there, exact)| {
                let (column, goes_on) = written.column(*there);
                (*here, column, *exact && goes_on)
            })
            .collect();
        // ${_HASH} and ${_BANG} begin a comment like the characters that they stand for.
        let text = if replaced.comment {
            lexer::without_comment(&replaced.text)
        } else {
            Cow::Borrowed(&*replaced.text)
        };
        // A variable that is empty may leave an @id in front; includes may name variables.
        let Some((kept, _)) = self.chosen(&text) else { return };
        let include = trim_start(kept).starts_with("include") && !kept.contains('$');
        if kept.len() < text.len() || include {
            let inner = Written {
                number: written.number,
                text: Cow::Owned(kept.to_owned()),
                map: Some(vec![(0, 0, false)]),
                indent: 0,
            };
            return self.line(file, &inner, depth + 1);
        }
        let line = Line {
            file: file.number,
            name: &file.name,
            number: written.number,
            text: &text,
            map: Some(&map),
            indent: 0,
        };
        lexer::take(&line, &mut self.tree);
    }

    fn warn(&mut self, place: Place, code: &'static str, problem: &str, fix: &str) {
        self.tree.findings.push(Diagnostic {
            level: Level::Warning,
            place: Some(place),
            code,
            problem: problem.to_owned(),
            consequence: "the line is passed over".to_owned(),
            fix: fix.to_owned(),
        });
    }
}

/// Where an `@id` stands behind a brace.
fn choice_behind_brace(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut brace = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'{' | b'}' if !quoted => {
                brace = true;
                continue;
            }
            b' ' | b'\t' if brace => continue,
            b'@' if brace => return Some(at),
            _ => {}
        }
        brace = false;
    }
    None
}

/// Most lines: nothing in them but words, quotes and braces. Large files are made of these, so they take no detour.
fn plain(line: &[u8]) -> Option<&str> {
    let special = |b: &u8| matches!(b, b'#' | b'!' | b'@' | b'$' | b'~' | b'\r' | 0 | 0x80..);
    if line.len() >= LONGEST_LINE || line.iter().any(special) {
        return None;
    }
    let text = trim_end(std::str::from_utf8(line).ok()?);
    let include = text.as_bytes().iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'i')
        && text.trim_start().starts_with("include");
    (!include).then_some(text)
}

/// The place of a line as a whole.
fn place(file: &File, written: &Written<'_>) -> Place {
    Place { file: Arc::clone(&file.name), line: written.number, column: 0 }
}

/// Variables by name; the order is that of their names, for dumps.
type Map = BTreeMap<String, String>;
