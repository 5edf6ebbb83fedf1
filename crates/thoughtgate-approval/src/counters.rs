//! Counters of approvals for `/metrics`: monotonic counts in atomics, and a plain snapshot of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::state::State;

/// A snapshot of the counters. The fields that say "now" are gauges; the others count since the
/// process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Approvals that are pending now.
    pub pending: u64,
    /// Approvals that are pending, approved or executing now.
    pub open: u64,
    /// Callers that wait for an approval now.
    pub held: u64,
    /// Approvals kept now, ended ones included.
    pub kept: u64,
    /// Bytes of the approvals kept now, bodies and results included.
    pub kept_bytes: u64,
    /// New approvals requested.
    pub requested: u64,
    /// Calls that joined an approval instead of asking again.
    pub joined: u64,
    /// Calls refused because too many approvals, or too many bytes of them, were open.
    pub refused_busy: u64,
    /// Approvals that entered each state, in the order of [`State::ALL`].
    pub entered: [u64; State::ALL.len()],
    /// People who voted without being approvers, counted once per approval.
    pub refused_voters: u64,
    /// Approval messages posted.
    pub posted: u64,
    /// Approval messages found in the channel after a restart or a lost response.
    pub found_posted: u64,
    /// Polls of a channel for votes.
    pub polls: u64,
    /// Slack API calls.
    pub calls: u64,
    /// Slack API calls that failed, rate limits excluded.
    pub call_errors: u64,
    /// Slack API calls that were rate limited.
    pub call_limited: u64,
}

impl Counters {
    /// Number of approvals that entered `state`.
    #[must_use]
    pub fn entered(&self, state: State) -> u64 {
        self.entered[state as usize]
    }
}

/// Current faults; healthy when both are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Error of the latest write to the store, if it failed.
    pub store: Option<String>,
    /// Fault of the calls to Slack, if there is one: of the token, its scopes, or a channel. One rate
    /// limit is no fault, several in a row are.
    pub approvers: Option<String>,
}

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

    /// Copies the counts; the gauges stay 0 for the caller to fill in.
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

/// A count that only grows.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        // `Relaxed` suffices: a count is read by itself, and nothing else depends on it.
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
