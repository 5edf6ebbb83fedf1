//! Reads the members of one JSON object, in order, and refuses ambiguous keys.
//!
//! Does not look into the values, except along a path of keys that the caller gives.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fold::folds_to_plain;
use crate::skim::{Skimmed, skim};
use crate::text::{JsonText, Member};

/// Objects with at most this many keys are searched for duplicates pair by pair, larger ones sorted.
const PAIRWISE_MAX: usize = 16;

/// The reason why an object is refused.
#[derive(Debug)]
pub(crate) enum Unclear {
    /// Not an object, or not JSON.
    NotAnObject,
    /// A duplicate key.
    Duplicate(String),
    /// A key that a server could take for a governed one (see [`crate::folds_to`]).
    Lookalike(String),
    /// A key that contains U+0000, where a parser in C ends it, perhaps to a governed one.
    Nul(String),
}

/// The members of the object in `text`. An object with a duplicate key, or a key that contains U+0000, is
/// an error.
pub(crate) fn members(text: &str) -> Result<Vec<Member<'_>>, Unclear> {
    let object = Object::read(text, &[])?;
    object.top().check(&[])?;
    Ok(object
        .members
        .into_iter()
        .map(|(_, member)| member)
        .collect())
}

/// Members for which a list has room from the start: messages have fewer, so that each is read with a
/// single allocation.
const USUAL_MEMBERS: usize = 16;

/// An object's members, and those of the objects along a path in it.
pub(crate) struct Object<'a> {
    /// Each with its level: 0 for those of the object itself. The value of a member on the path is
    /// replaced by `null`; its own members are one level below.
    members: Vec<(usize, Member<'a>)>,
    /// The lowest level that was read.
    lowest: usize,
}

/// The members of one object in an [`Object`].
#[derive(Clone, Copy)]
pub(crate) struct Level<'o, 'a> {
    object: &'o Object<'a>,
    number: usize,
}

impl<'a> Object<'a> {
    /// Reads the object in `text` and, in the same pass, the objects in it along `path`. A member on
    /// the path may be absent, but must not be anything other than an object.
    pub(crate) fn read(text: &'a str, path: &[&str]) -> Result<Object<'a>, Unclear> {
        match Object::skim(text, path) {
            Some((object, _)) => Ok(object),
            None => Object::parse(text, path),
        }
    }

    /// The same, and the depth of the text, if it is in the form that most clients send.
    pub(crate) fn skim(text: &'a str, path: &[&str]) -> Option<(Object<'a>, usize)> {
        let Skimmed { members, depth } = skim(text, path, USUAL_MEMBERS)?;
        let lowest = path.len();
        Some((Object { members, lowest }, depth))
    }

    /// The same as [`Object::read`], for a text that cannot be skimmed.
    pub(crate) fn parse(text: &'a str, path: &[&str]) -> Result<Object<'a>, Unclear> {
        let lowest = path.len();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let mut members = Vec::with_capacity(USUAL_MEMBERS);
        Along {
            path,
            level: 0,
            members: &mut members,
        }
        .deserialize(&mut deserializer)
        .map_err(|_| Unclear::NotAnObject)?;
        // The deserializer stops after the object, so text behind it would pass unseen.
        deserializer.end().map_err(|_| Unclear::NotAnObject)?;
        Ok(Object { members, lowest })
    }

    /// The object's own members.
    pub(crate) fn top(&self) -> Level<'_, 'a> {
        let (object, number) = (self, 0);
        Level { object, number }
    }
}

impl<'o, 'a> Level<'o, 'a> {
    /// The members in their order.
    pub(crate) fn members(self) -> impl Iterator<Item = (&'o Cow<'a, str>, JsonText<'a>)> + Clone {
        let all = self.object.members.iter();
        all.filter(move |(level, _)| *level == self.number)
            .map(|(_, (key, value))| (key, *value))
    }

    /// The object that the path names in this one; `None` if the path does not go on. Only for a member
    /// that is there, and once, which [`Level::check`] shows.
    pub(crate) fn inner(self) -> Option<Level<'o, 'a>> {
        let number = self.number + 1;
        (number <= self.object.lowest).then_some(Level { number, ..self })
    }

    /// Refuses keys that parsers could read differently. Does not check inner objects. The keys in
    /// `governed` are printable ASCII without spaces, as MCP's are.
    pub(crate) fn check(self, governed: &[&str]) -> Result<(), Unclear> {
        // A bit for each governed key that was found: nearly all keys are such.
        let (mut found, mut others) = (0_u32, 0);
        for (key, _) in self.members() {
            if let Some(at) = governed.iter().position(|known| key == known) {
                if found & 1 << at != 0 {
                    return Err(Unclear::Duplicate(key.to_string()));
                }
                found |= 1 << at;
                continue;
            }
            others += 1;
            // JSON can only write U+0000 as an escape, and a key with escapes is not borrowed.
            if matches!(key, Cow::Owned(key) if has_nul(key)) {
                return Err(Unclear::Nul(key.to_string()));
            }
            if folds_to_plain(key, governed) {
                return Err(Unclear::Lookalike(key.to_string()));
            }
        }
        let keys = || self.members().map(|(key, _)| key.as_ref());
        match (others > 1).then(|| duplicate(keys())).flatten() {
            Some(key) => Err(Unclear::Duplicate(key.to_owned())),
            None => Ok(()),
        }
    }
}

/// A duplicate key, if there is one.
pub fn duplicate<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let mut few = [""; PAIRWISE_MAX];
    let mut count = 0;
    for key in keys.clone().take(PAIRWISE_MAX + 1) {
        if let Some(place) = few.get_mut(count) {
            *place = key;
        }
        count += 1;
    }
    if count <= PAIRWISE_MAX {
        let twice = |at: &usize| few[..*at].contains(&few[*at]);
        return (1..count).find(twice).map(|at| few[at]);
    }
    let mut sorted: Vec<&str> = keys.collect();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}

/// Whether `text` contains U+0000, where a parser in C ends a string.
#[must_use]
pub fn has_nul(text: &str) -> bool {
    memchr::memchr(0, text.as_bytes()).is_some()
}

/// Reads an object, and the objects in it along the path, into one list.
struct Along<'p, 'm, 'de> {
    path: &'p [&'p str],
    level: usize,
    members: &'m mut Vec<(usize, Member<'de>)>,
}

impl<'de> DeserializeSeed<'de> for Along<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Along<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let value = match self.path {
                [inner, path @ ..] if key == *inner => {
                    let (level, members) = (self.level + 1, &mut *self.members);
                    map.next_value_seed(Along {
                        path,
                        level,
                        members,
                    })?;
                    JsonText::NULL
                }
                _ => map.next_value::<&RawValue>()?.into(),
            };
            self.members.push((self.level, (key, value)));
        }
        Ok(())
    }
}

/// The values of the members `names` of an object, of equal keys the last; `None` for anything but an object.
///
/// Keeps nothing of all other members: a tree of them takes 25 times the memory of their text.
pub(crate) fn pick<'a, const N: usize>(
    object: JsonText<'a>,
    names: [&str; N],
) -> Option<[Option<JsonText<'a>>; N]> {
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    Pick(names).deserialize(&mut deserializer).ok()
}

struct Pick<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Pick<'_, N> {
    type Value = [Option<JsonText<'de>>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Pick<'_, N> {
    type Value = [Option<JsonText<'de>>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: [Option<JsonText<'de>>; N] = [None; N];
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if let Some(index) = self.0.iter().position(|name| key == *name) {
                found[index] = Some(map.next_value::<&'de RawValue>()?.into());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A key that borrows if it has no escapes; serde's own `Cow` always copies.
#[derive(serde::Deserialize)]
pub struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The text of a JSON string, borrowed if it has no escapes; `None` for other values and for strings
/// that are not valid Unicode.
pub(crate) fn string(json: JsonText<'_>) -> Option<Cow<'_, str>> {
    // Only escapes need to be decoded: all else was checked when the value was read.
    let text = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str::<Key<'_>>(json.get())
        .ok()
        .map(|Key(text)| text)
}
