//! The stream of a client connection, which keeps the end of a half-closed one back until its answer.
//!
//! A client may close its sending side after a request and read on (`nc`, some proxies). On the wire that
//! looks like a client that has gone away, until it is sent something, and hyper ends the connection of
//! both. So for a request that is being answered the end is kept back: for [`PATIENCE`], or until the
//! answer if the client has announced the end. A client that is gone resets the connection at the first
//! byte. One that goes away while its answer arrives, or whose call is held, is gone at once, as before.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::patience::Patience;
use crate::slots::Place;

/// From 2026-07-28 on, a client that goes away has cancelled its request, so it is not to be long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Interval at which a reset is looked for: without data to read nothing wakes the connection.
const TICK: Duration = Duration::from_millis(100);
/// Turns of the connection's task before its end is passed on. The end can be read together with the
/// request, whose handler has to run first.
const TURNS: u8 = 2;

/// A client's stream.
pub struct Stream {
    tcp: TcpStream,
    place: Arc<Place>,
    end: Option<Box<End>>,
}

/// End of what the client sends.
struct End {
    turns: u8,
    since: Instant,
    tick: Pin<Box<Sleep>>,
    /// Bytes were written after the end, which a client that is gone answers with a reset.
    probed: Option<Instant>,
}

impl Stream {
    /// `place` says whether a request is being answered.
    #[must_use]
    pub fn new(tcp: TcpStream, place: Arc<Place>) -> Stream {
        Stream {
            tcp,
            place,
            end: None,
        }
    }

    #[must_use]
    pub fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Whether the end of the stream is passed on now.
    #[cold]
    fn ended(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let end = self.end.get_or_insert_with(|| {
            Box::new(End {
                turns: 0,
                since: Instant::now(),
                tick: Box::pin(sleep(TICK)),
                probed: None,
            })
        });
        if end.turns < TURNS {
            end.turns += 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let patience = self.place.patience.get();
        if patience == Patience::None {
            return Poll::Ready(Ok(()));
        }
        loop {
            // The reset of a client that is gone; a read would go on to report the end.
            if let Some(error) = self.tcp.take_error()? {
                return Poll::Ready(Err(error));
            }
            let is_late = patience == Patience::Short && end.since.elapsed() >= PATIENCE;
            match end.probed {
                // It reads on: from here on each write shows whether it still does.
                Some(at) if at.elapsed() >= PATIENCE => return Poll::Pending,
                None if is_late => return Poll::Ready(Ok(())),
                _ => {}
            }
            ready!(end.tick.as_mut().poll(context));
            end.tick.as_mut().reset(Instant::now() + TICK);
        }
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if !matches!(written, Poll::Ready(Ok(1..))) {
            return;
        }
        match &mut self.end {
            Some(end) => {
                end.probed.get_or_insert_with(Instant::now);
            }
            // An answer has begun, and its reader has not sent the end before.
            None => self.place.patience.set(Patience::None),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            return self.ended(context);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, bytes);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
