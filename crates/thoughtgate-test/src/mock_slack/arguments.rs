//! The arguments of a Slack call, from its query, a form or JSON.
//!
//! Structured arguments in a form are JSON text, as in the real API. Does not know the methods.

use form_urlencoded::parse;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Map, Value};

/// The arguments by name.
#[derive(Debug)]
pub(super) struct Arguments {
    values: Map<String, Value>,
    bearer: Option<String>,
    /// The body is JSON without a charset, for which Slack adds a warning.
    pub(super) missing_charset: bool,
}

impl Arguments {
    /// Reads the arguments. An error is one of Slack's error codes.
    pub(super) fn read(
        query: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, &'static str> {
        let mut values = decode(query.as_bytes());
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut missing_charset = false;
        match content_type.split(';').next().unwrap_or_default().trim() {
            // If all arguments are in the query, clients send a content type without a body.
            _ if body.is_empty() => {}
            "application/json" => {
                let json = serde_json::from_slice(body).map_err(|_| "invalid_json")?;
                let Value::Object(json) = json else {
                    return Err("json_not_object");
                };
                missing_charset = !content_type.contains("charset");
                values.extend(json);
            }
            "application/x-www-form-urlencoded" => values.extend(decode(body)),
            _ => return Err("invalid_post_type"),
        }
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .map(ToOwned::to_owned);
        Ok(Self {
            values,
            bearer,
            missing_charset,
        })
    }

    /// The token, from the header or the arguments.
    pub(super) fn token(&self) -> Option<String> {
        self.bearer.clone().or_else(|| self.text("token"))
    }

    /// An argument as text; `None` if it is absent or empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether an argument is true in one of Slack's spellings.
    pub(super) fn is_true(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
            Some(Value::Number(number)) => number.as_u64() == Some(1),
            _ => false,
        }
    }

    /// A structured argument; `Ok(None)` if it is absent.
    ///
    /// # Errors
    /// It is text that is not JSON.
    pub(super) fn structure(&self, name: &str) -> Result<Option<Value>, serde_json::Error> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some),
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

fn decode(form: &[u8]) -> Map<String, Value> {
    parse(form)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}
