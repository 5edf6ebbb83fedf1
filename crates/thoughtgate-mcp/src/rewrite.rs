//! Messages with some members taken out or exchanged, all others as they came.
//!
//! Knows no meaning of any member; who calls says which ones, and why.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::members::{Member, members};

/// The message without the member that the keys of `path` lead to; `None` when it has none.
#[must_use]
pub fn without(message: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    Some(take_out(text, path)?.get().as_bytes().to_vec())
}

fn take_out(text: &str, path: &[&str]) -> Option<Box<RawValue>> {
    let (key, rest) = path.split_first()?;
    let members = object(text)?;
    let (_, value) = members.iter().find(|(found, _)| found == key)?;
    let value = match rest {
        [] => None,
        rest => Some(take_out(value.get(), rest)?),
    };
    Some(rewrite(
        &members,
        |found| found == *key,
        |out| out.extend(value.map(|value| ((*key).to_owned(), value))),
    ))
}

/// The members of an object whose keys are all different; `None` for anything else.
pub(crate) fn object(text: &str) -> Option<Vec<Member<'_>>> {
    members(text, []).ok()
}

/// The object with some members replaced, all others as they came.
pub(crate) fn rewrite(
    members: &[Member<'_>],
    replaced: impl Fn(&str) -> bool,
    add: impl FnOnce(&mut Vec<(String, Box<RawValue>)>),
) -> Box<RawValue> {
    let mut out: Vec<(String, Box<RawValue>)> = members
        .iter()
        .filter(|(key, _)| !replaced(key))
        .map(|(key, value)| (key.clone().into_owned(), (*value).to_owned()))
        .collect();
    add(&mut out);
    let mut text = String::from("{");
    for (index, (key, value)) in out.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    RawValue::from_string(text).expect("members of JSON make JSON")
}

/// The object with one member's value exchanged, or added where it was not there.
pub(crate) fn replace(members: &[Member<'_>], key: &str, value: Box<RawValue>) -> Box<RawValue> {
    rewrite(
        members,
        |found| found == key,
        |out| out.push((key.to_owned(), value)),
    )
}

pub(crate) fn to_raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("text and raw values always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &str, path: &[&str]) -> Option<String> {
        without(message.as_bytes(), path).map(|message| String::from_utf8(message).unwrap())
    }

    #[test]
    fn one_member_goes_and_the_rest_stays_as_it_came() {
        let message = r#"{"id": 1.0, "params":{"a":[ 1 ],"b":{"c":2,"d":"\u0041"}}}"#;
        assert_eq!(
            text(message, &["params", "b", "c"]).as_deref(),
            Some(r#"{"id":1.0,"params":{"a":[ 1 ],"b":{"d":"\u0041"}}}"#)
        );
        assert_eq!(text(message, &["params"]).as_deref(), Some(r#"{"id":1.0}"#));
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
}
