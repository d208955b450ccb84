//! Statements to a tree of nodes: a keyword with its words, and a block when braces follow.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Place};

use super::lexer::{Statement, Word};

/// A keyword line, perhaps with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) words: Vec<Word>,
    /// The text behind the first word, as written.
    pub(super) raw: String,
    pub(super) line: u32,
    pub(super) file: Arc<PathBuf>,
    /// `Some` when braces followed, even empty ones.
    pub(super) block: Option<Vec<Self>>,
}

impl Node {
    /// The keyword.
    pub(super) fn key(&self) -> &str {
        self.words.first().map_or("", |w| w.text.as_str())
    }

    /// The n-th word behind the keyword, from 0.
    pub(super) fn argument(&self, n: usize) -> Option<&str> {
        self.words.get(n + 1).map(|w| w.text.as_str())
    }

    /// The words behind the keyword.
    pub(super) fn arguments(&self) -> Vec<&str> {
        self.words.iter().skip(1).map(|w| w.text.as_str()).collect()
    }

    /// All words.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.words.iter().map(|w| w.text.as_str()).collect()
    }

    /// The text behind the keyword, as written.
    pub(super) fn raw(&self) -> &str {
        &self.raw
    }

    /// True when braces followed, even empty ones.
    pub(super) fn has_block(&self) -> bool {
        self.block.is_some()
    }

    /// A node that holds those of a whole file.
    pub(super) fn root(nodes: Vec<Self>, file: &std::path::Path) -> Self {
        Self { words: Vec::new(), raw: String::new(), line: 0, file: Arc::new(file.to_owned()), block: Some(nodes) }
    }

    /// The elements of its block.
    pub(super) fn children(&self) -> &[Self] {
        self.block.as_deref().unwrap_or(&[])
    }

    /// Place of the n-th word, the keyword being 0; of the last one when there are fewer.
    pub(super) fn place(&self, n: usize) -> Place {
        let word = self.words.get(n).or(self.words.last());
        Place { file: Arc::clone(&self.file), line: self.line, column: word.map_or(0, |w| w.column) }
    }
}

/// Blocks within blocks; keepalived's own go four deep. A damaged file must not exhaust the stack of whoever walks the
/// tree (its destructor included): a reload would end the daemon.
const DEEPEST: usize = 32;

/// Builds the tree. A surplus `}` is passed over, a missing one is taken as standing at the end of the file.
pub(super) fn build(statements: Vec<Statement>, findings: &mut Vec<Diagnostic>) -> Vec<Node> {
    let mut root: Vec<Node> = Vec::new();
    // The open blocks: their nodes with the children so far.
    let mut open: Vec<Node> = Vec::new();
    // The last keyword line, which a `{` belongs to.
    let mut last: Option<Node> = None;
    let finding = |place, code, problem: &str, consequence: &str, fix: &str| Diagnostic {
        // The structure is in doubt: a start runs with what it reads, a reload refuses.
        level: Level::Error,
        place: Some(place),
        code,
        problem: problem.to_owned(),
        consequence: consequence.to_owned(),
        fix: fix.to_owned(),
    };
    // Braces that are open below the deepest block: all in them is passed over.
    let mut too_deep = 0usize;
    for statement in statements {
        match statement {
            Statement::Words { .. } if too_deep > 0 => {}
            Statement::Open { .. } if too_deep > 0 => too_deep += 1,
            Statement::Close { .. } if too_deep > 0 => too_deep -= 1,
            Statement::Open { line, column, file } if open.len() >= DEEPEST => {
                last = None;
                too_deep = 1;
                findings.push(finding(
                    Place { file, line, column },
                    "too-deep",
                    "blocks are nested deeper than any keyword goes",
                    "what lies deeper is passed over",
                    "look for a } that is missing above",
                ));
            }
            Statement::Words { words, raw, line, file } => {
                put(&mut root, &mut open, last.take());
                last = Some(Node { words, raw, line, file, block: None });
            }
            Statement::Open { line, column, file } => match last.take() {
                Some(mut node) => {
                    node.block = Some(Vec::new());
                    open.push(node);
                }
                None => {
                    let place = Place { file: Arc::clone(&file), line, column };
                    findings.push(finding(
                        place,
                        "brace-without-keyword",
                        "a { without a keyword before it",
                        "its block is passed over",
                        "write the keyword that it belongs to",
                    ));
                    open.push(Node {
                        words: Vec::new(),
                        raw: String::new(),
                        line,
                        file,
                        block: Some(Vec::new()),
                    });
                }
            },
            Statement::Close { line, column, file } => {
                put(&mut root, &mut open, last.take());
                match open.pop() {
                    Some(node) => put(&mut root, &mut open, Some(node).filter(|n| !n.words.is_empty())),
                    None => findings.push(finding(
                        Place { file, line, column },
                        "surplus-brace",
                        "a } without a { before it",
                        "it is passed over",
                        "remove it, or look for a { that is missing above",
                    )),
                }
            }
        }
    }
    put(&mut root, &mut open, last.take());
    while let Some(node) = open.pop() {
        let problem = format!("the block of \"{}\" is never closed", node.key());
        findings.push(finding(
            node.place(0),
            "missing-brace",
            &problem,
            "it is taken to end at the end of the file",
            "write the missing }",
        ));
        put(&mut root, &mut open, Some(node).filter(|n| !n.words.is_empty()));
    }
    root
}

fn put(root: &mut Vec<Node>, open: &mut [Node], node: Option<Node>) {
    let Some(node) = node else { return };
    match open.last_mut() {
        Some(parent) => parent.block.get_or_insert_default().push(node),
        None => root.push(node),
    }
}
