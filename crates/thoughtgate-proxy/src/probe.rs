//! Keeps asking whether the upstream can be reached, so that `/ready` need not.
//!
//! A probe is a connection that is opened and closed: it shows a listener, not a healthy server.

use std::sync::Arc;
use std::time::Duration;

use crate::state::{Reachability, Shared};

/// An upstream that starts together with the sidecar is noticed this soon.
const RETRY_FIRST: Duration = Duration::from_millis(5);

/// Probes until the task is dropped; the first probe is made at once.
pub async fn run(shared: Arc<Shared>) {
    let interval = shared.settings.probe_interval;
    let at_most = interval.max(Duration::from_millis(100));
    let mut retry = RETRY_FIRST;
    loop {
        let pause = match shared.settings.upstream.connect(at_most).await {
            Ok(_) => {
                shared.set_upstream(Reachability::Up);
                retry = RETRY_FIRST;
                interval
            }
            Err(error) => {
                shared.set_upstream(Reachability::Down(error.to_string()));
                retry = (retry * 2).min(interval);
                retry
            }
        };
        tokio::time::sleep(pause).await;
    }
}
