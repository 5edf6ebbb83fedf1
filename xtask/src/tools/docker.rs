//! Docker: builds, pushes and inspects images, all through the `docker` client.
//!
//! Whatever is made here is removed again: on drop, or by the reaper when this process is killed.
//! Knows nothing of metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::process::{self, Launch, Leftover, Output};
use super::unavailable::Unavailable;

mod base;
mod container;
pub mod manifest;
pub mod registry;

pub use base::base;
pub use container::{Container, own_user};

/// For an answer from the daemon's own state.
const ASK: Duration = Duration::from_secs(20);
/// For moving an image of some megabytes on one machine.
const MOVE: Duration = Duration::from_secs(120);

/// A client whose daemon answers.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Version of the daemon.
    pub server_version: String,
}

#[expect(
    clippy::unused_self,
    reason = "having a `Docker` is the proof that its daemon answered"
)]
impl Docker {
    /// Finds client and daemon.
    ///
    /// # Errors
    /// [`Unavailable`] when either is missing.
    pub fn find() -> anyhow::Result<Docker> {
        Docker::ask(Launch::new("docker"))
    }

    /// Asks `client` for the version of its daemon.
    fn ask(client: Launch) -> anyhow::Result<Docker> {
        let asked = client
            .args(["version", "--format", "{{.Server.Version}}"])
            .run(ASK);
        let unavailable = |reason: String, hint| Unavailable { reason, hint };
        let output = match asked {
            Err(error) if process::is_missing(&error) => {
                return Err(unavailable(
                    "there is no `docker` on PATH".to_owned(),
                    "install docker (Debian: apt-get install docker.io)",
                )
                .into());
            }
            other => other?,
        };
        if output.status.success() {
            return Ok(Docker {
                server_version: output.stdout.text().trim().to_owned(),
            });
        }
        let said = output.stderr.text();
        if said.contains("permission denied") {
            return Err(unavailable(
                "no permission to talk to the docker daemon".to_owned(),
                "run as a user of the `docker` group, or as root",
            )
            .into());
        }
        let first = said.lines().next().unwrap_or_default();
        Err(unavailable(
            format!("the docker daemon does not answer ({first})"),
            "start it (`dockerd`, or `systemctl start docker`)",
        )
        .into())
    }

    /// Builds `tag` for a platform such as `linux/amd64` from a folder that holds all that the
    /// Dockerfile copies. Runs to its end, which takes a second or two: what is built by halves
    /// has no name by which it could be removed.
    pub fn build(
        &self,
        dockerfile: &Path,
        folder: &Path,
        tag: &str,
        platform: &str,
    ) -> anyhow::Result<Image> {
        let image = Image::named(tag);
        let command = Launch::new("docker").args(["build", "--quiet", "--force-rm"]);
        command
            .args(["--platform", platform, "--tag", tag, "--file"])
            .arg(dockerfile)
            .arg(folder)
            // With them, the image of one platform would be a list, which no list can hold.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .run_through(MOVE)
            .and_then(Output::success)
            .with_context(|| format!("failed to build the image `{tag}`"))?;
        Ok(image)
    }

    /// Gives an image another name, under which it stays.
    pub fn name(&self, image: &Image, name: &str) -> anyhow::Result<()> {
        let named = docker(&["tag", &image.tag, name], ASK);
        named
            .map(drop)
            .with_context(|| format!("failed to name the image `{name}`"))
    }

    /// Pushes to the registry that the tag names.
    pub fn push(&self, image: &Image) -> anyhow::Result<()> {
        let pushed = docker(&["push", "--quiet", &image.tag], MOVE);
        pushed.map(drop).with_context(|| {
            let tag = &image.tag;
            format!(
                "failed to push `{tag}` (`docker login` to that registry, or measure without \
                 --registry to push to one of this machine)"
            )
        })
    }

    /// Pushes the list `reference` of images that have been pushed, one a platform.
    pub fn push_list(&self, reference: &str, images: &[Image]) -> anyhow::Result<()> {
        let run = |command: &[&str], rest: &[&str]| {
            let insecure: &[&str] = if is_local(reference) {
                &["--insecure"]
            } else {
                &[]
            };
            let arguments = [&["manifest"], command, insecure, rest].concat();
            // To its end: the client keeps a list that is not pushed yet in its own folder.
            Launch::new("docker").args(arguments).run_through(MOVE)
        };
        let tags = images.iter().map(|image| image.tag.as_str());
        let listed: Vec<&str> = [reference].into_iter().chain(tags).collect();
        let pushed = run(&["create"], &listed)
            .and_then(Output::success)
            .and_then(|_| run(&["push", "--purge"], &[reference])?.success());
        if pushed.is_err() {
            let forgotten = Launch::new("docker").args(["manifest", "rm", reference]);
            // The push tells more than what is said of a list that may never have been made.
            drop(forgotten.run_through(ASK));
        }
        pushed
            .map(drop)
            .with_context(|| format!("failed to push the list `{reference}`"))
    }

    /// The platforms that the registry has of `reference`. A registry on this machine needs no TLS.
    pub fn manifest(&self, reference: &str) -> anyhow::Result<Vec<manifest::Platform>> {
        let mut command = Launch::new("docker").args(["manifest", "inspect", "--verbose"]);
        if is_local(reference) {
            command = command.arg("--insecure");
        }
        let output = command.arg(reference).run(ASK).and_then(Output::success);
        let output = output
            .with_context(|| format!("failed to inspect what the registry has of `{reference}`"))?;
        manifest::parse(&output.stdout.text())
    }

    /// What each layer was made by, the first last.
    pub fn history(&self, reference: &str) -> anyhow::Result<Vec<String>> {
        let format = ["history", "--no-trunc", "--format", "{{.CreatedBy}}"];
        let output = docker(&[&format[..], &[reference]].concat(), ASK)?;
        Ok(output.stdout.text().lines().map(str::to_owned).collect())
    }

    /// Runs an image on the host's network. `options` come before the image, `arguments` behind it.
    pub fn run(
        &self,
        reference: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> anyhow::Result<Container> {
        Container::start(reference, options, arguments)
    }
}

fn docker(arguments: &[&str], deadline: Duration) -> anyhow::Result<Output> {
    Launch::new("docker")
        .args(arguments)
        .run(deadline)?
        .success()
}

/// Says what a daemon that does not answer any more could not remove.
fn still_there(removal: &str, error: &anyhow::Error) {
    eprintln!("warning: something of this run is left in docker (`{removal}`): {error:#}");
}

fn is_local(reference: &str) -> bool {
    ["localhost:", "127.0.0.1:", "[::1]:"]
        .iter()
        .any(|host| reference.starts_with(host))
}

/// A local image; its tag is removed on drop.
#[derive(Debug)]
pub struct Image {
    tag: String,
}

impl Image {
    /// The name for an image that does not exist yet.
    fn named(tag: &str) -> Image {
        Leftover::Image(tag).begins();
        Image {
            tag: tag.to_owned(),
        }
    }

    /// Its name.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let removal = Launch::new("docker").args(["image", "rm", "--force", &self.tag]);
        match removal.run_through(ASK).and_then(Output::success) {
            Ok(_) => Leftover::Image(&self.tag).is_gone(),
            Err(error) => still_there(&format!("docker image rm {}", self.tag), &error),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
