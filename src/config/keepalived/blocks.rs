//! Words that begin a block of other words.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::Level;
use crate::config::marks::Mark;

use super::keyword::{Block, Form, Inspection, inspect, locate, read_block, read_into, write_words};
use super::reader::Reader;
use super::tree::Node;
use super::writer::Writer;

#[cfg(test)]
use super::{keyword::sample_words, sample::Sampler};

/// An object without a name of its own, as a person names it.
pub(super) fn object_name<B: Block>(object: &B) -> String {
    let header = object.header(&mut Writer::default()).join(" ");
    format!("{} {header}", B::WHAT).trim_end().to_owned()
}

/// Objects of one kind, as many as there are.
pub(super) struct Blocks<B>(PhantomData<B>);

impl<B> Blocks<B> {
    pub(super) const fn all() -> Self {
        Self(PhantomData)
    }
}

pub(super) fn write_block<B: Block>(word: &str, object: &B, w: &mut Writer) {
    let header = object.header(w);
    w.open(word, &header);
    write_words(object, w);
    w.close();
}

impl<B: Block> Form for Blocks<B> {
    type Slot = Vec<B>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let read = read_block::<B>(r, node);
        r.used = usize::MAX;
        let Some(object) = read else { return };
        let twin = object.name().and_then(|name| slot.iter().find(|other| other.name() == Some(name)));
        if let Some(twin) = twin {
            let first = twin.origin().place().map(|place| format!(", at {place}")).unwrap_or_default();
            let problem =
                format!("{} {} is there already{first}", B::WHAT, object.name().unwrap_or_default());
            let fix = "give it another name, or remove one";
            // keepalived refuses a second instance or sync group, and takes others of one name without a word.
            let refused = matches!(B::WHAT, "vrrp_instance" | "vrrp_sync_group" | "bfd_instance");
            let level = if refused { Level::Error } else { Level::Warning };
            r.find(level, node, 1, "duplicate-name", problem, "the second one is dropped", fix);
            return;
        }
        if let Some(name) = object.name() {
            r.defined.insert((B::WHAT, name.to_owned()));
        }
        if slot.len() == slot.capacity() {
            // Most real servers have one check: room for four of them would be most of a large configuration's memory.
            slot.reserve_exact((slot.len() / 8).max(1));
        }
        slot.push(object);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for object in slot {
            write_block(word, object, w);
        }
    }

    fn says(&self) -> String {
        "{ … }".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        let outer = std::mem::take(&mut i.object);
        for object in slot {
            if let Some(name) = object.name() {
                i.object = format!("{} {name}", B::WHAT);
            } else if outer.is_empty() {
                i.object = object_name(object);
            } else {
                i.object.clone_from(&outer);
            }
            inspect(object, i);
        }
        i.object = outer;
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        for (object, mark) in slot.iter_mut().zip(mark.elements()) {
            locate(object, mark, file);
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        for _ in 0..=s.below(2) {
            let mut object = B::blank(s);
            sample_words(s, &mut object);
            slot.push(object);
        }
    }
}

/// One object; a second block of the kind adds to the first.
pub(super) struct OneBlock<B>(PhantomData<B>);

impl<B> OneBlock<B> {
    pub(super) const fn of() -> Self {
        Self(PhantomData)
    }
}

impl<B: Block + Default> Form for OneBlock<B> {
    type Slot = Option<B>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let object = slot.get_or_insert_default();
        read_into(r, node, object);
        if !object.complete(r, node) {
            *slot = None;
        }
        r.used = usize::MAX;
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(object) = slot {
            write_block(word, object, w);
        }
    }

    fn says(&self) -> String {
        "{ … }".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(object) = slot {
            inspect(object, i);
        }
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        if let Some(object) = slot {
            locate(object, mark, file);
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let mut object = B::blank(s);
        sample_words(s, &mut object);
        *slot = Some(object);
    }
}

/// One object that is always there; all blocks of the kind add to it.
pub(super) struct Merged<B>(PhantomData<B>);

impl<B> Merged<B> {
    pub(super) const fn of() -> Self {
        Self(PhantomData)
    }
}

impl<B: Block + Default> Form for Merged<B> {
    type Slot = B;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut B) {
        read_into(r, node, slot);
        r.used = usize::MAX;
    }

    fn write(&self, word: &str, slot: &B, w: &mut Writer) {
        write_block(word, slot, w);
    }

    fn says(&self) -> String {
        "{ … }".to_owned()
    }

    fn inspect(&self, slot: &mut B, i: &mut Inspection) {
        B::WHAT.clone_into(&mut i.object);
        inspect(slot, i);
        i.object.clear();
    }

    fn locate(&self, slot: &mut B, mark: &Mark, file: &Arc<PathBuf>) {
        locate(slot, mark, file);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut B) {
        sample_words(s, slot);
    }
}
