//! A whole file as a tree of nodes: a keyword with its words, and a block when braces follow. One arena holds all of
//! it: a file of 300,000 lines must not cost a million allocations.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};

/// No node.
const NONE: u32 = u32::MAX;

/// One word with its place in the arena's text and in its file.
#[derive(Clone, Copy, Debug)]
struct Word {
    start: u32,
    end: u32,
    /// From 1, in characters; 0 = the line as a whole.
    column: u32,
}

#[derive(Clone, Copy, Debug)]
struct Data {
    first_word: u32,
    words: u32,
    raw_start: u32,
    raw_end: u32,
    line: u32,
    file: u32,
    first_child: u32,
    next: u32,
    has_block: bool,
}

/// A tree under construction, and then the whole of it.
#[derive(Debug)]
pub(in crate::config) struct Tree {
    text: String,
    words: Vec<Word>,
    nodes: Vec<Data>,
    files: Vec<Arc<PathBuf>>,
    /// The open blocks, with the last child of each so far.
    open: Vec<(u32, u32)>,
    /// The last keyword line, which a `{` belongs to.
    last: u32,
    /// Blocks at the outermost level whose text has a number, as (node, number), in order.
    blocks: Vec<(u32, u32)>,
    /// Braces that are open below the deepest block: all in them is passed over.
    too_deep: usize,
    pub(super) findings: Vec<Diagnostic>,
}

/// Blocks within blocks; keepalived's own go four deep. A damaged file must not exhaust the stack of whoever walks the
/// tree: a reload would end the daemon.
const DEEPEST: usize = 32;

/// Everything that is stored is addressed by 32 bits.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE - 1)
}

impl Tree {
    /// An empty one, with room for a file of that many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let root = Data {
            first_word: 0,
            words: 0,
            raw_start: 0,
            raw_end: 0,
            line: 0,
            file: 0,
            first_child: NONE,
            next: NONE,
            has_block: true,
        };
        let mut nodes = Vec::with_capacity(bytes / 20);
        nodes.push(root);
        Self {
            text: String::with_capacity(bytes),
            words: Vec::with_capacity(bytes / 8),
            nodes,
            files: Vec::new(),
            open: vec![(0, NONE)],
            last: NONE,
            blocks: Vec::new(),
            too_deep: 0,
            findings: Vec::new(),
        }
    }

    /// The node that holds those of the whole file.
    pub(in crate::config) fn root(&self) -> Node<'_> {
        Node { tree: self, index: 0 }
    }

    /// Makes a file known; its number goes with each line.
    pub(super) fn file(&mut self, name: Arc<PathBuf>) -> u32 {
        self.files.push(name);
        index(self.files.len() - 1)
    }

    /// Begins a line of words.
    pub(super) fn begin(&mut self, file: u32, line: u32) {
        let at = index(self.text.len());
        self.nodes.push(Data {
            first_word: index(self.words.len()),
            words: 0,
            raw_start: at,
            raw_end: at,
            line,
            file,
            first_child: NONE,
            next: NONE,
            has_block: false,
        });
    }

    /// Adds a word to the line that was begun.
    pub(super) fn word(&mut self, text: &str, column: u32) {
        let start = index(self.text.len());
        self.text.push_str(text);
        self.words.push(Word { start, end: index(self.text.len()), column });
        if let Some(node) = self.nodes.last_mut() {
            node.words += 1;
        }
    }

    /// Ends the line: `raw` is the text behind its first word. A line without words was none.
    pub(super) fn end(&mut self, raw: &str) {
        let Some(node) = self.nodes.last_mut() else { return };
        if node.words == 0 || self.too_deep > 0 {
            let keep = node.first_word as usize;
            self.nodes.pop();
            self.words.truncate(keep);
            return;
        }
        node.raw_start = index(self.text.len());
        self.text.push_str(raw);
        node.raw_end = index(self.text.len());
        let this = index(self.nodes.len() - 1);
        self.attach(this);
        self.last = this;
    }

    /// True at the outermost level, where blocks begin and end.
    pub(super) fn is_outside(&self) -> bool {
        self.open.len() == 1 && self.too_deep == 0
    }

    /// The block that is open, when it is one of the outermost level.
    pub(super) fn outermost(&self) -> Option<u32> {
        match self.open.as_slice() {
            [_, (node, _)] if *node != NONE && self.too_deep == 0 => Some(*node),
            _ => None,
        }
    }

    /// Gives a block of the outermost level its number. Greater nodes have greater numbers.
    pub(super) fn number(&mut self, node: u32, number: u32) {
        self.blocks.push((node, number));
    }

    fn attach(&mut self, this: u32) {
        let Some((parent, last_child)) = self.open.last_mut() else { return };
        if *parent == NONE {
            return;
        }
        let slot = if *last_child == NONE {
            self.nodes.get_mut(*parent as usize).map(|node| &mut node.first_child)
        } else {
            self.nodes.get_mut(*last_child as usize).map(|node| &mut node.next)
        };
        if let Some(slot) = slot {
            *slot = this;
        }
        *last_child = this;
    }

    /// `{`
    pub(super) fn open(&mut self, place: &dyn Fn() -> Place) {
        if self.too_deep > 0 {
            self.too_deep += 1;
            return;
        }
        if self.open.len() > DEEPEST {
            self.too_deep = 1;
            self.last = NONE;
            self.find(
                place(),
                "too-deep",
                "blocks are nested deeper than any keyword goes",
                "what lies deeper is passed over",
                "look for a } that is missing above",
            );
            return;
        }
        if self.last == NONE {
            self.find(
                place(),
                "unexpected-brace",
                "a { without a keyword before it",
                "its block is passed over",
                "write the keyword that it belongs to, or remove it",
            );
        } else if let Some(node) = self.nodes.get_mut(self.last as usize) {
            node.has_block = true;
        }
        self.open.push((self.last, NONE));
        self.last = NONE;
    }

    /// `}`
    pub(super) fn close(&mut self, place: &dyn Fn() -> Place) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        self.last = NONE;
        if self.open.len() > 1 {
            self.open.pop();
            return;
        }
        self.find(
            place(),
            "surplus-brace",
            "a } without a { before it",
            "it is passed over",
            "remove it, or look for a { that is missing above",
        );
    }

    /// Ends the file: what is open still is named, and taken to end here.
    pub(super) fn finish(&mut self) {
        while self.open.len() > 1 {
            let Some((node, _)) = self.open.pop() else { return };
            if node == NONE {
                continue;
            }
            let node = Node { tree: self, index: node };
            let (place, key) = (node.place(0), node.key().to_owned());
            self.find(
                place,
                "missing-brace",
                &format!("the block of \"{key}\" is never closed"),
                "it is taken to end at the end of the file",
                "write the missing }",
            );
        }
    }

    /// The structure is in doubt: a start runs with what it reads, a reload refuses.
    fn find(&mut self, place: Place, code: &'static str, problem: &str, consequence: &str, fix: &str) {
        self.findings.push(Diagnostic {
            level: Level::Error,
            place: Some(place),
            code,
            problem: problem.to_owned(),
            consequence: consequence.to_owned(),
            fix: fix.to_owned(),
        });
    }

    fn text(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// A keyword line, perhaps with a block.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Node<'t> {
    tree: &'t Tree,
    index: u32,
}

impl<'t> Node<'t> {
    fn data(&self) -> Option<&'t Data> {
        self.tree.nodes.get(self.index as usize)
    }

    fn list(&self) -> &'t [Word] {
        let words = self.data().and_then(|node| {
            let from = node.first_word as usize;
            self.tree.words.get(from..from + node.words as usize)
        });
        words.unwrap_or_default()
    }

    /// The keyword.
    pub(in crate::config) fn key(&self) -> &'t str {
        self.list().first().map_or("", |w| self.tree.text(w.start, w.end))
    }

    /// The n-th word behind the keyword, from 0.
    pub(in crate::config) fn argument(&self, n: usize) -> Option<&'t str> {
        self.list().get(n + 1).map(|w| self.tree.text(w.start, w.end))
    }

    /// The words behind the keyword.
    pub(in crate::config) fn arguments(&self) -> Vec<&'t str> {
        self.list().iter().skip(1).map(|w| self.tree.text(w.start, w.end)).collect()
    }

    /// How many words there are behind the keyword.
    pub(in crate::config) fn argument_count(&self) -> usize {
        self.list().len().saturating_sub(1)
    }

    /// All words.
    pub(in crate::config) fn texts(&self) -> Vec<&'t str> {
        self.list().iter().map(|w| self.tree.text(w.start, w.end)).collect()
    }

    /// The number of its text, when it is a block of the outermost level that has one.
    pub(in crate::config) fn block(&self) -> Option<u32> {
        let at = self.tree.blocks.binary_search_by_key(&self.index, |(node, _)| *node).ok()?;
        self.tree.blocks.get(at).map(|(_, number)| *number)
    }

    /// The text behind the keyword, as written.
    pub(in crate::config) fn raw(&self) -> &'t str {
        self.data().map_or("", |node| self.tree.text(node.raw_start, node.raw_end))
    }

    /// True when braces followed, even empty ones.
    pub(in crate::config) fn has_block(&self) -> bool {
        self.data().is_some_and(|node| node.has_block)
    }

    /// The elements of its block.
    pub(in crate::config) fn children(&self) -> Children<'t> {
        Children { tree: self.tree, next: self.data().map_or(NONE, |node| node.first_child) }
    }

    /// File, line and column of the n-th word, as [`Self::place`].
    pub(in crate::config) fn spot(&self, n: usize) -> Option<(&'t Arc<PathBuf>, u32, u32)> {
        let list = self.list();
        let column = list.get(n).or(list.last()).map_or(0, |word| word.column);
        let data = self.data()?;
        Some((self.tree.files.get(data.file as usize)?, data.line, column))
    }

    /// Place of the n-th word, the keyword being 0; of the last one when there are fewer.
    pub(in crate::config) fn place(&self, n: usize) -> Place {
        match self.spot(n) {
            Some((file, line, column)) => Place { file: Arc::clone(file), line, column },
            None => Place { file: Arc::default(), line: 0, column: 0 },
        }
    }
}

/// The elements of a block, in their order.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Children<'t> {
    tree: &'t Tree,
    next: u32,
}

impl<'t> Iterator for Children<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        let data = self.tree.nodes.get(self.next as usize).filter(|_| self.next != NONE)?;
        let node = Node { tree: self.tree, index: self.next };
        self.next = data.next;
        Some(node)
    }
}
