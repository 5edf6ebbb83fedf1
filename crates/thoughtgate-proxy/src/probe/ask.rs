//! One request of a probe, on a connection of its own: a GET for an event stream, or an MCP `ping`.
//!
//! Calls no tool and opens no session; one that a server opens all the same is ended.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;

use super::judge::{ANSWER_MAX, Found, NotMcp, Session, judge};
use crate::headers::{SESSION_ID, ask_for_identity};
use crate::upstream::{Redirect, Target, UpstreamError, follow, open};

/// Time limit from the GET to its answer. It leaves a `ping` most of [`ANSWER_MAX`]: some servers send no head
/// of a stream before its first event.
const LISTEN_MAX: Duration = Duration::from_secs(1);

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// Tells an operator of the upstream where the request comes from.
const AGENT: &str = concat!("thoughtgate-probe/", env!("CARGO_PKG_VERSION"));

/// Asks for an event stream, as clients do to listen, which no server takes for a call. If the answer shows
/// nothing, sends a `ping`. `at_most` limits connecting.
pub async fn listen(target: &Target, at_most: Duration) -> Result<Found, NotMcp> {
    let start = Instant::now();
    match ask(Method::GET, target, at_most, LISTEN_MAX).await {
        // One that answers this GET by closing the connection may answer a `ping`.
        Err(NotMcp::Unreachable(error)) if !matches!(error, UpstreamError::Exchange(_)) => {
            Err(NotMcp::Unreachable(error))
        }
        Err(_) => {
            let rest = ANSWER_MAX.saturating_sub(start.elapsed().min(LISTEN_MAX));
            ask(Method::POST, target, at_most, rest).await
        }
        found => found,
    }
}

/// Sends one `ping`, whose answer decides. `at_most` limits connecting.
pub async fn ping(target: &Target, at_most: Duration) -> Result<Found, NotMcp> {
    ask(Method::POST, target, at_most, ANSWER_MAX).await
}

/// Asks by this method; `answer_max` limits the time from each request to its answer.
async fn ask(
    method: Method,
    target: &Target,
    at_most: Duration,
    answer_max: Duration,
) -> Result<Found, NotMcp> {
    let mut path = target.path(None);
    let (mut followed, mut is_for_good) = (0, true);
    loop {
        let request = request(target, method.clone(), Uri::from(path.clone()));
        let mut sender = open(target, at_most).await.map_err(NotMcp::Unreachable)?;
        let asking = async {
            let sent = sender.send_request(request).await;
            let response =
                sent.map_err(|error| NotMcp::Unreachable(UpstreamError::Exchange(error)))?;
            if Redirect::is_one(&response) {
                return Ok(Err(Redirect::of(&response).hiding(target.path(None).path())));
            }
            judge(&method, response).await.map(Ok)
        };
        let asked = tokio::time::timeout(answer_max, asking).await;
        let redirect = match asked.unwrap_or(Err(NotMcp::Silent))? {
            Ok(found) => {
                let moved = (followed > 0 && is_for_good).then_some(path);
                return Ok(Found { moved, ..found });
            }
            // Where a GET is sent says nothing of calls, which are POSTed.
            Err(redirect) if method == Method::GET => {
                let redirected = UpstreamError::Redirected(Box::new(redirect));
                return Err(NotMcp::Redirected(redirected));
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
    let accept = if has_body {
        "application/json, text/event-stream"
    } else {
        "text/event-stream"
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    // Without the header, a server may choose any encoding (RFC 9110 §12.5.3).
    ask_for_identity(headers);
    if has_body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    request
}
