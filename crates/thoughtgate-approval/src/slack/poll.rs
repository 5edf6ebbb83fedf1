//! Listens: reads a channel's recent messages with their reactions, one call per interval however
//! many approvals are pending, and none while none is. Deny beats approve; people who may not
//! decide are noted and do not count; the bot itself never counts.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::client::CallError;
use super::directory::next_cursor;
use super::post::RETRY_MAX;
use super::{Lane, SlackSettings};
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
    let mut backoff = Backoff::new(settings.poll_interval * 2, RETRY_MAX);
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

/// Messages in this channel that wait for a decision, oldest first.
fn open(core: &Core, channel: &str) -> Vec<(Id, Message)> {
    let book = core.book();
    let waiting = book
        .records()
        .filter(|record| record.state == State::Pending && record.channel == channel);
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
    let seen = history(core, oldest, &open).await?;
    let mut missing = Vec::new();
    for (id, message) in &open {
        match seen.get(&message.ts) {
            Some(reactions) if is_complete(reactions) => judge(core, *id, reactions).await?,
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

async fn straggler(core: &Core, id: Id, message: &Message) -> Result<(), CallError> {
    let parameters = [
        ("channel", message.channel.as_str()),
        ("timestamp", &message.ts),
        ("full", "true"),
    ];
    match core.desk.client.read("reactions.get", &parameters).await {
        Ok(answer) => judge(core, id, &answer["message"]["reactions"]).await,
        Err(CallError::Refused(reason)) if reason == "message_not_found" => {
            core.give_up(id, "the message that asked was deleted");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Who said what, in the order of Slack's list, each person once per side.
#[derive(Debug, Default, PartialEq, Eq)]
struct Votes {
    approve: Vec<String>,
    deny: Vec<String>,
}

fn votes(reactions: &Value, settings: &SlackSettings, me: &str) -> Votes {
    let mut votes = Votes::default();
    for reaction in reactions.as_array().into_iter().flatten() {
        let name = reaction["name"].as_str().unwrap_or_default();
        // A skin tone changes the colour of a vote, not its meaning.
        let name = name.split("::").next().unwrap_or_default();
        let is = |names: &[String]| names.iter().any(|known| known == name);
        let side = if is(&settings.deny_reactions) {
            &mut votes.deny
        } else if is(&settings.approve_reactions) {
            &mut votes.approve
        } else {
            continue;
        };
        for user in reaction["users"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if user != me && !side.iter().any(|known| known == user) {
                side.push(user.to_owned());
            }
        }
    }
    votes
}

/// Decides if somebody did who may. An error leaves it undecided: while it is unknown whether a
/// denial counts, no approval does.
async fn judge(core: &Core, id: Id, reactions: &Value) -> Result<(), CallError> {
    let desk = &core.desk;
    // Nearly every message at nearly every poll: nothing to look up then.
    if votes(reactions, &desk.settings, "") == Votes::default() {
        return Ok(());
    }
    let me = desk.directory.me(&desk.client).await?;
    let votes = votes(reactions, &desk.settings, &me.user);
    let mut strangers = Vec::new();
    for (approve, users) in [(false, votes.deny), (true, votes.approve)] {
        for user in users {
            if desk.directory.allows(&desk.client, &user).await? {
                core.refuse_voters(id, &strangers);
                core.decide(id, approve, &user);
                return Ok(());
            }
            strangers.push(user);
        }
    }
    core.refuse_voters(id, &strangers);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;
    use serde_json::json;

    #[test]
    fn votes_are_read_by_name_whatever_the_skin() {
        let settings = SlackSettings::new(Secret::new("x"), "C1");
        let reactions = json!([
            {"name": "eyes", "users": ["U1"], "count": 1},
            {"name": "+1::skin-tone-3", "users": ["U2", "UBOT"], "count": 2},
            {"name": "white_check_mark", "users": ["U2", "U3"], "count": 2},
            {"name": "x", "users": ["U4"], "count": 1},
        ]);
        let votes = votes(&reactions, &settings, "UBOT");
        assert_eq!(votes.approve, ["U2", "U3"]);
        assert_eq!(votes.deny, ["U4"]);
        assert_eq!(
            super::votes(&Value::Null, &settings, "UBOT"),
            Votes::default()
        );
    }

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
