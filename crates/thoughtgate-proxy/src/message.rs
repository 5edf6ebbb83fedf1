//! A client's message on its way through the proxy: its bytes, and the facts about it that were found when
//! it was parsed, once.
//!
//! Only data; it is checked and decided in [`crate::endpoint`]. What approvals read besides is in
//! [`crate::approve`].

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;
use serde_json::value::RawValue;
use thoughtgate_mcp::{Envelope, Era, JsonText, Kind, Limits, parse};
use thoughtgate_policy::{Claims, Principal};

use crate::abandoned::Abandoned;
use crate::relay::OnDisconnect;

/// A decided message.
pub struct Message {
    /// Head of the request; its URI is already the upstream's.
    pub parts: Box<Parts>,
    /// `Host` by which the client called, once the message has been sent.
    pub host: Option<HeaderValue>,
    /// Body for the upstream; empty once it has been sent.
    pub bytes: Bytes,
    /// The id of a request; `None` if no JSON-RPC answer is expected.
    pub id: Option<Raw>,
    /// Id of the calling agent.
    pub principal: String,
    /// The claims of its token that policies may read.
    pub claims: Option<Arc<Claims>>,
    pub era: Era,
    pub on_disconnect: OnDisconnect,
    pub on_redirect: OnRedirect,
    /// The answer may contain a tool list, which is filtered.
    pub tool_list: bool,
    /// The answer is a stream that only listens.
    pub listens: bool,
    /// The client wants to know when its list of tools changes.
    pub watches_tools: bool,
}

/// Effect of a redirect on a message to an upstream that has sent none for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRedirect {
    /// It fails, since no copy of it was kept; the next message is sent on.
    Fail,
    /// It is sent on: it is made with an approval, which would be lost with it.
    Follow,
}

/// A JSON value in a body, as a slice of its bytes, which it keeps.
#[derive(Debug, Clone)]
pub struct Raw(Bytes);

impl Message {
    /// The message that `envelope` was parsed from, of an agent without claims. `bytes` is its body, the
    /// very bytes that the envelope borrows.
    #[must_use]
    pub fn of(
        parts: Box<Parts>,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        era: Era,
        principal: String,
        abandoned: &Abandoned,
    ) -> Message {
        let listens = envelope.method == "subscriptions/listen";
        // A response has an id, too: that of the server's request, to which no answer is expected.
        let id = envelope.id.filter(|_| envelope.kind == Kind::Request);
        // A stream that only listens executes nothing, so that there is nothing to finish without its client.
        let on_disconnect = if era == Era::Legacy && !listens {
            OnDisconnect::Finish(abandoned.agent(&principal))
        } else {
            OnDisconnect::Cancel
        };
        Message {
            parts,
            host: None,
            id: id.map(|id| Raw::of(&bytes, id)),
            bytes,
            principal,
            claims: None,
            era,
            on_disconnect,
            on_redirect: OnRedirect::Fail,
            // On a stream that listens a server may send any answer, a list included.
            tool_list: listens || envelope.method == "tools/list",
            listens,
            // In the session era the stream for that is opened with GET.
            watches_tools: listens && era == Era::Modern && envelope.params.watches_tools(),
        }
    }

    /// A request without a body, in which nothing is asked of JSON-RPC. `listens`: it opens a stream, on
    /// which a server may send any answer.
    #[must_use]
    pub fn bodiless(parts: Box<Parts>, principal: String, listens: bool) -> Message {
        Message {
            parts,
            host: None,
            bytes: Bytes::new(),
            id: None,
            principal,
            claims: None,
            era: Era::Modern,
            on_disconnect: OnDisconnect::Cancel,
            on_redirect: OnRedirect::Fail,
            tool_list: listens,
            listens,
            watches_tools: listens,
        }
    }

    /// The calling agent as policies know it.
    #[must_use]
    pub fn asker(&self) -> Principal<'_> {
        Principal {
            id: &self.principal,
            claims: self.claims.as_deref(),
        }
    }

    /// The id that an answer to it must have; `None` if no JSON-RPC answer is expected.
    #[must_use]
    pub fn id(&self) -> Option<&RawValue> {
        self.id.as_ref().map(Raw::get)
    }
}

impl Raw {
    /// `value` as a part of `body`, which it was parsed from.
    #[must_use]
    pub fn of(body: &Bytes, value: JsonText<'_>) -> Raw {
        Raw(body.slice_ref(value.get().as_bytes()))
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> &RawValue {
        // Only looks for the end of the value. Its bytes were one before, so that it is never replaced.
        serde_json::from_slice(&self.0).unwrap_or(RawValue::NULL)
    }
}

/// The id in `body`, for the answers to which there is no [`Message`]: a request that finds no room in the
/// audit is refused before it is parsed, and the parser may be what panicked.
#[must_use]
pub fn id_of(body: &[u8]) -> Option<Box<RawValue>> {
    // The limit of `limits.depth` decides nothing here: only the id is read.
    let limits = Limits { depth: usize::MAX };
    let id = parse(body, &limits).ok()?.id;
    id.map(|id| id.raw().to_owned())
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn a_value_keeps_its_spelling_and_copies_nothing() {
        let body = Bytes::from_static(
            br#"{"jsonrpc":"2.0","id": "\u0037" ,"method":"tools/call","params":{"name":"a","arguments":{"n": 1e999 }}}"#,
        );
        let envelope = parse(&body, &Limits::default()).unwrap();
        for (value, expected) in [
            (envelope.id, r#""\u0037""#),
            (envelope.params.arguments, r#"{"n": 1e999 }"#),
        ] {
            let value = value.unwrap();
            let raw = Raw::of(&body, value);
            assert_eq!(raw.get().get(), expected);
            assert_eq!(raw.get().get().as_ptr(), value.get().as_ptr());
        }
    }

    #[test]
    fn only_a_request_is_answered_with_its_id() {
        let abandoned = Abandoned::new(1, Gauge::default(), Counter::default());
        let of = |body: &'static str, era| {
            let body = Bytes::from_static(body.as_bytes());
            let parts = Box::new(http::Request::new(()).into_parts().0);
            let envelope = parse(&body, &Limits::default()).unwrap();
            let message = Message::of(
                parts,
                body.clone(),
                &envelope,
                era,
                "a".to_owned(),
                &abandoned,
            );
            let id = message.id().map(|id| id.get().to_owned());
            let finishes = message.on_disconnect != OnDisconnect::Cancel;
            (id, message.tool_list, message.listens, finishes)
        };
        let id = || Some("7".to_owned());
        let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
        assert_eq!(of(list, Era::Legacy), (id(), true, false, true));
        assert_eq!(of(list, Era::Modern), (id(), true, false, false));
        let listen = r#"{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen"}"#;
        assert_eq!(of(listen, Era::Legacy), (id(), true, true, false));
        let response = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
        assert_eq!(of(response, Era::Legacy), (None, false, false, true));
        let notification = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#;
        assert_eq!(of(notification, Era::Modern), (None, false, false, false));
    }
}
