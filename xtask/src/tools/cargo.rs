//! Cargo: builds binaries and benchmarks, and tells where they are. Knows nothing of metrics.
//!
//! Where things are is asked of cargo and never guessed: `CARGO_TARGET_DIR`, a configured
//! target directory and a configured target platform all move them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::process::{Launch, Output};

/// A release build from nothing takes minutes on two cores; one that takes longer hangs.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);
const ASK: Duration = Duration::from_secs(30);

/// Where tools are installed, below cargo's target directory.
pub const TOOLS: &str = "xtask/tools";

/// The directory that cargo builds into, absolute, whatever chose it: the environment, a
/// configuration file of cargo, or nothing.
pub fn target_dir(workspace: &Path) -> PathBuf {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let asked = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .directory(workspace)
        .run(ASK)
        .and_then(Output::success);
    let told = asked.ok().map(|output| output.stdout.text());
    let told = told.and_then(|text| serde_json::from_str::<Metadata>(&text).ok());
    // A cargo that does not answer fails the build too, which reports it.
    told.map(|metadata| metadata.target_directory)
        .or_else(|| chosen_target_dir("CARGO_TARGET_DIR"))
        .unwrap_or_else(|| workspace.join("target"))
}

/// The absolute path that the environment variable `key` holds: relative to our directory, where
/// the cargo that started us took it from, and not to the one that we run cargo in.
fn chosen_target_dir(key: &str) -> Option<PathBuf> {
    let chosen = std::env::var_os(key).filter(|path| !path.is_empty())?;
    Some(std::env::current_dir().ok()?.join(chosen))
}

/// What `rustc --version` prints in `workspace`, where a toolchain file may choose it.
pub fn rustc_version(workspace: &Path) -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Launch::new(rustc).arg("--version").directory(workspace);
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
    let command = cargo()
        .args(["build", "--profile", profile, "--locked", "--bins"])
        .args(packages.iter().flat_map(|name| ["--package", name]));
    let executable = build(workspace, command, &packages.join(", "))?;
    let folder = executable.parent().map(Path::to_path_buf);
    folder.with_context(|| format!("`{}` is in no folder", executable.display()))
}

/// Builds the one executable of `package` for `architecture` with everything linked into it, to
/// run in an image that holds nothing else, and returns where it is.
pub fn build_static(
    workspace: &Path,
    package: &str,
    architecture: &str,
) -> anyhow::Result<PathBuf> {
    // Named, so that the flag is for it alone and not for what is built to run while building:
    // the other builds stay valid.
    let target = target(architecture);
    let mut command = cargo()
        .args(["build", "--release", "--locked", "--bins"])
        .args(["--package", package, "--target", &target])
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-C\x1ftarget-feature=+crt-static",
        );
    if architecture != std::env::consts::ARCH {
        let (compiler, key) = (compiler(architecture), target.replace('-', "_"));
        let linker = format!("CARGO_TARGET_{}_LINKER", key.to_uppercase());
        command = command.env(linker, &compiler);
        command = command.env(format!("CC_{key}"), compiler);
    }
    build(
        workspace,
        command,
        &format!("a static {package} for {architecture}"),
    )
}

/// What would have to be done before a foreign `architecture` can be built for; none when nothing.
pub fn obstacle(architecture: &str) -> Option<String> {
    let target = target(architecture);
    let asked = Launch::new("rustc")
        .args(["--print", "target-libdir", "--target", &target])
        .run(ASK);
    let library = asked.map(|output| output.stdout.text());
    if !library.is_ok_and(|path| Path::new(path.trim()).is_dir()) {
        return Some(format!("rustup target add {target}"));
    }
    let compiler = Launch::new(compiler(architecture))
        .arg("--version")
        .run(ASK);
    let missing = || {
        format!(
            "apt-get install gcc-{}-linux-gnu",
            architecture.replace('_', "-")
        )
    };
    compiler.is_err().then(missing)
}

fn target(architecture: &str) -> String {
    format!("{architecture}-unknown-linux-gnu")
}

/// Debian's name of a C compiler for another architecture, which is what links for it too.
fn compiler(architecture: &str) -> String {
    format!("{architecture}-linux-gnu-gcc")
}

/// Builds a benchmark and returns its executable.
pub fn build_benchmark(workspace: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let command = cargo().args(["bench", "--no-run", "--locked"]).args([
        "--package",
        "benches",
        "--bench",
        name,
    ]);
    build(workspace, command, &format!("the benchmark {name}"))
}

/// Runs a command that builds `what`, and returns the first executable that came of it.
fn build(workspace: &Path, command: Launch, what: &str) -> anyhow::Result<PathBuf> {
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .directory(workspace)
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
        .env("CARGO_ENCODED_RUSTFLAGS", "");
    let keys = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    keys.into_iter()
        .fold(launch, |launch, key| match chosen_target_dir(key) {
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
