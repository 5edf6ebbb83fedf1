//! One POST to the MCP double, from its last byte to its answer: count, keep, wait for the service
//! time, hold, break, answer.
//!
//! The knobs at the time when the request has arrived apply until its end, except for `hold`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use tokio::sync::watch;

use super::double::Endpoint;
use super::envelope::Envelope;
use super::knobs::{Canned, Fault, Hold};
use super::response::{SESSION_HEADER, empty, event, event_stream, json};
use super::shared::Setting;
use super::{replies, stream};
use crate::body::{Aborted, Answer, InFlight};

const UNMATCHED_ID: &str = r#""an id that nobody sent""#;

/// One request that is being answered.
pub(super) struct Exchange<'a> {
    endpoint: &'a Endpoint,
    setting: Arc<Setting>,
    settings: watch::Receiver<Arc<Setting>>,
    guard: InFlight,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, guard: InFlight) -> Self {
        let settings = endpoint.shared.settings.subscribe();
        let setting = Arc::clone(&settings.borrow());
        Self {
            endpoint,
            setting,
            settings,
            guard,
        }
    }

    /// Answers a probe as any other request is answered that is held, broken or canned, but else at once.
    pub(super) async fn probe(
        endpoint: &Endpoint,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Answer>, Aborted> {
        endpoint.record().probes.fetch_add(1, Ordering::Relaxed);
        // A client that stops waiting for this is not one that a test counts.
        let guard = InFlight::new(&Arc::default());
        let mut exchange = Exchange::new(endpoint, guard);
        let listens = request.method() == Method::GET;
        let body = request.collect().await.map_err(|_| Aborted)?.to_bytes();
        if exchange.setting.knobs.hold == Hold::Answer {
            stream::released(&mut exchange.settings, Hold::Answer).await;
        }
        if exchange.setting.knobs.fault == Fault::CloseBeforeAnswer {
            return Err(Aborted);
        }
        if let Some(canned) = &exchange.setting.knobs.canned {
            return Ok(render(canned));
        }
        if listens {
            // Ends at once, so that it is none of the open streams that a test counts.
            return Ok(event_stream(Answer::whole(Bytes::from_static(
                b": open\n\n",
            ))));
        }
        let parsed = serde_json::from_slice::<Envelope<'_>>(&body);
        let tail = exchange.setting.replies.tail("ping", false);
        match (parsed.ok().and_then(|envelope| envelope.id), tail) {
            (Some(id), Some(tail)) => {
                let reply = replies::reply(id.get(), tail);
                Ok(json(StatusCode::OK, Answer::whole(reply)))
            }
            _ => Ok(empty(StatusCode::BAD_REQUEST)),
        }
    }

    /// Answers a POST to `/mcp`.
    pub(super) async fn post(
        mut self,
        head: Parts,
        body: Bytes,
    ) -> Result<Response<Answer>, Aborted> {
        let received_at = Instant::now();
        let parsed = serde_json::from_slice::<Envelope<'_>>(&body);
        let modern = parsed
            .as_ref()
            .is_ok_and(|envelope| envelope.is_modern(&head.headers));
        self.endpoint.record().keep(head, body.clone());
        if let Ok(envelope) = &parsed
            && envelope.id.is_some()
        {
            if envelope.method.as_deref() == Some("tools/call") {
                self.endpoint.record().called(&envelope.params);
            }
            self.serve(received_at).await;
        }
        if self.setting.knobs.hold == Hold::Answer {
            stream::released(&mut self.settings, Hold::Answer).await;
        }
        if self.setting.knobs.fault == Fault::CloseBeforeAnswer {
            self.guard.finish();
            return Err(Aborted);
        }
        if let Some(response) = self.instead_of_an_answer() {
            return Ok(self.guarded(response));
        }
        let response = match parsed {
            Ok(envelope) => self.reply(&envelope, modern),
            Err(error) => {
                let tail = replies::error_tail(-32700, &error.to_string());
                json(
                    StatusCode::BAD_REQUEST,
                    Answer::whole(replies::reply("null", &tail)),
                )
            }
        };
        Ok(self.guarded(response))
    }

    /// Waits for the rest of the service time.
    async fn serve(&self, received_at: Instant) {
        let service_time = Duration::from_micros(self.setting.knobs.service_time_us);
        if !service_time.is_zero() {
            let timer = &self.endpoint.timer;
            timer.sleep_until(received_at + service_time).await;
        }
    }

    /// A canned answer or an injected error.
    fn instead_of_an_answer(&self) -> Option<Response<Answer>> {
        let knobs = &self.setting.knobs;
        if let Some(canned) = &knobs.canned {
            return Some(render(canned));
        }
        if !self.endpoint.shared.injects_error(knobs.error_rate) {
            return None;
        }
        let status =
            StatusCode::from_u16(knobs.error_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Bytes::from_static(br#"{"error":"injected"}"#);
        Some(json(status, Answer::whole(body)))
    }

    fn reply(&self, envelope: &Envelope<'_>, modern: bool) -> Response<Answer> {
        let (Some(id), Some(method)) = (envelope.id, envelope.method.as_deref()) else {
            return empty(StatusCode::ACCEPTED);
        };
        let id = id.get();
        if modern && method == "subscriptions/listen" {
            return self.listen(id);
        }
        let replies = &self.setting.replies;
        let Some(tail) = replies.tail(method, modern) else {
            // Only the stateless protocol gives an unknown method an HTTP status of its own.
            let status = if modern {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::OK
            };
            let reply = replies::reply(id, replies.unknown_method());
            return json(status, Answer::whole(reply));
        };
        let reply = match self.setting.knobs.fault {
            Fault::WrongId => replies::reply(UNMATCHED_ID, tail),
            Fault::NoResult => replies::reply_without_result(id),
            _ if self.setting.echoes(method, &envelope.params) => {
                replies::reply(id, &replies::echo_tail(&envelope.params, modern))
            }
            _ => replies::reply(id, tail),
        };
        let mut response = self.in_its_time(reply);
        if method == "initialize" {
            let session = self.endpoint.new_session();
            response.headers_mut().insert(SESSION_HEADER, session);
        }
        response
    }

    /// The reply, complete, slow, as events or half of it, according to the knobs.
    fn in_its_time(&self, reply: Bytes) -> Response<Answer> {
        let knobs = &self.setting.knobs;
        let timer = &self.endpoint.timer;
        if knobs.fault == Fault::CloseMidAnswer {
            return json(StatusCode::OK, stream::half(timer, &reply));
        }
        if knobs.sse || knobs.hold == Hold::Stream {
            let open = self.endpoint.record().open_stream();
            let settings = self.settings.clone();
            let answer = stream::events(timer, &self.setting, settings, &reply, open);
            return event_stream(answer);
        }
        let answer = match knobs.slow_body_ms {
            0 => Answer::whole(reply),
            spread_ms => stream::slowly(timer, Duration::from_millis(spread_ms), reply),
        };
        json(StatusCode::OK, answer)
    }

    /// The stream of the stateless protocol for messages that the server sends on its own.
    fn listen(&self, id: &str) -> Response<Answer> {
        let acknowledged = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}},"notifications":{{}}}}}}"#
        );
        let shared = &self.endpoint.shared;
        event_stream(stream::endless(
            &self.setting,
            shared.pushed.subscribe(),
            event(acknowledged.as_bytes()),
            self.endpoint.record().open_stream(),
        ))
    }

    fn guarded(self, response: Response<Answer>) -> Response<Answer> {
        response.map(|answer| answer.guarded(self.guard))
    }
}

fn render(canned: &Canned) -> Response<Answer> {
    let mut response = empty(StatusCode::from_u16(canned.status).unwrap_or(StatusCode::OK));
    for (name, value) in &canned.headers {
        let name = HeaderName::try_from(name).expect("the knobs were checked");
        let value = HeaderValue::try_from(value).expect("the knobs were checked");
        response.headers_mut().append(name, value);
    }
    *response.body_mut() = Answer::whole(canned.body.clone());
    response
}
