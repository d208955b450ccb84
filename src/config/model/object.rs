//! What all objects of a configuration share: where they were written, and how their fields are left out of YAML.

use std::fmt;
use std::sync::Arc;

use crate::config::diagnostic::Place;

/// Where an object and its words were written. It is never part of a comparison, and never written anywhere: two
/// objects that say the same are equal wherever they stand.
#[derive(Clone, Default)]
pub struct Origin(Option<Arc<Written>>);

#[derive(Clone)]
struct Written {
    object: Place,
    /// In the order of the file; a word that is repeated stands several times.
    words: Vec<(&'static str, Place)>,
}

impl Origin {
    /// An object that begins there.
    pub fn at(object: Place) -> Self {
        Self(Some(Arc::new(Written { object, words: Vec::new() })))
    }

    /// Where the object begins, where that is known.
    pub fn place(&self) -> Option<&Place> {
        self.0.as_ref().map(|written| &written.object)
    }

    /// Where the value of one of its words stands (the last one of that word); else where the object begins.
    pub fn word(&self, word: &str) -> Option<&Place> {
        let written = self.0.as_ref()?;
        let found = written.words.iter().rev().find(|(name, _)| *name == word);
        Some(found.map_or(&written.object, |(_, place)| place))
    }

    /// True when that word was written, whatever became of it.
    pub fn has(&self, word: &str) -> bool {
        self.0.as_ref().is_some_and(|written| written.words.iter().any(|(name, _)| *name == word))
    }

    /// Notes where a word stands.
    pub fn note(&mut self, word: &'static str, place: Place) {
        if let Some(written) = &mut self.0 {
            Arc::make_mut(written).words.push((word, place));
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
