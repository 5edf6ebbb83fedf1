//! An answer that is not there yet as a stream of events: comments until it is, then the answer.
//!
//! Knows nothing of what is waited for. A client that goes away ends the wait.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use thoughtgate_mcp::{codes, reply};
use tokio::sync::mpsc::{self, Sender};

use super::read;
use crate::body::{Body, BodyError};
use crate::headers::is_media_type;

const COMMENT: &[u8] = b": waiting for approval\n\n";

type Piece = Result<Bytes, BodyError>;

/// Answers with a stream at once; a comment goes out `every` so often until `answer` is there.
/// `message` is what it answers.
pub fn respond(
    every: Duration,
    message: Bytes,
    answer: impl Future<Output = Response<Body>> + Send + 'static,
) -> Response<Body> {
    let (pieces, fed) = mpsc::channel(1);
    tokio::spawn(async move {
        // A client that went away is the only way to fail, and nobody is left to be told.
        let _ = feed(every, &message, &pieces, answer).await;
    });
    let mut response = Response::new(Body::fed(fed));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The client is gone.
struct Gone;

async fn feed(
    every: Duration,
    message: &[u8],
    pieces: &Sender<Piece>,
    answer: impl Future<Output = Response<Body>>,
) -> Result<(), Gone> {
    let mut answer = pin!(answer);
    let response = loop {
        send(pieces, Bytes::from_static(COMMENT)).await?;
        tokio::select! {
            response = &mut answer => break response,
            () = pieces.closed() => return Err(Gone),
            () = tokio::time::sleep(every) => {}
        }
    };
    let (head, body) = response.into_parts();
    if is_media_type(&head.headers, "text/event-stream") {
        return pass(pieces, body, |bytes| bytes).await;
    }
    if is_media_type(&head.headers, "application/json") {
        send(pieces, Bytes::from_static(b"data: ")).await?;
        pass(pieces, body, |bytes| in_one_line(&bytes)).await?;
        return send(pieces, Bytes::from_static(b"\n\n")).await;
    }
    let own = read(message).and_then(|envelope| envelope.id);
    send(pieces, Bytes::from(no_message(own, head.status))).await
}

/// Passes a body on, each piece through `edit`.
async fn pass(
    pieces: &Sender<Piece>,
    mut body: Body,
    edit: impl Fn(Bytes) -> Bytes,
) -> Result<(), Gone> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = pieces.closed() => return Err(Gone),
        };
        match frame {
            None => return Ok(()),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    send(pieces, edit(data)).await?;
                }
            }
            Some(Err(error)) => return pieces.send(Err(error)).await.map_err(|_| Gone),
        }
    }
}

async fn send(pieces: &Sender<Piece>, bytes: Bytes) -> Result<(), Gone> {
    pieces.send(Ok(bytes)).await.map_err(|_| Gone)
}

/// JSON without its line breaks, which can only stand between tokens.
fn in_one_line(json: &Bytes) -> Bytes {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !json.iter().any(is_break) {
        return json.clone();
    }
    json.iter()
        .map(|byte| if is_break(byte) { b' ' } else { *byte })
        .collect::<Vec<u8>>()
        .into()
}

/// The event for an answer that is no message, such as a 401 with a page: the client's stream has
/// begun, so its status is all that can be told.
fn no_message(id: Option<&serde_json::value::RawValue>, status: StatusCode) -> Vec<u8> {
    let text = format!("the upstream answered with status {status} and no JSON-RPC message");
    let error = reply::error(id, codes::UPSTREAM_INVALID, &text, None);
    thoughtgate_mcp::sse::encode(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_many_lines_becomes_one() {
        let pretty = Bytes::from_static(b"{\r\n  \"a\": \"\\n\"\n}");
        assert_eq!(in_one_line(&pretty).as_ref(), b"{    \"a\": \"\\n\" }");
        let plain = Bytes::from_static(b"{}");
        assert_eq!(in_one_line(&plain), plain);
    }
}
