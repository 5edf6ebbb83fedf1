//! The filter for the tool lists in the answer to one request, and the reasons why a list is not passed on.
//!
//! Knows whose list it is and which policies are in force; reads no answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use thoughtgate_mcp::Era;
use thoughtgate_mcp::tools::{Choose, Refused, Unreadable};
use thoughtgate_policy::{Claims, Principal};

use super::changes::Changes;
use crate::message::Message;
use crate::state::Shared;

/// Longest id that is kept for the error that ends a stream, in bytes.
const ID_BYTES_MAX: usize = 1024;

/// Filter for the tool lists in the answer to one request of one agent.
pub struct Filter {
    pub(super) shared: Arc<Shared>,
    principal: String,
    claims: Option<Arc<Claims>>,
    pub(super) era: Era,
    id: Option<Box<RawValue>>,
    watches_tools: bool,
}

/// Reason why an answer that may be a list is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfiltered {
    #[error(transparent)]
    Message(#[from] Unreadable),
    #[error(transparent)]
    Stream(#[from] Refused),
    #[error("the response has a Content-Encoding, although ThoughtGate asked for none")]
    Encoded,
    #[error("its Content-Type is neither application/json nor text/event-stream, in UTF-8")]
    MediaType,
    /// More than this number of bytes.
    #[error("it is larger than `limits.list_bytes` ({0})")]
    TooLarge(usize),
    /// It began and did not end within this time.
    #[error("it took longer than `timeouts.response` ({0:?})")]
    Slow(Duration),
    #[error("the upstream connection broke before its end")]
    Broken,
}

impl Filter {
    /// A filter for the answer to `message`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, message: &Message) -> Filter {
        let id = message.id();
        let id = id.filter(|id| id.get().len() <= ID_BYTES_MAX);
        Filter {
            shared,
            principal: message.principal.clone(),
            claims: message.claims.clone(),
            era: message.era,
            // Copied, because a slice of the body would keep all of it for as long as the stream lasts.
            id: id.map(ToOwned::to_owned),
            // Without the id of a subscription its client could not tell what it is about.
            watches_tools: message.watches_tools && id.is_some() == message.id.is_some(),
        }
    }

    /// Runs `filter` with the decision about a tool. The snapshot is loaded for each piece of a stream,
    /// which may outlive many generations and a change of `mode`.
    pub(super) fn with_decision<T>(&self, filter: impl FnOnce(&mut dyn Choose) -> T) -> T {
        let snapshot = self.shared.snapshot();
        let principal = Principal {
            id: &self.principal,
            claims: self.claims.as_deref(),
        };
        let mut reader = self.shared.seen.reader(|tool: &str| {
            self.shared.metrics.tools.learn(tool);
            snapshot.lists(principal, tool)
        });
        let filtered = filter(&mut reader);
        if reader.learn()
            && let Some(engine) = &snapshot.engine
        {
            self.shared.seen.report(engine);
        }
        filtered
    }

    /// The notifications that are added to a stream of events, if its client wants them.
    pub(super) fn changes(&self) -> Option<Changes> {
        let listener = || {
            self.shared
                .listeners
                .enter(&self.principal, self.claims.clone())
        };
        self.watches_tools
            .then(|| Changes::new(listener(), self.id()))
    }

    /// Id of the request, for the error that is sent in place of an answer that is not passed on.
    pub(super) fn id(&self) -> Option<&RawValue> {
        self.id.as_deref()
    }
}
