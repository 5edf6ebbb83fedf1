//! Asks: posts one message per approval, at Slack's pace, and never a second one for the same
//! approval. `chat.postMessage` cannot be repeated safely, so after an attempt with an unknown end,
//! in this process or a former one, the channel's history is searched for our mark first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answers::{History, Mark, Posted, Said, Text, is_ts, read};
use super::client::CallError;
use super::directory::Me;
use super::poll::PAGE_LIMIT;
use super::{Lane, message};
use crate::backoff::Backoff;
use crate::core::Core;
use crate::ids::Id;
use crate::record::{Face, Message, Record, State};

/// Longest wait between two attempts.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(60);

/// How far before the approval's creation the search begins, for clocks that differ.
const CLOCK_SKEW_MS: u64 = 120_000;

/// Most pages of history that are searched.
const SEARCH_PAGES_MAX: usize = 20;

const FRESH_FACE: Face = Face {
    state: State::Pending,
    noted: false,
    late: false,
};

pub(super) async fn run(core: Arc<Core>, lane: Arc<Lane>) {
    let settings = &core.desk.settings;
    let mut backoff = Backoff::new(settings.retry_first, RETRY_MAX);
    loop {
        let Some((record, maybe_asked)) = next(&core, &lane.channel) else {
            lane.post.notified().await;
            continue;
        };
        // Nobody is asked about what a crash could make us forget.
        if core.store.submit(Vec::new()).done().await.is_err() {
            tokio::time::sleep(backoff.next()).await;
            continue;
        }
        let began = Instant::now();
        match ask(&core, &record, maybe_asked).await {
            Ok(sent) => {
                backoff.reset();
                core.desk.directory.learn(&lane.channel, &sent.channel);
                // One that is found may have votes already.
                let unread = (!maybe_asked).then_some(began);
                core.set_message(record.id, sent, FRESH_FACE, unread);
                tokio::time::sleep(settings.post_interval).await;
            }
            Err(CallError::Refused(reason)) => {
                core.give_up(record.id, &format!("Slack refused: {reason}"));
            }
            Err(CallError::Limited(wait)) => tokio::time::sleep(wait).await,
            Err(CallError::Unreachable(_) | CallError::Lost(_)) => {
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

/// The oldest approval of this channel that nobody was asked about.
fn next(core: &Core, channel: &str) -> Option<(Record, bool)> {
    let book = core.book();
    let record = book
        .records()
        .filter(|record| {
            record.state == State::Pending && record.message.is_none() && record.channel == channel
        })
        .min_by_key(|record| (record.created_ms, record.id))?
        .clone();
    let maybe_asked = book.get(record.id).is_some_and(|entry| entry.maybe_asked);
    Some((record, maybe_asked))
}

async fn ask(core: &Core, record: &Record, maybe_asked: bool) -> Result<Message, CallError> {
    if maybe_asked {
        if let Some(found) = find(core, record).await? {
            core.counts.found_posted.add(1);
            return Ok(found);
        }
        set_maybe_asked(core, record.id, false);
    }
    let mut body = message::render(record, FRESH_FACE, &core.desk.settings);
    body["channel"] = Value::from(record.channel.as_str());
    // Until the answer says otherwise. A call that is cut off leaves it so.
    set_maybe_asked(core, record.id, true);
    let result = core
        .desk
        .client
        .write("chat.postMessage", &body)
        .await
        .and_then(|answer| {
            let named = answer.read::<Posted<'_>>()?.message();
            named.ok_or_else(|| CallError::Lost("the answer names no message".to_owned()))
        });
    match &result {
        Ok(_) => core.counts.posted.add(1),
        Err(CallError::Lost(_)) => {}
        Err(_) => set_maybe_asked(core, record.id, false),
    }
    result
}

fn set_maybe_asked(core: &Core, id: Id, maybe_asked: bool) {
    if let Some(entry) = core.book().get_mut(id) {
        entry.maybe_asked = maybe_asked;
    }
}

/// Our message about this approval, if it is in the channel.
async fn find(core: &Core, record: &Record) -> Result<Option<Message>, CallError> {
    let desk = &core.desk;
    let me = desk.directory.me(&desk.client).await?;
    let channel = desk
        .directory
        .channel(&desk.client, &record.channel)
        .await?;
    let oldest = seconds(record.created_ms.saturating_sub(CLOCK_SKEW_MS));
    let mut cursor = String::new();
    for _ in 0..SEARCH_PAGES_MAX {
        let mut parameters = vec![
            ("channel", channel.as_str()),
            ("oldest", oldest.as_str()),
            ("inclusive", "true"),
            ("include_all_metadata", "true"),
            ("limit", PAGE_LIMIT),
        ];
        if !cursor.is_empty() {
            parameters.push(("cursor", cursor.as_str()));
        }
        let answer = desk
            .client
            .read("conversations.history", &parameters)
            .await?;
        let page: History<'_> = answer.read()?;
        let is_ours = |said: &&Said<'_>| is_ts(&said.ts.0) && is_about(said, record.id, me);
        if let Some(said) = page.messages.iter().find(is_ours) {
            let ts = said.ts.0.to_string();
            return Ok(Some(Message { channel, ts }));
        }
        let Some(next) = page.next()? else {
            return Ok(None);
        };
        cursor = next;
    }
    // Posting on a guess could ask twice; a channel this busy is worth an error.
    Err(CallError::Refused(
        "the channel is too busy to tell whether it was asked".to_owned(),
    ))
}

/// Whether a message of the channel is ours and about this approval. Anyone may write our mark
/// under a message of theirs, so the author counts too.
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

/// Slack's notion of time.
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
