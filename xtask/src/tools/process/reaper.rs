//! The reaper: a small process that outlives this one when it is killed, and
//! removes what it left behind.
//!
//! It reads lines from a pipe that only we hold, such as `+group 4711` and `-group 4711`. When the
//! pipe closes, for whatever reason, it removes what is still on its list, and ends. It never
//! decides anything else.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use wait_timeout::ChildExt as _;

use super::journal;

/// The hidden argument that turns `xtask` into the reaper.
pub const ARGUMENT: &str = "__reap";

/// Set in the environment of the reaper. A reaper that started children of its own would start
/// a reaper again, without end; so nothing below one ever does.
const MARK: &str = "XTASK_REAPER";

/// How long one removal by docker may take.
const REMOVAL_DEADLINE: Duration = Duration::from_secs(30);
/// How often it is tried to remove an image that is in use.
const REMOVALS: u32 = 5;
/// A container whose creation was under way at our end comes into being within this time.
const CREATION_GRACE: Duration = Duration::from_secs(1);

/// The pipe to the reaper; none when it could not be started. Without it, children
/// still die with their owners, only not when this process is killed by force.
static REAPER: LazyLock<Option<Mutex<ChildStdin>>> = LazyLock::new(start);

/// Something that must not outlive this process. In the order in which the reaper removes: nothing
/// may be using what comes later.
#[derive(Clone, Copy, Debug)]
pub enum Leftover<'a> {
    /// A process group.
    Group(u32),
    /// A container, by its name.
    Container(&'a str),
    /// An image, by its tag.
    Image(&'a str),
    /// A folder of scratch files.
    Folder(&'a str),
}

impl Leftover<'_> {
    /// Puts it on the list. What takes a name is listed before it exists.
    pub fn begins(self) {
        self.tell('+');
    }

    /// Takes it off the list.
    pub fn is_gone(self) {
        self.tell('-');
    }

    fn tell(self, sign: char) {
        let line = format!("{sign}{}", self.line());
        tell(&line);
        if self.stays() {
            journal::note(&line);
        }
    }

    fn line(self) -> String {
        match self {
            Leftover::Group(id) => format!("group {id}"),
            Leftover::Container(name) => format!("container {name}"),
            Leftover::Image(tag) => format!("image {tag}"),
            Leftover::Folder(path) => format!("folder {path}"),
        }
    }
}

/// The whole life of the reaper, after `xtask __reap`.
pub fn reaper_main() {
    remove(std::io::stdin().lock().lines().map_while(Result::ok));
}

/// Removes what is on the list that `lines` make.
pub(super) fn remove<L: AsRef<str>>(lines: impl Iterator<Item = L>) {
    let mut left = BTreeSet::new();
    lines.for_each(|line| note(&mut left, line.as_ref()));
    let of = |kind: &'static str| {
        left.iter()
            .filter_map(move |entry| Some(entry.strip_prefix(kind)?.trim_start()))
    };
    of("group ").for_each(kill_group);
    if of("container ").next().is_some() {
        std::thread::sleep(CREATION_GRACE);
    }
    for name in of("container ") {
        docker(&["rm", "--force", "--volumes", name]);
    }
    of("image ").for_each(remove_image);
    for path in of("folder ") {
        // Gone already, or somebody else's by now: neither is for us to settle.
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

/// Removes a tag, and what has no other tag: while a container is just being removed, docker takes
/// nothing but the tag.
fn remove_image(tag: &str) {
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", tag]);
    docker(&["image", "rm", "--force", tag]);
    let Some(id) = id.as_deref().map(str::trim).filter(|id| !id.is_empty()) else {
        return;
    };
    for _ in 0..REMOVALS {
        let tags = docker(&["image", "inspect", "--format", "{{len .RepoTags}}", id]);
        if tags.is_none_or(|tags| tags.trim() != "0") {
            return;
        }
        docker(&["image", "rm", id]);
        std::thread::sleep(CREATION_GRACE);
    }
}

/// What docker prints, some words at most; none when it does not end in time.
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
    let mut text = String::new();
    client.stdout?.read_to_string(&mut text).ok()?;
    Some(text)
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
