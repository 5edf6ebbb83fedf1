//! Checks a policy's annotations: a misspelt `@approve` must not turn a request for approval into a
//! plain permit.
//!
//! Does not check that ids are unique; `policy.rs` does, across all files.

use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy};

use crate::error::LoadError;
use crate::options::{Options, Source};
use crate::place;
use crate::similar::distance;

/// Built-in annotations. `id` and `approve` are evaluated, the others are for human readers only.
const NAMES: [&str; 7] = [
    "id",
    "approve",
    "reason",
    "description",
    "owner",
    "author",
    "ticket",
];

/// Longest channel: `#` and the 80 characters that Slack allows in a channel's name.
const CHANNEL_CHARS_MAX: usize = 81;

/// An `@approve` annotation.
#[derive(Debug, Clone)]
pub struct Approve {
    /// The channel to ask in; `None` for the configured one.
    pub channel: Option<Arc<str>>,
}

/// The value of an annotation. Unlike Cedar's own lookup, this does not parse the name on every call.
pub fn value<'a>(policy: &'a Policy, name: &str) -> Option<&'a str> {
    let mut all = policy.annotations();
    all.find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Refuses unknown annotations and an empty `@id`.
pub fn check(
    policy: &Policy,
    id: &str,
    source: &Source,
    options: &Options,
    errors: &mut Vec<LoadError>,
) {
    for (name, annotation) in policy.as_ref().annotations() {
        let name: &str = name.as_ref();
        if NAMES.contains(&name) {
            continue;
        }
        // A misspelling of a built-in name is refused even if the configuration lists it.
        let meant = meant(name);
        if meant.is_none() && options.annotations.iter().any(|known| known == name) {
            continue;
        }
        errors.push(LoadError::Annotation {
            place: place::at(source, annotation.loc.as_ref().map(|loc| loc.span.offset())),
            policy: id.to_owned(),
            annotation: name.to_owned(),
            help: match meant {
                Some(meant) => format!("did you mean `@{meant}`?"),
                None => format!(
                    "known annotations: {}, and those listed in `policy_annotations`",
                    NAMES.map(|name| format!("`@{name}`")).join(", ")
                ),
            },
        });
    }
    if value(policy, "id").is_some_and(|id| id.trim().is_empty()) {
        errors.push(LoadError::EmptyId {
            place: place::of_policy(source, policy),
        });
    }
}

/// The built-in annotation that `name` is probably a misspelling of.
fn meant(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| {
        // Within two letters of `id` are nearly all words of up to four letters.
        let near = if known.len() > 2 { 2 } else { 1 };
        distance(name, known) <= near
    })
}

/// The policy's `@approve`, if it has one. Fails if no approval could be asked for.
pub fn approve(
    policy: &Policy,
    id: &str,
    source: &Source,
    options: &Options,
) -> Result<Option<Approve>, LoadError> {
    let Some(channel) = value(policy, "approve") else {
        return Ok(None);
    };
    let (place, policy_id) = (place::of_policy(source, policy), id.to_owned());
    // A forbid refuses whatever a human says, so there is nothing to ask.
    if policy.effect() == Effect::Forbid {
        return Err(LoadError::ApproveOnForbid {
            place,
            policy: policy_id,
        });
    }
    if !may_call(policy) {
        return Err(LoadError::ApproveOnOther {
            place,
            policy: policy_id,
        });
    }
    if !options.approvals {
        return Err(LoadError::NoApprovalChannel {
            place,
            policy: policy_id,
        });
    }
    if !channel.is_empty() && !is_channel(channel) {
        return Err(LoadError::NotAChannel {
            place,
            policy: policy_id,
            value: channel.to_owned(),
        });
    }
    Ok(Some(Approve {
        channel: (!channel.is_empty()).then(|| Arc::from(channel)),
    }))
}

/// Whether the scope has calls of tools.
fn may_call(policy: &Policy) -> bool {
    let is_call = |action: &EntityUid| action.id().unescaped() == "tools/call";
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(action) => is_call(&action),
        ActionConstraint::In(actions) => actions.iter().any(is_call),
    }
}

/// Whether `text` is `#name` in lower case, or an id of capitals and digits. `@approve("false")` is
/// neither, so that it is not taken for a channel.
fn is_channel(text: &str) -> bool {
    if text.chars().count() > CHANNEL_CHARS_MAX {
        return false;
    }
    match text.strip_prefix('#') {
        Some(name) => {
            !name.is_empty()
                && name.chars().all(|letter| {
                    (letter.is_alphanumeric() && !letter.is_uppercase()) || "-_.".contains(letter)
                })
        }
        None => {
            text.len() > 1
                && text.starts_with(|first: char| first.is_ascii_uppercase())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_are_recognised_and_other_words_are_not() {
        for (name, expected) in [
            ("aprove", Some("approve")),
            ("Approve", Some("approve")),
            ("approval", Some("approve")),
            ("approves", Some("approve")),
            ("ID", Some("id")),
            ("ids", Some("id")),
            ("reasn", Some("reason")),
            ("descripton", Some("description")),
            ("env", None),
            ("team", None),
            ("risk", None),
            ("jira_issue", None),
        ] {
            assert_eq!(meant(name), expected, "{name}");
        }
    }

    #[test]
    fn channels_are_names_or_ids() {
        for channel in ["#money", "#café-ops_2", "C0123456789", "G1"] {
            assert!(is_channel(channel), "{channel}");
        }
        for text in [
            "false", "true", "yes", "money", "#", "# x", "#Money", "@bob", "c1", "C",
        ] {
            assert!(!is_channel(text), "{text}");
        }
    }
}
