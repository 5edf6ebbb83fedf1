//! The audit's writer thread: turns queued records into text and writes it.
//!
//! Text that cannot be written is kept, in the room that was reserved for it, and tried again. The writer
//! does not stop calls: they wait, or are refused, when there is no room left.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use thoughtgate_panic::log::{INTERVAL, Sample};
use thoughtgate_panic::{info, warn};

use super::context::Context;
use super::figures::{CLOSE_MAX, Figures};
use super::file::Output;
use super::line;
use super::record::Message;
use super::room::Room;

/// Text that is gathered before a write, in bytes; a buffer of more than twice that is freed afterwards.
const BATCH_BYTES: usize = 64 * 1024;
/// Pause before another try of a sink that failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

pub struct Writer {
    messages: Receiver<Message>,
    output: Output,
    room: Arc<Room>,
    refusals: Arc<Sample>,
    figures: Figures,
    context: Arc<Context>,
    /// Lines that are not written yet.
    text: Vec<u8>,
    lines: i64,
    /// Bytes of `text` that are written already, as part of its first line.
    written: usize,
    /// Room that `text` holds.
    held: usize,
    retry_at: Option<Instant>,
    tally_at: Option<Instant>,
    close_by: Option<Instant>,
    failure: String,
}

impl Writer {
    pub fn new(
        messages: Receiver<Message>,
        output: Output,
        room: Arc<Room>,
        refusals: Arc<Sample>,
        figures: Figures,
        context: Arc<Context>,
    ) -> Writer {
        Writer {
            messages,
            output,
            room,
            refusals,
            figures,
            context,
            text: Vec::new(),
            lines: 0,
            written: 0,
            held: 0,
            retry_at: None,
            tally_at: None,
            close_by: None,
            failure: String::new(),
        }
    }

    /// Writes until it is closed, or all senders are dropped.
    pub fn run(mut self) {
        loop {
            match self.next() {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // All queued records go out with one write. While the sink fails they are turned into text
            // all the same, which takes less room.
            while self.text.len() < BATCH_BYTES || self.retry_at.is_some() {
                match self.messages.try_recv() {
                    Ok(message) => self.take(message),
                    Err(_) => break,
                }
            }
            // In this order: the count goes out with the last write, and the end depends on what that leaves.
            self.tally();
            self.flush();
            if let Some(by) = self.close_by
                && (self.text.is_empty() || Instant::now() >= by)
            {
                return self.give_up();
            }
        }
    }

    /// The next message, or a timeout when a retry, a count or the end is due before it.
    fn next(&self) -> Result<Message, RecvTimeoutError> {
        let due = [self.retry_at, self.tally_at, self.close_by];
        match due.into_iter().flatten().min() {
            None => self.messages.recv().map_err(RecvTimeoutError::from),
            Some(due) => {
                let left = due.saturating_duration_since(Instant::now());
                self.messages.recv_timeout(left)
            }
        }
    }

    fn take(&mut self, message: Message) {
        let before = self.text.len();
        let held = match message {
            Message::Decision(line) => {
                line::decision(&line, &self.context, &mut self.text);
                line.held
            }
            Message::Approval { step, has_room } => {
                line::approval(&step, &self.context, &mut self.text);
                if has_room { self.room.line_bytes() } else { 0 }
            }
            Message::Refused(refused) => {
                line::refused(&refused, &self.context, &mut self.text);
                self.room.line_bytes()
            }
            Message::Tally => {
                // Not written at once: refusals that follow within the interval are in the same count.
                self.tally_at = Some(Instant::now() + INTERVAL);
                return;
            }
            Message::Reopen => return self.reopen(),
            Message::Close { by } => {
                self.close_by = Some(by);
                // The last chance to write the count.
                self.tally_at = self.tally_at.map(|_| Instant::now());
                return;
            }
        };
        self.lines += 1;
        // The text is known now, and usually short: the rest of its room is free for other lines.
        let needed = held.min(self.text.len() - before);
        self.held += needed;
        self.room.give_back(held - needed);
    }

    fn tally(&mut self) {
        if self.tally_at.is_some_and(|at| at <= Instant::now()) {
            self.tally_at = None;
            // Holds no room: there is at most one such line in an interval.
            line::tally(self.refusals.take_suppressed(), &mut self.text);
            self.figures.waiting.inc();
            self.lines += 1;
        }
    }

    fn reopen(&mut self) {
        // Lines that were queued before go to the old file, if it can be written.
        self.flush();
        self.open_anew();
        // The new file is tried at once: the fault may have been the old one's.
        self.retry_at = self.retry_at.map(|_| Instant::now());
    }

    fn open_anew(&mut self) {
        match self.output.reopen() {
            // The start of the first line is in the old file; the new one gets the whole line.
            Ok(()) => self.written = 0,
            Err(error) => warn!("{error}"),
        }
    }

    fn flush(&mut self) {
        let is_due = self.retry_at.is_none_or(|at| at <= Instant::now());
        if self.text.is_empty() || !is_due {
            return;
        }
        // Log rotation may move the file away without a signal.
        if self.output.is_stale() {
            self.open_anew();
        }
        match self.output.write(&self.text, &mut self.written) {
            Ok(()) => {
                if self.retry_at.take().is_some() {
                    info!("audit lines are written again");
                }
            }
            Err(error) => {
                self.failure = error.to_string();
                let again = Instant::now() + RETRY_INTERVAL;
                // Printed once per fault, not with each of ten tries a second.
                if self.retry_at.replace(again).is_none() {
                    warn!("audit lines cannot be written; they are kept and retried: {error}");
                }
            }
        }
        self.settle();
    }

    /// Drops the lines that are written, and gives their room back.
    fn settle(&mut self) {
        let done = &self.text[..self.written];
        let (bytes, lines) = if self.written == self.text.len() {
            (self.written, self.lines)
        } else {
            // A line that is written in part is kept whole, in case it has to go to another file.
            let end = done.iter().rposition(|byte| *byte == b'\n');
            let bytes = end.map_or(0, |end| end + 1);
            let lines = done.split(|byte| *byte == b'\n').count() - 1;
            (bytes, i64::try_from(lines).unwrap_or(i64::MAX))
        };
        if bytes == self.text.len() && self.text.capacity() > 2 * BATCH_BYTES {
            self.text = Vec::new();
        } else {
            self.text.drain(..bytes);
        }
        self.written -= bytes;
        self.lines -= lines;
        self.figures.waiting.dec_by(lines);
        let held = self.held.min(self.text.len());
        self.room.give_back(self.held - held);
        self.held = held;
    }

    fn give_up(&self) {
        if self.lines > 0 {
            warn!(
                "{} audit lines are lost: they could not be written within {CLOSE_MAX:?}: {}",
                self.lines, self.failure
            );
        }
    }
}
