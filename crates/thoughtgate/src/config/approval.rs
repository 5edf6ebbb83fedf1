//! The configuration's `approval` section.
//!
//! Its settings only; `approvals.rs` checks the values and turns them into settings of
//! `thoughtgate-approval`.

use std::path::PathBuf;
use std::time::Duration;

use thoughtgate_approval::{Secret, Settings, SlackSettings, StoreLocation};

use super::duration;
use super::setting::section;

/// Value of `approval.store` for a store that is lost at a restart.
pub const MEMORY: &str = "memory";

section! {
    /// Settings of approvals, which are enabled by a token in `slack`.
    #[derive(Debug)]
    pub struct Approval {
        /// file that approvals are stored in, or memory (lost at a restart)
        restart store: PathBuf = PathBuf::from(MEMORY),
        /// time limit for an approver to decide
        #[serde(with = "duration")]
        restart timeout: Duration = approvals().timeout,
        /// how long after the approval the call can be made, and a result too large for its stream is kept
        #[serde(with = "duration")]
        restart approved_for: Duration = approvals().approved_for,
        /// how long an approval stays open after its client went away (MCP 2026-07-28) and may come back
        #[serde(with = "duration")]
        restart grace: Duration = approvals().grace,
        /// how long an outage of Slack lasts before it ends the calls that wait for a decision
        #[serde(with = "duration")]
        restart outage: Duration = approvals().outage,
        /// how long a finished approval, or the result of its task, can still be queried
        #[serde(with = "duration")]
        restart retention: Duration = approvals().retention,
        // The SDKs' clients end a call after a minute and retry at most ten times: this leaves an approver
        // about nine minutes.
        /// how long a call is held open before its client is asked to send it again
        #[serde(with = "duration")]
        restart hold: Duration = Duration::from_secs(50),
        /// interval between keep-alive messages on a held call
        #[serde(with = "duration")]
        restart keep_alive: Duration = Duration::from_secs(15),
        /// largest number of open approvals
        restart open: usize = approvals().open_max,
        /// largest number of open approvals of one agent
        restart open_per_agent: usize = approvals().open_per_principal_max,
        /// largest number of bytes of all stored approvals; open ones get half of it, one agent an eighth
        restart kept_bytes: usize = approvals().kept_bytes_max,
        /// arguments hidden from approvers: keys, JSON pointers, or all (default: keys that commonly hold
        /// secrets, such as password and token)
        restart redact: Option<Vec<String>> = None,
        section slack: Slack,
    }
}

section! {
    /// Access to Slack, and the approvers.
    pub struct Slack {
        /// Slack bot token; enables approvals
        restart token: Option<String> = None,
        /// file with the Slack bot token
        restart token_file: Option<PathBuf> = None,
        /// base URL of Slack's Web API
        restart base_url: String = slack().base_url,
        /// Slack channel for approval requests whose policy names none
        restart channel: Option<String> = None,
        /// ids of the Slack users (U…, W…) and user groups (S…) that may approve or deny
        restart approvers: Vec<String> = slack().approvers,
        /// Slack reactions that approve
        restart approve_reactions: Vec<String> = slack().approve_reactions,
        /// Slack reactions that deny
        restart deny_reactions: Vec<String> = slack().deny_reactions,
        /// interval between reads of a channel with pending approvals
        #[serde(with = "duration")]
        restart poll_interval: Duration = slack().poll_interval,
        /// least interval between two messages in one channel
        #[serde(with = "duration")]
        restart post_interval: Duration = slack().post_interval,
        /// time limit for each call to Slack
        #[serde(with = "duration")]
        restart timeout: Duration = slack().call_timeout,
        /// Slack signing secret; enables buttons (set the app's request URL to https://HOST/approval/press)
        restart signing_secret: Option<String> = None,
        /// file with the Slack signing secret
        restart signing_secret_file: Option<PathBuf> = None,
    }
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

/// The defaults of `thoughtgate-approval`, so that each is defined once.
fn approvals() -> Settings {
    Settings::new(StoreLocation::Memory)
}

/// As `approvals`, for Slack.
fn slack() -> SlackSettings {
    SlackSettings::new(Secret::new(""), "")
}
