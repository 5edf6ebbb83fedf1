//! Reads policy files and builds an engine from them, at start and at every reload.
//!
//! The only module that reads these files; checking policies is the work of `thoughtgate-policy`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use thoughtgate_approval::chain;
use thoughtgate_policy::{Engine, LOAD_STACK_BYTES, Options, Source};

use crate::config::Config;
use crate::mistakes::Mistakes;
use crate::text;

/// A mistake of a set without any policy: most likely a wrong path, a half-written file, or one emptied by a
/// full disk.
pub const EMPTY: &str = "the policy files contain no policy; to refuse everything, write `forbid (principal, action, resource);`";

/// Reads the policies that `config` names; `None` when it names none.
pub fn read(config: &Config) -> anyhow::Result<Option<Vec<Source>>> {
    let Some(path) = &config.policy else {
        return Ok(None);
    };
    let shown = path.display();
    // Follows links, by which Kubernetes mounts a ConfigMap.
    let metadata =
        std::fs::metadata(path).with_context(|| format!("failed to read policies `{shown}`"))?;
    if !metadata.is_dir() {
        return Ok(Some(vec![source(path)?]));
    }
    let files =
        files(path).with_context(|| format!("failed to read policy directory `{shown}`"))?;
    if files.is_empty() {
        bail!("policy directory `{shown}` contains no *.cedar file");
    }
    let mut wrong = Mistakes::default();
    let sources = files.iter().filter_map(|file| wrong.keep(source(file)));
    let sources = sources.collect();
    Ok(Some(wrong.or(sources)?))
}

/// The part of `config` that policies can refer to.
pub fn options(config: &Config) -> Options {
    Options {
        upstream: config.upstream.name.clone(),
        approvals: config.approval.is_configured(),
        agent_groups: config.agent.groups.clone(),
        tool_groups: config.tool_groups.clone(),
        claims: config.agent.jwt.claims.clone(),
        annotations: config.policy_annotations.clone(),
    }
}

/// Parses and validates `sources` against `options`.
pub fn load(sources: &[Source], options: &Options) -> anyhow::Result<Engine> {
    // A thread of its own for its larger stack: Cedar recurses as deeply as policies nest.
    std::thread::scope(|scope| {
        let loading = std::thread::Builder::new()
            .name("load".to_owned())
            .stack_size(LOAD_STACK_BYTES)
            .spawn_scoped(scope, || Engine::load(sources, options))
            .context("failed to start a thread to load policies")?;
        // `join` fails only in a caller without the binary's panic hook, which ends the process.
        let loaded = loading
            .join()
            .map_err(|_| anyhow!("failed to load policies: the loading thread panicked"))?;
        loaded.map_err(|errors| {
            let mistakes: Mistakes = errors.all().iter().map(|error| chain(error)).collect();
            anyhow::Error::new(mistakes).context("failed to load policies")
        })
    })
}

/// The policy files of `folder`, sorted by name: the system may list them in another order each time,
/// which would look like a changed set.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(folder)?.collect();
    let mut files: Vec<PathBuf> = entries?.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|file| is_policy_file(file));
    files.sort();
    Ok(files)
}

/// Whether a file of a policy directory is a policy file. Hidden files are editors' temporary ones.
pub fn is_policy_file(file: &Path) -> bool {
    let is_hidden = file
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && file
            .extension()
            .is_some_and(|extension| extension == "cedar")
}

fn source(path: &Path) -> anyhow::Result<Source> {
    Ok(Source {
        name: path.display().to_string(),
        text: text::read("policy file", path)?,
    })
}
