//! Limit of calls that wait for approval with their clients' connections open.
//!
//! Any number of calls may join one approval, so the limits on approvals do not bound them. A call that
//! became a task holds no connection and is not counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use thoughtgate_panic::lock;

/// Limit for one agent.
const PER_AGENT_MAX: usize = 64;

/// Number of held calls, in total and by agent.
#[derive(Debug, Clone)]
pub struct Holds {
    /// Limit for all agents: half of the connections, to leave the rest to calls that need no approval.
    in_all_max: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    in_all: usize,
    by_agent: HashMap<String, usize>,
}

/// One held call, counted until dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Holds,
    agent: String,
}

/// The limit because of which a call cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    #[error(
        "{PER_AGENT_MAX} calls of this agent are already waiting for approval; retry when one of them has ended, or send the call as a task"
    )]
    OfAgent,
    #[error(
        "calls waiting for approval already use half of `limits.connections`; retry later, or send the call as a task"
    )]
    InAll,
}

impl Holds {
    /// `connections` is the limit of client connections.
    #[must_use]
    pub fn new(connections: usize) -> Holds {
        Holds {
            // At least one, or a proxy with a single connection could hold no call.
            in_all_max: (connections / 2).max(1),
            counts: Arc::default(),
        }
    }

    /// Counts a held call of `agent` until the result is dropped.
    pub fn enter(&self, agent: &str) -> Result<Hold, TooMany> {
        let mut counts = self.counts();
        if counts
            .by_agent
            .get(agent)
            .is_some_and(|count| *count >= PER_AGENT_MAX)
        {
            return Err(TooMany::OfAgent);
        }
        if counts.in_all >= self.in_all_max {
            return Err(TooMany::InAll);
        }
        counts.in_all += 1;
        *counts.by_agent.entry(agent.to_owned()).or_default() += 1;
        Ok(Hold {
            holds: self.clone(),
            agent: agent.to_owned(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut counts = self.holds.counts();
        counts.in_all = counts.in_all.saturating_sub(1);
        if let Some(count) = counts.by_agent.get_mut(&self.agent) {
            *count = count.saturating_sub(1);
            // Otherwise the map would grow with every agent that was ever seen.
            if *count == 0 {
                counts.by_agent.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_one_agent_nor_all_take_every_connection() {
        let holds = Holds::new(2 * (PER_AGENT_MAX + 1));
        let mut held: Vec<Hold> = (0..PER_AGENT_MAX)
            .map(|_| holds.enter("greedy").unwrap())
            .collect();
        assert_eq!(holds.enter("greedy").unwrap_err(), TooMany::OfAgent);
        held.push(holds.enter("other").unwrap());
        assert_eq!(holds.enter("third").unwrap_err(), TooMany::InAll);
        held.clear();
        assert!(holds.enter("greedy").is_ok());
        assert!(holds.counts().by_agent.is_empty());
    }
}
