//! A local image that lives no longer than its owner.
//!
//! Does not build, push or inspect it.

use std::time::{Duration, Instant};

use xshell::{Cmd, Shell, cmd};

use super::client::ASK;
use crate::say::say;
use crate::tools::process::{Launch, Leftover};

/// Time in which docker finishes removing the containers of an image.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// A local image. On drop its tag is removed, and the image too unless it has another tag.
#[derive(Debug)]
pub struct Image {
    pub(super) tag: String,
    pub(super) id: Option<String>,
}

impl Image {
    /// The name for an image that does not exist yet.
    pub(super) fn named(tag: &str) -> Image {
        Leftover::Image(tag).begins();
        Image {
            tag: tag.to_owned(),
            id: None,
        }
    }

    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        match remove(&self.tag, self.id.as_deref()) {
            Ok(()) => Leftover::Image(&self.tag).is_gone(),
            // It stays on the list: the reaper tries again when this process ends.
            Err(error) => still_there(&format!("docker image rm {}", self.tag), &error),
        }
    }
}

/// Removes a tag, and the image with this id unless it has another tag, which somebody else gave it.
/// While a container of the image is still being removed, docker only removes the tag; hence the loop.
fn remove(tag: &str, id: Option<&str>) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    // Not interrupted: images are removed also when this process was asked to stop.
    let run = |command: Cmd<'_>| Launch::from(command).run_through(ASK);
    run(cmd!(sh, "docker image rm --force {tag}"))?.success()?;
    let until = Instant::now() + REMOVED_WITHIN;
    while let Some(id) = id {
        let format = "{{len .RepoTags}}";
        let left = run(cmd!(sh, "docker image inspect --format {format} {id}"))?;
        // Another tag keeps the image, or it is gone already and nothing is printed.
        if left.stdout.text().trim() != "0" {
            break;
        }
        let removed = run(cmd!(sh, "docker image rm {id}"))?.success();
        if removed.is_ok() || Instant::now() > until {
            return removed.map(drop);
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Warns that docker could not remove something, with the command that does.
fn still_there(removal: &str, error: &anyhow::Error) {
    say!("warning: failed to clean up in docker (run `{removal}`): {error:#}");
}
