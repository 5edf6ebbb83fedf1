//! Legacy calls whose client has disconnected: they are finished, up to a limit.
//!
//! Up to MCP 2025-11-25 a disconnect does not cancel a call, so the exchange with the upstream continues
//! and its answer is dropped. Beyond the limit the oldest such call is cut off: it has had the most time
//! to finish, while the newest may not have been sent yet. The server then sees a disconnect, which in
//! that era is no cancellation either.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use thoughtgate_panic::lock;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::contained;

/// Limit for one agent, the same as for its calls that are held for approval.
const PER_AGENT_MAX: usize = 64;
/// Limit for all agents. Each call occupies an upstream connection until it ends.
const IN_ALL_MAX: usize = 256;

/// Limit for all agents when at most `connections` clients are served.
#[must_use]
pub fn calls_max(connections: usize) -> usize {
    connections.min(IN_ALL_MAX)
}

/// Calls that continue without their client.
pub struct Abandoned {
    calls_max: usize,
    calls: Mutex<VecDeque<Call>>,
    numbers: AtomicU64,
    hasher: RandomState,
    in_flight: Gauge,
    cut_off: Counter,
}

/// Hash of an agent's id, which is all that counting needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent(u64);

struct Call {
    number: u64,
    agent: Agent,
    task: AbortHandle,
}

/// One call that continues; counted until dropped.
struct Entry {
    abandoned: Arc<Abandoned>,
    number: u64,
}

impl Abandoned {
    /// Keeps at most `calls_max` calls. `in_flight` counts them while they run, `cut_off` those that were
    /// ended early.
    #[must_use]
    pub fn new(calls_max: usize, in_flight: Gauge, cut_off: Counter) -> Arc<Abandoned> {
        Arc::new(Abandoned {
            calls_max,
            calls: Mutex::default(),
            numbers: AtomicU64::new(0),
            // Keyed at random: no agent can choose an id whose calls count as those of another.
            hasher: RandomState::new(),
            in_flight,
            cut_off,
        })
    }

    #[must_use]
    pub fn agent(&self, id: &str) -> Agent {
        Agent(self.hasher.hash_one(id))
    }

    /// Continues `exchange` as a task on the current runtime.
    pub fn finish(
        self: &Arc<Self>,
        agent: Agent,
        exchange: impl Future<Output = ()> + Send + 'static,
    ) {
        // Outside of a runtime, as at the end of the process, nothing can continue it.
        if Handle::try_current().is_err() {
            return;
        }
        if let Some(oldest) = self.make_room(agent) {
            oldest.task.abort();
            self.cut_off.inc();
        }
        // Relaxed: the numbers only have to differ.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.in_flight.inc();
        let entry = Entry {
            abandoned: Arc::clone(self),
            number,
        };
        let task = contained::spawn(async move {
            let _entry = entry;
            exchange.await;
        });
        // It has not run yet, as the runtime has one thread: it cannot end before it is in the list.
        self.calls().push_back(Call {
            number,
            agent,
            task,
        });
    }

    /// Removes and returns the call that must be cut off before another of `agent` can continue, if any.
    fn make_room(&self, agent: Agent) -> Option<Call> {
        let mut calls = self.calls();
        let is_own = |call: &Call| call.agent == agent;
        // The agent's own limit first: beyond it an agent ends calls of its own, never those of others.
        let index = if calls.iter().filter(|call| is_own(call)).count() >= PER_AGENT_MAX {
            calls.iter().position(is_own)?
        } else if calls.len() >= self.calls_max {
            0
        } else {
            return None;
        };
        calls.remove(index)
    }

    fn calls(&self) -> MutexGuard<'_, VecDeque<Call>> {
        lock(&self.calls)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.abandoned
            .calls()
            .retain(|call| call.number != self.number);
        self.abandoned.in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_is_cut_off_of_its_agent_first() {
        let (in_flight, cut_off) = (Gauge::default(), Counter::default());
        let abandoned = Abandoned::new(PER_AGENT_MAX + 1, in_flight.clone(), cut_off.clone());
        let (greedy, other) = (abandoned.agent("greedy"), abandoned.agent("other"));
        let (end, mut ended) = tokio::sync::mpsc::unbounded_channel::<usize>();
        let start = |agent, number: usize| {
            struct Say(tokio::sync::mpsc::UnboundedSender<usize>, usize);
            impl Drop for Say {
                fn drop(&mut self) {
                    let _ = self.0.send(self.1);
                }
            }
            let say = Say(end.clone(), number);
            abandoned.finish(agent, async move {
                let _say = say;
                std::future::pending::<()>().await;
            });
        };
        start(other, 1000);
        for number in 0..PER_AGENT_MAX + 2 {
            start(greedy, number);
        }
        assert_eq!((ended.recv().await, ended.recv().await), (Some(0), Some(1)));
        start(other, 1001);
        assert_eq!(ended.recv().await, Some(1000), "the oldest of all");
        assert_eq!(cut_off.get(), 3);
        assert_eq!(in_flight.get(), i64::try_from(PER_AGENT_MAX + 1).unwrap());
    }

    #[tokio::test]
    async fn what_has_ended_takes_no_room() {
        let (in_flight, cut_off) = (Gauge::default(), Counter::default());
        let abandoned = Abandoned::new(1, in_flight.clone(), cut_off.clone());
        for _ in 0..3 {
            abandoned.finish(abandoned.agent("a"), std::future::ready(()));
            while in_flight.get() > 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!((cut_off.get(), abandoned.calls().len()), (0, 0));
    }
}
