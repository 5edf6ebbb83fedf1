//! Merges errors of the validator that differ only in the kind of request.
//!
//! A policy for all actions that reads `context.foo` gets an error for each action, in any order.

use crate::error::LoadError;

/// `errors`, sorted by place and message, with neighbours merged that differ only in the request.
pub fn merged(errors: Vec<LoadError>) -> Vec<LoadError> {
    let mut merged: Vec<LoadError> = Vec::with_capacity(errors.len());
    for error in errors {
        let is_merged = merged.last_mut().is_some_and(|last| merge(last, &error));
        if !is_merged {
            merged.push(error);
        }
    }
    merged
}

/// Whether both are one error, which `first` then is.
fn merge(first: &mut LoadError, second: &LoadError) -> bool {
    let (
        LoadError::Invalid { place, message },
        LoadError::Invalid {
            place: other,
            message: second,
        },
    ) = (first, second)
    else {
        return false;
    };
    if place != other {
        return false;
    }
    let Some(both) = without_action(message, second).or_else(|| with_types(message, second)) else {
        return false;
    };
    *message = both;
    true
}

/// The message without its action, if that is all that they differ in.
fn without_action(first: &str, second: &str) -> Option<String> {
    let cut = |message: &str| {
        let (before, rest) = message.split_once(" for Action::\"")?;
        let (_, after) = rest.split_once('"')?;
        Some(format!("{before}{after}"))
    };
    let plain = cut(first).unwrap_or_else(|| first.to_owned());
    (cut(second)? == plain).then_some(plain)
}

/// The message with the types of both, if those are all that they differ in.
fn with_types(first: &str, second: &str) -> Option<String> {
    const ONE: &str = " on entity type `";
    const SEVERAL: &str = " on entity types `";
    let (before, rest) = second.split_once(ONE)?;
    let (found, after) = rest.split_once('`')?;
    let (own, types) = first
        .split_once(ONE)
        .or_else(|| first.split_once(SEVERAL))?;
    let types = types.strip_suffix(after)?;
    (own == before).then(|| format!("{before}{SEVERAL}{types}, `{found}`{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: &[&str], expected: &[&str]) {
        let errors = messages.iter().map(|message| LoadError::Invalid {
            place: "a.cedar:1:2".to_owned(),
            message: (*message).to_owned(),
        });
        let found: Vec<String> = merged(errors.collect())
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = expected
            .iter()
            .map(|message| format!("a.cedar:1:2: {message}"));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_differs_in_the_request_is_one_error() {
        check(
            &[
                "attribute `x` in context for Action::\"a\" not found; help",
                "attribute `x` in context for Action::\"b\" not found; help",
                "attribute `x` in context for Action::\"c\" not found; help",
                "attribute `y` in context for Action::\"c\" not found; help",
            ],
            &[
                "attribute `x` in context not found; help",
                "attribute `y` in context for Action::\"c\" not found; help",
            ],
        );
        check(
            &[
                "attribute `x` on entity type `A` not found",
                "attribute `x` on entity type `B` not found",
                "attribute `x` on entity type `C` not found",
                "attribute `x` on entity type `C` not found; other help",
            ],
            &[
                "attribute `x` on entity types `A`, `B`, `C` not found",
                "attribute `x` on entity type `C` not found; other help",
            ],
        );
        check(&["other", "others"], &["other", "others"]);
    }
}
