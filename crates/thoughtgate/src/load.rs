//! Merges the configuration from its three sources: file, environment and flags.
//!
//! Knows the form of a value and not its use; `settings.rs` checks that values are consistent.

use std::path::Path;

use anyhow::{Context, anyhow};
use thoughtgate_panic::warn;

use crate::config::outline::outline;
use crate::config::{Config, Form, MEMORY, STDOUT, Setting, every, yaml};
use crate::flags::Flags;
use crate::mistakes::Mistakes;
use crate::overlay::{self, SETTINGS};
use crate::places::Places;

/// Values that are no paths, of settings whose other values are.
const NO_FILES: [(&str, &str); 2] = [("audit.file", STDOUT), ("approval.store", MEMORY)];

/// The configuration, as far as it could be read.
#[derive(Debug, Default)]
pub struct Loaded {
    pub config: Config,
    /// Where its settings were given.
    pub places: Places,
    pub mistakes: Mistakes,
}

/// Merges the file (if any), the environment and the flags; each overrides the ones before it.
pub fn config(flags: &Flags, environment: &[(String, String)]) -> anyhow::Result<(Config, Places)> {
    let Loaded {
        config,
        places,
        mistakes,
    } = partial(flags, environment);
    Ok(mistakes.or((config, places))?)
}

/// As `config`, but without the values that cannot be read, so that the others can be checked.
pub fn partial(flags: &Flags, environment: &[(String, String)]) -> Loaded {
    let mut loaded = Loaded::default();
    if let Some(path) = &flags.config {
        loaded.add_file(path);
    }
    for (setting, name, text) in overlay::from_environment(environment) {
        loaded.add(setting, text, "variable", name);
    }
    for (path, text, flag) in flags.settings() {
        loaded.add(overlay::setting(path), &text, "flag", flag);
    }
    loaded.check_filled();
    loaded
}

impl Loaded {
    /// Takes a value from `source`, which is a `kind` of it.
    fn add(&mut self, setting: &Setting, text: &str, kind: &str, source: &str) {
        let set = with(&self.config, setting, text, source);
        if let Some(changed) = self.mistakes.keep(set) {
            self.config = changed;
            self.places.set(&setting.path, format!("{kind} `{source}`"));
        } else {
            self.places.forget(setting.path.as_str());
        }
    }

    /// Takes the settings of a file. Paths in it are relative to its directory, not to the working directory.
    fn add_file(&mut self, path: &Path) {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read configuration `{shown}`"));
        let Some(text) = self.mistakes.keep(text) else {
            return self.places.forget("");
        };
        if text.trim().is_empty() {
            self.mistakes.add(format!(
                "configuration `{shown}` is empty; it needs at least `upstream: {{url: …}}` and `policy: …`"
            ));
            return self.places.forget("");
        }
        let config = yaml::parse(&text).unwrap_or_else(|first| {
            let partial = every::partial(&text, first.to_string());
            let failed = format!("failed to parse configuration `{shown}`");
            let mistakes = anyhow::Error::new(partial.mistakes).context(failed);
            self.mistakes.keep::<()>(Err(mistakes));
            for path in partial.unread {
                self.places.forget(path);
            }
            partial.config
        });
        if let Some(root) = outline(&text) {
            self.places
                .add_file(&format!("configuration `{shown}`"), &root);
        }
        let joined = below(path.parent().unwrap_or(Path::new("")), &config);
        self.config = self.mistakes.keep(joined).unwrap_or_default();
    }

    fn check_filled(&mut self) {
        let empty: Vec<String> = self.places.empty().map(str::to_owned).collect();
        for path in empty {
            let mistake = self.places.locate(&anyhow!(overlay::empty(&path)));
            self.mistakes.keep::<()>(Err(mistake));
            self.places.forget(path);
        }
        let blanks = self.mistakes.keep(overlay::blanks(&self.config));
        for (path, mistake) in blanks.unwrap_or_default() {
            let mistake = self.places.locate(&anyhow!(mistake));
            self.mistakes.keep::<()>(Err(mistake));
            self.places.forget(path);
        }
    }
}

/// Warns of an upstream without a path: the proxy then asks for `/`, which few MCP servers have.
pub fn warn_of_no_path(config: &Config) {
    let url = config.upstream.url.as_deref().unwrap_or_default();
    let has_path = |(_, rest): (&str, &str)| rest.contains('/');
    if !url.split_once("://").is_none_or(has_path) {
        warn!(
            "`upstream.url` has no path, so that requests go to `/`; most MCP servers have theirs at /mcp"
        );
    }
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

/// `config` with its paths relative to `folder`.
fn below(folder: &Path, config: &Config) -> anyhow::Result<Config> {
    let mut tree = overlay::tree(config)?;
    for setting in SETTINGS.iter().filter(|row| row.form == Form::File) {
        let Some(place) = tree.pointer_mut(&setting.pointer()) else {
            continue;
        };
        // An empty path would become the folder's.
        if let Some(file) = place.as_str()
            && !overlay::is_blank(place)
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
            let mut loaded = Loaded::default();
            loaded.add_file(&path);
            assert!(loaded.mistakes.is_empty(), "{}", loaded.mistakes);
            loaded.config
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
