//! A running child: waited for with a deadline, watched, stopped, and killed with all it started.

use std::io::{PipeWriter, Write as _};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::output::last_words;
use super::{Capture, Leftover, Output};
use crate::interrupt;

/// Time between two checks of a wait for signals, the deadline and its callback.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time limit for the rest of the output of a child that has ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// A running child. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Child {
    pub(super) pid: u32,
    pub(super) started: Instant,
    pub(super) handle: duct::Handle,
    pub(super) name: String,
    pub(super) input: Option<PipeWriter>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

impl Child {
    /// The process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The moment before the process was created.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.handle.try_wait();
        let ended = ended.with_context(|| format!("failed to wait for `{}`", self.name))?;
        Ok(ended.map(|output| output.status))
    }

    /// The exit status, if it ends within `limit`: peers of a dying process see closed connections a
    /// moment before it can be waited for.
    pub fn ended_within(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        // A child that reads its input to the end would never end.
        self.input = None;
        let ended = self.handle.wait_timeout(limit);
        let ended = ended.with_context(|| format!("failed to wait for `{}`", self.name))?;
        Ok(ended.map(|output| output.status))
    }

    /// An error with the exit status and the last lines of standard error, if it has ended.
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

    /// Writes a line to its input, which needs a start with [`super::Launch::hold_input`].
    pub fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.input.as_mut();
        let input = input.with_context(|| format!("`{}` has no input pipe", self.name))?;
        let written = input.write_all(format!("{line}\n").as_bytes());
        if written.is_err() {
            // If the child has ended, its exit status explains more than the failed write.
            self.check_running()?;
        }
        written.with_context(|| format!("failed to write to `{}`", self.name))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When `deadline` has passed; the child and its group are killed then.
    pub fn wait(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.wait_watching(deadline, &mut || Ok(()))
    }

    /// Waits for the end, even after this process was asked to stop.
    ///
    /// # Errors
    /// When `deadline` has passed; the child and its group are killed then.
    pub fn wait_through(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.wait_looking(deadline, &mut || Ok(()))
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
        self.wait_looking(deadline, &mut || {
            interrupt::check()?;
            look()
        })
    }

    fn wait_looking(
        &mut self,
        deadline: Duration,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            let left = deadline.saturating_sub(started.elapsed());
            if let Some(status) = self.ended_within(left.min(LOOK_EVERY))? {
                return Ok(status);
            }
            if let Err(error) = look() {
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

    /// Waits until `find` finds something in the output so far, and returns it.
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
            // Asked before the output is read: a child that has ended by now prints nothing more.
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
            // Checked after the search: a child that has ended may have printed what is awaited.
            if ended {
                self.check_running()?;
            }
            if started.elapsed() >= deadline {
                let words = last_words(&self.stderr.get());
                bail!(
                    "`{}` did not print the expected output within {deadline:?}{words}",
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
        let ended = self.ended_within(grace).ok().flatten();
        // Killed after a clean end too: the child may have left processes of its group running.
        self.kill();
        ended
    }

    /// The whole output, once it has ended.
    pub fn output(self, status: ExitStatus) -> Output {
        // Processes that it left running may hold the pipes open, so they are killed first.
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

    /// Its standard error so far.
    pub fn said_on_stderr(&self) -> String {
        self.stderr.get().text()
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // Fails only when nothing of the group is left, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn kill(&self) {
        self.signal(Signal::KILL);
        // Collects it; an error means that there is nothing to collect.
        let _ = self.handle.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        // Taken off the list after the kill: if this process dies before, the reaper kills the group.
        Leftover::Group(self.pid).is_gone();
    }
}

/// One of the two outputs of a child.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
}
