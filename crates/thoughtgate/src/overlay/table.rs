//! The table of all settings, from which environment variables, their help, what a reload refuses, and
//! parts of errors are derived.
//!
//! Collected from the configuration; a setting is written there.

use std::sync::LazyLock;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use crate::config::{Config, Setting};

/// Every setting, in the order of the help.
pub static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut settings = Vec::new();
    Config::list("", &mut settings);
    settings
});

/// The configuration, or a value of it, as JSON. In the configuration, a setting is at its pointer.
pub fn tree(settings: &impl Serialize) -> anyhow::Result<Value> {
    serde_json::to_value(settings)
        .context("failed to combine the settings of file, environment and command line")
}

/// The setting with this path, if there is one.
pub fn find(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

/// The setting of a flag. Panics if `path` is not in the table.
pub fn setting(path: &str) -> &'static Setting {
    find(path).expect("every flag names a setting of the table")
}

/// The help of a setting and, if there is one, the default: shown for a value that was not accepted.
pub fn expected(setting: &Setting) -> String {
    described(setting, &tree(&Config::default()).unwrap_or_default())
}

/// The help of a setting and, if there is one, its default in `defaults`, the tree of the default
/// configuration.
pub fn described(setting: &Setting, defaults: &Value) -> String {
    let default = match defaults.pointer(&setting.pointer()) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(items)) if !items.is_empty() => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            items.join(",")
        }
        _ => return setting.help.to_owned(),
    };
    format!("{} (default: {default})", setting.help)
}

/// The longest prefix of `path` that is the path of a setting, or of a group of settings.
pub fn known_part(path: &str) -> &str {
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
    // From the shortest prefix on, since behind a part that is no setting nothing is known.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Form;

    #[test]
    fn every_setting_that_is_a_limit_is_told_with_its_default() {
        let told = include_str!("../../../../.github/SECURITY.md");
        assert_eq!(untold(told), Vec::<String>::new());
        let other = told.replace("| 64, at most 128 |", "| 65, at most 128 |");
        assert_eq!(untold(&other), ["limits.depth"]);
        let other = told.replace("`limits.list_bytes`", "`limits.list`");
        assert_eq!(untold(&other), ["limits.list_bytes"]);
    }

    /// The limits that no row of a table in `document` names, with the default in the next cell.
    fn untold(document: &str) -> Vec<String> {
        let defaults = tree(&Config::default()).unwrap();
        let rows: Vec<_> = document
            .lines()
            .filter_map(|row| row.strip_prefix("| ")?.split_once(" | "))
            .collect();
        let told = |Setting { path, .. }: &Setting, default: &Value| {
            let mut rows = rows
                .iter()
                .filter(|(names, _)| names.contains(&format!("`{path}`")));
            rows.any(|(_, rest)| {
                let value = rest.split(" | ").next().unwrap_or_default();
                let mut parts = value.split([';', ':']).flat_map(|part| part.split(", "));
                default.is_null() || parts.any(|part| written(default).contains(&part.to_owned()))
            })
        };
        let untold = SETTINGS.iter().filter(|setting| {
            let measured = matches!(setting.form, Form::Number | Form::Duration);
            let limit = measured && setting.path != "workers" || setting.path == "audit.when_full";
            limit && !told(setting, defaults.pointer(&setting.pointer()).unwrap())
        });
        untold.map(|setting| setting.path.clone()).collect()
    }

    /// The ways to write a default for humans, such as `4 MiB`, `1,024` and `10 min`.
    fn written(default: &Value) -> Vec<String> {
        let time = humantime_serde::deserialize::<Duration, _>(default);
        let (number, units) = match (default.as_u64(), time) {
            (Some(number), _) => (number, [(1_u64, ""), (1 << 10, " KiB"), (1 << 20, " MiB")]),
            (None, Ok(time)) => (time.as_secs(), [(1_u64, " s"), (60, " min"), (3600, " h")]),
            _ => return default.as_str().map(str::to_owned).into_iter().collect(),
        };
        let whole = units
            .iter()
            .filter(|(size, _)| number.is_multiple_of(*size));
        let mut ways: Vec<_> = whole
            .map(|(size, unit)| format!("{}{unit}", number / size))
            .collect();
        ways.push(format!("{},{:03}", number / 1000, number % 1000));
        ways
    }

    #[test]
    fn a_default_is_written_as_in_an_environment_variable() {
        let defaults = tree(&Config::default()).unwrap();
        for (path, expected) in [
            ("timeouts.body", "request's body (default: 30s)"),
            ("limits.depth", "at most 128 (default: 64)"),
            ("refusals", "(a JSON-RPC error) (default: result)"),
            ("approval.slack.approve_reactions", "(default: "),
            ("upstream.url", "with its path"),
            ("tool_groups", "{group: [tool, …]}"),
            ("allowed_hosts", "*.example.com"),
        ] {
            let text = described(setting(path), &defaults);
            assert_eq!(text, super::expected(setting(path)));
            assert!(text.contains(expected), "{path}: {text}");
            assert_eq!(text.contains("(default: "), expected.contains("(default: "));
        }
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
}
