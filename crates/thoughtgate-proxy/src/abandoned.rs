//! Legacy calls whose client has left: finished, but only so many of them.
//!
//! Up to 2025-11-25 a client that goes away does not cancel its call, so the exchange goes on and its
//! answer is dropped. Beyond the limit the oldest is cut off, which has had most time to end: its
//! server sees a disconnect, which that era does not read as a cancellation either. The newest may not
//! have been sent yet.

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

/// Of one agent: as many as it may have held open.
const PER_AGENT_MAX: usize = 64;
/// Of all agents. Each holds an upstream connection for as long as its call takes.
const IN_ALL_MAX: usize = 256;

/// How many there may be where `connections` clients are served.
#[must_use]
pub fn calls_max(connections: usize) -> usize {
    connections.min(IN_ALL_MAX)
}

/// All calls that go on without their client.
pub struct Abandoned {
    calls_max: usize,
    calls: Mutex<VecDeque<Call>>,
    numbers: AtomicU64,
    hasher: RandomState,
    in_flight: Gauge,
    cut_off: Counter,
}

/// An agent, as far as calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent(u64);

struct Call {
    number: u64,
    agent: Agent,
    task: AbortHandle,
}

/// One call that goes on; counted until dropped.
struct Entry {
    abandoned: Arc<Abandoned>,
    number: u64,
}

impl Abandoned {
    /// At most `calls_max`; they count as `in_flight`, `cut_off` counts those that were not finished.
    #[must_use]
    pub fn new(calls_max: usize, in_flight: Gauge, cut_off: Counter) -> Arc<Abandoned> {
        Arc::new(Abandoned {
            calls_max,
            calls: Mutex::default(),
            numbers: AtomicU64::new(0),
            hasher: RandomState::new(),
            in_flight,
            cut_off,
        })
    }

    /// The agent with this id.
    #[must_use]
    pub fn agent(&self, id: &str) -> Agent {
        Agent(self.hasher.hash_one(id))
    }

    /// Lets `exchange` go on, on the current runtime.
    pub fn finish(
        self: &Arc<Self>,
        agent: Agent,
        exchange: impl Future<Output = ()> + Send + 'static,
    ) {
        if Handle::try_current().is_err() {
            return;
        }
        if let Some(oldest) = self.make_room(agent) {
            oldest.task.abort();
            self.cut_off.inc();
        }
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
        self.calls().push_back(Call {
            number,
            agent,
            task,
        });
    }

    /// Takes out the call that has to go before another of `agent` goes on.
    fn make_room(&self, agent: Agent) -> Option<Call> {
        let mut calls = self.calls();
        let is_own = |call: &Call| call.agent == agent;
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
