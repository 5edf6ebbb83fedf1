//! The arguments that a line of the audit log has, and the call's arguments as far as they give them.
//!
//! Takes no value of which the line has only a part, or whose type cannot be told.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The arguments of a line, by path: a dot leads into an object.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Shown(BTreeMap<String, Box<RawValue>>);

impl Shown {
    /// Whether the line has the whole value of the argument `path`. One that it lacks may be one that the call
    /// lacked, or one that was not chosen.
    pub fn has(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|value| is_whole(value))
    }

    /// The arguments of the call, with these values alone.
    pub fn arguments(&self) -> Box<RawValue> {
        let mut root = Node::default();
        for (path, value) in &self.0 {
            if is_whole(value) {
                let node = path
                    .split('.')
                    .fold(&mut root, |node, key| node.members.entry(key).or_default());
                node.value = Some(value);
            }
        }
        RawValue::from_string(root.text()).expect("made of valid JSON")
    }
}

/// A value, or an object with members. Numbers keep their spelling, which policies depend on.
#[derive(Default)]
struct Node<'s> {
    value: Option<&'s RawValue>,
    members: BTreeMap<&'s str, Node<'s>>,
}

impl Node<'_> {
    fn text(&self) -> String {
        if let Some(value) = self.value {
            return value.get().to_owned();
        }
        let members = self.members.iter();
        let members = members.map(|(key, node)| format!("{}:{}", Value::from(*key), node.text()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

/// Whether `value` is the argument's own. A long one is cut, what cannot be shown is replaced by a note, and the
/// text of an object or array cannot be told from a text that looks like one.
fn is_whole(value: &RawValue) -> bool {
    match serde_json::from_str(value.get()) {
        Ok(Value::String(text)) => {
            let is_noted = text.contains("… (") && text.ends_with(')');
            !is_noted && !text.starts_with(['{', '['])
        }
        Ok(Value::Object(_) | Value::Array(_)) | Err(_) => false,
        Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_values_count_and_keep_their_spelling() {
        let line = r#"{"a.b":"x","a.n":1.50,"c":null,"cut":"x… (900 bytes)","twice":"… (duplicate key)","list":"[1]"}"#;
        let shown: Shown = serde_json::from_str(line).unwrap();
        let expected = r#"{"a":{"b":"x","n":1.50},"c":null}"#;
        assert_eq!(shown.arguments().get(), expected);
        for (path, has) in [
            ("a.b", true),
            ("a.n", true),
            ("c", true),
            ("a", false),
            ("cut", false),
            ("twice", false),
            ("list", false),
        ] {
            assert_eq!(shown.has(path), has, "{path}");
        }
    }
}
