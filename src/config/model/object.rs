//! What all objects of a configuration share: where they were written, and how their fields are left out of YAML.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::Place;

/// Where an object and its words were written. It is never part of a comparison, and never written anywhere: two
/// objects that say the same are equal wherever they stand.
#[derive(Clone, Default)]
pub struct Origin(Option<Arc<Written>>);

#[derive(Clone)]
struct Written {
    object: Place,
    /// In the order of the file, each word once: where it stands last. A file of its own only where it is another one
    /// than the object's (an include within a block).
    words: Vec<Spot>,
    /// Elements of blocks that have one a line, in their order.
    elements: Vec<Spot>,
}

/// A word, and the line and column of its value.
type Spot = (&'static str, u32, u32, Option<Arc<PathBuf>>);

impl Origin {
    /// An object that begins there.
    pub fn at(object: Place) -> Self {
        Self(Some(Arc::new(Written { object, words: Vec::new(), elements: Vec::new() })))
    }

    /// Where the object begins, where that is known.
    pub fn place(&self) -> Option<Place> {
        self.0.as_ref().map(|written| written.object.clone())
    }

    /// True when it is known where the object begins.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Where the value of one of its words stands (the last one of that word); else where the object begins.
    pub fn word(&self, word: &str) -> Option<Place> {
        let written = self.0.as_ref()?;
        let found = written.words.iter().find(|(name, ..)| *name == word);
        Some(match found {
            Some((_, line, column, file)) => {
                let file = file.as_ref().unwrap_or(&written.object.file);
                Place { file: Arc::clone(file), line: *line, column: *column }
            }
            None => written.object.clone(),
        })
    }

    /// Where the n-th element of a block stands; else where the block begins.
    pub fn element(&self, word: &str, n: usize) -> Option<Place> {
        let written = self.0.as_ref()?;
        let Some((_, line, column, file)) = written.elements.iter().filter(|(name, ..)| *name == word).nth(n)
        else {
            return self.word(word);
        };
        let file = file.as_ref().unwrap_or(&written.object.file);
        Some(Place { file: Arc::clone(file), line: *line, column: *column })
    }

    /// Notes where an element stands.
    pub fn note_element(&mut self, word: &'static str, place: Place) {
        if let Some(written) = self.0.as_mut().and_then(Arc::get_mut) {
            written.elements.push((word, place.line, place.column, Some(place.file)));
        }
    }

    /// True when that word was written, whatever became of it.
    pub fn has(&self, word: &str) -> bool {
        self.0.as_ref().is_some_and(|written| written.words.iter().any(|(name, ..)| *name == word))
    }

    /// Notes where a word stands.
    pub fn note(&mut self, word: &'static str, file: &Arc<PathBuf>, line: u32, column: u32) {
        // Objects under construction are nobody else's.
        if let Some(written) = self.0.as_mut().and_then(Arc::get_mut) {
            let own = !Arc::ptr_eq(file, &written.object.file) && **file != *written.object.file;
            let spot = (word, line, column, own.then(|| Arc::clone(file)));
            if let Some(known) = written.words.iter_mut().find(|(name, ..)| *name == word) {
                *known = spot;
                return;
            }
            if written.words.len() == written.words.capacity() {
                // Of these there are as many as the file has lines.
                written.words.reserve_exact(2);
            }
            written.words.push(spot);
        }
    }
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            Some(place) => write!(f, "{place}"),
            None => f.write_str("-"),
        }
    }
}

/// An object of the configuration: fields before the `;` are what it cannot be without, the others may be absent.
/// Each gets the attributes that YAML and the JSON Schema need, and [`Origin`].
macro_rules! object {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$must_meta:meta])* $must:ident : $must_type:ty, )*
            ;
            $( $(#[$may_meta:meta])* $may:ident : $may_type:ty, )*
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name {
            $( $(#[$must_meta])* pub $must: $must_type, )*
            $(
                $(#[$may_meta])*
                #[serde(default, skip_serializing_if = "crate::config::model::is_default")]
                pub $may: $may_type,
            )*
            /// Where it was written.
            #[serde(skip)]
            pub origin: $crate::config::model::Origin,
        }

        impl $name {
            /// One that says nothing beyond what it cannot be without.
            #[allow(clippy::new_without_default, clippy::too_many_arguments, reason = "generated for all objects alike")]
            pub fn new($($must: $must_type),*) -> Self {
                Self { $($must,)* $($may: Default::default(),)* origin: Default::default() }
            }
        }
    };
}

pub(super) use object;
