//! The parts of Slack's responses that this crate reads. The rest is skipped without being stored, so
//! that a response which is built to grow in memory takes no more than its own bytes. A response of
//! another shape is an error, which gives a position and quotes nothing: errors reach agents, and a
//! server in Slack's place may echo the token.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{CallError, Loss};
use super::ids::is_channel_id;
use crate::record::MessageRef;

/// Longest pagination cursor that is sent back, since it becomes part of a URL.
const CURSOR_BYTES_MAX: usize = 1024;

/// A response with `ok: true`.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Bytes,
    /// Scopes of the token, if the response lists them.
    pub(super) scopes: Option<HeaderValue>,
}

impl Answer {
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        read(&self.body)
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        CallError::Lost(if error.is_data() {
            Loss::Json { line, column }
        } else {
            Loss::NotJson
        })
    })
}

/// Text that is copied only if it has escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Members of every response.
#[derive(Deserialize)]
pub(super) struct Status<'a> {
    pub(super) ok: bool,
    #[serde(borrow)]
    pub(super) error: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) needed: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "as Slack names them")]
pub(super) struct AuthTest<'a> {
    #[serde(borrow)]
    pub(super) user_id: Text<'a>,
    #[serde(borrow)]
    pub(super) bot_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) team_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Posted<'a> {
    #[serde(borrow)]
    channel: Text<'a>,
    #[serde(borrow)]
    ts: Text<'a>,
}

impl Posted<'_> {
    pub(super) fn message(&self) -> Option<MessageRef> {
        let channel = is_channel_id(&self.channel.0).then(|| self.channel.0.to_string())?;
        let id = is_ts(&self.ts.0).then(|| self.ts.0.to_string())?;
        Some(MessageRef { channel, id })
    }
}

#[derive(Deserialize)]
pub(super) struct Members<'a> {
    #[serde(borrow)]
    pub(super) users: Vec<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Channels<'a> {
    #[serde(borrow)]
    pub(super) channels: Vec<Channel<'a>>,
    #[serde(borrow, default)]
    response_metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Channel<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct History<'a> {
    #[serde(borrow)]
    pub(super) messages: Vec<Said<'a>>,
    #[serde(borrow, default)]
    response_metadata: Option<Metadata<'a>>,
}

/// One message of a channel.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) ts: Text<'a>,
    #[serde(borrow)]
    pub(super) user: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) bot_id: Option<Text<'a>>,
    // Metadata and reactions stay raw until needed: odd ones of other messages must not fail the page.
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reactions: Option<&'a RawValue>,
}

/// Metadata that marks a message of this program.
#[derive(Deserialize)]
pub(super) struct Mark<'a> {
    #[serde(borrow)]
    pub(super) event_type: Text<'a>,
    #[serde(borrow)]
    pub(super) event_payload: Marked<'a>,
}

#[derive(Deserialize)]
pub(super) struct Marked<'a> {
    #[serde(borrow)]
    pub(super) approval_id: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct One<'a> {
    #[serde(borrow)]
    pub(super) message: Said<'a>,
}

/// One kind of reaction to a message, and the users who gave it.
#[derive(Debug, Deserialize)]
pub(super) struct Reaction<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) users: Vec<Text<'a>>,
    pub(super) count: Option<u64>,
}

/// Parses the reactions to a message; Slack leaves the member out where there are none.
pub(super) fn reactions(raw: Option<&RawValue>) -> Result<Vec<Reaction<'_>>, CallError> {
    raw.map_or(Ok(Vec::new()), |raw| read(raw.get().as_bytes()))
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    next_cursor: Option<Text<'a>>,
}

impl History<'_> {
    pub(super) fn next(&self) -> Result<Option<String>, CallError> {
        next(self.response_metadata.as_ref())
    }
}

impl Channels<'_> {
    pub(super) fn next(&self) -> Result<Option<String>, CallError> {
        next(self.response_metadata.as_ref())
    }
}

/// Cursor of the next page; `None` after the last one.
fn next(metadata: Option<&Metadata<'_>>) -> Result<Option<String>, CallError> {
    let cursor = metadata.and_then(|metadata| metadata.next_cursor.as_ref());
    let cursor = cursor.map(|cursor| cursor.0.as_ref()).unwrap_or_default();
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(CallError::Lost(Loss::Cursor));
    }
    Ok((!cursor.is_empty()).then(|| cursor.to_owned()))
}

/// Whether `text` is a message's timestamp, by which Slack identifies it: `1785229500.000100`.
pub(super) fn is_ts(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let halves = text.split_once('.');
    text.len() <= 32 && halves.is_some_and(|(seconds, micros)| digits(seconds) && digits(micros))
}
