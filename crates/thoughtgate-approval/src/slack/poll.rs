//! Listens: reads a channel's recent messages with their reactions, one call per interval however
//! many approvals wait for a decision or for their call, and none while none does. What the votes
//! mean is judged in `judge.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Lane;
use super::answers::{History, One, Reaction, reactions};
use super::client::CallError;
use super::judge::judge;
use super::post::RETRY_MAX;
use crate::backoff::Backoff;
use crate::core::Core;
use crate::ids::Id;
use crate::record::{Message, State};

/// Messages of one page: a hundred of the largest stay below what an answer may have.
pub(super) const PAGE_LIMIT: &str = "100";

/// Pages of history per interval. What lies further back is asked for by itself.
const PAGES_MAX: usize = 6;

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
    if open.is_empty() {
        return Ok(());
    }
    core.counts.polls.add(1);
    // Too far back, deleted, or with more people than a page of history lists.
    let missing = history(core, &open).await?;
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

/// Judges the messages of `open` that are in the channel's history and whole there; returns the
/// others.
async fn history<'a>(
    core: &Core,
    open: &'a [(Id, Message)],
) -> Result<Vec<&'a (Id, Message)>, CallError> {
    let Some((_, oldest)) = open.first() else {
        return Ok(Vec::new());
    };
    let mut left: HashMap<&str, &(Id, Message)> =
        open.iter().map(|one| (one.1.ts.as_str(), one)).collect();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let mut parameters = vec![
            ("channel", oldest.channel.as_str()),
            ("oldest", oldest.ts.as_str()),
            ("inclusive", "true"),
            ("include_all_metadata", "true"),
            ("limit", PAGE_LIMIT),
        ];
        if !cursor.is_empty() {
            parameters.push(("cursor", cursor.as_str()));
        }
        let began = Instant::now();
        let client = &core.desk.client;
        let answer = client.read("conversations.history", &parameters).await?;
        let page: History<'_> = answer.read()?;
        for said in &page.messages {
            let Some((id, _)) = left.get(said.ts.0.as_ref()) else {
                continue;
            };
            let reactions = reactions(said.reactions)?;
            if is_complete(&reactions) {
                judge(core, *id, &reactions, began).await?;
                left.remove(said.ts.0.as_ref());
            }
        }
        match page.next()? {
            Some(next) if !left.is_empty() => cursor = next,
            _ => break,
        }
    }
    // In the order of `open`, so that each has its turn.
    let is_left = |one: &&(Id, Message)| left.contains_key(one.1.ts.as_str());
    Ok(open.iter().filter(is_left).collect())
}

/// Whether every reaction names everyone who gave it.
fn is_complete(reactions: &[Reaction<'_>]) -> bool {
    reactions.iter().all(|reaction| {
        let named = reaction.users.len() as u64;
        reaction.count.is_none_or(|count| count <= named)
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
        Ok(answer) => {
            let One { message: said } = answer.read()?;
            if said.ts.0 != message.ts {
                return Err(CallError::Lost(
                    "the answer is about another message".to_owned(),
                ));
            }
            judge(core, id, &reactions(said.reactions)?, began).await
        }
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
    use serde_json::value::RawValue;

    #[test]
    fn a_shortened_list_of_people_is_noticed() {
        let is_complete = |json: &str| {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            is_complete(&reactions(Some(raw)).unwrap())
        };
        assert!(is_complete("[]"));
        assert!(is_complete(
            r#"[{"name": "x", "users": ["U1"], "count": 1}]"#
        ));
        assert!(!is_complete(
            r#"[{"name": "x", "users": ["U1"], "count": 2}]"#
        ));
    }

    #[test]
    fn message_times_compare_as_numbers() {
        assert!(ts_key("999999999.000002") < ts_key("1000000000.000001"));
        assert!(ts_key("1.000001") < ts_key("1.000002"));
    }
}
