//! Whether the answer to a probe shows an MCP server.
//!
//! Sends nothing. A JSON-RPC response counts in any status, an error too, and so does a server that asks for
//! credentials, which a probe has not.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use thoughtgate_mcp::sse::{Event, Splitter};

use crate::headers::{SESSION_ID, is_encoded, is_media_type};
use crate::upstream::{UpstreamError, advice};

/// Time limit from a request to its answer, and of a GET and the `ping` after it together.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Limit of what is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Consequence of [`Found::compresses`].
pub const COMPRESSES: &str = "it compresses although `Accept-Encoding: identity` was sent: calls pass, but lists of tools \
     cannot be filtered and are refused; configure the server to honour Accept-Encoding";

/// Reason why the upstream does not count as an MCP server.
#[derive(Debug, thiserror::Error)]
pub enum NotMcp {
    #[error(transparent)]
    Unreachable(UpstreamError),
    #[error("no answer to an MCP request within {ANSWER_MAX:?}")]
    Silent,
    #[error("status {} and no JSON-RPC message; {}", .0.as_u16(), advice(*.0, "upstream.url"))]
    Status(StatusCode),
    #[error(
        "status {} and a body that cannot be read, since it has a Content-Encoding, although none was asked for; configure the server to honour Accept-Encoding",
        .0.as_u16()
    )]
    Encoded(StatusCode),
    #[error("status {} without a WWW-Authenticate header", .0.as_u16())]
    NoChallenge(StatusCode),
    #[error("the connection broke off in the answer to an MCP request")]
    BrokeOff,
    #[error(transparent)]
    Redirected(UpstreamError),
}

/// Answer of an MCP server.
pub struct Found {
    pub session: Option<Session>,
    /// It is compressed although no encoding was asked for.
    pub compresses: bool,
    /// It opens an event stream, or says that it has none, as MCP servers do, and others: those of the transport
    /// before Streamable HTTP open one at another URL than the one for messages.
    pub is_hint: bool,
    /// It is the answer to a `ping`, which was sent where calls are.
    pub is_of_ping: bool,
    /// Path that answered it, if the endpoint has moved there for good.
    pub moved: Option<PathAndQuery>,
}

/// Session that a server has opened although none was asked for.
pub struct Session(pub HeaderValue);

/// Judges the answer to a GET for an event stream, or to a POST of `ping`.
pub async fn judge(asked: &Method, response: Response<Incoming>) -> Result<Found, NotMcp> {
    let (parts, body) = response.into_parts();
    let (status, listens) = (parts.status, *asked == Method::GET);
    let is_stream = is_media_type(&parts.headers, "text/event-stream");
    let may_be_mcp = is_stream || is_media_type(&parts.headers, "application/json");
    let mut found = Found {
        session: parts.headers.get(&SESSION_ID).cloned().map(Session),
        compresses: false,
        is_hint: false,
        is_of_ping: !listens,
        moved: None,
    };
    let refuses = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if refuses && parts.headers.contains_key(header::WWW_AUTHENTICATE) {
        return Ok(found);
    }
    let is_open = listens && is_stream && status.is_success();
    let is_unreadable = !refuses && may_be_mcp && is_encoded(&parts.headers);
    // Not a reason to be not ready, since such answers to calls are passed on as they come.
    found.compresses = is_unreadable && (is_open || (!listens && status.is_success()));
    if is_open || found.compresses {
        found.is_hint = !found.compresses;
        return Ok(found);
    }
    let has_answer = if is_unreadable {
        false
    } else if is_stream {
        in_events(body).await?
    } else {
        whole(body).await?.is_some_and(|body| is_answer(&body))
    };
    found.is_hint = !has_answer && listens && status == StatusCode::METHOD_NOT_ALLOWED;
    match has_answer || found.is_hint {
        true => Ok(found),
        false if refuses => Err(NotMcp::NoChallenge(status)),
        false if is_unreadable => Err(NotMcp::Encoded(status)),
        false => Err(NotMcp::Status(status)),
    }
}

/// The body; `None` if it is longer than any answer to a ping.
async fn whole(mut body: Incoming) -> Result<Option<Vec<u8>>, NotMcp> {
    let mut bytes = Vec::new();
    while let Some(data) = next(&mut body).await? {
        if bytes.len() + data.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

/// Whether a stream has an answer in its first bytes. It is not read to its end, which may never come.
async fn in_events(mut body: Incoming) -> Result<bool, NotMcp> {
    let mut splitter = Splitter::new(ANSWER_BYTES_MAX);
    let mut read = 0;
    let has_answer = |event: Event<'_>| event.data().is_some_and(|data| is_answer(&data));
    while let Some(data) = next(&mut body).await? {
        read += data.len();
        splitter.push(&data);
        while let Ok(Some(event)) = splitter.event() {
            if has_answer(event) {
                return Ok(true);
            }
        }
        if read > ANSWER_BYTES_MAX {
            return Ok(false);
        }
    }
    Ok(splitter.rest().is_some_and(has_answer))
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, NotMcp> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| NotMcp::BrokeOff)?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Whether it is a JSON-RPC response. Other APIs have a member `error`, too.
fn is_answer(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    body["jsonrpc"] == "2.0" && (body.get("result").is_some() || body["error"].is_object())
}
