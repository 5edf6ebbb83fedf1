//! A Slack double that fails on demand: keeps messages and reactions, and logs every call. Serves
//! only the methods that these tests need.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use thoughtgate_approval::Id;
use tokio::net::TcpListener;
use tokio::time::Sleep;

use crate::support::eventually;

pub(crate) const BOT_USER: &str = "U0BOT";
const BOT: &str = "B0BOT";

type Said = UnsyncBoxBody<Bytes, Broken>;

/// Fault of one call. "After it happened" means that the call took effect.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// 429 with `Retry-After: 1`; nothing happens.
    Limited,
    /// 200, `ok: false`, `ratelimited`, `Retry-After: 1`; nothing happens.
    LimitedInBody,
    /// 500, after it happened.
    ErrorAfter,
    /// 503; nothing happens.
    ErrorBefore,
    /// The connection breaks, after it happened.
    BreakAfter,
    /// No answer ever, after it happened.
    HangAfter,
    /// `ok: false` with this error.
    Refuse(&'static str),
    /// This status and body; nothing happens.
    Say(u16, String),
    /// A redirect to this address; nothing happens.
    Redirect(String),
    /// A body that never ends, a byte at a time; nothing happens.
    Drip,
    /// A body that never ends, as fast as it is read; nothing happens.
    Flood,
}

#[derive(Default)]
struct State {
    messages: Vec<Value>,
    calls: Vec<(String, Value)>,
    faults: HashMap<String, VecDeque<Fault>>,
    /// A channel in which every post hangs, without happening.
    stuck_channel: Option<String>,
    page_size: Option<usize>,
    group: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Slack {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Slack {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let slack = Self {
            state: Arc::default(),
            port,
        };
        let shared = slack.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let slack = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| slack.clone().serve(request));
                    // A broken connection is the point of some tests.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        slack
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds this")
    }

    /// The next calls of `method` meet these faults.
    pub(crate) fn fail(&self, method: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state()
            .faults
            .entry(method.to_owned())
            .or_default()
            .extend(faults);
    }

    pub(crate) fn stick(&self, channel: &str) {
        self.state().stuck_channel = Some(channel.to_owned());
    }

    pub(crate) fn set_page_size(&self, size: usize) {
        self.state().page_size = Some(size);
    }

    pub(crate) fn set_group(&self, users: &[&str]) {
        self.state().group = users.iter().map(ToString::to_string).collect();
    }

    /// Number of calls of `method`.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.state()
            .calls
            .iter()
            .filter(|(called, _)| called == method)
            .count()
    }

    pub(crate) fn count_all(&self) -> usize {
        self.state().calls.len()
    }

    /// The messages about an approval: more than one is a bug.
    pub(crate) fn messages(&self, id: Id) -> Vec<Value> {
        let id = id.to_string();
        let state = self.state();
        let about = |message: &&Value| message["metadata"]["event_payload"]["approval_id"] == id;
        state.messages.iter().filter(about).cloned().collect()
    }

    /// The whole text of the one message about an approval.
    pub(crate) fn text(&self, id: Id) -> String {
        self.messages(id)
            .first()
            .map(|message| message["blocks"].to_string())
            .unwrap_or_default()
    }

    /// Waits for the message about an approval, then adds reactions to it, all at once.
    pub(crate) async fn react_to(&self, id: Id, reactions: &[(&str, &str)]) {
        eventually("approvers are asked", || !self.messages(id).is_empty()).await;
        let id = id.to_string();
        let mut state = self.state();
        for message in &mut state.messages {
            if message["metadata"]["event_payload"]["approval_id"] == id {
                for (user, name) in reactions {
                    add_reaction(message, user, name);
                }
            }
        }
    }

    /// Takes every reaction of `user` to the message about an approval away.
    pub(crate) fn unreact(&self, id: Id, user: &str) {
        let id = id.to_string();
        let mut state = self.state();
        let about =
            |message: &&mut Value| message["metadata"]["event_payload"]["approval_id"] == id;
        for message in state.messages.iter_mut().filter(about) {
            let reactions = message["reactions"].as_array_mut().expect("a list");
            for reaction in reactions.iter_mut() {
                let users = reaction["users"].as_array_mut().expect("a list");
                users.retain(|given| given != user);
                reaction["count"] = json!(users.len());
            }
            reactions.retain(|reaction| reaction["count"] != 0);
        }
    }

    pub(crate) fn delete(&self, id: Id) {
        let id = id.to_string();
        let about = |message: &Value| message["metadata"]["event_payload"]["approval_id"] == id;
        self.state().messages.retain(|message| !about(message));
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Said>, Broken> {
        let authorized = request
            .headers()
            .get("authorization")
            .is_some_and(|token| token == "Bearer xoxb-test");
        assert!(authorized, "every call carries the token");
        let method = request.uri().path().trim_start_matches("/api/").to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(|_| Broken)?
            .to_bytes();
        let arguments = if body.is_empty() {
            from_query(&query)
        } else {
            serde_json::from_slice(&body).map_err(|_| Broken)?
        };
        let fault = {
            let mut state = self.state();
            state.calls.push((method.clone(), arguments.clone()));
            state.faults.get_mut(&method).and_then(VecDeque::pop_front)
        };
        let stuck = self.state().stuck_channel.clone();
        if method == "chat.postMessage" && stuck.is_some_and(|stuck| arguments["channel"] == *stuck)
        {
            std::future::pending::<()>().await;
        }
        let act = || self.answer(&method, &arguments);
        match fault {
            None => Ok(respond(200, &act())),
            Some(Fault::Limited) => Ok(respond(429, &json!({"ok": false}))),
            Some(Fault::LimitedInBody) => {
                Ok(respond(200, &json!({"ok": false, "error": "ratelimited"})))
            }
            Some(Fault::ErrorBefore) => Ok(respond(503, &json!({"ok": false}))),
            Some(Fault::Refuse(error)) => Ok(respond(200, &json!({"ok": false, "error": error}))),
            Some(Fault::Say(status, body)) => Ok(answer(status, Bytes::from(body))),
            Some(Fault::Redirect(to)) => {
                let mut response = respond(302, &json!({"ok": true}));
                let to = to.parse().expect("an address");
                response.headers_mut().insert("location", to);
                Ok(response)
            }
            Some(Fault::Drip) => Ok(endless(b" ", Duration::from_millis(10))),
            Some(Fault::Flood) => Ok(endless(&[b' '; 16 * 1024], Duration::ZERO)),
            Some(Fault::ErrorAfter) => {
                act();
                Ok(respond(500, &json!({"ok": false})))
            }
            Some(Fault::BreakAfter) => {
                act();
                Err(Broken)
            }
            Some(Fault::HangAfter) => {
                act();
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Err(Broken)
            }
        }
    }

    fn answer(&self, method: &str, arguments: &Value) -> Value {
        match method {
            "auth.test" => {
                json!({"ok": true, "user_id": BOT_USER, "bot_id": BOT, "team_id": "T0MOCK"})
            }
            "chat.postMessage" => self.post(arguments),
            "chat.update" => self.update(arguments),
            "conversations.history" => self.history(arguments),
            "conversations.list" => json!({"ok": true, "channels": [
                {"id": "C0OTHER", "name": "general"},
                {"id": "C0NAMED", "name": "named"},
            ]}),
            "reactions.get" => match self
                .state()
                .messages
                .iter()
                .find(|m| m["ts"] == arguments["timestamp"])
            {
                Some(message) => json!({"ok": true, "message": message}),
                None => json!({"ok": false, "error": "message_not_found"}),
            },
            "usergroups.users.list" => json!({"ok": true, "users": self.state().group}),
            _ => json!({"ok": false, "error": "unknown_method"}),
        }
    }

    fn post(&self, arguments: &Value) -> Value {
        let mut state = self.state();
        let ts = format!("{}.000000", 1_800_000_000 + state.messages.len());
        let mut message = arguments.clone();
        message["ts"] = json!(ts);
        message["user"] = json!(BOT_USER);
        message["bot_id"] = json!(BOT);
        if message["channel"] == "#named" {
            message["channel"] = json!("C0NAMED");
        }
        let channel = message["channel"].clone();
        state.messages.push(message);
        json!({"ok": true, "channel": channel, "ts": ts})
    }

    fn update(&self, arguments: &Value) -> Value {
        let mut state = self.state();
        match state
            .messages
            .iter_mut()
            .find(|message| message["ts"] == arguments["ts"])
        {
            Some(message) => {
                message["blocks"] = arguments["blocks"].clone();
                json!({"ok": true})
            }
            None => json!({"ok": false, "error": "message_not_found"}),
        }
    }

    /// Newest first, in pages.
    fn history(&self, arguments: &Value) -> Value {
        let state = self.state();
        let oldest = arguments["oldest"].as_str().unwrap_or("0");
        let mut found: Vec<Value> = state
            .messages
            .iter()
            .filter(|message| message["channel"] == arguments["channel"])
            .filter(|message| message["ts"].as_str().is_some_and(|ts| ts >= oldest))
            .cloned()
            .collect();
        found.reverse();
        let start: usize = arguments["cursor"]
            .as_str()
            .and_then(|cursor| cursor.parse().ok())
            .unwrap_or(0);
        let size = state.page_size.unwrap_or(200);
        let next = if start + size < found.len() {
            (start + size).to_string()
        } else {
            String::new()
        };
        let page: Vec<Value> = found.into_iter().skip(start).take(size).collect();
        json!({"ok": true, "messages": page, "response_metadata": {"next_cursor": next}})
    }
}

fn add_reaction(message: &mut Value, user: &str, name: &str) {
    if !message["reactions"].is_array() {
        message["reactions"] = json!([]);
    }
    let reactions = message["reactions"].as_array_mut().expect("a list");
    match reactions
        .iter_mut()
        .find(|reaction| reaction["name"] == name)
    {
        Some(reaction) => {
            reaction["users"]
                .as_array_mut()
                .expect("a list")
                .push(json!(user));
            reaction["count"] = json!(reaction["count"].as_u64().unwrap_or(0) + 1);
        }
        None => reactions.push(json!({"name": name, "users": [user], "count": 1})),
    }
}

fn from_query(query: &str) -> Value {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Value::Object(
        pairs
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect(),
    )
}

fn respond(status: u16, body: &Value) -> Response<Said> {
    answer(status, Bytes::from(body.to_string()))
}

fn answer(status: u16, body: Bytes) -> Response<Said> {
    let body = Full::new(body).map_err(|never| match never {});
    Response::builder()
        .status(status)
        .header("retry-after", "1")
        .body(body.boxed_unsync())
        .expect("a response")
}

/// `piece` again and again.
struct Endless {
    piece: &'static [u8],
    every: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        ready!(self.sleep.as_mut().poll(context));
        let next = tokio::time::Instant::now() + self.every;
        self.sleep.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.piece)))))
    }
}

fn endless(piece: &'static [u8], every: Duration) -> Response<Said> {
    let sleep = Box::pin(tokio::time::sleep(every));
    let body = Endless {
        piece,
        every,
        sleep,
    };
    Response::new(body.boxed_unsync())
}

/// Makes hyper drop the connection without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
