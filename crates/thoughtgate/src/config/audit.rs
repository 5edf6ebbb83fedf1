//! The configuration's `audit` section: structure and defaults. `audit: FILE` is short for
//! `audit: {file: FILE}`.
//!
//! Opens no file; `thoughtgate-proxy` does.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Value of `audit.file` for standard output.
pub const STDOUT: &str = "stdout";

/// Destination of the audit lines, and the handling of calls when no line can be queued.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// A file, or `stdout`; no audit lines are written when absent.
    pub file: Option<PathBuf>,
    /// How long a call waits for room in the queue of audit lines.
    #[serde(with = "super::duration")]
    pub wait: Duration,
    /// Applied to a call that found no room within `wait`.
    pub when_full: WhenFull,
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

impl Default for Audit {
    fn default() -> Audit {
        Audit {
            file: None,
            wait: Duration::from_secs(1),
            when_full: WhenFull::Refuse,
        }
    }
}

/// Deserializes a file name alone, or a mapping.
pub fn text_or_mapping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Audit, D::Error> {
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
