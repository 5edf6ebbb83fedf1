//! Docker: builds, pushes and inspects images, all through the `docker` client.
//!
//! Whatever is made here is removed again: on drop, or by the reaper when this process is killed.
//! Knows nothing of metrics.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::process::{self, Launch, Leftover, Output};
use super::scratch::Scratch;
use super::unavailable::Unavailable;
use crate::say::say;

mod base;
mod container;
pub mod manifest;
pub mod registry;

pub use base::base;
pub use container::{Container, own_user, system_mounts};

/// For an answer from the daemon's own state.
const ASK: Duration = Duration::from_secs(20);
/// For the containers of an image to be gone, once they have been removed.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
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
        let mut image = Image::named(tag);
        let mut command = client()
            .args(["build", "--quiet", "--force-rm"])
            // The classic builder would take the layers of another platform for those of this one.
            .arg("--no-cache")
            .args(["--platform", platform, "--tag", tag, "--file"])
            .arg(dockerfile)
            // With them, the image of one platform would be a list, which no list can hold.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        if docker(&["buildx", "version"], ASK).is_ok() {
            // A builder in a container, say, may be the default, and would keep the image to itself.
            command = command.arg("--load");
            if let Some(context) = context() {
                // The builder of that name is the daemon itself.
                command = command.env("BUILDX_BUILDER", context);
            }
        }
        let built = command
            .arg(folder)
            .run_through(MOVE)
            .and_then(Output::success);
        let built = built.with_context(|| format!("failed to build the image `{tag}`"))?;
        image.id = Some(built.stdout.text().trim().to_owned());
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
        // The client keeps a list that is not pushed yet beside its configuration, which may be in a
        // folder that cannot be written; a registry of this machine needs no configuration.
        let own = Scratch::new("a list of images")?;
        let run = |command: &[&str], rest: &[&str]| {
            let (client, insecure): (_, &[&str]) = if is_local(reference) {
                (
                    client()
                        .env("DOCKER_CONFIG", own.path())
                        .env("DOCKER_CONTEXT", "default"),
                    &["--insecure"],
                )
            } else {
                (client(), &[])
            };
            let arguments = [&["manifest"], command, insecure, rest].concat();
            // To its end: what is cut off would stay in the client's folder.
            client.args(arguments).run_through(MOVE)
        };
        let tags = images.iter().map(|image| image.tag.as_str());
        let listed: Vec<&str> = [reference].into_iter().chain(tags).collect();
        let pushed = run(&["create"], &listed)
            .and_then(Output::success)
            .and_then(|_| run(&["push", "--purge"], &[reference])?.success());
        if pushed.is_err() {
            // The push tells more than what is said of a list that may never have been made.
            drop(run(&["rm"], &[reference]));
        }
        pushed
            .map(drop)
            .with_context(|| format!("failed to push the list `{reference}`"))
    }

    /// The platforms that the registry has of `reference`. A registry on this machine needs no TLS.
    pub fn manifest(&self, reference: &str) -> anyhow::Result<Vec<manifest::Platform>> {
        let mut command = client().args(["manifest", "inspect", "--verbose"]);
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

/// A name that nothing else on the daemon has: two runs may share it without seeing each other, and
/// both be process 1 of their own container.
pub fn unique_name() -> String {
    static RUN: LazyLock<u64> = LazyLock::new(random);
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("xtask-{:016x}-{number}", *RUN)
}

fn random() -> u64 {
    // Keyed anew from the system's randomness in each process.
    RandomState::new().hash_one(std::process::id())
}

fn client() -> Launch {
    Launch::new("docker")
}

/// The client's name for the daemon that it talks to.
fn context() -> Option<String> {
    let output = docker(&["context", "inspect", "--format", "{{.Name}}"], ASK).ok()?;
    let name = output.stdout.text().trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The option that makes `path` visible in a container, at the same place.
pub fn mounted(path: &Path, writable: bool) -> anyhow::Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("`{}` is not UTF-8", path.display()))?;
    // A line of CSV, whose fields may hold anything when they are quoted.
    let quoted = text.replace('"', "\"\"");
    let readonly = if writable { "" } else { ",readonly" };
    Ok(format!(
        "--mount=type=bind,\"source={quoted}\",\"target={quoted}\"{readonly}"
    ))
}

fn docker(arguments: &[&str], deadline: Duration) -> anyhow::Result<Output> {
    client().args(arguments).run(deadline)?.success()
}

/// Says what a daemon that does not answer any more could not remove.
fn still_there(removal: &str, error: &anyhow::Error) {
    say!("warning: something of this run is left in docker (`{removal}`): {error:#}");
}

fn is_local(reference: &str) -> bool {
    ["localhost:", "127.0.0.1:", "[::1]:"]
        .iter()
        .any(|host| reference.starts_with(host))
}

/// A local image. Its tag is removed on drop, and with it what has no other tag.
#[derive(Debug)]
pub struct Image {
    tag: String,
    id: Option<String>,
}

impl Image {
    /// The name for an image that does not exist yet.
    fn named(tag: &str) -> Image {
        Leftover::Image(tag).begins();
        Image {
            tag: tag.to_owned(),
            id: None,
        }
    }

    /// Its name.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        match remove(&self.tag, self.id.as_deref()) {
            Ok(()) => Leftover::Image(&self.tag).is_gone(),
            Err(error) => still_there(&format!("docker image rm {}", self.tag), &error),
        }
    }
}

/// Removes a tag, and the image with this id unless it has another tag, which somebody else gave it.
/// A container that is just being removed may still use it, and docker only takes the tag then.
fn remove(tag: &str, id: Option<&str>) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| client().args(arguments).run_through(ASK);
    run(&["image", "rm", "--force", tag])?.success()?;
    let until = Instant::now() + REMOVED_WITHIN;
    while let Some(id) = id {
        let format = "{{len .RepoTags}}";
        let left = run(&["image", "inspect", "--format", format, id])?;
        if left.stdout.text().trim() != "0" {
            break;
        }
        let removed = run(&["image", "rm", id])?.success();
        if removed.is_ok() || Instant::now() > until {
            return removed.map(drop);
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
