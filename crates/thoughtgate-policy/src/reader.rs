//! Reads arguments in one pass: what policies read becomes Cedar's, the rest is only looked over.
//!
//! No tree of the arguments is made in between, so that a large one costs its scan. What is looked over
//! must have unique keys too: an object with two readings is refused wherever it is. Errors name
//! arguments by the policies' names and never quote what the agent sent: they are answered and audited.

use std::borrow::Cow;
use std::fmt;

use cedar_policy::RestrictedExpression;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thoughtgate_mcp::{Key, duplicate, folds_to_one_of, has_nul, unique_keys};

use crate::paths::ambiguity;
use crate::types::{Extent, Fields, Text, Type, name_of};

/// Elements of arrays and members of objects that policies read, in one call. Cedar keeps each in some
/// hundred bytes and sorts them: this many take about 3 MB and a few milliseconds.
const ELEMENTS_MAX: usize = 10_000;
/// Bytes of a text that is matched with `like`. Each `like` copies it to four times its size and takes
/// up to the product of its length and the pattern's.
const MATCHED_BYTES_MAX: usize = 128 * 1024;

/// The record of those arguments in `raw` that `fields` name.
pub fn read(raw: &RawValue, fields: &Fields) -> Result<RestrictedExpression, String> {
    let mut problem = None;
    let mut elements = 0;
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let members = Members {
        fields,
        at: At {
            place: Place::Arguments,
            elements: &mut elements,
            problem: &mut problem,
        },
    };
    deserializer.deserialize_map(members).map_err(|_| {
        // The parser's own words may quote a value.
        problem.unwrap_or_else(|| {
            let shape = if raw.get().starts_with('{') {
                "cannot be read"
            } else {
                "is not an object"
            };
            format!("{} {shape}", Place::Arguments)
        })
    })
}

/// Where a value is, in the policies' names.
#[derive(Clone, Copy)]
enum Place<'p> {
    Arguments,
    Member(&'p Place<'p>, &'p str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn path(place: &Place<'_>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match place {
                Place::Arguments => Ok(()),
                Place::Member(Place::Arguments, name) => formatter.write_str(name),
                Place::Member(parent, name) => {
                    path(parent, formatter)?;
                    write!(formatter, ".{name}")
                }
            }
        }
        if matches!(self, Place::Arguments) {
            return formatter.write_str("`arguments`");
        }
        formatter.write_str("argument `")?;
        path(self, formatter)?;
        formatter.write_str("`")
    }
}

/// The place of a value, and what is known of the arguments so far.
struct At<'r> {
    place: Place<'r>,
    elements: &'r mut usize,
    /// Kept here and not in the parser's error, which would add to it.
    problem: &'r mut Option<String>,
}

impl At<'_> {
    /// The first problem is the one that is told.
    fn refuse<E: Error>(&mut self, problem: impl fmt::Display) -> E {
        let place = self.place;
        self.problem
            .get_or_insert_with(|| format!("{place} {problem}"));
        E::custom("")
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        *self.elements += 1;
        if *self.elements > ELEMENTS_MAX {
            return Err(self.refuse(format_args!(
                "has too many elements for policies to read: more than {ELEMENTS_MAX} are in the \
                 arguments that they read, nested ones included"
            )));
        }
        Ok(())
    }

    /// Of a value that no policy reads, all objects must have one reading.
    fn look_over<E: Error>(&mut self, raw: &RawValue) -> Result<(), E> {
        if raw.get().contains('{') && unique_keys(raw).is_err() {
            return Err(self.refuse("has an object in it that has two members of one name"));
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
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        let mut pairs = Vec::with_capacity(fields.len());
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            at.count()?;
            if let Some((name, wanted)) = fields.get_key_value(key.as_ref()) {
                let mut at = At {
                    place: Place::Member(&place, name),
                    elements: at.elements,
                    problem: at.problem,
                };
                let seed = Reader {
                    wanted,
                    at: &mut at,
                };
                let Ok(value) = map.next_value_seed(seed) else {
                    return Err(at.refuse("has a number or an escape that cannot be read"));
                };
                pairs.push((name.clone(), value));
            } else {
                if let Some(problem) = unclear(&key, fields) {
                    return Err(at.refuse(problem));
                }
                at.look_over(map.next_value()?)?;
            }
            keys.push(key);
        }
        if let Some(twice) = duplicate(keys.iter().map(AsRef::as_ref)) {
            return Err(at.refuse(match fields.get_key_value(twice) {
                Some((name, _)) => format!("has the member `{name}` twice"),
                None => "has two members of one name".to_owned(),
            }));
        }
        RestrictedExpression::new_record(pairs).map_err(|_| at.refuse("cannot be given to Cedar"))
    }
}

/// What is wrong with the name of a member that no policy reads.
fn unclear(key: &str, fields: &Fields) -> Option<String> {
    if has_nul(key) {
        return Some(
            "has a member whose name contains U+0000, where some servers end it".to_owned(),
        );
    }
    // A server that ignores case would take it for the one that policies read.
    let name = folds_to_one_of(key, fields.keys().map(String::as_str))?;
    Some(format!(
        "has a member that differs from `{name}`, which policies read, only in case, width or \
         characters that are not shown"
    ))
}

/// The first characters of a text.
fn start(text: &str, length: usize) -> &str {
    match text.char_indices().nth(length) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Reads one value that policies read.
struct Reader<'r, 'a> {
    wanted: &'r Type,
    at: &'r mut At<'a>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_, '_> {
    type Value = RestrictedExpression;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.wanted {
            // Only its presence is asked for, so any value stands for it.
            Type::Any => {
                self.at.look_over(<&RawValue>::deserialize(deserializer)?)?;
                Ok(RestrictedExpression::new_string(String::new()))
            }
            // Only whether it is empty is asked for.
            Type::Set(element) if **element == Type::Any => {
                let raw = <&RawValue>::deserialize(deserializer)?;
                self.at.look_over(raw)?;
                let Some(rest) = raw.get().strip_prefix('[') else {
                    return self.mismatch("not an array");
                };
                let some = !rest.trim_start().starts_with(']');
                let element = || RestrictedExpression::new_string(String::new());
                Ok(RestrictedExpression::new_set(some.then(element)))
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl Reader<'_, '_> {
    fn mismatch<T, E: Error>(self, found: &str) -> Result<T, E> {
        let wanted = name_of(self.wanted);
        Err(self
            .at
            .refuse(format_args!("is {found}, and policies read it as {wanted}")))
    }

    /// Checks a text for what policies do with it.
    fn text<E: Error>(self, text: &str) -> Result<RestrictedExpression, E> {
        let Type::Text(Text {
            extent,
            matched,
            path,
        }) = *self.wanted
        else {
            return self.mismatch("a text");
        };
        if has_nul(text) {
            let problem = "contains U+0000, where some servers end a text";
            return Err(self.at.refuse(problem));
        }
        if path && let Some(found) = ambiguity(text) {
            return Err(self.at.refuse(format_args!(
                "is read as a path by policies and has {found}, so that it may be another path than \
                 it seems; send the plain path"
            )));
        }
        // Cedar is given no more than what can make a difference: it copies each text it looks at.
        let seen = match extent {
            Extent::Start(length) => start(text, length),
            Extent::Whole => text,
        };
        if matched && seen.len() > MATCHED_BYTES_MAX {
            return Err(self.at.refuse(format_args!(
                "has {} bytes, and policies match at most {MATCHED_BYTES_MAX} with `like`",
                seen.len()
            )));
        }
        Ok(RestrictedExpression::new_string(seen.to_owned()))
    }
}

impl<'de> Visitor<'de> for Reader<'_, '_> {
    type Value = RestrictedExpression;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.mismatch("null")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        match self.wanted {
            Type::Bool => Ok(RestrictedExpression::new_bool(value)),
            _ => self.mismatch("a boolean"),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        match self.wanted {
            Type::Long => Ok(RestrictedExpression::new_long(value)),
            _ => self.mismatch("a number"),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.mismatch("a number above 2^63"),
        }
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.mismatch("a number with a fraction or beyond 2^63")
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
        let mut items = Vec::new();
        loop {
            let reader = Reader {
                wanted: element,
                at: &mut *self.at,
            };
            let Some(item) = seq.next_element_seed(reader)? else {
                return Ok(RestrictedExpression::new_set(items));
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
            problem: &mut *self.at.problem,
        };
        Members { fields, at }.visit_map(map)
    }
}
