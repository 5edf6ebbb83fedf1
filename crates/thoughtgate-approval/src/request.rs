//! Asking for approval: what is checked, what is joined, and what a new approval looks like. Asks no
//! approver itself, and forgets the arguments as soon as the record has what may be shown of them.

use std::sync::Arc;

use serde_json::value::RawValue;
use thoughtgate_mcp::Ambiguous;

use crate::approvals::Approvals;
use crate::book::Book;
use crate::core::millis;
use crate::error::RequestError;
use crate::ids::{Digest, Id, digest};
use crate::record::{Record, State, now_ms};
use crate::redact;
use crate::slack::Desk;
use crate::store::Write;
use crate::text::cut;

/// Most of the arguments that is kept for approvers to read, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 12_000;

/// Longest name of a tool, agent or channel that is kept, in bytes. Approvers are shown less.
const NAME_BYTES_MAX: usize = 1024;

/// Longest id of a policy that is kept, and most of all of one approval, in bytes.
const POLICY_BYTES_MAX: usize = 256;
const POLICIES_BYTES_MAX: usize = 4096;

/// A call that needs approval.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who calls.
    pub principal: &'a str,
    /// The tool that the call names.
    pub tool: &'a str,
    /// Its arguments.
    pub arguments: Option<&'a RawValue>,
    /// The channel that the policy names; `None` is the default one.
    pub channel: Option<&'a str>,
    /// What it takes to make the call later, opaque here; only for calls that are answered later.
    pub body: Option<&'a [u8]>,
    /// The policies that ask for approval.
    pub policies: &'a [Arc<str>],
    /// Their generation.
    pub generation: u64,
}

/// A call that is made later, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Who called.
    pub principal: String,
    /// What the approval is bound to.
    pub digest: Digest,
    /// What [`Call::body`] was.
    pub body: Vec<u8>,
}

impl Approvals {
    /// The call that was kept with the approval, for as long as it may still be made.
    #[must_use]
    pub fn kept(&self, id: Id) -> Option<Kept> {
        let (principal, digest) = {
            let book = self.core.book();
            let record = &book.get(id)?.record;
            (record.principal.clone(), record.digest)
        };
        let body = self.core.store.body(id)?;
        Some(Kept {
            principal,
            digest,
            body,
        })
    }

    /// Asks for approval, or joins the approval that the same call already waits for or has not
    /// used yet. On disk when this returns; approvers are asked in the background. Cancel safe: the
    /// approval of a caller that goes away meanwhile is asked for all the same, and can be joined.
    pub async fn request(&self, call: Call<'_>) -> Result<Id, RequestError> {
        let core = &self.core;
        if *core.closed.borrow() {
            return Err(RequestError::Closed);
        }
        self.check(&call)?;
        if let Some(failure) = core.store.failure() {
            return Err(RequestError::Store(failure));
        }
        let shown = redact::render(
            call.arguments,
            &core.settings.redaction,
            ARGUMENTS_BYTES_MAX,
        );
        let digest = digest(call.principal, call.tool, call.arguments);
        let body_bytes = call.body.map_or(0, <[u8]>::len);
        let (id, flush, channel, is_new, brings_body) = {
            let mut book = core.book();
            let mut writes = Vec::new();
            let joined = book.joinable(&digest, now_ms());
            let id = if let Some(id) = joined {
                core.counts.joined.add(1);
                id
            } else {
                let id = Id::random()
                    .ok_or_else(|| RequestError::Store("no random numbers".to_owned()))?;
                let record = self.record(id, digest, &call, shown);
                self.make_room(&mut book, call.principal, 1, record.bytes() + body_bytes)?;
                core.counts.requested.add(1);
                core.entered(&record);
                book.insert(record);
                id
            };
            let has_body = book.get(id).is_some_and(|entry| entry.record.has_body);
            let body = call.body.filter(|_| !has_body);
            if body.is_some() && joined.is_some() {
                self.make_room(&mut book, call.principal, 0, body_bytes)?;
            }
            let Some(entry) = book.get_mut(id) else {
                return Err(RequestError::Closed);
            };
            if let Some(body) = body {
                entry.record.has_body = true;
                entry.record.is_deferred = true;
                entry.record.body_bytes = body_bytes;
                writes.push(Write::Body(id, body.to_vec()));
            }
            let brings_body = !writes.is_empty();
            if joined.is_none() || brings_body {
                writes.push(Write::Record(Box::new(entry.record.clone())));
            }
            let channel = entry.record.channel.clone();
            let flush = core.store.submit(writes);
            book.weigh(id);
            (id, flush, channel, joined.is_none(), brings_body)
        };
        core.keeper.notify_one();
        // The desk waits for the same flush before it asks anybody.
        Desk::ask(core, &channel);
        match flush.done().await {
            Ok(()) => Ok(id),
            Err(error) => {
                if is_new {
                    core.give_up(id, "the approval could not be stored");
                } else if brings_body {
                    core.edit(id, |record| {
                        record.body_bytes = 0;
                        std::mem::take(&mut record.has_body)
                    });
                }
                Err(RequestError::Store(error))
            }
        }
    }

    fn check(&self, call: &Call<'_>) -> Result<(), RequestError> {
        let channel = call.channel.unwrap_or_default();
        for (what, name) in [
            ("tool's name", call.tool),
            ("agent's name", call.principal),
            ("channel's name", channel),
        ] {
            let (bytes, limit) = (name.len(), NAME_BYTES_MAX);
            if bytes > limit {
                return Err(RequestError::NameTooLong { what, bytes, limit });
            }
        }
        if let Some(arguments) = call.arguments {
            thoughtgate_mcp::unique_keys(arguments).map_err(|ambiguous| match ambiguous {
                Ambiguous::DuplicateKey(key) => {
                    RequestError::DuplicateKey(cut(&key, NAME_BYTES_MAX).to_owned())
                }
                Ambiguous::Unreadable => RequestError::Unreadable,
            })?;
        }
        let bytes = call.body.map_or(0, <[u8]>::len);
        let limit = self.core.settings.body_bytes_max;
        if bytes > limit {
            return Err(RequestError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    /// Makes sure that an approval, or what it gains, may be kept; drops ended ones for it.
    fn make_room(
        &self,
        book: &mut Book,
        principal: &str,
        more: usize,
        bytes: usize,
    ) -> Result<(), RequestError> {
        let core = &self.core;
        let checked = book.check_room(principal, more, bytes, &core.settings);
        if checked.is_err() {
            core.counts.refused_busy.add(1);
        }
        checked?;
        core.prune(book, bytes);
        Ok(())
    }

    fn record(&self, id: Id, digest: Digest, call: &Call<'_>, shown: redact::Shown) -> Record {
        let settings = &self.core.settings;
        let now = now_ms();
        Record {
            id,
            principal: call.principal.to_owned(),
            tool: call.tool.to_owned(),
            digest,
            channel: call.channel.unwrap_or(&settings.slack.channel).to_owned(),
            policies: policies(call.policies),
            generation: call.generation,
            arguments: shown.text,
            arguments_complete: shown.complete,
            created_ms: now,
            updated_ms: now,
            expires_ms: now.saturating_add(millis(settings.timeout)),
            state: State::Pending,
            decided_by: None,
            means: None,
            late_no: None,
            reason: None,
            strangers: Vec::new(),
            message: None,
            face: None,
            has_body: false,
            is_deferred: false,
            body_bytes: 0,
            result_bytes: 0,
        }
    }
}

/// The ids that are kept of the policies that ask.
fn policies(ids: &[Arc<str>]) -> Vec<String> {
    let mut bytes = 0;
    let short = ids.iter().map(|id| cut(id, POLICY_BYTES_MAX).to_owned());
    short
        .take_while(|id| {
            bytes += id.len();
            bytes <= POLICIES_BYTES_MAX
        })
        .collect()
}
