//! The counters that have a label: messages, decisions, refusals, failures, reloads and fetches of keys.
//!
//! Every label value comes from a fixed list, so that clients cannot add series, and the handle of each
//! series but a refusal's is resolved once. Counts nothing itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Methods that have a series of their own; all others are counted as `other`.
pub const METHODS: [&str; 25] = [
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

/// Statuses with which requests are refused before a decision; a test holds the table of refusals against
/// them.
pub const REFUSED: [u32; 9] = [400, 401, 403, 404, 405, 408, 413, 415, 503];

/// The counters, in the order of their labels.
pub struct Labelled {
    pub requests: [Counter; METHODS.len()],
    pub decisions: [Counter; 4],
    pub observed: [Counter; 4],
    pub refused: Family<StatusLabel, Counter>,
    pub failures: [Counter; 4],
    pub reloads: [Counter; 2],
    pub key_fetches: [Counter; 2],
}

/// Decision on a valid request. The order is that of the labels of `thoughtgate_decisions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Forward,
    Reject,
    /// To be approved by a human first.
    Approve,
    /// Refused because deciding failed.
    Error,
}

/// Reason why the upstream gave no usable answer. The order is that of the labels of
/// `thoughtgate_upstream_failures`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Connect,
    /// No response head in time.
    Timeout,
    /// The connection failed after the request was sent.
    Exchange,
    /// An answer that could not be governed (a tool list that is not JSON, say).
    Invalid,
}

impl Verdict {
    /// All variants, in the order of their declaration.
    pub const ALL: [Verdict; 4] = [
        Verdict::Forward,
        Verdict::Reject,
        Verdict::Approve,
        Verdict::Error,
    ];

    /// Value of the label.
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Forward => "forward",
            Verdict::Reject => "reject",
            Verdict::Approve => "approve",
            Verdict::Error => "error",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabel {
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabel {
    pub status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

impl Labelled {
    /// Creates the metrics and registers them for `/metrics`.
    pub fn registered(registry: &mut Registry) -> Labelled {
        let requests = Family::<MethodLabel, Counter>::default();
        let decisions = Family::<OutcomeLabel, Counter>::default();
        let observed = Family::<DecisionLabel, Counter>::default();
        let failures = Family::<KindLabel, Counter>::default();
        let reloads = Family::<ResultLabel, Counter>::default();
        let key_fetches = Family::<ResultLabel, Counter>::default();
        let refused = Family::<StatusLabel, Counter>::default();
        registry.register(
            "requests",
            "Valid MCP messages received, by method",
            requests.clone(),
        );
        registry.register(
            "decisions",
            "Policy decisions, by outcome",
            decisions.clone(),
        );
        registry.register(
            "observed_decisions",
            "Policy decisions that were not carried out because of `mode: observe`, by decision",
            observed.clone(),
        );
        registry.register(
            "refused",
            "Requests refused before a policy decision, by HTTP status",
            refused.clone(),
        );
        registry.register(
            "upstream_failures",
            "Requests without a usable answer of the upstream, by kind of failure",
            failures.clone(),
        );
        registry.register(
            "policy_reloads",
            "Reloads of policies and configuration, by result",
            reloads.clone(),
        );
        registry.register(
            "jwks_fetches",
            "Fetches of the keys that verify bearer tokens, by result",
            key_fetches.clone(),
        );
        Labelled {
            // Every series exists from the start, at 0: a rate would miss the event with which a series
            // appears.
            requests: METHODS.map(|method| requests.get_or_create_owned(&MethodLabel { method })),
            decisions: Verdict::ALL.map(|verdict| {
                let outcome = verdict.label();
                decisions.get_or_create_owned(&OutcomeLabel { outcome })
            }),
            observed: Verdict::ALL.map(|verdict| {
                let decision = verdict.label();
                observed.get_or_create_owned(&DecisionLabel { decision })
            }),
            failures: ["connect", "timeout", "exchange", "invalid"]
                .map(|kind| failures.get_or_create_owned(&KindLabel { kind })),
            reloads: ["accepted", "refused"]
                .map(|result| reloads.get_or_create_owned(&ResultLabel { result })),
            key_fetches: ["ok", "failed"]
                .map(|result| key_fetches.get_or_create_owned(&ResultLabel { result })),
            refused: {
                for status in REFUSED {
                    let _ = refused.get_or_create_owned(&StatusLabel { status });
                }
                refused
            },
        }
    }
}
