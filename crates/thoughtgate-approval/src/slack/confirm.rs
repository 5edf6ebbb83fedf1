//! Reads one message again right before its approval is used, so that a denial that Slack has had for
//! a poll interval or longer is never overlooked. Makes a call only if the polling is late: usually
//! the votes were read within the interval.

use std::time::Instant;

use super::error::{CallError, ConfirmError};
use super::poll::{straggler, unreadable};
use super::workspace::Workspace;
use crate::backoff::{Backoff, RETRY_MAX};
use crate::ids::Id;
use crate::record::MessageRef;
use crate::state::State;

/// Reads the votes unless they are fresh, within the deadline of one call.
pub(super) async fn confirm(workspace: &Workspace, id: Id) -> Result<(), ConfirmError> {
    let Some(message) = due(workspace, id) else {
        return Ok(());
    };
    let settings = &workspace.settings;
    let mut latest = None;
    let reading = async {
        let mut backoff = Backoff::new(settings.retry_first, RETRY_MAX);
        loop {
            let error = match straggler(workspace, id, &message).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let wait = match error {
                CallError::Refused(_) => {
                    workspace.ledger.trouble(id, &unreadable(&error), false);
                    return Err(ConfirmError::refused(error));
                }
                CallError::Limited(wait) => wait,
                CallError::Lost(_) | CallError::Unreachable(_) => backoff.next(),
            };
            let is_outage = error.is_outage();
            workspace.ledger.trouble(id, &unreadable(&error), is_outage);
            latest = Some(error);
            tokio::time::sleep(wait).await;
        }
    };
    let read = tokio::time::timeout(settings.call_timeout, reading).await;
    read.unwrap_or_else(|_| Err(ConfirmError::late(settings.call_timeout, latest)))
}

/// Message of an approval that can be claimed and whose votes were read too long ago.
fn due(workspace: &Workspace, id: Id) -> Option<MessageRef> {
    let table = workspace.ledger.table();
    let entry = table.get(id)?;
    let is_fresh = |read: Instant| read.elapsed() <= workspace.settings.poll_interval;
    // Other states need no reading: the claim refuses them.
    let is_due = entry.record.state == State::Approved && !entry.votes_read.is_some_and(is_fresh);
    is_due.then(|| entry.record.message.clone())?
}
