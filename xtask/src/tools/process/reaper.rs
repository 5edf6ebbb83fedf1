//! The reaper: a small process that outlives this one when it is killed, and
//! removes what it left running.
//!
//! It reads lines from a pipe that only we hold: `+group ID`, `-group ID`,
//! `+container ID`, `-container ID`. When the pipe closes, for whatever reason, it
//! kills the groups and removes the containers that are still on its list, and
//! ends. It never decides anything else.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use wait_timeout::ChildExt as _;

/// The hidden argument that turns `xtask` into the reaper.
pub const ARGUMENT: &str = "__reap";

/// Set in the environment of the reaper. A reaper that started children of its own would start
/// a reaper again, without end; so nothing below one ever does.
const MARK: &str = "XTASK_REAPER";

/// How long the removal of one container may take.
const REMOVAL_DEADLINE: Duration = Duration::from_secs(30);

/// The pipe to the reaper; none when it could not be started. Without it, children
/// still die with their owners, only not when this process is killed by force.
static REAPER: LazyLock<Option<Mutex<ChildStdin>>> = LazyLock::new(start);

/// Notes that a container runs which must not outlive this process.
pub fn container_started(id: &str) {
    tell(&format!("+container {id}"));
}

/// Notes that a container has been removed.
pub fn container_gone(id: &str) {
    tell(&format!("-container {id}"));
}

pub(super) fn group_started(id: u32) {
    tell(&format!("+group {id}"));
}

pub(super) fn group_ended(id: u32) {
    tell(&format!("-group {id}"));
}

/// The whole life of the reaper, after `xtask __reap`.
pub fn reaper_main() {
    let mut left = BTreeSet::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        note(&mut left, &line);
    }
    for entry in &left {
        match entry.split_once(' ') {
            Some(("group", id)) => kill_group(id),
            Some(("container", id)) => remove_container(id),
            _ => {}
        }
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
    // Group 1 and below would be everybody else's processes.
    let group = id
        .parse()
        .ok()
        .filter(|id: &i32| *id > 1)
        .and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn remove_container(id: &str) {
    let removal = Command::new("docker")
        .args(["rm", "--force", "--volumes", id])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(mut removal) = removal
        && !matches!(removal.wait_timeout(REMOVAL_DEADLINE), Ok(Some(_)))
    {
        let _ = removal.kill();
    }
}

fn start() -> Option<Mutex<ChildStdin>> {
    // The executable of a unit test is not `xtask` and would run all tests again.
    if cfg!(test) || std::env::var_os(MARK).is_some() {
        return None;
    }
    let executable = std::env::current_exe().ok()?;
    let mut reaper = Command::new(executable)
        .arg(ARGUMENT)
        .env(MARK, "1")
        // A group of its own, so that an interrupt from the terminal does not end it first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    reaper.stdin.take().map(Mutex::new)
}

fn tell(line: &str) {
    if let Some(pipe) = REAPER.as_ref() {
        let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // A reaper that is gone costs a safety net, not the run.
        let _ = writeln!(pipe, "{line}");
    }
}
