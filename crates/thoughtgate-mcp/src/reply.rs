//! JSON-RPC responses: writes the gateway's own, and reads result or error of the upstream's.
//!
//! Ids are copied as raw text: `1`, `1.0` and `"1"` are three different ids to a client, and
//! re-serialising could change one into another.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::rewrite::object;

/// The outcome in a response, as raw JSON.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// The value of `result`.
    Result(&'a RawValue),
    /// The value of `error`.
    Error(&'a RawValue),
}

/// The outcome in `message`; `None` if it is not a response, or an ambiguous one.
#[must_use]
pub fn answer(message: &[u8]) -> Option<Answer<'_>> {
    // Most clients skip a byte order mark.
    let message = message.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(message);
    let members = object(std::str::from_utf8(message).ok()?)?;
    let member = |name| members.iter().find(|(key, _)| key == name);
    match (member("result"), member("error")) {
        (Some((_, result)), None) => Some(Answer::Result(result.raw())),
        (None, Some((_, error))) => Some(Answer::Error(error.raw())),
        _ => None,
    }
}

/// An error response. Without `id`, if the request's could not be read, it is sent as `null`.
#[must_use]
pub fn error(id: Option<&RawValue>, code: i64, message: &str, data: Option<&Value>) -> Vec<u8> {
    write(&Message {
        jsonrpc: "2.0",
        id,
        outcome: Outcome::<&RawValue, _>::Error(Fault {
            code,
            message,
            data,
        }),
    })
}

/// A response with `result`.
#[must_use]
pub fn result<T: Serialize>(id: Option<&RawValue>, result: &T) -> Vec<u8> {
    write(&Message {
        jsonrpc: "2.0",
        id,
        outcome: Outcome::<_, &RawValue>::Result(result),
    })
}

/// An error response with a complete error object, such as the upstream's.
#[must_use]
pub fn failed(id: Option<&RawValue>, error: &RawValue) -> Vec<u8> {
    write(&Message {
        jsonrpc: "2.0",
        id,
        outcome: Outcome::<&RawValue, _>::Error(error),
    })
}

/// An error object, as in an error response or in a failed task.
#[derive(Debug, Serialize)]
pub struct Fault<'a> {
    /// One of [`crate::codes`].
    pub code: i64,
    /// The reason, in one sentence for the agent.
    pub message: &'a str,
    /// Details for programs, such as the ids of policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a Value>,
}

fn write(message: &Message<'_, impl Serialize, impl Serialize>) -> Vec<u8> {
    serde_json::to_vec(message).expect("text, numbers and JSON values always serialise")
}

#[derive(Serialize)]
struct Message<'a, R, E> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    #[serde(flatten)]
    outcome: Outcome<R, E>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<R, E> {
    Result(R),
    Error(E),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn ids_keep_their_exact_text() {
        for id in [
            "1",
            "1.0",
            "\"1\"",
            "\"na\\u006de\"",
            "12345678901234567890123",
        ] {
            let raw = RawValue::from_string(id.to_owned()).unwrap();
            assert_eq!(
                text(result(Some(&raw), &json!({}))),
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
            );
        }
    }

    #[test]
    fn an_error_without_an_id_says_null() {
        assert_eq!(
            text(error(None, -32700, "no \"JSON\"", None)),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no \"JSON\""}}"#
        );
    }

    #[test]
    fn answers_are_told_from_other_messages() {
        let said = |message: &str| match answer(message.as_bytes()) {
            Some(Answer::Result(raw)) => format!("result {}", raw.get()),
            Some(Answer::Error(raw)) => format!("error {}", raw.get()),
            None => "no answer".to_owned(),
        };
        assert_eq!(said(r#"{"id":1,"result":{"a": 1}}"#), r#"result {"a": 1}"#);
        assert_eq!(
            said(r#"{"id":1,"error":{"code":1}}"#),
            r#"error {"code":1}"#
        );
        for message in [
            r#"{"method":"notifications/progress"}"#,
            r#"{"result":{},"error":{}}"#,
            r#"{"result":{},"result":{}}"#,
            "[]",
            "",
        ] {
            assert_eq!(said(message), "no answer", "{message}");
        }
    }

    #[test]
    fn data_is_carried() {
        let data = json!({"policies": ["a"]});
        assert_eq!(
            text(error(None, 40301, "denied", Some(&data))),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":40301,"message":"denied","data":{"policies":["a"]}}}"#
        );
    }
}
