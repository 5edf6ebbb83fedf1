//! Everything that must not outlive this process: each is announced to the reaper when it is made, and again
//! when it is gone.
//!
//! Removes nothing itself: its owner does, or else the reaper.

use std::io::{PipeWriter, Write as _, pipe};
use std::os::unix::process::CommandExt as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::journal;

/// The hidden argument that turns `xtask` into the reaper.
const ARGUMENT: &str = "__reap";
/// Variable that is set for the reaper. Without it, a reaper that starts a child would start a reaper
/// for that child, and so on without end.
const MARK: &str = "XTASK_REAPER";

/// The pipe to the reaper; none when it could not be started. Without it, children
/// still die with their owners, only not when this process is killed by force.
static REAPER: LazyLock<Option<Mutex<PipeWriter>>> = LazyLock::new(start);

/// Something that must not outlive this process, in the order of removal: what is removed later may be
/// in use by what is removed first, as an image by its container.
#[derive(Clone, Copy, Debug)]
pub enum Leftover<'a> {
    Group(u32),
    /// A container, by its name.
    Container(&'a str),
    /// An image, by its tag.
    Image(&'a str),
    /// A folder of scratch files.
    Folder(&'a str),
}

impl Leftover<'_> {
    /// Puts it on the list. Containers and images are listed before they exist: they are named first.
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

    /// Whether it outlives all processes of a run, as all but processes themselves do.
    fn stays(self) -> bool {
        !matches!(self, Leftover::Group(_))
    }
}

fn start() -> Option<Mutex<PipeWriter>> {
    // The executable of a unit test is not `xtask` and would run all tests again.
    if cfg!(test) || std::env::var_os(MARK).is_some() {
        return None;
    }
    let executable = std::env::current_exe().ok()?;
    let (read, write) = pipe().ok()?;
    duct::cmd(executable, [ARGUMENT])
        .env(MARK, "1")
        .stdin_file(read)
        .stdout_null()
        .stderr_null()
        // A group of its own, so that an interrupt from the terminal does not end it first.
        .before_spawn(|command| {
            command.process_group(0);
            Ok(())
        })
        .start()
        .ok()?;
    Some(Mutex::new(write))
}

fn tell(line: &str) {
    if let Some(pipe) = REAPER.as_ref() {
        let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a reaper the run goes on, only without this safety net.
        let _ = writeln!(pipe, "{line}");
    }
}
