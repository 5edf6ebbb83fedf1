//! Cargo: builds binaries and benchmarks, and tells where they are. Knows nothing of metrics.
//!
//! Where things are is asked of cargo and never guessed: `CARGO_TARGET_DIR`, a configured
//! target directory and a configured target platform all move them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::process::{Launch, Output};
use place::builder;

mod compiler;
mod place;

pub use compiler::Compiler;
pub use place::{TOOLS, target_dir};

/// A release build from nothing takes minutes on two cores; one that takes longer hangs.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);
const ASK: Duration = Duration::from_secs(30);
/// Holds the flags of the compiler, a control character between them.
const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

/// What `rustc --version` prints in `workspace`, where a toolchain file may choose it.
pub fn rustc_version(workspace: &Path) -> Option<String> {
    let asked = Launch::new(compiler::own()).arg("--version");
    let asked = asked.directory(workspace);
    let output = asked.run(ASK).and_then(Output::success).ok()?;
    Some(output.stdout.text().trim().to_owned())
}

/// Builds `packages` with the release profile and returns the directory of their executables,
/// absolute. Cargo's own progress goes to standard error.
pub fn build_release(workspace: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    build_profile(workspace, "release", packages)
}

/// The same with another profile.
pub fn build_profile(
    workspace: &Path,
    profile: &str,
    packages: &[&str],
) -> anyhow::Result<PathBuf> {
    let command = builder(workspace)
        .args(["build", "--profile", profile, "--locked", "--bins"])
        .args(packages.iter().flat_map(|name| ["--package", name]));
    let executable = build(command, &packages.join(", "))?;
    let folder = executable.parent().map(Path::to_path_buf);
    folder.with_context(|| format!("`{}` is in no folder", executable.display()))
}

/// Builds the release binary of a checkout in `target`, without the checkout's own path in it: two
/// checkouts of one commit come to the same program. Returns its path.
pub fn build_comparable(
    checkout: &Path,
    target: &Path,
    features: &[&str],
) -> anyhow::Result<PathBuf> {
    let command = builder(checkout)
        .args(["build", "--release", "--locked", "--bins"])
        .args(["--package", "thoughtgate"])
        .args(features.iter().flat_map(|feature| ["--features", feature]));
    build(apart(command, checkout, target), "thoughtgate")
}

/// The same for a benchmark.
pub fn build_comparable_benchmark(
    checkout: &Path,
    target: &Path,
    name: &str,
) -> anyhow::Result<PathBuf> {
    let command = benchmark(checkout, name);
    build(
        apart(command, checkout, target),
        &format!("the benchmark {name}"),
    )
}

/// Builds in `target`, and leaves the checkout's path out of what comes of it.
fn apart(command: Launch, checkout: &Path, target: &Path) -> Launch {
    let remap = format!("--remap-path-prefix={}=/thoughtgate", checkout.display());
    command
        .env(FLAGS, remap)
        .env("CARGO_BUILD_BUILD_DIR", target)
        .env("CARGO_TARGET_DIR", target)
}

/// What a build is good for.
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

/// Builds the one executable of `package` with everything linked into it, to run in an image that
/// holds nothing else, and returns where it is.
pub fn build_static(
    workspace: &Path,
    package: &str,
    compiler: &Compiler,
    effort: Effort,
) -> anyhow::Result<PathBuf> {
    let architecture = compiler.architecture;
    // Named, so that the flag is for it alone and not for what is built to run while building:
    // the other builds stay valid.
    let target = compiler::target(architecture);
    let mut command = builder(workspace)
        .args(["build", "--profile", effort.profile(), "--locked", "--bins"])
        .args(["--package", package, "--target", &target])
        .env(FLAGS, "-C\x1ftarget-feature=+crt-static");
    if !compiler::is_own(architecture) {
        let (linker, key) = (compiler::linker(architecture), target.replace('-', "_"));
        let variable = format!("CARGO_TARGET_{}_LINKER", key.to_uppercase());
        command = command.env(variable, &linker);
        command = command.env(format!("CC_{key}"), linker);
    }
    if let Some(rustc) = &compiler.rustc {
        // Apart from what the toolchain's own compiler builds, which would all be built again.
        let place = target_dir(workspace).join("xtask").join(&target);
        command = command
            .env("RUSTC", rustc)
            .env("CARGO_BUILD_BUILD_DIR", &place)
            .env("CARGO_TARGET_DIR", place);
    }
    if effort == Effort::Proof {
        // It is pushed somewhere, though only to be looked at.
        command = command.env("CARGO_PROFILE_DEV_STRIP", "symbols");
    }
    build(command, &format!("a static {package} for {architecture}"))
}

/// Builds a benchmark and returns its executable.
pub fn build_benchmark(workspace: &Path, name: &str) -> anyhow::Result<PathBuf> {
    build(benchmark(workspace, name), &format!("the benchmark {name}"))
}

fn benchmark(checkout: &Path, name: &str) -> Launch {
    builder(checkout)
        .args(["bench", "--no-run", "--locked"])
        .args(["--package", "benches", "--bench", name])
}

/// Runs a command that builds `what`, and returns the first executable that came of it.
fn build(command: Launch, what: &str) -> anyhow::Result<PathBuf> {
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .pass_stderr()
        .run(BUILD_DEADLINE)
        .and_then(Output::success)
        .with_context(|| format!("failed to build {what}"))?;
    let found = executables(&output.stdout.text()).into_iter().next();
    found.with_context(|| format!("failed to find an executable of {what}"))
}

fn cargo() -> Launch {
    // Under `cargo xtask`, the very cargo that was called.
    let launch = Launch::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        // Those of a configuration file would count otherwise, `target-cpu=native` among them.
        .env(FLAGS, "");
    let keys = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    keys.into_iter()
        .fold(launch, |launch, key| match place::chosen(key) {
            Some(path) => launch.env(key, path),
            None => launch,
        })
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
}
