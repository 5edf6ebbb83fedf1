//! Merges the configuration from its three sources: file, environment and flags.
//!
//! Knows the form of a value and not its use; `settings.rs` checks that values are consistent.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::config::{Config, MEMORY, STDOUT, yaml};
use crate::flags::Flags;
use crate::overlay::{self, Setting};

/// Merges the file (if any), the environment and the flags; each overrides the ones before it.
pub fn config(flags: &Flags, environment: &[(String, String)]) -> anyhow::Result<Config> {
    let mut config = match &flags.config {
        Some(path) => from_file(path)?,
        None => Config::default(),
    };
    for (setting, name, text) in overlay::from_environment(environment) {
        config = with(&config, setting, text, name)?;
    }
    for (path, text, flag) in flags.settings() {
        config = with(&config, overlay::setting(path), &text, flag)?;
    }
    overlay::check_filled(&config)?;
    Ok(config)
}

/// Sets one value and deserializes the whole again, so that an error is that of this value.
fn with(config: &Config, setting: &Setting, text: &str, source: &str) -> anyhow::Result<Config> {
    let Setting { path, .. } = setting;
    let value = overlay::value(setting, text)
        .with_context(|| format!("failed to parse `{source}` (setting `{path}`)"))?;
    let mut tree = serde_json::to_value(config).context("failed to merge the settings")?;
    if let Some(place) = tree.pointer_mut(&setting.pointer()) {
        *place = value;
    }
    // serde's error is dropped: it quotes the value, which may be a secret.
    serde_json::from_value(tree).map_err(|_| {
        anyhow!(
            "invalid value of `{source}` (setting `{path}`); expected: {}",
            setting.expected()
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
    let mut config: Config =
        yaml::parse(&text).with_context(|| format!("failed to parse configuration `{shown}`"))?;
    // Checked before paths are joined below: an empty path would become the directory's.
    overlay::check_filled(&config)
        .with_context(|| format!("failed to use configuration `{shown}`"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let slack = &mut config.approval.slack;
    let audit = config
        .audit
        .file
        .as_mut()
        .filter(|path| **path != Path::new(STDOUT));
    let store = Some(&mut config.approval.store).filter(|path| **path != Path::new(MEMORY));
    let files = [
        config.policy.as_mut(),
        audit,
        store,
        config.agent.jwt.key_file.as_mut(),
        slack.token_file.as_mut(),
        slack.signing_secret_file.as_mut(),
    ];
    for file in files.into_iter().flatten() {
        *file = folder.join(&*file);
    }
    Ok(config)
}
