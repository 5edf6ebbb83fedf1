//! Checks a JSON value for duplicate keys, at any depth.
//!
//! Compares decoded keys exactly; case and invisible characters are not ignored (see `fold.rs`).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::members::{Key, duplicate};

/// The reason why parsers may read a value differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    /// A duplicate key in one object: some parsers take the first value, some the last.
    #[error("duplicate key `{0}`")]
    DuplicateKey(String),
    /// A number that is too large for common types, or half of a surrogate pair: parsers differ in how
    /// they read it.
    #[error("invalid number or escape sequence")]
    Unreadable,
}

/// Refuses `raw` if an object in it has a duplicate key, or if a value in it cannot be decoded.
pub fn unique_keys(raw: &RawValue) -> Result<(), Ambiguous> {
    let mut duplicate = None;
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let walked = Unique(&mut duplicate).deserialize(&mut deserializer);
    match (walked, duplicate) {
        (Ok(()), None) => Ok(()),
        (_, Some(key)) => Err(Ambiguous::DuplicateKey(key)),
        (Err(_), None) => Err(Ambiguous::Unreadable),
    }
}

struct Unique<'d>(&'d mut Option<String>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            keys.push(key);
            map.next_value_seed(Unique(self.0))?;
        }
        match duplicate(keys.iter().map(AsRef::as_ref)) {
            None => Ok(()),
            Some(key) => {
                // Kept outside of the error, which can carry the key only as text with a position.
                *self.0 = Some(key.to_owned());
                Err(serde::de::Error::custom("duplicate key"))
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Unique(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_found_at_any_depth() {
        let check = |text: &str| unique_keys(&RawValue::from_string(text.to_owned()).unwrap());
        for text in [
            "1",
            "null",
            "[]",
            r#"{"a":{"a":[{"a":1.5},{"a":true}]}}"#,
            r#"{"a":1,"A":2}"#,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"[{"b":{"a":1,"\u0061":2}}]"#,
            r#"{"a":"x","b":0,"a":null}"#,
        ] {
            let twice = Ambiguous::DuplicateKey("a".to_owned());
            assert_eq!(check(text), Err(twice), "{text}");
        }
        for text in [r#"{"a":1e999}"#, r#"["\ud800"]"#] {
            assert_eq!(check(text), Err(Ambiguous::Unreadable), "{text}");
        }
    }
}
