//! Cargo: builds release binaries. Knows nothing of metrics.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xshell::{Shell, cmd};

/// Builds `packages` with the release profile and returns the directory of the binaries, absolute.
pub fn build_release(workspace: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let shell = Shell::new()?;
    shell.change_dir(workspace);
    let selection: Vec<String> = packages
        .iter()
        .map(|name| format!("--package={name}"))
        .collect();
    cmd!(shell, "cargo build --release --locked {selection...}")
        .run()
        .with_context(|| format!("failed to build {}", packages.join(", ")))?;
    Ok(workspace.join("target/release"))
}
