//! The routes of the Slack double: `/api/{method}` with token and failures, and `/control` for tests.
//! The methods themselves are in `methods`.
//!
//! The order for a call: count, fail without effect, check the token, take effect, fail after it,
//! wait, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access;
use super::arguments::Arguments;
use super::fault::Outcome;
use super::methods::{self, Call, POST_MESSAGE};
use super::response::{refused, respond};
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

    /// Counts one call of `method` and executes it, or not, as its fault demands.
    fn call(&self, state: &mut State, method: &str, head: &Parts, body: &[u8]) -> Outcome {
        *state.calls.entry(method.to_owned()).or_default() += 1;
        // Before the faults, so that a stuck channel uses none of them up.
        if is_stuck(state, method, head, body) {
            return Outcome::Hang;
        }
        let Some(fault) = state.take_fault(method) else {
            let answer = self.answer_to(state, method, head, body);
            let mut response = respond(StatusCode::OK, &answer);
            if !answer["error"].as_str().is_some_and(access::is_about_token) {
                access::describe(response.headers_mut(), &state.knobs, method);
            }
            return Outcome::Answer(response);
        };
        if fault.has_effect() {
            self.answer_to(state, method, head, body);
        }
        fault.outcome(|error| access::refused(&state.knobs, method, error))
    }

    /// Executes one call of `method`, and returns the answer to it.
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
            if let Some(refusal) = access::refusal(knobs, method, &arguments) {
                return Ok(methods::fields(refusal));
            }
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
        // The lock ends with this block: other calls are answered during the wait.
        let (outcome, latency_ms) = {
            let mut state = self.shared.state();
            let outcome = self.call(&mut state, method, &head, &body);
            (outcome, state.knobs.latency_ms)
        };
        self.shared.changed.notify_waiters();
        if latency_ms > 0 {
            let answer_at = received_at + Duration::from_millis(latency_ms);
            self.timer.sleep_until(answer_at).await;
        }
        match outcome {
            Outcome::Answer(response) => Ok(response),
            Outcome::Close => Err(Aborted),
            Outcome::Hang => std::future::pending().await,
        }
    }
}

/// Whether the call posts to the channel in which no post is answered.
fn is_stuck(state: &State, method: &str, head: &Parts, body: &[u8]) -> bool {
    let Some(stuck) = &state.knobs.stuck_channel else {
        return false;
    };
    let query = head.uri.query().unwrap_or_default();
    let arguments = Arguments::read(query, &head.headers, body);
    method == POST_MESSAGE
        && arguments.is_ok_and(|arguments| arguments.text("channel").as_ref() == Some(stuck))
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
