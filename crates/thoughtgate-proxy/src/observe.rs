//! `mode: observe`: what policies would refuse or hold is forwarded, counted and logged.
//!
//! For trying policies on real calls. Only decisions are affected: envelopes, identities and limits
//! refuse as always, and so does everything while no policies are loaded. Nothing here decides.

use std::sync::Arc;
use std::time::Duration;

use thoughtgate_panic::warn;
use thoughtgate_policy::{Decision, Outcome};

use crate::metrics::Verdict;
use crate::state::{Shared, Snapshot};

/// Least time between two lines of the log. The audit has a line for every decision.
const INTERVAL: Duration = Duration::from_secs(1);

/// The decision that is carried out: this one, unless it is only observed.
pub fn carried_out(snapshot: &Snapshot, decision: Decision) -> Decision {
    if snapshot.observes() {
        instead()
    } else {
        decision
    }
}

#[cold]
fn instead() -> Decision {
    Decision {
        outcome: Outcome::Forward,
        policies: Arc::new([]),
        error: None,
        argument: None,
    }
}

/// Logs what would have been refused or held, as counts at intervals, until the task is dropped.
pub async fn run(shared: Arc<Shared>) {
    let mut known = [0; 3];
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = [Verdict::Reject, Verdict::Approve, Verdict::Error]
            .map(|verdict| shared.metrics.observed_so_far(verdict));
        if now == known {
            continue;
        }
        let [refused, held, failed] = [0, 1, 2].map(|index| now[index] - known[index]);
        known = now;
        warn!(
            "not enforced (`mode: observe`): requests that would have been refused: {refused}, held for \
             approval: {held}, refused because of an error: {failed}; the audit has each"
        );
    }
}
