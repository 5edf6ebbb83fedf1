//! Notifications of the proxy's own on a stream that listens: a reload has changed the agent's tools.
//!
//! Neither knows what has changed nor whether the stream is between two events.

use std::task::Context;

use bytes::Bytes;
use serde_json::value::RawValue;
use thoughtgate_mcp::sse;

use crate::listeners::Listener;

/// The first event of a subscription, before which the client expects no other.
const ACKNOWLEDGED: &[u8] = b"notifications/subscriptions/acknowledged";

/// The notifications for one stream.
pub struct Changes {
    listener: Listener,
    event: Bytes,
    is_open: bool,
}

impl Changes {
    /// `subscription` is the id of the request that the stream answers (from 2026-07-28 on), which each
    /// notification names; `None` for a stream that was opened with GET.
    #[must_use]
    pub fn new(listener: Listener, subscription: Option<&RawValue>) -> Changes {
        let params = subscription.map_or_else(String::new, |id| {
            format!(r#","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#)
        });
        let message =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed"{params}}}"#);
        Changes {
            listener,
            event: Bytes::from(sse::encode(message.as_bytes())),
            is_open: subscription.is_none(),
        }
    }

    /// Takes note of events that the upstream has sent.
    pub fn passed(&mut self, events: &[u8]) {
        let mut windows = events.windows(ACKNOWLEDGED.len());
        self.is_open = self.is_open || windows.any(|window| window == ACKNOWLEDGED);
    }

    /// The next notification; otherwise wakes the task at the next change.
    pub fn next(&mut self, context: &Context<'_>) -> Option<Bytes> {
        // A change before the client has its acknowledgement waits for that.
        (self.is_open && self.listener.take_change(context)).then(|| self.event.clone())
    }
}
