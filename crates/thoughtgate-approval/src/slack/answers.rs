//! What Slack's answers hold, as far as anybody here needs it. The rest of an answer is skipped where
//! it is, so that one which is made to explode in memory takes no more than its own bytes; of another
//! shape than this it counts as no answer. Errors name a place in the answer, never what is there.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::CallError;
use super::directory::is_id;
use crate::record::Message;

/// Longest cursor that is sent back.
const CURSOR_BYTES_MAX: usize = 1024;

/// An answer that says `ok`.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Bytes);

impl Answer {
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        read(&self.0)
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(json).map_err(|error| {
        CallError::Lost(format!(
            "the answer is not the JSON that was expected (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// Text without a copy where it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// How every answer begins.
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
    pub(super) fn message(&self) -> Option<Message> {
        let channel =
            is_id(&self.channel.0, &['C', 'G', 'D']).then(|| self.channel.0.to_string())?;
        let ts = is_ts(&self.ts.0).then(|| self.ts.0.to_string())?;
        Some(Message { channel, ts })
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
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reactions: Option<&'a RawValue>,
}

/// The mark that a message of this program carries.
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

/// All who reacted in the same way.
#[derive(Debug, Deserialize)]
pub(super) struct Reaction<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) users: Vec<Text<'a>>,
    pub(super) count: Option<u64>,
}

/// The reactions to a message; a message without any has no such member.
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

/// Where the next page begins; `None` after the last one.
fn next(metadata: Option<&Metadata<'_>>) -> Result<Option<String>, CallError> {
    let cursor = metadata.and_then(|metadata| metadata.next_cursor.as_ref());
    let cursor = cursor.map(|cursor| cursor.0.as_ref()).unwrap_or_default();
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(CallError::Lost(
            "the answer's cursor is too long".to_owned(),
        ));
    }
    Ok((!cursor.is_empty()).then(|| cursor.to_owned()))
}

/// Slack names a message by its time: `1785229500.000100`.
pub(super) fn is_ts(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let halves = text.split_once('.');
    text.len() <= 32 && halves.is_some_and(|(seconds, micros)| digits(seconds) && digits(micros))
}
