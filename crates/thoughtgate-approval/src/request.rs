//! Asking for approval: what is checked, what is joined, and what a new approval looks like. Asks no
//! approver itself, and forgets the arguments as soon as the record has what may be shown of them.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::approvals::Approvals;
use crate::book::Book;
use crate::core::millis;
use crate::error::RequestError;
use crate::ids::{Digest, Id, digest};
use crate::record::{Record, State, now_ms};
use crate::redact;
use crate::slack::Desk;
use crate::store::Write;

/// Most of the arguments that is kept for approvers to read, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 12_000;

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
        let (id, flush, channel, is_new, brings_body) = {
            let mut book = core.book();
            let mut writes = Vec::new();
            let joined = book.joinable(&digest, now_ms());
            let id = if let Some(id) = joined {
                core.counts.joined.add(1);
                id
            } else {
                self.check_room(&book, call.principal)?;
                let id = Id::random()
                    .ok_or_else(|| RequestError::Store("no random numbers".to_owned()))?;
                let record = self.record(id, digest, &call, shown);
                core.counts.requested.add(1);
                core.entered(&record);
                book.insert(record);
                id
            };
            let Some(entry) = book.get_mut(id) else {
                return Err(RequestError::Closed);
            };
            if let Some(body) = call
                .body
                .filter(|_| joined.is_none() || !entry.record.has_body)
            {
                entry.record.has_body = true;
                entry.record.is_deferred = true;
                writes.push(Write::Body(id, body.to_vec()));
            }
            let brings_body = !writes.is_empty();
            if joined.is_none() || brings_body {
                writes.push(Write::Record(Box::new(entry.record.clone())));
            }
            let channel = entry.record.channel.clone();
            let flush = core.store.submit(writes);
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
                    core.edit(id, |record| std::mem::take(&mut record.has_body));
                }
                Err(RequestError::Store(error))
            }
        }
    }

    fn check(&self, call: &Call<'_>) -> Result<(), RequestError> {
        if let Some(arguments) = call.arguments {
            thoughtgate_mcp::unique_keys(arguments)
                .map_err(|duplicate| RequestError::DuplicateKey(duplicate.0))?;
        }
        let bytes = call.body.map_or(0, <[u8]>::len);
        let limit = self.core.settings.body_bytes_max;
        if bytes > limit {
            return Err(RequestError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    fn check_room(&self, book: &Book, principal: &str) -> Result<(), RequestError> {
        let settings = &self.core.settings;
        let open = book.records().filter(|record| record.state.is_open());
        let (mut all, mut own) = (0, 0);
        for record in open {
            all += 1;
            own += usize::from(record.principal == principal);
        }
        let limits = [
            (all, settings.open_max),
            (own, settings.open_per_principal_max),
        ];
        for (open, limit) in limits {
            if open >= limit {
                self.core.counts.refused_busy.add(1);
                return Err(RequestError::Busy { open, limit });
            }
        }
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
            policies: call.policies.iter().map(ToString::to_string).collect(),
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
        }
    }
}
