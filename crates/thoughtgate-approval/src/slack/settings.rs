//! Settings of Slack and their checks. Reads no file and opens no connection.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;

use super::error::SettingsError;
use super::ids::{is_channel, is_person_or_group};
use super::reaction::{canonical, is_reaction};
use crate::secret::Secret;

/// Access to Slack, the approvers, and the pace of the calls.
#[derive(Clone)]
pub struct SlackSettings {
    /// The bot token; [`crate::SLACK_SCOPES`] lists its scopes.
    pub token: Secret,
    /// Base URL of the Web API; TLS is set up only if it starts with `https://`.
    pub base_url: String,
    /// Channel to ask in when the policy names none: an id, or a name such as `#approvals`.
    pub channel: String,
    /// Approvers: ids of users (`U…`, `W…`) and of user groups (`S…`).
    pub approvers: Vec<String>,
    /// Names of reactions that approve.
    pub approve_reactions: Vec<String>,
    /// Names of reactions that deny; one denial outweighs any number of approvals.
    pub deny_reactions: Vec<String>,
    /// Time between two polls of a channel with open approvals; at least 10 ms.
    pub poll_interval: Duration,
    /// Least time between two messages in one channel.
    pub post_interval: Duration,
    /// Deadline of each API call.
    pub call_timeout: Duration,
    /// Wait after the first failed call; it doubles with each further failure, up to a minute.
    pub retry_first: Duration,
    /// Slack's signing secret. With it messages have buttons, whose presses it verifies.
    pub signing_secret: Option<Secret>,
}

impl fmt::Debug for SlackSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password until it is checked.
        f.debug_struct("SlackSettings")
            .field("channel", &self.channel)
            .field("approvers", &self.approvers)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

impl SlackSettings {
    /// Defaults for everything but the token and the channel. Without approvers,
    /// [`SlackSettings::check`] fails.
    #[must_use]
    pub fn new(token: Secret, channel: impl Into<String>) -> Self {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        Self {
            token,
            base_url: "https://slack.com/api".to_owned(),
            channel: channel.into(),
            approvers: Vec::new(),
            approve_reactions: names(["white_check_mark", "+1"]),
            deny_reactions: names(["x", "-1"]),
            // Both intervals keep within Slack's own rate limits.
            poll_interval: Duration::from_secs(2),
            post_interval: Duration::from_secs(1),
            call_timeout: Duration::from_secs(10),
            retry_first: Duration::from_secs(1),
            signing_secret: None,
        }
    }

    /// Checks all settings without opening anything; the error describes the first fault.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// All faults of the settings.
    #[must_use]
    pub fn faults(&self) -> Vec<SettingsError> {
        let mut faults = Vec::new();
        let mut require = |holds: bool, fault: SettingsError| {
            if !holds {
                faults.push(fault);
            }
        };
        let has_token = !self.token.expose().trim().is_empty();
        require(has_token, SettingsError::NoToken);
        require(self.bearer().is_ok(), SettingsError::Token);
        let has_channel = !self.channel.trim().is_empty();
        require(has_channel, SettingsError::NoChannel);
        require(
            !has_channel || is_channel(&self.channel),
            SettingsError::Channel,
        );
        require(!self.approvers.is_empty(), SettingsError::NoApprovers);
        let count = self.approvers.len();
        for (at, id) in self.approvers.iter().enumerate() {
            let number = at + 1;
            require(
                is_person_or_group(id),
                SettingsError::Approver { number, count },
            );
        }
        for (denies, names) in [
            (false, &self.approve_reactions),
            (true, &self.deny_reactions),
        ] {
            require(!names.is_empty(), SettingsError::NoReactions { denies });
            for (at, name) in names.iter().enumerate() {
                let (number, count) = (at + 1, names.len());
                let fault = SettingsError::Reaction {
                    denies,
                    number,
                    count,
                };
                require(is_reaction(name), fault);
            }
        }
        let denies = |name: &String| {
            let mut denying = self.deny_reactions.iter();
            denying.any(|other| canonical(other) == canonical(name))
        };
        require(
            !self.approve_reactions.iter().any(denies),
            SettingsError::Reactions,
        );
        let is_slow = self.poll_interval >= Duration::from_millis(10);
        require(is_slow, SettingsError::PollInterval);
        faults.extend(self.address().err());
        faults
    }

    /// Whether the token is sent unencrypted to another machine.
    pub(super) fn is_in_the_clear(&self) -> bool {
        let Ok(uri) = self.address() else {
            return false;
        };
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = host.parse().ok();
        let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        uri.scheme_str() == Some("http") && !is_local
    }

    /// Parses the base URL of the Web API.
    pub(super) fn address(&self) -> Result<Uri, SettingsError> {
        let url = self.base_url.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| SettingsError::Url)?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err(SettingsError::Scheme);
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.is_empty() || authority.contains('@') || uri.query().is_some() {
            return Err(SettingsError::UrlParts);
        }
        // A port that cannot be read counts as none to the parser: the default one is another server.
        let has_port = authority.len() > uri.host().unwrap_or_default().len();
        if has_port && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(SettingsError::UrlPort);
        }
        Ok(uri)
    }

    /// The token as a header that is kept out of debug output.
    pub(super) fn bearer(&self) -> Result<HeaderValue, SettingsError> {
        let header = format!("Bearer {}", self.token.expose());
        let mut value = HeaderValue::from_str(&header).map_err(|_| SettingsError::Token)?;
        value.set_sensitive(true);
        Ok(value)
    }
}
