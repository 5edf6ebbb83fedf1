//! The state of one Slack double: its workspace, its knobs, its counters.
//!
//! Knows no method of Slack's API and no HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::fault::Fault;
use super::knobs::Knobs;
use super::store::Store;

/// Settings that are fixed for the life of a double.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; port 0 selects a free one.
    pub listen: SocketAddr,
    /// Bearer token that calls must have.
    pub token: String,
    /// User id of the bot, which `auth.test` returns.
    pub bot_user: String,
    /// Initial knobs.
    pub knobs: Knobs,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Number of calls, including refused ones, by method such as `chat.postMessage`.
    pub calls: BTreeMap<String, u64>,
    /// Number of calls of all methods.
    pub total_calls: u64,
    /// Number of posted messages.
    pub messages: usize,
}

/// Everything that the handler and the owner of a double share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) token: String,
    pub(super) bot_user: String,
    state: Mutex<State>,
    /// Notified after each call.
    pub(super) changed: Notify,
}

/// The state that calls read and change.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) knobs: Knobs,
    pub(super) store: Store,
    pub(super) calls: BTreeMap<String, u64>,
    /// Faults that the next calls of a method meet, in order.
    pub(super) faults: BTreeMap<String, VecDeque<Fault>>,
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

impl Stats {
    pub(super) fn of(state: &State) -> Self {
        Self {
            calls: state.calls.clone(),
            total_calls: state.calls.values().sum(),
            messages: state.store.messages().len(),
        }
    }
}

impl State {
    /// The fault of this call of `method`, if it meets one: the next of the method's own, else one
    /// that a knob counts.
    pub(super) fn take_fault(&mut self, method: &str) -> Option<Fault> {
        let own = self.faults.get_mut(method).and_then(VecDeque::pop_front);
        own.or_else(|| self.knobs.take_fault(method))
    }
}

impl Shared {
    pub(super) fn new(config: Config) -> Arc<Self> {
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
