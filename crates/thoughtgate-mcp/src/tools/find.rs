//! Finds single members of an object, as any parser may find them, and the elements of an array.
//!
//! Collects nothing, so that objects and arrays of any size take no memory.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Unreadable;
use crate::fold::folds_to;
use crate::members::Key;

/// The member with a certain name, as different parsers may find it.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Absent,
    /// The only key that a parser could take for the name, and it is exactly the name.
    Sole(&'a RawValue),
    /// Parsers differ in whether they find a member, or which.
    Ambiguous,
}

impl<'a> Found<'a> {
    pub(super) fn sole(self) -> Result<Option<&'a RawValue>, Unreadable> {
        match self {
            Found::Absent => Ok(None),
            Found::Sole(value) => Ok(Some(value)),
            Found::Ambiguous => Err(Unreadable::Ambiguous),
        }
    }
}

/// Looks for each of `names` in an object.
pub(super) fn find<'a, const N: usize>(
    object: &'a RawValue,
    names: [&str; N],
) -> Result<[Found<'a>; N], Unreadable> {
    serde_json::Deserializer::from_str(object.get())
        .deserialize_map(Find(names))
        .map_err(|_| Unreadable::NotJson)
}

/// Calls `each` with the elements of an array, up to the first error.
pub(super) fn for_each<'a>(
    array: &'a RawValue,
    each: impl FnMut(&'a RawValue) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    serde_json::Deserializer::from_str(array.get())
        .deserialize_seq(Each(each))
        .map_err(|_| Unreadable::NotJson)?
}

struct Find<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Find<'_, N> {
    type Value = [Found<'de>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = [Found::Absent; N];
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let value = map.next_value()?;
            for (name, found) in self.0.iter().zip(&mut all) {
                if is_taken_for(&key, name) {
                    *found = match found {
                        Found::Absent if key == *name => Found::Sole(value),
                        _ => Found::Ambiguous,
                    };
                }
            }
        }
        Ok(all)
    }
}

/// Whether a parser that ignores case, or for which a string ends at U+0000, takes `key` for `name`.
fn is_taken_for(key: &str, name: &str) -> bool {
    let key = key.split('\0').next().unwrap_or(key);
    folds_to(key, name)
}

struct Each<F>(F);

impl<'de, F: FnMut(&'de RawValue) -> Result<(), Unreadable>> Visitor<'de> for Each<F> {
    type Value = Result<(), Unreadable>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut result = Ok(());
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            // Reads on after an error: serde requires that an array is read to its end.
            result = result.and_then(|()| (self.0)(item));
        }
        Ok(result)
    }
}
