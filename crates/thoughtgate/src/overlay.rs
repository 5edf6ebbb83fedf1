//! Settings given as text: which there are, how their text becomes a value, and their help.
//!
//! All is derived from the rows in `overlay/table.rs`; what settings mean is in `config.rs`.

use std::fmt::Write as _;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use thoughtgate_panic::say;

use crate::config::{Config, yaml};

mod table;

use table::SETTINGS;

/// A setting that can be given as text.
#[derive(Debug)]
pub struct Setting {
    /// Its place in the configuration file.
    pub path: &'static str,
    form: Form,
    help: &'static str,
}

/// How text becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Number,
    /// Separated by commas.
    List,
    /// A YAML (or JSON) mapping.
    Mapping,
}

/// The setting at `path`, if it is the place of one.
pub fn find(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

/// The setting at `path`, which a flag stands for.
pub fn setting(path: &str) -> &'static Setting {
    find(path).expect("every flag names a setting of the table")
}

/// Tells on stderr of variables that start with our prefix and are none of ours: a misspelt one
/// would otherwise be ignored without a word. (It is no error, since Kubernetes adds such variables
/// for a service of our name.)
pub fn warn_of_unknown(environment: &[(String, String)]) {
    for (name, _) in environment {
        let known = name == "THOUGHTGATE_CONFIG"
            || SETTINGS.iter().any(|setting| setting.variable() == *name);
        if name.starts_with("THOUGHTGATE_") && !known {
            say!("warning: `{name}` is no setting and is ignored (see --help)");
        }
    }
}

/// The settings that `environment` gives, with the variable's name and text.
pub fn from_environment(environment: &[(String, String)]) -> Vec<(&'static Setting, &str, &str)> {
    let given = |setting: &'static Setting| {
        let variable = setting.variable();
        let (name, text) = environment.iter().find(|(name, _)| *name == variable)?;
        Some((setting, name.as_str(), text.as_str()))
    };
    SETTINGS.iter().filter_map(given).collect()
}

/// The value that `text` stands for. Errors leave `text` out: it may be a secret.
pub fn value(setting: &Setting, text: &str) -> anyhow::Result<Value> {
    Ok(match setting.form {
        Form::Text => Value::String(text.to_owned()),
        Form::Number => Value::from(
            text.trim()
                .parse::<u64>()
                .map_err(|_| anyhow!("not a whole number"))?,
        ),
        Form::List => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Value::from)
            .collect(),
        Form::Mapping => yaml::parse(text)?,
    })
}

/// Refuses a setting that is given and holds nothing: an empty secret would be a known one, an empty
/// name or host what a client can send. Groups are checked with the policies that name them.
pub fn check_filled(config: &Config) -> anyhow::Result<()> {
    let blank = |value: &Value| value.as_str().is_some_and(|text| text.trim().is_empty());
    let tree = serde_json::to_value(config).context("failed to join the settings")?;
    for setting in SETTINGS {
        let Setting { path, help, .. } = setting;
        match tree.pointer(&setting.pointer()) {
            Some(Value::Array(items)) => {
                if let Some(at) = items.iter().position(blank) {
                    let count = items.len();
                    bail!("`{path}`: item {} of {count} is empty ({help})", at + 1);
                }
            }
            Some(value) if blank(value) => {
                bail!("`{path}` is empty; give it a value ({help}) or leave it out");
            }
            _ => {}
        }
    }
    Ok(())
}

/// The longest beginning of `path` that is the place of a setting, or of a group of settings.
pub fn known_part(path: &str) -> &str {
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
    ends.chain([path.len()])
        .filter_map(|end| path.get(..end))
        .take_while(|part| {
            SETTINGS.iter().any(|setting| {
                let rest = setting.path.strip_prefix(part);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
        .last()
        .unwrap_or_default()
}

impl Setting {
    /// Its help and, where there is one, its default: what a value that was not accepted should
    /// have been.
    pub fn expected(&self) -> String {
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        match defaults.pointer(&self.pointer()) {
            Some(default @ (Value::String(_) | Value::Number(_))) => {
                format!("{} (default: {default})", self.help)
            }
            _ => self.help.to_owned(),
        }
    }

    /// Its place in the configuration as a JSON value (RFC 6901).
    pub fn pointer(&self) -> String {
        format!("/{}", self.path.replace('.', "/"))
    }

    /// Its environment variable.
    fn variable(&self) -> String {
        // `audit: FILE` is short for `audit: {file: FILE}`, here too.
        let path = self.path.strip_suffix(".file").unwrap_or(self.path);
        format!(
            "THOUGHTGATE_{}",
            path.replace('.', "_").to_ascii_uppercase()
        )
    }
}

/// The environment's part of `--help`.
pub fn help() -> String {
    let mut help = String::from(
        "Settings, as environment variables (in the file: the same names, nested at the dots):\n",
    );
    let variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let width = variables.iter().map(String::len).max().unwrap_or(0);
    for (variable, setting) in variables.iter().zip(SETTINGS) {
        writeln!(help, "  {variable:width$}  {}", setting.help).expect("a String takes any text");
    }
    help.push_str("\nFlags win over the environment, the environment over the file.\nExit codes: 0 stopped in good order, 1 failed while running, 2 misuse or bad configuration.");
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Leaves of the default configuration; a mapping that users fill is one leaf.
    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    leaves(
                        value,
                        &format!("{path}{}{name}", if path.is_empty() { "" } else { "." }),
                        found,
                    );
                }
            }
            _ => found.push(path.to_owned()),
        }
    }

    #[test]
    fn the_table_and_the_configuration_have_the_same_settings() {
        let mut in_config = Vec::new();
        leaves(
            &serde_json::to_value(Config::default()).unwrap(),
            "",
            &mut in_config,
        );
        let mut in_table: Vec<String> = SETTINGS
            .iter()
            .map(|setting| setting.path.to_owned())
            .collect();
        in_config.sort();
        in_table.sort();
        assert_eq!(in_config, in_table);
    }

    #[test]
    fn only_places_of_settings_are_known() {
        for (path, known) in [
            ("approval.slack.token", "approval.slack.token"),
            ("approval.slack.approvers[0]", "approval.slack.approvers"),
            ("approval.slack.tokn", "approval.slack"),
            ("agent.groups.xoxb-1[2]", "agent.groups"),
            ("work", ""),
            ("xoxb-1", ""),
            ("", ""),
            (".", ""),
        ] {
            assert_eq!(known_part(path), known, "{path}");
        }
    }

    #[test]
    fn variables_are_unique() {
        let mut names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
    }
}
