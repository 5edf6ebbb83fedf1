//! Reads arguments in one pass: those that policies read become Cedar values, the others are only
//! scanned.
//!
//! Builds no JSON tree in between, so that a large argument costs no more than its scan. Scanned
//! arguments must have unique keys too: an object that can be read in two ways is refused wherever it
//! is.

use std::borrow::Cow;
use std::fmt;

use cedar_policy::RestrictedExpression;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thoughtgate_mcp::{JsonText, Key, duplicate, folds_to_one_of, has_nul, unique_keys};

use crate::fault::{ArgumentError, Problem};
use crate::number::{Inexact, scaled};
use crate::paths::ambiguity;
use crate::types::{Extent, Fields, Text, Type, name_of};

/// Limit on array elements and object members that policies read in one call. Cedar keeps each in some
/// hundred bytes and sorts them: this many take about 3 MB and a few milliseconds.
const ELEMENTS_MAX: usize = 10_000;
/// Limit on the bytes of a string that is matched with `like`. Each `like` makes a copy of four times
/// the string's size, and takes time up to the product of the lengths of string and pattern.
const MATCHED_BYTES_MAX: usize = 128 * 1024;

/// The Cedar record of the arguments in `json` that `fields` name.
pub fn read(json: JsonText<'_>, fields: &Fields) -> Result<RestrictedExpression, ArgumentError> {
    let mut refused = None;
    let mut elements = 0;
    // Text after the object needs no check: there is exactly one value.
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    let members = Members {
        fields,
        at: At {
            place: Place::Arguments,
            elements: &mut elements,
            refused: &mut refused,
        },
    };
    deserializer.deserialize_map(members).map_err(|_| {
        // The parser's error is dropped: it may quote a value.
        refused.unwrap_or_else(|| {
            let problem = if json.get().starts_with('{') {
                Problem::Unreadable
            } else {
                Problem::NotAnObject
            };
            Place::Arguments.error(problem)
        })
    })
}

/// The place of a value in the arguments, by the names that policies use.
#[derive(Clone, Copy)]
enum Place<'p> {
    Arguments,
    Member(&'p Place<'p>, &'p str),
    /// An element of an array, whatever its number.
    Element(&'p Place<'p>),
}

impl Place<'_> {
    fn error(self, problem: Problem) -> ArgumentError {
        let mut names = Vec::new();
        let mut place = &self;
        loop {
            match place {
                Place::Arguments => break,
                Place::Element(parent) => place = parent,
                Place::Member(parent, name) => {
                    names.push(*name);
                    place = parent;
                }
            }
        }
        names.reverse();
        ArgumentError {
            path: names.join("."),
            of_element: matches!(self, Place::Element(_)),
            problem,
        }
    }
}

/// The place of a value, and the state of reading that all values share.
struct At<'r> {
    place: Place<'r>,
    /// Elements and members read so far.
    elements: &'r mut usize,
    /// Kept here because the parser would add its position to its own error.
    refused: &'r mut Option<ArgumentError>,
}

impl At<'_> {
    /// Records a problem, unless there is one already: the first is reported.
    fn refuse<E: Error>(&mut self, problem: Problem) -> E {
        let place = self.place;
        self.refused.get_or_insert_with(|| place.error(problem));
        // Never shown: `read` reports what is in `refused`.
        E::custom("")
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        *self.elements += 1;
        if *self.elements > ELEMENTS_MAX {
            return Err(self.refuse(Problem::TooManyElements { max: ELEMENTS_MAX }));
        }
        Ok(())
    }

    /// Scans a value that no policy reads: its objects must not have duplicate keys.
    fn look_over<E: Error>(&mut self, raw: &RawValue) -> Result<(), E> {
        // Without an object there are no keys, and most arguments are not parsed a second time.
        if raw.get().contains('{') && unique_keys(raw).is_err() {
            return Err(self.refuse(Problem::DuplicateKeyInside));
        }
        Ok(())
    }
}

/// Reads the members of an object.
struct Members<'r> {
    fields: &'r Fields,
    at: At<'r>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = RestrictedExpression;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Members { fields, mut at } = self;
        let place = at.place;
        // Compared at the end of the object: they are borrowed, where a set would copy each key.
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        let mut pairs = Vec::with_capacity(fields.len());
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            at.count()?;
            if let Some((name, wanted)) = fields.get_key_value(key.as_ref()) {
                let mut at = At {
                    place: Place::Member(&place, name),
                    elements: at.elements,
                    refused: at.refused,
                };
                let seed = Reader {
                    wanted,
                    at: &mut at,
                };
                match map.next_value_seed(seed) {
                    Ok(Some(value)) => pairs.push((name.clone(), value)),
                    Ok(None) => {}
                    Err(_) => return Err(at.refuse(Problem::Invalid)),
                }
            } else {
                if let Some(problem) = unclear(&key, fields) {
                    return Err(at.refuse(problem));
                }
                at.look_over(map.next_value()?)?;
            }
            keys.push(key);
        }
        if let Some(twice) = duplicate(keys.iter().map(AsRef::as_ref)) {
            let read = fields.get_key_value(twice).map(|(name, _)| name.clone());
            return Err(at.refuse(Problem::DuplicateKey(read)));
        }
        RestrictedExpression::new_record(pairs).map_err(|_| at.refuse(Problem::Unrepresentable))
    }
}

/// The problem with a key that no policy reads, if a server could take it for one that policies read.
fn unclear(key: &str, fields: &Fields) -> Option<Problem> {
    if has_nul(key) {
        return Some(Problem::KeyWithNul);
    }
    // A server that ignores case would take it for the one that policies read.
    let name = folds_to_one_of(key, fields.keys().map(String::as_str))?;
    Some(Problem::Lookalike(name.to_owned()))
}

/// The first `length` characters of `text`.
fn start(text: &str, length: usize) -> &str {
    match text.char_indices().nth(length) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Reads one value as the type that policies use. `null` is no value: clients with strict schemas send
/// it for each optional argument that they leave out.
struct Reader<'r, 'a> {
    wanted: &'r Type,
    at: &'r mut At<'a>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_, '_> {
    type Value = Option<RestrictedExpression>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.wanted {
            // Policies only ask for its presence, so any Cedar value will do.
            Type::Any => {
                let raw = <&RawValue>::deserialize(deserializer)?;
                self.at.look_over(raw)?;
                let some = || RestrictedExpression::new_string(String::new());
                Ok((!is_null(raw)).then(some))
            }
            // Policies only ask whether it is empty, so one element stands for all.
            Type::Set(element) if **element == Type::Any => {
                let raw = <&RawValue>::deserialize(deserializer)?;
                self.at.look_over(raw)?;
                if is_null(raw) {
                    return Ok(None);
                }
                let Some(rest) = raw.get().strip_prefix('[') else {
                    return self.mismatch("not an array");
                };
                let some = !rest.trim_start().starts_with(']');
                let element = || RestrictedExpression::new_string(String::new());
                Ok(Some(RestrictedExpression::new_set(some.then(element))))
            }
            Type::Long => self.number(<&RawValue>::deserialize(deserializer)?),
            Type::Extension(extension) => {
                let raw = <&RawValue>::deserialize(deserializer)?;
                extension
                    .read(raw)
                    .map_err(|problem| self.at.refuse(problem))
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl Reader<'_, '_> {
    fn mismatch<T, E: Error>(self, found: &'static str) -> Result<T, E> {
        let wanted = name_of(self.wanted);
        Err(self.at.refuse(Problem::Type { found, wanted }))
    }

    /// Reads a number from its text, since a float would round it.
    fn number<E: Error>(self, raw: &RawValue) -> Result<Option<RestrictedExpression>, E> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => {}
            Some(b'n') => return Ok(None),
            _ => return self.mismatch(kind(text)),
        }
        match scaled(text, 0) {
            Ok(value) => Ok(Some(RestrictedExpression::new_long(value))),
            Err(Inexact::Fraction) => self.mismatch("a number with a fraction"),
            Err(Inexact::OutOfRange) => Err(self.at.refuse(Problem::OutOfRange)),
        }
    }

    /// Checks a string against the limits that follow from its use in policies.
    fn text<E: Error>(self, text: &str) -> Result<Option<RestrictedExpression>, E> {
        let Type::Text(Text {
            extent,
            matched,
            path,
        }) = *self.wanted
        else {
            return self.mismatch("a string");
        };
        // A server in C would see a shorter string than the policies compare.
        if has_nul(text) {
            return Err(self.at.refuse(Problem::Nul));
        }
        if path && let Some(found) = ambiguity(text) {
            return Err(self.at.refuse(Problem::Path(found)));
        }
        // Cedar copies each string that it evaluates, so it gets no more than can affect the result.
        let seen = match extent {
            Extent::Start(length) => start(text, length),
            Extent::Whole => text,
        };
        if matched && seen.len() > MATCHED_BYTES_MAX {
            return Err(self.at.refuse(Problem::TooLong {
                bytes: seen.len(),
                bytes_max: MATCHED_BYTES_MAX,
            }));
        }
        Ok(Some(RestrictedExpression::new_string(seen.to_owned())))
    }
}

impl<'de> Visitor<'de> for Reader<'_, '_> {
    type Value = Option<RestrictedExpression>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        match self.wanted {
            Type::Bool => Ok(Some(RestrictedExpression::new_bool(value))),
            _ => self.mismatch("a boolean"),
        }
    }

    // `number` has read the wanted numbers from their text; only unwanted ones arrive here.
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.mismatch("a number")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.mismatch("a number")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.mismatch("a number")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.text(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Type::Set(element) = self.wanted else {
            return self.mismatch("an array");
        };
        let place = self.at.place;
        let mut items = Vec::new();
        loop {
            let mut at = At {
                place: Place::Element(&place),
                elements: &mut *self.at.elements,
                refused: &mut *self.at.refused,
            };
            let reader = Reader {
                wanted: element,
                at: &mut at,
            };
            let Some(item) = seq.next_element_seed(reader)? else {
                return Ok(Some(RestrictedExpression::new_set(items)));
            };
            // In a list `null` is a value and not an absent argument, and Cedar has no such value.
            let Some(item) = item else {
                let wanted = name_of(element);
                return Err(self.at.refuse(Problem::NullElement { wanted }));
            };
            self.at.count()?;
            items.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let Type::Record(fields) = self.wanted else {
            return self.mismatch("an object");
        };
        let at = At {
            place: self.at.place,
            elements: &mut *self.at.elements,
            refused: &mut *self.at.refused,
        };
        Members { fields, at }.visit_map(map).map(Some)
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The type of a JSON value that is not a number, with its article.
fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        _ => "a boolean",
    }
}
