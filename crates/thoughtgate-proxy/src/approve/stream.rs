//! An answer that is not there yet as a stream of events: signs of life until it is, then the answer.
//!
//! Knows nothing of what is waited for. A client that goes away ends the wait.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::value::RawValue;
use thoughtgate_mcp::{codes, reply, sse};
use thoughtgate_panic::{Panicked, contained};
use tokio::sync::mpsc::{self, Sender};

use super::{ENCODED, no_message, read};
use crate::answer;
use crate::body::{Body, BodyError};
use crate::headers::{is_encoded, is_media_type};

const COMMENT: &[u8] = b": waiting for approval\n\n";

/// Progress must grow, and the upstream may report its own under the same token afterwards.
const PROGRESS_STEP: f64 = 1e-9;

/// What is held back of an answer until it is whole.
const HELD_BYTES_MAX: usize = 256 * 1024;

const BROKE_OFF: &str = "the call was made, and its answer broke off; it is not repeated";
const NO_ANSWER: &str =
    "the call was made, and the upstream's stream ended without an answer; it is not repeated";

type Piece = Result<Bytes, BodyError>;

/// Answers with a stream at once; a sign of life goes out `every` so often until `answer` is there.
/// `message` is what it answers.
pub fn respond(
    every: Duration,
    message: Bytes,
    answer: impl Future<Output = Response<Body>> + Send + 'static,
) -> Response<Body> {
    let (pieces, fed) = mpsc::channel(1);
    tokio::spawn(async move {
        let answer = contained(Box::pin(answer));
        let answer = async { (answer.await).unwrap_or_else(|Panicked| answer::broken(&message)) };
        let fed = contained(pin!(feed(every, &message, &pieces, answer))).await;
        // A client that went away is the only other way to fail, and nobody is left to be told.
        if fed == Err(Panicked) {
            let _ = pieces.send(Err("a bug broke the answer off".into())).await;
        }
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
#[derive(Debug, PartialEq, Eq)]
struct Gone;

async fn feed(
    every: Duration,
    message: &[u8],
    pieces: &Sender<Piece>,
    answer: impl Future<Output = Response<Body>>,
) -> Result<(), Gone> {
    let mut answer = pin!(answer);
    let token = read(message).and_then(|envelope| envelope.params.progress_token);
    let mut signs = 0_u32;
    let response = loop {
        signs += 1;
        send(pieces, sign_of_life(token, signs)).await?;
        tokio::select! {
            response = &mut answer => break response,
            () = pieces.closed() => return Err(Gone),
            () = tokio::time::sleep(every) => {}
        }
    };
    let (head, body) = response.into_parts();
    let ended = if is_encoded(&head.headers) {
        // The client's stream has begun, so this is all that can be told.
        Err(ENCODED.to_owned())
    } else if is_media_type(&head.headers, "text/event-stream") {
        events(pieces, body).await?
    } else if is_media_type(&head.headers, "application/json") {
        json(pieces, body, head.status).await?
    } else {
        Err(no_message(head.status))
    };
    let Err(text) = ended else {
        return Ok(());
    };
    let own = read(message).and_then(|envelope| envelope.id);
    let error = reply::error(own, codes::UPSTREAM_INVALID, &text, None);
    send(pieces, Bytes::from(sse::encode(&error))).await
}

/// A comment; for a client that wants to hear of progress, progress as well, which keeps those
/// waiting that give up on a call they hear nothing of.
fn sign_of_life(token: Option<&RawValue>, signs: u32) -> Bytes {
    let Some(token) = token else {
        return Bytes::from_static(COMMENT);
    };
    // The token is written as it came: no number type holds all that JSON can spell.
    let token = token.get();
    let progress = f64::from(signs) * PROGRESS_STEP;
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress},"message":"waiting for approval"}}}}"#
    );
    let event = sse::encode(progress.as_bytes());
    Bytes::from([COMMENT, &event].concat())
}

/// Passes JSON on as one event. Up to [`HELD_BYTES_MAX`] it goes when it is whole, so that one that
/// breaks off is an error that says so; `Err` is its text.
async fn json(
    pieces: &Sender<Piece>,
    mut body: Body,
    status: StatusCode,
) -> Result<Result<(), String>, Gone> {
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
            Some(Err(_)) => return Ok(Err(BROKE_OFF.to_owned())),
            None => break,
        }
    }
    if !begun && (whole.trim_ascii().is_empty() || (!status.is_success() && !is_answer(&whole))) {
        return Ok(Err(no_message(status)));
    }
    if !begun {
        send(pieces, as_data(&whole)).await?;
    }
    send(pieces, Bytes::from_static(b"\n\n")).await?;
    Ok(Ok(()))
}

/// Passes events on, each when it is whole. A stream without an answer is an error that says so, unless
/// its events have ids: the client can then take the stream up again where it ended.
async fn events(pieces: &Sender<Piece>, mut body: Body) -> Result<Result<(), String>, Gone> {
    let mut splitter = sse::Splitter::new(HELD_BYTES_MAX);
    // Whether the client has, or can still get, an answer.
    let mut settled = false;
    let broken = loop {
        match next(pieces, &mut body).await? {
            None => break None,
            Some(Err(error)) => break Some(error),
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
                    // Most likely the answer; it goes on in pieces, as it comes.
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
        Some(error) if settled => fail(pieces, error).await,
        Some(_) => Ok(Err(BROKE_OFF.to_owned())),
        None => {
            // An event without its blank line counts only where that is all it lacks.
            if let Some(rest) = splitter.rest()
                && settles(rest)
            {
                settled = true;
                send(pieces, [rest.bytes(), b"\n\n"].concat().into()).await?;
            }
            Ok(if settled {
                Ok(())
            } else {
                Err(NO_ANSWER.to_owned())
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

/// The next piece of a body, for as long as the client is there.
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
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(Ok(data)));
                }
            }
        }
    }
}

/// Breaks the client's stream off where the upstream's did.
async fn fail(pieces: &Sender<Piece>, error: BodyError) -> Result<Result<(), String>, Gone> {
    pieces.send(Err(error)).await.map_err(|_| Gone)?;
    Ok(Ok(()))
}

async fn send(pieces: &Sender<Piece>, bytes: Bytes) -> Result<(), Gone> {
    pieces.send(Ok(bytes)).await.map_err(|_| Gone)
}

/// The beginning of an event.
fn as_data(json: &[u8]) -> Bytes {
    [
        b"data: ",
        in_one_line(&Bytes::copy_from_slice(json)).as_ref(),
    ]
    .concat()
    .into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_progress_for_those_who_ask_for_it() {
        assert_eq!(sign_of_life(None, 1), COMMENT);
        let token = RawValue::from_string("\"t\"".to_owned()).unwrap();
        let progress = |signs| {
            let text = sign_of_life(Some(&token), signs);
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
        let message = Bytes::from_static(br#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
        let answer = async { panic!("a test asked for this") };
        let response = respond(Duration::from_secs(1), message, answer);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains(r#""id":7,"error":{"code":-32603"#), "{text}");
    }

    #[test]
    fn a_progress_token_is_written_as_it_came() {
        for token in ["1e999", "-1e400", "12345678901234567890123", r#""\ud800""#] {
            let raw = RawValue::from_string(token.to_owned()).unwrap();
            let text = sign_of_life(Some(&raw), 1);
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
