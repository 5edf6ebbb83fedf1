//! Reads YAML. An error gives the line, the column and the setting, and never a part of the text.
//!
//! A value may be in the wrong place, so any value, and any key that is not a setting, may be a
//! secret: messages of the YAML library and of serde are not passed on.

use serde::de::DeserializeOwned;
use serde_saphyr::localizer::ExternalMessageSource;
use serde_saphyr::{Error, Location};

use thoughtgate_policy::nearest;

use super::outline::Place;
use super::syntax;
use crate::overlay::{expected, find, known_part};

/// An unknown key of at most this length, in lower-case letters, is taken for a misspelt setting.
const KEY_BYTES_MAX: usize = 24;

/// Message for a value when nothing more precise is known.
const NOT_VALID: &str = "not a valid value";

/// Message for an alias without its anchor.
pub const UNDEFINED: &str =
    "alias of an undefined anchor; write a text that begins with `*` in quotes";

/// Beginning of the message for text that is not YAML.
pub const SYNTAX: &str = "not valid YAML";

/// Beginning of the message for a key that is there twice.
pub const DUPLICATE: &str = "duplicate key";

/// A mistake in a document.
#[derive(Debug)]
pub struct Fault {
    /// Line and column, from 1.
    pub place: Option<(u64, u64)>,
    /// Path of the value: keys and positions as they are written, of which any may be a secret.
    pub path: String,
    /// The problem, without any part of the text but keys that look like misspelt ones.
    pub problem: String,
}

/// Deserializes a configuration, which must be one YAML document.
pub fn parse<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    read(text).map_err(|fault| anyhow::Error::msg(of_setting(&fault)))
}

/// The mistake of a key at `place` that is in `section` twice.
pub fn duplicate(place: Place, section: &str, key: &str) -> String {
    of_setting(&Fault {
        place: Some((place.line as u64, place.column as u64)),
        path: section.to_owned(),
        problem: format!("{DUPLICATE}{}", shown(key)),
    })
}

/// Deserializes `text`, which must be one YAML document.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let mut path = String::new();
    serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = error.path().to_string();
            error.into_inner()
        })
    })
    .map_err(|error| {
        let known = |location: &Location| *location != Location::UNKNOWN;
        let place = error.location().filter(known);
        let place = place.map(|at| (at.line(), at.column()));
        let mut problem = problem(&error);
        // The parser takes a tab for the end of the section, and misses a key there.
        if problem.starts_with(SYNTAX) && place.is_some_and(|(line, _)| is_tabbed(text, line)) {
            syntax::TABS.clone_into(&mut problem);
        }
        Fault {
            place,
            path,
            problem,
        }
    })
}

/// Whether a tab is in the indentation of this line, from 1.
fn is_tabbed(text: &str, line: u64) -> bool {
    let line = usize::try_from(line)
        .ok()
        .and_then(|line| line.checked_sub(1));
    let line = line
        .and_then(|line| text.lines().nth(line))
        .unwrap_or_default();
    line.chars()
        .take_while(|letter| letter.is_whitespace())
        .any(|letter| letter == '\t')
}

/// The place, the setting and the problem.
fn of_setting(fault: &Fault) -> String {
    let place = fault.place.map_or_else(String::new, |(line, column)| {
        format!("line {line}, column {column}: ")
    });
    // Only as far as it names settings: the rest of the path may be a secret that was written as a key.
    let setting = known_part(&fault.path);
    let mut problem = fault.problem.clone();
    if let Some(setting) = find(setting).filter(|_| problem == NOT_VALID) {
        problem = format!("{NOT_VALID}; expected: {}", expected(setting));
    }
    if setting.is_empty() {
        format!("{place}{problem}")
    } else {
        format!("{place}`{setting}`: {problem}")
    }
}

fn problem(error: &Error) -> String {
    match error {
        // The error within is used, because a snippet quotes the text.
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => problem(error),
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let known = expected.join("`, `");
            let shown = shown(field);
            let meant = nearest(field, expected.iter().copied()).filter(|_| !shown.is_empty());
            let meant = meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            format!("unknown key{shown}; {meant}expected one of `{known}`")
        }
        Error::DuplicateMappingKey { key, .. } => {
            format!(
                "{DUPLICATE}{}",
                key.as_deref().map_or_else(String::new, shown)
            )
        }
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            // For a mapping with known keys serde gives the name of the Rust type.
            let mapping = expected.starts_with("struct ") || expected == "a map";
            match expected.as_str() {
                "a duration" => {
                    "expected a duration with its unit, such as `30s`, `250ms` or `5m`".to_owned()
                }
                _ if mapping => "expected a mapping".to_owned(),
                other => format!("expected {other}"),
            }
        }
        Error::Unexpected { expected, .. } => match *expected {
            "mapping start" => "expected a mapping".to_owned(),
            "sequence start" => "expected a list".to_owned(),
            "string scalar" => "expected a single value".to_owned(),
            other => format!("expected {other}"),
        },
        Error::MultipleDocuments { .. } => "more than one YAML document".to_owned(),
        Error::UnknownAnchor { .. } => UNDEFINED.to_owned(),
        Error::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(error) => syntax::cause(error.kind()).to_owned(),
            _ => SYNTAX.to_owned(),
        },
        Error::Eof { .. } => "unexpected end of the text".to_owned(),
        // All other errors, since their messages may quote the text.
        _ => NOT_VALID.to_owned(),
    }
}

/// The key in quotes if it looks like a misspelt setting, else nothing: it may be a secret.
fn shown(key: &str) -> String {
    let looks_like_one = key.len() <= KEY_BYTES_MAX
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.');
    if looks_like_one {
        format!(" `{key}`")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn check(text: &str, expected: &str) {
        let fault = parse::<Config>(text).unwrap_err().to_string();
        assert_eq!(fault, expected, "{text}");
        assert!(!fault.contains("SECRET"), "{text}\n{fault}");
    }

    #[test]
    fn a_fault_gives_place_setting_and_expectation() {
        for (text, expected) in [
            (
                "workers: SECRET\n",
                "line 1, column 10: `workers`: not a valid value; expected: number of threads that serve requests",
            ),
            (
                "policy: p\nlisten: SECRET\n",
                "line 2, column 9: `listen`: not a valid value; expected: address to listen on, IP:PORT (default: 127.0.0.1:8080, in a container 0.0.0.0:8080)",
            ),
            (
                "timeouts: {head: SECRET}\n",
                "line 1, column 12: `timeouts.head`: expected a duration with its unit, such as `30s`, `250ms` or `5m`",
            ),
            (
                "timeouts: {head: 1000000y}\n",
                "line 1, column 12: `timeouts.head`: expected a duration of at most 100 years",
            ),
            (
                "approval: {slack: SECRET}\n",
                "line 1, column 19: `approval.slack`: expected a mapping",
            ),
            (
                "approval: {slack: {token: [SECRET]}}\n",
                "line 1, column 27: `approval.slack.token`: expected a single value",
            ),
            (
                "approval: {slack: {approvers: SECRET}}",
                "line 1, column 31: `approval.slack.approvers`: expected a list",
            ),
            (
                "agent: {groups: {SECRET: [{SECRET: 1}]}}\n",
                "line 1, column 27: `agent.groups`: expected a single value",
            ),
            (
                "upstream: *SECRET\n",
                "line 1, column 11: alias of an undefined anchor; write a text that begins with `*` in quotes",
            ),
            (
                "workers: &a SECRET\nlimits: {depth: *a}\n",
                "line 1, column 13: `workers`: not a valid value; expected: number of threads that serve requests",
            ),
            (
                "workers: 1\n---\nSECRET: 1\n",
                "line 3, column 1: more than one YAML document",
            ),
            (
                "workers: 1\nupstream: {url: SECRET\n",
                "line 2, column 11: `upstream`: not valid YAML: unclosed quotation mark, list or mapping",
            ),
            (
                "upstream: {url: 'SECRET}\n",
                "line 1, column 17: `upstream`: not valid YAML: unclosed quotation mark, list or mapping",
            ),
            (
                "policy: \"\\qSECRET\"",
                "line 1, column 9: not valid YAML: unknown escape in double quotes; write `\\\\` for a backslash, or use single quotes",
            ),
            ("SECRET", "line 1, column 1: expected a mapping"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn text_that_is_not_yaml_has_a_cause() {
        for (text, expected) in [
            (
                "upstream: {url: SECRET\npolicy: SECRET\n",
                "expected `,` or `}`",
            ),
            ("allowed_hosts: [SECRET\npolicy: SECRET\n", "close the list"),
            ("allowed_hosts: [SECRET}\n", "closing"),
            ("policy: a\n  listen: SECRET\n", "key"),
            (
                "upstream:\n    url: SECRET\n  name: SECRET\n",
                "indentation",
            ),
            ("upstream:\n\turl: SECRET\n", "tabs"),
            ("workers: 1\n\tpolicy: SECRET\n", "tabs"),
            ("policy: SECRET: x\n", "in quotes"),
            ("policy: @SECRET\n", "in quotes"),
            ("allowed_hosts: [*]\n", "in quotes"),
            ("policy: 'SECRET' SECRET\n", "expected"),
            ("allowed_hosts:\n  - SECRET\n  SECRET\n", "expected"),
            ("workers: 1\nSECRET\n", "expected"),
        ] {
            let fault = parse::<Config>(text).unwrap_err().to_string();
            assert!(fault.starts_with("line "), "{text}\n{fault}");
            let (_, cause) = fault.split_once("not valid YAML: ").unwrap_or_default();
            assert!(cause.contains(expected), "{text}\n{fault}");
            assert!(!fault.contains("SECRET"), "{text}\n{fault}");
        }
    }

    #[test]
    fn a_key_is_shown_only_where_it_looks_like_a_misspelt_setting() {
        for (text, expected) in [
            (
                "upstream: {ulr: SECRET}\n",
                "line 1, column 12: `upstream`: unknown key `ulr`; did you mean `url`? expected one of `url`, `name`",
            ),
            (
                "upstream: {xoxb-SECRET: 1}\n",
                "line 1, column 12: `upstream`: unknown key; expected one of `url`, `name`",
            ),
            (
                "workers: 1\nworkers: SECRET\n",
                "line 2, column 1: duplicate key `workers`",
            ),
            (
                "tool_groups: {xoxb-SECRET: [], xoxb-SECRET: []}\n",
                "line 1, column 32: `tool_groups`: duplicate key",
            ),
        ] {
            check(text, expected);
        }
    }
}
