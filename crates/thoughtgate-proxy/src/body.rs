//! The bodies that the proxy answers with: its own text, or the upstream's frames as they come.
//!
//! Nothing is gathered here: a frame is handed on when it arrives. Only a list that must be
//! filtered is held back, event by event, in [`crate::listing`]. What waits for a human is fed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use thoughtgate_panic::{Panicked, contain};
use tokio::sync::mpsc::Receiver;

use crate::abandoned::Agent;
use crate::budget::Reserved;
use crate::listing::EventFilter;
use crate::slots::Busy;
use crate::state::InFlight;
use crate::upstream::Lease;

/// Any error of a body; hyper closes the connection on it.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// How long a legacy answer is read on after its client has gone.
const FINISH_MAX: Duration = Duration::from_secs(300);

/// Of a text, handed to hyper at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A response body. Boxed, since each request moves its response a dozen times.
pub struct Body(Box<Inner>);

struct Inner {
    content: Content,
    /// Held until the body is gone: drain waits for it.
    in_flight: Option<InFlight>,
    /// Room for what is held of it.
    reserved: Option<Reserved>,
    /// Held until the body is gone: its connection is in use.
    busy: Option<Busy>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

enum Content {
    Own(Option<Bytes>),
    Relay(Relay),
    Events(Box<EventFilter>),
    Fed(Receiver<Result<Bytes, BodyError>>),
}

impl Body {
    /// The proxy's own text.
    #[must_use]
    pub fn own(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        Body::of(Content::Own((!bytes.is_empty()).then_some(bytes)))
    }

    /// The upstream's frames as they come.
    #[must_use]
    pub fn relay(relay: Relay) -> Body {
        Body::of(Content::Relay(relay))
    }

    /// The upstream's events, tool lists filtered.
    #[must_use]
    pub fn events(filter: EventFilter) -> Body {
        Body::of(Content::Events(Box::new(filter)))
    }

    /// What somebody else says, piece by piece; dropping the sender ends it.
    #[must_use]
    pub fn fed(pieces: Receiver<Result<Bytes, BodyError>>) -> Body {
        Body::of(Content::Fed(pieces))
    }

    /// Gives `reserved` back as the body is sent.
    #[must_use]
    pub fn holding(mut self, reserved: Reserved) -> Body {
        self.0.reserved = Some(reserved);
        self
    }

    fn of(content: Content) -> Body {
        Body(Box::new(Inner {
            content,
            in_flight: None,
            reserved: None,
            busy: None,
        }))
    }

    /// A panic breaks the body off, and ends nothing else.
    fn contained(
        &mut self,
        poll: impl FnOnce(&mut Content, &mut Option<Reserved>) -> Polled,
    ) -> Polled {
        let inner = &mut *self.0;
        contain(|| poll(&mut inner.content, &mut inner.reserved)).unwrap_or_else(|Panicked| {
            inner.content = Content::Own(None);
            Poll::Ready(Some(Err("a bug broke the answer off".into())))
        })
    }

    /// Keeps the request counted as in flight until the body has been sent.
    #[must_use]
    pub fn counted(mut self, in_flight: InFlight) -> Body {
        self.0.in_flight = Some(in_flight);
        self
    }

    /// Keeps the connection's place until the body has been sent.
    #[must_use]
    pub fn occupying(mut self, busy: Busy) -> Body {
        self.0.busy = Some(busy);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().contained(|content, reserved| match content {
            Content::Own(bytes) => {
                Poll::Ready(next(bytes, reserved).map(|data| Ok(Frame::data(data))))
            }
            Content::Relay(relay) => relay
                .poll(context)
                .map(|frame| frame.map(|result| result.map_err(Into::into))),
            Content::Events(filter) => filter.poll(context),
            Content::Fed(pieces) => pieces
                .poll_recv(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.content {
            Content::Own(bytes) => bytes.is_none(),
            Content::Relay(relay) => relay.is_end(),
            Content::Events(_) | Content::Fed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.content {
            Content::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Relay(relay) => relay.size_hint(),
            Content::Events(_) | Content::Fed(_) => SizeHint::default(),
        }
    }
}

/// The next piece of a text. In pieces, so that one whose client reads slowly stays accounted for.
fn next(bytes: &mut Option<Bytes>, reserved: &mut Option<Reserved>) -> Option<Bytes> {
    let left = bytes.as_mut()?;
    let piece = left.split_to(left.len().min(PIECE_BYTES));
    if let Some(reserved) = reserved {
        reserved.shrink_to(left.len());
    }
    if left.is_empty() {
        *bytes = None;
    }
    Some(piece)
}

/// An upstream response body on its way to a client.
pub struct Relay {
    incoming: Option<Incoming>,
    lease: Option<Lease>,
    on_disconnect: OnDisconnect,
}

/// What a client that goes away means for the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The request is cancelled (2026-07-28), or the stream only listened.
    Cancel,
    /// The request of this agent goes on; its answer is read to the end and dropped (up to 2025-11-25).
    Finish(Agent),
}

impl Relay {
    /// Takes over the body and the connection that it arrives on.
    #[must_use]
    pub fn new(incoming: Incoming, lease: Lease, on_disconnect: OnDisconnect) -> Relay {
        let mut relay = Relay {
            incoming: Some(incoming),
            lease: Some(lease),
            on_disconnect,
        };
        relay.settle();
        relay
    }

    /// The next frame; the connection is given back with the last one.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(incoming).poll_frame(context));
        match &frame {
            Some(Ok(_)) => self.settle(),
            Some(Err(_)) => {
                self.incoming = None;
                self.lease = None;
            }
            None => self.end(),
        }
        Poll::Ready(frame)
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.incoming.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }

    fn settle(&mut self) {
        if self
            .incoming
            .as_ref()
            .is_some_and(http_body::Body::is_end_stream)
        {
            self.end();
        }
    }

    fn end(&mut self) {
        self.incoming = None;
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    /// Reads on without a client, within [`FINISH_MAX`].
    pub async fn finish(mut self) {
        self.on_disconnect = OnDisconnect::Cancel;
        let reading = async {
            while let Some(incoming) = &mut self.incoming {
                match incoming.frame().await {
                    Some(Ok(_)) => self.settle(),
                    Some(Err(_)) | None => return,
                }
            }
        };
        // Past the limit the upstream sees a disconnect, which its era does not read as a cancel.
        let _ = tokio::time::timeout(FINISH_MAX, reading).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let OnDisconnect::Finish(agent) = self.on_disconnect
            && self.incoming.is_some()
            && let Some(lease) = self.lease.take()
        {
            let abandoned = Arc::clone(lease.abandoned());
            let rest = Relay {
                incoming: self.incoming.take(),
                lease: Some(lease),
                on_disconnect: OnDisconnect::Cancel,
            };
            abandoned.finish(agent, rest.finish());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_breaks_a_body_off() {
        let mut body = Body::own("the rest");
        let polled = body.contained(|_, _| panic!("a test asked for this"));
        assert!(matches!(polled, Poll::Ready(Some(Err(_)))));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let next = Pin::new(&mut body).poll_frame(&mut context);
        assert!(matches!(next, Poll::Ready(None)));
    }
}
