//! A decided message of a client, and the facts about it that forwarding and approvals need.
//!
//! Only data; it is checked and decided in [`crate::endpoint`].

use bytes::Bytes;
use http::request::Parts;
use serde_json::value::RawValue;
use thoughtgate_mcp::{Envelope, Era, Limits, parse};

/// A decided message, as it was received.
pub struct Request {
    /// Head of the request; its URI is already the upstream's.
    pub parts: Box<Parts>,
    pub bytes: Bytes,
    pub call: Call,
}

/// Facts about a decided request that forwarding needs.
#[derive(Debug, Clone)]
pub struct Call {
    /// Determines the effect of a disconnect.
    pub era: Era,
    /// The answer may contain a tool list, which is filtered.
    pub tool_list: bool,
    /// The answer is a stream that only listens.
    pub listens: bool,
    /// The client waits for a JSON-RPC answer with its id.
    pub expects_answer: bool,
    /// Id of the calling agent.
    pub principal: String,
}

impl Call {
    /// The id that the answer to `message` must have; `None` if no JSON-RPC answer is expected.
    #[must_use]
    pub fn id(&self, message: &[u8]) -> Option<Box<RawValue>> {
        if self.expects_answer {
            id_of(message)
        } else {
            None
        }
    }
}

/// The id of a message. Parsed again instead of kept, because only refusals need it.
#[must_use]
pub fn id_of(message: &[u8]) -> Option<Box<RawValue>> {
    read(message)?.id.map(ToOwned::to_owned)
}

/// Parses a message again that was parsed before: only few need it a second time, so it is not kept.
pub fn read(bytes: &[u8]) -> Option<Envelope<'_>> {
    parse(bytes, &Limits { depth: usize::MAX }).ok()
}
