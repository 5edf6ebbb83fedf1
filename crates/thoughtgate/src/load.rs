//! Merges the configuration from its three sources: file, environment and flags.
//!
//! Knows the form of a value and not its use; `settings.rs` checks that values are consistent.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::config::{Config, Form, MEMORY, STDOUT, Setting, every, yaml};
use crate::flags::Flags;
use crate::mistakes::Mistakes;
use crate::overlay::{self, SETTINGS};

/// Values that are no paths, of settings whose other values are.
const NO_FILES: [(&str, &str); 2] = [("audit.file", STDOUT), ("approval.store", MEMORY)];

/// Merges the file (if any), the environment and the flags; each overrides the ones before it.
pub fn config(flags: &Flags, environment: &[(String, String)]) -> anyhow::Result<Config> {
    let mut config = match &flags.config {
        Some(path) => from_file(path)?,
        None => Config::default(),
    };
    let mut wrong = Mistakes::default();
    let flags = flags.settings();
    let flags = flags
        .iter()
        .map(|(path, text, flag)| (overlay::setting(path), *flag, text.as_str()));
    let given = overlay::from_environment(environment)
        .into_iter()
        .chain(flags);
    for (setting, source, text) in given {
        if let Some(changed) = wrong.keep(with(&config, setting, text, source)) {
            config = changed;
        }
    }
    wrong.keep(overlay::check_filled(&config));
    Ok(wrong.or(config)?)
}

/// Sets one value and deserializes the whole again, so that an error is that of this value.
fn with(config: &Config, setting: &Setting, text: &str, source: &str) -> anyhow::Result<Config> {
    let Setting { path, .. } = setting;
    let value = overlay::value(setting, text)
        .with_context(|| format!("failed to parse `{source}` (setting `{path}`)"))?;
    let mut tree = overlay::tree(config)?;
    if let Some(place) = tree.pointer_mut(&setting.pointer()) {
        *place = value;
    }
    // serde's error is dropped: it quotes the value, which may be a secret.
    serde_json::from_value(tree).map_err(|_| {
        let form = match setting.form {
            Form::Duration => "a duration with its unit, such as `30s`, `250ms` or `5m`: ",
            _ => "",
        };
        anyhow!(
            "invalid value of `{source}` (setting `{path}`); expected: {form}{}",
            overlay::expected(setting)
        )
    })
}

/// The file's settings. Paths in it are relative to its directory, not to the working directory.
fn from_file(path: &Path) -> anyhow::Result<Config> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read configuration `{shown}`"))?;
    if text.trim().is_empty() {
        bail!(
            "configuration `{shown}` is empty; it needs at least `upstream: {{url: …}}` and `policy: …`"
        );
    }
    let config: Config = yaml::parse(&text)
        .map_err(|first: anyhow::Error| {
            anyhow::Error::new(every::mistakes(&text, first.to_string()))
        })
        .with_context(|| format!("failed to parse configuration `{shown}`"))?;
    // Checked before paths are joined below: an empty path would become the directory's.
    overlay::check_filled(&config)
        .with_context(|| format!("failed to use configuration `{shown}`"))?;
    below(path.parent().unwrap_or(Path::new("")), &config)
}

/// `config` with its paths relative to `folder`.
fn below(folder: &Path, config: &Config) -> anyhow::Result<Config> {
    let mut tree = overlay::tree(config)?;
    for setting in SETTINGS.iter().filter(|row| row.form == Form::File) {
        let Some(place) = tree.pointer_mut(&setting.pointer()) else {
            continue;
        };
        if let Some(file) = place.as_str()
            && !NO_FILES.contains(&(setting.path.as_str(), file))
        {
            *place = overlay::tree(&folder.join(file))?;
        }
    }
    // serde's error is dropped, as in `with`.
    serde_json::from_value(tree).map_err(|_| anyhow!("failed to merge the settings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_without_its_unit_is_refused_with_the_form() {
        let setting = overlay::setting("timeouts.body");
        let error = with(&Config::default(), setting, "5", "SOURCE").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value of `SOURCE` (setting `timeouts.body`); expected: a duration with its unit, such as \
             `30s`, `250ms` or `5m`: time limit to receive a request's body (default: 30s)"
        );
    }

    #[test]
    fn paths_in_a_file_are_relative_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thoughtgate.yaml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            from_file(&path).unwrap()
        };
        let words = read("policy: /p.cedar\naudit: stdout\napproval: {store: memory}\n");
        assert_eq!(words.policy.as_deref(), Some(Path::new("/p.cedar")));
        assert_eq!(words.audit.file.as_deref(), Some(Path::new(STDOUT)));
        assert_eq!(words.approval.store, Path::new(MEMORY));
        let files = read(
            "policy: p\naudit: memory\nagent: {jwt: {key_file: k}}\n\
             approval: {store: stdout, slack: {token: file, token_file: t, signing_secret_file: s}}\n",
        );
        let slack = files.approval.slack;
        let below = |name: &str| Some(folder.path().join(name));
        for (found, name) in [
            (files.policy, "p"),
            (files.audit.file, "memory"),
            (files.agent.jwt.key_file, "k"),
            (Some(files.approval.store), "stdout"),
            (slack.token_file, "t"),
            (slack.signing_secret_file, "s"),
        ] {
            assert_eq!(found, below(name));
        }
        assert_eq!(slack.token.as_deref(), Some("file"));
    }
}
