//! `virtual_server` blocks: those that an earlier reading knows are taken over, the others are read.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::marks::Mark;
use crate::config::model::{Shared, TextOf, VirtualServer};

use super::blocks::{object_name, write_block};
use super::keyword::{Form, Inspection, inspect, locate, read_block};
use super::reader::Reader;
use super::tree::Node;
use super::writer::Writer;

#[cfg(test)]
use super::{keyword::Block, keyword::sample_words, sample::Sampler};

/// As many as there are.
pub(super) struct SharedBlocks;

impl Form for SharedBlocks {
    type Slot = Vec<Shared<VirtualServer>>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let number = node.block();
        let known = number.and_then(|number| Some((number, r.known.get(number as usize)?.as_ref()?)));
        let server = match known {
            Some((number, object)) => Some(Shared::settled(Arc::clone(object), node.place(1), number)),
            None => read_block::<VirtualServer>(r, node).map(|server| {
                let mut server = Shared::from(server);
                server.text = number.map_or(TextOf::Unknown, TextOf::Fresh);
                server
            }),
        };
        r.used = usize::MAX;
        slot.extend(server);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for server in slot {
            write_block(word, &**server, w);
        }
    }

    fn says(&self) -> String {
        "{ … }".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        for server in slot.iter_mut().filter(|server| !server.is_settled()) {
            i.object = object_name(&**server);
            inspect(&mut **server, i);
        }
        i.object.clear();
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        for (server, mark) in slot.iter_mut().zip(mark.elements()) {
            locate(&mut **server, mark, file);
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        for _ in 0..=s.below(2) {
            let mut server = VirtualServer::blank(s);
            sample_words(s, &mut server);
            slot.push(server.into());
        }
    }
}
