//! A command line being put together, and its start in a process group of its own.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::{Capture, Child, Leftover, Output, environment};

/// A command that has not been started yet.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    passes_stderr: bool,
}

impl Launch {
    /// A tool: in the current directory, without input, and with the environment of this process except
    /// for variables that would change its results.
    pub fn new(program: impl AsRef<OsStr>) -> Launch {
        Launch::with(program, environment::clean)
    }

    /// A program that is measured or makes load: as [`Launch::new`], with hardly any environment.
    pub fn bare(program: impl AsRef<OsStr>) -> Launch {
        Launch::with(program, environment::clear)
    }

    fn with(program: impl AsRef<OsStr>, environment: fn(&mut Command)) -> Launch {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        environment(&mut command);
        Launch {
            command,
            passes_stderr: false,
        }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Launch {
        self.command.arg(argument);
        self
    }

    #[must_use]
    pub fn args<I, S>(mut self, arguments: I) -> Launch
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Launch {
        self.command.env(key, value);
        self
    }

    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Launch {
        self.command.current_dir(directory);
        self
    }

    /// Gives the child an input pipe, which is empty unless [`Child::tell`] writes to it, and is closed
    /// when this process ends.
    #[must_use]
    pub fn hold_input(mut self) -> Launch {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Forwards the child's standard error to that of this process instead of capturing it. The child
    /// inherits only a terminal: it must not fail because nobody reads the output of this process.
    #[must_use]
    pub fn pass_stderr(mut self) -> Launch {
        self.passes_stderr = true;
        self
    }

    /// Starts the child in a process group of its own.
    pub fn start(mut self) -> anyhow::Result<Child> {
        let name = describe(&self.command);
        self.command.process_group(0).stdout(Stdio::piped());
        let inherits = self.passes_stderr && std::io::stderr().is_terminal();
        self.command.stderr(if inherits {
            Stdio::inherit()
        } else {
            Stdio::piped()
        });
        let mut process = self
            .command
            .spawn()
            .with_context(|| format!("failed to start `{name}`"))?;
        Leftover::Group(process.id()).begins();
        let stdout = process
            .stdout
            .take()
            .map_or_else(Capture::empty, Capture::of);
        let stderr = process.stderr.take();
        let stderr = stderr.map_or_else(Capture::empty, |pipe| {
            if self.passes_stderr {
                Capture::passing(pipe)
            } else {
                Capture::of(pipe)
            }
        });
        Ok(Child {
            process,
            name,
            stdout,
            stderr,
            status: None,
        })
    }

    /// Runs the child to its end and returns its output, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be started, or has not ended within `deadline` (it is killed then).
    pub fn run(self, deadline: Duration) -> anyhow::Result<Output> {
        let mut child = self.start()?;
        let status = child.wait(deadline)?;
        Ok(child.output(status))
    }

    /// As [`Launch::run`], but goes on when this process is asked to stop: for short commands that would
    /// leave something behind when they are cut off.
    ///
    /// # Errors
    /// As of [`Launch::run`].
    pub fn run_through(self, deadline: Duration) -> anyhow::Result<Output> {
        let mut child = self.start()?;
        let status = child.wait_through(deadline)?;
        Ok(child.output(status))
    }
}

/// The command line for messages, cut to a line or two.
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
