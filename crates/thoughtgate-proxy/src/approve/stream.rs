//! A pending answer as a stream of events: keep-alive events until it is available, then the answer.
//!
//! Does not depend on what is waited for. A client that disconnects ends the wait.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::value::RawValue;
use thoughtgate_mcp::{reply, sse};
use thoughtgate_panic::{Panicked, contained};
use tokio::sync::mpsc::{self, Sender};

use crate::answer;
use crate::body::Body;
use crate::headers::{is_encoded, is_media_type};
use crate::message::Raw;
use crate::problem::Problem;
use crate::relay::BodyError;

const COMMENT: &[u8] = b": waiting for approval\n\n";

/// Step of keep-alive progress. Tiny, because progress must grow, and the upstream may report its own
/// under the same token afterwards.
const PROGRESS_STEP: f64 = 1e-9;

/// Largest answer or event that is held back until it is complete, in bytes.
const HELD_BYTES_MAX: usize = 256 * 1024;

type Piece = Result<Bytes, BodyError>;

/// End of the answer: it was passed on, or the reason why not.
type Ended = Result<(), Problem<'static>>;

/// Answers the request `id` with a stream at once: a keep-alive event per interval `every`, then `answer`.
/// `token` is the request's progress token.
pub fn respond(
    every: Duration,
    id: Option<Raw>,
    token: Option<Raw>,
    answer: impl Future<Output = Response<Body>> + Send + 'static,
) -> Response<Body> {
    // One piece at a time: a slow client slows the upstream down, and nothing piles up in between.
    let (pieces, fed) = mpsc::channel(1);
    tokio::spawn(async move {
        // A panic while waiting becomes an error event. One while feeding, contained below, ends the stream.
        let answer = contained(Box::pin(answer));
        let (id, token) = (id.as_ref().map(Raw::get), token.as_ref().map(Raw::get));
        let answer = async { (answer.await).unwrap_or_else(|Panicked| answer::panicked(id)) };
        let fed = contained(pin!(feed(every, (id, token), &pieces, answer))).await;
        // The only other failure is a client that has disconnected, which gets no answer.
        if fed == Err(Panicked) {
            let _ = pieces.send(Err("a bug broke the answer off".into())).await;
        }
    });
    let mut response = Response::new(Body::fed(fed));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // nginx in front of this proxy would otherwise gather the events before it passes them on.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The client has disconnected.
#[derive(Debug, PartialEq, Eq)]
struct Gone;

async fn feed(
    every: Duration,
    (id, token): (Option<&RawValue>, Option<&RawValue>),
    pieces: &Sender<Piece>,
    answer: impl Future<Output = Response<Body>>,
) -> Result<(), Gone> {
    let mut answer = pin!(answer);
    let mut signs = 0_u32;
    let response = loop {
        signs += 1;
        send(pieces, keep_alive(token, signs)).await?;
        tokio::select! {
            response = &mut answer => break response,
            () = pieces.closed() => return Err(Gone),
            () = tokio::time::sleep(every) => {}
        }
    };
    let (head, body) = response.into_parts();
    let ended = if is_encoded(&head.headers) {
        // The client's stream has begun: only an error event can still be sent.
        Err(Problem::Encoded)
    } else if is_media_type(&head.headers, "text/event-stream") {
        events(pieces, body).await?
    } else if is_media_type(&head.headers, "application/json") {
        json(pieces, body, head.status).await?
    } else {
        Err(Problem::NoMessage(head.status))
    };
    let Err(problem) = ended else {
        return Ok(());
    };
    let error = problem.body(id);
    send(pieces, Bytes::from(sse::encode(&error))).await
}

/// A comment, and with a progress token a progress notification as well: it keeps clients waiting that
/// time out when no message arrives.
fn keep_alive(token: Option<&RawValue>, signs: u32) -> Bytes {
    let Some(token) = token else {
        return Bytes::from_static(COMMENT);
    };
    // The token is copied as raw JSON: no number type holds every JSON number.
    let token = token.get();
    let progress = f64::from(signs) * PROGRESS_STEP;
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress},"message":"waiting for approval"}}}}"#
    );
    let event = sse::encode(progress.as_bytes());
    Bytes::from([COMMENT, &event].concat())
}

/// Passes JSON on as one event. Up to [`HELD_BYTES_MAX`] it is sent when it is complete, so that one that
/// breaks off becomes an error.
async fn json(pieces: &Sender<Piece>, mut body: Body, status: StatusCode) -> Result<Ended, Gone> {
    let mut whole = Vec::new();
    let mut begun = false;
    loop {
        match next(pieces, &mut body).await? {
            Some(Ok(data)) if begun => send(pieces, in_one_line(&data)).await?,
            Some(Ok(data)) => {
                whole.extend_from_slice(&data);
                if whole.len() > HELD_BYTES_MAX {
                    begun = true;
                    send(pieces, as_data(&std::mem::take(&mut whole))).await?;
                }
            }
            Some(Err(error)) if begun => return fail(pieces, error).await,
            Some(Err(_)) => return Ok(Err(Problem::BrokeOff)),
            None => break,
        }
    }
    // An empty body, or an error status without a JSON-RPC message, would leave the call unanswered.
    if !begun && (whole.trim_ascii().is_empty() || (!status.is_success() && !is_answer(&whole))) {
        return Ok(Err(Problem::NoMessage(status)));
    }
    if !begun {
        send(pieces, as_data(&whole)).await?;
    }
    send(pieces, Bytes::from_static(b"\n\n")).await?;
    Ok(Ok(()))
}

/// Passes events on, each when it is complete. A stream that ends without an answer becomes an error,
/// unless its events have ids: then the client can resume the stream.
async fn events(pieces: &Sender<Piece>, mut body: Body) -> Result<Ended, Gone> {
    let mut splitter = sse::Splitter::new(HELD_BYTES_MAX);
    // Whether the client has, or can still get, an answer.
    let mut settled = false;
    let broken = loop {
        match next(pieces, &mut body).await? {
            None => break None,
            Some(Err(error)) => break Some(error),
            // After the answer nothing has to be looked at, once no half event is held any more.
            Some(Ok(data)) if settled && splitter.held() == 0 => send(pieces, data).await?,
            Some(Ok(data)) => {
                splitter.push(&data);
                let mut whole = Vec::new();
                let too_large = loop {
                    match splitter.event() {
                        Ok(Some(event)) => {
                            settled |= settles(event);
                            whole.extend_from_slice(event.bytes());
                        }
                        Ok(None) => break false,
                        Err(_) => break true,
                    }
                };
                if too_large {
                    // Most likely the answer, which is passed on in pieces as it arrives.
                    settled = true;
                    whole.extend_from_slice(splitter.rest().map_or(b"", sse::Event::bytes));
                }
                if !whole.is_empty() {
                    send(pieces, whole.into()).await?;
                }
            }
        }
    };
    match broken {
        // An error event could be a second answer to the same request.
        Some(error) if settled => fail(pieces, error).await,
        Some(_) => Ok(Err(Problem::BrokeOff)),
        None => {
            // A last event without its blank line counts only if nothing else of it is missing.
            if let Some(rest) = splitter.rest()
                && settles(rest)
            {
                settled = true;
                send(pieces, [rest.bytes(), b"\n\n"].concat().into()).await?;
            }
            Ok(if settled {
                Ok(())
            } else {
                Err(Problem::StreamEnded)
            })
        }
    }
}

fn settles(event: sse::Event<'_>) -> bool {
    event.fields().any(|field| field.name == b"id")
        || event.data().is_some_and(|data| is_answer(&data))
}

fn is_answer(message: &[u8]) -> bool {
    reply::answer(message).is_some()
}

/// The next piece of a body, or [`Gone`] if the client disconnects first.
async fn next(pieces: &Sender<Piece>, body: &mut Body) -> Result<Option<Piece>, Gone> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = pieces.closed() => return Err(Gone),
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Ok(Some(Err(error))),
            Some(Ok(frame)) => {
                // Trailers are dropped: they have no place in the stream of events.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(Ok(data)));
                }
            }
        }
    }
}

/// Ends the client's stream with the error that ended the upstream's.
async fn fail(pieces: &Sender<Piece>, error: BodyError) -> Result<Ended, Gone> {
    pieces.send(Err(error)).await.map_err(|_| Gone)?;
    Ok(Ok(()))
}

async fn send(pieces: &Sender<Piece>, bytes: Bytes) -> Result<(), Gone> {
    pieces.send(Ok(bytes)).await.map_err(|_| Gone)
}

/// JSON as the data of an event that is not ended yet.
fn as_data(json: &[u8]) -> Bytes {
    [
        b"data: ",
        in_one_line(&Bytes::copy_from_slice(json)).as_ref(),
    ]
    .concat()
    .into()
}

/// JSON with spaces for line breaks, which in JSON occur only between tokens.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_events_are_progress_for_those_who_ask_for_it() {
        assert_eq!(keep_alive(None, 1), COMMENT);
        let token = RawValue::from_string("\"t\"".to_owned()).unwrap();
        let progress = |signs| {
            let text = keep_alive(Some(&token), signs);
            let data = text.strip_prefix(COMMENT).unwrap();
            let data = data.strip_prefix(b"data: ").unwrap();
            let event: serde_json::Value = serde_json::from_slice(data).unwrap();
            assert_eq!(event["params"]["progressToken"], "t");
            event["params"]["progress"].as_f64().unwrap()
        };
        assert!(0.0 < progress(1) && progress(1) < progress(2));
        assert!(progress(u32::MAX) < 5.0);
    }

    #[tokio::test]
    async fn a_panic_while_the_call_is_held_is_the_answer_to_it() {
        let body = Bytes::from_static(b"7");
        let id = Raw::of(&body, serde_json::from_slice(&body).unwrap());
        let answer = async { panic!("a test asked for this") };
        let response = respond(Duration::from_secs(1), Some(id), None, answer);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains(r#""id":7,"error":{"code":-32603"#), "{text}");
    }

    #[test]
    fn a_progress_token_is_written_as_it_came() {
        for token in ["1e999", "-1e400", "12345678901234567890123", r#""\ud800""#] {
            let raw = RawValue::from_string(token.to_owned()).unwrap();
            let text = keep_alive(Some(&raw), 1);
            let text = std::str::from_utf8(&text).unwrap();
            assert!(
                text.contains(&format!(r#""progressToken":{token},"#)),
                "{text}"
            );
        }
    }

    #[test]
    fn json_of_many_lines_becomes_one() {
        let pretty = Bytes::from_static(b"{\r\n  \"a\": \"\\n\"\n}");
        assert_eq!(in_one_line(&pretty).as_ref(), b"{    \"a\": \"\\n\" }");
        let plain = Bytes::from_static(b"{}");
        assert_eq!(in_one_line(&plain), plain);
    }
}
