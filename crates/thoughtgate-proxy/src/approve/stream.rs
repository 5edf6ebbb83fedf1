//! A pending answer as a stream of events: keep-alive events until it is available, then the answer.
//!
//! Does not depend on what is waited for, and leaves JSON that is too large for an event to its caller. A
//! client that disconnects ends the wait.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use serde_json::value::RawValue;
use thoughtgate_mcp::{reply, sse};
use thoughtgate_panic::{Panicked, contained};
use tokio::sync::mpsc::{self, Sender};

use super::phase::Phase;
use super::pieces::{Gone, Piece, fail, fed, next, send};
use crate::answer;
use crate::body::Body;
use crate::budget::Reserved;
use crate::headers::{is_encoded, is_media_type};
use crate::message::Raw;
use crate::problem::Problem;

/// Step of keep-alive progress. Tiny, because progress must grow, and the upstream may report its own
/// under the same token afterwards.
const PROGRESS_STEP: f64 = 1e-9;

/// Largest JSON that becomes an event, in bytes: Python's SDK 2 refuses events of more than 1 MiB. Less than
/// that, because a proxy on the way may add fields to an event.
pub const EVENT_BYTES_MAX: usize = 1_000_000;

/// Largest event of the upstream that is held back until it is complete, in bytes.
pub const HELD_BYTES_MAX: usize = 256 * 1024;

/// Treatment of JSON that is too large for an event.
pub struct Overflow {
    /// Room in the budget, for what is read until the size is known.
    pub room: Reserved,
    /// Takes the JSON; returns the message to send in its place.
    pub park: Box<dyn FnOnce(Large) -> Vec<u8> + Send>,
}

/// JSON that is too large for an event.
pub struct Large {
    pub status: StatusCode,
    /// Its beginning.
    pub read: Vec<u8>,
    /// Room in the budget for that.
    pub room: Reserved,
    /// The body with the rest, which is not read: the upstream waits.
    pub rest: Body,
}

/// End of the answer: it was passed on, or the message to send in its place, or the reason why there is none.
type Ended = Result<Option<Vec<u8>>, Problem<'static>>;

/// Answers the request `id` with a stream at once: a keep-alive event per interval `every`, which says what
/// `phase` does, then `answer`. `token` is the request's progress token. Without `overflow` JSON of any size
/// becomes an event.
pub fn respond(
    every: Duration,
    id: Option<Raw>,
    token: Option<Raw>,
    phase: Phase,
    answer: impl Future<Output = Response<Body>> + Send + 'static,
    overflow: Option<Overflow>,
) -> Response<Body> {
    // One piece at a time: a slow client slows the upstream down, and nothing piles up in between.
    let (pieces, received) = mpsc::channel(1);
    tokio::spawn(async move {
        // A panic while waiting becomes an error event. One while feeding breaks the stream off.
        let answer = contained(Box::pin(answer));
        let (id, token) = (id.as_ref().map(Raw::get), token.as_ref().map(Raw::get));
        let answer = async { (answer.await).unwrap_or_else(|Panicked| answer::panicked(id)) };
        // The only failure is a client that has disconnected, which gets no answer.
        let signs = Signs {
            every,
            token,
            phase,
        };
        fed(&pieces, feed(signs, id, &pieces, answer, overflow)).await;
    });
    let mut response = Response::new(Body::fed(received));
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

/// Signs of life of a pending answer.
struct Signs<'t> {
    every: Duration,
    /// Token for progress notifications.
    token: Option<&'t RawValue>,
    phase: Phase,
}

async fn feed(
    signs: Signs<'_>,
    id: Option<&RawValue>,
    pieces: &Sender<Piece>,
    answer: impl Future<Output = Response<Body>>,
    overflow: Option<Overflow>,
) -> Result<(), Gone> {
    let mut answer = pin!(answer);
    let mut sent = 0_u32;
    let response = loop {
        sent += 1;
        let sign = keep_alive(signs.token, sent, signs.phase.words());
        send(pieces, sign).await?;
        tokio::select! {
            response = &mut answer => break response,
            () = pieces.closed() => return Err(Gone),
            () = tokio::time::sleep(signs.every) => {}
        }
    };
    let (head, body) = response.into_parts();
    let ended = if is_encoded(&head.headers) {
        // The client's stream has begun: only an error event can still be sent.
        Err(Problem::Encoded)
    } else if is_media_type(&head.headers, "text/event-stream") {
        events(pieces, body).await?
    } else if is_media_type(&head.headers, "application/json") {
        json(pieces, body, head.status, overflow).await?
    } else {
        Err(Problem::NoMessage(head.status))
    };
    let last = match ended {
        Ok(None) => return Ok(()),
        Ok(Some(message)) => message,
        Err(problem) => problem.body(id),
    };
    send(pieces, Bytes::from(sse::encode(&last))).await
}

/// A comment, and with a progress token a progress notification as well: it keeps clients waiting that
/// time out when no message arrives. `words` say what it waits for.
fn keep_alive(token: Option<&RawValue>, signs: u32, words: &str) -> Bytes {
    let comment = format!(": {words}\n\n");
    let Some(token) = token else {
        return comment.into();
    };
    // The token is copied as raw JSON: no number type holds every JSON number.
    let token = token.get();
    let progress = f64::from(signs) * PROGRESS_STEP;
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress},"message":"{words}"}}}}"#
    );
    let event = sse::encode(progress.as_bytes());
    Bytes::from([comment.as_bytes(), &event].concat())
}

/// Passes JSON on as one event, when it is complete: one that breaks off becomes an error. With `overflow`
/// no more is read than an event and the budget have room for.
async fn json(
    pieces: &Sender<Piece>,
    mut body: Body,
    status: StatusCode,
    mut overflow: Option<Overflow>,
) -> Result<Ended, Gone> {
    let mut read = Vec::new();
    let is_whole = loop {
        match next(pieces, &mut body).await? {
            None => break true,
            Some(Err(_)) => return Ok(Err(Problem::BrokeOff)),
            Some(Ok(data)) => read.extend_from_slice(&data),
        }
        if let Some(overflow) = &mut overflow
            && !fits(&read, &body, &mut overflow.room)
        {
            break false;
        }
    };
    if let Some(Overflow { room, park }) = overflow
        && !is_whole
    {
        // What is no object is no message that a client waits for, however large.
        let text = read.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&read);
        if !text.trim_ascii_start().starts_with(b"{") {
            return Ok(Err(Problem::NoMessage(status)));
        }
        read.shrink_to_fit();
        let message = park(Large {
            status,
            read,
            room,
            rest: body,
        });
        return Ok(Ok(Some(message)));
    }
    // An empty body, or an error status without a JSON-RPC message, would leave the call unanswered.
    if read.trim_ascii().is_empty() || (!status.is_success() && !is_answer(&read)) {
        return Ok(Err(Problem::NoMessage(status)));
    }
    in_one_line(&mut read);
    for part in [
        b"data: ".as_slice().into(),
        read.into(),
        b"\n\n".as_slice().into(),
    ] {
        send(pieces, part).await?;
    }
    Ok(Ok(None))
}

/// Whether an event and the budget have room for all of the JSON whose beginning was read.
fn fits(read: &[u8], rest: &Body, room: &mut Reserved) -> bool {
    let announced = usize::try_from(rest.size_hint().lower()).unwrap_or(usize::MAX);
    if read.len().saturating_add(announced) > EVENT_BYTES_MAX {
        // Counts what is here already, if there is room; no more of it comes.
        let _ = room.grow(read.len() - room.bytes());
        return false;
    }
    // At its end it is passed on at once.
    rest.is_end_stream() || room.grow(read.len() - room.bytes()).is_ok()
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
        Some(error) if settled => fail(pieces, error).await.map(|()| Ok(None)),
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
                Ok(None)
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

/// Replaces line breaks, which in JSON occur only between tokens, by spaces.
fn in_one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::budget::Budget;

    #[test]
    fn keep_alive_events_are_progress_for_those_who_ask_for_it() {
        assert_eq!(keep_alive(None, 1, "w"), ": w\n\n");
        let token = RawValue::from_string("\"t\"".to_owned()).unwrap();
        let progress = |signs| {
            let text = keep_alive(Some(&token), signs, "w");
            let data = text.strip_prefix(b": w\n\n").unwrap();
            let data = data.strip_prefix(b"data: ").unwrap();
            let event: serde_json::Value = serde_json::from_slice(data).unwrap();
            assert_eq!(event["params"]["progressToken"], "t");
            assert_eq!(event["params"]["message"], "w");
            event["params"]["progress"].as_f64().unwrap()
        };
        assert!(0.0 < progress(1) && progress(1) < progress(2));
        assert!(progress(u32::MAX) < 5.0);
    }

    #[tokio::test]
    async fn a_panic_while_the_call_is_held_is_the_answer_to_it() {
        let body = Bytes::from_static(b"7");
        let id: &RawValue = serde_json::from_slice(&body).unwrap();
        let id = Raw::of(&body, id.into());
        let answer = async { panic!("a test asked for this") };
        let every = Duration::from_secs(1);
        let response = respond(every, Some(id), None, Phase::default(), answer, None);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains(r#""id":7,"error":{"code":-32603"#), "{text}");
    }

    #[tokio::test]
    async fn what_finds_no_room_is_left_to_the_upstream() {
        let (upstream, body) = mpsc::channel(2);
        for piece in [&b" {\"id\":"[..], b"7}"] {
            upstream.try_send(Ok(Bytes::from_static(piece))).unwrap();
        }
        drop(upstream);
        let answer = async { answer::json_head(StatusCode::OK).map(|()| Body::fed(body)) };
        let overflow = Overflow {
            room: Budget::new(0, Counter::default()).hold(),
            park: Box::new(|large| {
                assert_eq!(large.read, b" {\"id\":");
                b"parked".to_vec()
            }),
        };
        let every = Duration::from_secs(1);
        let response = respond(every, None, None, Phase::default(), answer, Some(overflow));
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"data: parked\n\n"), "{text:?}");
    }

    #[test]
    fn a_progress_token_is_written_as_it_came() {
        for token in ["1e999", "-1e400", "12345678901234567890123", r#""\ud800""#] {
            let raw = RawValue::from_string(token.to_owned()).unwrap();
            let text = keep_alive(Some(&raw), 1, "w");
            let text = std::str::from_utf8(&text).unwrap();
            assert!(
                text.contains(&format!(r#""progressToken":{token},"#)),
                "{text}"
            );
        }
    }

    #[test]
    fn json_of_many_lines_becomes_one() {
        let mut pretty = *b"{\r\n  \"a\": \"\\n\"\n}";
        in_one_line(&mut pretty);
        assert_eq!(pretty, *b"{    \"a\": \"\\n\" }");
    }
}
