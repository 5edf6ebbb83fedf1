//! The configuration's `audit` section. `audit: FILE` is short for `audit: {file: FILE}`.
//!
//! Opens no file; `thoughtgate-proxy` does.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::setting::{Form, Typed, section};

/// Value of `audit.file` for standard output.
pub const STDOUT: &str = "stdout";

section! {
    /// Destination of the audit lines, and the handling of calls when no line can be queued.
    #[derive(Debug)]
    pub struct Audit {
        // No audit lines are written when absent.
        /// audit log with one JSON line per decision: a file, or stdout
        restart file: Option<PathBuf> = None,
        /// how long a call waits for room in the audit queue while lines cannot be written
        #[serde(with = "super::duration")]
        restart wait: Duration = Duration::from_secs(1),
        /// for a call that finds no room in the audit queue: refuse (the call) or drop (its line)
        restart when_full: WhenFull = WhenFull::Refuse,
        /// arguments of calls whose values audit lines show: names, or paths such as deploy.env; needs audit.file
        restart arguments: Vec<String> = Vec::new(),
    }
}

/// Handling of a call whose audit line finds no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// The call is refused.
    Refuse,
    /// The call goes on without a line.
    Drop,
}

impl Typed for WhenFull {
    const FORM: Form = Form::Text;
}

/// Deserializes a file name alone, or a mapping.
pub fn text_or_mapping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Audit, D::Error> {
    // The text itself shows which of the two it is.
    deserializer.deserialize_any(TextOrMapping)
}

struct TextOrMapping;

impl<'de> Visitor<'de> for TextOrMapping {
    type Value = Audit;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a file name, `stdout`, or a mapping")
    }

    fn visit_str<E>(self, file: &str) -> Result<Audit, E> {
        Ok(Audit {
            file: Some(file.into()),
            ..Audit::default()
        })
    }

    // `audit:` with nothing behind it, which YAML reads as null.
    fn visit_unit<E>(self) -> Result<Audit, E> {
        Ok(Audit::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mapping: A) -> Result<Audit, A::Error> {
        Audit::deserialize(MapAccessDeserializer::new(mapping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, yaml};

    fn read(text: &str) -> Result<Audit, String> {
        match yaml::parse::<Config>(text) {
            Ok(config) => Ok(config.audit),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn a_text_is_the_file_and_a_mapping_says_more() {
        let file = |name: &str| Audit {
            file: Some(name.into()),
            ..Audit::default()
        };
        for (text, expected) in [
            ("listen: 127.0.0.1:1", Audit::default()),
            ("audit:", Audit::default()),
            ("audit: a.jsonl", file("a.jsonl")),
            ("audit: stdout", file("stdout")),
            ("audit: {file: a.jsonl}", file("a.jsonl")),
            (
                "audit: {file: a.jsonl, wait: 5s, when_full: drop}",
                Audit {
                    wait: Duration::from_secs(5),
                    when_full: WhenFull::Drop,
                    ..file("a.jsonl")
                },
            ),
        ] {
            assert_eq!(read(text).as_ref(), Ok(&expected), "{text}");
        }
        for (text, expected) in [
            ("audit: {when_full: queue}", "audit.when_full"),
            ("audit: {wait: soon}", "audit.wait"),
            ("audit: {fil: a}", "audit"),
            ("audit: [a]", "audit"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
