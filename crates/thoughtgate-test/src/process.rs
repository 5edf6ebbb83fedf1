//! A real binary as a child process: its output, its exit, and a kill at the end of the test.
//!
//! Does not know which binary it is. Calls block, which is safe for tests: the doubles have threads
//! of their own.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Interval between checks whether a child has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Time limit for the rest of the output of a child that has ended.
const REST_MAX: Duration = Duration::from_secs(2);

/// An output of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A child process; killed and reaped on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

/// The lines of one output so far.
#[derive(Debug, Default)]
struct Lines {
    state: Mutex<LinesState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LinesState {
    lines: Vec<String>,
    ended: bool,
}

impl Process {
    /// Starts `program` with `arguments`, and `environment` in addition to that of the test.
    ///
    /// # Errors
    /// The program cannot be started; the message names it.
    pub fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: &[A],
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts a prepared command with pipes for its three standard streams.
    ///
    /// # Errors
    /// The program cannot be started; the message names it.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let program = command.get_program().display();
            io::Error::new(
                error.kind(),
                format!("failed to start `{program}`: {error}"),
            )
        })?;
        let stdout = child.stdout.take().map(Lines::collect).transpose()?;
        let stderr = child.stderr.take().map(Lines::collect).transpose()?;
        Ok(Self {
            stdin: child.stdin.take(),
            child,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        })
    }

    /// Waits up to `patience` for the first line of `output` that contains `part`.
    ///
    /// # Errors
    /// `TimedOut`, or `UnexpectedEof` if the output ended without such a line. The message shows both
    /// outputs so far.
    pub fn wait_line(&self, output: Output, part: &str, patience: Duration) -> io::Result<String> {
        let lines = match output {
            Output::Stdout => &self.stdout,
            Output::Stderr => &self.stderr,
        };
        lines.wait(part, patience).map_err(|kind| {
            let message = format!(
                "no line on {output:?} contains `{part}`\nstdout:\n{}\nstderr:\n{}",
                self.output(Output::Stdout).join("\n"),
                self.output(Output::Stderr).join("\n"),
            );
            io::Error::new(kind, message)
        })
    }

    /// The lines that the child has printed so far.
    #[must_use]
    pub fn output(&self, output: Output) -> Vec<String> {
        let lines = match output {
            Output::Stdout => &self.stdout,
            Output::Stderr => &self.stderr,
        };
        lines.state().lines.clone()
    }

    /// Process id of the child.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pipe to the child's standard input; `None` after [`close_stdin`](Self::close_stdin).
    pub fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.stdin.as_mut()
    }

    /// Closes the child's standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// The child has ended and [`wait`](Self::wait) has returned its status.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends `signal`.
    ///
    /// # Errors
    /// The child has ended and [`wait`](Self::wait) has returned its status.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits up to `patience` for the child to exit. All that it has printed is in [`output`](Self::output)
    /// then, unless a process that it started holds its pipes.
    ///
    /// # Errors
    /// `TimedOut` if it is still running.
    pub fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.stdout.wait_end(REST_MAX);
                self.stderr.wait_end(REST_MAX);
                return Ok(status);
            }
            if Instant::now() >= until {
                let message = format!("process {} still runs after {patience:?}", self.id());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            // The standard library has no wait with a time limit.
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error is ignored: it means that the child has ended already. It is reaped either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    /// Reads `output` to its end on a thread, so that the child never blocks on a full pipe.
    fn collect(output: impl Read + Send + 'static) -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self::default());
        let writer = Arc::clone(&lines);
        let read = move || {
            let mut reader = BufReader::new(output);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                writer.state().lines.push(text);
                writer.changed.notify_all();
                line.clear();
            }
            writer.state().ended = true;
            writer.changed.notify_all();
        };
        std::thread::Builder::new().spawn(read)?;
        Ok(lines)
    }

    fn state(&self) -> MutexGuard<'_, LinesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits up to `patience` for the end of the output.
    fn wait_end(&self, patience: Duration) {
        let state = self.state();
        // A lock that a panic has left is taken as it is, as in `state`.
        let _ = (self.changed).wait_timeout_while(state, patience, |state| !state.ended);
    }

    fn wait(&self, part: &str, patience: Duration) -> Result<String, io::ErrorKind> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.iter().find(|line| line.contains(part)) {
                return Ok(line.clone());
            }
            if state.ended {
                return Err(io::ErrorKind::UnexpectedEof);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
