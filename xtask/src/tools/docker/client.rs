//! The `docker` client: how it is started, and names and options for what it makes.
//!
//! Knows no image and no container; those who make them remove them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use xshell::Cmd;

use crate::tools::process::{Launch, Output};

/// Time limit of a query or a small change in the daemon.
pub(super) const ASK: Duration = Duration::from_secs(20);

/// A name that nothing else in the daemon has. It is random, since process ids do not suffice: two runs
/// that share a daemon may both be process 1 of their own container.
pub fn unique_name() -> String {
    static RUN: LazyLock<u64> = LazyLock::new(random);
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("xtask-{:016x}-{number}", *RUN)
}

/// The option that mounts `path` into a container, at the same path.
pub fn mounted(path: &Path, writable: bool) -> anyhow::Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| {
        format!(
            "the path `{}` is not UTF-8, so docker cannot mount it",
            path.display()
        )
    })?;
    // The value is a line of CSV: quoted fields may contain any character.
    let quoted = text.replace('"', "\"\"");
    let readonly = if writable { "" } else { ",readonly" };
    Ok(format!(
        "--mount=type=bind,\"source={quoted}\",\"target={quoted}\"{readonly}"
    ))
}

/// Runs a command of the client to its end.
///
/// # Errors
/// It fails, or does not end within `deadline`.
pub(super) fn docker(command: Cmd<'_>, deadline: Duration) -> anyhow::Result<Output> {
    Launch::from(command).run(deadline)?.success()
}

/// The client, for a command that runs beside this process.
pub(super) fn client() -> Launch {
    Launch::new("docker")
}

fn random() -> u64 {
    // A `RandomState` takes its keys from the system's randomness.
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_one_run_alone() {
        let (one, two) = (unique_name(), unique_name());
        assert_ne!(one, two);
        // Two runs may have the same process id, on a daemon that they share.
        assert_ne!(random(), random());
        assert!(!one.contains(&format!("-{}-", std::process::id())), "{one}");
    }

    #[test]
    fn a_mount_may_have_any_path() {
        let mount = mounted(Path::new("/a, \"b\":c"), false).unwrap();
        let path = "/a, \"\"b\"\":c";
        let expected = format!("--mount=type=bind,\"source={path}\",\"target={path}\",readonly");
        assert_eq!(mount, expected);
    }
}
