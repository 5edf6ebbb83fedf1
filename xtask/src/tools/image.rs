//! The container image: the static binary, the certificates, and a folder to build from.
//!
//! Times of the files are those of the commit, or of none, so that the same checkout gives the same
//! layers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};

use super::cargo::{self, Compiler, Effort};
use super::docker::{Docker, Image};
use super::git;
use super::scratch::Scratch;

/// Where the system keeps its CA certificates, in the order in which they are looked for.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// An architecture that images are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// As registries call it.
    pub name: &'static str,
    /// As compilers call it.
    compilers: &'static str,
}

/// What Kubernetes nodes are made of.
pub const ARCHITECTURES: [Architecture; 2] = [
    Architecture {
        name: "amd64",
        compilers: "x86_64",
    },
    Architecture {
        name: "arm64",
        compilers: "aarch64",
    },
];

impl Architecture {
    /// That of this machine.
    pub fn own() -> anyhow::Result<Architecture> {
        let own = std::env::consts::ARCH;
        let mut all = ARCHITECTURES.into_iter();
        all.find(|architecture| architecture.compilers == own)
            .with_context(|| format!("no image is built for {own}"))
    }

    /// What builds for it here; or the command that has to be run before anything can.
    pub fn compiler(self, workspace: &Path) -> Result<Compiler, String> {
        Compiler::find(workspace, self.compilers)
    }
}

/// Builds the static binary and returns its path.
pub fn build_binary(
    workspace: &Path,
    compiler: &Compiler,
    effort: Effort,
) -> anyhow::Result<PathBuf> {
    cargo::build_static(workspace, "thoughtgate", compiler, effort)
}

/// Builds the image `tag` with a binary of that architecture in it.
pub fn build(
    docker: &Docker,
    workspace: &Path,
    (architecture, binary): (Architecture, &Path),
    tag: &str,
) -> anyhow::Result<Image> {
    let folder = Scratch::new("the image")?;
    let certificates = CERTIFICATES
        .iter()
        .map(Path::new)
        .find(|path| path.exists());
    let Some(certificates) = certificates else {
        bail!("no CA certificates on this machine (Debian: apt-get install ca-certificates)");
    };
    let time = time_of(workspace);
    for (from, name, mode) in [
        (certificates, "ca-certificates.crt", 0o644),
        (binary, "thoughtgate", 0o755),
    ] {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).with_context(|| format!("failed to copy `{}`", from.display()))?;
        // Layers hold modes and times, and must not depend on who builds them when.
        let file = std::fs::File::options().write(true).open(&to)?;
        file.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| file.set_modified(time))
            .with_context(|| format!("failed to set mode and time of `{}`", to.display()))?;
    }
    let platform = format!("linux/{}", architecture.name);
    docker.build(&workspace.join("Dockerfile"), folder.path(), tag, &platform)
}

/// The time of the commit; of a tarball, which has none, the first that every archive can hold.
fn time_of(workspace: &Path) -> SystemTime {
    const YEAR_1980: Duration = Duration::from_secs(315_532_800);
    git::commit(workspace).map_or(SystemTime::UNIX_EPOCH + YEAR_1980, |commit| commit.time)
}

#[cfg(test)]
mod tests {
    use super::super::docker::tests::{daemon, layers};
    use super::super::docker::unique_name;
    use super::*;
    use crate::workspace;

    #[test]
    fn the_same_checkout_gives_the_same_layers_whenever_it_is_built() {
        let Some(docker) = daemon() else {
            return;
        };
        let binary = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(binary.path(), std::process::id().to_string()).unwrap();
        let own = Architecture::own().unwrap();
        let built = |tag: &str| {
            let tag = format!("thoughtgate-test:{tag}-{}", unique_name());
            let image = build(
                &docker,
                &workspace::root().unwrap(),
                (own, binary.path()),
                &tag,
            )
            .unwrap();
            layers(&image)
        };
        // The first image is gone when the second is built, and with it what could be reused.
        let first = built("first");
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(built("second"), first);
        assert_eq!(first.matches("sha256:").count(), 2);
    }
}
