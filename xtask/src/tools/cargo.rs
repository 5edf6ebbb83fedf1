//! Builds binaries and benchmarks with cargo, and returns their paths. Knows nothing of metrics.
//!
//! Paths are read from cargo's output and never guessed: `CARGO_TARGET_DIR`, a configured target
//! directory and a configured target platform all change them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use xshell::{Shell, cmd};

use super::process::{Launch, Output};
use command::FLAGS;
use place::building;

mod command;
mod compiler;
mod place;

pub use command::program;
pub use compiler::Compiler;
pub use place::{TOOLS, target_dir};

/// A release build from nothing takes minutes on two cores; one that takes longer hangs.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);

/// Output of `rustc --version` in `workspace`, whose toolchain file may choose the compiler.
pub fn rustc_version(workspace: &Path) -> Option<String> {
    compiler::version(&compiler::own(), workspace)
}

/// Builds `packages` with the release profile and returns the directory of their executables,
/// absolute. Cargo's own progress goes to standard error.
pub fn build_release(workspace: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    build_profile(workspace, "release", packages)
}

/// As [`build_release`], with another profile.
pub fn build_profile(
    workspace: &Path,
    profile: &str,
    packages: &[&str],
) -> anyhow::Result<PathBuf> {
    let (sh, cargo) = (Shell::new()?, program());
    let named = packages.iter().flat_map(|name| ["--package", name]);
    let command = cmd!(
        sh,
        "{cargo} build --profile {profile} --locked --bins {named...}"
    );
    let executable = build(building(command, workspace), &packages.join(", "))?;
    // All executables of a profile are in one folder, so that the first one shows it.
    let folder = executable.parent().map(Path::to_path_buf);
    folder.with_context(|| format!("`{}` has no parent folder", executable.display()))
}

/// Builds the release binary of a checkout in `target` and returns its path. The path of the checkout
/// is kept out of the binary, so that two checkouts of one commit give the same program.
pub fn build_comparable(
    checkout: &Path,
    target: &Path,
    features: &[&str],
) -> anyhow::Result<PathBuf> {
    let (sh, cargo) = (Shell::new()?, program());
    let chosen = features.iter().flat_map(|feature| ["--features", feature]);
    let command = cmd!(
        sh,
        "{cargo} build --release --locked --bins --package thoughtgate {chosen...}"
    );
    let command = building(command, checkout);
    build(apart(command, checkout, target), "thoughtgate")
}

/// As [`build_comparable`], for a benchmark.
pub fn build_comparable_benchmark(
    checkout: &Path,
    target: &Path,
    name: &str,
) -> anyhow::Result<PathBuf> {
    let command = benchmark(checkout, name)?;
    build(
        apart(command, checkout, target),
        &format!("the benchmark {name}"),
    )
}

/// Makes `command` build in `target`, without the path of the checkout in the result.
fn apart(command: Launch, checkout: &Path, target: &Path) -> Launch {
    // `FLAGS` keeps a path with spaces whole; `RUSTFLAGS` would split it.
    let remap = format!("--remap-path-prefix={}=/thoughtgate", checkout.display());
    command
        .env(FLAGS, remap)
        .env("CARGO_BUILD_BUILD_DIR", target)
        .env("CARGO_TARGET_DIR", target)
}

/// Purpose of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// To be measured and used.
    Release,
    /// To show that it can be built: without LTO and optimisation, in a third of the time.
    Proof,
}

impl Effort {
    fn profile(self) -> &'static str {
        match self {
            Effort::Release => "release",
            Effort::Proof => "dev",
        }
    }
}

/// Builds the one executable of `package`, statically linked, for an image that contains nothing else,
/// and returns its path.
pub fn build_static(
    workspace: &Path,
    package: &str,
    compiler: &Compiler,
    effort: Effort,
) -> anyhow::Result<PathBuf> {
    let architecture = compiler.architecture;
    // With an explicit target, the flag does not apply to build scripts and procedural macros, so that
    // what other builds have made of those stays valid.
    let target = compiler::target(architecture);
    let (sh, cargo, profile) = (Shell::new()?, program(), effort.profile());
    let command = cmd!(
        sh,
        "{cargo} build --profile {profile} --locked --bins --package {package} --target {target}"
    );
    let command = building(command, workspace);
    let mut command = command.env(FLAGS, "-C\x1ftarget-feature=+crt-static");
    if !compiler::is_own(architecture) {
        let (linker, key) = (compiler::linker(architecture), target.replace('-', "_"));
        let variable = format!("CARGO_TARGET_{}_LINKER", key.to_uppercase());
        command = command.env(variable, &linker);
        command = command.env(format!("CC_{key}"), linker);
    }
    if let Some(rustc) = &compiler.rustc {
        // A directory of its own: in a shared one, each compiler would build everything anew.
        let place = target_dir(workspace).join("xtask").join(&target);
        command = command
            .env("RUSTC", rustc)
            .env("CARGO_BUILD_BUILD_DIR", &place)
            .env("CARGO_TARGET_DIR", place);
    }
    if effort == Effort::Proof {
        // The image is pushed, if only to be checked: symbols would make it much larger.
        command = command.env("CARGO_PROFILE_DEV_STRIP", "symbols");
    }
    build(command, &format!("a static {package} for {architecture}"))
}

/// Builds a benchmark and returns its executable.
pub fn build_benchmark(workspace: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let command = benchmark(workspace, name)?;
    build(command, &format!("the benchmark {name}"))
}

fn benchmark(checkout: &Path, name: &str) -> anyhow::Result<Launch> {
    let (sh, cargo) = (Shell::new()?, program());
    let command = cmd!(
        sh,
        "{cargo} bench --no-run --locked --package benches --bench {name}"
    );
    Ok(building(command, checkout))
}

/// Runs a build, and returns the first executable that it made; `what` is its name in errors.
fn build(command: Launch, what: &str) -> anyhow::Result<PathBuf> {
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .pass_stderr()
        .run(BUILD_DEADLINE)
        .and_then(Output::success)
        .with_context(|| format!("failed to build {what}"))?;
    let found = executables(&output.stdout.text()).into_iter().next();
    found.with_context(|| format!("cargo reported no executable of {what}"))
}

/// The executables in the messages of a build, in the order in which they were made.
fn executables(messages: &str) -> Vec<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    // Other messages have other fields, and output of build scripts is not JSON.
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
}
