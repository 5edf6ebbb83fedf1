//! Cargo: builds release binaries and tells where they are. Knows nothing of metrics.
//!
//! Where things are is asked of cargo and never guessed: `CARGO_TARGET_DIR`, a configured
//! target directory and a configured target platform all move them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::process::{Launch, Output};

/// A release build from nothing takes minutes on two cores; one that takes longer hangs.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);
const METADATA_DEADLINE: Duration = Duration::from_secs(120);

/// Builds `packages` with the release profile and returns the directory of their executables,
/// absolute. Cargo's own progress goes to standard error.
pub fn build_release(workspace: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args(["build", "--release", "--locked", "--bins"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(packages.iter().flat_map(|name| ["--package", name]))
        .directory(workspace)
        .pass_stderr()
        .run(BUILD_DEADLINE)
        .and_then(Output::success)
        .with_context(|| format!("failed to build {}", packages.join(", ")))?;
    executables(&output.stdout.text())
        .first()
        .and_then(|path| Some(path.parent()?.to_path_buf()))
        .with_context(|| format!("failed to find an executable of {}", packages.join(", ")))
}

/// The target directory of the workspace, absolute.
pub fn target_dir(workspace: &Path) -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .directory(workspace)
        .run(METADATA_DEADLINE)
        .and_then(Output::success)?;
    let metadata: Metadata = serde_json::from_str(&output.stdout.text())
        .context("failed to read the output of `cargo metadata`")?;
    let directory = metadata.target_directory;
    ensure!(
        directory.is_absolute(),
        "`cargo metadata` tells a relative target directory `{}`",
        directory.display()
    );
    Ok(directory)
}

fn cargo() -> Launch {
    // Under `cargo xtask`, the very cargo that was called.
    let mut launch = Launch::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (key, _) in std::env::vars_os() {
        // What cargo told of this package: build scripts that look at it would run again, and half
        // of everything be built again, whenever somebody also builds by hand.
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if told
            .iter()
            .any(|prefix| key.to_string_lossy().starts_with(prefix))
        {
            launch = launch.env_remove(&key);
        }
    }
    launch
}

/// The executables in the messages of a build, in the order in which they were made.
fn executables(messages: &str) -> Vec<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    // Other messages have other fields, and what a build script prints is no message at all.
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages.filter_map(|message| message.executable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_picked_from_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"build-script-executed","out_dir":"/x/out"}"#,
            "\nsome text\n",
            r#"{"reason":"compiler-artifact","executable":"/x/release/mock-mcp","fresh":true}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(
            executables(messages),
            [PathBuf::from("/x/release/mock-mcp")]
        );
    }

    #[test]
    fn the_target_directory_is_that_of_this_workspace() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let directory = target_dir(workspace).unwrap();
        assert!(
            std::env::current_exe().unwrap().starts_with(&directory),
            "{}",
            directory.display()
        );
    }
}
