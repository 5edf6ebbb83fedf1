//! The reaper: a small process that outlives this one when it is killed, and
//! removes what it left behind.
//!
//! It reads lines such as `+group 4711` and `-group 4711` from a pipe that only the main process
//! holds. When the pipe closes, for whatever reason, it removes what is still on its list, and ends. It
//! decides nothing else.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use wait_timeout::ChildExt as _;

/// Time limit of one removal by docker.
const REMOVAL_DEADLINE: Duration = Duration::from_secs(30);
/// Attempts to remove an image that is in use.
const REMOVALS: u32 = 5;
/// Time in which a container appears that was being created when the main process ended.
const CREATION_GRACE: Duration = Duration::from_secs(1);

/// Runs the reaper, the hidden command `xtask __reap`, until its pipe is closed.
pub fn reaper_main() {
    // A failed read ends the list as a closed pipe does.
    remove(std::io::stdin().lock().lines().map_while(Result::ok));
}

/// Removes what is still on the list after the last of `lines`.
pub(super) fn remove<L: AsRef<str>>(lines: impl Iterator<Item = L>) {
    let mut left = BTreeSet::new();
    lines.for_each(|line| note(&mut left, line.as_ref()));
    let of = |kind: &'static str| {
        left.iter()
            .filter_map(move |entry| Some(entry.strip_prefix(kind)?.trim_start()))
    };
    // Processes go first, since they may use what is removed after them.
    of("group ").for_each(kill_group);
    if of("container ").next().is_some() {
        std::thread::sleep(CREATION_GRACE);
    }
    for name in of("container ") {
        docker(&["rm", "--force", "--volumes", name]);
    }
    of("image ").for_each(remove_image);
    for path in of("folder ") {
        // An error is of no use: the folder may be gone already, or belong to somebody else by now.
        let _ = std::fs::remove_dir_all(path);
    }
}

fn note(left: &mut BTreeSet<String>, line: &str) {
    if let Some(entry) = line.strip_prefix('+') {
        left.insert(entry.to_owned());
    } else if let Some(entry) = line.strip_prefix('-') {
        left.remove(entry);
    }
}

fn kill_group(id: &str) {
    // A kill of group 1 would reach every process, and one of group 0 the reaper's own group.
    let group = id
        .parse()
        .ok()
        .filter(|id: &i32| *id > 1)
        .and_then(Pid::from_raw);
    if let Some(group) = group {
        // Fails when nothing of the group is left, which is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Removes a tag, and the image unless it has another tag. While a container of the image is still
/// being removed, docker only removes the tag; hence the loop.
fn remove_image(tag: &str) {
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", tag]);
    docker(&["image", "rm", "--force", tag]);
    let Some(id) = id.as_deref().map(str::trim).filter(|id| !id.is_empty()) else {
        return;
    };
    for _ in 0..REMOVALS {
        let tags = docker(&["image", "inspect", "--format", "{{len .RepoTags}}", id]);
        // The image is gone, or another tag, which somebody else gave it, keeps it.
        if tags.is_none_or(|tags| tags.trim() != "0") {
            return;
        }
        docker(&["image", "rm", id]);
        std::thread::sleep(CREATION_GRACE);
    }
}

/// Output of a docker command that prints a few words; none when it does not end in time.
fn docker(arguments: &[&str]) -> Option<String> {
    let mut client = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    if !matches!(client.wait_timeout(REMOVAL_DEADLINE), Ok(Some(_))) {
        let _ = client.kill();
        return None;
    }
    // Read after the end: the few words that these commands print fit into the buffer of the pipe.
    let mut text = String::new();
    client.stdout?.read_to_string(&mut text).ok()?;
    Some(text)
}
