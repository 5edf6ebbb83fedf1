//! The MCP double's routes: `/mcp` by method, `/control`, and 404 elsewhere.
//!
//! Counts what arrives; what a POST is answered with is in `exchange`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::control;
use super::envelope::MODERN_VERSION;
use super::exchange::Exchange;
use super::record::Record;
use super::{Shared, stream};
use crate::body::{Aborted, Answer, InFlight};
use crate::server::Handler;
use crate::timer::Timer;

const PATH: &str = "/mcp";
pub(super) const SESSION_HEADER: &str = "mcp-session-id";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The handler of one double, within its runtime.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) shared: Arc<Shared>,
    pub(super) timer: Timer,
    sessions: AtomicU64,
}

impl Endpoint {
    /// Must be called within the runtime that serves it.
    pub(super) fn new(shared: Arc<Shared>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            shared,
            timer: Timer::new()?,
            sessions: AtomicU64::new(0),
        }))
    }

    pub(super) fn record(&self) -> &Record {
        &self.shared.record
    }

    /// A session id that was not issued before.
    pub(super) fn new_session(&self) -> HeaderValue {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        HeaderValue::try_from(format!("session-{number}")).expect("ASCII is a header value")
    }

    /// The legacy stream for what a server sends on its own account.
    fn get(&self, headers: &HeaderMap) -> Response<Answer> {
        let version = headers.get("mcp-protocol-version");
        if version.is_some_and(|version| version.as_bytes() >= MODERN_VERSION.as_bytes()) {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let first = Bytes::from_static(b": open\n\n");
        let setting = self.shared.setting();
        let pushed = self.shared.pushed.subscribe();
        event_stream(stream::endless(
            &setting,
            pushed,
            first,
            self.record().open_stream(),
        ))
    }
}

impl Handler for Endpoint {
    fn accepted(&self) {
        self.record().connections.fetch_add(1, Ordering::Relaxed);
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Aborted> {
        if request.uri().path().starts_with("/control/") {
            return control::answer(&self.shared, request).await;
        }
        self.record().requests.fetch_add(1, Ordering::Relaxed);
        let mut guard = InFlight::new(&self.record().cancelled);
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Aborted)?.to_bytes();
        if head.uri.path() == PATH && head.method == Method::POST {
            return Exchange::new(&self, guard).post(head, body).await;
        }
        guard.finish();
        let response = match head.method {
            _ if head.uri.path() != PATH => empty(StatusCode::NOT_FOUND),
            Method::GET => self.get(&head.headers),
            Method::DELETE if head.headers.contains_key(SESSION_HEADER) => empty(StatusCode::OK),
            _ => empty(StatusCode::METHOD_NOT_ALLOWED),
        };
        self.record().keep(head, body);
        Ok(response)
    }
}

pub(super) fn empty(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

pub(super) fn json(status: StatusCode, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

pub(super) fn event_stream(answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
