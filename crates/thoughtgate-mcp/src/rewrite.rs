//! Replaces, inserts and removes members of a JSON text; all else stays byte for byte.
//!
//! Does not know the meaning of any member: the caller names them.

use std::ops::Range;

use crate::members::members;
use crate::text::Member;

/// A text and the edits to make in it.
pub(crate) struct Edits<'t> {
    text: &'t str,
    edits: Vec<(Range<usize>, String)>,
}

impl<'t> Edits<'t> {
    pub(crate) fn new(text: &'t str) -> Edits<'t> {
        Edits {
            text,
            edits: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Replaces `part`, a slice of the text that no other edit touches.
    pub(crate) fn replace(&mut self, part: &str, with: String) {
        let start = self.offset(part);
        self.edits.push((start..start + part.len(), with));
    }

    /// Inserts `new` right after `part`.
    pub(crate) fn insert_after(&mut self, part: &str, new: String) {
        let end = self.offset(part) + part.len();
        self.edits.push((end..end, new));
    }

    /// Removes a member from its object, together with a comma next to it.
    fn take_out(&mut self, object: &str, members: &[Member<'_>], index: usize) {
        let bytes = self.text.as_bytes();
        let end_of = |at: usize| self.offset(members[at].1.get()) + members[at].1.get().len();
        let (start, mut end) = match index.checked_sub(1) {
            Some(before) => (end_of(before), end_of(index)),
            None => (self.offset(object) + 1, end_of(index)),
        };
        if index == 0 && members.len() > 1 {
            // Only white space is between a value and its comma.
            while bytes.get(end).is_some_and(|byte| *byte != b',') {
                end += 1;
            }
            end += 1;
        }
        self.edits.push((start..end, String::new()));
    }

    /// The text with all edits made.
    pub(crate) fn finish(mut self) -> String {
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let added: usize = self.edits.iter().map(|(_, new)| new.len()).sum();
        let mut out = String::with_capacity(self.text.len() + added);
        let mut from = 0;
        for (range, new) in &self.edits {
            out.push_str(&self.text[from..range.start]);
            out.push_str(new);
            from = range.end;
        }
        out.push_str(&self.text[from..]);
        out
    }

    fn offset(&self, part: &str) -> usize {
        // Parts come from parsing this very text without copying, so their addresses lie in it.
        part.as_ptr().addr() - self.text.as_ptr().addr()
    }
}

/// The message without the member at `path`; `None` if it has no such member.
#[must_use]
pub fn without(message: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    let (last, path) = path.split_last()?;
    let mut inner = text.trim_matches([' ', '\t', '\r', '\n']);
    for key in path {
        let (_, value) = object(inner)?.into_iter().find(|(found, _)| found == key)?;
        inner = value.get();
    }
    let members = object(inner)?;
    let index = members.iter().position(|(found, _)| found == last)?;
    let mut edits = Edits::new(text);
    edits.take_out(inner, &members, index);
    Some(edits.finish().into_bytes())
}

/// The object with the JSON text `value` as the value of `key`, replaced or added; `None` if it is no object
/// with unique keys.
#[must_use]
pub fn with_member(object: &[u8], key: &str, value: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(object).ok()?;
    let members = self::object(text)?;
    Some(replace(text, &members, key, value).into_bytes())
}

/// The message with the members of the JSON object `new` added to its object `key`, which has others and none
/// of these; `None` if either is no object, or has no member.
#[must_use]
pub fn with_members(message: &[u8], key: &str, new: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let (_, value) = object(trimmed)?
        .into_iter()
        .find(|(found, _)| found == key)?;
    let members = object(value.get())?;
    let (_, last) = members.last()?;
    let mut edits = Edits::new(text);
    for (key, value) in object(std::str::from_utf8(new).ok()?)? {
        let key = serde_json::Value::from(&*key);
        edits.insert_after(last.get(), format!(",{key}:{}", value.get()));
    }
    (!edits.is_empty()).then(|| edits.finish().into_bytes())
}

/// The members of an object whose keys are all different; `None` for anything else.
pub(crate) fn object(text: &str) -> Option<Vec<Member<'_>>> {
    members(text).ok()
}

/// The object in `text` with the value of `key` replaced, or added as the last member. `members` are
/// those of the object.
pub(crate) fn replace(text: &str, members: &[Member<'_>], key: &str, value: &str) -> String {
    let mut edits = Edits::new(text);
    match (
        members.iter().find(|(found, _)| found == key),
        members.last(),
    ) {
        (Some((_, old)), _) => edits.replace(old.get(), value.to_owned()),
        (None, last) => {
            let key = serde_json::Value::from(key);
            match last {
                Some((_, last)) => edits.insert_after(last.get(), format!(",{key}:{value}")),
                None => return format!("{{{key}:{value}}}"),
            }
        }
    }
    edits.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &str, path: &[&str]) -> Option<String> {
        without(message.as_bytes(), path).map(|message| String::from_utf8(message).unwrap())
    }

    #[test]
    fn one_member_goes_and_the_rest_stays_as_it_came() {
        let message = r#" {"id": 1.0, "p\u0061rams":{"a":[ 1 ],"b" : {"c":2 , "d":"\u0041"}}} "#;
        for (path, expected) in [
            (
                &["params", "b", "c"][..],
                r#" {"id": 1.0, "p\u0061rams":{"a":[ 1 ],"b" : { "d":"\u0041"}}} "#,
            ),
            (
                &["params", "b", "d"],
                r#" {"id": 1.0, "p\u0061rams":{"a":[ 1 ],"b" : {"c":2}}} "#,
            ),
            (&["params"], r#" {"id": 1.0} "#),
            (
                &["id"],
                r#" { "p\u0061rams":{"a":[ 1 ],"b" : {"c":2 , "d":"\u0041"}}} "#,
            ),
        ] {
            assert_eq!(text(message, path).as_deref(), Some(expected), "{path:?}");
        }
        assert_eq!(text(r#"{"a":[ 1 ] }"#, &["a"]).as_deref(), Some("{ }"));
    }

    #[test]
    fn members_are_added_behind_the_last_one() {
        let message = r#" {"params" : {"a":[ 1 ] }, "id": 1} "#.as_bytes();
        let with = |new: &str| {
            let text = with_members(message, "params", new.as_bytes())?;
            String::from_utf8(text).ok()
        };
        assert_eq!(
            with(r#"{"b":"\u0041","c":{}}"#).as_deref(),
            Some(r#" {"params" : {"a":[ 1 ],"b":"\u0041","c":{} }, "id": 1} "#)
        );
        assert_eq!((with("{}"), with("1"), with("")), (None, None, None));
        assert_eq!(with_members(message, "id", b"{\"b\":1}"), None);
    }

    #[test]
    fn what_is_not_there_cannot_be_taken_out() {
        let message = r#"{"params":{"a":1}}"#;
        for path in [&["params", "b"][..], &["b"], &["params", "a", "b"], &[]] {
            assert_eq!(text(message, path), None, "{path:?}");
        }
        assert_eq!(text("[]", &["a"]), None);
        assert_eq!(text(r#"{"a":1,"a":2}"#, &["a"]), None);
    }

    #[test]
    fn a_member_is_exchanged_where_it_is_or_added_as_the_last() {
        for (message, expected) in [
            (r#"{ "a":1, "k" : 2,"b":3}"#, r#"{ "a":1, "k" : {},"b":3}"#),
            (r#"{"a": 1 }"#, r#"{"a": 1,"k":{} }"#),
            ("{ }", r#"{"k":{}}"#),
        ] {
            let members = object(message).unwrap();
            assert_eq!(replace(message, &members, "k", "{}"), expected);
        }
    }
}
