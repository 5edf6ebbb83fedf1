//! Docker: builds, pushes and inspects images, all through the `docker` client.
//!
//! Images and containers of a run are removed again: on drop, or by the reaper when this process is
//! killed. Knows nothing of metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use xshell::{Cmd, Shell, cmd};

use super::process::{self, Launch, Output};
use super::scratch::Scratch;
use super::unavailable::Unavailable;
use client::{ASK, client, docker};

mod base;
mod client;
mod container;
mod image;
pub mod manifest;
pub mod registry;

pub use base::base;
pub use client::{mounted, unique_name};
pub use container::{Container, own_user, system_mounts};
pub use image::Image;

/// Time limit for building or pushing an image of some megabytes.
const MOVE: Duration = Duration::from_secs(120);

/// A client whose daemon has answered.
#[derive(Debug, Clone)]
pub struct Docker {
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
        Docker::ask(client())
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
                "no permission to use the docker daemon".to_owned(),
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
    /// Dockerfile copies. Cannot be interrupted, since a half-built image has no name by which it could
    /// be removed; a build takes a second or two.
    pub fn build(
        &self,
        dockerfile: &Path,
        folder: &Path,
        tag: &str,
        platform: &str,
    ) -> anyhow::Result<Image> {
        // Named before it is built, so that a build that fails or is killed leaves no tag behind.
        let mut image = Image::named(tag);
        let sh = Shell::new()?;
        let has_buildx = docker(cmd!(sh, "docker buildx version"), ASK).is_ok();
        // The default builder may run in a container, and would not load the image by itself.
        let load = has_buildx.then_some("--load");
        // The classic builder would reuse cached layers of another platform, hence `--no-cache`.
        let mut command = cmd!(
            sh,
            "docker build --quiet --force-rm --no-cache --platform {platform}
                --tag {tag} --file {dockerfile} {load...} {folder}"
        )
        // With attestations, the image of one platform is a manifest list itself, and cannot be an entry
        // of another list.
        .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        if has_buildx && let Some(context) = context(&sh) {
            // The builder with the name of the context is the daemon itself.
            command = command.env("BUILDX_BUILDER", context);
        }
        let built = Launch::from(command).run_through(MOVE);
        let built = built.and_then(Output::success);
        let built = built.with_context(|| format!("failed to build the image `{tag}`"))?;
        // With `--quiet`, the image id is the only output.
        image.id = Some(built.stdout.text().trim().to_owned());
        Ok(image)
    }

    /// Gives an image another tag, which is not removed on drop.
    pub fn name(&self, image: &Image, name: &str) -> anyhow::Result<()> {
        let (sh, tag) = (Shell::new()?, &image.tag);
        let named = docker(cmd!(sh, "docker tag {tag} {name}"), ASK);
        named
            .map(drop)
            .with_context(|| format!("failed to tag the image as `{name}`"))
    }

    /// Pushes an image to the registry that its tag names.
    pub fn push(&self, image: &Image) -> anyhow::Result<()> {
        let (sh, tag) = (Shell::new()?, &image.tag);
        let pushed = docker(cmd!(sh, "docker push --quiet {tag}"), MOVE);
        pushed.map(drop).with_context(|| {
            format!(
                "failed to push `{tag}` (run `docker login` for that registry, or measure without \
                 --registry to use a local one)"
            )
        })
    }

    /// Pushes the manifest list `reference` of images that have been pushed, one per platform.
    pub fn push_list(&self, reference: &str, images: &[Image]) -> anyhow::Result<()> {
        // The client stores an unpushed list beside its configuration, in a folder that may not be
        // writable. A local registry needs no configuration, so the client gets a folder of its own.
        let own = Scratch::new("a manifest list")?;
        let sh = Shell::new()?;
        let insecure = insecure(reference);
        let run = |mut command: Cmd<'_>| {
            if insecure.is_some() {
                command = command.env("DOCKER_CONFIG", own.path());
                command = command.env("DOCKER_CONTEXT", "default");
            }
            // Cannot be interrupted: half a list would stay in the client's folder.
            Launch::from(command).run_through(MOVE)
        };
        let tags = images.iter().map(|image| &image.tag);
        let pushed = run(cmd!(
            sh,
            "docker manifest create {insecure...} {reference} {tags...}"
        ))
        .and_then(Output::success)
        .and_then(|_| {
            run(cmd!(
                sh,
                "docker manifest push --purge {insecure...} {reference}"
            ))?
            .success()
        });
        if pushed.is_err() {
            // The list may never have been created, so the error of the push is the one to return.
            drop(run(cmd!(
                sh,
                "docker manifest rm {insecure...} {reference}"
            )));
        }
        pushed
            .map(drop)
            .with_context(|| format!("failed to push the manifest list `{reference}`"))
    }

    /// The platforms of `reference` in its registry. A local registry is read without TLS.
    pub fn manifest(&self, reference: &str) -> anyhow::Result<Vec<manifest::Platform>> {
        let (sh, insecure) = (Shell::new()?, insecure(reference));
        let command = cmd!(
            sh,
            "docker manifest inspect --verbose {insecure...} {reference}"
        );
        let output = docker(command, ASK);
        let output =
            output.with_context(|| format!("failed to inspect `{reference}` in its registry"))?;
        manifest::parse(&output.stdout.text())
    }

    /// The instruction that made each layer, newest first.
    pub fn history(&self, reference: &str) -> anyhow::Result<Vec<String>> {
        let (sh, format) = (Shell::new()?, "{{.CreatedBy}}");
        let command = cmd!(
            sh,
            "docker history --no-trunc --format {format} {reference}"
        );
        let output = docker(command, ASK)?;
        Ok(output.stdout.text().lines().map(str::to_owned).collect())
    }

    /// Runs an image on the host's network. `options` come before the image, `arguments` after it.
    pub fn run(
        &self,
        reference: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> anyhow::Result<Container> {
        Container::start(reference, options, arguments)
    }
}

/// The current context of the docker CLI, which selects its daemon.
fn context(sh: &Shell) -> Option<String> {
    let format = "{{.Name}}";
    let output = docker(cmd!(sh, "docker context inspect --format {format}"), ASK).ok()?;
    let name = output.stdout.text().trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The option for a registry without TLS, which a local one is.
fn insecure(reference: &str) -> Option<&'static str> {
    let mut local = ["localhost:", "127.0.0.1:", "[::1]:"].iter();
    let is_local = local.any(|host| reference.starts_with(host));
    is_local.then_some("--insecure")
}

#[cfg(test)]
pub(crate) mod tests;
