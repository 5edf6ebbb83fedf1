//! Approved calls of the session era whose results are not delivered yet: the same call, sent again, finds its
//! execution here and is not made again.
//!
//! Only the list of them, with its limits. A task of [`super::execution`] makes each call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use thoughtgate_approval::{Digest, Id, UserDigest};
use thoughtgate_panic::lock;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, oneshot};

use super::denial::Denial;
use super::parked::Key;
use crate::drain::{Drain, InFlight};
use crate::message::Raw;
use crate::relay::BodyError;

/// Limit for one agent.
const PER_AGENT_MAX: usize = 16;
/// Limit for all agents. Each call may occupy an upstream connection, and up to a megabyte of the budget.
pub const RUNNING_MAX: usize = 64;

/// The calls that run.
#[derive(Clone)]
pub struct Running(Arc<List>);

struct List {
    entries: Mutex<Vec<Entry>>,
    numbers: AtomicU64,
    drain: Arc<Drain>,
}

struct Entry {
    number: u64,
    key: Key,
    user: UserDigest,
    agent: String,
    approval: Id,
    /// Clients that have not left: each has a place among the held calls or a connection, which are limited.
    clients: VecDeque<Client>,
    arrived: Arc<Notify>,
    /// Number of clients that wait.
    waiting: usize,
    /// Whether the call still runs: there is nothing to deliver yet.
    runs: bool,
    /// Whether the log says that its result is lost.
    is_lost: bool,
    /// While it runs without a client; those of clients are counted by themselves.
    in_flight: Option<InFlight>,
}

/// A client that waits for the result.
pub struct Client {
    /// The id of its call, which the result gets.
    pub id: Raw,
    pub answer: oneshot::Sender<Answer>,
}

/// Answer to a client that waits.
pub enum Answer {
    /// The upstream's: its head, and its body as it is read.
    Result(Response<()>, Receiver<Result<Bytes, BodyError>>),
    /// Another client has got it.
    Elsewhere,
    /// It is not made, because its approval does not count.
    Denied(Box<Denial>),
}

/// Answer to a request of a call that runs, in place of the result, with the approval that was used.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum Repeated {
    #[error(
        "the call was approved and is running, but not finished yet; send the same call again, with the same arguments, to get its result: the call is not executed again"
    )]
    Running(Id),
    #[error("the call was executed, and another request of the same call has got its result")]
    Collected(Id),
    #[error(
        "the call was not executed again: the same call was approved for a client of another version of MCP, which has not got its result yet; retry later"
    )]
    OtherEra(Id),
}

impl Repeated {
    /// Data for programs.
    pub fn data(&self) -> Value {
        let (Repeated::Running(id) | Repeated::Collected(id) | Repeated::OtherEra(id)) = self;
        json!({ "approval": id.to_string() })
    }
}

/// A call that runs, until dropped.
pub struct Run {
    running: Running,
    number: u64,
    arrived: Arc<Notify>,
}

/// The wait of a client, until dropped.
pub struct Ticket {
    running: Running,
    number: u64,
    pub answer: oneshot::Receiver<Answer>,
}

/// Execution of a call that is sent again, with the approval that was used for it.
pub enum Found {
    /// Its result can be waited for.
    Joined(Id, Ticket),
    /// Its result has the form of the other era.
    OtherEra(Id),
}

impl Running {
    pub fn new(drain: Arc<Drain>) -> Running {
        Running(Arc::new(List {
            entries: Mutex::default(),
            numbers: AtomicU64::new(0),
            drain,
        }))
    }

    /// Adds a call that is to be made with this approval for the client that sent it with `id`, unless there are
    /// too many; if another one uses the same approval, the client waits for that.
    pub fn enter(
        &self,
        (key, user): (Key, UserDigest),
        agent: &str,
        (approval, id): (Id, Raw),
    ) -> Option<(Option<Run>, Ticket)> {
        let mut entries = self.entries();
        let is_used = |entry: &&mut Entry| entry.approval == approval && entry.user == user;
        if let Some(entry) = entries.iter_mut().find(is_used) {
            return Some((None, self.ticket(entry, id)));
        }
        let own = entries.iter().filter(|entry| entry.agent == agent).count();
        if own >= PER_AGENT_MAX || entries.len() >= RUNNING_MAX {
            return None;
        }
        let arrived = Arc::new(Notify::new());
        // Relaxed: the numbers only have to differ.
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let mut entry = Entry {
            number,
            key,
            user,
            agent: agent.to_owned(),
            approval,
            clients: VecDeque::new(),
            arrived: Arc::clone(&arrived),
            waiting: 0,
            runs: true,
            is_lost: false,
            in_flight: None,
        };
        let ticket = self.ticket(&mut entry, id);
        entries.push(entry);
        drop(entries);
        let run = Run {
            running: self.clone(),
            number,
            arrived,
        };
        Some((Some(run), ticket))
    }

    /// Whether a call with this digest runs, whoever makes it.
    pub fn has(&self, digest: Digest) -> bool {
        let entries = self.entries();
        entries.iter().any(|entry| entry.key.digest == digest)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Notes that the result of the call that uses this approval is lost; returns whether that is new.
    pub fn lose(&self, approval: Id, user: UserDigest) -> bool {
        let mut entries = self.entries();
        let is_used = |entry: &&mut Entry| entry.approval == approval && entry.user == user;
        let entry = entries.iter_mut().find(is_used);
        // Of the modern era, nothing but the stream that answers the client holds the result.
        entry.is_none_or(|entry| !std::mem::replace(&mut entry.is_lost, true))
    }

    /// Lets the same call of `user`, sent again with `id`, wait for its result.
    pub fn join(&self, key: Key, user: UserDigest, id: Raw) -> Option<Found> {
        let mut entries = self.entries();
        let is_same = |entry: &&mut Entry| entry.key.digest == key.digest && entry.user == user;
        let entry = entries.iter_mut().find(is_same)?;
        if entry.key.era != key.era {
            return Some(Found::OtherEra(entry.approval));
        }
        let ticket = self.ticket(entry, id);
        Some(Found::Joined(entry.approval, ticket))
    }

    fn ticket(&self, entry: &mut Entry, id: Raw) -> Ticket {
        let (sender, answer) = oneshot::channel();
        // A client that has left would be kept for as long as the call runs, with the body that its id is of.
        entry.clients.retain(|client| !client.answer.is_closed());
        entry.clients.push_back(Client { id, answer: sender });
        entry.arrived.notify_one();
        entry.waiting += 1;
        entry.attend();
        Ticket {
            running: self.clone(),
            number: entry.number,
            answer,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.0.entries)
    }
}

impl Entry {
    /// Counts it as in flight no longer: a client waits, which is counted by itself, or there is a result.
    fn attend(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.untimed();
        }
    }
}

impl Run {
    /// The next client that waits, if there is one.
    pub fn next(&self) -> Option<Client> {
        let mut entries = self.running.entries();
        let own = entries.iter_mut().find(|e| e.number == self.number)?;
        own.clients.pop_front()
    }

    /// The next client, once there is one. Cancel safe.
    pub async fn arrival(&self) -> Client {
        loop {
            if let Some(client) = self.next() {
                return client;
            }
            self.arrived.notified().await;
        }
    }

    /// Takes the call off the list: whoever looks for it from here on does not find it. Returns the clients that
    /// wait.
    pub fn leave(self) -> VecDeque<Client> {
        let mut entries = self.running.entries();
        let own = entries.iter_mut().find(|e| e.number == self.number);
        let clients = own.map(|entry| std::mem::take(&mut entry.clients));
        drop(entries);
        clients.unwrap_or_default()
    }

    /// Whether a client waits.
    pub fn is_awaited(&self) -> bool {
        let entries = self.running.entries();
        let own = entries.iter().find(|entry| entry.number == self.number);
        own.is_some_and(|entry| entry.waiting > 0)
    }

    /// Whether its result is lost, and the log says so.
    pub fn is_lost(&self) -> bool {
        let entries = self.running.entries();
        let own = entries.iter().find(|entry| entry.number == self.number);
        own.is_some_and(|entry| entry.is_lost)
    }

    /// Notes that there is something to deliver: a stop of the process need not wait for it without a client.
    pub fn answered(&self) {
        let mut entries = self.running.entries();
        let own = entries.iter_mut().find(|e| e.number == self.number);
        if let Some(entry) = own {
            entry.runs = false;
            entry.attend();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut entries = self.running.entries();
        if let Some(at) = entries.iter().position(|e| e.number == self.number) {
            entries.swap_remove(at).attend();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let drain = &self.running.0.drain;
        let mut entries = self.running.entries();
        let own = entries.iter_mut().find(|e| e.number == self.number);
        if let Some(entry) = own {
            entry.waiting = entry.waiting.saturating_sub(1);
            if entry.runs && entry.waiting == 0 {
                entry.in_flight = Some(drain.enter());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;
    use serde_json::value::RawValue;
    use thoughtgate_approval::digest;
    use thoughtgate_mcp::Era;

    use super::*;
    use crate::metrics::Seconds;

    fn raw() -> Raw {
        let body = Bytes::from_static(b"7");
        let value: &RawValue = serde_json::from_slice(&body).unwrap();
        Raw::of(&body, value.into())
    }

    #[test]
    fn one_approval_has_one_run_and_keeps_no_client_that_has_left() {
        let drain = Drain::new(Gauge::default(), Seconds::new(&[1]));
        let running = Running::new(drain);
        let key = Key {
            digest: digest("a", "t", None),
            era: Era::Legacy,
        };
        let user = serde_json::from_value(serde_json::to_value(key.digest).unwrap()).unwrap();
        let approval = Id::parse("tg-00000000000000000000000000000000").unwrap();
        let enter = || running.enter((key, user), "a", (approval, raw())).unwrap();
        let (run, _first) = enter();
        let run = run.unwrap();
        let (other, second) = enter();
        assert!(other.is_none(), "the approval is used once");
        drop(second);
        for _ in 0..1000 {
            assert!(matches!(
                running.join(key, user, raw()),
                Some(Found::Joined(_, _))
            ));
        }
        // The first, and the one that has left last.
        assert_eq!(run.leave().len(), 2);
        assert!(running.is_empty());
    }
}
