//! An answer that is not there yet as a stream of events: signs of life until it is, then the answer.
//!
//! Knows nothing of what is waited for. A client that goes away ends the wait.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use serde_json::value::RawValue;
use thoughtgate_mcp::{codes, reply};
use thoughtgate_panic::{Panicked, contained};
use tokio::sync::mpsc::{self, Sender};

use super::{ENCODED, no_message, read};
use crate::answer;
use crate::body::{Body, BodyError};
use crate::headers::{is_encoded, is_media_type};

const COMMENT: &[u8] = b": waiting for approval\n\n";

/// Progress must grow, and the upstream may report its own under the same token afterwards.
const PROGRESS_STEP: f64 = 1e-9;

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
    let encoded = is_encoded(&head.headers);
    if !encoded && is_media_type(&head.headers, "text/event-stream") {
        return pass(pieces, body, |bytes| bytes).await;
    }
    if !encoded && is_media_type(&head.headers, "application/json") {
        let mut begun = false;
        pass(pieces, body, |bytes| as_data(&bytes, &mut begun)).await?;
        if begun {
            return send(pieces, Bytes::from_static(b"\n\n")).await;
        }
    }
    let own = read(message).and_then(|envelope| envelope.id);
    // The client's stream has begun, so the status is all that can be told.
    let text = if encoded {
        ENCODED.to_owned()
    } else {
        no_message(head.status)
    };
    let error = reply::error(own, codes::UPSTREAM_INVALID, &text, None);
    send(pieces, Bytes::from(thoughtgate_mcp::sse::encode(&error))).await
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
    let event = thoughtgate_mcp::sse::encode(progress.as_bytes());
    Bytes::from([COMMENT, &event].concat())
}

/// Passes a body on, each piece through `edit`.
async fn pass(
    pieces: &Sender<Piece>,
    mut body: Body,
    mut edit: impl FnMut(Bytes) -> Bytes,
) -> Result<(), Gone> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = pieces.closed() => return Err(Gone),
        };
        match frame {
            None => return Ok(()),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data().map(&mut edit)
                    && !data.is_empty()
                {
                    send(pieces, data).await?;
                }
            }
            Some(Err(error)) => return pieces.send(Err(error)).await.map_err(|_| Gone),
        }
    }
}

async fn send(pieces: &Sender<Piece>, bytes: Bytes) -> Result<(), Gone> {
    pieces.send(Ok(bytes)).await.map_err(|_| Gone)
}

/// A piece of JSON as a piece of an event. The event begins with the first piece that is not blank: an
/// empty body is no message.
fn as_data(json: &Bytes, begun: &mut bool) -> Bytes {
    if *begun {
        return in_one_line(json);
    }
    if json.trim_ascii().is_empty() {
        return Bytes::new();
    }
    *begun = true;
    [b"data: ", in_one_line(json).as_ref()].concat().into()
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
