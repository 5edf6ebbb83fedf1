//! The container image: the static binary, the certificates, and a folder to build from.
//!
//! Times of the files are those of the commit, so that the same checkout gives the same layers.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use xshell::{Shell, cmd};

use super::docker::{Docker, Image};

/// Where the system keeps its CA certificates, in the order in which they are looked for.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Builds the static binary for this machine's architecture and returns its path.
pub fn build_static_binary(workspace: &Path) -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let shell = Shell::new()?;
    shell.change_dir(workspace);
    // Next to the other builds, so that flags of one do not invalidate the other.
    let target_dir = super::cargo::target_dir(workspace)?.join("static");
    cmd!(shell, "cargo build --release --locked --package thoughtgate --target {target} --target-dir {target_dir}")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .run()
        .context("failed to build the static binary")?;
    let binary = target_dir.join(target).join("release/thoughtgate");
    ensure!(binary.exists(), "the build left no `{}`", binary.display());
    Ok(binary)
}

/// Builds the image `tag` with `binary` in it.
pub fn build(docker: &Docker, workspace: &Path, binary: &Path, tag: &str) -> anyhow::Result<Image> {
    let folder = tempfile::tempdir().context("failed to create a folder for the image")?;
    let certificates = CERTIFICATES
        .iter()
        .map(Path::new)
        .find(|path| path.exists());
    let Some(certificates) = certificates else {
        bail!("no CA certificates on this machine (Debian: apt-get install ca-certificates)");
    };
    let time = commit_time(workspace)?;
    for (from, name) in [
        (certificates, "ca-certificates.crt"),
        (binary, "thoughtgate"),
    ] {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).with_context(|| format!("failed to copy `{}`", from.display()))?;
        let file = std::fs::File::options().write(true).open(&to)?;
        file.set_modified(time)
            .with_context(|| format!("failed to set the time of `{}`", to.display()))?;
    }
    docker.build(&workspace.join("Dockerfile"), folder.path(), tag)
}

fn commit_time(workspace: &Path) -> anyhow::Result<SystemTime> {
    let shell = Shell::new()?;
    shell.change_dir(workspace);
    let seconds = cmd!(shell, "git log -1 --format=%ct")
        .read()
        .context("failed to read the time of the last commit")?;
    let seconds: u64 = seconds
        .trim()
        .parse()
        .context("failed to read the time of the last commit")?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
