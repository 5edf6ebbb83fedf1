//! What `/metrics` shows: counters that the data path bumps, and figures of the process itself.
//!
//! Every label value comes from a fixed list, so a client cannot make the series grow. Handles are
//! resolved once; the data path touches atomics and one histogram.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use thoughtgate_approval::Counters;

use crate::audit;
use crate::process;

mod approvals;

/// `Content-Type` of the text that [`Metrics::render`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Methods that have a series of their own; all others are counted as `other`.
const METHODS: [&str; 25] = [
    "tools/call",
    "tools/list",
    "initialize",
    "ping",
    "server/discover",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "notifications",
    "response",
    "stream",
    "session/delete",
    "subscriptions/listen",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/update",
    "tasks/cancel",
    "other",
];

/// Seconds; dense where a sidecar's upstream answers.
const LATENCY_BUCKETS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// What became of a request that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Sent on to the upstream.
    Forward,
    /// Refused by policy.
    Reject,
    /// Put before a human.
    Approve,
    /// Refused because deciding failed.
    Error,
}

/// Why the upstream gave no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection.
    Connect,
    /// No response head in time.
    Timeout,
    /// The exchange broke.
    Exchange,
    /// An answer that could not be governed (a tool list that is not JSON, say).
    Invalid,
}

/// All series of one process.
pub struct Metrics {
    registry: Registry,
    requests: [Counter; METHODS.len()],
    decisions: [Counter; 4],
    refused: Family<StatusLabel, Counter>,
    failures: [Counter; 4],
    reloads: [Counter; 2],
    upstream_latency: Histogram,
    /// Requests being handled, streams that only listen left out.
    pub in_flight: Gauge,
    /// Open client connections.
    pub connections: Gauge,
    /// Idle connections closed to make room for others.
    pub connections_evicted: Counter,
    /// Calls without a client that were not finished.
    pub abandoned_cut_off: Counter,
    /// Reservations of buffer space that found no room.
    pub budget_refused: Counter,
    /// The audit's own.
    pub audit: audit::Figures,
    policy_load_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    policy_generation: Gauge,
    policies: Gauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("thoughtgate");
        let requests = Family::<MethodLabel, Counter>::default();
        let decisions = Family::<OutcomeLabel, Counter>::default();
        let failures = Family::<KindLabel, Counter>::default();
        let reloads = Family::<ResultLabel, Counter>::default();
        let refused = Family::<StatusLabel, Counter>::default();
        let upstream_latency = Histogram::new(LATENCY_BUCKETS);
        let in_flight = Gauge::default();
        let connections = Gauge::default();
        let policy_load_seconds = Gauge::default();
        let policy_generation = Gauge::default();
        let policies = Gauge::default();
        registry.register(
            "requests",
            "JSON-RPC messages understood, by method",
            requests.clone(),
        );
        registry.register(
            "decisions",
            "Policy decisions, by outcome",
            decisions.clone(),
        );
        registry.register(
            "refused",
            "Requests refused before a decision, by HTTP status",
            refused.clone(),
        );
        registry.register(
            "upstream_failures",
            "Requests without a usable upstream answer",
            failures.clone(),
        );
        registry.register(
            "policy_reloads",
            "Reloads of policies, by result",
            reloads.clone(),
        );
        registry.register(
            "upstream_latency_seconds",
            "From a request forwarded to the response head",
            upstream_latency.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests being handled",
            in_flight.clone(),
        );
        let audit = audit::Figures::registered(&mut registry);
        let budget_refused = counter(
            &mut registry,
            "budget_refused",
            "Requests refused because `limits.buffered_bytes` was spent",
        );
        registry.register(
            "connections",
            "Open client connections",
            connections.clone(),
        );
        let connections_evicted = counter(
            &mut registry,
            "connections_evicted",
            "Idle client connections closed to make room for others",
        );
        let abandoned_cut_off = counter(
            &mut registry,
            "abandoned_cut_off",
            "Calls that were cut off because too many went on after their clients had left",
        );
        registry.register(
            "policy_load_seconds",
            "Time the last load of policies took",
            policy_load_seconds.clone(),
        );
        registry.register(
            "policy_generation",
            "Number of the policy set in force",
            policy_generation.clone(),
        );
        registry.register("policies", "Policies in force", policies.clone());
        Metrics {
            requests: METHODS.map(|method| requests.get_or_create_owned(&MethodLabel { method })),
            decisions: ["forward", "reject", "approve", "error"]
                .map(|outcome| decisions.get_or_create_owned(&OutcomeLabel { outcome })),
            failures: ["connect", "timeout", "exchange", "invalid"]
                .map(|kind| failures.get_or_create_owned(&KindLabel { kind })),
            reloads: ["accepted", "refused"]
                .map(|result| reloads.get_or_create_owned(&ResultLabel { result })),
            registry,
            refused,
            upstream_latency,
            in_flight,
            connections,
            connections_evicted,
            audit,
            abandoned_cut_off,
            budget_refused,
            policy_load_seconds,
            policy_generation,
            policies,
        }
    }
}

/// A counter without labels.
pub fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

impl Metrics {
    /// Counts one message that was understood.
    pub fn request(&self, method: &str) {
        let index = METHODS
            .iter()
            .position(|known| *known == method)
            .unwrap_or(METHODS.len() - 1);
        self.requests[index].inc();
    }

    /// Counts one decision.
    pub fn decision(&self, verdict: Verdict) {
        self.decisions[verdict as usize].inc();
    }

    /// Counts one request that was refused before any decision.
    pub fn refused(&self, status: u16) {
        self.refused
            .get_or_create(&StatusLabel {
                status: u32::from(status),
            })
            .inc();
    }

    /// Counts one missing or unusable upstream answer.
    pub fn failure(&self, kind: Failure) {
        self.failures[kind as usize].inc();
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
        self.reloads[usize::from(!accepted)].inc();
    }

    /// The OpenMetrics text of all series.
    #[must_use]
    pub fn render(&self, approvals: Option<&Counters>) -> String {
        let mut text = String::with_capacity(8 * 1024);
        encode(&mut text, &self.registry).expect("a String takes any text");
        // The process figures are read, not kept, so they are written here, before the end mark.
        text.truncate(text.trim_end().len() - "# EOF".len());
        for (name, kind, help, value) in process::figures() {
            writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}")
                .expect("a String takes any text");
            let suffix = if kind == "counter" { "_total" } else { "" };
            writeln!(text, "{name}{suffix} {value}").expect("a String takes any text");
        }
        let panics = thoughtgate_panic::count();
        let help = "Requests and connections that a bug ended; the log has the place";
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
