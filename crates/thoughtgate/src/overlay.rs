//! Settings given as text, in environment variables and flags: their names, the conversion of their
//! text to values, and their help.
//!
//! Everything is derived from the rows in `overlay/table.rs`; the settings are in `config.rs`.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::Value;
use thoughtgate_panic::warn;

use crate::config::{Config, Form, Setting, yaml};

mod table;

pub use table::{SETTINGS, described, expected, find, known_part, setting, tree};

/// Warns on stderr about `THOUGHTGATE_…` variables that match no setting: a misspelt one would
/// otherwise be ignored silently. It is not an error, since Kubernetes adds such variables for a
/// service named `thoughtgate`.
pub fn warn_of_unknown(environment: &[(String, String)]) {
    for (name, _) in environment {
        let known = name == "THOUGHTGATE_CONFIG"
            || SETTINGS.iter().any(|setting| setting.variable() == *name);
        if name.starts_with("THOUGHTGATE_") && !known {
            warn!("environment variable `{name}` matches no setting and is ignored (see --help)");
        }
    }
}

/// The settings that `environment` contains, with the variable's name and text.
pub fn from_environment(environment: &[(String, String)]) -> Vec<(&'static Setting, &str, &str)> {
    let given = |setting: &'static Setting| {
        let variable = setting.variable();
        let (name, text) = environment.iter().find(|(name, _)| *name == variable)?;
        Some((setting, name.as_str(), text.as_str()))
    };
    // In the order of the settings and not of the environment, so that the first error is always the same.
    SETTINGS.iter().filter_map(given).collect()
}

/// Converts `text` to a value of the setting. Errors leave `text` out: it may be a secret.
pub fn value(setting: &Setting, text: &str) -> anyhow::Result<Value> {
    Ok(match setting.form {
        Form::Text | Form::Duration | Form::File => Value::String(text.to_owned()),
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

/// The settings that are given and empty, by path, each with the mistake: anyone knows an empty secret, and any
/// client can send an empty name or host. Groups are checked with the policies that name them.
pub fn blanks(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let tree = tree(config)?;
    let mut found = Vec::new();
    for setting in SETTINGS.iter() {
        let Setting { path, help, .. } = setting;
        match tree.pointer(&setting.pointer()) {
            Some(Value::Array(items)) => {
                let blank = items.iter().enumerate().filter(|(_, item)| is_blank(item));
                found.extend(blank.map(|(at, _)| {
                    let (item, items) = (at + 1, items.len());
                    let mistake = format!("`{path}`: item {item} of {items} is empty ({help})");
                    (format!("{path}[{at}]"), mistake)
                }));
            }
            Some(value) if is_blank(value) => {
                found.push((path.clone(), empty(path)));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The mistake of a setting, or a section, that is given without a value.
pub fn empty(path: &str) -> String {
    let help = find(path).map_or_else(String::new, |setting| format!(" ({})", setting.help));
    format!("`{path}` is empty; give it a value{help} or leave it out")
}

/// Whether a value is text without any but white space.
pub fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// The part of `--help` that follows the flags: environment variables, precedence, exit codes.
pub fn help() -> String {
    let mut help = String::from(
        "Environment variables (THOUGHTGATE_AGENT_ID is `agent: {id: …}` in the configuration file):\n",
    );
    let variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let width = variables.iter().map(String::len).max().unwrap_or(0);
    let defaults = tree(&Config::default()).unwrap_or_default();
    for (variable, setting) in variables.iter().zip(SETTINGS.iter()) {
        let text = described(setting, &defaults);
        writeln!(help, "  {variable:width$}  {text}").expect("a String takes any text");
    }
    help.push_str("\nFlags override environment variables, which override the configuration file.\nExit codes: 0 normal stop; 1 internal error (panic); 2 any other failure, such as an invalid command line or configuration; 130 or 143 second SIGINT or SIGTERM.");
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves of the default configuration; a mapping with keys of the user's choice is one leaf.
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
        leaves(&tree(&Config::default()).unwrap(), "", &mut in_config);
        let mut in_table: Vec<&str> = SETTINGS.iter().map(|row| row.path.as_str()).collect();
        in_config.sort();
        in_table.sort_unstable();
        assert_eq!(in_config, in_table);
    }

    #[test]
    fn variables_are_unique() {
        let mut names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
    }
}
