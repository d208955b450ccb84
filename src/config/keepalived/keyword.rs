//! The keyword tables: one entry ties a word of keepalived.conf to a field of the model. Reading, writing, ranges of
//! YAML values, "accepted, not acted on yet", the JSON Schema's limits and the round-trip tests all follow from it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::{Level, Place};
use crate::config::marks::Mark;
use crate::config::model::Origin;

use super::reader::Reader;
use super::tree::Node;
use super::writer::Writer;

#[cfg(test)]
use super::sample::Sampler;

/// What becomes of a word once it is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Acted {
    /// The daemon does it.
    Yes,
    /// Understood, but nothing acts on it yet: named by `check`, in the log and in the README.
    NotYet,
    /// Without effect in keepalived as well.
    Never,
}

/// Smallest and greatest number that a word takes.
pub(in crate::config) type Limits = Option<(i64, i64)>;

/// One word of a block.
pub(in crate::config) struct Keyword<T: 'static> {
    /// As it is written.
    pub(in crate::config) word: &'static str,
    /// Other spellings, just as good.
    pub(in crate::config) aliases: &'static [&'static str],
    /// Spellings that keepalived calls deprecated.
    pub(in crate::config) old: &'static [&'static str],
    pub(in crate::config) acted: Acted,
    /// The field, `connection.connect_ip` where it lies one deeper.
    pub(in crate::config) field: &'static str,
    /// It may stand several times in one block.
    pub(in crate::config) many: bool,
    pub(in crate::config) limits: fn() -> Limits,
    /// Argument form, for people.
    pub(in crate::config) says: fn() -> String,
    pub(in crate::config) read: fn(&mut Reader, &Node<'_>, &mut T),
    pub(in crate::config) write: fn(&T, &mut Writer),
    pub(in crate::config) is_set: fn(&T) -> bool,
    pub(in crate::config) inspect: fn(&mut T, &mut Inspection),
    pub(in crate::config) locate: fn(&mut T, &Mark, &Arc<PathBuf>),
    #[cfg(test)]
    pub(in crate::config) sample: fn(&mut Sampler, &mut T),
}

/// The words of a block.
pub(in crate::config) type Table<T> = &'static [Keyword<T>];

/// An object with words of its own.
pub(in crate::config) trait Block: Sized + Clone + PartialEq + 'static {
    /// Its keyword, for messages.
    const WHAT: &'static str;

    /// Its words.
    fn table() -> Table<Self>;

    /// Reads what stands on the line of the keyword. `None` drops the block (and has been said).
    fn open(r: &mut Reader, node: &Node<'_>) -> Option<Self>;

    /// What stands on the line of the keyword, ready to be written.
    fn header(&self, _: &mut Writer) -> Vec<String> {
        Vec::new()
    }

    /// Its name, where there may be only one of each name.
    fn name(&self) -> Option<&str> {
        None
    }

    /// A last look at what was read. False drops the block (and has been said).
    fn complete(&mut self, _: &mut Reader, _: &Node<'_>) -> bool {
        true
    }

    /// Its lines are elements that `open` has read, not keywords.
    fn words_are_elements() -> bool {
        false
    }

    fn origin(&self) -> &Origin;

    fn origin_mut(&mut self) -> &mut Origin;

    /// One with random values in what it cannot be without.
    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self;
}

/// How the value of a word is written: read, written, checked and sampled by one description.
pub(in crate::config) trait Form {
    /// The type of the field.
    type Slot: Default + PartialEq + 'static;

    /// It may stand several times in one block.
    const MANY: bool = false;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot);

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer);

    /// Argument form, for people.
    fn says(&self) -> String;

    fn limits(&self) -> Limits {
        None
    }

    /// Takes what cannot be meant out of the slot, and says what was there and what could stand there.
    fn inspect(&self, _: &mut Self::Slot, _: &mut Inspection) {}

    /// Notes in the objects of the slot where they stand in a YAML text.
    fn locate(&self, _: &mut Self::Slot, _: &Mark, _: &Arc<PathBuf>) {}

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot);
}

/// What a walk over a model finds, whichever form it came in.
#[derive(Default)]
pub(in crate::config) struct Inspection {
    pub(in crate::config) found: Vec<Finding>,
    /// Values out of range of the word under inspection.
    values: Vec<(String, String)>,
    /// The object under inspection, as a person names it.
    pub(in crate::config) object: String,
}

/// One thing that a walk found.
pub(in crate::config) struct Finding {
    pub(in crate::config) level: Level,
    pub(in crate::config) place: Option<Place>,
    pub(in crate::config) code: &'static str,
    pub(in crate::config) problem: String,
    pub(in crate::config) consequence: String,
    pub(in crate::config) fix: String,
}

impl Inspection {
    /// A value that was taken out of its slot.
    pub(in crate::config) fn out_of_range(&mut self, value: impl ToString, says: impl ToString) {
        self.values.push((value.to_string(), says.to_string()));
    }

    fn not_yet(&mut self, word: &str, place: Option<Place>) {
        let object = if self.object.is_empty() { String::new() } else { format!(" ({})", self.object) };
        self.found.push(Finding {
            level: Level::Warning,
            place,
            code: "not-acted-on",
            problem: format!("accepted, not acted on yet: {word}{object}"),
            consequence: "it has no effect".to_owned(),
            fix: String::new(),
        });
    }
}

/// Looks through an object's words: what is out of its range is taken out, what nothing acts on yet is named.
pub(in crate::config) fn inspect<B: Block>(object: &mut B, into: &mut Inspection) {
    for keyword in B::table() {
        if !(keyword.is_set)(object) {
            continue;
        }
        if keyword.acted == Acted::NotYet {
            into.not_yet(keyword.word, object.origin().word(keyword.word));
        }
        (keyword.inspect)(object, into);
        for (value, says) in std::mem::take(&mut into.values) {
            let object_name = if into.object.is_empty() { B::WHAT } else { &into.object };
            into.found.push(Finding {
                level: Level::Error,
                place: object.origin().word(keyword.word),
                code: "out-of-range",
                problem: format!("{object_name}: {} {value} is out of its range", keyword.word),
                consequence: "its default is taken".to_owned(),
                fix: format!("write {says}"),
            });
        }
    }
}

/// Notes where an object and its words stand in a YAML text.
pub(in crate::config) fn locate<B: Block>(object: &mut B, mark: &Mark, file: &Arc<PathBuf>) {
    if !object.origin().is_known() {
        *object.origin_mut() = Origin::at(mark.place(file));
    }
    for keyword in B::table() {
        // A form that sets several fields has the word itself for one of them.
        let field = if keyword.field.is_empty() { keyword.word } else { keyword.field };
        let words = || [keyword.word].into_iter().chain(keyword.aliases.iter().copied());
        let found = mark.field(field).or_else(|| words().find_map(|word| mark.value(word)));
        let Some((value, line, column)) = found else { continue };
        for element in value.elements() {
            object.origin_mut().note_element(keyword.word, element.place(file));
        }
        object.origin_mut().note(keyword.word, file, line, column);
        (keyword.locate)(object, value, file);
    }
}

/// Reads a block. `None` when it is dropped, which has been said then.
pub(in crate::config) fn read_block<B: Block>(r: &mut Reader, node: &Node<'_>) -> Option<B> {
    let mut object = B::open(r, node)?;
    read_into(r, node, &mut object);
    object.complete(r, node).then_some(object)
}

/// Reads the words of a block into an object that is there already.
pub(in crate::config) fn read_into<B: Block>(r: &mut Reader, node: &Node<'_>, object: &mut B) {
    if !object.origin().is_known() {
        *object.origin_mut() = Origin::at(node.place(1));
    }
    if !node.has_block() {
        r.no_block(node);
    }
    r.used = usize::MAX;
    if !B::words_are_elements() {
        read_words(r, node, object);
    }
}

/// Reads the words below a node (or those of the whole file) into an object.
pub(in crate::config) fn read_words<B: Block>(r: &mut Reader, node: &Node<'_>, object: &mut B) {
    let table = B::table();
    // One bit for each word of the table that has been met.
    let mut met = [0u64; 4];
    for child in node.children() {
        let key = child.key();
        let alias = |keyword: &Keyword<B>| keyword.aliases.contains(&key) || keyword.old.contains(&key);
        let found = table.iter().position(|keyword| keyword.word == key);
        let found = found.or_else(|| table.iter().position(alias));
        let Some((at, keyword)) = found.and_then(|at| Some((at, table.get(at)?))) else {
            r.unknown(&child, B::WHAT, table.iter().map(|keyword| keyword.word));
            continue;
        };
        if keyword.old.contains(&key) {
            r.deprecated(&child, keyword.word);
        }
        let (slot, bit) = (at / 64, 1u64 << (at % 64));
        if let Some(bits) = met.get_mut(slot) {
            if *bits & bit != 0 && !keyword.many {
                r.repeated(&child);
            }
            *bits |= bit;
        }
        r.used = 0;
        r.elements.clear();
        (keyword.read)(r, &child, object);
        for place in r.elements.drain(..) {
            object.origin_mut().note_element(keyword.word, place);
        }
        r.surplus(&child);
        if let Some((file, line, column)) = child.spot(1) {
            object.origin_mut().note(keyword.word, file, line, column);
        }
    }
}

/// Writes the words of an object, each on a line (or several).
pub(in crate::config) fn write_words<B: Block>(object: &B, w: &mut Writer) {
    for keyword in B::table() {
        if (keyword.is_set)(object) {
            (keyword.write)(object, w);
        }
    }
}

/// Sets about a third of an object's words to random values.
#[cfg(test)]
pub(in crate::config) fn sample_words<B: Block>(s: &mut Sampler, object: &mut B) {
    for keyword in B::table() {
        if s.below(3) == 0 {
            (keyword.sample)(s, object);
        }
    }
}

/// How a word that sets several fields of an object is read and written.
pub(in crate::config) trait WholeForm<T> {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut T);
    fn write(&self, word: &str, object: &T, w: &mut Writer);
    fn is_set(&self, object: &T) -> bool;
    /// Argument form, for people.
    fn says(&self) -> String;
    fn inspect(&self, _: &mut T, _: &mut Inspection) {}
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut T);
}

/// Writes a table down: `"word" | "alias" ~ "old" => { field: FORM };`, with `later` or `never` in front where nothing
/// acts on the word; `{ * FORM }` for a form that sets several fields.
macro_rules! keywords {
    ($type:ty: $( $($mark:ident)? $word:literal $(| $alias:literal)* $(~ $old:literal)* => $body:tt ; )*) => {
        &[ $( $crate::config::keepalived::keyword::keyword!($type, [$($mark)?], $word, [$($alias),*], [$($old),*], $body) ),* ]
    };
}

/// One entry of [`keywords!`].
macro_rules! keyword {
    ($type:ty, [$($mark:ident)?], $word:literal, $aliases:expr, $old:expr, { * $form:expr }) => {
        $crate::config::keepalived::keyword::Keyword::<$type> {
            word: $word,
            aliases: &$aliases,
            old: &$old,
            acted: $crate::config::keepalived::keyword::acted!($($mark)?),
            field: "",
            many: false,
            limits: || None,
            says: || $crate::config::keepalived::keyword::WholeForm::<$type>::says(&$form),
            read: |r, n, t| $crate::config::keepalived::keyword::WholeForm::read(&$form, r, n, t),
            write: |t, w| $crate::config::keepalived::keyword::WholeForm::write(&$form, $word, t, w),
            is_set: |t| $crate::config::keepalived::keyword::WholeForm::is_set(&$form, t),
            inspect: |t, i| $crate::config::keepalived::keyword::WholeForm::inspect(&$form, t, i),
            locate: |_, _, _| {},
            #[cfg(test)]
            sample: |s, t| $crate::config::keepalived::keyword::WholeForm::sample(&$form, s, t),
        }
    };
    ($type:ty, [$($mark:ident)?], $word:literal, $aliases:expr, $old:expr, { $first:ident $(. $more:ident)* : $form:expr }) => {
        $crate::config::keepalived::keyword::Keyword::<$type> {
            word: $word,
            aliases: &$aliases,
            old: &$old,
            acted: $crate::config::keepalived::keyword::acted!($($mark)?),
            field: concat!(stringify!($first) $(, ".", stringify!($more))*),
            many: $crate::config::keepalived::keyword::many(&$form),
            limits: || $crate::config::keepalived::keyword::Form::limits(&$form),
            says: || $crate::config::keepalived::keyword::Form::says(&$form),
            read: |r, n, t| $crate::config::keepalived::keyword::Form::read(&$form, r, n, &mut t.$first $(.$more)*),
            write: |t, w| $crate::config::keepalived::keyword::Form::write(&$form, $word, &t.$first $(.$more)*, w),
            is_set: |t| !$crate::config::model::is_default(&t.$first $(.$more)*),
            inspect: |t, i| $crate::config::keepalived::keyword::Form::inspect(&$form, &mut t.$first $(.$more)*, i),
            locate: |t, m, f| $crate::config::keepalived::keyword::Form::locate(&$form, &mut t.$first $(.$more)*, m, f),
            #[cfg(test)]
            sample: |s, t| $crate::config::keepalived::keyword::Form::sample(&$form, s, &mut t.$first $(.$more)*),
        }
    };
}

/// Whether a form may stand several times.
pub(in crate::config) const fn many<F: Form>(_: &F) -> bool {
    F::MANY
}

macro_rules! acted {
    () => {
        $crate::config::keepalived::keyword::Acted::Yes
    };
    (later) => {
        $crate::config::keepalived::keyword::Acted::NotYet
    };
    (never) => {
        $crate::config::keepalived::keyword::Acted::Never
    };
}

/// The parts of [`Block`] that are the same for every object.
macro_rules! origin {
    () => {
        fn origin(&self) -> &$crate::config::model::Origin {
            &self.origin
        }
        fn origin_mut(&mut self) -> &mut $crate::config::model::Origin {
            &mut self.origin
        }
    };
}

pub(in crate::config) use {acted, keyword, keywords, origin};
