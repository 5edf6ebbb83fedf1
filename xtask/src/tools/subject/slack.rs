//! The Slack double `mock-slack`: the messages that were posted to it, with their times of arrival.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::server::Server;
use super::upstream;
use crate::tools::process::{Launch, Stream};

/// The token that calls must carry.
pub const TOKEN: &str = "xoxb-test";

/// A running Slack double; dropping it kills it.
#[derive(Debug)]
pub struct Slack {
    server: Server,
}

/// A message that was posted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Posted {
    /// Arrival of the call, in microseconds since the Unix epoch.
    received_at_us: u64,
    #[serde(rename = "posted")]
    content: Content,
    #[serde(default)]
    reactions: Vec<Reaction>,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Reaction {
    /// Name without colons, such as `white_check_mark`.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Content {
    text: String,
    blocks: Value,
}

impl Slack {
    /// Starts `mock-slack` from the directory of the helper binaries.
    pub fn start(release_dir: &Path) -> anyhow::Result<Slack> {
        let launch = Launch::bare(release_dir.join("mock-slack")).args([
            "--listen",
            "127.0.0.1:0",
            "--token",
            TOKEN,
        ]);
        let announced = upstream::announced;
        let server = Server::start("the Slack double", launch, Stream::Stdout, announced)?;
        Ok(Slack { server })
    }

    /// Base URL of its API, in place of `https://slack.com/api`.
    pub fn url(&self) -> String {
        self.server.url("/api")
    }

    /// Changes its answers, and the decisions of its approvers, from now on.
    pub fn turn(&mut self, knobs: &Value) -> anyhow::Result<()> {
        self.server.turn(knobs)
    }

    /// All messages, in order of arrival.
    pub fn messages(&mut self) -> anyhow::Result<Vec<Posted>> {
        let text = self.server.get_ok("/control/messages")?;
        serde_json::from_str(&text)
            .with_context(|| format!("failed to read the messages of the Slack double: {text:?}"))
    }
}

impl Posted {
    /// Time of arrival, by the clock of the machine.
    pub fn received(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.received_at_us)
    }

    /// Whether a reaction of this name was added to it.
    pub fn has(&self, reaction: &str) -> bool {
        self.reactions.iter().any(|added| added.name == reaction)
    }

    /// Its blocks, as JSON.
    pub fn blocks(&self) -> String {
        self.content.blocks.to_string()
    }

    /// The text that a notification shows.
    pub fn text(&self) -> &str {
        &self.content.text
    }

    /// Whether any of its blocks shows `text`.
    pub fn shows(&self, text: &str) -> bool {
        self.content.blocks.to_string().contains(text)
    }
}
