//! The members of one JSON object, in order, with keys that no two readers can read differently.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fold::folds_to_one_of;

/// A key and its value as raw text.
pub type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// Objects up to this size are searched for duplicates pair by pair, larger ones sorted.
const PAIRWISE_MAX: usize = 16;

/// Why an object's members cannot be taken.
#[derive(Debug)]
pub enum Unclear {
    /// Not an object, or not JSON.
    NotAnObject,
    /// A key stands twice.
    Duplicate(String),
    /// A key reads as a governed one (see [`crate::folds_to`]), so that some servers accept it as that.
    Lookalike(String),
    /// A key contains U+0000, where a reader in C ends it and may find a governed one.
    Nul(String),
}

/// The members of the object in `text`. No key occurs twice or contains U+0000, and none that is not
/// governed reads as a governed one.
pub fn members<'a, 'g>(
    text: &'a str,
    governed: impl IntoIterator<Item = &'g str, IntoIter: Clone>,
) -> Result<Vec<Member<'a>>, Unclear> {
    let object = Object::read(text, &[])?;
    object.check(governed)?;
    Ok(object.members)
}

/// An object taken apart, together with those within it that are taken apart too.
#[derive(Default)]
pub(crate) struct Object<'a> {
    /// All members; the value of one that is in `inner` is not here.
    pub(crate) members: Vec<Member<'a>>,
    /// The member that the path names, if it is there.
    pub(crate) inner: Option<Box<Object<'a>>>,
}

impl<'a> Object<'a> {
    /// Reads the object in `text` and, in the same pass, the member in it that `path` names, the one
    /// in that, and so on. Each of them must be an object where it is there.
    pub(crate) fn read(text: &'a str, path: &[&str]) -> Result<Object<'a>, Unclear> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = Along(path)
            .deserialize(&mut deserializer)
            .map_err(|_| Unclear::NotAnObject)?;
        deserializer.end().map_err(|_| Unclear::NotAnObject)?;
        Ok(object)
    }

    /// Whether two readers could read the keys differently. Does not look into `inner`.
    pub(crate) fn check<'g>(
        &self,
        governed: impl IntoIterator<Item = &'g str, IntoIter: Clone>,
    ) -> Result<(), Unclear> {
        let keys = || self.members.iter().map(|(key, _)| key.as_ref());
        if let Some(key) = duplicate(keys()) {
            return Err(Unclear::Duplicate(key.to_owned()));
        }
        // Only an escape can write U+0000, and a key that has one is not borrowed.
        let mut escaped = self.members.iter().filter_map(|(key, _)| match key {
            Cow::Owned(key) => Some(key),
            Cow::Borrowed(_) => None,
        });
        if let Some(key) = escaped.find(|key| has_nul(key)) {
            return Err(Unclear::Nul(key.clone()));
        }
        let governed = governed.into_iter();
        let mut others = keys().filter(|key| !governed.clone().any(|name| name == *key));
        match others.find(|key| folds_to_one_of(key, governed.clone()).is_some()) {
            Some(key) => Err(Unclear::Lookalike(key.to_owned())),
            None => Ok(()),
        }
    }
}

/// A key that is there twice.
pub fn duplicate<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let count = keys.clone().count();
    if count <= PAIRWISE_MAX {
        return keys.clone().enumerate().find_map(|(at, key)| {
            keys.clone()
                .take(at)
                .any(|earlier| earlier == key)
                .then_some(key)
        });
    }
    let mut sorted: Vec<&str> = keys.collect();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}

/// Whether a reader in C, for which U+0000 ends a string, would read less of `text`.
#[must_use]
pub fn has_nul(text: &str) -> bool {
    memchr::memchr(0, text.as_bytes()).is_some()
}

/// Reads an object, and along the path the objects in it.
struct Along<'p>(&'p [&'p str]);

impl<'de> DeserializeSeed<'de> for Along<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Along<'_> {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Object::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let value = match self.0 {
                [inner, path @ ..] if key == *inner => {
                    object.inner = Some(Box::new(map.next_value_seed(Along(path))?));
                    RawValue::NULL
                }
                _ => map.next_value()?,
            };
            object.members.push((key, value));
        }
        Ok(object)
    }
}

/// A key that borrows where it can; serde's own `Cow` always copies.
#[derive(serde::Deserialize)]
pub struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Text that borrows where it has no escapes.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Key<'_>>(raw.get())
        .ok()
        .map(|Key(text)| text)
}
