//! A command line being put together, and its start in a process group of its own: of a program that runs
//! beside this one, or of a script's command, which runs to its end.
//!
//! `duct` starts it, with pipes whose other ends are read here: its own captures have no limit, and wait for
//! whoever else holds them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal as _, pipe};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use xshell::Cmd;

use super::{Capture, Child, Leftover, Output, environment};

/// A command that has not been started yet.
#[derive(Debug)]
pub struct Launch {
    program: OsString,
    arguments: Vec<OsString>,
    /// All variables of the child.
    environment: HashMap<OsString, OsString>,
    /// None for the directory of this process.
    directory: Option<PathBuf>,
    holds_input: bool,
    passes_stderr: bool,
}

impl Launch {
    /// A tool: in the current directory, without input, and with the environment of this process except
    /// for variables that would change its results.
    pub fn new(program: impl AsRef<OsStr>) -> Launch {
        Launch::with(program.as_ref(), environment::clean())
    }

    /// A program that is measured or makes load: as [`Launch::new`], with hardly any environment.
    pub fn bare(program: impl AsRef<OsStr>) -> Launch {
        Launch::with(program.as_ref(), environment::clear())
    }

    /// A command of a script with hardly any environment, but with the variables that the script sets.
    pub fn bare_script(command: Cmd<'_>) -> Launch {
        Launch::script(command, environment::clear())
    }

    fn with(program: &OsStr, environment: HashMap<OsString, OsString>) -> Launch {
        Launch {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment,
            directory: None,
            holds_input: false,
            passes_stderr: false,
        }
    }

    fn script(command: Cmd<'_>, environment: HashMap<OsString, OsString>) -> Launch {
        let command = Command::from(command);
        let mut launch = Launch::with(command.get_program(), environment).args(command.get_args());
        launch.directory = command.get_current_dir().map(Path::to_path_buf);
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => launch.environment.insert(key.to_owned(), value.to_owned()),
                None => launch.environment.remove(key),
            };
        }
        launch
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Launch {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<I, S>(mut self, arguments: I) -> Launch
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Launch {
        let (key, value) = (key.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.insert(key, value);
        self
    }

    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Launch {
        self.directory = Some(directory.to_path_buf());
        self
    }

    /// Gives the child an input pipe, which is empty unless [`Child::tell`] writes to it. It is closed
    /// when the child is waited for, and when this process ends.
    #[must_use]
    pub fn hold_input(mut self) -> Launch {
        self.holds_input = true;
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
    pub fn start(self) -> anyhow::Result<Child> {
        let name = self.describe();
        self.spawn(&name)
            .with_context(|| format!("failed to start `{name}`"))
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

    fn spawn(self, name: &str) -> std::io::Result<Child> {
        let (stdout, childs_stdout) = pipe()?;
        // Unchecked: an exit status other than 0 is no error of a wait.
        let mut expression = duct::cmd(self.program, self.arguments)
            .full_env(self.environment)
            .stdout_file(childs_stdout)
            .unchecked();
        if let Some(directory) = self.directory {
            expression = expression.dir(directory);
        }
        let mut input = None;
        if self.holds_input {
            let (childs_input, held) = pipe()?;
            input = Some(held);
            expression = expression.stdin_file(childs_input);
        } else {
            expression = expression.stdin_null();
        }
        let mut stderr = None;
        if !(self.passes_stderr && std::io::stderr().is_terminal()) {
            let (read, childs_stderr) = pipe()?;
            stderr = Some(read);
            expression = expression.stderr_file(childs_stderr);
        }
        let clock = Arc::new(OnceLock::new());
        let hooked = Arc::clone(&clock);
        expression = expression.before_spawn(move |command| {
            // A group of its own, so that one signal reaches all that the child starts.
            command.process_group(0);
            // Last, so that no work of this process is part of a measured start.
            hooked.get_or_init(Instant::now);
            Ok(())
        });
        let handle = expression.start()?;
        // A single command without a pipeline has exactly one process.
        let pid = handle.pids()[0];
        // As early as possible: a kill of this process before this line leaves the child running.
        Leftover::Group(pid).begins();
        // It holds the child's ends of the pipes: with them here, no output would ever end.
        drop(expression);
        let stderr = stderr.map_or_else(Capture::empty, |pipe| {
            if self.passes_stderr {
                Capture::passing(pipe)
            } else {
                Capture::of(pipe)
            }
        });
        Ok(Child {
            pid,
            // The hook has set it, since it runs before the process is created.
            started: *clock.get_or_init(Instant::now),
            handle,
            name: name.to_owned(),
            input,
            stdout: Capture::of(stdout),
            stderr,
        })
    }

    /// The command line for messages, cut to a line or two.
    fn describe(&self) -> String {
        const LONGEST: usize = 160;
        let mut text = self.program.to_string_lossy().into_owned();
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(&argument.to_string_lossy());
        }
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

/// A command of a script: a tool, as [`Launch::new`], with the directory and the variables of the script.
impl From<Cmd<'_>> for Launch {
    fn from(command: Cmd<'_>) -> Launch {
        Launch::script(command, environment::clean())
    }
}
