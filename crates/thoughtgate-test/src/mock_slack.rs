//! A double of a Slack workspace with one bot, as far as approvals need it: messages, updates,
//! reactions.
//!
//! It keeps posted messages with their time of arrival, reacts on demand or automatically, and fails
//! according to the knobs, or as a test demands of one method. It does not model Slack's own rate limits.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

mod access;
mod arguments;
mod endpoint;
mod fault;
mod knobs;
mod methods;
mod response;
mod shared;
mod store;

pub use fault::Fault;
pub use knobs::{Decision, Knobs};
pub use shared::{Config, Stats};
pub use store::{Content, Message, Reaction, Update};

use crate::server::{self, Running};
use endpoint::Endpoint;
use shared::Shared;

/// Deadline of [`MockSlack::wait_for`].
const PATIENCE: Duration = Duration::from_secs(10);

/// A double that runs on a thread of this process until dropped.
#[derive(Debug)]
pub struct MockSlack {
    shared: Arc<Shared>,
    running: Running,
}

/// Starts a double on a new thread.
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

/// Serves on the caller's runtime until dropped. Calls `listening` with the address first.
///
/// # Errors
/// The address cannot be bound, or `listening` failed.
pub async fn run(
    config: Config,
    listening: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listen = config.listen;
    server::run(listen, || Endpoint::new(Shared::new(config)), listening).await
}

impl MockSlack {
    /// Base URL of the API in place of `https://slack.com/api/`, such as `http://127.0.0.1:4711/api/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api/", self.running.address())
    }

    /// URL of the control routes, without a trailing slash.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}/control", self.running.address())
    }

    /// All messages, in order of arrival.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.state().store.messages()
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.shared.state())
    }

    /// Number of calls of `method`.
    #[must_use]
    pub fn calls(&self, method: &str) -> u64 {
        self.stats().calls.get(method).copied().unwrap_or(0)
    }

    /// The current knobs; those that begin with `next_` have been counted down.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.shared.state().knobs.clone()
    }

    /// Changes some knobs.
    pub fn turn(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.shared.state().knobs);
    }

    /// Makes the next calls of `method` meet these faults, in order, after those of it that are left
    /// and before those that a knob counts. `/control/reset` removes them.
    pub fn fail(&self, method: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.shared.state();
        let queue = state.faults.entry(method.to_owned()).or_default();
        queue.extend(faults);
    }

    /// Adds the reaction `name` by `user` to the message with this `ts`.
    ///
    /// # Panics
    /// There is no such message, or the user has added this reaction before.
    pub fn react(&self, ts: &str, user: &str, name: &str) {
        self.react_at_once(ts, &[(user, name)]);
    }

    /// Adds reactions, each a user and a name, of which a call sees all or none.
    ///
    /// # Panics
    /// As for [`react`](Self::react).
    pub fn react_at_once(&self, ts: &str, reactions: &[(&str, &str)]) {
        let mut state = self.shared.state();
        for (user, name) in reactions {
            let result = state.store.react(ts, user, name);
            result.unwrap_or_else(|error| panic!("{error}: `{name}` by `{user}` on `{ts}`"));
        }
    }

    /// Removes the reaction `name` by `user` from the message with this `ts`.
    ///
    /// # Panics
    /// There is no such message or reaction.
    pub fn unreact(&self, ts: &str, user: &str, name: &str) {
        let result = self.shared.state().store.unreact(ts, user, name);
        result.unwrap_or_else(|error| panic!("{error}: `{name}` by `{user}` on `{ts}`"));
    }

    /// Deletes the message with this `ts`, as a person would in Slack.
    ///
    /// # Panics
    /// There is no such message.
    pub fn delete(&self, ts: &str) {
        let result = self.shared.state().store.delete(ts);
        result.unwrap_or_else(|error| panic!("{error}: `{ts}`"));
    }

    /// Waits until there are `count` messages, and returns all.
    ///
    /// # Panics
    /// There are fewer after ten seconds.
    pub async fn wait_for_messages(&self, count: usize) -> Vec<Message> {
        let what = format!("{count} messages");
        let there = || Some(self.messages()).filter(|messages| messages.len() >= count);
        self.wait(&what, there).await
    }

    /// Waits until `wanted` is true after some call.
    ///
    /// # Panics
    /// It is not true within ten seconds.
    pub async fn wait_for(&self, wanted: impl Fn(&Self) -> bool) {
        self.wait("the expected state", || wanted(self).then_some(()))
            .await;
    }

    /// Stops, closes open connections, and returns when the port is closed.
    pub async fn shutdown(self) {
        self.running.shutdown().await;
    }

    fn wait<T>(&self, what: &str, there: impl Fn() -> Option<T>) -> impl Future<Output = T> {
        let until = tokio::time::Instant::now() + PATIENCE;
        async move {
            loop {
                // Created before the check, so that a call in between is not missed.
                let changed = self.shared.changed.notified();
                if let Some(found) = there() {
                    return found;
                }
                let changed = tokio::time::timeout_at(until, changed).await;
                assert!(changed.is_ok(), "no {what} in time: {:?}", self.stats());
            }
        }
    }
}
