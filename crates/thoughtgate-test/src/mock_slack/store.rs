//! The workspace of the Slack double: messages, reactions, names of channels.
//!
//! Does not know HTTP or the encoding of arguments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::knobs::Decision;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// The content of a message, which an update replaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The text. For a message with blocks, Slack shows it only in notifications.
    pub text: String,
    /// The Block Kit blocks, or `null`.
    pub blocks: Value,
    /// `{"event_type", "event_payload"}`, or `null`.
    pub metadata: Value,
}

/// A posted message, with its updates and reactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Id of the channel.
    pub channel: String,
    /// The channel in the call: an id or `#name`.
    pub posted_to: String,
    /// Id of the message in its channel, such as `1732406400.000100`.
    pub ts: String,
    /// `ts` of the thread that the message is in.
    pub thread_ts: Option<String>,
    /// Time at which the call had arrived, in microseconds of Unix time.
    pub received_at_us: u64,
    /// The content as posted.
    pub posted: Content,
    /// Updates, in order.
    pub updates: Vec<Update>,
    /// Current reactions, in the order of their first user.
    pub reactions: Vec<Reaction>,
}

/// One `chat.update`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Time at which the call had arrived, in microseconds of Unix time.
    pub received_at_us: u64,
    /// The new content; parts that the call left out are unchanged.
    #[serde(flatten)]
    pub content: Content,
}

/// A reaction of one or more users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Name without colons.
    pub name: String,
    /// Ids of the users, in the order in which they reacted.
    pub users: Vec<String>,
    /// Number of users.
    pub count: usize,
}

impl Message {
    /// The current content.
    #[must_use]
    pub fn content(&self) -> &Content {
        self.updates
            .last()
            .map_or(&self.posted, |update| &update.content)
    }

    /// The message in the form of the API.
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

/// All messages and channel names.
#[derive(Debug)]
pub(super) struct Store {
    messages: Vec<Stored>,
    /// Ids of channels by name.
    channels: BTreeMap<String, String>,
    last_ts_us: u64,
}

#[derive(Debug)]
struct Stored {
    message: Message,
    /// Reactions in the order in which they were added; some may take effect in the future.
    reacted: Vec<Reacted>,
}

#[derive(Debug)]
struct Reacted {
    from: Instant,
    user: String,
    name: String,
}

impl Default for Store {
    /// No message, and the channel that every workspace has.
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            channels: BTreeMap::from([("general".to_owned(), "C0GENERAL".to_owned())]),
            last_ts_us: 0,
        }
    }
}

impl Store {
    /// Adds a message, with the automatic reaction `decision`.
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

    /// Updates a message with the result of `change`, which gets the old content. `None` if there is no
    /// such message.
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

    /// Names and ids of the channels that have a name, sorted by name.
    pub(super) fn channels(&self) -> impl Iterator<Item = (&String, &String)> {
        self.channels.iter()
    }

    /// Deletes a message of any channel. An error is one of Slack's error codes.
    pub(super) fn delete(&mut self, ts: &str) -> Result<(), &'static str> {
        let before = self.messages.len();
        self.messages.retain(|stored| stored.message.ts != ts);
        if self.messages.len() == before {
            return Err("message_not_found");
        }
        Ok(())
    }

    /// Adds a reaction to a message of any channel. An error is one of Slack's error codes.
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

    /// Removes a reaction from a message of any channel. An error is one of Slack's error codes.
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

    /// The id of a channel given as id or as `#name`; a new name gets an id.
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
    /// The message with the reactions that have taken effect by now.
    fn shown_now(&self) -> Message {
        let now = Instant::now();
        let mut message = self.message.clone();
        let mut visible: Vec<_> = self.reacted.iter().collect();
        visible.retain(|reacted| reacted.from <= now);
        // An automatic reaction may take effect after one that was added later.
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

/// Whether `channel` is an id (`C0123ABCD`); most methods do not accept names.
pub(super) fn is_channel_id(channel: &str) -> bool {
    let mut bytes = channel.bytes();
    matches!(bytes.next(), Some(b'C' | b'D' | b'G'))
        && channel.len() >= 2
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Parses a `ts`, or a time in whole seconds, to microseconds.
pub(super) fn parse_ts(ts: &str) -> Option<u64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let seconds: u64 = seconds.parse().ok()?;
    // Padded on the right, since a fraction of `.1` is 100 000 microseconds.
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
