//! One MCP request, `ping`, on a connection of its own: shows whether an MCP server answers at the
//! upstream's URL.
//!
//! Calls no tool and opens no session; one that a server opens all the same is ended. Any JSON-RPC answer
//! counts, a refusal of `ping` too, and so does a server that asks for credentials, which a probe has not.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use thoughtgate_mcp::sse::{Event, Splitter};

use crate::headers::{SESSION_ID, ask_for_identity, is_encoded, is_media_type};
use crate::upstream::{Redirect, Target, UpstreamError, advice, follow, open};

/// Time limit from the request to its answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Limit of what is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// Consequence of [`Found::compresses`].
pub const COMPRESSES: &str = "it compresses although `Accept-Encoding: identity` was sent: calls pass, but lists of tools \
     cannot be filtered and are refused; configure the server to honour Accept-Encoding";
/// Tells an operator of the upstream where the request comes from.
const AGENT: &str = concat!("thoughtgate-probe/", env!("CARGO_PKG_VERSION"));

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
    /// The answer could not be read, because it is compressed although no encoding was asked for.
    pub compresses: bool,
    /// Path that answered, if the endpoint has moved there for good.
    pub moved: Option<PathAndQuery>,
}

/// Session that a server has opened although none was asked for.
pub struct Session(HeaderValue);

/// Sends one `ping`. `at_most` limits connecting.
pub async fn ping(target: &Target, at_most: Duration) -> Result<Found, NotMcp> {
    let mut path = target.path(None);
    let (mut followed, mut is_for_good) = (0, true);
    loop {
        let request = request(target, Method::POST, Uri::from(path.clone()));
        let mut sender = open(target, at_most).await.map_err(NotMcp::Unreachable)?;
        let asking = async {
            let sent = sender.send_request(request).await;
            let response =
                sent.map_err(|error| NotMcp::Unreachable(UpstreamError::Exchange(error)))?;
            if Redirect::is_one(&response) {
                return Ok(Err(Redirect::of(&response).hiding(target.path(None).path())));
            }
            judge(response).await.map(Ok)
        };
        let asked = tokio::time::timeout(ANSWER_MAX, asking).await;
        let redirect = match asked.unwrap_or(Err(NotMcp::Silent))? {
            Ok(found) => {
                let moved = (followed > 0 && is_for_good).then_some(path);
                return Ok(Found { moved, ..found });
            }
            Err(redirect) => redirect,
        };
        is_for_good &= redirect.status == StatusCode::PERMANENT_REDIRECT;
        let from = (&Uri::from(path), &HeaderMap::new());
        path = follow(Box::new(redirect), followed, target, from).map_err(NotMcp::Redirected)?;
        followed += 1;
    }
}

/// Ends a session. A server that does not let clients do that ends it by itself, after a time.
pub async fn end(target: &Target, at_most: Duration, Session(id): Session) {
    let ending = async {
        let mut sender = open(target, at_most).await.ok()?;
        let mut request = request(target, Method::DELETE, Uri::from(target.path(None)));
        request.headers_mut().insert(&SESSION_ID, id);
        sender.send_request(request).await.ok()
    };
    let _ = tokio::time::timeout(ANSWER_MAX, ending).await;
}

fn request(target: &Target, method: Method, path: Uri) -> Request<Full<Bytes>> {
    let has_body = method == Method::POST;
    let body = if has_body { PING } else { "" };
    let mut request = Request::new(Full::new(Bytes::from_static(body.as_bytes())));
    *request.method_mut() = method;
    *request.uri_mut() = path;
    let headers = request.headers_mut();
    headers.insert(header::HOST, target.host_header());
    headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
    let accept = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert(header::ACCEPT, accept);
    // Without the header, a server may choose any encoding (RFC 9110 §12.5.3).
    ask_for_identity(headers);
    if has_body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    request
}

async fn judge(response: Response<Incoming>) -> Result<Found, NotMcp> {
    let (parts, body) = response.into_parts();
    let session = parts.headers.get(&SESSION_ID).cloned().map(Session);
    let mut found = Found {
        session,
        compresses: false,
        moved: None,
    };
    let refuses = matches!(
        parts.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    if refuses && parts.headers.contains_key(header::WWW_AUTHENTICATE) {
        return Ok(found);
    }
    let is_stream = is_media_type(&parts.headers, "text/event-stream");
    let may_be_mcp = is_stream || is_media_type(&parts.headers, "application/json");
    if !refuses && may_be_mcp && is_encoded(&parts.headers) {
        // Not a reason to be not ready, since such answers to calls are passed on as they come.
        found.compresses = parts.status.is_success();
        return if found.compresses {
            Ok(found)
        } else {
            Err(NotMcp::Encoded(parts.status))
        };
    }
    let has_answer = if is_stream {
        in_events(body).await?
    } else {
        whole(body).await?.is_some_and(|body| is_answer(&body))
    };
    match has_answer {
        true => Ok(found),
        false if refuses => Err(NotMcp::NoChallenge(parts.status)),
        false => Err(NotMcp::Status(parts.status)),
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
