//! Reads a file again and again: blocks whose text, and all that it depends on, are the same as the last time are taken
//! over. What comes out is what a first reading gives, to the last finding and place.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place};
use super::facts::Facts;
use super::keepalived::{self, Keys, Lookout, Text, TextBlock};
use super::model::{Config, Pool, RealServer, TextOf, VirtualServer};
use super::{Loaded, is_yaml, resolved, unreadable, whole};

/// What is kept of the last reading.
#[derive(Debug, Default)]
pub struct Rereader {
    keys: Keys,
    /// Blocks without a finding, in the order of the file ...
    texts: Vec<Text>,
    /// ... and what they are.
    servers: Vec<Arc<VirtualServer>>,
    /// What real servers have in common.
    pool: Pool,
    /// What else they were judged by: all other objects, and the machine.
    others: Config,
    facts: Facts,
}

impl Rereader {
    /// As [`super::load`]; the places of what is in virtual servers are forgotten, once the findings have them.
    pub fn load(&mut self, path: &Path, facts: &Facts) -> Loaded {
        match whole(path) {
            Ok(bytes) => self.load_text(path, &bytes, facts),
            Err(error) => unreadable(path, &error),
        }
    }

    /// As [`super::load_text`].
    pub fn load_text(&mut self, name: &Path, bytes: &[u8], facts: &Facts) -> Loaded {
        if is_yaml(name) {
            self.texts.clear();
            self.servers.clear();
            let mut loaded = super::load_text(name, bytes, facts);
            settle(&mut loaded.config, &mut self.pool);
            return loaded;
        }
        let machine = judged_by(facts);
        let texts = std::mem::take(&mut self.texts);
        let texts = if self.facts == machine { texts } else { Vec::new() };
        let (mut loaded, mut met) = self.read(name, bytes, facts, texts);
        let mut others = loaded.config.others();
        if met.iter().any(|block| block.known.is_some()) && others != self.others {
            (loaded, met) = self.read(name, bytes, facts, Vec::new());
            others = loaded.config.others();
        }
        (self.others, self.facts) = (others, machine);
        self.remember(&mut loaded, &met);
        loaded
    }

    fn read(&self, name: &Path, bytes: &[u8], facts: &Facts, texts: Vec<Text>) -> (Loaded, Vec<TextBlock>) {
        let mut lookout = Some(Lookout::new(&self.keys, texts));
        let options = facts.read_options();
        let (config, diagnostics) =
            keepalived::parse_with(name, bytes, &options, &mut lookout, &self.servers);
        let loaded = resolved(name, Loaded { config, diagnostics, readable: true }, facts);
        (loaded, lookout.map(|lookout| lookout.met).unwrap_or_default())
    }

    /// Keeps what another reading can take over, and lets go of the places.
    fn remember(&mut self, loaded: &mut Loaded, met: &[TextBlock]) {
        self.servers.clear();
        // Overrides of the file are in its blocks by now: these are not what their texts say.
        let as_written = loaded.config.real_server_override.is_empty();
        for server in &mut loaded.config.virtual_server {
            let number = match server.text {
                TextOf::Unknown => None,
                TextOf::Fresh(number) | TextOf::Settled(number) => Some(number),
            };
            server.settle(&mut self.pool);
            let Some(block) = number.and_then(|number| met.get(number as usize)) else { continue };
            if as_written && is_of_the_text(server) && is_blameless(block, &loaded.diagnostics) {
                self.texts.push(block.text);
                self.servers.push(Arc::clone(server.object()));
            }
        }
        self.texts.shrink_to_fit();
        self.servers.shrink_to_fit();
    }
}

fn settle(config: &mut Config, pool: &mut Pool) {
    config.virtual_server.iter_mut().for_each(|server| server.settle(pool));
}

/// What of a machine virtual servers are judged by: its interfaces are of no concern to them.
fn judged_by(facts: &Facts) -> Facts {
    Facts { interfaces: None, ..facts.clone() }
}

/// False where the file system or the order of the file have a say: programs and who may run them, objects that must be
/// defined above.
fn is_of_the_text(server: &VirtualServer) -> bool {
    let own = |real: &RealServer| {
        real.notify_up.is_none()
            && real.notify_down.is_none()
            && real.misc_check.is_empty()
            && real.file_check.is_empty()
            && real.bfd_check.is_empty()
    };
    server.quorum_up.is_none() && server.quorum_down.is_none() && server.real_server.iter().all(own)
}

/// True when nothing was found in a block. The findings are in the order of their places.
fn is_blameless(block: &TextBlock, findings: &[Diagnostic]) -> bool {
    let begin = Place { file: Arc::clone(&block.file), line: block.line, column: 0 };
    let first = findings.partition_point(|finding| finding.place.as_ref().is_none_or(|at| *at < begin));
    let inside = |at: &Place| at.file == block.file && at.line <= block.last_line();
    !findings.get(first).and_then(|finding| finding.place.as_ref()).is_some_and(inside)
}

#[cfg(test)]
#[path = "rereader_tests.rs"]
mod tests;
