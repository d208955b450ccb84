//! Objects that several configurations hold together: what a reload finds unchanged is there once, however many
//! configurations (the one in force, the file's, the next) have it.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Config, Origin, Pool, VirtualServer};
use crate::config::diagnostic::Place;

/// An object that may be part of several configurations. Who changes it changes it for one of them alone (it is copied
/// then, if others have it too); in YAML and in comparisons it is the object itself.
#[derive(Clone, Default)]
pub struct Shared<T> {
    object: Arc<T>,
    /// Where this configuration has it; the same text may stand elsewhere in another one.
    place: Option<Place>,
    /// While a file is read: what is known of its text.
    pub(in crate::config) text: TextOf,
}

/// What is known of the text of an object while its file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::config) enum TextOf {
    /// Nothing.
    #[default]
    Unknown,
    /// It is the block of that number among those that were read.
    Fresh(u32),
    /// The same, and it was judged at an earlier reading: nothing was found.
    Settled(u32),
}

impl<T> Shared<T> {
    /// One that was judged at an earlier reading, and stands here now.
    pub(in crate::config) fn settled(object: Arc<T>, place: Place, number: u32) -> Self {
        Self { object, place: Some(place), text: TextOf::Settled(number) }
    }

    /// True for what needs no second look: see [`TextOf::Settled`].
    pub(in crate::config) fn is_settled(&self) -> bool {
        matches!(self.text, TextOf::Settled(_))
    }

    /// True when both are one and the same object, not just equal.
    pub fn same(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.object, &b.object)
    }

    /// The object for whoever else is to have it.
    pub const fn object(&self) -> &Arc<T> {
        &self.object
    }
}

impl Config {
    /// All but the virtual servers: what these are judged and planned by.
    pub fn others(&self) -> Self {
        Self { virtual_server: Vec::new(), ..self.clone() }
    }
}

impl Shared<VirtualServer> {
    /// Where it stands in the file.
    pub fn place(&self) -> Option<Place> {
        self.place.clone().or_else(|| self.object.origin.place())
    }

    /// The same as an origin, for findings.
    pub(in crate::config) fn origin(&self) -> Origin {
        match &self.place {
            Some(place) => Origin::at(place.clone()),
            None => self.object.origin.clone(),
        }
    }

    /// Makes it small, to be kept: where it begins is known still, but not where all that is in it stands (once the
    /// findings are told nobody asks for that), and real servers that say the same say it together.
    pub(in crate::config) fn settle(&mut self, pool: &mut Pool) {
        self.text = TextOf::Unknown;
        if !self.is_small() {
            self.place = self.place();
            let object = Arc::make_mut(&mut self.object);
            object.forget_places();
            object.real_server.iter_mut().for_each(|real| pool.share(real));
            object.real_server.shrink_to_fit();
        }
    }

    /// It was settled before.
    fn is_small(&self) -> bool {
        !self.object.origin.is_known() && self.place.is_some()
    }
}

impl<T> From<T> for Shared<T> {
    fn from(object: T) -> Self {
        Self { object: Arc::new(object), place: None, text: TextOf::Unknown }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.object)
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Self::same(self, other) || self.object == other.object
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)?;
        self.place.as_ref().map_or(Ok(()), |place| write!(f, " at {place}"))
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

impl<T: JsonSchema> JsonSchema for Shared<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
