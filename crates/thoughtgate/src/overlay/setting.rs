//! One setting that can be given as text: its names, and what its help says.
//!
//! Lists no settings: `overlay/table.rs` does. Converts no text: `overlay.rs` does.

use serde_json::Value;

use crate::config::Config;

/// A setting that can be given as text.
#[derive(Debug)]
pub struct Setting {
    /// Path in the configuration file, such as `agent.jwt.claim`.
    pub path: &'static str,
    pub(super) form: Form,
    pub(super) help: &'static str,
}

/// Conversion from text to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Number,
    /// Items separated by commas.
    List,
    /// A YAML (or JSON) mapping.
    Mapping,
}

impl Setting {
    /// The help and, if there is one, the default: shown for a value that was not accepted.
    pub fn expected(&self) -> String {
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        match defaults.pointer(&self.pointer()) {
            Some(default @ (Value::String(_) | Value::Number(_))) => {
                format!("{} (default: {default})", self.help)
            }
            _ => self.help.to_owned(),
        }
    }

    /// JSON pointer (RFC 6901) to the setting in the serialized configuration.
    pub fn pointer(&self) -> String {
        format!("/{}", self.path.replace('.', "/"))
    }

    /// Name of the environment variable.
    pub(super) fn variable(&self) -> String {
        // As in the file, `audit` is short for `audit.file`.
        let path = self.path.strip_suffix(".file").unwrap_or(self.path);
        format!(
            "THOUGHTGATE_{}",
            path.replace('.', "_").to_ascii_uppercase()
        )
    }
}
