//! The routes of the Slack double: `/api/{method}` with token and failures, and `/control` for tests.
//! The methods themselves are in `methods`.
//!
//! The order for a call: count, fail without effect, check the token, take effect, lose the answer,
//! wait, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::knobs::Failure;
use super::methods::Call;
use super::shared::{Shared, State, Stats};
use crate::body::{Aborted, Answer};
use crate::server::Handler;
use crate::timer::Timer;

/// The request handler of one double.
pub(super) struct Endpoint {
    shared: Arc<Shared>,
    timer: Timer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct React {
    ts: String,
    user: String,
    name: String,
    /// Remove the reaction instead of adding it.
    #[serde(default)]
    remove: bool,
}

impl Endpoint {
    /// Must be called in the runtime that serves the double.
    pub(super) fn new(shared: Arc<Shared>) -> std::io::Result<Arc<Self>> {
        let timer = Timer::new()?;
        Ok(Arc::new(Self { shared, timer }))
    }

    /// Executes one call of `method` and returns its answer; `Err` loses the answer.
    fn call(
        &self,
        state: &mut State,
        method: &str,
        head: &Parts,
        body: &[u8],
    ) -> Result<Response<Answer>, Aborted> {
        *state.calls.entry(method.to_owned()).or_default() += 1;
        let failure = state.knobs.take_failure(method);
        match &failure {
            Some(Failure::TooManyRequests { retry_after_s }) => {
                let mut response = refused(StatusCode::TOO_MANY_REQUESTS, "ratelimited");
                let seconds = HeaderValue::from(*retry_after_s);
                response.headers_mut().insert(RETRY_AFTER, seconds);
                return Ok(response);
            }
            Some(Failure::Ratelimited) => return Ok(refused(StatusCode::OK, "ratelimited")),
            Some(Failure::Server { status }) => {
                let status = StatusCode::from_u16(*status);
                let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                return Ok(refused(status, "service_unavailable"));
            }
            Some(Failure::Refused { error }) => return Ok(refused(StatusCode::OK, error)),
            Some(Failure::Lost) | None => {}
        }
        let answer = self.answer_to(state, method, head, body);
        if failure == Some(Failure::Lost) {
            return Err(Aborted);
        }
        Ok(respond(StatusCode::OK, &answer))
    }

    fn answer_to(&self, state: &mut State, method: &str, head: &Parts, body: &[u8]) -> Value {
        let query = head.uri.query().unwrap_or_default();
        let mut missing_charset = false;
        let result = Arguments::read(query, &head.headers, body).and_then(|arguments| {
            match arguments.token() {
                None => return Err("not_authed"),
                Some(token) if token != self.shared.token => return Err("invalid_auth"),
                Some(_) => {}
            }
            missing_charset = arguments.missing_charset;
            let State { store, knobs, .. } = state;
            Call {
                arguments: &arguments,
                store,
                knobs,
                bot_user: &self.shared.bot_user,
            }
            .answer(method)
        });
        let mut answer = match result {
            Ok(fields) => fields,
            Err(error) => Map::from_iter([("error".to_owned(), json!(error))]),
        };
        answer.insert("ok".to_owned(), json!(!answer.contains_key("error")));
        if missing_charset {
            answer.insert("warning".to_owned(), json!("missing_charset"));
        }
        Value::Object(answer)
    }

    fn control(&self, head: &Parts, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.shared.state();
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/control/messages") => (StatusCode::OK, json!(state.store.messages())),
            (&Method::GET, "/control/stats") => (StatusCode::OK, json!(Stats::of(&state))),
            (&Method::GET, "/control/knobs") => (StatusCode::OK, json!(state.knobs)),
            (&Method::POST, "/control/knobs") => match state.knobs.changed(body) {
                Ok(knobs) => {
                    state.knobs = knobs;
                    (StatusCode::OK, json!(state.knobs))
                }
                Err(reason) => (StatusCode::BAD_REQUEST, json!({ "error": reason })),
            },
            (&Method::POST, "/control/react") => react(&mut state, body),
            (&Method::POST, "/control/reset") => {
                let knobs = std::mem::take(&mut state.knobs);
                *state = State {
                    knobs,
                    ..State::default()
                };
                (StatusCode::OK, json!({}))
            }
            _ => (
                StatusCode::NOT_FOUND,
                json!({ "error": "unknown route; expected GET /control/messages, GET \
                    /control/stats, GET or POST /control/knobs, POST /control/react, or POST \
                    /control/reset" }),
            ),
        }
    }
}

impl Handler for Endpoint {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Aborted> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Aborted)?.to_bytes();
        let received_at = Instant::now();
        let path = head.uri.path();
        if path.starts_with("/control/") {
            let (status, answer) = self.control(&head, &body);
            return Ok(respond(status, &answer));
        }
        let Some(method) = path.strip_prefix("/api/") else {
            return Ok(refused(StatusCode::NOT_FOUND, "unknown_method"));
        };
        let (response, latency_ms) = {
            let mut state = self.shared.state();
            let response = self.call(&mut state, method, &head, &body);
            (response, state.knobs.latency_ms)
        };
        self.shared.changed.notify_waiters();
        if latency_ms > 0 {
            let answer_at = received_at + Duration::from_millis(latency_ms);
            self.timer.sleep_until(answer_at).await;
        }
        response
    }
}

fn react(state: &mut State, body: &[u8]) -> (StatusCode, Value) {
    let react: React = match serde_json::from_slice(body) {
        Ok(react) => react,
        Err(error) => {
            let reason = format!("expected {{\"ts\", \"user\", \"name\"}}: {error}");
            return (StatusCode::BAD_REQUEST, json!({ "error": reason }));
        }
    };
    let change = if react.remove {
        super::store::Store::unreact
    } else {
        super::store::Store::react
    };
    match change(&mut state.store, &react.ts, &react.user, &react.name) {
        Ok(()) => (StatusCode::OK, json!({})),
        Err(error) => (StatusCode::NOT_FOUND, json!({ "error": error })),
    }
}

fn refused(status: StatusCode, error: &str) -> Response<Answer> {
    respond(status, &json!({ "ok": false, "error": error }))
}

fn respond(status: StatusCode, answer: &Value) -> Response<Answer> {
    let body = Bytes::from(answer.to_string());
    let mut response = Response::new(Answer::whole(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
