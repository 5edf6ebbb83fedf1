//! Probes the upstream at intervals, so that `/ready` need not, and logs faults of the upstream and the
//! approvals when they change.
//!
//! A probe opens a connection and closes it: that shows a listener, not a healthy server. Reasons go to
//! the log alone, because agents can read `/ready`.

use std::sync::Arc;
use std::time::Duration;

use thoughtgate_approval::chain;
use thoughtgate_panic::say;

use crate::state::{Reachability, Shared};

/// First pause after a failed probe. Short, so that an upstream that starts together with the sidecar is
/// noticed soon; it doubles up to the interval.
const RETRY_FIRST: Duration = Duration::from_millis(5);

/// Probes until the task is dropped; the first probe is made at once.
pub async fn run(shared: Arc<Shared>) {
    let interval = shared.settings.probe_interval;
    let at_most = interval.max(Duration::from_millis(100));
    let mut retry = RETRY_FIRST;
    let mut upstream = Reported::of("the upstream is not reachable");
    let mut store = Reported::of("the approval store cannot be written");
    let mut approvers = Reported::of("approvers cannot be asked");
    loop {
        let pause = match shared.settings.upstream.connect(at_most).await {
            Ok(_) => {
                shared.set_upstream(Reachability::Up);
                upstream.report(None);
                retry = RETRY_FIRST;
                interval
            }
            Err(error) => {
                shared.set_upstream(Reachability::Down);
                upstream.report(Some(chain(&error)));
                retry = (retry * 2).min(interval);
                retry
            }
        };
        if let Some(approvals) = shared.approvals() {
            let health = approvals.health();
            store.report(health.store);
            approvers.report(health.approvers);
        }
        tokio::time::sleep(pause).await;
    }
}

/// A fault that may come and go, with the reason that was logged last.
struct Reported {
    trouble: &'static str,
    reason: Option<String>,
}

impl Reported {
    fn of(trouble: &'static str) -> Reported {
        Reported {
            trouble,
            reason: None,
        }
    }

    /// Logs a new `reason`, or that the fault is over; nothing if that is logged already.
    fn report(&mut self, reason: Option<String>) {
        // A fault that lasts would otherwise add a line at each interval.
        if reason == self.reason {
            return;
        }
        match &reason {
            Some(reason) => say!("warning: {}: {reason}", self.trouble),
            None => say!("resolved: {}", self.trouble),
        }
        self.reason = reason;
    }
}
