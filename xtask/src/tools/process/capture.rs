//! Reads one output of a child in a thread and keeps a bounded part of it.
//!
//! The start is kept for parsing, the end for error messages. Nothing is decoded
//! before it is asked for, and a full cap never blocks the child.

use std::collections::VecDeque;
use std::io::{Read, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that are kept of the start of an output, for parsing.
pub(super) const HEAD_BYTES: usize = 16 << 20;
/// Bytes that are kept of the end of an output, for error messages.
const TAIL_BYTES: usize = 16 << 10;

/// The bounded, growing copy of one output.
#[derive(Clone, Debug)]
pub struct Capture {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    captured: Captured,
    ended: bool,
}

/// The kept parts of one output.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped_bytes: u64,
}

impl Captured {
    /// The kept start of the output; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.head).into_owned()
    }

    /// The last `count` lines of the output, each indented by two spaces.
    pub fn last_lines(&self, count: usize) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let from = lines.len().saturating_sub(count);
        let lines: Vec<String> = lines[from..]
            .iter()
            .map(|line| format!("  {line}"))
            .collect();
        lines.join("\n")
    }

    /// Number of bytes beyond what `text` returns.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    fn total_bytes(&self) -> u64 {
        self.head.len() as u64 + self.dropped_bytes
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES - self.head.len();
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(kept);
        self.dropped_bytes += dropped.len() as u64;
        // The tail also holds what the head has: the last lines of a short output are in its head.
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }
}

impl Capture {
    /// Starts to read `source` until its end.
    pub(super) fn of(source: impl Read + Send + 'static) -> Capture {
        Capture::reading(source, Captured::push)
    }

    /// As [`Capture::of`], but forwards everything to standard error and keeps nothing. What cannot be
    /// written there is lost.
    pub(super) fn passing(source: impl Read + Send + 'static) -> Capture {
        Capture::reading(source, |_, bytes| {
            let _ = std::io::stderr().write_all(bytes);
        })
    }

    fn reading(
        mut source: impl Read + Send + 'static,
        take: impl Fn(&mut Captured, &[u8]) + Send + 'static,
    ) -> Capture {
        let shared = Arc::new(Shared::default());
        let capture = Capture {
            shared: Arc::clone(&shared),
        };
        // Nobody joins this thread: a process that left the group may hold the pipe open for ever.
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match source.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => take(&mut lock(&shared).captured, &buffer[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    // Counts as the end of the output: the exit status shows whether the child failed.
                    Err(_) => break,
                }
                shared.moved.notify_all();
            }
            // Set after a failed read too, or else `settle` would wait for its whole limit.
            lock(&shared).ended = true;
            shared.moved.notify_all();
        });
        capture
    }

    /// An output that is not captured: always empty, already at its end.
    pub(super) fn empty() -> Capture {
        let shared = Arc::new(Shared::default());
        lock(&shared).ended = true;
        Capture { shared }
    }

    /// The output that has arrived so far.
    pub fn get(&self) -> Captured {
        lock(&self.shared).captured.clone()
    }

    /// Waits for the end of the output, but no longer than `limit`: a process that
    /// left the group may hold the pipe open for ever.
    pub(super) fn settle(&self, limit: Duration) {
        self.wait_while(limit, |state| !state.ended);
    }

    /// Waits until there is more than `seen`, but no longer than `limit`. An output that
    /// has ended is waited for as well: the process may live on, and its owner polls it.
    pub(super) fn wait_beyond(&self, seen: &Captured, limit: Duration) {
        let seen = seen.total_bytes();
        self.wait_while(limit, |state| state.captured.total_bytes() == seen);
    }

    fn wait_while(&self, limit: Duration, condition: impl Fn(&State) -> bool) {
        let state = lock(&self.shared);
        let waited = self
            .shared
            .moved
            .wait_timeout_while(state, limit, |state| condition(state));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    // The state is valid after every statement, so a panic elsewhere does not spoil it.
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}
