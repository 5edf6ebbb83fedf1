//! Updates messages after their approvals changed. Repeating an update is harmless, so failed ones
//! are retried, a limited number of times. What a message shows is stored with its approval, so
//! updates go on after a restart.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::error::CallError;
use super::message;
use super::workspace::Workspace;
use crate::backoff::{Backoff, RETRY_MAX};
use crate::lanes::Lane;
use crate::ledger::Ledger;
use crate::record::Record;

/// Slack takes about 50 updates a minute from one app.
const PACE: Duration = Duration::from_millis(1200);

/// Failures in a row after which a message is left as it is.
const ATTEMPTS_MAX: u32 = 10;

pub(super) async fn run(workspace: Arc<Workspace>, lane: Arc<Lane>) {
    let mut backoff = Backoff::new(workspace.settings.retry_first, RETRY_MAX);
    loop {
        let Some(record) = next(&workspace.ledger, &lane.channel) else {
            lane.update.notified().await;
            continue;
        };
        // A message shows only what is on disk.
        if workspace
            .ledger
            .store
            .submit(Vec::new())
            .done()
            .await
            .is_err()
        {
            tokio::time::sleep(backoff.next()).await;
            continue;
        }
        match update(&workspace, &record).await {
            Err(CallError::Limited(wait)) => tokio::time::sleep(wait).await,
            Err(CallError::Lost(_) | CallError::Unreachable(_))
                if backoff.attempts() < ATTEMPTS_MAX =>
            {
                tokio::time::sleep(backoff.next()).await;
            }
            // Updated, or not possible, for example because the message was deleted: the decision
            // stands either way.
            Ok(()) | Err(_) => {
                backoff.reset();
                // Recorded after a failure too, or `next` would return this message for ever. It is the state
                // that was sent: if the approval has changed since, the message is updated again.
                workspace
                    .ledger
                    .set_rendered(record.id, record.wanted_rendering());
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

/// The message that has been out of date for longest.
fn next(ledger: &Ledger, channel: &str) -> Option<Record> {
    let table = ledger.table();
    table
        .records()
        .filter(|record| record.channel == channel && record.is_stale())
        .min_by_key(|record| (record.updated_ms, record.id))
        .cloned()
}

async fn update(workspace: &Workspace, record: &Record) -> Result<(), CallError> {
    let Some(sent) = &record.message else {
        return Ok(());
    };
    let mut body = message::render(record, record.wanted_rendering(), &workspace.settings);
    body["channel"] = Value::from(sent.channel.as_str());
    body["ts"] = Value::from(sent.id.as_str());
    workspace.client.write("chat.update", &body).await.map(drop)
}
