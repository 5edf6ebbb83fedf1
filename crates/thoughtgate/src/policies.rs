//! Reads policy files and makes an engine of them.
//!
//! The one place that touches the files, at start and at every reload alike.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use thoughtgate_policy::{Engine, Options, Source};

use crate::config::Config;

/// Policy text beyond this is a mistake, not a policy set.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An engine and the time that reading, parsing and validating took.
pub struct Loaded {
    /// Ready to be put in force.
    pub engine: Engine,
    /// From the first file opened to the engine made.
    pub took: Duration,
}

/// Loads the policies that `config` names; `None` when it names none.
pub fn load(config: &Config) -> anyhow::Result<Option<Loaded>> {
    let Some(path) = &config.policy else {
        return Ok(None);
    };
    let started = Instant::now();
    let sources = read(path)?;
    let options = Options {
        upstream: config.upstream.name.clone(),
        approvals: config.approval.is_configured(),
        agent_groups: config.agent.groups.clone(),
        tool_groups: config.tool_groups.clone(),
        annotations: config.policy_annotations.clone(),
    };
    let engine = Engine::load(&sources, &options).context("failed to load policies")?;
    Ok(Some(Loaded {
        engine,
        took: started.elapsed(),
    }))
}

fn read(path: &Path) -> anyhow::Result<Vec<Source>> {
    let shown = path.display();
    let metadata =
        std::fs::metadata(path).with_context(|| format!("failed to read policies `{shown}`"))?;
    if !metadata.is_dir() {
        return Ok(vec![source(path)?]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<_>>()
        })
        .with_context(|| format!("failed to read policy directory `{shown}`"))?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "cedar")
    });
    // The order of a directory is the file system's; policies without an id are named by theirs.
    files.sort();
    if files.is_empty() {
        bail!("policy directory `{shown}` holds no *.cedar file");
    }
    files.iter().map(|file| source(file)).collect()
}

fn source(path: &Path) -> anyhow::Result<Source> {
    let shown = path.display();
    let failed = || format!("failed to read policy file `{shown}`");
    let length = std::fs::metadata(path).with_context(failed)?.len();
    if length > BYTES_MAX {
        bail!("policy file `{shown}` has {length} bytes, more than {BYTES_MAX}");
    }
    let text = std::fs::read_to_string(path).with_context(failed)?;
    Ok(Source {
        name: shown.to_string(),
        text,
    })
}
