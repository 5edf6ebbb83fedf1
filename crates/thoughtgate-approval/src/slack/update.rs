//! Brings messages up to date with what became of their approvals. Repeating an update is harmless,
//! so failed ones are simply tried again, for a while; what is shown is kept with the approval, so
//! a restart goes on where this stopped.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::client::CallError;
use super::post::RETRY_MAX;
use super::{Lane, is_stale, message};
use crate::backoff::Backoff;
use crate::core::Core;
use crate::record::Record;

/// Slack takes about 50 updates a minute from one app.
const PACE: Duration = Duration::from_millis(1200);

/// After this many failures in a row the message stays as it is.
const ATTEMPTS_MAX: u32 = 10;

pub(super) async fn run(core: Arc<Core>, lane: Arc<Lane>) {
    let mut backoff = Backoff::new(core.desk.settings.retry_first, RETRY_MAX);
    loop {
        let Some(record) = next(&core, &lane.channel) else {
            lane.update.notified().await;
            continue;
        };
        // What the message says is on disk before.
        if core.store.submit(Vec::new()).done().await.is_err() {
            tokio::time::sleep(backoff.next()).await;
            continue;
        }
        match update(&core, &record).await {
            Err(CallError::Limited(wait)) => tokio::time::sleep(wait).await,
            Err(CallError::Lost(_) | CallError::Unreachable(_))
                if backoff.attempts() < ATTEMPTS_MAX =>
            {
                tokio::time::sleep(backoff.next()).await;
            }
            // Done, or hopeless, as for a message that somebody deleted: the decision stands.
            Ok(()) | Err(_) => {
                backoff.reset();
                core.set_face(record.id, record.wanted_face());
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

/// The message that has been out of date for longest.
fn next(core: &Core, channel: &str) -> Option<Record> {
    let book = core.book();
    book.records()
        .filter(|record| record.channel == channel && is_stale(record))
        .min_by_key(|record| (record.updated_ms, record.id))
        .cloned()
}

async fn update(core: &Core, record: &Record) -> Result<(), CallError> {
    let Some(sent) = &record.message else {
        return Ok(());
    };
    let mut body = message::render(record, record.wanted_face(), &core.desk.settings);
    body["channel"] = Value::from(sent.channel.as_str());
    body["ts"] = Value::from(sent.ts.as_str());
    core.desk.client.write("chat.update", &body).await.map(drop)
}
