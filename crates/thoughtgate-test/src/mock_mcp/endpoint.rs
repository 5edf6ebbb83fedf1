//! The MCP double's routes: `/mcp` by method, `/control`, and 404 elsewhere.
//!
//! Counts requests; answers to POST are in `exchange`. Probes of a proxy, which come whenever they like,
//! are counted apart from what a test sends, and not kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::control;
use super::double::Endpoint;
use super::exchange::Exchange;
use super::response::{SESSION_HEADER, empty};
use crate::body::{Aborted, Answer, InFlight};
use crate::server::Handler;

const PATH: &str = "/mcp";

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
        if is_probe(request.headers()) && request.uri().path() == PATH {
            return Exchange::probe(&self, request).await;
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

/// Whether the request is a probe of the readiness of this server, by ThoughtGate.
fn is_probe(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"thoughtgate-probe/"))
}
