//! The arguments that the configuration chose for the audit: finds them in a call, and shortens them.
//!
//! All others stay a digest. Decides nothing, so that an argument that parsers read differently is only
//! marked.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use thoughtgate_mcp::{JsonText, Key, canonical};

use super::cut::{NAME_BYTES, cut};

/// Paths of arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen(Vec<String>);

/// The chosen arguments that a call has, by path.
#[derive(Debug, Default)]
pub struct Values(Vec<(String, Shown)>);

/// Value of an argument as a line has it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    /// A number, `true`, `false` or `null`, in its own spelling.
    Plain(Box<RawValue>),
    /// Text, or the JSON text of an object or array; cut.
    Text(String),
}

impl Chosen {
    /// `paths` are names of arguments; in one, a dot leads into an object.
    #[must_use]
    pub fn new(paths: Vec<String>) -> Chosen {
        Chosen(paths)
    }

    /// Bytes that the chosen arguments of one line take at most, without escapes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        // A quoted path, a value, and the note of the length that was cut off.
        self.0.iter().map(|path| path.len() + NAME_BYTES + 32).sum()
    }

    /// The values in these arguments; `None` when none are chosen.
    #[must_use]
    pub fn of(&self, arguments: Option<JsonText<'_>>) -> Option<Values> {
        if self.0.is_empty() {
            return None;
        }
        let arguments = arguments.map(JsonText::raw);
        let found = self.0.iter().filter_map(|path| {
            let shown = shown(arguments?, path)?;
            Some((path.clone(), shown))
        });
        Some(Values(found.collect()))
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (path, shown) in &self.0 {
            map.serialize_entry(path, shown)?;
        }
        map.end()
    }
}

fn shown(arguments: &RawValue, path: &str) -> Option<Shown> {
    let mut value = arguments;
    for key in path.split('.') {
        let member = member(value, key)?;
        if member.is_repeated {
            return Some(Shown::Text("… (duplicate key)".to_owned()));
        }
        value = member.value?;
    }
    let text = value.get();
    let text = match text.as_bytes().first()? {
        b'"' => match serde_json::from_str(text) {
            Ok(text) => text,
            Err(_) => "… (not Unicode)".to_owned(),
        },
        b'{' | b'[' => canonical(Some(value.into())),
        _ if text.len() <= NAME_BYTES => return Some(Shown::Plain(value.to_owned())),
        _ => text.to_owned(),
    };
    Some(Shown::Text(cut(&text, NAME_BYTES).into_owned()))
}

/// The member `key` of `object`, as far as it is there; `None` for anything but an object.
fn member<'a>(object: &'a RawValue, key: &str) -> Option<Member<'a>> {
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    Find(key).deserialize(&mut deserializer).ok()
}

#[derive(Default)]
struct Member<'a> {
    value: Option<&'a RawValue>,
    is_repeated: bool,
}

struct Find<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Member<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member<'de>, A::Error> {
        let mut found = Member::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if key == self.0 {
                found.is_repeated |= found.value.is_some();
                found.value = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str], arguments: &str) -> String {
        let chosen = Chosen::new(paths.iter().map(|&path| path.to_owned()).collect());
        let arguments: &RawValue = serde_json::from_str(arguments).unwrap();
        serde_json::to_string(&chosen.of(Some(arguments.into()))).unwrap()
    }

    #[test]
    fn only_what_is_chosen_is_shown() {
        let arguments = r#"{"path": "\u002fsrv", "secret": "s", "to": {"env": "prod", "n": 1.50, "b": [1 , {"z":1, "a":2}]}}"#;
        for (paths, expected) in [
            (&[][..], "null"),
            (&["path"], r#"{"path":"/srv"}"#),
            (&["to.env", "to.n"], r#"{"to.env":"prod","to.n":1.50}"#),
            (&["to.b"], r#"{"to.b":"[1,{\"a\":2,\"z\":1}]"}"#),
            (&["path.x", "absent", "to.x"], "{}"),
        ] {
            assert_eq!(of(paths, arguments), expected, "{paths:?}");
        }
        let chosen = Chosen::new(vec!["path".to_owned()]);
        assert_eq!(serde_json::to_string(&chosen.of(None)).unwrap(), "{}");
    }

    #[test]
    fn long_and_ambiguous_values_are_marked() {
        let long = format!(
            r#"{{"a": "{}", "n": {}}}"#,
            "x".repeat(900),
            "9".repeat(900)
        );
        let line = of(&["a", "n"], &long);
        assert!(line.contains(r#"x… (900 bytes)","n":"999"#), "{line}");
        assert!(line.contains(r#"9… (900 bytes)"}"#), "{line}");
        let twice = r#"{"a": 1, "\u0061": 2}"#;
        assert_eq!(of(&["a"], twice), r#"{"a":"… (duplicate key)"}"#);
        assert_eq!(
            of(&["a"], r#"{"a": "\ud800"}"#),
            r#"{"a":"… (not Unicode)"}"#
        );
    }
}
