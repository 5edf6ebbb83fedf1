//! Keeps asking whether the upstream can be reached, so that `/ready` need not, and logs what is
//! wrong with the upstream and the approvals when that changes.
//!
//! A probe is a connection that is opened and closed: it shows a listener, not a healthy server.
//! Reasons are for the log alone: `/ready` is on the agents' port.

use std::sync::Arc;
use std::time::Duration;

use thoughtgate_panic::say;

use crate::state::{Reachability, Shared};

/// An upstream that starts together with the sidecar is noticed this soon.
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
                upstream.report(Some(error.to_string()));
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

/// A trouble that may come and go, and what the log says of it so far.
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

    /// Logs `reason`, or that there is none any more, unless that was the last thing logged.
    fn report(&mut self, reason: Option<String>) {
        if reason == self.reason {
            return;
        }
        match &reason {
            Some(reason) => say!("warning: {}: {reason}", self.trouble),
            None => say!("no longer: {}", self.trouble),
        }
        self.reason = reason;
    }
}
