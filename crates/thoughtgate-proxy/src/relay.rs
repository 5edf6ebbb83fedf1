//! An upstream's response body on its way to a client, with the connection that it arrives on.
//!
//! Nothing is gathered or changed here. When the client disconnects, the exchange with the upstream ends or
//! goes on, as [`OnDisconnect`] says.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::abandoned::Agent;
use crate::upstream::Lease;

/// Any error of a body; hyper closes the connection on it.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Time limit for reading the rest of a legacy answer after its client has disconnected: as long as the
/// default of `timeouts.response`.
pub const FINISH_MAX: Duration = Duration::from_secs(300);

/// An upstream response body on its way to a client.
pub struct Relay {
    incoming: Option<Incoming>,
    lease: Option<Lease>,
    on_disconnect: OnDisconnect,
}

/// Effect of a client's disconnect on the exchange with the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The exchange is ended: that cancels the request (2026-07-28), or a stream that only listens.
    Cancel,
    /// The request of this agent continues; its answer is read to the end and dropped (up to 2025-11-25).
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
        // An empty body has no frame to wait for: its connection goes back now, even if nobody polls.
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
            // The end is often known with the last frame; a client that asks no further must not keep the
            // connection.
            Some(Ok(_)) => self.settle(),
            // Dropped and not released: a connection that broke within an answer cannot carry another.
            Some(Err(_)) => {
                self.incoming = None;
                self.lease = None;
            }
            None => self.end(),
        }
        Poll::Ready(frame)
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.incoming.is_none()
    }

    /// Size of the rest, as far as the upstream announced it.
    #[must_use]
    pub fn size_hint(&self) -> SizeHint {
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

    /// Reads the rest without a client, for at most [`FINISH_MAX`].
    pub async fn finish(mut self) {
        // Otherwise a drop at the time limit, or by a cut-off, would continue the exchange once more.
        self.on_disconnect = OnDisconnect::Cancel;
        let reading = async {
            while let Some(incoming) = &mut self.incoming {
                match incoming.frame().await {
                    Some(Ok(_)) => self.settle(),
                    Some(Err(_)) | None => return,
                }
            }
        };
        // Past the limit the upstream sees a disconnect, which in that era is not a cancellation.
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
            // The rest keeps the lease, so that its connection goes back to the pool at the end.
            let rest = Relay {
                incoming: self.incoming.take(),
                lease: Some(lease),
                on_disconnect: OnDisconnect::Cancel,
            };
            abandoned.finish(agent, rest.finish());
        }
    }
}
