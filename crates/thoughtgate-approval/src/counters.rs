//! Numbers about approvals for `/metrics`: monotonic counts in atomics, and a plain snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::State;

/// A snapshot. Counts since the process started, unless it says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Approvals that wait for a decision now.
    pub pending: u64,
    /// Approvals that are pending, approved or executing now.
    pub open: u64,
    /// Approvals kept now, ended ones included.
    pub kept: u64,
    /// Their bytes, kept bodies and results included.
    pub kept_bytes: u64,
    /// New approvals.
    pub requested: u64,
    /// Calls that joined an approval instead of asking again.
    pub joined: u64,
    /// Calls refused because too many approvals were open.
    pub refused_busy: u64,
    /// Approvals that entered each state, in the order of [`State::ALL`].
    pub entered: [u64; State::ALL.len()],
    /// People who tried to decide and may not.
    pub refused_voters: u64,
    /// Messages posted.
    pub posted: u64,
    /// Messages found already posted when an earlier attempt had an unknown end.
    pub found_posted: u64,
    /// Times the channel was read for decisions.
    pub polls: u64,
    /// Calls made to the place where approvers are asked.
    pub calls: u64,
    /// Those that failed, rate limits not counted.
    pub call_errors: u64,
    /// Those answered by a rate limit.
    pub call_limited: u64,
}

impl Counters {
    /// How many approvals entered `state`.
    #[must_use]
    pub fn entered(&self, state: State) -> u64 {
        self.entered[state as usize]
    }
}

/// What is wrong at the moment; both `None` is healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the store cannot be written.
    pub store: Option<String>,
    /// Why approvers cannot be asked.
    pub approvers: Option<String>,
}

impl Health {
    /// Whether approvals can be asked for and recorded.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.store.is_none() && self.approvers.is_none()
    }
}

/// The live counts.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) requested: Count,
    pub(crate) joined: Count,
    pub(crate) refused_busy: Count,
    pub(crate) entered: [Count; State::ALL.len()],
    pub(crate) refused_voters: Count,
    pub(crate) posted: Count,
    pub(crate) found_posted: Count,
    pub(crate) polls: Count,
    pub(crate) calls: Count,
    pub(crate) call_errors: Count,
    pub(crate) call_limited: Count,
}

impl Counts {
    pub(crate) fn enter(&self, state: State) {
        self.entered[state as usize].add(1);
    }

    /// The counts; the gauges are the caller's to fill in.
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            requested: self.requested.get(),
            joined: self.joined.get(),
            refused_busy: self.refused_busy.get(),
            entered: std::array::from_fn(|index| self.entered[index].get()),
            refused_voters: self.refused_voters.get(),
            posted: self.posted.get(),
            found_posted: self.found_posted.get(),
            polls: self.polls.get(),
            calls: self.calls.get(),
            call_errors: self.call_errors.get(),
            call_limited: self.call_limited.get(),
            ..Counters::default()
        }
    }
}

/// One count that only grows.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_count_of_its_own() {
        let counts = Counts::default();
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index);
            counts.enter(state);
            assert_eq!(counts.snapshot().entered(state), 1, "{state:?}");
        }
    }
}
