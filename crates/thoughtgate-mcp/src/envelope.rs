//! Parses one JSON-RPC message, as far as a gateway needs it, borrowing from the body.
//!
//! Refuses ambiguous messages, which two parsers could read differently: duplicate keys, keys that
//! differ in case, a message that is request and response at once. Does not check members that the
//! gateway does not use.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::codes;
use crate::fold::folds_to_one_of;
use crate::members::{Level, Object, Unclear, has_nul, string};
use crate::params::{Params, invalid, is_null};
use crate::refusal::Refusal;
use crate::scan::{self, Limits};
use crate::text::JsonText;

const GOVERNED: [&str; 6] = ["error", "id", "jsonrpc", "method", "params", "result"];
/// Methods that are decided by a name in `params`, or whose answers are read.
const METHODS: [&str; 13] = [
    "tools/call",
    "tools/list",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "notifications/cancelled",
    "tasks/get",
    "tasks/list",
    "tasks/update",
    "tasks/cancel",
    "tasks/result",
];
/// The path to the objects whose members are checked too.
const PATH: [&str; 2] = ["params", "_meta"];

/// The kind of a JSON-RPC message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result or an error.
    Response,
}

/// One message.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Request, notification or response.
    pub kind: Kind,
    /// The id as raw JSON; `None` for a notification, and for a response whose id is `null`.
    pub id: Option<JsonText<'a>>,
    /// The method; empty for a response.
    pub method: Cow<'a, str>,
    /// The members of `params` that the gateway uses.
    pub params: Params<'a>,
}

/// Parses one message. An error is the answer to send.
pub fn parse<'a>(body: &'a [u8], limits: &Limits) -> Result<Envelope<'a>, Refusal> {
    let text = scan::text(body)?;
    let object = match Object::skim(text, &PATH) {
        Some((object, depth)) if depth <= limits.depth => object,
        _ => {
            scan::check_depth(body, *limits)?;
            // What cannot be read at once is read again member by member, to find the reason.
            let object = Object::parse(text, &PATH).or_else(|_| Object::parse(text, &[]));
            object.map_err(|_| unreadable(text))?
        }
    };
    Parts::of(object.top())?.envelope()
}

/// The refusal of a `text` that is not a JSON object.
fn unreadable(text: &str) -> Refusal {
    let refuse = |code: i64, message: String| Refusal::bad_request(code, message, None);
    match serde_json::from_str::<&RawValue>(text) {
        Err(error) => refuse(
            codes::PARSE_ERROR,
            format!("the body is not valid JSON: {error}"),
        ),
        Ok(raw) if raw.get().starts_with('[') => refuse(
            codes::INVALID_REQUEST,
            "batches are not supported; send one message per request".to_owned(),
        ),
        Ok(_) => invalid("the message", &Unclear::NotAnObject).refusal(None),
    }
}

/// The members of the envelope, before they are checked together.
struct Parts<'o, 'a> {
    jsonrpc: Option<JsonText<'a>>,
    id: Option<JsonText<'a>>,
    method: Option<JsonText<'a>>,
    params: Option<JsonText<'a>>,
    /// The members of `params`, if they have been read already.
    inner: Option<Level<'o, 'a>>,
    /// Whether there is a `result` or an `error`.
    answer: bool,
}

impl<'o, 'a> Parts<'o, 'a> {
    fn of(object: Level<'o, 'a>) -> Result<Parts<'o, 'a>, Refusal> {
        object
            .check(&GOVERNED)
            .map_err(|unclear| invalid("the message", &unclear).refusal(None))?;
        let mut parts = Parts {
            jsonrpc: None,
            id: None,
            method: None,
            params: None,
            inner: object.inner(),
            answer: false,
        };
        for (key, value) in object.members() {
            match key.as_ref() {
                "jsonrpc" => parts.jsonrpc = Some(value),
                "id" => parts.id = Some(value),
                "method" => parts.method = Some(value),
                "params" => parts.params = Some(value),
                "result" | "error" => parts.answer = true,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn envelope(self) -> Result<Envelope<'a>, Refusal> {
        // Read first, so that a refusal can name the request.
        let id = self.id.filter(|id| is_id(*id));
        let refuse =
            |code: i64, message: String| Refusal::bad_request(code, message, id.map(JsonText::raw));
        let invalid = |message: &str| refuse(codes::INVALID_REQUEST, message.to_owned());
        if self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return Err(invalid("`jsonrpc` must be \"2.0\""));
        }
        // JSON-RPC 2.0 (section 5) lets an error have the id `null`, if the id of its request was unreadable.
        if self.id.is_some()
            && id.is_none()
            && !(self.answer && self.id.is_some_and(|id| id.get() == "null"))
        {
            return Err(invalid("`id` must be a string or an integer"));
        }
        if self.answer {
            if self.method.is_some() {
                return Err(invalid(
                    "a message has either a method or a result, not both",
                ));
            }
            return Ok(Envelope {
                kind: Kind::Response,
                id,
                method: Cow::Borrowed(""),
                params: Params::default(),
            });
        }
        let Some(method) = self.method else {
            return Err(invalid("the message has neither a method nor a result"));
        };
        let Some(method) = string(method) else {
            return Err(invalid("`method` must be a string"));
        };
        if let Some(message) = is_lookalike(&method) {
            return Err(invalid(message));
        }
        let params = match self.params {
            // Members that have been read already are those of an object.
            Some(params) if self.inner.is_some() || !is_null(params) => {
                Params::read(params, self.inner)
                    .map_err(|invalid| invalid.refusal(id.map(JsonText::raw)))?
            }
            _ => Params::default(),
        };
        if method == "tools/call" && params.name.is_none() {
            // Without a name there is nothing to decide on. The server checks other missing members.
            return Err(refuse(
                codes::INVALID_PARAMS,
                "`tools/call` needs `params.name`".to_owned(),
            ));
        }
        let kind = if self.id.is_some() {
            Kind::Request
        } else {
            Kind::Notification
        };
        Ok(Envelope {
            kind,
            id,
            method,
            params,
        })
    }
}

/// The reason why a server could take a method for one in `METHODS`, if there is one.
fn is_lookalike(method: &str) -> Option<&'static str> {
    if has_nul(method) {
        return Some("`method` contains U+0000, where some servers end a string");
    }
    if METHODS.contains(&method) || folds_to_one_of(method, METHODS).is_none() {
        return None;
    }
    Some("`method` differs only in case, width or invisible characters from a method of MCP")
}

/// MCP's ids are strings or integers; a fraction could be rounded into another id.
fn is_id(raw: JsonText<'_>) -> bool {
    let text = raw.get();
    text.starts_with('"')
        || text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
