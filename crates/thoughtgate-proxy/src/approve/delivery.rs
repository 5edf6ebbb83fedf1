//! Choice of how the client of a call that needs approval gets its answer, by the protocol features that it
//! supports.
//!
//! Answers nothing itself.

use thoughtgate_approval::CARRIED_BYTES_MAX;
use thoughtgate_mcp::Era;

use super::fields::Fields;
use crate::headers::takes_stream;
use crate::message::Message;

/// Delivery of the decision on a call to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The client gets a task at once; the call is made later, without the client.
    Task,
    /// The client gets a request state after a while, and retries the call with it.
    Retry,
    /// The client gets a result that says so after a while, and sends the same call again.
    Repeat,
    /// The request is held until the decision, with keep-alive events.
    Hold,
}

impl Delivery {
    /// A disconnect cancels from 2026-07-28 on only, and a task does not depend on its connection.
    pub fn cancels_on_drop(self, era: Era) -> bool {
        era == Era::Modern && self != Delivery::Task
    }

    /// Of the call in `message`.
    pub fn of(message: &Message, fields: &Fields) -> Delivery {
        let returns = fields.own_state().is_some();
        let stream = takes_stream(&message.parts.headers);
        match message.era {
            // Before tasks: the approval of a retried call was stored without the call, which a task needs.
            Era::Modern if returns => Delivery::Retry,
            Era::Modern if fields.declares_tasks => Delivery::Task,
            // This proxy's request state has to carry that of the upstream.
            Era::Modern if fields.carried.len() <= CARRIED_BYTES_MAX => Delivery::Retry,
            Era::Modern => Delivery::Repeat,
            Era::Legacy if fields.asks_for_task => Delivery::Task,
            // 2025-11-25 has no `input_required`, and its clients end a call after a minute without progress.
            Era::Legacy if !stream || fields.progress_token.is_none() => Delivery::Repeat,
            Era::Legacy => Delivery::Hold,
        }
    }
}
