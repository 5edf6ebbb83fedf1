//! Sends a decided request to the upstream and passes the answer on as it arrives.
//!
//! Decides nothing. What a client that goes away means is settled here, by the era of the request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use thoughtgate_mcp::{Era, codes};
use tokio::time::Instant;

use crate::abandoned::Abandoned;
use crate::answer;
use crate::body::{Body, OnDisconnect, Relay};
use crate::budget::Spent;
use crate::endpoint::Worker;
use crate::headers::{ask_for_identity, strip_request, strip_response};
use crate::identity::Identity;
use crate::listing::{self, Filter, Unfiltered};
use crate::metrics::Failure;
use crate::settings::Rules;
use crate::upstream::{Lease, Pool, UpstreamError};

/// What forwarding must know of a decided request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Says what a disconnect means.
    pub era: Era,
    /// The answer may hold a tool list, which is cut.
    pub lists: bool,
    /// The answer is a stream that only listens.
    pub listens: bool,
    /// The client waits for a JSON-RPC answer with its id.
    pub expects_answer: bool,
    /// The agent that asks.
    pub principal: String,
}

/// Why there is no answer to pass on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// See the source.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// No response head in time.
    #[error("the upstream did not answer within `timeouts.response`")]
    Timeout,
    /// A list that cannot be filtered is not passed on.
    #[error("the upstream's answer to tools/list cannot be filtered: {0}")]
    List(Unfiltered),
    /// No room to hold a list.
    #[error(transparent)]
    Spent(#[from] Spent),
}

/// An upstream response whose body has not been read.
pub type Head = (Response<Incoming>, Lease);

/// Forwards one request, whose URI is already the upstream's; the answer is the upstream's, or an error that says why there is none.
pub async fn send(
    worker: &Arc<Worker>,
    rules: &Rules,
    parts: Box<Parts>,
    bytes: Bytes,
    call: &Call,
) -> Response<Body> {
    let message = bytes.clone();
    let sent = match exchange(worker, rules, parts, bytes, call).await {
        Ok(head) => pass_on(worker, rules, head, call, &message).await,
        Err(failed) => Err(failed),
    };
    sent.unwrap_or_else(|failed| failure(worker, &message, call, &failed))
}

/// Sends the request and waits for the response head.
pub async fn exchange(
    worker: &Arc<Worker>,
    rules: &Rules,
    parts: Box<Parts>,
    bytes: Bytes,
    call: &Call,
) -> Result<Head, Failed> {
    let request = outgoing(worker, rules, parts, bytes, call.lists);
    let started = Instant::now();
    let deadline = started + rules.response_timeout;
    let head = if goes_on(call) {
        let sending = send_by(deadline, Arc::clone(&worker.pool), request);
        Finishing::new(sending, &worker.shared.abandoned, &call.principal).await?
    } else {
        send_by(deadline, Arc::clone(&worker.pool), request).await?
    };
    worker.shared.metrics.upstream_latency(started.elapsed());
    Ok(head)
}

async fn send_by(
    deadline: Instant,
    pool: Arc<Pool>,
    request: Box<Request<Full<Bytes>>>,
) -> Result<Head, Failed> {
    match tokio::time::timeout_at(deadline, pool.send(request)).await {
        Ok(sent) => sent.map_err(Failed::from),
        Err(_) => Err(Failed::Timeout),
    }
}

/// Whether a client that goes away leaves the call to itself.
fn goes_on(call: &Call) -> bool {
    call.era == Era::Legacy && !call.listens
}

fn outgoing(
    worker: &Worker,
    rules: &Rules,
    parts: Box<Parts>,
    bytes: Bytes,
    lists: bool,
) -> Box<Request<Full<Bytes>>> {
    let target = &worker.shared.settings.upstream;
    let mut headers = parts.headers;
    let identity = match &rules.identity {
        Identity::Header(name) => Some(name),
        Identity::Fixed(_) | Identity::Jwt(_) => None,
    };
    strip_request(&mut headers, identity);
    headers.remove(header::EXPECT);
    headers.insert(header::HOST, target.host_header());
    if lists {
        ask_for_identity(&mut headers);
    }
    let mut request = Box::new(Request::new(Full::new(bytes)));
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = headers;
    request
}

/// The upstream's answer to `message` as the client gets it.
pub async fn pass_on(
    worker: &Arc<Worker>,
    rules: &Rules,
    head: Head,
    call: &Call,
    message: &[u8],
) -> Result<Response<Body>, Failed> {
    let (response, lease) = head;
    let (mut parts, incoming) = response.into_parts();
    strip_response(&mut parts.headers);
    let on_disconnect = if goes_on(call) {
        OnDisconnect::Finish(worker.shared.abandoned.agent(&call.principal))
    } else {
        OnDisconnect::Cancel
    };
    let relay = Relay::new(incoming, lease, on_disconnect);
    if !call.lists {
        return Ok(Response::from_parts(parts, Body::relay(relay)));
    }
    let filter = Filter::new(Arc::clone(&worker.shared), call, message);
    Box::pin(listing::pass_on(filter, rules, parts, relay)).await
}

/// The answer to a request whose upstream failed, counted by kind.
pub fn failure(worker: &Worker, message: &[u8], call: &Call, failed: &Failed) -> Response<Body> {
    let (kind, status, code) = match failed {
        Failed::Upstream(UpstreamError::Connect(_) | UpstreamError::ConnectTimeout(_)) => (
            Failure::Connect,
            StatusCode::BAD_GATEWAY,
            codes::UPSTREAM_UNREACHABLE,
        ),
        Failed::Upstream(UpstreamError::Exchange(_)) => (
            Failure::Exchange,
            StatusCode::BAD_GATEWAY,
            codes::UPSTREAM_UNREACHABLE,
        ),
        Failed::Timeout => (
            Failure::Timeout,
            StatusCode::GATEWAY_TIMEOUT,
            codes::UPSTREAM_TIMEOUT,
        ),
        Failed::List(_) | Failed::Upstream(UpstreamError::Framing(_)) => (
            Failure::Invalid,
            StatusCode::BAD_GATEWAY,
            codes::UPSTREAM_INVALID,
        ),
        Failed::Spent(spent) => {
            return answer::busy(message, call.expects_answer, &spent.to_string());
        }
    };
    worker.shared.metrics.failure(kind);
    answer::error(
        status,
        message,
        call.expects_answer,
        code,
        &failed.to_string(),
    )
}

/// A legacy exchange, which a client that goes away does not end: dropped early, it is finished on
/// the runtime instead, and its answer read to the end.
struct Finishing<'a, F: Future<Output = Result<Head, Failed>> + Send + 'static> {
    exchange: Option<Pin<Box<F>>>,
    abandoned: &'a Arc<Abandoned>,
    principal: &'a str,
}

impl<'a, F: Future<Output = Result<Head, Failed>> + Send + 'static> Finishing<'a, F> {
    fn new(exchange: F, abandoned: &'a Arc<Abandoned>, principal: &'a str) -> Self {
        Finishing {
            exchange: Some(Box::pin(exchange)),
            abandoned,
            principal,
        }
    }
}

impl<F: Future<Output = Result<Head, Failed>> + Send + 'static> Future for Finishing<'_, F> {
    type Output = Result<Head, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(exchange) = &mut self.exchange else {
            unreachable!("polled after it was ready")
        };
        let polled = exchange.as_mut().poll(context);
        if polled.is_ready() {
            self.exchange = None;
        }
        polled
    }
}

impl<F: Future<Output = Result<Head, Failed>> + Send + 'static> Drop for Finishing<'_, F> {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            let agent = self.abandoned.agent(self.principal);
            self.abandoned.finish(agent, async move {
                if let Ok((response, lease)) = exchange.await {
                    Relay::new(response.into_body(), lease, OnDisconnect::Cancel)
                        .finish()
                        .await;
                }
            });
        }
    }
}
