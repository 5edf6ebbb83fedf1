//! A Slack workspace with one bot, as far as approvals need it: messages, updates, reactions.
//!
//! It keeps what was posted with the time of its arrival, reacts on demand or by itself, and
//! fails as the knobs say. It models neither scopes nor Slack's own rate limits.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

mod arguments;
mod endpoint;
mod knobs;
mod methods;
mod store;

pub use knobs::{Decision, Knobs};
pub use store::{Content, Message, Reaction, Update};

use crate::server::{self, Running};
use endpoint::Endpoint;
use store::Store;

/// How long [`MockSlack::wait_for`] waits before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is fixed for the life of a double.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token that calls must carry.
    pub token: String,
    /// User id of the bot, which `auth.test` tells.
    pub bot_user: String,
    /// The knobs to begin with.
    pub knobs: Knobs,
}

/// A double that runs in this process, on a thread of its own, until dropped.
#[derive(Debug)]
pub struct MockSlack {
    shared: Arc<Shared>,
    running: Running,
}

/// The calls so far, refused ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// By method, such as `chat.postMessage`.
    pub calls: BTreeMap<String, u64>,
    /// Of all methods.
    pub total_calls: u64,
    /// Messages posted.
    pub messages: usize,
}

#[derive(Debug)]
struct Shared {
    token: String,
    bot_user: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    knobs: Knobs,
    store: Store,
    calls: BTreeMap<String, u64>,
}

impl Default for Config {
    /// A free port of the loopback, token `xoxb-test`, bot `U0BOT`.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: "xoxb-test".to_owned(),
            bot_user: "U0BOT".to_owned(),
            knobs: Knobs::default(),
        }
    }
}

/// Starts a double on a thread of its own.
///
/// # Errors
/// The address cannot be bound, or the system has no thread or descriptor left.
pub fn spawn(config: Config) -> io::Result<MockSlack> {
    let listen = config.listen;
    let shared = Shared::new(config);
    let inside = Arc::clone(&shared);
    let running = Running::spawn("mock-slack", listen, move || Endpoint::new(inside))?;
    Ok(MockSlack { shared, running })
}

/// Serves on the runtime of the caller until dropped; `listening` gets the address first.
///
/// # Errors
/// The address cannot be bound, or `listening` failed.
pub async fn run(
    config: Config,
    listening: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listener = server::bind(config.listen)?;
    let endpoint = Endpoint::new(Shared::new(config))?;
    listening(listener.local_addr()?)?;
    server::serve(listener, endpoint).await
}

impl MockSlack {
    /// What replaces `https://slack.com/api/`: such as `http://127.0.0.1:4711/api/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api/", self.running.address())
    }

    /// The URL of the control routes, without a slash at its end.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}/control", self.running.address())
    }

    /// All messages in order of arrival.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.state().store.messages()
    }

    /// The calls so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.shared.state())
    }

    /// How often `method` was called.
    #[must_use]
    pub fn calls(&self, method: &str) -> u64 {
        self.stats().calls.get(method).copied().unwrap_or(0)
    }

    /// The knobs now, counted down.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.shared.state().knobs.clone()
    }

    /// Changes some knobs.
    pub fn turn(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.shared.state().knobs);
    }

    /// Lets `user` react with `name` to the message with this `ts`.
    ///
    /// # Panics
    /// There is no such message, or the user has reacted so before.
    pub fn react(&self, ts: &str, user: &str, name: &str) {
        let result = self.shared.state().store.react(ts, user, name);
        result.unwrap_or_else(|error| panic!("{error}: `{name}` by `{user}` on `{ts}`"));
    }

    /// Lets `user` take the reaction back.
    ///
    /// # Panics
    /// There is no such message or reaction.
    pub fn unreact(&self, ts: &str, user: &str, name: &str) {
        let result = self.shared.state().store.unreact(ts, user, name);
        result.unwrap_or_else(|error| panic!("{error}: `{name}` by `{user}` on `{ts}`"));
    }

    /// Waits until there are `count` messages, and returns all.
    ///
    /// # Panics
    /// When there are not within ten seconds.
    pub async fn wait_for_messages(&self, count: usize) -> Vec<Message> {
        let what = format!("{count} messages");
        let there = || Some(self.messages()).filter(|messages| messages.len() >= count);
        self.wait(&what, there).await
    }

    /// Waits until the double is as wanted after some call.
    ///
    /// # Panics
    /// When it is not within ten seconds.
    pub async fn wait_for(&self, wanted: impl Fn(&Self) -> bool) {
        self.wait("the wanted state", || wanted(self).then_some(()))
            .await;
    }

    /// Stops, cutting what is open, and returns when the port is closed.
    pub async fn shutdown(mut self) {
        // The thread ends within one turn of its loop; a failed join was a panic, already printed.
        let _ = tokio::task::spawn_blocking(move || self.running.stop()).await;
    }

    fn wait<T>(&self, what: &str, there: impl Fn() -> Option<T>) -> impl Future<Output = T> {
        let until = tokio::time::Instant::now() + PATIENCE;
        async move {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(found) = there() {
                    return found;
                }
                let changed = tokio::time::timeout_at(until, changed).await;
                assert!(changed.is_ok(), "no {what}: {:?}", self.stats());
            }
        }
    }
}

impl Stats {
    fn of(state: &State) -> Self {
        Self {
            calls: state.calls.clone(),
            total_calls: state.calls.values().sum(),
            messages: state.store.messages().len(),
        }
    }
}

impl Shared {
    fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            token: config.token,
            bot_user: config.bot_user,
            state: Mutex::new(State {
                knobs: config.knobs,
                ..State::default()
            }),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
