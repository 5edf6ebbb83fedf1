//! Reads one message again right before its approval is used, so that a no which Slack has had for a
//! poll interval or longer is never overlooked. Costs a call only where the poll is late: usually the
//! votes were read within the interval, and nothing is asked.

use std::time::Instant;

use super::client::CallError;
use super::poll::straggler;
use super::post::RETRY_MAX;
use crate::backoff::Backoff;
use crate::core::Core;
use crate::ids::Id;
use crate::record::{Message, State};

/// Says why the votes cannot be read within the deadline of one call.
pub(super) async fn confirm(core: &Core, id: Id) -> Result<(), String> {
    let Some(message) = due(core, id) else {
        return Ok(());
    };
    let settings = &core.desk.settings;
    let mut last = None;
    let reading = async {
        let mut backoff = Backoff::new(settings.retry_first, RETRY_MAX);
        loop {
            let error = match straggler(core, id, &message).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            last = Some(error.to_string());
            match error {
                CallError::Refused(_) => return Err(error.to_string()),
                CallError::Limited(wait) => tokio::time::sleep(wait).await,
                CallError::Lost(_) | CallError::Unreachable(_) => {
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    };
    let read = tokio::time::timeout(settings.call_timeout, reading).await;
    read.unwrap_or_else(|_| {
        Err(last
            .unwrap_or_else(|| format!("Slack did not answer within {:?}", settings.call_timeout)))
    })
}

/// The message of an approval that can be claimed and whose votes were read too long ago.
fn due(core: &Core, id: Id) -> Option<Message> {
    let book = core.book();
    let entry = book.get(id)?;
    let is_fresh = |read: Instant| read.elapsed() <= core.desk.settings.poll_interval;
    let is_due = entry.record.state == State::Approved && !entry.votes_read.is_some_and(is_fresh);
    is_due.then(|| entry.record.message.clone())?
}
