//! Errors of Slack: settings that cannot work, calls without a result and whether these may have
//! taken effect, and votes that could not be read again. Retries nothing, and quotes no setting and no
//! text of a response: a token may be in either.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::codes::{self, About};
use crate::cause::Cause;

/// A setting of Slack that is missing or invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No token.
    #[error("the Slack token is empty")]
    NoToken,
    /// A token that HTTP cannot carry.
    #[error("the Slack token contains a character that HTTP headers do not allow")]
    Token,
    /// No channel.
    #[error("no Slack channel is set; expected an id (C…) or a name (#approvals)")]
    NoChannel,
    /// A channel that is neither an id nor a name.
    #[error(
        "the Slack channel is not valid; expected an id (C…) or a name in lower case (#approvals)"
    )]
    Channel,
    /// No approvers.
    #[error("nobody may approve; list ids of Slack users (U…) or user groups (S…)")]
    NoApprovers,
    /// An approver that is not an id, by its place in the list, counted from 1.
    #[error(
        "approver {number} of {count} is not a valid id of a Slack user (U…, W…) or user group (S…)"
    )]
    Approver {
        /// Place in the list.
        number: usize,
        /// Length of the list.
        count: usize,
    },
    /// No reaction that approves, or none that denies.
    #[error("at least one reaction that approves and one that denies are required")]
    NoReactions {
        /// Whether those that deny are missing.
        denies: bool,
    },
    /// A reaction that Slack never lists, by its place in its list, counted from 1.
    #[error(
        "reaction {number} of {count} is not a valid name of an emoji; expected it without colons and skin tone, such as white_check_mark"
    )]
    Reaction {
        /// Whether it is one of those that deny.
        denies: bool,
        /// Place in the list.
        number: usize,
        /// Length of the list.
        count: usize,
    },
    /// One reaction with two meanings.
    #[error("a reaction cannot both approve and deny")]
    Reactions,
    /// A poll interval that is too short.
    #[error("the poll interval must be at least 10 ms")]
    PollInterval,
    /// A base URL that is no URL.
    #[error("the Slack base URL is not a valid URL (expected the form https://slack.com/api)")]
    Url,
    /// A base URL of another scheme.
    #[error("the Slack base URL must start with https:// or http://")]
    Scheme,
    /// A base URL without a host, or with parts that are not used.
    #[error(
        "the Slack base URL must have a host, and may have a path, but no user, password or query"
    )]
    UrlParts,
    /// A base URL with a port that no server can have.
    #[error(
        "the port of the Slack base URL must be a number from 1 to 65535, or left out with its colon"
    )]
    UrlPort,
}

impl SettingsError {
    /// Name of the setting, as in [`super::SlackSettings`].
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::NoToken | Self::Token => "token",
            Self::NoChannel | Self::Channel => "channel",
            Self::NoApprovers | Self::Approver { .. } => "approvers",
            Self::NoReactions { denies: true } | Self::Reaction { denies: true, .. } => {
                "deny_reactions"
            }
            Self::NoReactions { .. } | Self::Reaction { .. } | Self::Reactions => {
                "approve_reactions"
            }
            Self::PollInterval => "poll_interval",
            Self::Url | Self::UrlPort | Self::Scheme | Self::UrlParts => "base_url",
        }
    }
}

/// The votes for an approval could not be read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ConfirmError(Unconfirmed);

impl ConfirmError {
    pub(super) fn refused(error: CallError) -> Self {
        Self(Unconfirmed::Refused(error))
    }

    pub(super) fn late(within: Duration, latest: Option<CallError>) -> Self {
        Self(Unconfirmed::Late(within, latest))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unconfirmed {
    #[error(transparent)]
    Refused(CallError),
    /// With the error of the latest call, if one was made in time.
    #[error("Slack did not report the votes within {0:?}")]
    Late(Duration, #[source] Option<CallError>),
}

/// Reason why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// Rate limited, with the time to wait; the call had no effect.
    #[error("rate limited by Slack for {0:?}")]
    Limited(Duration),
    /// The connection was never made; the call had no effect.
    #[error("Slack cannot be reached")]
    Unreachable(#[source] Cause),
    /// No response, or a broken one: the call may or may not have taken effect.
    #[error("Slack call failed")]
    Lost(#[source] Loss),
    /// Refused; repeating the call would not help.
    #[error("Slack refused")]
    Refused(#[source] Refusal),
}

impl CallError {
    /// Whether Slack has refused, so that waiting does not help.
    pub(super) fn is_final(&self) -> bool {
        self.about().is_some()
    }

    /// Whether Slack gave no usable answer, so that this may pass and may also last. A rate limit is none:
    /// Slack says when it ends.
    pub(super) fn is_outage(&self) -> bool {
        !self.is_final() && !matches!(self, Self::Limited(_))
    }

    /// Subject of Slack's refusal; `None` for an error that may pass by itself.
    pub(super) fn about(&self) -> Option<About> {
        match self {
            Self::Refused(Refusal::Code { code, .. }) => Some(code.about()),
            // Slack answers with 200, so another status is of something in between.
            Self::Refused(Refusal::Status(_))
            | Self::Limited(_)
            | Self::Unreachable(_)
            | Self::Lost(_) => None,
            Self::Refused(Refusal::Lookup(why)) => match why.as_ref() {
                Refusal::Code { code, .. } => Some(code.about()),
                _ => Some(About::Other),
            },
            Self::Refused(_) => Some(About::Other),
        }
    }
}

/// Reason why a response is missing or of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Loss {
    #[error("no response within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Broken(Cause),
    #[error("HTTP status {0}")]
    Status(StatusCode),
    /// An error of Slack's own, which is not about the request.
    #[error("{0}")]
    Code(Code),
    #[error("unexpected JSON in the response (line {line}, column {column})")]
    Json { line: usize, column: usize },
    /// Such as the login page of an HTTP proxy.
    #[error(
        "the response is not JSON; check `approval.slack.base_url` and any HTTP proxy in between"
    )]
    NotJson,
    #[error("the response has neither `ok: true` nor an error")]
    NoVerdict,
    #[error("the cursor in the response is too long")]
    Cursor,
    #[error("no valid message in the response")]
    NoMessage,
    #[error("the response is about another message")]
    OtherMessage,
    #[error("auth.test returned no user id")]
    NoUser,
}

/// Reason why repeating a call would not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// With the scopes that the token lacks, if that is the reason.
    #[error("{code}{}{}", needs(.needed.as_deref()), .code.advice())]
    Code { code: Code, needed: Option<String> },
    #[error(
        "HTTP status {0}, which is not one of Slack's; check `approval.slack.base_url` and any HTTP proxy in between"
    )]
    Status(StatusCode),
    /// The request cannot be written as HTTP.
    #[error(transparent)]
    Request(Cause),
    /// Posting without having searched could ask twice.
    #[error("too many new messages in the channel to find an earlier request")]
    Search,
    /// Without the name: a secret that was pasted in its place can look like one.
    #[error("found no channel of this name; use its id")]
    NoChannel,
    #[error(
        "cannot look up the channel; use its id instead of its name, or grant the app channels:read"
    )]
    Lookup(#[source] Box<Refusal>),
}

fn needs(scopes: Option<&str>) -> String {
    scopes.map_or(String::new(), |scopes| format!(" (needs {scopes})"))
}

/// Longest error code that is quoted; Slack's have at most about forty characters.
const CODE_BYTES_MAX: usize = 64;

/// An error code of Slack, such as `channel_not_found`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code(Option<String>);

impl Code {
    /// Text of another form than Slack's codes is not kept: a server in Slack's place may echo the
    /// token.
    pub(super) fn new(text: &str) -> Self {
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_quoted = text.len() <= CODE_BYTES_MAX && text.bytes().all(is_code);
        Self(is_quoted.then(|| text.to_owned()))
    }

    pub(super) fn about(&self) -> About {
        self.0.as_deref().map_or(About::Other, codes::about)
    }

    /// The advice, behind a semicolon; empty if there is none.
    fn advice(&self) -> String {
        let advice = self.0.as_deref().and_then(codes::advice);
        advice.map_or(String::new(), |advice| format!("; {advice}"))
    }

    pub(super) fn is_one_of(&self, codes: &[&str]) -> bool {
        let known = self.0.as_deref();
        known.is_some_and(|known| codes.contains(&known))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.as_deref();
        f.write_str(known.unwrap_or("unknown error, not a Slack error code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::chain;
    use crate::error::ClaimError;
    use crate::slack::answers;

    #[test]
    fn an_unconfirmed_claim_says_why_once() {
        let text = |error| chain(&ClaimError::Unconfirmed(Box::new(error)));
        let late = |latest| text(ConfirmError::late(Duration::from_secs(10), latest));
        let scope = Refusal::Code {
            code: Code::new("missing_scope"),
            needed: Some("reactions:read".to_owned()),
        };
        assert_eq!(
            text(ConfirmError::refused(CallError::Refused(scope))),
            "failed to check whether the approval still holds: Slack refused: missing_scope (needs reactions:read); add the scope to the Slack app under OAuth & Permissions, then reinstall the app"
        );
        assert_eq!(
            late(None),
            "failed to check whether the approval still holds: Slack did not report the votes within 10s"
        );
        assert_eq!(
            late(Some(CallError::Limited(Duration::from_secs(30)))),
            "failed to check whether the approval still holds: Slack did not report the votes within 10s: rate limited by Slack for 30s"
        );
    }

    #[test]
    fn a_page_in_the_place_of_slack_is_no_unexpected_json() {
        let text = |body: &[u8]| chain(&answers::read::<answers::One<'_>>(body).err().unwrap());
        assert_eq!(
            text(b"<html>log in</html>"),
            "Slack call failed: the response is not JSON; check `approval.slack.base_url` and any HTTP proxy in between"
        );
        let other = text(b"{\"message\": 1}");
        assert!(other.contains("unexpected JSON"), "{other}");
    }

    #[test]
    fn a_refused_lookup_tells_what_to_do_and_why() {
        let code = Code::new("missing_scope");
        let refusal = Refusal::Code { code, needed: None };
        let lookup = Refusal::Lookup(Box::new(refusal));
        assert_eq!(
            chain(&CallError::Refused(lookup)),
            "Slack refused: cannot look up the channel; use its id instead of its name, or grant the app channels:read: missing_scope; add the scope to the Slack app under OAuth & Permissions, then reinstall the app"
        );
    }
}
