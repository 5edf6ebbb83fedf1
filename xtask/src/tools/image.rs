//! Builds the container image from the static binary and the CA certificates.
//!
//! Modes and times of the files are fixed, so that the same checkout gives the same layers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};

use super::cargo::{self, Compiler, Effort};
use super::docker::{Docker, Image};
use super::git;
use super::scratch::Scratch;

/// Paths of the system's CA certificates, in the order in which they are tried.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// An architecture that images are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Name at registries, such as `amd64`.
    pub name: &'static str,
    /// Name in target triples of compilers, such as `x86_64`.
    compilers: &'static str,
}

/// All architectures that images are built for: those of Kubernetes nodes.
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
    /// The architecture of this machine.
    pub fn own() -> anyhow::Result<Architecture> {
        let own = std::env::consts::ARCH;
        let mut all = ARCHITECTURES.into_iter();
        all.find(|architecture| architecture.compilers == own)
            .with_context(|| format!("images are built for x86_64 and aarch64, not for {own}"))
    }

    /// A compiler for it on this machine; the error is the command that installs what is missing.
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

/// Builds the image `tag` from a binary of that architecture.
pub fn build(
    docker: &Docker,
    workspace: &Path,
    (architecture, binary): (Architecture, &Path),
    tag: &str,
) -> anyhow::Result<Image> {
    let folder = Scratch::new("the image")?;
    // The image is built from scratch and has no others; its `SSL_CERT_FILE` names them.
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
        // Layers hold modes and times, and must not depend on who builds them, and when.
        let file = std::fs::File::options().write(true).open(&to)?;
        file.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| file.set_modified(time))
            .with_context(|| format!("failed to set mode and time of `{}`", to.display()))?;
    }
    let platform = format!("linux/{}", architecture.name);
    docker.build(&workspace.join("Dockerfile"), folder.path(), tag, &platform)
}

/// The time of the commit; without one (a tarball) 1980, the earliest that every archive can hold.
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
