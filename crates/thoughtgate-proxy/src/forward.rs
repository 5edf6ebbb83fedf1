//! Sends a decided request to the upstream and passes the answer on as it arrives.
//!
//! Decides nothing about permission. When the client disconnects, the exchange ends or goes on, as the
//! message says.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::abandoned::{Abandoned, Agent};
use crate::answer;
use crate::body::Body;
use crate::challenge;
use crate::failed::Failed;
use crate::headers::{address_to, ask_for_identity, strip_request, strip_response};
use crate::identity::Identity;
use crate::listing::{self, Filter};
use crate::message::{Message, OnRedirect};
use crate::problem::Problem;
use crate::public_url::PublicUrl;
use crate::relay::{OnDisconnect, Relay};
use crate::settings::Rules;
use crate::trusted::FromTrusted;
use crate::upstream::{Lease, Pool};
use crate::worker::Worker;

/// An upstream response whose body has not been read.
pub type Head = (Response<Incoming>, Lease);

/// Forwards one message. Returns the upstream's answer, or an error with the reason why there is none.
pub async fn send(worker: &Arc<Worker>, rules: &Rules, message: &mut Message) -> Response<Body> {
    let sent = match exchange(worker, rules, message).await {
        Ok(head) => pass_on(worker, rules, head, message).await,
        Err(failed) => Err(failed),
    };
    sent.unwrap_or_else(|failed| failure(worker, message, &failed))
}

/// Sends the message and waits for the response head. Takes its head and its body, of which the answer
/// needs nothing.
pub async fn exchange(
    worker: &Arc<Worker>,
    rules: &Rules,
    message: &mut Message,
) -> Result<Head, Failed> {
    let request = outgoing(worker, rules, message);
    let started = Instant::now();
    // For the head, connecting included: the stream that follows may take any time.
    let deadline = started + rules.response_timeout;
    let pool = Arc::clone(&worker.pool);
    let is_direct = message.on_redirect == OnRedirect::Fail && pool.is_direct(request.method());
    let head = match message.on_disconnect {
        OnDisconnect::Finish(agent) => {
            let sending = send_by(deadline, pool, request, is_direct);
            Finishing::new(sending, &worker.shared.abandoned, agent).await?
        }
        OnDisconnect::Cancel => send_by(deadline, pool, request, is_direct).await?,
    };
    worker.shared.metrics.upstream_latency(started.elapsed());
    worker.shared.exchanges.worked();
    Ok(head)
}

async fn send_by(
    deadline: Instant,
    pool: Arc<Pool>,
    request: Box<Request<Full<Bytes>>>,
    is_direct: bool,
) -> Result<Head, Failed> {
    let sent = if is_direct {
        tokio::time::timeout_at(deadline, pool.send(request)).await
    } else {
        // Boxed, like all that few requests await.
        let following = Box::pin(pool.send_following(request));
        tokio::time::timeout_at(deadline, following).await
    };
    match sent {
        Ok(sent) => sent.map_err(Failed::from),
        Err(_) => Err(Failed::Timeout),
    }
}

fn outgoing(worker: &Worker, rules: &Rules, message: &mut Message) -> Box<Request<Full<Bytes>>> {
    let target = &worker.shared.settings.upstream;
    let mut headers = std::mem::take(&mut message.parts.headers);
    let identity = match &rules.identity {
        Identity::Header(name) => Some(name),
        Identity::Fixed(_) | Identity::Jwt(_) => None,
    };
    let is_trusted = message.parts.extensions.get::<FromTrusted>().is_some();
    strip_request(&mut headers, identity, is_trusted);
    // The body has been read, so there is nothing left for `100-continue` to announce.
    headers.remove(header::EXPECT);
    let public = rules.public_url.as_ref();
    message.host = address_to(&mut headers, target.host_header(), public, is_trusted);
    if message.tool_list {
        ask_for_identity(&mut headers);
    }
    let body = std::mem::take(&mut message.bytes);
    let mut request = Box::new(Request::new(Full::new(body)));
    *request.method_mut() = std::mem::take(&mut message.parts.method);
    *request.uri_mut() = std::mem::take(&mut message.parts.uri);
    *request.headers_mut() = headers;
    request
}

/// The upstream's answer to `message` as the client gets it.
pub async fn pass_on(
    worker: &Arc<Worker>,
    rules: &Rules,
    head: Head,
    message: &Message,
) -> Result<Response<Body>, Failed> {
    let (response, lease) = head;
    let (mut parts, incoming) = response.into_parts();
    strip_response(&mut parts.headers);
    if matches!(
        parts.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) && let Some(public) = public_url(rules, message)
    {
        let shared = &worker.shared;
        let (upstream, learnt) = (&shared.settings.upstream, &shared.metadata_path);
        challenge::point_to(&mut parts.headers, &public, upstream, learnt);
    }
    let relay = Relay::new(incoming, lease, message.on_disconnect);
    if !message.tool_list {
        return Ok(Response::from_parts(parts, Body::relay(relay)));
    }
    let filter = Filter::new(Arc::clone(&worker.shared), message);
    Box::pin(listing::pass_on(filter, rules, parts, relay)).await
}

/// The endpoint's URL as the client of a message that was sent knows it.
#[cold]
pub fn public_url(rules: &Rules, message: &Message) -> Option<PublicUrl> {
    let configured = rules.public_url.clone();
    configured.or_else(|| PublicUrl::of_host(message.host.as_ref()))
}

/// The answer to a message whose upstream failed.
pub fn failure(worker: &Worker, message: &Message, failed: &Failed) -> Response<Body> {
    answer::problem(&worker.shared, &Problem::Failed(failed), message.id())
}

/// A legacy exchange, which a client's disconnect does not end: dropped early, it continues as a task,
/// and its answer is read to the end.
struct Finishing<'a, F: Future<Output = Result<Head, Failed>> + Send + 'static> {
    exchange: Option<Pin<Box<F>>>,
    abandoned: &'a Arc<Abandoned>,
    agent: Agent,
}

impl<'a, F: Future<Output = Result<Head, Failed>> + Send + 'static> Finishing<'a, F> {
    fn new(exchange: F, abandoned: &'a Arc<Abandoned>, agent: Agent) -> Self {
        Finishing {
            exchange: Some(Box::pin(exchange)),
            abandoned,
            agent,
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
            self.abandoned.finish(self.agent, async move {
                if let Ok((response, lease)) = exchange.await {
                    // `Cancel`: it has continued already, and when it is cut off it must end.
                    Relay::new(response.into_body(), lease, OnDisconnect::Cancel)
                        .finish()
                        .await;
                }
            });
        }
    }
}
