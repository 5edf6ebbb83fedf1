//! Permissions of the Slack double's token: the scopes that each method needs, the channels that the
//! bot knows, and Slack's refusals.
//!
//! Decides no fault: see `fault`. Scopes that a method does not need are not modelled.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::knobs::Knobs;
use super::methods::POST_MESSAGE;

/// Scopes of a token, on every answer to a call with that token.
const OAUTH_SCOPES: HeaderName = HeaderName::from_static("x-oauth-scopes");
/// Scopes of which the method needs one.
const ACCEPTED_SCOPES: HeaderName = HeaderName::from_static("x-accepted-oauth-scopes");

/// Scopes of a token by default: all that the methods of this double need.
const ALL_SCOPES: &[&str] = &[
    "chat:write",
    "channels:history",
    "groups:history",
    "im:history",
    "mpim:history",
    "channels:read",
    "groups:read",
    "reactions:read",
    "reactions:write",
    "usergroups:read",
    "users:read",
];

/// The refusal of a call by its token, its scopes or its channel; `None` if it is answered.
pub(super) fn refusal(knobs: &Knobs, method: &str, arguments: &Arguments) -> Option<Value> {
    if !knobs.token_error.is_empty() {
        return Some(refused(knobs, method, &knobs.token_error));
    }
    let channel = arguments.text("channel");
    let needed = needed(knobs, method, channel.as_deref());
    let scopes = scopes(knobs);
    if !needed.is_empty() && !needed.iter().any(|scope| scopes.contains(scope)) {
        return Some(missing_scope(&scopes, &needed));
    }
    let is_listed = |channels: &[String]| {
        let channel = channel.as_ref();
        channel.is_some_and(|channel| channels.contains(channel))
    };
    if is_listed(&knobs.unknown_channels) {
        return Some(refused(knobs, method, "channel_not_found"));
    }
    let takes_members = matches!(method, POST_MESSAGE | "conversations.history");
    if takes_members && is_listed(&knobs.foreign_channels) {
        return Some(refused(knobs, method, "not_in_channel"));
    }
    None
}

/// `{"ok":false,"error":…}`, with the members that Slack adds for this error.
pub(super) fn refused(knobs: &Knobs, method: &str, error: &str) -> Value {
    if error == "missing_scope" {
        return missing_scope(&scopes(knobs), accepted(method));
    }
    json!({ "ok": false, "error": error })
}

/// Adds the headers of an answer to a call whose token is valid.
pub(super) fn describe(headers: &mut HeaderMap, knobs: &Knobs, method: &str) {
    for (name, scopes) in [
        (OAUTH_SCOPES, scopes(knobs)),
        (ACCEPTED_SCOPES, accepted(method).to_vec()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&scopes.join(",")) {
            headers.insert(name, value);
        }
    }
}

/// Whether `error` says that the token is not valid.
pub(super) fn is_about_token(error: &str) -> bool {
    matches!(
        error,
        "not_authed" | "invalid_auth" | "account_inactive" | "token_revoked" | "token_expired"
    )
}

fn missing_scope(provided: &[&str], needed: &[&str]) -> Value {
    json!({
        "ok": false,
        "error": "missing_scope",
        "needed": needed.join(","),
        "provided": provided.join(","),
    })
}

fn scopes(knobs: &Knobs) -> Vec<&str> {
    match &knobs.scopes {
        None => ALL_SCOPES.to_vec(),
        Some(scopes) => scopes.iter().map(String::as_str).collect(),
    }
}

/// Scopes of which this call needs one: of those of the method, the one of the channel's kind, once
/// the token has any of them.
fn needed(knobs: &Knobs, method: &str, channel: Option<&str>) -> Vec<&'static str> {
    let accepted = accepted(method);
    let has_one = accepted.iter().any(|scope| scopes(knobs).contains(scope));
    let (Some(channel), "conversations.history", true) = (channel, method, has_one) else {
        return accepted.to_vec();
    };
    let is_private = knobs.private_channels.iter().any(|known| known == channel);
    vec![match channel.chars().next() {
        Some('D') => "im:history",
        _ if is_private => "groups:history",
        _ => "channels:history",
    }]
}

/// Scopes of which the method needs one; none for a method that needs only a token.
fn accepted(method: &str) -> &'static [&'static str] {
    match method {
        POST_MESSAGE | "chat.update" => &["chat:write"],
        "conversations.history" => &[
            "channels:history",
            "groups:history",
            "mpim:history",
            "im:history",
        ],
        "conversations.list" => &["channels:read", "groups:read", "mpim:read", "im:read"],
        "reactions.get" => &["reactions:read"],
        "reactions.add" | "reactions.remove" => &["reactions:write"],
        "usergroups.users.list" => &["usergroups:read"],
        "users.info" => &["users:read"],
        _ => &[],
    }
}
