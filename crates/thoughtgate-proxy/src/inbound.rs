//! Reads whole request bodies, within a limit of bytes, a deadline and the budget.
//!
//! Room is taken as bytes arrive, so that a slow client holds at most twice what it has sent. Bodies are
//! not parsed here.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::budget::{Budget, Reserved, Spent};
use crate::slots::{Busy, PATIENCE};

/// A body that was read. The usual one is a single frame and counts against the budget for as long
/// as this lives; one of several frames does so until the last clone of `bytes` is dropped.
pub struct Inbound<'a> {
    pub bytes: Bytes,
    _room: Reserved<&'a Budget>,
}

/// Reason why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("the request body is larger than `limits.body_bytes`")]
    TooLarge,
    /// The client disconnected, or its chunks are malformed.
    #[error("the request body was cut off, or its HTTP framing is invalid")]
    Broken,
    /// Not complete in time.
    #[error("the request body took longer than `timeouts.body`")]
    Slow,
    /// Its connection lost its place to another.
    #[error(
        "the request body arrived too slowly while all connections (`limits.connections`) were in use; retry later"
    )]
    NoPlace,
    /// No room in the budget now.
    #[error(transparent)]
    Spent(#[from] Spent),
}

/// Reads `body`, at most `bytes_max` of it, within `deadline`. With `busy`, its connection may lose its
/// place while the body is slow to arrive.
pub async fn read<'a>(
    budget: &'a Arc<Budget>,
    bytes_max: usize,
    deadline: Duration,
    body: Incoming,
    busy: Option<&Busy>,
) -> Result<Inbound<'a>, Unread> {
    // Too large a Content-Length is refused before the body is read, with `Expect` or without.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Unread::TooLarge);
    }
    let mut gathering = pin!(gather(budget, bytes_max, body));
    // Usually the body has arrived with the head, so that no timer has to be set.
    let polled =
        std::future::poll_fn(|context| Poll::Ready(gathering.as_mut().poll(context))).await;
    if let Poll::Ready(read) = polled {
        return read;
    }
    // With a body that takes longer, a connection may lose its place to another.
    let at_once = deadline.min(PATIENCE);
    if let Ok(read) = tokio::time::timeout(at_once, gathering.as_mut()).await {
        return read;
    }
    if let Some(busy) = busy {
        busy.waits();
    }
    let read = tokio::time::timeout(deadline.saturating_sub(at_once), gathering).await;
    // Even if the body is complete by now: the place already belongs to another connection.
    if busy.is_some_and(|busy| !busy.goes_on()) {
        return Err(Unread::NoPlace);
    }
    read.unwrap_or(Err(Unread::Slow))
}

async fn gather(
    budget: &Arc<Budget>,
    bytes_max: usize,
    mut body: Incoming,
) -> Result<Inbound<'_>, Unread> {
    let stated = body.size_hint().upper();
    let mut room = budget.lend();
    let first = next(&mut body).await?.unwrap_or_default();
    if first.len() > bytes_max {
        return Err(Unread::TooLarge);
    }
    room.grow(first.len())?;
    let Some(second) = next(&mut body).await? else {
        // The usual request arrives in one frame, which is never copied.
        return Ok(Inbound {
            bytes: first,
            _room: room,
        });
    };
    // From here on `whole` counts the bytes: counted twice they might find no room.
    room.shrink_to(0);
    let mut whole = Whole {
        bytes: Vec::new(),
        bytes_max: stated.map_or(bytes_max, |stated| {
            usize::try_from(stated).map_or(bytes_max, |stated| stated.min(bytes_max))
        }),
        room: budget.hold(),
    };
    whole.append(&first)?;
    whole.append(&second)?;
    // Frames are slices of the connection's buffer, which is reused once they are gone.
    drop((first, second));
    while let Some(data) = next(&mut body).await? {
        whole.append(&data)?;
    }
    Ok(Inbound {
        bytes: Bytes::from_owner(whole),
        _room: room,
    })
}

/// The next frame of data.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Unread> {
    while let Some(frame) = body.frame().await {
        // Trailers are dropped: the message goes on with its length, not in chunks.
        if let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A body of several frames, with the room that it takes.
struct Whole {
    bytes: Vec<u8>,
    bytes_max: usize,
    room: Reserved,
}

impl Whole {
    fn append(&mut self, data: &[u8]) -> Result<(), Unread> {
        let length = self.bytes.len().saturating_add(data.len());
        if length > self.bytes_max {
            return Err(Unread::TooLarge);
        }
        if length > self.bytes.capacity() {
            // Doubled, so that copying stays linear, and never beyond what can still arrive.
            let doubled = self.bytes.capacity().saturating_mul(2);
            let capacity = doubled.clamp(length, self.bytes_max);
            self.room.grow(capacity.saturating_sub(self.room.bytes()))?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    fn whole(budget: &Arc<Budget>, bytes_max: usize) -> Whole {
        Whole {
            bytes: Vec::new(),
            bytes_max,
            room: budget.hold(),
        }
    }

    #[test]
    fn room_follows_what_has_arrived() {
        let budget = Budget::new(1_000_000, Counter::default());
        let mut body = whole(&budget, 100_000);
        for sent in 1..=50_000 {
            body.append(b"x").unwrap();
            assert!((sent..=2 * sent).contains(&budget.used()), "{sent}");
        }
        body.append(&vec![b'x'; 50_000]).unwrap();
        assert_eq!(budget.used(), 100_000);
        assert_eq!(body.append(b"x"), Err(Unread::TooLarge));
        let bytes = Bytes::from_owner(body);
        let clone = bytes.clone();
        drop(bytes);
        assert_eq!((clone.len(), budget.used()), (100_000, 100_000));
        drop(clone);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_body_that_finds_no_room_holds_none() {
        let budget = Budget::new(10, Counter::default());
        let mut body = whole(&budget, 100);
        body.append(b"12345678").unwrap();
        assert_eq!(body.append(b"9012345"), Err(Unread::Spent(Spent)));
        drop(body);
        assert_eq!(budget.used(), 0);
    }
}
