//! A container that lives no longer than its owner.
//!
//! The client stays attached, so that the container's output and end are seen like those of any child.
//! The container gets its name before it is created, so that nothing nameless can be left behind.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xshell::{Shell, cmd};

use super::client::{ASK, client, docker, mounted, unique_name};
use super::image::Image;
use crate::interrupt;
use crate::tools::process::{Child, Launch, Leftover};
use crate::tools::procfs;

/// Time limit for the daemon to create a container, or to remove one.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// User and group of this process, for the option `--user`: this process can then remove the files that
/// a container writes.
pub fn own_user() -> String {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    format!("{}:{}", user.as_raw(), group.as_raw())
}

/// Options that mount the programs of this machine into a container, with their libraries and
/// configuration: an image from scratch has none.
pub fn system_mounts() -> anyhow::Result<Vec<String>> {
    let folders = ["/bin", "/etc", "/lib", "/lib64", "/usr"].map(Path::new);
    // Not every system has all of them: `/lib64` depends on the architecture.
    let existing = folders.into_iter().filter(|folder| folder.is_dir());
    existing.map(|folder| mounted(folder, false)).collect()
}

/// A container that was requested, and may not exist yet; removed on drop.
#[derive(Debug)]
pub struct Container {
    name: String,
    /// Last words of the command line of its first process, by which that process is recognised.
    arguments: Vec<String>,
    client: Child,
    first: Option<FirstProcess>,
}

/// A container's first process, as a process of this machine: it can be ended without the daemon.
#[derive(Debug)]
struct FirstProcess {
    pid: u32,
    started_ticks: u64,
}

impl FirstProcess {
    fn of(pid: u32) -> Option<FirstProcess> {
        Some(FirstProcess {
            pid,
            started_ticks: procfs::started_ticks(pid).ok()?,
        })
    }

    /// Kills it, if it still exists and this process may. The rest of its container ends with it.
    fn end(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && procfs::started_ticks(self.pid).is_ok_and(|ticks| ticks == self.started_ticks)
        {
            // Where that is not permitted, the daemon ends it when it is back.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Container {
    pub(super) fn start(
        reference: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> anyhow::Result<Container> {
        Container::attached(client(), reference, options, arguments)
    }

    /// Starts a container that ends when this process does, and with it all that share its process
    /// namespace: see [`Container::shared_processes`]. It runs this machine's `cat`, whose input stays
    /// open for as long as this process lives.
    pub fn guard(image: &Image) -> anyhow::Result<Container> {
        let mounts = system_mounts()?;
        let mut options = vec!["--interactive", "--entrypoint", "/bin/cat"];
        options.extend(mounts.iter().map(String::as_str));
        let client = client().hold_input();
        let mut guard = Container::attached(client, image.tag(), &options, &[])?;
        let running = interrupt::until(DEADLINE, POLL, || {
            if guard.pid().is_ok() {
                return Ok(Some(()));
            }
            guard.check_running().map(|()| None)
        })?;
        running.with_context(|| {
            let name = &guard.name;
            format!("the container `{name}` did not start within {DEADLINE:?}")
        })?;
        Ok(guard)
    }

    /// The option that makes another container end with this one: both have the same first process.
    pub fn shared_processes(&self) -> String {
        format!("--pid=container:{}", self.name)
    }

    fn attached(
        client: Launch,
        reference: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> anyhow::Result<Container> {
        let entrypoint = options
            .iter()
            .skip_while(|option| **option != "--entrypoint");
        let command = match arguments {
            // Without arguments, the command line of the first process ends with the entry point.
            [] => entrypoint.skip(1).take(1).copied().collect(),
            arguments => arguments.to_vec(),
        };
        let name = unique_name();
        Leftover::Container(&name).begins();
        let client = client
            .args(["run", "--rm", "--network", "host", "--name", &name])
            .args(options)
            .arg(reference)
            .args(arguments)
            .start()?;
        Ok(Container {
            name,
            arguments: command.iter().map(ToString::to_string).collect(),
            client,
            first: None,
        })
    }

    /// An error with its last lines of stderr when it has ended, or could not be started.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.client
            .check_running()
            .with_context(|| format!("the container `{}` is not running", self.name))
    }

    /// The pid of its first process on this machine. For a container that has answered already.
    ///
    /// # Errors
    /// Also when that pid is another program on this machine: the daemon then runs elsewhere, or in a
    /// pid namespace of its own.
    pub fn pid(&mut self) -> anyhow::Result<u32> {
        self.check_running()?;
        let (sh, format, name) = (Shell::new()?, "{{.State.Pid}}", &self.name);
        let output = docker(cmd!(sh, "docker inspect --format {format} {name}"), ASK)?;
        let text = output.stdout.text();
        // Docker reports 0 for a container that is not running.
        let pid = text.trim().parse().ok().filter(|pid| *pid > 0);
        let pid = pid.with_context(|| format!("invalid pid `{}` from docker", text.trim()))?;
        self.check_identity(pid)?;
        self.first = FirstProcess::of(pid);
        Ok(pid)
    }

    /// Kills the client and does nothing else.
    #[cfg(test)]
    pub(super) fn lose_client(self) {
        let pid = i32::try_from(self.client.pid())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(pid.unwrap(), Signal::KILL).unwrap();
        std::mem::forget(self);
    }

    fn check_identity(&self, pid: u32) -> anyhow::Result<()> {
        ensure!(
            runs(pid, &self.arguments),
            "process {pid}, which docker reports for the container `{}`, is another program on this \
             machine: the daemon runs elsewhere, or in a pid namespace of its own",
            self.name
        );
        Ok(())
    }

    /// Tries to remove the container, and returns whether it is gone for good.
    fn remove(&self, client_ended: bool) -> bool {
        let Ok(sh) = Shell::new() else {
            return false;
        };
        let name = &self.name;
        let removal = cmd!(sh, "docker rm --force --volumes {name}");
        let removal = Launch::from(removal).run_through(ASK);
        // With --force, docker succeeds also when there is no such container; and a client that still
        // runs may be about to create it.
        removal.is_ok_and(|output| {
            let was_there = output.stdout.text().trim() == self.name;
            was_there || (client_ended && output.stderr.text().contains("No such container"))
        })
    }
}

/// Whether the command line of a process of this machine ends with `command`.
fn runs(pid: u32, command: &[String]) -> bool {
    procfs::command_line(pid).is_ok_and(|line| line.ends_with(command))
}

impl Drop for Container {
    fn drop(&mut self) {
        let until = Instant::now() + DEADLINE;
        loop {
            // A client whose state cannot be read counts as ended, so that this loop ends.
            let client_ended = !matches!(self.client.ended(), Ok(None));
            if self.remove(client_ended) {
                Leftover::Container(&self.name).is_gone();
                return;
            }
            // The client has ended and the removal fails: the daemon itself is gone. When it is back it
            // removes the container (`--rm`), but until then the container's processes go on.
            if client_ended || Instant::now() > until {
                if let Some(first) = &self.first {
                    first.end();
                }
                // It stays on the list: the reaper tries again when this process ends.
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_happens_to_have_a_container_s_pid_is_known_by_its_command() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let command = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        // The kernel fills it in a moment after the start.
        while procfs::command_line(child.id()).unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert!(runs(child.id(), &command(&["60"])));
        assert!(!runs(child.id(), &command(&["--listen", "127.0.0.1:4711"])));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!runs(child.id(), &command(&["60"])), "it is gone");
    }

    #[test]
    fn a_process_is_ended_without_the_daemon_and_no_other_that_has_its_pid_later() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut first = FirstProcess::of(child.id()).unwrap();
        first.started_ticks += 1;
        first.end();
        assert!(child.try_wait().unwrap().is_none());
        first.started_ticks -= 1;
        first.end();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // To end a process that is gone is not an error.
        first.end();
        assert!(FirstProcess::of(child.id()).is_none());
    }
}
