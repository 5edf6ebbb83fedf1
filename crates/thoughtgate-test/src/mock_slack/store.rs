//! The workspace of the Slack double: its messages, their reactions, its channel names.
//!
//! Knows nothing of HTTP or of how arguments come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::knobs::Decision;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// What a message says; an update replaces it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The text; Slack shows it in notifications when there are blocks.
    pub text: String,
    /// The Block Kit blocks, or `null`.
    pub blocks: Value,
    /// `{"event_type", "event_payload"}`, or `null`.
    pub metadata: Value,
}

/// A message as it was posted, with all that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Id of the channel.
    pub channel: String,
    /// The channel as the poster named it: an id or `#name`.
    pub posted_to: String,
    /// Id of the message in its channel, such as `1732406400.000100`.
    pub ts: String,
    /// The thread that it is in, if any.
    pub thread_ts: Option<String>,
    /// When the call had arrived, in microseconds of Unix time.
    pub received_at_us: u64,
    /// As posted.
    pub posted: Content,
    /// As updated, in order.
    pub updates: Vec<Update>,
    /// The reactions that are there now, in order of their first user.
    pub reactions: Vec<Reaction>,
}

/// One `chat.update`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// When the call had arrived, in microseconds of Unix time.
    pub received_at_us: u64,
    /// The new content; what the call left out is as before.
    #[serde(flatten)]
    pub content: Content,
}

/// All users that reacted in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Name without colons.
    pub name: String,
    /// User ids in order.
    pub users: Vec<String>,
    /// Their number.
    pub count: usize,
}

impl Message {
    /// What it says now.
    #[must_use]
    pub fn content(&self) -> &Content {
        self.updates
            .last()
            .map_or(&self.posted, |update| &update.content)
    }

    /// As the API shows it.
    pub(super) fn shown(&self, bot_user: &str, with_metadata: bool) -> Map<String, Value> {
        let content = self.content();
        let mut shown = Map::from_iter([
            ("type".to_owned(), json!("message")),
            ("user".to_owned(), json!(bot_user)),
            ("bot_id".to_owned(), json!("B0MOCK")),
            ("app_id".to_owned(), json!("A0MOCK")),
            ("team".to_owned(), json!("T0MOCK")),
            ("ts".to_owned(), json!(self.ts)),
            ("text".to_owned(), json!(content.text)),
        ]);
        if let Some(thread) = &self.thread_ts {
            shown.insert("thread_ts".to_owned(), json!(thread));
        }
        if !content.blocks.is_null() {
            shown.insert("blocks".to_owned(), content.blocks.clone());
        }
        if with_metadata && !content.metadata.is_null() {
            shown.insert("metadata".to_owned(), content.metadata.clone());
        }
        if let Some(update) = self.updates.last() {
            let ts = format_ts(update.received_at_us);
            shown.insert("edited".to_owned(), json!({ "user": bot_user, "ts": ts }));
        }
        if !self.reactions.is_empty() {
            shown.insert("reactions".to_owned(), json!(self.reactions));
        }
        shown
    }
}

/// Everything that was said.
#[derive(Debug, Default)]
pub(super) struct Store {
    messages: Vec<Stored>,
    channels: BTreeMap<String, String>,
    last_ts_us: u64,
}

#[derive(Debug)]
struct Stored {
    message: Message,
    /// In order of arrival; some may lie in the future.
    reacted: Vec<Reacted>,
}

#[derive(Debug)]
struct Reacted {
    from: Instant,
    user: String,
    name: String,
}

impl Store {
    /// Adds a message, with the reaction that is decided beforehand.
    pub(super) fn post(
        &mut self,
        posted_to: &str,
        thread_ts: Option<String>,
        posted: Content,
        decision: Option<&Decision>,
    ) -> Message {
        let received_at_us = now_us();
        // Two messages of a channel never share a ts.
        self.last_ts_us = received_at_us.max(self.last_ts_us + 1);
        let message = Message {
            channel: self.channel_id(posted_to),
            posted_to: posted_to.to_owned(),
            ts: format_ts(self.last_ts_us),
            thread_ts,
            received_at_us,
            posted,
            updates: Vec::new(),
            reactions: Vec::new(),
        };
        let reacted = decision.into_iter().map(|decision| Reacted {
            from: Instant::now() + Duration::from_millis(decision.after_ms),
            user: decision.user.clone(),
            name: decision.reaction.clone(),
        });
        self.messages.push(Stored {
            message: message.clone(),
            reacted: reacted.collect(),
        });
        message
    }

    /// Replaces what a message says; `change` gets what it said. `None`: no such message.
    pub(super) fn update(
        &mut self,
        channel: &str,
        ts: &str,
        change: impl FnOnce(&Content) -> Content,
    ) -> Option<Message> {
        let stored = self.find(channel, ts)?;
        let content = change(stored.message.content());
        stored.message.updates.push(Update {
            received_at_us: now_us(),
            content,
        });
        Some(stored.shown_now())
    }

    /// The message with this `ts` in this channel.
    pub(super) fn message(&mut self, channel: &str, ts: &str) -> Option<Message> {
        self.find(channel, ts).map(|stored| stored.shown_now())
    }

    /// All messages, in order of arrival.
    pub(super) fn messages(&self) -> Vec<Message> {
        self.messages.iter().map(Stored::shown_now).collect()
    }

    /// Adds a reaction, in any channel. An error is Slack's code.
    pub(super) fn react(&mut self, ts: &str, user: &str, name: &str) -> Result<(), &'static str> {
        let stored = self
            .messages
            .iter_mut()
            .find(|stored| stored.message.ts == ts);
        let stored = stored.ok_or("message_not_found")?;
        let name = name.trim_matches(':');
        let same = |reacted: &Reacted| reacted.user == user && reacted.name == name;
        if stored.reacted.iter().any(same) {
            return Err("already_reacted");
        }
        stored.reacted.push(Reacted {
            from: Instant::now(),
            user: user.to_owned(),
            name: name.to_owned(),
        });
        Ok(())
    }

    /// Takes a reaction back. An error is Slack's code.
    pub(super) fn unreact(&mut self, ts: &str, user: &str, name: &str) -> Result<(), &'static str> {
        let stored = self
            .messages
            .iter_mut()
            .find(|stored| stored.message.ts == ts);
        let stored = stored.ok_or("message_not_found")?;
        let before = stored.reacted.len();
        let name = name.trim_matches(':');
        stored
            .reacted
            .retain(|reacted| reacted.user != user || reacted.name != name);
        if stored.reacted.len() == before {
            return Err("no_reaction");
        }
        Ok(())
    }

    /// The id of a channel given as id or as `#name`; names get an id when first heard.
    fn channel_id(&mut self, channel: &str) -> String {
        if is_channel_id(channel) {
            return channel.to_owned();
        }
        let name = channel.trim_start_matches('#');
        let next = self.channels.len() + 1;
        let id = self.channels.entry(name.to_owned());
        id.or_insert_with(|| format!("C{next:010}")).clone()
    }

    fn find(&mut self, channel: &str, ts: &str) -> Option<&mut Stored> {
        let mut messages = self.messages.iter_mut();
        messages.find(|stored| stored.message.channel == channel && stored.message.ts == ts)
    }
}

impl Stored {
    /// With the reactions that are there by now.
    fn shown_now(&self) -> Message {
        let now = Instant::now();
        let mut message = self.message.clone();
        let mut visible: Vec<_> = self.reacted.iter().collect();
        visible.retain(|reacted| reacted.from <= now);
        visible.sort_by_key(|reacted| reacted.from);
        for reacted in visible {
            let same_name = message
                .reactions
                .iter_mut()
                .find(|reaction| reaction.name == reacted.name);
            if let Some(reaction) = same_name {
                reaction.users.push(reacted.user.clone());
                reaction.count += 1;
            } else {
                message.reactions.push(Reaction {
                    name: reacted.name.clone(),
                    users: vec![reacted.user.clone()],
                    count: 1,
                });
            }
        }
        message
    }
}

/// Whether `channel` is an id (`C0123ABCD`), which is all that most methods accept.
pub(super) fn is_channel_id(channel: &str) -> bool {
    let mut bytes = channel.bytes();
    matches!(bytes.next(), Some(b'C' | b'D' | b'G'))
        && channel.len() >= 2
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A `ts`, or a time without fraction, in microseconds.
pub(super) fn parse_ts(ts: &str) -> Option<u64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let seconds: u64 = seconds.parse().ok()?;
    let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(micros)
}

fn format_ts(micros: u64) -> String {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    format!("{seconds}.{fraction:06}")
}

fn now_us() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |time| {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    })
}
