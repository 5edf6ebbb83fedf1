//! The configuration's `approval` section.
//!
//! Structure and defaults only; `approvals.rs` checks the values and turns them into settings of
//! `thoughtgate-approval`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thoughtgate_approval::{Secret, Settings, SlackSettings, StoreLocation};

use super::duration;

/// Value of `approval.store` for a store that is lost at a restart.
pub const MEMORY: &str = "memory";

/// Settings of approvals, which are enabled by a token in `slack`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// File that approvals are stored in, or `memory`.
    pub store: PathBuf,
    /// Time for an approver to decide.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Time from the approval to the call; later the approval is void.
    #[serde(with = "duration")]
    pub approved_for: Duration,
    /// How long a finished approval, or the result of its task, can still be queried.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long a call is held open before its client is asked to retry.
    #[serde(with = "duration")]
    pub hold: Duration,
    /// Between two keep-alive messages on a held call.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// Approvals open at once.
    pub open: usize,
    /// Approvals of one agent open at once.
    pub open_per_agent: usize,
    /// Bytes of all stored approvals, with the calls and results of tasks.
    pub kept_bytes: usize,
    /// Arguments hidden from approvers: keys, JSON pointers, or `all`; common names of secrets when
    /// absent.
    pub redact: Option<Vec<String>>,
    pub slack: Slack,
}

/// Access to Slack, and the approvers.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slack {
    /// Bot token.
    pub token: Option<String>,
    /// File with the bot token.
    pub token_file: Option<PathBuf>,
    /// Base URL of Slack's Web API.
    pub base_url: String,
    /// Channel of requests whose policy names none.
    pub channel: Option<String>,
    /// Ids of the users and user groups that may approve or deny.
    pub approvers: Vec<String>,
    /// Reactions that approve.
    pub approve_reactions: Vec<String>,
    /// Reactions that deny.
    pub deny_reactions: Vec<String>,
    /// Between two reads of a channel with pending approvals.
    #[serde(with = "duration")]
    pub poll_interval: Duration,
    /// Least time between two messages in one channel.
    #[serde(with = "duration")]
    pub post_interval: Duration,
    /// Time limit for each call to Slack.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Signing secret; enables buttons.
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
    /// Whether approvals are enabled, which takes a token or a file with one.
    pub fn is_configured(&self) -> bool {
        self.slack.token.is_some() || self.slack.token_file.is_some()
    }
}

/// The defaults are those of `thoughtgate-approval`, so that each is defined once.
impl Default for Approval {
    fn default() -> Approval {
        let settings = Settings::new(StoreLocation::Memory);
        let slack = SlackSettings::new(Secret::new(""), "");
        Approval {
            store: PathBuf::from(MEMORY),
            timeout: settings.timeout,
            approved_for: settings.approved_for,
            retention: settings.retention,
            // The SDKs' clients end a call after a minute and retry at most ten times: this leaves
            // an approver about nine minutes.
            hold: Duration::from_secs(50),
            keep_alive: Duration::from_secs(15),
            open: settings.open_max,
            open_per_agent: settings.open_per_principal_max,
            kept_bytes: settings.kept_bytes_max,
            redact: None,
            slack: Slack::from(slack),
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
