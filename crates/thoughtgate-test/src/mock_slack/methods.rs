//! The methods of Slack's Web API that approvals use, with Slack's own error codes.
//!
//! Arguments and workspace in, JSON out. Scopes and membership are checked before: see `access`. Slack's
//! own rate limits are not modelled; the knobs can simulate them.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::knobs::Knobs;
use super::store::{Content, Message, Store, is_channel_id, parse_ts};

/// The method that posts a message.
pub(super) const POST_MESSAGE: &str = "chat.postMessage";

// Limits that Slack documents for messages and for `conversations.history`.
const MAX_BLOCKS: usize = 50;
const MAX_SECTION_TEXT_CHARS: usize = 3_000;
const MAX_HEADER_TEXT_CHARS: usize = 150;
const MAX_TEXT_CHARS: usize = 40_000;
const DEFAULT_HISTORY_LIMIT: usize = 100;
const MAX_HISTORY_LIMIT: usize = 999;

/// The fields besides `ok`, or Slack's error code.
pub(super) type Answer = Result<Map<String, Value>, &'static str>;

/// One call, with the state that it reads and changes.
pub(super) struct Call<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) store: &'a mut Store,
    pub(super) knobs: &'a Knobs,
    pub(super) bot_user: &'a str,
}

impl Call<'_> {
    /// Answers `method`.
    pub(super) fn answer(&mut self, method: &str) -> Answer {
        match method {
            "api.test" => Ok(Map::new()),
            "auth.test" => Ok(self.auth_test()),
            POST_MESSAGE => self.post_message(),
            "chat.update" => self.update(),
            "conversations.history" => self.history(),
            "conversations.list" => Ok(self.channels()),
            "reactions.get" => self.reactions(),
            "reactions.add" => self.react(Store::react),
            "reactions.remove" => self.react(Store::unreact),
            "usergroups.users.list" => self.usergroup_members(),
            "users.info" => self.user(),
            // Socket Mode needs an app-level token, which a bot token is not.
            "apps.connections.open" => Err("not_allowed_token_type"),
            _ => Err("unknown_method"),
        }
    }

    fn auth_test(&self) -> Map<String, Value> {
        fields(json!({
            "url": "https://mock.slack.com/",
            "team": "Mock",
            "user": "thoughtgate",
            "team_id": "T0MOCK",
            "user_id": self.bot_user,
            "bot_id": "B0MOCK",
            "is_enterprise_install": false,
        }))
    }

    fn post_message(&mut self) -> Answer {
        let channel = self.arguments.text("channel").ok_or("channel_not_found")?;
        let content = self.content(&Content::default())?;
        let thread = self.arguments.text("thread_ts");
        let decision = self.knobs.decision.as_ref();
        let message = self.store.post(&channel, thread, content, decision);
        Ok(self.told(&message))
    }

    fn update(&mut self) -> Answer {
        let channel = self.channel_id()?;
        let ts = self.arguments.text("ts").ok_or("message_not_found")?;
        let before = self
            .store
            .message(&channel, &ts)
            .ok_or("message_not_found")?;
        let content = self.content(before.content())?;
        let message = self.store.update(&channel, &ts, |_| content);
        let message = message.ok_or("message_not_found")?;
        let mut told = self.told(&message);
        told.insert("text".to_owned(), json!(message.content().text));
        Ok(told)
    }

    fn history(&mut self) -> Answer {
        let channel = self.channel_id()?;
        let bound = |name: &str| match self.arguments.text(name) {
            None => Ok(None),
            Some(ts) => parse_ts(&ts).map(Some).ok_or("invalid_arguments"),
        };
        let oldest = bound("oldest")?.unwrap_or(0);
        let latest = bound("latest")?.unwrap_or(u64::MAX);
        let cursor = bound("cursor")
            .map_err(|_| "invalid_cursor")?
            .unwrap_or(u64::MAX);
        let limit = match self.arguments.text("limit") {
            None => DEFAULT_HISTORY_LIMIT,
            Some(limit) => limit.parse().map_err(|_| "invalid_limit")?,
        };
        let limit = limit.clamp(1, MAX_HISTORY_LIMIT);
        let limit = match self.knobs.page_size {
            0 => limit,
            size => limit.min(size),
        };
        let inclusive = self.arguments.is_true("inclusive");
        let in_range = |message: &Message| {
            let ts = parse_ts(&message.ts).unwrap_or(0);
            let within = oldest < ts && ts < latest;
            let on_edge = inclusive && (ts == oldest || ts == latest);
            // Answers in threads are not in the history of the channel.
            message.thread_ts.is_none() && (within || on_edge) && ts < cursor
        };
        let mut messages = self.store.messages();
        messages.retain(|message| message.channel == channel && in_range(message));
        // Slack lists the newest message first.
        messages.reverse();
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        let with_metadata = self.arguments.is_true("include_all_metadata");
        let shown: Vec<_> = messages
            .iter()
            .map(|message| message.shown(self.bot_user, with_metadata))
            .collect();
        let mut answer = fields(json!({
            "messages": shown,
            "has_more": has_more,
            "pin_count": 0,
        }));
        if let (true, Some(last)) = (has_more, messages.last()) {
            let next = json!({ "next_cursor": last.ts });
            answer.insert("response_metadata".to_owned(), next);
        }
        Ok(answer)
    }

    /// The channels that have a name, all on one page.
    fn channels(&self) -> Map<String, Value> {
        let channels: Vec<_> = self
            .store
            .channels()
            .map(|(name, id)| json!({ "id": id, "name": name, "is_channel": true }))
            .collect();
        fields(json!({
            "channels": channels,
            "response_metadata": { "next_cursor": "" },
        }))
    }

    fn reactions(&mut self) -> Answer {
        let channel = self.arguments.text("channel").ok_or("no_item_specified")?;
        let ts = self.arguments.text("timestamp").ok_or("bad_timestamp")?;
        let message = self
            .store
            .message(&channel, &ts)
            .ok_or("message_not_found")?;
        Ok(fields(json!({
            "type": "message",
            "channel": channel,
            "message": message.shown(self.bot_user, false),
        })))
    }

    fn react(
        &mut self,
        change: fn(&mut Store, &str, &str, &str) -> Result<(), &'static str>,
    ) -> Answer {
        let channel = self.channel_id()?;
        let ts = self.arguments.text("timestamp").ok_or("bad_timestamp")?;
        let name = self.arguments.text("name").ok_or("invalid_name")?;
        self.store
            .message(&channel, &ts)
            .ok_or("message_not_found")?;
        change(self.store, &ts, self.bot_user, &name)?;
        Ok(Map::new())
    }

    fn usergroup_members(&self) -> Answer {
        let group = self
            .arguments
            .text("usergroup")
            .ok_or("invalid_arguments")?;
        let members = self.knobs.usergroups.get(&group).ok_or("no_such_subteam")?;
        Ok(fields(json!({ "users": members })))
    }

    fn user(&self) -> Answer {
        let user = self.arguments.text("user").ok_or("user_not_found")?;
        let is_bot = user == self.bot_user;
        let name = user.to_lowercase();
        Ok(fields(json!({
            "user": {
                "id": user, "team_id": "T0MOCK", "name": name, "real_name": name,
                "is_bot": is_bot, "deleted": false,
            },
        })))
    }

    fn channel_id(&self) -> Result<String, &'static str> {
        let channel = self.arguments.text("channel");
        channel
            .filter(|channel| is_channel_id(channel))
            .ok_or("channel_not_found")
    }

    /// `before` with the parts replaced that the arguments have.
    fn content(&self, before: &Content) -> Result<Content, &'static str> {
        let text = self.arguments.text("text");
        let blocks = self
            .arguments
            .structure("blocks")
            .map_err(|_| "invalid_blocks_format")?;
        if text.is_none() && blocks.is_none() {
            return Err("no_text");
        }
        if text
            .as_ref()
            .is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS)
        {
            return Err("msg_too_long");
        }
        if !blocks.as_ref().is_none_or(blocks_are_valid) {
            return Err("invalid_blocks");
        }
        let metadata = self
            .arguments
            .structure("metadata")
            .map_err(|_| "invalid_metadata_format")?;
        let is_valid = |metadata: &Value| {
            metadata["event_type"].is_string() && metadata["event_payload"].is_object()
        };
        if !metadata.as_ref().is_none_or(is_valid) {
            return Err("invalid_metadata_schema");
        }
        Ok(Content {
            text: text.unwrap_or_else(|| before.text.clone()),
            blocks: blocks.unwrap_or_else(|| before.blocks.clone()),
            metadata: metadata.unwrap_or_else(|| before.metadata.clone()),
        })
    }

    fn told(&self, message: &Message) -> Map<String, Value> {
        fields(json!({
            "channel": message.channel,
            "ts": message.ts,
            "message": message.shown(self.bot_user, true),
        }))
    }
}

fn blocks_are_valid(blocks: &Value) -> bool {
    let Some(blocks) = blocks.as_array() else {
        return false;
    };
    let fits = |text: &Value, limit: usize| {
        let length = text["text"].as_str().map_or(0, |text| text.chars().count());
        (1..=limit).contains(&length)
    };
    let is_valid = |block: &Value| match block["type"].as_str() {
        Some("section") => {
            let fields = block["fields"].as_array();
            let text_fits = fits(&block["text"], MAX_SECTION_TEXT_CHARS);
            text_fits
                || (block["text"].is_null() && fields.is_some_and(|fields| !fields.is_empty()))
        }
        Some("header") => fits(&block["text"], MAX_HEADER_TEXT_CHARS),
        Some(_) => true,
        None => false,
    };
    blocks.len() <= MAX_BLOCKS && blocks.iter().all(is_valid)
}

pub(super) fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
