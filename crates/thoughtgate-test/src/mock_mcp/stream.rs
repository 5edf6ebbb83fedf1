//! Slow answers of the MCP double: event streams, bodies in pieces, held answers.
//!
//! Each is a task that feeds a pipe and ends when the client disconnects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::knobs::Hold;
use super::record::OpenStream;
use super::response::event;
use super::shared::Setting;
use crate::body::{Aborted, Answer, Pipe};
use crate::timer::Timer;

const PIECES_OF_SLOW_BODY: usize = 10;
const DEFAULT_COMMENT_INTERVAL_MS: u64 = 1000;
/// Pause before a connection is broken: long enough for the bytes to be sent, short enough for tests.
const BEFORE_BREAKING_OFF: Duration = Duration::from_millis(5);

/// Waits while the knob `hold` has this value.
pub(super) async fn released(settings: &mut watch::Receiver<Arc<Setting>>, hold: Hold) {
    // An error means that the double is stopping, which closes all connections anyway.
    let _ = settings
        .wait_for(|setting| setting.knobs.hold != hold)
        .await;
}

/// A stream of notifications, then `reply`, as events.
pub(super) fn events(
    timer: &Timer,
    setting: &Setting,
    settings: watch::Receiver<Arc<Setting>>,
    reply: &Bytes,
    open: OpenStream,
) -> Answer {
    let (pipe, answer) = Answer::piped(None);
    let held = setting.knobs.hold == Hold::Stream;
    // A stream is held after its first event, so that it needs one.
    let notifications = setting.knobs.sse_events.max(u32::from(held));
    let gap = Duration::from_millis(setting.knobs.sse_gap_ms);
    let (timer, reply) = (timer.clone(), reply.clone());
    let feed = async move {
        // The stream counts as open until this task ends.
        let _open = open;
        feed_events(&pipe, &timer, settings, notifications, gap, &reply).await;
    };
    tokio::spawn(feed);
    answer
}

async fn feed_events(
    pipe: &Pipe,
    timer: &Timer,
    mut settings: watch::Receiver<Arc<Setting>>,
    notifications: u32,
    gap: Duration,
    reply: &[u8],
) {
    for number in 1..=notifications {
        let notification = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"event {number}"}}}}"#
        );
        if pipe.send(Ok(event(notification.as_bytes()))).await.is_err() {
            return;
        }
        let pause = async {
            released(&mut settings, Hold::Stream).await;
            if !gap.is_zero() {
                timer.sleep(gap).await;
            }
        };
        tokio::select! {
            () = pause => {}
            () = pipe.closed() => return,
        }
    }
    // An error means that the client has left, which the guard of the answer counts.
    let _ = pipe.send(Ok(event(reply))).await;
}

/// An answer that sends `body` in pieces, spread over `duration`, with a Content-Length.
pub(super) fn slowly(timer: &Timer, duration: Duration, body: Bytes) -> Answer {
    let (pipe, answer) = Answer::piped(Some(body.len()));
    let timer = timer.clone();
    tokio::spawn(async move {
        let piece_length = body.len().div_ceil(PIECES_OF_SLOW_BODY).max(1);
        let pieces = body.len().div_ceil(piece_length).max(1);
        let pause = duration / u32::try_from(pieces).unwrap_or(u32::MAX);
        for piece in body.chunks(piece_length) {
            timer.sleep(pause).await;
            if pipe.send(Ok(Bytes::copy_from_slice(piece))).await.is_err() {
                return;
            }
        }
    });
    answer
}

/// An answer that sends half of `body`, then closes the connection.
pub(super) fn half(timer: &Timer, body: &Bytes) -> Answer {
    let (pipe, answer) = Answer::piped(Some(body.len()));
    let timer = timer.clone();
    let first_half = body.slice(..body.len() / 2);
    tokio::spawn(async move {
        let _ = pipe.send(Ok(first_half)).await;
        timer.sleep(BEFORE_BREAKING_OFF).await;
        let _ = pipe.send(Err(Aborted)).await;
    });
    answer
}

/// An endless stream: `first`, then comments and pushed messages, until the client disconnects.
pub(super) fn endless(
    setting: &Setting,
    mut pushed: broadcast::Receiver<Bytes>,
    first: Bytes,
    open: OpenStream,
) -> Answer {
    let (pipe, answer) = Answer::endless();
    let interval_ms = match setting.knobs.comment_interval_ms {
        0 => DEFAULT_COMMENT_INTERVAL_MS,
        chosen => chosen,
    };
    let interval = Duration::from_millis(interval_ms);
    tokio::spawn(async move {
        // The stream counts as open until this task ends.
        let _open = open;
        let mut next = first;
        loop {
            if pipe.send(Ok(next)).await.is_err() {
                return;
            }
            next = tokio::select! {
                () = tokio::time::sleep(interval) => Bytes::from_static(b": keep-alive\n\n"),
                message = pushed.recv() => match message {
                    Ok(message) => message,
                    Err(RecvError::Lagged(_)) => Bytes::from_static(b": messages lost\n\n"),
                    Err(RecvError::Closed) => return,
                },
                () = pipe.closed() => return,
            };
        }
    });
    answer
}
