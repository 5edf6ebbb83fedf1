//! Results of approved calls that were too large for the streams that answered them, or whose clients had gone:
//! each waits for the same call, sent again.
//!
//! Only the list of them, with its limits. A task keeps each result and sends it, see [`super::large`] and
//! [`super::execution`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use thoughtgate_approval::{Digest, Id, UserDigest};
use thoughtgate_mcp::Era;
use thoughtgate_panic::lock;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use crate::message::Raw;
use crate::relay::BodyError;

/// Limit for one agent.
const PER_AGENT_MAX: usize = 4;
/// Limit for all agents. Each result occupies an upstream connection, and up to a megabyte of the budget.
pub const PARKED_MAX: usize = 8;

/// The results that wait.
#[derive(Clone, Default)]
pub struct Parked(Arc<List>);

#[derive(Default)]
struct List {
    /// The oldest first.
    waiting: Mutex<VecDeque<Entry>>,
    /// Whether there are any: all that a call without approval has to read.
    any: AtomicBool,
    numbers: AtomicU64,
}

/// The call that a result belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Of agent, tool and arguments.
    pub digest: Digest,
    /// Results of the other era have another form.
    pub era: Era,
}

impl Key {
    /// The same call by a client of the other era.
    pub fn in_other_era(self) -> Key {
        let era = match self.era {
            Era::Legacy => Era::Modern,
            Era::Modern => Era::Legacy,
        };
        Key { era, ..self }
    }
}

/// A result as its call finds it.
pub struct Found {
    /// The approval that was used for the call.
    pub approval: Id,
    /// The user whose credentials the call was made with: nobody else gets the result.
    pub user: UserDigest,
    /// Head of its answer.
    pub head: Response<()>,
    /// Wakes the task that keeps the result.
    pub collector: oneshot::Sender<Collector>,
}

/// A call that collects a result.
pub struct Collector {
    /// Its id, which the result gets.
    pub id: Raw,
    /// Its answer.
    pub pieces: Sender<Result<Bytes, BodyError>>,
}

struct Entry {
    number: u64,
    key: Key,
    agent: String,
    found: Found,
}

/// The place of one result, until dropped.
pub struct Place {
    parked: Parked,
    number: u64,
}

/// A result that is kept, as its agent is told.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("its result is too large for an event of this stream, and is kept for {time:?}")]
pub struct Kept {
    /// The approval that was used for the call.
    pub approval: Id,
    pub time: Duration,
}

impl Kept {
    /// Data for programs.
    pub fn data(&self) -> Value {
        json!({ "approval": self.approval.to_string(), "kept_seconds": self.time.as_secs() })
    }
}

impl Parked {
    /// Adds the result `found` of the call `key` by `agent`. Beyond a limit the oldest one is dropped, which
    /// its task notices by the end of the channel.
    pub fn enter(&self, key: Key, agent: &str, found: Found) -> Place {
        // Relaxed: the numbers only have to differ.
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting();
        let is_own = |entry: &Entry| entry.agent == agent;
        // The agent's own limit first: beyond it an agent loses results of its own, never those of others.
        if waiting.iter().filter(|entry| is_own(entry)).count() >= PER_AGENT_MAX {
            let oldest = waiting.iter().position(is_own);
            oldest.and_then(|oldest| waiting.remove(oldest));
        } else if waiting.len() >= PARKED_MAX {
            waiting.pop_front();
        }
        waiting.push_back(Entry {
            number,
            key,
            agent: agent.to_owned(),
            found,
        });
        self.0.any.store(true, Ordering::Release);
        Place {
            parked: self.clone(),
            number,
        }
    }

    /// Whether any result waits.
    pub fn any(&self) -> bool {
        self.0.any.load(Ordering::Acquire)
    }

    /// Whether a result of this call waits, whoever made it.
    pub fn has(&self, key: Key) -> bool {
        self.waiting().iter().any(|entry| entry.key == key)
    }

    /// The approval of a result of this call by `user` that waits.
    pub fn waits(&self, key: Key, user: UserDigest) -> Option<Id> {
        let waiting = self.waiting();
        let is_meant = |entry: &&Entry| entry.key == key && entry.found.user == user;
        waiting
            .iter()
            .find(is_meant)
            .map(|entry| entry.found.approval)
    }

    /// Takes the oldest result of this call by `user`: nobody gets it again.
    pub fn take(&self, key: Key, user: UserDigest) -> Option<Found> {
        self.remove(|entry| entry.key == key && entry.found.user == user)
    }

    fn remove(&self, is_meant: impl Fn(&Entry) -> bool) -> Option<Found> {
        let mut waiting = self.waiting();
        let at = waiting.iter().position(is_meant)?;
        let entry = waiting.remove(at)?;
        self.0.any.store(!waiting.is_empty(), Ordering::Release);
        Some(entry.found)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        lock(&self.0.waiting)
    }
}

impl Place {
    /// Gives the place up; returns whether the result was still there, neither taken nor dropped.
    pub fn leave(&self) -> bool {
        let own = self.parked.remove(|entry| entry.number == self.number);
        own.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use thoughtgate_approval::digest;
    use tokio::sync::oneshot::{Receiver, error::TryRecvError};

    use super::*;

    fn key(agent: &str, tool: &str) -> Key {
        Key {
            digest: digest(agent, tool, None),
            era: Era::Legacy,
        }
    }

    fn user(name: &str) -> UserDigest {
        let digest = serde_json::to_value(digest(name, "", None)).unwrap();
        serde_json::from_value(digest).unwrap()
    }

    /// Parks a result of Ann's; the receiver ends when it is dropped.
    fn park(parked: &Parked, agent: &str, tool: &str) -> (Place, Receiver<Collector>) {
        let (collector, collected) = oneshot::channel();
        let found = Found {
            approval: Id::parse("tg-00000000000000000000000000000000").unwrap(),
            user: user("ann"),
            head: Response::new(()),
            collector,
        };
        (parked.enter(key(agent, tool), agent, found), collected)
    }

    fn is_dropped(collected: &mut Receiver<Collector>) -> bool {
        collected.try_recv().err() == Some(TryRecvError::Closed)
    }

    #[test]
    fn a_result_is_taken_once_and_by_its_own_call_alone() {
        let parked = Parked::default();
        assert!(!parked.any());
        let (_place, _collected) = park(&parked, "alice", "deploy");
        let own = key("alice", "deploy");
        let modern = Key {
            era: Era::Modern,
            ..own
        };
        for other in [key("bob", "deploy"), key("alice", "echo"), modern] {
            assert!(
                parked.any() && !parked.has(other) && parked.take(other, user("ann")).is_none()
            );
        }
        assert!(parked.take(own, user("ben")).is_none());
        assert!(parked.has(own) && parked.take(own, user("ann")).is_some());
        assert!(!parked.has(own) && parked.take(own, user("ann")).is_none() && !parked.any());
    }

    #[test]
    fn the_oldest_makes_room_of_its_agent_first() {
        let parked = Parked::default();
        let mut other = park(&parked, "other", "t");
        let mut greedy: Vec<_> = (0..=PER_AGENT_MAX)
            .map(|_| park(&parked, "greedy", "t"))
            .collect();
        assert!(is_dropped(&mut greedy[0].1) && !is_dropped(&mut greedy[1].1));
        assert!(!is_dropped(&mut other.1));
        // A place that is lost already takes nothing of another one with it.
        drop(greedy.remove(0));
        let mut others: Vec<_> = (0..PARKED_MAX - PER_AGENT_MAX)
            .map(|number| park(&parked, &format!("agent {number}"), "t"))
            .collect();
        assert!(is_dropped(&mut other.1), "the oldest of all");
        assert!(
            others
                .iter_mut()
                .chain(&mut greedy)
                .all(|(_, collected)| !is_dropped(collected))
        );
        drop((greedy, others));
        assert!(!parked.any());
    }
}
