//! How JSON libraries that servers are written with look a member up. Each is a reading that exists;
//! what the product accepts, all of them must read alike.

use crate::json::{Json, Value};

/// One way to look up a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The first of equal keys: simdjson, gjson.
    FirstWins,
    /// The last of equal keys: `serde_json`, Python, JavaScript, Java.
    LastWins,
    /// The last key that is equal but for case, with Unicode's simple folding: Go's `encoding/json`.
    Folding,
    /// Keys and strings end at U+0000, case of ASCII is ignored, the first wins: cJSON.
    CStrings,
}

impl Reader {
    pub const ALL: [Reader; 4] = [
        Reader::FirstWins,
        Reader::LastWins,
        Reader::Folding,
        Reader::CStrings,
    ];

    /// The member of `object` that this reader finds under `name`.
    pub fn get<'j>(self, object: &'j Json, name: &str) -> Option<&'j Json> {
        let name: Vec<u16> = name.encode_utf16().collect();
        let mut found = object
            .members()
            .iter()
            .filter(|(key, _)| self.equal(key, &name))
            .map(|(_, value)| value);
        match self {
            Reader::FirstWins | Reader::CStrings => found.next(),
            Reader::LastWins | Reader::Folding => found.next_back(),
        }
    }

    /// The member that the keys of `path` lead to.
    pub fn find<'j>(self, object: &'j Json, path: &[&str]) -> Option<&'j Json> {
        path.iter()
            .try_fold(object, |object, name| self.get(object, name))
    }

    /// The text of a string value as this reader sees it.
    pub fn text(self, value: &Json) -> Option<Vec<u16>> {
        match &value.value {
            Value::Text(units) => Some(self.seen(units).to_vec()),
            _ => None,
        }
    }

    fn equal(self, key: &[u16], name: &[u16]) -> bool {
        match self {
            Reader::FirstWins | Reader::LastWins => key == name,
            Reader::Folding => {
                // The lengths agree: each letter that folds to one of ASCII is a single unit of UTF-16.
                key.len() == name.len() && key.iter().zip(name).all(|(l, r)| fold(*l) == fold(*r))
            }
            Reader::CStrings => {
                let key = self.seen(key);
                let lower = |unit: &u16| {
                    u8::try_from(*unit).map_or(*unit, |byte| byte.to_ascii_lowercase().into())
                };
                key.len() == name.len() && key.iter().zip(name).all(|(l, r)| lower(l) == lower(r))
            }
        }
    }

    fn seen(self, units: &[u16]) -> &[u16] {
        let end = match self {
            Reader::CStrings => units.iter().position(|unit| *unit == 0),
            _ => None,
        };
        &units[..end.unwrap_or(units.len())]
    }
}

/// Simple folding, as far as it leads to a letter of ASCII: the Kelvin sign is a `k`, the long s an
/// `s`.
fn fold(unit: u16) -> u16 {
    match unit {
        0x212A => b'k'.into(),
        0x017F => b's'.into(),
        0x41..=0x5A => unit + 0x20,
        other => other,
    }
}

/// Text as a reader sees it, to compare with text of the product.
pub fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn each_reader_finds_what_its_library_finds() {
        let object = parse(r#"{"a":1,"A":2,"a\u0000b":3,"a":4,"\u212a":5}"#).unwrap();
        let found = |reader: Reader, name: &str| {
            let value = reader.get(&object, name)?;
            match &value.value {
                Value::Number(text) => text.parse::<u32>().ok(),
                _ => None,
            }
        };
        assert_eq!(found(Reader::FirstWins, "a"), Some(1));
        assert_eq!(found(Reader::LastWins, "a"), Some(4));
        assert_eq!(found(Reader::Folding, "k"), Some(5));
        assert_eq!(found(Reader::CStrings, "A"), Some(1));
        assert_eq!(found(Reader::LastWins, "k"), None);
        let cut = parse("\"x\\u0000y\"").unwrap();
        assert_eq!(Reader::CStrings.text(&cut), Some(utf16("x")));
    }
}
