//! The part of the configuration that says how humans approve calls.
//!
//! Shapes and defaults only; `approvals.rs` turns them into the approvals' own settings.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thoughtgate_approval::{Secret, Settings, SlackSettings, StoreLocation};

use super::duration;

/// The name of an approval store that forgets everything at a restart.
pub const MEMORY: &str = "memory";

/// How humans approve calls; configured once `slack` has a token.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// File that open approvals are kept in, or `memory`.
    pub store: PathBuf,
    /// To decide.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// From the decision to the call.
    #[serde(with = "duration")]
    pub approved_for: Duration,
    /// How long an ended approval can be asked about.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long a call is held before its client is asked to come back.
    #[serde(with = "duration")]
    pub hold: Duration,
    /// Between signs of life on a held call.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// Approvals open at once.
    pub open: usize,
    /// Approvals of one agent open at once.
    pub open_per_agent: usize,
    /// Bytes of all approvals that are kept, with the calls and results of tasks.
    pub kept_bytes: usize,
    /// Arguments that approvers do not see: keys, JSON pointers, or `all`; common names of secrets
    /// when absent.
    pub redact: Option<Vec<String>>,
    /// Where approvers are asked.
    pub slack: Slack,
}

/// How Slack is reached, and who may approve there.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slack {
    /// Bot token.
    pub token: Option<String>,
    /// File with the bot token.
    pub token_file: Option<PathBuf>,
    /// Where the Web API is.
    pub base_url: String,
    /// Channel to ask in when the policy names none.
    pub channel: Option<String>,
    /// Ids of the users and user groups that may decide.
    pub approvers: Vec<String>,
    /// Reactions that approve.
    pub approve_reactions: Vec<String>,
    /// Reactions that deny.
    pub deny_reactions: Vec<String>,
    /// Between reads of a channel with pending approvals.
    #[serde(with = "duration")]
    pub poll_interval: Duration,
    /// Between two messages in one channel.
    #[serde(with = "duration")]
    pub post_interval: Duration,
    /// For each call to Slack.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Signing secret; adds buttons.
    pub signing_secret: Option<String>,
    /// File with the signing secret.
    pub signing_secret_file: Option<PathBuf>,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token and the secret must not reach a log.
        formatter
            .debug_struct("Slack")
            .field("base_url", &self.base_url)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Approval {
    /// Whether there is a channel on which approvals can be asked.
    pub fn is_configured(&self) -> bool {
        self.slack.token.is_some() || self.slack.token_file.is_some()
    }
}

/// Defaults are the approvals' own, so that they are told once.
impl Default for Approval {
    fn default() -> Approval {
        let slack = SlackSettings::new(Secret::new(""), "");
        let settings = Settings::new(StoreLocation::Memory, slack);
        Approval {
            store: PathBuf::from(MEMORY),
            timeout: settings.timeout,
            approved_for: settings.approved_for,
            retention: settings.retention,
            // The SDKs' clients end a call after a minute, and come back ten times at most: this
            // leaves a human nine minutes.
            hold: Duration::from_secs(50),
            keep_alive: Duration::from_secs(15),
            open: settings.open_max,
            open_per_agent: settings.open_per_principal_max,
            kept_bytes: settings.kept_bytes_max,
            redact: None,
            slack: Slack::from(settings.slack),
        }
    }
}

impl Default for Slack {
    fn default() -> Slack {
        Approval::default().slack
    }
}

impl From<SlackSettings> for Slack {
    fn from(settings: SlackSettings) -> Slack {
        Slack {
            token: None,
            token_file: None,
            base_url: settings.base_url,
            channel: None,
            approvers: settings.approvers,
            approve_reactions: settings.approve_reactions,
            deny_reactions: settings.deny_reactions,
            poll_interval: settings.poll_interval,
            post_interval: settings.post_interval,
            timeout: settings.call_timeout,
            signing_secret: None,
            signing_secret_file: None,
        }
    }
}
