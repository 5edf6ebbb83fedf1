//! Docker: builds, pushes, inspects and runs images, all through the `docker` client.
//!
//! Whatever is started here is removed again: on drop, or by the reaper when this process is killed.
//! Knows nothing of metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::process::{self, Launch, Output};

pub mod manifest;
pub mod registry;

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

/// Why there is no docker here, and what would change that.
#[derive(Debug)]
pub struct Unavailable {
    /// What is missing.
    pub reason: String,
    /// The way out.
    pub hint: &'static str,
}

#[expect(
    clippy::unused_self,
    reason = "having a `Docker` is the proof that its daemon answered"
)]
impl Docker {
    /// Finds client and daemon.
    pub fn find() -> Result<Docker, Unavailable> {
        let unavailable = |reason: String, hint| Unavailable { reason, hint };
        let asked = Launch::new("docker")
            .args(["version", "--format", "{{.Server.Version}}"])
            .run(ASK);
        let output = match asked {
            Ok(output) => output,
            Err(error) if format!("{error:#}").contains("failed to start") => {
                return Err(unavailable(
                    "there is no `docker` on PATH".to_owned(),
                    "install docker (Debian: apt-get install docker.io)",
                ));
            }
            Err(error) => {
                return Err(unavailable(
                    format!("{error:#}"),
                    "start the docker daemon (dockerd)",
                ));
            }
        };
        if output.status.success() {
            return Ok(Docker {
                server_version: output.stdout.text().trim().to_owned(),
            });
        }
        let said = output.stderr.text();
        if said.contains("permission denied") {
            let hint = "run as a user of the `docker` group, or as root";
            return Err(unavailable(
                "no permission to talk to the docker daemon".to_owned(),
                hint,
            ));
        }
        let first = said.lines().next().unwrap_or_default().to_owned();
        Err(unavailable(
            format!("the docker daemon does not answer: {first}"),
            "start the docker daemon (dockerd)",
        ))
    }

    /// Builds `tag` from a folder that holds all that the Dockerfile copies.
    pub fn build(&self, dockerfile: &Path, folder: &Path, tag: &str) -> anyhow::Result<Image> {
        let command = Launch::new("docker").args(["build", "--quiet", "--tag", tag, "--file"]);
        command.arg(dockerfile).arg(folder).run(MOVE)?.success()?;
        Ok(Image {
            tag: tag.to_owned(),
        })
    }

    /// Pushes to the registry that the tag names.
    pub fn push(&self, image: &Image) -> anyhow::Result<()> {
        docker(&["push", "--quiet", &image.tag], MOVE).map(drop)
    }

    /// The platforms that the registry has of `reference`. A registry on this machine needs no TLS.
    pub fn manifest(&self, reference: &str) -> anyhow::Result<Vec<manifest::Platform>> {
        let mut command = Launch::new("docker").args(["manifest", "inspect", "--verbose"]);
        if is_local(reference) {
            command = command.arg("--insecure");
        }
        let output = command.arg(reference).run(ASK)?.success()?;
        manifest::parse(&output.stdout.text())
    }

    /// What each layer was made by, the first last.
    pub fn history(&self, reference: &str) -> anyhow::Result<Vec<String>> {
        let output = docker(
            &[
                "history",
                "--no-trunc",
                "--format",
                "{{.CreatedBy}}",
                reference,
            ],
            ASK,
        )?;
        Ok(output.stdout.text().lines().map(str::to_owned).collect())
    }

    /// Runs an image in the background on the host's network. `options` come before the image,
    /// `arguments` behind it.
    pub fn run(
        &self,
        reference: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> anyhow::Result<Container> {
        let command = Launch::new("docker").args(["run", "--detach", "--network", "host"]);
        let output = command
            .args(options)
            .arg(reference)
            .args(arguments)
            .run(ASK)?
            .success()?;
        let id = output.stdout.text().trim().to_owned();
        process::container_started(&id);
        Ok(Container { id })
    }
}

fn docker(arguments: &[&str], deadline: Duration) -> anyhow::Result<Output> {
    Launch::new("docker")
        .args(arguments)
        .run(deadline)?
        .success()
}

fn is_local(reference: &str) -> bool {
    ["localhost:", "127.0.0.1:", "[::1]:"]
        .iter()
        .any(|host| reference.starts_with(host))
}

/// The base that a Dockerfile's last stage names, and whether an image's history agrees.
///
/// The history of an image `FROM scratch` names no base: its first entry is the Dockerfile's first
/// instruction. Any other base brings entries of its own below it.
pub fn base(dockerfile: &str, history: &[String]) -> anyhow::Result<String> {
    let instruction = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let lines: Vec<&str> = dockerfile.lines().filter(instruction).collect();
    let last = lines
        .iter()
        .rposition(|line| line.trim_start().to_ascii_uppercase().starts_with("FROM "));
    let from = last.context("the Dockerfile has no FROM")?;
    let name = lines[from]
        .split_whitespace()
        .filter(|word| !word.starts_with("--"))
        .nth(1)
        .context("FROM names no image")?;
    if name != "scratch" {
        return Ok(name.to_owned());
    }
    // Instructions that leave a trace; each has one entry, with BuildKit as without.
    let own = lines[from + 1..]
        .iter()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .count();
    if history.len() > own {
        bail!(
            "the Dockerfile says FROM scratch, but the image's history has {} entries for {own} instructions",
            history.len()
        );
    }
    Ok(name.to_owned())
}

/// A local image; its tag is removed on drop.
#[derive(Debug)]
pub struct Image {
    tag: String,
}

impl Image {
    /// Its name.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let removed = Launch::new("docker")
            .args(["image", "rm", "--force", &self.tag])
            .run(ASK);
        drop(removed);
    }
}

/// A running container; removed on drop.
#[derive(Debug)]
pub struct Container {
    id: String,
}

impl Container {
    /// The pid of its first process, as the host sees it.
    pub fn pid(&self) -> anyhow::Result<i32> {
        let output = docker(&["inspect", "--format", "{{.State.Pid}}", &self.id], ASK)?;
        let text = output.stdout.text();
        let pid: i32 = text
            .trim()
            .parse()
            .with_context(|| format!("failed to read the pid `{}`", text.trim()))?;
        if pid <= 0 {
            bail!(
                "the container has ended; its last words:\n{}",
                self.last_words()
            );
        }
        Ok(pid)
    }

    /// What it wrote last.
    pub fn last_words(&self) -> String {
        match Launch::new("docker")
            .args(["logs", "--tail", "6", &self.id])
            .run(ASK)
        {
            Ok(output) => format!("{}{}", output.stdout.text(), output.stderr.text()),
            Err(error) => format!("{error:#}"),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let removed = Launch::new("docker")
            .args(["rm", "--force", "--volumes", &self.id])
            .run(ASK);
        if removed.is_ok_and(|output| output.status.success()) {
            process::container_gone(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Vec<String> {
        include_str!("../../test_data/docker_history.jsonl")
            .lines()
            .map(|line| {
                let entry: serde_json::Value = serde_json::from_str(line).unwrap();
                entry["CreatedBy"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn scratch_is_believed_when_the_history_has_nothing_below() {
        let dockerfile = "# comment\nFROM scratch\nCOPY hello /hello\nUSER 65532:65532\nENTRYPOINT [\"/hello\"]\n";
        assert_eq!(base(dockerfile, &history()).unwrap(), "scratch");
        let mut more = history();
        more.push("/bin/sh -c #(nop) ADD file:1 in / ".to_owned());
        assert!(
            base(dockerfile, &more)
                .unwrap_err()
                .to_string()
                .contains("4 entries for 3 instructions")
        );
    }

    #[test]
    fn the_last_stage_counts() {
        assert_eq!(
            base(
                "FROM rust:1 AS build\nRUN x\nFROM scratch\nCOPY a /a\n",
                &[]
            )
            .unwrap(),
            "scratch"
        );
        assert_eq!(
            base("FROM --platform=linux/amd64 debian:12\nRUN x\n", &history()).unwrap(),
            "debian:12"
        );
        assert!(base("# nothing\n", &[]).is_err());
    }
}
