//! Requests for approval: checks, joining of open approvals, and new records. Asks no approver
//! itself, and keeps of the arguments only the text that approvers may see.

use std::sync::Arc;

use serde_json::value::RawValue;
use thoughtgate_mcp::{Ambiguous, cut};

use crate::approvals::Approvals;
use crate::clock::{millis, now_ms};
use crate::error::RequestError;
use crate::ids::{Digest, Digests, Id};
use crate::record::{Departure, Record};
use crate::redact;
use crate::store::{Flush, Write};
use crate::table::ApprovalTable;
use crate::user::UserDigest;

/// Bytes of the arguments that are kept for approvers to read: a message shows slightly less.
const ARGUMENTS_BYTES_MAX: usize = 12_000;

/// Longest name of a tool, agent or channel, in bytes: ended approvals keep their names, and agents
/// choose some of them. Approvers are shown less.
const NAME_BYTES_MAX: usize = 1024;

/// Bytes that are kept of one policy id, and of all policy ids of one approval.
const POLICY_BYTES_MAX: usize = 256;
const POLICIES_BYTES_MAX: usize = 4096;

/// A call that needs approval.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Agent that makes the call.
    pub principal: &'a str,
    /// Name of the tool to call.
    pub tool: &'a str,
    /// Arguments of the call, as sent; `None` when it has none.
    pub arguments: Option<&'a RawValue>,
    /// Channel that the policy names; `None` is the default channel.
    pub channel: Option<&'a str>,
    /// Everything needed to make the call later, opaque to this crate; `None` unless it is answered
    /// later.
    pub body: Option<&'a [u8]>,
    /// User who makes the call, who alone gets the result of a body, or a refusal that comes while nobody
    /// waits.
    pub user: Option<UserDigest>,
    /// Ids of the policies that ask for approval.
    pub policies: &'a [Arc<str>],
    /// Generation of those policies.
    pub generation: u64,
    /// Whether the request is withdrawn after [`crate::Settings::grace`] if its caller goes away.
    pub cancelled_on_drop: bool,
}

/// A kept call, to be made once it is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Agent that made the request.
    pub principal: String,
    /// Digest that the approval is bound to.
    pub digest: Digest,
    /// Copy of [`Call::body`].
    pub body: Vec<u8>,
}

/// A request whose writes are queued.
struct Queued {
    id: Id,
    /// Name of the channel to ask in.
    channel: String,
    flush: Flush,
    /// Whether it joined no other approval.
    is_new: bool,
    brings_body: bool,
}

impl Approvals {
    /// The call that was kept with the approval, for as long as it may still be made.
    #[must_use]
    pub fn kept(&self, id: Id) -> Option<Kept> {
        let (principal, digest) = {
            let table = self.ledger.table();
            let record = &table.get(id)?.record;
            (record.principal.clone(), record.digest)
        };
        let body = self.ledger.store.body(id)?;
        Some(Kept {
            principal,
            digest,
            body,
        })
    }

    /// Requests approval, or joins the approval that an equal call waits for in the same channel, or has
    /// not used yet. Without a body, it also joins one that has ended as a refusal of the same user's call
    /// within [`crate::Settings::approved_for`], if no caller was told: see [`Approvals::told`].
    /// The request is on disk when this returns; approvers are asked in the background. Cancel safe:
    /// if the caller goes away meanwhile, approvers are asked all the same, and the approval can be
    /// joined.
    pub async fn request(&self, call: Call<'_>) -> Result<Id, RequestError> {
        let ledger = &self.ledger;
        if *ledger.closed.borrow() {
            return Err(RequestError::Closed);
        }
        self.check(&call)?;
        if let Some(failure) = ledger.store.failure() {
            return Err(RequestError::Store(failure));
        }
        let shown = redact::render(
            call.arguments,
            &ledger.settings.redaction,
            ARGUMENTS_BYTES_MAX,
        );
        let digests = Digests::of(call.principal, call.tool, call.arguments);
        let queued = self.join_or_insert(&call, digests, shown)?;
        let id = queued.id;
        ledger.keeper.notify_one();
        // The channel waits until the approval is on disk before it asks anybody.
        self.channel.ask(&queued.channel);
        // The caller can go away while the disk is slow, and then nobody else knows of the request.
        let mut caller = self.caller(id, call.cancelled_on_drop);
        // A call that joins waits too: the approval that it joins may not be on disk yet.
        let stored = queued.flush.done().await;
        caller.answered();
        match stored {
            Ok(()) => Ok(id),
            Err(error) => {
                if queued.is_new {
                    ledger.give_up(id, "the approval could not be stored");
                    // This error tells.
                    self.told(id);
                } else if queued.brings_body {
                    // The store drops a body whose write failed (`lost.rs`); the record must not promise it.
                    ledger.edit(id, |record| {
                        record.body_bytes = 0;
                        std::mem::take(&mut record.has_body)
                    });
                }
                Err(RequestError::Store(error))
            }
        }
    }

    /// Joins the approval of an equal call, or inserts a new one, and queues what has to be stored.
    fn join_or_insert(
        &self,
        call: &Call<'_>,
        digests: Digests,
        shown: redact::Shown,
    ) -> Result<Queued, RequestError> {
        let ledger = &self.ledger;
        let body_bytes = call.body.map_or(0, <[u8]>::len);
        // Held from the search to the insertion, so that two equal calls cannot both ask.
        let mut table = ledger.table();
        let joined = self.joinable(&table, call, &digests.call);
        if let Some(queued) = joined.and_then(|id| self.untold(&table, id)) {
            return Ok(queued);
        }
        let id = if let Some(id) = joined {
            ledger.counts.joined.add(1);
            id
        } else {
            let id = Id::random().ok_or(RequestError::Random)?;
            let record = self.record(id, digests, call, shown);
            self.make_room(&mut table, call.principal, 1, record.bytes() + body_bytes)?;
            ledger.counts.requested.add(1);
            ledger.entered(&record);
            table.insert(record);
            id
        };
        let mut writes = Vec::new();
        let has_body = table.get(id).is_some_and(|entry| entry.record.has_body);
        // Calls that join with a body have the same digest and user: a later body is not needed.
        let body = call.body.filter(|_| !has_body);
        if body.is_some() && joined.is_some() {
            self.make_room(&mut table, call.principal, 0, body_bytes)?;
        }
        let Some(entry) = table.get_mut(id) else {
            return Err(RequestError::Closed);
        };
        if let Some(body) = body {
            entry.record.has_body = true;
            entry.record.is_deferred = true;
            entry.record.user = call.user;
            entry.record.body_bytes = body_bytes;
            writes.push(Write::Body(id, body.to_vec()));
        }
        let brings_body = !writes.is_empty();
        let user = &mut entry.record.user;
        let is_shared = !entry.record.is_deferred && user.is_some() && *user != call.user;
        if is_shared {
            *user = None;
        }
        let is_new_to_stay =
            !call.cancelled_on_drop && entry.record.departure != Departure::Ignored;
        if is_new_to_stay {
            entry.record.departure = Departure::Ignored;
        }
        if joined.is_none() || brings_body || is_shared || is_new_to_stay {
            writes.push(Write::Record(Box::new(entry.record.clone())));
        }
        let channel = entry.record.channel.clone();
        // Under the lock of the table, so that the store writes changes in the order in which they were made.
        let flush = ledger.store.submit(writes);
        table.weigh(id);
        Ok(Queued {
            id,
            channel,
            flush,
            is_new: joined.is_none(),
            brings_body,
        })
    }

    /// The approval that the call joins.
    fn joinable(&self, table: &ApprovalTable, call: &Call<'_>, digest: &Digest) -> Option<Id> {
        let fits = |record: &Record| {
            // A kept call is made with the credentials of one user, and a task does not begin with a refusal.
            let is_own = match (call.body, record.is_untold()) {
                (None, false) => true,
                (None, true) => record.user.is_none() || record.user == call.user,
                (Some(_), false) => !record.is_deferred || record.user == call.user,
                (Some(_), true) => false,
            };
            is_own && self.channel.is_asked_in(record, call.channel)
        };
        let told_for = millis(self.ledger.settings.approved_for);
        table.joinable(digest, (now_ms(), told_for), fits)
    }

    /// The request that joins a refusal, which has ended and stays as it is; `None` if it is none.
    fn untold(&self, table: &ApprovalTable, id: Id) -> Option<Queued> {
        let record = &table.get(id)?.record;
        record.is_untold().then(|| Queued {
            id,
            channel: record.channel.clone(),
            flush: self.ledger.store.submit(Vec::new()),
            is_new: false,
            brings_body: false,
        })
    }

    fn check(&self, call: &Call<'_>) -> Result<(), RequestError> {
        let channel = call.channel.unwrap_or_default();
        for (what, name) in [
            ("tool name", call.tool),
            ("agent name", call.principal),
            ("channel name", channel),
        ] {
            let (bytes, limit) = (name.len(), NAME_BYTES_MAX);
            if bytes > limit {
                return Err(RequestError::NameTooLong { what, bytes, limit });
            }
        }
        // An approver would see both values of a duplicate key, and could not know which one the tool takes.
        if let Some(arguments) = call.arguments {
            thoughtgate_mcp::unique_keys(arguments).map_err(|ambiguous| match ambiguous {
                Ambiguous::DuplicateKey(key) => {
                    RequestError::DuplicateKey(cut(&key, NAME_BYTES_MAX).to_owned())
                }
                Ambiguous::Unreadable => RequestError::Unreadable,
            })?;
        }
        let bytes = call.body.map_or(0, <[u8]>::len);
        let limit = self.ledger.settings.body_bytes_max;
        if bytes > limit {
            return Err(RequestError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    /// Checks that `more` new approvals, or the body that one gains, may be kept; drops ended
    /// approvals to make room.
    fn make_room(
        &self,
        table: &mut ApprovalTable,
        principal: &str,
        more: usize,
        bytes: usize,
    ) -> Result<(), RequestError> {
        let ledger = &self.ledger;
        let checked = table.check_room(principal, more, bytes, &ledger.settings);
        if checked.is_err() {
            ledger.counts.refused_busy.add(1);
        }
        checked?;
        ledger.prune(table, bytes);
        Ok(())
    }

    fn record(&self, id: Id, digests: Digests, call: &Call<'_>, shown: redact::Shown) -> Record {
        let now = now_ms();
        let channel = call.channel.unwrap_or(self.channel.default_name());
        Record {
            policies: policies(call.policies),
            user: call.user,
            generation: call.generation,
            arguments: shown.text,
            arguments_complete: shown.complete,
            arguments_digest: Some(digests.arguments),
            expires_ms: now.saturating_add(millis(self.ledger.settings.timeout)),
            ..Record::new(id, digests.call, call.principal, call.tool, channel, now)
        }
    }
}

/// The policy ids that are kept: each one cut, and only as many as fit.
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
