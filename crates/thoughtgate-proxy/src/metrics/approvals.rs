//! Metrics of approvals on `/metrics`, if approvals are configured.
//!
//! `thoughtgate-approval` counts; the names and texts of the metrics are here.

use std::fmt::Write as _;

use thoughtgate_approval::{Counters, State};

/// Appends all series to OpenMetrics text.
pub fn write(text: &mut String, counters: &Counters) {
    for (name, help, value) in gauges(counters) {
        family(text, name, "gauge", help);
        sample(text, name, "", value);
    }
    for (name, help, value) in counts(counters) {
        family(text, name, "counter", help);
        sample(text, name, "_total", value);
    }
    family(
        text,
        "entered",
        "counter",
        "Approvals that entered a state, by state",
    );
    for state in State::ALL {
        let suffix = format!("_total{{state=\"{}\"}}", state.name());
        sample(text, "entered", &suffix, counters.entered(state));
    }
}

/// Name, help and value of each gauge.
fn gauges(counters: &Counters) -> [(&'static str, &'static str, u64); 5] {
    [
        (
            "pending",
            "Approvals waiting for a decision",
            counters.pending,
        ),
        (
            "open",
            "Approvals that are pending, approved or executing",
            counters.open,
        ),
        (
            "held",
            "Calls held open until their approval is decided",
            counters.held,
        ),
        ("kept", "Approvals kept, ended ones included", counters.kept),
        (
            "kept_bytes",
            "Bytes of the approvals kept, including calls and results of tasks",
            counters.kept_bytes,
        ),
    ]
}

/// Name, help and value of each counter without a label.
fn counts(counters: &Counters) -> [(&'static str, &'static str, u64); 10] {
    [
        ("requested", "Approvals requested", counters.requested),
        (
            "joined",
            "Calls that joined an open approval of an identical call, pending or approved",
            counters.joined,
        ),
        (
            "refused_busy",
            "Calls refused because too many approvals, or too many bytes of them, were open",
            counters.refused_busy,
        ),
        (
            "refused_voters",
            "People who voted without being approvers, counted once per approval",
            counters.refused_voters,
        ),
        ("posted", "Approval messages posted", counters.posted),
        (
            "found_posted",
            "Approval messages found in the channel after a restart or a lost response",
            counters.found_posted,
        ),
        ("polls", "Polls of a channel for votes", counters.polls),
        ("calls", "Slack API calls", counters.calls),
        (
            "call_errors",
            "Slack API calls that failed, rate limits excluded",
            counters.call_errors,
        ),
        (
            "call_limited",
            "Slack API calls that were rate limited",
            counters.call_limited,
        ),
    ]
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let name = format!("thoughtgate_approvals_{name}");
    writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}").expect("a String takes any text");
}

fn sample(text: &mut String, name: &str, suffix: &str, value: u64) {
    writeln!(text, "thoughtgate_approvals_{name}{suffix} {value}")
        .expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_series_and_every_family_a_type() {
        let mut text = String::new();
        write(
            &mut text,
            &Counters {
                pending: 3,
                ..Counters::default()
            },
        );
        assert!(
            text.contains("\nthoughtgate_approvals_pending 3\n"),
            "{text}"
        );
        assert!(text.contains("thoughtgate_approvals_entered_total{state=\"rejected\"} 0\n"));
        assert_eq!(
            text.matches("# TYPE").count(),
            text.matches("# HELP").count()
        );
        assert_eq!(text.matches("entered_total{").count(), State::ALL.len());
    }
}
