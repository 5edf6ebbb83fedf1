//! Posts one message per approval, at Slack's pace, and never a second one for the same approval.
//! `chat.postMessage` cannot be repeated safely, so after an attempt with an unknown outcome, in this
//! process or the previous one, the channel's history is searched for the message first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answers::{History, Mark, Posted, Said, Text, is_ts, read};
use super::directory::Me;
use super::error::{CallError, Loss, Refusal};
use super::message;
use super::pages::{HISTORY, PAGE_LIMIT, read_one};
use super::poll::unreadable;
use super::workspace::Workspace;
use crate::backoff::{Backoff, RETRY_MAX};
use crate::cause::chain;
use crate::ids::Id;
use crate::lanes::Lane;
use crate::ledger::Ledger;
use crate::record::{MessageRef, Record, Rendered};
use crate::state::State;

/// Time before the approval's creation at which the search begins, since Slack's clock may differ.
const CLOCK_SKEW_MS: u64 = 120_000;

const POST: &str = "chat.postMessage";

/// Most pages of history that are searched.
const SEARCH_PAGES_MAX: usize = 20;

const FRESH: Rendered = Rendered {
    state: State::Pending,
    noted: false,
    late: false,
};

pub(super) async fn run(workspace: Arc<Workspace>, lane: Arc<Lane>) {
    let (ledger, settings) = (&workspace.ledger, &workspace.settings);
    let mut backoff = Backoff::new(settings.retry_first, RETRY_MAX);
    loop {
        let Some((record, maybe_asked)) = next(ledger, &lane.channel) else {
            lane.post.notified().await;
            continue;
        };
        // Nobody is asked about an approval that a crash could still lose.
        if ledger.store.submit(Vec::new()).done().await.is_err() {
            tokio::time::sleep(backoff.next()).await;
            continue;
        }
        // An answer that cannot be read would never reach the agent. Tried again first: it may be mended.
        if let Err(error) = readable(&workspace, &lane.channel).await {
            // All at once, rather than with a call for each.
            for id in unposted(ledger, &lane.channel) {
                ledger.give_up(id, &unreadable(&error));
            }
            continue;
        }
        let began = Instant::now();
        match ask(&workspace, &record, maybe_asked).await {
            Ok(sent) => {
                backoff.reset();
                // The response has the id of a channel that was given by name, which saves a lookup.
                workspace.directory.learn(&lane.channel, &sent.channel);
                // A message that was found may have votes already.
                let unread = (!maybe_asked).then_some(began);
                ledger.set_message(record.id, sent, FRESH, unread);
                tokio::time::sleep(settings.post_interval).await;
            }
            // Repeating it would not help, so the agent learns of it now and not when the approval expires.
            Err(refused @ CallError::Refused(_)) => {
                let faults = &workspace.client.faults;
                faults.note(POST, Some(&lane.channel), Some(&refused));
                ledger.give_up(record.id, &chain(&refused));
            }
            // The message may have been posted by an attempt without an answer; nobody knows yet.
            Err(passing) => {
                let wait = match passing {
                    CallError::Limited(wait) => wait,
                    _ => backoff.next(),
                };
                delay(ledger, &lane, &passing, wait).await;
            }
        }
    }
}

/// Waits, and tells all who wait for a message why there is none, also those that come meanwhile.
async fn delay(ledger: &Ledger, lane: &Lane, why: &CallError, wait: Duration) {
    let reason = format!("approvers could not be asked: {}", chain(why));
    let mut pause = std::pin::pin!(tokio::time::sleep(wait));
    loop {
        for id in unposted(ledger, &lane.channel) {
            ledger.trouble(id, &reason, why.is_outage());
        }
        tokio::select! {
            () = &mut pause => return,
            () = lane.post.notified() => {}
        }
    }
}

/// The refusal of Slack to show the channel, or who the approvers are, if it refused that before and
/// still does.
async fn readable(workspace: &Workspace, channel: &str) -> Result<(), CallError> {
    let client = &workspace.client;
    workspace.directory.listed(client).await?;
    let Some(id) = workspace.directory.known_channel(channel) else {
        return Ok(());
    };
    if !client.faults.is_refused(HISTORY, Some(&id)) {
        return Ok(());
    }
    match read_one(client, &id).await {
        Err(error) if error.is_final() => Err(error),
        _ => Ok(()),
    }
}

/// The oldest approval of this channel that has no message yet, and whether one may have been posted.
fn next(ledger: &Ledger, channel: &str) -> Option<(Record, bool)> {
    let table = ledger.table();
    let record = table
        .records()
        .filter(|record| {
            record.state == State::Pending && record.message.is_none() && record.channel == channel
        })
        .min_by_key(|record| (record.created_ms, record.id))?
        .clone();
    let maybe_asked = table.get(record.id).is_some_and(|entry| entry.maybe_asked);
    Some((record, maybe_asked))
}

/// Approvals of this channel that have no message yet.
fn unposted(ledger: &Ledger, channel: &str) -> Vec<Id> {
    let table = ledger.table();
    let records = table.records().filter(|record| {
        record.state == State::Pending && record.message.is_none() && record.channel == channel
    });
    records.map(|record| record.id).collect()
}

async fn ask(
    workspace: &Workspace,
    record: &Record,
    maybe_asked: bool,
) -> Result<MessageRef, CallError> {
    let ledger = &workspace.ledger;
    if maybe_asked {
        if let Some(found) = find(workspace, record).await? {
            ledger.counts.found_posted.add(1);
            // Its answer was lost, but the question was posted, so that fault is over.
            let faults = &workspace.client.faults;
            faults.note(POST, Some(&record.channel), None);
            return Ok(found);
        }
        set_maybe_asked(ledger, record.id, false);
    }
    let mut body = message::render(record, FRESH, &workspace.settings);
    body["channel"] = Value::from(record.channel.as_str());
    // Set before the call, so that it stays set if the call is cut off.
    set_maybe_asked(ledger, record.id, true);
    let result = workspace
        .client
        .write(POST, &body)
        .await
        .and_then(|answer| {
            let named = answer.read::<Posted<'_>>()?.message();
            named.ok_or(CallError::Lost(Loss::NoMessage))
        });
    match &result {
        Ok(_) => ledger.counts.posted.add(1),
        // The message may be in the channel, so the next attempt searches for it first.
        Err(CallError::Lost(_)) => {}
        // Rate limited, unreachable or refused: nothing was posted.
        Err(_) => set_maybe_asked(ledger, record.id, false),
    }
    result
}

fn set_maybe_asked(ledger: &Ledger, id: Id, maybe_asked: bool) {
    if let Some(entry) = ledger.table().get_mut(id) {
        entry.maybe_asked = maybe_asked;
    }
}

/// This program's message about the approval, if it is in the channel.
async fn find(workspace: &Workspace, record: &Record) -> Result<Option<MessageRef>, CallError> {
    let (client, directory) = (&workspace.client, &workspace.directory);
    let me = directory.me(client).await?;
    let channel = directory.channel(client, &record.channel).await?;
    let oldest = seconds(record.created_ms.saturating_sub(CLOCK_SKEW_MS));
    let parameters = [
        ("channel", channel.as_str()),
        ("oldest", oldest.as_str()),
        ("inclusive", "true"),
        ("include_all_metadata", "true"),
        ("limit", PAGE_LIMIT),
    ];
    let mut pages = client.pages(HISTORY, &parameters, SEARCH_PAGES_MAX);
    while let Some(answer) = pages.next().await? {
        let page: History<'_> = answer.read()?;
        let is_ours = |said: &&Said<'_>| is_ts(&said.ts.0) && is_about(said, record.id, me);
        if let Some(said) = page.messages.iter().find(is_ours) {
            let id = said.ts.0.to_string();
            return Ok(Some(MessageRef { channel, id }));
        }
        pages.follow(page.next()?);
    }
    if !pages.is_cut_off() {
        return Ok(None);
    }
    // Not found is no proof here: posting could ask twice, so the approval fails.
    Err(CallError::Refused(Refusal::Search))
}

/// Whether a message is the bot's and about this approval. Anyone can attach the same metadata to a
/// message, so the author is checked too.
fn is_about(said: &Said<'_>, id: Id, me: &Me) -> bool {
    let mark = said
        .metadata
        .map(|raw| read::<Mark<'_>>(raw.get().as_bytes()));
    let Some(Ok(mark)) = mark else {
        return false;
    };
    let marked = mark.event_type.0 == message::EVENT_TYPE
        && mark.event_payload.approval_id.0 == id.to_string();
    let is =
        |text: &Option<Text<'_>>, known: &str| text.as_ref().is_some_and(|text| text.0 == known);
    let by_bot = me.bot.as_ref().is_some_and(|bot| is(&said.bot_id, bot));
    marked && (is(&said.user, &me.user) || by_bot)
}

/// Formats milliseconds since the Unix epoch as Slack's timestamps are: seconds, six decimals.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}000", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_our_own_message_about_the_approval_counts() {
        let (id, other) = (Id::random().unwrap(), Id::random().unwrap());
        let me = Me {
            user: "UBOT".to_owned(),
            bot: Some("B1".to_owned()),
            team: None,
        };
        let is_about = |message: &Value, id: Id, me: &Me| {
            let text = message.to_string();
            is_about(&serde_json::from_str(&text).unwrap(), id, me)
        };
        let message = |user: &str, bot: &str, about: Id| {
            json!({
                "user": user, "bot_id": bot, "ts": "1.0",
                "metadata": {
                    "event_type": message::EVENT_TYPE,
                    "event_payload": {"approval_id": about.to_string()},
                },
            })
        };
        assert!(is_about(&message("UBOT", "B9", id), id, &me));
        assert!(is_about(&message("U9", "B1", id), id, &me));
        assert!(!is_about(&message("U9", "B9", id), id, &me));
        assert!(!is_about(&message("UBOT", "B1", other), id, &me));
        assert!(!is_about(
            &json!({"user": "UBOT", "ts": "1.0", "text": id.to_string()}),
            id,
            &me
        ));
    }

    #[test]
    fn times_are_in_seconds() {
        assert_eq!(seconds(1_785_229_500_042), "1785229500.042000");
    }
}
