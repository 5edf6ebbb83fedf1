//! The members of a message that approvals read, kept from the one time that it is parsed.
//!
//! Made only for a message that needs an approval or concerns one, so that all others pay nothing for it.

use bytes::Bytes;
use thoughtgate_approval::{Approvals, Digest, Id, UserDigest, digest, is_sealed};
use thoughtgate_mcp::Envelope;
use thoughtgate_policy::Outcome;

use super::carried;
use super::parked::Key;
use crate::message::{Message, Raw};
use crate::problem::Call;
use crate::state::Snapshot;

/// The members of a message that approvals read.
pub struct Fields {
    pub addressed: Addressed,
    pub method: Box<str>,
    /// Name of the tool that is called; empty in other messages.
    pub tool: Box<str>,
    pub arguments: Option<Raw>,
    pub progress_token: Option<Raw>,
    pub request_state: Option<Box<str>>,
    /// The id of the request that a cancellation names.
    pub cancelled: Option<Raw>,
    /// The upstream's own request state and the responses that belong to it, see [`super::carried`].
    pub carried: Vec<u8>,
    /// The call is to run as a task (2025-11-25).
    pub asks_for_task: bool,
    /// The client accepts a task as the answer (2026-07-28).
    pub declares_tasks: bool,
}

/// The part of a message that concerns approvals, and not the upstream alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed {
    /// None: the message is for the upstream alone.
    Upstream,
    /// A request state with this proxy's prefix, which the upstream could not read.
    State,
    /// A task id in this proxy's format.
    Task(Id),
    /// A request for all tasks: the answer has this proxy's and the upstream's.
    TaskList,
    /// A cancellation of a call, which this proxy may be holding.
    Cancellation,
}

/// The user who sent `message`: one agent may call for many.
pub fn user(snapshot: &Snapshot, approvals: &Approvals, message: &Message) -> UserDigest {
    let (identity, parts) = (&snapshot.rules.identity, &message.parts);
    approvals.user(&identity.user(&parts.headers, parts.uri.query()))
}

impl Fields {
    /// The members of the message in `body`; `None` if it neither needs an approval nor concerns one.
    /// `collects`: the result of such a call, made before, waits for it.
    pub fn of(
        envelope: &Envelope<'_>,
        body: &Bytes,
        outcome: &Outcome,
        collects: bool,
    ) -> Option<Box<Fields>> {
        let addressed = Addressed::of(envelope);
        let needs_approval = matches!(outcome, Outcome::Approve { .. });
        (needs_approval || collects || addressed != Addressed::Upstream)
            .then(|| Box::new(Fields::read(envelope, body, addressed)))
    }

    /// The members of a call in `body` that was stored until its approval.
    pub fn stored(envelope: &Envelope<'_>, body: &Bytes) -> Fields {
        Fields::read(envelope, body, Addressed::Upstream)
    }

    fn read(envelope: &Envelope<'_>, body: &Bytes, addressed: Addressed) -> Fields {
        let params = &envelope.params;
        Fields {
            addressed,
            method: envelope.method.as_ref().into(),
            tool: params.name.as_deref().unwrap_or_default().into(),
            arguments: params.arguments.map(|raw| Raw::of(body, raw)),
            progress_token: params.progress_token.map(|raw| Raw::of(body, raw)),
            request_state: params.request_state.as_deref().map(Into::into),
            cancelled: params.request_id.map(|raw| Raw::of(body, raw)),
            carried: carried::of(params),
            asks_for_task: params.task.is_some(),
            declares_tasks: params.declares_tasks(),
        }
    }

    /// The request state, if this proxy issued it.
    pub fn own_state(&self) -> Option<&str> {
        self.request_state
            .as_deref()
            .filter(|state| is_sealed(state))
    }

    /// The call in `message`, to answer its refusal; `None` if it is not a `tools/call`.
    pub fn call<'c>(&'c self, snapshot: &'c Snapshot, message: &'c Message) -> Option<Call<'c>> {
        if &*self.method != "tools/call" {
            return None;
        }
        let call = Call::of(snapshot, message, &self.tool, self.asks_for_task);
        Some(call)
    }

    /// Key by which the call in `message` finds an equal one that was made before, and the id that the result
    /// then gets. `None` for other messages, for a task, which is answered in another form, and for a call with
    /// a sealed state, which names another approval. To be asked only if there are such calls: it digests the
    /// arguments.
    pub fn repeated(&self, message: &Message) -> Option<(Key, Raw)> {
        if &*self.method != "tools/call" || self.asks_for_task || self.own_state().is_some() {
            return None;
        }
        let key = Key {
            digest: self.digest(&message.principal),
            era: message.era,
        };
        Some((key, message.id.clone()?))
    }

    /// Identifies the call of `principal`, for its approval.
    pub fn digest(&self, principal: &str) -> Digest {
        let arguments = self.arguments.as_ref().map(Raw::get);
        digest(principal, &self.tool, arguments)
    }
}

impl Addressed {
    /// Cheap: compares the method, and a prefix of the state.
    fn of(envelope: &Envelope<'_>) -> Addressed {
        let params = &envelope.params;
        // Whatever the method is: the upstream could not read such a state.
        if params.request_state.as_deref().is_some_and(is_sealed) {
            return Addressed::State;
        }
        match envelope.method.as_ref() {
            "tasks/list" => Addressed::TaskList,
            "notifications/cancelled" => Addressed::Cancellation,
            method if method.starts_with("tasks/") => params
                .task_id
                .as_deref()
                .and_then(Id::parse)
                // An id in another format is that of a task of the upstream.
                .map_or(Addressed::Upstream, Addressed::Task),
            _ => Addressed::Upstream,
        }
    }
}
