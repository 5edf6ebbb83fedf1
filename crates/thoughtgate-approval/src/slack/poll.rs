//! Listens: reads a channel's recent messages with their reactions, one call per interval however
//! many approvals wait for a decision or for their call, and none while none does. What the votes
//! mean is judged in `judge.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::Lane;
use super::client::CallError;
use super::directory::next_cursor;
use super::judge::judge;
use super::post::RETRY_MAX;
use crate::backoff::Backoff;
use crate::core::Core;
use crate::ids::Id;
use crate::record::{Message, State};

/// Pages of history per interval. What lies further back is asked for by itself.
const PAGES_MAX: usize = 3;

/// Messages that are asked for by themselves, per interval.
const STRAGGLERS_MAX: usize = 5;

pub(super) async fn run(core: Arc<Core>, lane: Arc<Lane>) {
    let settings = &core.desk.settings;
    let mut backoff = Backoff::new(settings.poll_interval.saturating_mul(2), RETRY_MAX);
    let mut round = 0;
    loop {
        if open(&core, &lane.channel).is_empty() {
            lane.poll.notified().await;
            continue;
        }
        let wait = if backoff.attempts() == 0 {
            settings.poll_interval
        } else {
            backoff.next()
        };
        tokio::time::sleep(wait).await;
        match poll(&core, &lane.channel, round).await {
            Ok(()) => backoff.reset(),
            Err(CallError::Limited(wait)) => tokio::time::sleep(wait).await,
            Err(_) if backoff.attempts() == 0 => {
                backoff.next();
            }
            Err(_) => {}
        }
        round += 1;
    }
}

/// Messages in this channel whose votes count, oldest first: until the call is made, a yes can be
/// taken back.
fn open(core: &Core, channel: &str) -> Vec<(Id, Message)> {
    let book = core.book();
    let counts = |state| matches!(state, State::Pending | State::Approved);
    let waiting = book
        .records()
        .filter(|record| counts(record.state) && record.channel == channel);
    let mut open: Vec<(Id, Message)> = waiting
        .filter_map(|record| Some((record.id, record.message.clone()?)))
        .collect();
    open.sort_unstable_by_key(|(_, message)| ts_key(&message.ts));
    open
}

/// Seconds and microseconds as numbers: text would sort `9.1` after `10.1`.
fn ts_key(ts: &str) -> (u64, u64) {
    let (seconds, micros) = ts.split_once('.').unwrap_or((ts, "0"));
    (seconds.parse().unwrap_or(0), micros.parse().unwrap_or(0))
}

async fn poll(core: &Core, channel: &str, round: usize) -> Result<(), CallError> {
    let open = open(core, channel);
    let Some((_, oldest)) = open.first() else {
        return Ok(());
    };
    core.counts.polls.add(1);
    let began = Instant::now();
    let seen = history(core, oldest, &open).await?;
    let mut missing = Vec::new();
    for (id, message) in &open {
        match seen.get(&message.ts) {
            Some(reactions) if is_complete(reactions) => judge(core, *id, reactions, began).await?,
            // Too far back, deleted, or with more people than a page of history lists.
            _ => missing.push((*id, message)),
        }
    }
    let start = if missing.is_empty() {
        0
    } else {
        round * STRAGGLERS_MAX % missing.len()
    };
    for (id, message) in missing
        .iter()
        .cycle()
        .skip(start)
        .take(STRAGGLERS_MAX.min(missing.len()))
    {
        straggler(core, *id, message).await?;
    }
    Ok(())
}

/// The reactions of the channel's messages since the oldest open one, by `ts`.
async fn history(
    core: &Core,
    oldest: &Message,
    open: &[(Id, Message)],
) -> Result<HashMap<String, Value>, CallError> {
    let mut seen = HashMap::new();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let mut parameters = vec![
            ("channel", oldest.channel.as_str()),
            ("oldest", oldest.ts.as_str()),
            ("inclusive", "true"),
            ("include_all_metadata", "true"),
            ("limit", "200"),
        ];
        if !cursor.is_empty() {
            parameters.push(("cursor", cursor.as_str()));
        }
        let mut answer = core
            .desk
            .client
            .read("conversations.history", &parameters)
            .await?;
        cursor = next_cursor(&answer);
        if let Some(messages) = answer["messages"].as_array_mut() {
            for message in messages {
                if let Some(ts) = message["ts"].as_str() {
                    let ts = ts.to_owned();
                    seen.insert(ts, message["reactions"].take());
                }
            }
        }
        if cursor.is_empty()
            || open
                .iter()
                .all(|(_, message)| seen.contains_key(&message.ts))
        {
            break;
        }
    }
    Ok(seen)
}

/// Whether every reaction names everyone who gave it.
fn is_complete(reactions: &Value) -> bool {
    reactions.as_array().into_iter().flatten().all(|reaction| {
        let named = reaction["users"].as_array().map_or(0, Vec::len) as u64;
        reaction["count"].as_u64().unwrap_or(named) <= named
    })
}

/// Reads and judges one message.
pub(super) async fn straggler(core: &Core, id: Id, message: &Message) -> Result<(), CallError> {
    let began = Instant::now();
    let parameters = [
        ("channel", message.channel.as_str()),
        ("timestamp", &message.ts),
        ("full", "true"),
    ];
    match core.desk.client.read("reactions.get", &parameters).await {
        Ok(answer) => judge(core, id, &answer["message"]["reactions"], began).await,
        Err(CallError::Refused(reason)) if reason == "message_not_found" => {
            let reason = "the message that asked was deleted";
            core.retract(id, None, reason);
            core.give_up(id, reason);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shortened_list_of_people_is_noticed() {
        assert!(is_complete(&Value::Null));
        assert!(is_complete(
            &json!([{"name": "x", "users": ["U1"], "count": 1}])
        ));
        assert!(!is_complete(
            &json!([{"name": "x", "users": ["U1"], "count": 2}])
        ));
    }

    #[test]
    fn message_times_compare_as_numbers() {
        assert!(ts_key("999999999.000002") < ts_key("1000000000.000001"));
        assert!(ts_key("1.000001") < ts_key("1.000002"));
    }
}
