//! Metrics of `/metrics`: counters of the data path, and figures of the process itself.
//!
//! Every label value comes from a fixed list, so that clients cannot add series. Handles are resolved
//! once; a request that is not refused touches only atomics and one histogram.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use thoughtgate_approval::Counters;

use crate::audit::Figures;
use crate::process;

mod approvals;
pub mod counter;
mod labelled;

use counter::counter;
pub use labelled::{Failure, Verdict};
use labelled::{Labelled, METHODS, StatusLabel};

/// `Content-Type` of the text that [`Metrics::render`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds; dense where the upstream of a sidecar answers.
const LATENCY_BUCKETS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

/// All series of one process.
pub struct Metrics {
    registry: Registry,
    labelled: Labelled,
    upstream_latency: Histogram,
    /// Requests being handled, without streams that only listen.
    pub in_flight: Gauge,
    pub connections: Gauge,
    /// Connections closed to make room for others.
    pub connections_evicted: Counter,
    /// Calls without a client that were not finished.
    pub abandoned_cut_off: Counter,
    /// Reservations of buffer space that found no room.
    pub budget_refused: Counter,
    pub audit: Figures,
    policy_load_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    policy_generation: Gauge,
    policies: Gauge,
    enforcing: Gauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("thoughtgate");
        let upstream_latency = Histogram::new(LATENCY_BUCKETS);
        let in_flight = Gauge::default();
        let connections = Gauge::default();
        let policy_load_seconds = Gauge::default();
        let policy_generation = Gauge::default();
        let policies = Gauge::default();
        let enforcing = enforcing(&mut registry);
        let labelled = Labelled::registered(&mut registry);
        registry.register(
            "upstream_latency_seconds",
            "Seconds from forwarding a request to the upstream's response head",
            upstream_latency.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests being handled, without streams that only listen",
            in_flight.clone(),
        );
        let audit = Figures::registered(&mut registry);
        let budget_refused = counter(
            &mut registry,
            "budget_refused",
            "Reservations of buffer space that failed because `limits.buffered_bytes` was used up",
        );
        registry.register(
            "connections",
            "Open client connections",
            connections.clone(),
        );
        let connections_evicted = counter(
            &mut registry,
            "connections_evicted",
            "Client connections closed to make room for new ones",
        );
        let abandoned_cut_off = counter(
            &mut registry,
            "abandoned_cut_off",
            "Calls cut off because too many continued after their clients had disconnected",
        );
        registry.register(
            "policy_load_seconds",
            "Seconds that the last load of policies took",
            policy_load_seconds.clone(),
        );
        registry.register(
            "policy_generation",
            "Generation of the policy set in force, counted from 1",
            policy_generation.clone(),
        );
        registry.register("policies", "Policies in force", policies.clone());
        Metrics {
            registry,
            labelled,
            upstream_latency,
            in_flight,
            connections,
            connections_evicted,
            abandoned_cut_off,
            budget_refused,
            audit,
            policy_load_seconds,
            policy_generation,
            policies,
            enforcing,
        }
    }
}

fn enforcing(registry: &mut Registry) -> Gauge {
    let gauge = Gauge::default();
    let help = "Whether decisions are carried out: 1, or 0 under `mode: observe`";
    registry.register("enforcing", help, gauge.clone());
    gauge
}

impl Metrics {
    /// Counts one valid message.
    pub fn request(&self, method: &str) {
        // The last one is `other`: clients choose names of methods, and must not add series by them.
        let index = METHODS
            .iter()
            .position(|known| *known == method)
            .unwrap_or(METHODS.len() - 1);
        self.labelled.requests[index].inc();
    }

    pub fn decision(&self, verdict: Verdict) {
        self.labelled.decisions[verdict as usize].inc();
    }

    /// Counts one decision that is not carried out.
    pub fn observed(&self, verdict: Verdict) {
        self.labelled.observed[verdict as usize].inc();
    }

    /// The number of such decisions so far.
    pub fn observed_so_far(&self, verdict: Verdict) -> u64 {
        self.labelled.observed[verdict as usize].get()
    }

    /// Records whether decisions are carried out.
    pub fn enforcing(&self, enforcing: bool) {
        self.enforcing.set(i64::from(enforcing));
    }

    /// Counts one request that was refused before any decision.
    pub fn refused(&self, status: u16) {
        // Statuses come from the table of refusals, so that there are few. They are looked up each time,
        // because a refusal is not the usual case.
        self.labelled
            .refused
            .get_or_create(&StatusLabel {
                status: u32::from(status),
            })
            .inc();
    }

    /// Counts one missing or unusable upstream answer.
    pub fn failure(&self, kind: Failure) {
        self.labelled.failures[kind as usize].inc();
    }

    /// Records the time to the upstream's response head.
    pub fn upstream_latency(&self, elapsed: Duration) {
        self.upstream_latency.observe(elapsed.as_secs_f64());
    }

    /// Records a policy set that is now in force.
    pub fn policies_loaded(&self, generation: u64, count: usize, took: Duration) {
        self.policy_generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.policies.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.policy_load_seconds.set(took.as_secs_f64());
    }

    /// Counts a reload, accepted or refused.
    pub fn reload(&self, accepted: bool) {
        self.labelled.reloads[usize::from(!accepted)].inc();
    }

    /// The OpenMetrics text of all series.
    #[must_use]
    pub fn render(&self, approvals: Option<&Counters>) -> String {
        let mut text = String::with_capacity(8 * 1024);
        encode(&mut text, &self.registry).expect("a String takes any text");
        // Figures of the process are read at each scrape, so they are written here, before the end mark.
        text.truncate(text.trim_end().len() - "# EOF".len());
        for (name, kind, help, value) in process::figures() {
            writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}")
                .expect("a String takes any text");
            let suffix = if kind == "counter" { "_total" } else { "" };
            writeln!(text, "{name}{suffix} {value}").expect("a String takes any text");
        }
        // Counted by a crate that knows no registry; the same holds for the approvals below.
        let panics = thoughtgate_panic::count();
        let help = "Requests and connections ended by a panic; the log names the source location";
        writeln!(
            text,
            "# HELP thoughtgate_panics {help}.\n# TYPE thoughtgate_panics counter\nthoughtgate_panics_total {panics}"
        )
        .expect("a String takes any text");
        if let Some(counters) = approvals {
            approvals::write(&mut text, counters);
        }
        text.push_str("# EOF\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_share_one_series() {
        let metrics = Metrics::default();
        for name in ["tools/call", "made/up", "another"] {
            metrics.request(name);
        }
        let text = metrics.render(None);
        assert!(
            text.contains("thoughtgate_requests_total{method=\"tools/call\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("thoughtgate_requests_total{method=\"other\"} 2\n"),
            "{text}"
        );
        assert!(!text.contains("made/up"));
    }

    #[test]
    fn text_is_well_formed() {
        let metrics = Metrics::default();
        metrics.decision(Verdict::Reject);
        metrics.refused(413);
        metrics.failure(Failure::Timeout);
        metrics.upstream_latency(Duration::from_millis(3));
        metrics.policies_loaded(2, 10, Duration::from_millis(7));
        let text = metrics.render(None);
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(!text.contains("_total_total"));
        for line in [
            "thoughtgate_decisions_total{outcome=\"reject\"} 1",
            "thoughtgate_refused_total{status=\"413\"} 1",
            "thoughtgate_upstream_failures_total{kind=\"timeout\"} 1",
            "thoughtgate_upstream_latency_seconds_count 1",
            "thoughtgate_policy_generation 2",
            "thoughtgate_policies 10",
            "thoughtgate_policy_load_seconds 0.007",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_figures_are_there() {
        let text = Metrics::default().render(None);
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")))
                .unwrap_or_else(|| panic!("{name}"));
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value >= 0.0, "{line}");
        }
    }
}
