//! Child processes with a limit on everything: a deadline, a cap on what is kept
//! of their output, and a whole process group that dies with its owner.
//!
//! Knows nothing of what it runs. Does not interpret output, retry, or choose
//! deadlines for its callers.

mod capture;
mod reaper;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use wait_timeout::ChildExt as _;

use crate::interrupt;

pub use capture::{Capture, Captured};
pub use reaper::{container_gone, container_started, reaper_main};

/// How long a wait sleeps before it looks at its surroundings again.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the output of a child that has ended may take to arrive.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);
/// How many last lines of standard error an error message carries.
const LAST_LINES: usize = 6;

/// A command that has not been started yet.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    passes_stderr: bool,
}

impl Launch {
    /// A command without arguments, in this directory, with this environment and no input.
    pub fn new(program: impl AsRef<OsStr>) -> Launch {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Launch {
            command,
            passes_stderr: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Launch {
        self.command.arg(argument);
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I, S>(mut self, arguments: I) -> Launch
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(arguments);
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Launch {
        self.command.env(key, value);
        self
    }

    /// Keeps an inherited environment variable from the child.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Launch {
        self.command.env_remove(key);
        self
    }

    /// Runs the child in `directory`.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Launch {
        self.command.current_dir(directory);
        self
    }

    /// Lets the child talk on our standard error instead of capturing it.
    #[must_use]
    pub fn pass_stderr(mut self) -> Launch {
        self.passes_stderr = true;
        self
    }

    /// Starts the child in a process group of its own.
    pub fn start(mut self) -> anyhow::Result<Child> {
        let name = describe(&self.command);
        self.command.process_group(0).stdout(Stdio::piped());
        self.command.stderr(if self.passes_stderr {
            Stdio::inherit()
        } else {
            Stdio::piped()
        });
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("failed to start `{name}`"))?;
        reaper::group_started(child.id());
        let stdout = child.stdout.take().map_or_else(Capture::empty, Capture::of);
        let stderr = child.stderr.take().map_or_else(Capture::empty, Capture::of);
        Ok(Child {
            child,
            name,
            stdout,
            stderr,
            status: None,
        })
    }

    /// Runs the child to its end and returns what it said, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be started, or has not ended within `deadline` (it is killed then).
    pub fn run(self, deadline: Duration) -> anyhow::Result<Output> {
        let mut child = self.start()?;
        let status = child.wait(deadline)?;
        Ok(child.output(status))
    }
}

/// What a child that ended had said.
#[derive(Debug)]
pub struct Output {
    /// The command line, shortened for messages.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, up to the cap.
    pub stdout: Captured,
    /// Standard error, up to the cap.
    pub stderr: Captured,
}

impl Output {
    /// Makes an exit status other than 0 an error that carries the last lines of standard error.
    pub fn success(self) -> anyhow::Result<Output> {
        if !self.status.success() {
            bail!(
                "`{}` failed ({}){}",
                self.name,
                self.status,
                last_words(&self.stderr)
            );
        }
        if self.stdout.dropped_bytes() > 0 {
            bail!(
                "`{}` said {} bytes more than are kept",
                self.name,
                self.stdout.dropped_bytes()
            );
        }
        Ok(self)
    }
}

/// A running child. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    name: String,
    stdout: Capture,
    stderr: Capture,
    status: Option<ExitStatus>,
}

impl Child {
    /// The process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> &Capture {
        &self.stdout
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> &Capture {
        &self.stderr
    }

    /// The exit status, when it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .with_context(|| format!("failed to wait for `{}`", self.name))?;
        }
        Ok(self.status)
    }

    /// The exit status, when it ends within `limit`: what dies is noticed by its peers first.
    pub fn ended_within(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        if self.ended()?.is_none() {
            self.status = self
                .child
                .wait_timeout(limit)
                .with_context(|| format!("failed to wait for `{}`", self.name))?;
        }
        Ok(self.status)
    }

    /// An error with its exit status and last lines when it has ended though it should be running.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.ended()? else {
            return Ok(());
        };
        self.stderr.settle(OUTPUT_GRACE);
        bail!(
            "`{}` ended unexpectedly ({status}){}",
            self.name,
            last_words(&self.stderr.get())
        );
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When `deadline` has passed; the child and its group are killed then.
    pub fn wait(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.wait_watching(deadline, &mut || Ok(()))
    }

    /// Waits for the end and calls `look` meanwhile, about twenty times a second.
    ///
    /// # Errors
    /// When `deadline` has passed, when this process was asked to stop, or with the error of
    /// `look`; the child and its group are killed then.
    pub fn wait_watching(
        &mut self,
        deadline: Duration,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.status {
                return Ok(status);
            }
            let left = deadline.saturating_sub(started.elapsed());
            self.status = self
                .child
                .wait_timeout(left.min(LOOK_EVERY))
                .with_context(|| format!("failed to wait for `{}`", self.name))?;
            if self.status.is_some() {
                continue;
            }
            if let Err(error) = interrupt::check()
                .map_err(anyhow::Error::new)
                .and_then(|()| look())
            {
                self.kill();
                return Err(error);
            }
            if left.is_zero() {
                self.kill();
                let words = last_words(&self.stderr.get());
                bail!(
                    "`{}` did not end within {deadline:?} and was killed{words}",
                    self.name
                );
            }
        }
    }

    /// Waits until `find` sees what it wants in standard output (or standard error).
    ///
    /// # Errors
    /// When the child ends first, or `deadline` passes.
    pub fn wait_for<T>(
        &mut self,
        stream: Stream,
        deadline: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            let ended = self.ended()?.is_some();
            let capture = match stream {
                Stream::Stdout => self.stdout.clone(),
                Stream::Stderr => self.stderr.clone(),
            };
            if ended {
                capture.settle(OUTPUT_GRACE);
            }
            let captured = capture.get();
            if let Some(found) = find(&captured.text()) {
                return Ok(found);
            }
            interrupt::check()?;
            if ended {
                self.check_running()?;
            }
            if started.elapsed() >= deadline {
                let words = last_words(&self.stderr.get());
                bail!(
                    "`{}` did not say what was awaited within {deadline:?}{words}",
                    self.name
                );
            }
            capture.wait_beyond(&captured, LOOK_EVERY);
        }
    }

    /// Asks the group to end with SIGTERM, and kills what is left of it after `grace`.
    /// Returns the exit status, or none when it had to be killed.
    pub fn stop(mut self, grace: Duration) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        let ended = self
            .status
            .or_else(|| self.child.wait_timeout(grace).ok().flatten());
        self.status = ended;
        self.kill();
        ended
    }

    /// Takes what it said after it has ended.
    pub fn output(mut self, status: ExitStatus) -> Output {
        // What it left running may hold the pipes open: it goes first.
        self.kill();
        self.stdout.settle(OUTPUT_GRACE);
        self.stderr.settle(OUTPUT_GRACE);
        Output {
            name: self.name.clone(),
            status,
            stdout: self.stdout.get(),
            stderr: self.stderr.get(),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails only when nothing of the group is left, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        reaper::group_ended(self.child.id());
    }
}

/// Which output of a child.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The last lines of standard error, ready to follow a message; empty when there are none.
fn last_words(stderr: &Captured) -> String {
    let lines = stderr.last_lines(LAST_LINES);
    if lines.is_empty() {
        String::new()
    } else {
        format!("; its last words:\n{lines}")
    }
}

/// The command line as a message shows it: no longer than a line or two.
fn describe(command: &Command) -> String {
    const LONGEST: usize = 160;
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
