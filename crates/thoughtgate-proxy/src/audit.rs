//! Audit log: one JSON line for each decision, each state that an approval enters, and each refusal
//! before a decision.
//!
//! Room for the line is reserved before its call is forwarded, and the line is queued when the answer is
//! known. A separate thread writes the lines, and keeps those that cannot be written until they can be.
//! Of arguments only a digest is written, and the values that the configuration names.

mod caller;
mod chosen;
mod context;
mod cut;
mod figures;
mod file;
mod line;
mod record;
mod room;

mod writer;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderMap;
use thoughtgate_approval::{Id, View};
use thoughtgate_panic::log::Sample;
use thoughtgate_panic::warn;
use thoughtgate_policy::Outcome;

pub use caller::Caller;
pub use chosen::Chosen;
use context::Context;
use cut::{NAME_BYTES, TEXT_BYTES, cut};
use figures::CLOSE_MAX;
pub use figures::Figures;
use file::Output;
pub use file::Sink;
pub use record::{Asked, Record, Subject};
use record::{LATER_BYTES, Line, Message, Refused, Step};
use room::Room;
use writer::Writer;

/// The audit has one part in this many of `limits.buffered_bytes` to itself: bodies cannot take that room
/// from lines, and lines for a disk that is stuck cannot take more than that from bodies.
const SHARE: usize = 4;
/// Least room for lines, in bytes: with less, a handful of calls would find none.
const SHARE_BYTES_MIN: usize = 64 * 1024;

/// Settings of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// Destination of the lines.
    pub sink: Sink,
    /// Time for which a call waits for room for its line.
    pub wait: Duration,
    /// Treatment of a call that finds no room within `wait`.
    pub when_full: WhenFull,
    /// The arguments that lines show; all others are digested only.
    pub arguments: Chosen,
}

/// Treatment of a call for whose line there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The call is refused with 503.
    Refuse,
    /// The call goes on without a line, which `thoughtgate_audit_dropped` counts.
    Drop,
}

/// There is no room for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit queue is full, because its lines cannot be written; retry later")]
pub struct Full;

/// The audit log: queues lines for the thread that writes them.
pub struct Audit {
    queue: Sender<Message>,
    room: Arc<Room>,
    refusals: Arc<Sample>,
    wait: Duration,
    when_full: WhenFull,
    figures: Figures,
    context: Arc<Context>,
    ended: Mutex<Receiver<()>>,
}

/// Room for one line, given back when dropped.
pub struct Place<'a> {
    audit: &'a Audit,
}

/// A decision whose answer is not sent yet. Its line is queued when this is dropped, so that a request
/// whose client disconnects has its line too.
pub struct Trail<'a> {
    audit: &'a Audit,
    started: Instant,
    record: Option<Box<Record>>,
    approval: Option<Id>,
    collected: bool,
    status: Option<u16>,
}

/// The audit's part of `limits.buffered_bytes`, in bytes.
#[must_use]
pub fn share_of(buffered_bytes: usize) -> usize {
    buffered_bytes / SHARE
}

impl Audit {
    /// Opens the sink and starts the writer thread; lines may hold `share` bytes until they are written.
    /// `upstream` is the authority of its URL. An error of the sink names it.
    pub fn start(
        settings: &AuditSettings,
        upstream: String,
        share: usize,
        figures: Figures,
    ) -> std::io::Result<Audit> {
        let output = Output::open(settings.sink.clone())?;
        let (audit, messages, ending) = Audit::new(settings, upstream, share, figures);
        let writer = Writer::new(
            messages,
            output,
            Arc::clone(&audit.room),
            Arc::clone(&audit.refusals),
            audit.figures.clone(),
            Arc::clone(&audit.context),
        );
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                // Dropped when the thread ends, which is what `close` waits for.
                let _ending: Sender<()> = ending;
                writer.run();
            })?;
        Ok(audit)
    }

    /// An audit log without a writer, with the queue to write and the sender to drop when the writer ends.
    fn new(
        settings: &AuditSettings,
        upstream: String,
        share: usize,
        figures: Figures,
    ) -> (Audit, Receiver<Message>, Sender<()>) {
        // Unbounded, because `room` limits what is queued, in bytes.
        let (queue, messages) = channel();
        let (ending, ended) = channel();
        let context = Context {
            upstream,
            chosen: settings.arguments.clone(),
        };
        let share = share.max(SHARE_BYTES_MIN);
        let audit = Audit {
            queue,
            room: Arc::new(Room::new(share, context.line_bytes())),
            refusals: Arc::default(),
            wait: settings.wait,
            when_full: settings.when_full,
            figures,
            context: Arc::new(context),
            ended: Mutex::new(ended),
        };
        (audit, messages, ending)
    }

    /// Reserves room for one line, waiting for it if there is none; `None` when the call goes on
    /// without a line.
    pub async fn place(&self) -> Result<Option<Place<'_>>, Full> {
        // The wait is boxed: hardly any call needs it, and unboxed it would enlarge every call's future.
        if self.room.take_line() || Box::pin(self.room.wait_for_line(self.wait)).await {
            return Ok(Some(Place { audit: self }));
        }
        match self.when_full {
            WhenFull::Drop => {
                self.figures.dropped.inc();
                Ok(None)
            }
            WhenFull::Refuse => {
                self.figures.refused.inc();
                self.suppress();
                Err(Full)
            }
        }
    }

    /// Records the state that an approval of `principal` has entered; never waits.
    pub fn approval(&self, view: &View, principal: &str) {
        let has_room = self.room.take_line();
        if !has_room && self.when_full == WhenFull::Drop {
            self.figures.dropped.inc();
            return;
        }
        // Queued even without room: no approval is opened while calls are refused, so that only the
        // few states of those already open can follow.
        let step = Box::new(Step::new(view, principal));
        self.send(Message::Approval { step, has_room });
    }

    /// Records a refusal before any decision; in a burst some are only counted. `message` is the
    /// request's body as far as it is known, `headers` are its own.
    pub fn refused(&self, status: u16, reason: &str, message: &[u8], headers: Option<&HeaderMap>) {
        if self.refusals.admit() && self.room.take_line() {
            let refused = Box::new(Refused::new(status, reason, message, headers));
            self.send(Message::Refused(refused));
        } else {
            self.suppress();
        }
    }

    /// Counts a refusal that gets no line of its own.
    fn suppress(&self) {
        if self.refusals.suppress() {
            // Fails only after the writer has ended, when no line is written any more.
            let _ = self.queue.send(Message::Tally);
        }
    }

    /// Reopens the file, which may have been moved away. Lines that are queued already go to the old one.
    pub fn reopen(&self) {
        let _ = self.queue.send(Message::Reopen);
    }

    /// Writes the queued lines and ends the writer, for an orderly exit. Blocks for at most 6 seconds.
    pub fn close(&self) {
        let Ok(ended) = self.ended.lock() else {
            return;
        };
        let by = Instant::now() + CLOSE_MAX;
        if self.queue.send(Message::Close { by }).is_err() {
            return;
        }
        // The writer keeps the time itself, unless a write to a file system that hangs never returns.
        let patience = CLOSE_MAX + Duration::from_secs(1);
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let lost = self.figures.waiting.get();
            warn!("{lost} audit lines are lost: a write did not return within {patience:?}");
        }
    }

    /// Queues one line; never waits.
    fn send(&self, message: Message) {
        // Counted up first, because the writer counts down.
        self.figures.waiting.inc();
        if self.queue.send(message).is_err() {
            self.figures.waiting.dec();
            self.figures.dropped.inc();
        }
    }
}

impl<'a> Place<'a> {
    /// Begins the trail of one decision; `started` is when its request was read.
    pub fn trail(self, mut record: Record, started: Instant) -> Trail<'a> {
        let audit = self.audit;
        // From here on the room belongs to the trail.
        std::mem::forget(self);
        // Cut now, not by the writer: a queued record has to keep to the room that it holds.
        shorten(&mut record.principal, NAME_BYTES);
        if let Some(error) = &mut record.decision.error
            && error.len() > TEXT_BYTES
        {
            *error = Arc::from(cut(error, TEXT_BYTES));
        }
        Trail {
            audit,
            started,
            record: Some(Box::new(record)),
            approval: None,
            collected: false,
            status: None,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.audit.room.give_back(self.audit.room.line_bytes());
    }
}

impl Trail<'_> {
    /// Sets the approval that the request waits for.
    pub fn approval(&mut self, id: Id) {
        self.approval = Some(id);
    }

    /// Records that the request was not forwarded: its answer is the result of the same call, which was made
    /// with this approval.
    pub fn collected(&mut self, id: Id) {
        self.approval = Some(id);
        self.collected = true;
    }

    /// Records that the request was refused after it had been decided otherwise.
    pub fn refused(&mut self, reason: &str) {
        if let Some(record) = &mut self.record {
            record.decision.outcome = Outcome::Reject;
            record.decision.error = Some(Arc::from(reason));
        }
    }

    /// Ends the trail with the HTTP status of the answer.
    pub fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        let mut held = self.audit.room.line_bytes();
        if let Asked::Message(body) = &record.asked {
            if body.len() <= LATER_BYTES && self.audit.room.take_body(body.len()) {
                held += body.len();
            } else {
                // Too large, or too little room: parsed now, so that the queue does not hold the body.
                record.asked = Asked::Known(Subject::of(body, &self.audit.context.chosen));
            }
        }
        self.audit.send(Message::Decision(Line {
            record,
            approval: self.approval,
            collected: self.collected,
            status: self.status,
            latency: self.started.elapsed(),
            held,
        }));
    }
}

fn shorten(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        *text = cut(text, bytes_max).into_owned();
    }
}

#[cfg(test)]
mod tests;
