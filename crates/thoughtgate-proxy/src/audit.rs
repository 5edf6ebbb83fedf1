//! One JSON line for each decision, each state that an approval enters, and each refusal before a
//! decision.
//!
//! Room for the line is reserved before its call goes on, and the line is handed over when the
//! answer is known; a thread of its own writes, and keeps what cannot be written until it can be.
//! Arguments are digested, never stored.

mod file;
mod line;
mod record;
mod refusals;
mod room;
mod writer;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use thoughtgate_approval::View;
use thoughtgate_panic::say;

use crate::metrics::counter;

use file::Output;
pub use file::Sink;
pub use record::{Asked, Place, Record, Subject, Trail};
use record::{Message, Refused, Step};
use refusals::Refusals;
use room::Room;
use writer::Writer;

/// The part of `limits.buffered_bytes` that is the audit's own: bodies cannot take it from the
/// lines, and a disk that is stuck cannot take more than it from the bodies.
const SHARE: usize = 4;
/// Below this a handful of calls would find no room.
const SHARE_BYTES_MIN: usize = 64 * 1024;
/// How long an orderly stop waits for a sink that does not take the last lines.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// How an audit is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// Where lines go.
    pub sink: Sink,
    /// How long a call waits for room for its line.
    pub wait: Duration,
    /// What becomes of a call that found none.
    pub when_full: WhenFull,
}

/// What becomes of a call for whose line there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// It goes on without a line, which is counted.
    Drop,
}

/// Counters and gauges of the audit.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Lines that were not written.
    pub dropped: Counter,
    /// Requests refused for want of room.
    pub refused: Counter,
    /// Lines handed over and not written yet.
    pub waiting: Gauge,
}

impl Figures {
    /// Figures that `/metrics` shows.
    pub fn registered(registry: &mut Registry) -> Figures {
        let waiting = Gauge::default();
        registry.register(
            "audit_waiting",
            "Audit lines that wait to be written",
            waiting.clone(),
        );
        Figures {
            dropped: counter(
                registry,
                "audit_dropped",
                "Audit lines that were not written",
            ),
            refused: counter(
                registry,
                "audit_refused",
                "Requests refused because audit lines could not be written",
            ),
            waiting,
        }
    }
}

/// There is no room for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the audit cannot take a line for this call, because earlier ones cannot be written; retry later"
)]
pub struct Full;

/// The way to the writer.
pub struct Audit {
    queue: Sender<Message>,
    room: Arc<Room>,
    refusals: Arc<Refusals>,
    wait: Duration,
    when_full: WhenFull,
    figures: Figures,
    ended: Mutex<Receiver<()>>,
}

/// The audit's part of `limits.buffered_bytes`.
#[must_use]
pub fn share_of(buffered_bytes: usize) -> usize {
    buffered_bytes / SHARE
}

impl Audit {
    /// Opens the sink and starts the writer; lines may hold `share` bytes.
    pub fn start(
        settings: &AuditSettings,
        share: usize,
        figures: Figures,
    ) -> std::io::Result<Audit> {
        let output = Output::open(settings.sink.clone())?;
        let (audit, messages, ending) = Audit::new(settings, share, figures);
        let writer = Writer::new(
            messages,
            output,
            Arc::clone(&audit.room),
            Arc::clone(&audit.refusals),
            audit.figures.clone(),
        );
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                // Dropped at the end, however it comes.
                let _ending: Sender<()> = ending;
                writer.run();
            })?;
        Ok(audit)
    }

    /// An audit, what is queued in it, and what its writer drops when it ends.
    fn new(
        settings: &AuditSettings,
        share: usize,
        figures: Figures,
    ) -> (Audit, Receiver<Message>, Sender<()>) {
        let (queue, messages) = channel();
        let (ending, ended) = channel();
        let audit = Audit {
            queue,
            room: Arc::new(Room::new(share.max(SHARE_BYTES_MIN))),
            refusals: Arc::default(),
            wait: settings.wait,
            when_full: settings.when_full,
            figures,
            ended: Mutex::new(ended),
        };
        (audit, messages, ending)
    }

    /// Reserves room for one line, waiting for it if there is none; `None` when the call goes on
    /// without a line.
    pub async fn place(&self) -> Result<Option<Place<'_>>, Full> {
        if self.room.take_line() || Box::pin(self.room.wait_for_line(self.wait)).await {
            return Ok(Some(Place::new(self)));
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

    /// Takes down the state that an approval of `principal` just entered; never waits.
    pub fn approval(&self, view: &View, principal: &str) {
        let has_room = self.room.take_line();
        if !has_room && self.when_full == WhenFull::Drop {
            self.figures.dropped.inc();
            return;
        }
        // Queued beyond the room as well: no approval is opened while calls are refused, so what is
        // left are the few states of those that are open.
        let step = Box::new(Step::new(view, principal));
        self.send(Message::Approval { step, has_room });
    }

    /// Takes down a refusal before any decision; some of a burst are only counted. `message` is the
    /// request's body as far as it is known.
    pub fn refused(&self, status: u16, reason: &str, message: &[u8]) {
        if self.refusals.admit() && self.room.take_line() {
            let refused = Box::new(Refused::new(status, reason, message));
            self.send(Message::Refused(refused));
        } else {
            self.suppress();
        }
    }

    /// Counts a refusal that gets no line of its own.
    fn suppress(&self) {
        if self.refusals.suppress() {
            let _ = self.queue.send(Message::Tally);
        }
    }

    /// Opens the file anew, for it may have been moved away. Lines so far go to the old one.
    pub fn reopen(&self) {
        let _ = self.queue.send(Message::Reopen);
    }

    /// Writes what is queued and ends the writer. Blocks, for a bounded time; for an orderly exit.
    pub fn close(&self) {
        let Ok(ended) = self.ended.lock() else {
            return;
        };
        let by = Instant::now() + CLOSE_MAX;
        if self.queue.send(Message::Close { by }).is_err() {
            return;
        }
        // The writer keeps the time itself; a file system that hangs does not let it.
        let patience = CLOSE_MAX + Duration::from_secs(1);
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let lost = self.figures.waiting.get();
            say!(
                "warning: {lost} audit lines are lost: a write did not return within {patience:?}"
            );
        }
    }

    /// Hands one line over; never waits.
    fn send(&self, message: Message) {
        // Counted first: the writer counts down.
        self.figures.waiting.inc();
        if self.queue.send(message).is_err() {
            self.figures.waiting.dec();
            self.figures.dropped.inc();
        }
    }
}
