//! Metrics of `/metrics`: counters of the data path, and figures of the process itself.
//!
//! Every label value comes from a fixed list, so that clients cannot add series. Handles are resolved
//! once; a request that is not refused touches only atomics.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use thoughtgate_approval::Counters;

use crate::audit::Figures;
use crate::process;

mod approvals;
pub mod counter;
mod labelled;
mod seconds;
mod tools;

use counter::{counter, gauge};
#[cfg(test)]
pub use labelled::REFUSED;
pub use labelled::{Failure, Verdict};
use labelled::{Labelled, METHODS, StatusLabel};
pub use seconds::Seconds;
pub use tools::Tools;

/// `Content-Type` of the text that [`Metrics::render`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in microseconds; dense where the upstream of a sidecar answers.
const LATENCY_US: [u64; 14] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
];
/// Upper bounds in microseconds; up to the time that people take to approve a call.
const REQUEST_US: [u64; 10] = [
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
];

/// All series of one process.
pub struct Metrics {
    registry: Registry,
    labelled: Labelled,
    upstream_latency: Seconds,
    /// From the head of a POST request to the end of its answer.
    pub requests: Seconds,
    /// Decisions by tool.
    pub tools: Tools,
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
        let enforcing = enforcing(&mut registry);
        let labelled = Labelled::registered(&mut registry);
        let (upstream_latency, requests) = times(&mut registry);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", version);
        let in_flight = gauge(
            &mut registry,
            "requests_in_flight",
            "Requests being handled, without streams that only listen",
        );
        let audit = Figures::registered(&mut registry);
        let budget_refused = counter(
            &mut registry,
            "budget_refused",
            "Reservations of buffer space that failed because `limits.buffered_bytes` was used up",
        );
        let connections = gauge(&mut registry, "connections", "Open client connections");
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
        let policy_load_seconds = Gauge::default();
        registry.register(
            "policy_load_seconds",
            "Seconds that the last load of policies took",
            policy_load_seconds.clone(),
        );
        let policy_generation = gauge(
            &mut registry,
            "policy_generation",
            "Generation of the policy set in force, counted from 1",
        );
        let policies = gauge(&mut registry, "policies", "Policies in force");
        Metrics {
            registry,
            labelled,
            upstream_latency,
            requests,
            tools: Tools::default(),
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

/// Registers the times of the upstream's answers and of whole requests.
fn times(registry: &mut Registry) -> (Seconds, Seconds) {
    let (upstream, requests) = (Seconds::new(&LATENCY_US), Seconds::new(&REQUEST_US));
    registry.register(
        "upstream_latency_seconds",
        "Seconds from forwarding a request to the upstream's response head",
        upstream.clone(),
    );
    registry.register(
        "request_seconds",
        "Seconds from the head of a POST request to the end of its answer, refusals included, streams that only listen excluded",
        requests.clone(),
    );
    (upstream, requests)
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
        self.upstream_latency.observe(elapsed);
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

    /// Counts a fetch of the keys that verify tokens.
    pub fn key_fetch(&self, worked: bool) {
        self.labelled.key_fetches[usize::from(!worked)].inc();
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
        self.tools.write(&mut text);
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
            "thoughtgate_request_seconds_count 0",
            concat!(
                "thoughtgate_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
            "thoughtgate_refused_total{status=\"400\"} 0",
            "thoughtgate_decisions_total{outcome=\"approve\"} 0",
            "thoughtgate_tool_decisions_total{tool=\"other\",decision=\"reject\"} 0",
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
