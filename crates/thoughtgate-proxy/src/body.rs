//! Response bodies: the proxy's own text, the upstream's frames, or pieces from another task.
//!
//! Nothing is gathered here: a frame is passed on when it arrives. Only a list that must be filtered is
//! held back, event by event, in [`crate::listing`]. Calls that wait for a human feed theirs in pieces.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use thoughtgate_panic::{Panicked, contain};
use tokio::sync::mpsc::Receiver;

use crate::budget::Reserved;
use crate::drain::InFlight;
use crate::listing::EventFilter;
use crate::relay::{BodyError, Relay};
use crate::slots::Busy;

/// Bytes of a text that are handed to hyper at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A response body. Boxed, because each request moves its response a dozen times.
pub struct Body(Box<Inner>);

struct Inner {
    content: Content,
    /// Held until the body is dropped: drain waits for that.
    in_flight: Option<InFlight>,
    /// Room in the budget for the text that is not sent yet.
    reserved: Option<Reserved>,
    /// Held until the body is dropped: until then its connection counts as busy.
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

    /// The upstream's frames as they arrive.
    #[must_use]
    pub fn relay(relay: Relay) -> Body {
        Body::of(Content::Relay(relay))
    }

    /// The upstream's events, with tool lists filtered.
    #[must_use]
    pub fn events(filter: EventFilter) -> Body {
        Body::of(Content::Events(Box::new(filter)))
    }

    /// Pieces from a channel; dropping its sender ends the body.
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

    /// Polls the content; a panic in that breaks the body off, and ends nothing else.
    fn contained(
        &mut self,
        poll: impl FnOnce(&mut Content, &mut Option<Reserved>) -> Polled,
    ) -> Polled {
        let inner = &mut *self.0;
        contain(|| poll(&mut inner.content, &mut inner.reserved)).unwrap_or_else(|Panicked| {
            // The content may be half changed, so it is never polled again. With the error hyper closes the
            // connection: the client sees that the answer is not complete.
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
            // Unknown before the end, so hyper sends it in chunks.
            Content::Events(_) | Content::Fed(_) => SizeHint::default(),
        }
    }
}

/// The next piece of a text. In pieces, so that what a slow client has not read stays counted.
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

#[cfg(test)]
mod tests {
    use http_body::Body as _;

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
