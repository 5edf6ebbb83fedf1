//! Lines that wait to be written to standard error, and the thread that writes them.
//!
//! The queue has a limit in bytes. A line that finds no room is dropped and counted, and the count is the
//! next line. Knows no levels and no formats.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Limit of the lines that wait, in bytes.
const BYTES_MAX: usize = 256 * 1024;
/// Longest wait for the last lines at the end of the process.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The queue; clones share it.
#[derive(Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes those that wait until all is written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    text: Vec<u8>,
    dropped: u64,
    is_writing: bool,
}

impl Queue {
    /// Starts the writer. `tell` makes the line that says how many were dropped.
    pub fn start(&self, tell: impl Fn(u64) -> String + Send + 'static) -> std::io::Result<()> {
        let queue = self.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || queue.run(write_out, &tell))?;
        Ok(())
    }

    /// Queues a line, or counts it as dropped when there is no room.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.text.len() + line.len() > BYTES_MAX {
            state.dropped += 1;
            return;
        }
        state.text.extend_from_slice(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until all lines are written, unless standard error takes none.
    pub fn flush(&self) {
        let until = Instant::now() + FLUSH_MAX;
        let mut state = self.state();
        while state.is_writing || !state.text.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.written.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes until the process ends.
    fn run(&self, write: impl Fn(&[u8]), tell: &dyn Fn(u64) -> String) {
        let mut batch = Vec::new();
        let mut state = self.state();
        loop {
            while state.text.is_empty() {
                let waited = self.0.filled.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.text, &mut batch);
            let dropped = std::mem::take(&mut state.dropped);
            state.is_writing = true;
            drop(state);
            write(&batch);
            if dropped > 0 {
                write(tell(dropped).as_bytes());
            }
            batch.clear();
            // A burst must not keep its room for ever.
            batch.shrink_to(8 * 1024);
            state = self.state();
            state.is_writing = false;
            self.0.written.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; and the log of a panic must not end in another one.
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to standard error. Unlike `eprintln!` it does not panic when that is closed or its disk is full:
/// such text is lost.
pub fn write_out(text: &[u8]) {
    let _ = std::io::stderr().write_all(text);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_reader_that_is_stuck_blocks_nobody_and_is_told_what_it_missed() {
        let queue = Queue::default();
        let (sender, written) = channel();
        let (resume, stuck) = channel::<()>();
        let writer = queue.clone();
        std::thread::spawn(move || {
            let write = |text: &[u8]| {
                sender.send(text.to_vec()).unwrap();
                // Fails, and so does not wait any more, after the sender was dropped.
                let _ = stuck.recv();
            };
            writer.run(write, &|dropped| format!("{dropped} dropped\n"));
        });
        queue.push(b"first\n");
        assert_eq!(written.recv().unwrap(), b"first\n");
        // The writer is stuck now.
        let line = [b'x'; 1024];
        for _ in 0..BYTES_MAX / line.len() + 3 {
            queue.push(&line);
        }
        let begun = Instant::now();
        queue.flush();
        assert!(begun.elapsed() >= FLUSH_MAX);
        drop(resume);
        assert_eq!(written.recv().unwrap().len(), BYTES_MAX);
        assert_eq!(written.recv().unwrap(), b"3 dropped\n");
        queue.flush();
        assert!(queue.state().text.is_empty());
    }
}
