//! The response body of the doubles: complete, or fed by a task. Records whether the client stayed
//! until its end.
//!
//! Does not know the meaning of the bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Ends an answer before it is complete, on purpose. Hyper then closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the double breaks the answer off on purpose")]
pub(crate) struct Aborted;

/// The sending side of a piped answer.
pub(crate) type Pipe = mpsc::Sender<Result<Bytes, Aborted>>;

/// A response body.
#[derive(Debug)]
pub(crate) struct Answer {
    source: Source,
    guard: Option<InFlight>,
    endless: bool,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Piped {
        pieces: mpsc::Receiver<Result<Bytes, Aborted>>,
        /// Bytes of the `Content-Length` still to come; `None` for a chunked answer.
        remaining_bytes: Option<u64>,
    },
}

/// Adds one to `counter` if dropped before [`finish`](InFlight::finish): the client disconnected.
#[derive(Debug)]
pub(crate) struct InFlight {
    counter: Arc<AtomicU64>,
    finished: bool,
}

impl InFlight {
    pub(crate) fn new(counter: &Arc<AtomicU64>) -> Self {
        Self {
            counter: Arc::clone(counter),
            finished: false,
        }
    }

    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.finished {
            self.counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Answer {
    /// An answer that is complete from the start.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            source: Source::Whole(bytes.into()),
            guard: None,
            endless: false,
        }
    }

    /// An answer that is sent piece by piece, with this `Content-Length` if there is one.
    pub(crate) fn piped(content_length: Option<usize>) -> (Pipe, Self) {
        // One piece at a time, so that the feeding task waits for a slow client and notices one that left.
        let (pipe, pieces) = mpsc::channel(1);
        let source = Source::Piped {
            pieces,
            remaining_bytes: content_length.map(|length| length as u64),
        };
        (
            pipe,
            Self {
                source,
                guard: None,
                endless: false,
            },
        )
    }

    /// A chunked answer that ends only when the client disconnects.
    pub(crate) fn endless() -> (Pipe, Self) {
        let (pipe, mut answer) = Self::piped(None);
        answer.endless = true;
        (pipe, answer)
    }

    /// Counts a disconnect of the client before the end. An endless answer has no end to miss.
    pub(crate) fn guarded(mut self, guard: InFlight) -> Self {
        self.guard = Some(guard);
        // Hyper does not poll an empty body.
        if self.endless || self.is_end_stream() {
            self.finish();
        }
        self
    }

    fn finish(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.finish();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let (piece, ended) = match &mut self.source {
            Source::Whole(bytes) if bytes.is_empty() => (None, true),
            Source::Whole(bytes) => (Some(Ok(std::mem::take(bytes))), true),
            Source::Piped {
                pieces,
                remaining_bytes,
            } => match ready!(pieces.poll_recv(context)) {
                Some(Ok(bytes)) => {
                    let mut ended = false;
                    // Hyper need not poll again after the announced length: the last byte is the end.
                    if let Some(remaining) = remaining_bytes {
                        *remaining = remaining.saturating_sub(bytes.len() as u64);
                        ended = *remaining == 0;
                    }
                    (Some(Ok(bytes)), ended)
                }
                // The double ended or broke off the answer; the client did not disconnect.
                ending => (ending, true),
            },
        };
        if ended {
            self.finish();
        }
        Poll::Ready(piece.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.source, Source::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Piped {
                remaining_bytes: Some(remaining),
                ..
            } => SizeHint::with_exact(*remaining),
            Source::Piped { .. } => SizeHint::default(),
        }
    }
}
