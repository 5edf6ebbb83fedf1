//! One probe for each need of `doctor`. Each has a deadline and changes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use xshell::{Cmd, Shell, cmd};

use crate::tools::cargo::{self, TOOLS};
use crate::tools::docker::Docker;
use crate::tools::image::ARCHITECTURES;
use crate::tools::k6::K6;
use crate::tools::process::{Launch, Output};
use crate::tools::scratch::Scratch;

/// `--version` takes no time, but the first start of a tool from a cold disk may.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn cargo(workspace: &Path) -> anyhow::Result<String> {
    let (sh, cargo) = (Shell::new()?, cargo::program());
    says(cmd!(sh, "{cargo} --version"), workspace)
}

pub(super) fn cargo_deny(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    says(cmd!(sh, "cargo deny --version"), workspace)
}

pub(super) fn rustc(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    says(cmd!(sh, "rustc --version"), workspace)
}

/// Links a minimal program: that proves more than the presence of a `cc`.
pub(super) fn linker(workspace: &Path) -> anyhow::Result<String> {
    let scratch = Scratch::new("a test program")?;
    let source = scratch.write("main.rs", "fn main() {}\n")?;
    let program = scratch.path().join("program");
    let sh = Shell::new()?;
    done(cmd!(sh, "rustc {source} -o {program}"), workspace)?;
    Ok("links a program".to_owned())
}

pub(super) fn procfs(_workspace: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string("/proc/self/stat").context("failed to read `/proc/self/stat`")?;
    Ok("readable".to_owned())
}

pub(super) fn pip(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    says(cmd!(sh, "python3 -m pip --version"), workspace)
}

/// Looks for k6 before it calls `K6::find`, which would install a missing one.
pub(super) fn k6(workspace: &Path) -> anyhow::Result<String> {
    let tools_dir = cargo::target_dir(workspace).join(TOOLS);
    let in_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|entry| entry.join("k6").is_file()));
    let named = std::env::var_os("K6").is_some_and(|named| !named.is_empty());
    if !named && !in_path && !installed(&tools_dir) {
        bail!(
            "not named by `K6`, not in `PATH`, nor installed in `{}`",
            tools_dir.display()
        );
    }
    let k6 = K6::find(&tools_dir)?;
    Ok(format!("k6 {} ({})", k6.version(), k6.path().display()))
}

pub(super) fn docker(_workspace: &Path) -> anyhow::Result<String> {
    Docker::find().map(|docker| format!("daemon {}", docker.server_version))
}

pub(super) fn registry(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    says(cmd!(sh, "docker-registry --version"), workspace)
}

pub(super) fn architectures(workspace: &Path) -> anyhow::Result<String> {
    let mut able = Vec::new();
    for architecture in ARCHITECTURES {
        let name = architecture.name;
        match architecture.compiler(workspace) {
            Ok(compiler) => able.push(format!("{name} with {}", compiler.version)),
            Err(command) => bail!("cannot build for {name}: run `{command}` first"),
        }
    }
    Ok(format!("images for {}", able.join(", ")))
}

pub(super) fn valgrind(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    says(cmd!(sh, "valgrind --version"), workspace)
}

pub(super) fn node(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    let version = says(cmd!(sh, "node --version"), workspace)?;
    let major = major(&version)
        .with_context(|| format!("unexpected output of `node --version`: `{version}`"))?;
    if major < 22 {
        bail!("node is {version}, expected 22 or later");
    }
    Ok(version)
}

/// nginx prints its version on standard error, and has no long option for it.
pub(super) fn nginx(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    let output = done(cmd!(sh, "nginx -v"), workspace)?;
    Ok(output.stderr.text().trim().to_owned())
}

pub(super) fn bencher(workspace: &Path) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    says(cmd!(sh, "bencher --version"), workspace)
}

/// The line that a command prints.
fn says(command: Cmd<'_>, workspace: &Path) -> anyhow::Result<String> {
    let output = done(command, workspace)?;
    Ok(output.stdout.text().trim().to_owned())
}

fn done(command: Cmd<'_>, workspace: &Path) -> anyhow::Result<Output> {
    let output = Launch::from(command).directory(workspace).run(DEADLINE)?;
    output.success()
}

fn installed(tools_dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(tools_dir) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("k6-") && entry.path().join("bin/k6").is_file()
    })
}

fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_node_has_its_major_number() {
        assert_eq!(major("v22.4.1\n"), Some(22));
        assert_eq!(major("22.4.1"), None);
    }

    #[test]
    fn an_unfinished_installation_of_k6_is_none() {
        let tools_dir = tempfile::tempdir().unwrap();
        assert!(!installed(&tools_dir.path().join("none")));
        let bin = tools_dir.path().join("k6-1.1.0/bin");
        std::fs::create_dir_all(&bin).unwrap();
        assert!(!installed(tools_dir.path()));
        std::fs::write(bin.join("k6"), "").unwrap();
        assert!(installed(tools_dir.path()));
    }
}
