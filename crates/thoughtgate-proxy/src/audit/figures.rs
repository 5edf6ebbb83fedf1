//! Counters and gauges of the audit log, and the deadline of its last lines.
//!
//! Apart from [`super::Audit`], because the writer and `/metrics` need no more of it.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::counter::counter;

/// Time limit for writing the last lines at an orderly stop.
pub const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Counters and gauges of the audit log.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Lines that are lost without having been written.
    pub dropped: Counter,
    /// Requests refused for lack of room.
    pub refused: Counter,
    /// Lines that are queued and not written yet.
    pub waiting: Gauge,
}

impl Figures {
    /// Creates the metrics and registers them for `/metrics`.
    pub fn registered(registry: &mut Registry) -> Figures {
        let waiting = Gauge::default();
        registry.register(
            "audit_waiting",
            "Audit lines waiting to be written",
            waiting.clone(),
        );
        Figures {
            dropped: counter(
                registry,
                "audit_dropped",
                "Audit lines that were dropped without being written",
            ),
            refused: counter(
                registry,
                "audit_refused",
                "Requests refused because audit lines could not be written",
            ),
            waiting,
        }
    }
}
