//! The annotations that a policy may have: a misspelt `@approve` must not turn a question into a permit.

use std::sync::Arc;

use cedar_policy::{Effect, Policy};

use crate::engine::{Options, Source};
use crate::error::LoadError;
use crate::place;
use crate::similar::distance;

/// Annotations that are always known. `id` and `approve` have a meaning here, the others are for readers.
const NAMES: [&str; 7] = [
    "id",
    "approve",
    "reason",
    "description",
    "owner",
    "author",
    "ticket",
];

/// Longest channel: the 80 characters of a Slack channel's name, and the `#`.
const CHANNEL_CHARS_MAX: usize = 81;

/// What `@approve` asks for.
#[derive(Debug, Clone)]
pub struct Approve {
    /// The channel it names, if it names one.
    pub channel: Option<Arc<str>>,
}

/// The value of an annotation. Cedar would run its parser on the name first.
pub fn value<'a>(policy: &'a Policy, name: &str) -> Option<&'a str> {
    let mut all = policy.annotations();
    all.find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Refuses annotations that are not known, or have a value that means nothing.
pub fn check(
    policy: &Policy,
    id: &str,
    source: &Source,
    options: &Options,
) -> Result<(), LoadError> {
    for (name, annotation) in policy.as_ref().annotations() {
        let name: &str = name.as_ref();
        if NAMES.contains(&name) {
            continue;
        }
        let meant = meant(name);
        if meant.is_none() && options.annotations.iter().any(|known| known == name) {
            continue;
        }
        return Err(LoadError::Annotation {
            place: place::at(source, annotation.loc.as_ref().map(|loc| loc.span.offset())),
            policy: id.to_owned(),
            annotation: name.to_owned(),
            help: match meant {
                Some(meant) => format!("did you mean `@{meant}`?"),
                None => format!(
                    "known are {}, and the names in `policy_annotations`",
                    NAMES.map(|name| format!("`@{name}`")).join(", ")
                ),
            },
        });
    }
    if value(policy, "id").is_some_and(|id| id.trim().is_empty()) {
        return Err(LoadError::EmptyId {
            place: place::of_policy(source, policy),
        });
    }
    Ok(())
}

/// The known annotation that `name` is a misspelling of.
fn meant(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| {
        // Any word of two to four letters is two letters from `id`.
        let near = if known.len() > 2 { 2 } else { 1 };
        distance(name, known) <= near
    })
}

/// The policy's `@approve`, if it can be followed.
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
    if policy.effect() == Effect::Forbid {
        return Err(LoadError::ApproveOnForbid {
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

/// `#name`, in small letters, or an id, in capitals and digits: `@approve("false")` is neither.
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
