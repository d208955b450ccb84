//! keepalived.conf to the model and back: lexer, tree, keyword tables. What is wrong is reported with its place and
//! passed over; the rest runs, as keepalived does it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place};
use super::marks::Mark;
use super::model::{Config, Origin, VirtualServer};

mod blocks;
mod form;
mod forms;
mod keyword;
mod lexer;
mod reader;
#[cfg(test)]
mod sample;
mod shared_blocks;
mod source;
mod tree;
mod words;
mod writer;

#[cfg(test)]
mod round_trip;

pub(in crate::config) use keyword::{Acted, Finding, Inspection};

use keyword::Block;
use reader::Reader;
use writer::Writer;

pub(in crate::config) use source::{Block as TextBlock, Keys, Lookout, ReadOptions, Text, matching};

/// Reads a file.
pub(super) fn parse(name: &Path, bytes: &[u8], options: &ReadOptions) -> (Config, Vec<Diagnostic>) {
    parse_with(name, bytes, options, &mut None, &[])
}

/// The same with a lookout for blocks that are known; `known` are the objects of its texts.
pub(super) fn parse_with(
    name: &Path,
    bytes: &[u8],
    options: &ReadOptions,
    lookout: &mut Option<Lookout<'_>>,
    known: &[Arc<VirtualServer>],
) -> (Config, Vec<Diagnostic>) {
    let (tree, findings) = source::read_with(name, bytes, options, lookout);
    let met = lookout.as_ref().map_or(&[][..], |lookout| &lookout.met);
    let known = met.iter().map(|block| known.get(block.known?).cloned()).collect();
    let mut reader = Reader { findings, known, ..Reader::default() };
    let whole = Place { file: Arc::new(name.to_owned()), line: 0, column: 0 };
    let mut config = Config { origin: Origin::at(whole), ..Config::default() };
    keyword::read_words(&mut reader, &tree.root(), &mut config);
    (config, reader.findings)
}

/// Writes a model as keepalived.conf.
///
/// # Errors
/// What keepalived.conf has no way to say, as sentences.
pub(super) fn write(config: &Config) -> Result<String, Vec<String>> {
    let mut writer = Writer::default();
    keyword::write_words(config, &mut writer);
    if writer.impossible.is_empty() { Ok(writer.text) } else { Err(writer.impossible) }
}

/// Notes in a model, and in all that is in it, where it stands in the YAML text that it was read from.
pub(super) fn locate(config: &mut Config, root: &Mark, file: &Arc<PathBuf>) {
    config.origin = Origin::at(Place { file: Arc::clone(file), line: 0, column: 0 });
    keyword::locate(config, root, file);
}

/// Takes what is out of its range out of a model, and names that and what nothing acts on yet.
pub(super) fn inspect(config: &mut Config) -> Vec<Finding> {
    let mut inspection = Inspection::default();
    keyword::inspect(config, &mut inspection);
    inspection.found
}

/// All tables, for the schema and the lists of words: (block, word, field, argument form, limits, acted on).
pub(super) fn tables() -> Vec<WordEntry> {
    words::catalogue()
}

/// One word of one block.
pub(super) struct WordEntry {
    pub(super) block: &'static str,
    /// Name of the object's type.
    pub(super) type_name: &'static str,
    pub(super) word: &'static str,
    pub(super) field: &'static str,
    pub(super) says: String,
    pub(super) limits: keyword::Limits,
    pub(super) acted: Acted,
}

fn entries<B: Block>(into: &mut Vec<WordEntry>) {
    into.extend(B::table().iter().map(|keyword| WordEntry {
        block: B::WHAT,
        type_name: std::any::type_name::<B>().rsplit("::").next().unwrap_or_default(),
        word: keyword.word,
        field: keyword.field,
        says: (keyword.says)(),
        limits: (keyword.limits)(),
        acted: keyword.acted,
    }));
}
