//! Sends a decided request to the upstream and passes the answer on as it arrives.
//!
//! Decides nothing about permission. The effect of a client's disconnect is chosen here, by the era of
//! the request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use thoughtgate_mcp::Era;
use tokio::time::Instant;

use crate::abandoned::Abandoned;
use crate::answer;
use crate::body::Body;
use crate::failed::Failed;
use crate::headers::{ask_for_identity, strip_request, strip_response};
use crate::identity::Identity;
use crate::listing::{self, Filter};
use crate::message::Call;
use crate::problem::Problem;
use crate::relay::{OnDisconnect, Relay};
use crate::settings::Rules;
use crate::upstream::{Lease, Pool};
use crate::worker::Worker;

/// An upstream response whose body has not been read.
pub type Head = (Response<Incoming>, Lease);

/// Forwards one request, whose URI is already the upstream's. Returns the upstream's answer, or an error
/// with the reason why there is none.
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
    let request = outgoing(worker, rules, parts, bytes, call.tool_list);
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

/// Whether the call continues when its client disconnects.
fn goes_on(call: &Call) -> bool {
    call.era == Era::Legacy && !call.listens
}

fn outgoing(
    worker: &Worker,
    rules: &Rules,
    parts: Box<Parts>,
    bytes: Bytes,
    tool_list: bool,
) -> Box<Request<Full<Bytes>>> {
    let target = &worker.shared.settings.upstream;
    let mut headers = parts.headers;
    let identity = match &rules.identity {
        Identity::Header(name) => Some(name),
        Identity::Fixed(_) | Identity::Jwt(_) => None,
    };
    strip_request(&mut headers, identity);
    // The body has been read, so there is nothing left for `100-continue` to announce.
    headers.remove(header::EXPECT);
    headers.insert(header::HOST, target.host_header());
    if tool_list {
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
    if !call.tool_list {
        return Ok(Response::from_parts(parts, Body::relay(relay)));
    }
    let filter = Filter::new(Arc::clone(&worker.shared), call, message);
    Box::pin(listing::pass_on(filter, rules, parts, relay)).await
}

/// The answer to a request whose upstream failed.
pub fn failure(worker: &Worker, message: &[u8], call: &Call, failed: &Failed) -> Response<Body> {
    let id = call.id(message);
    answer::problem(&worker.shared, &Problem::Failed(failed), id.as_deref())
}

/// A legacy exchange, which a client's disconnect does not end: dropped early, it continues as a task,
/// and its answer is read to the end.
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
