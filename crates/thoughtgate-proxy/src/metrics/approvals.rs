//! What `/metrics` shows of approvals, where they are configured.
//!
//! The counts are the approvals' own; here they get names.

use std::fmt::Write as _;

use thoughtgate_approval::{Counters, State};

/// Appends all series to OpenMetrics text.
pub fn write(text: &mut String, counters: &Counters) {
    let gauges = [
        (
            "pending",
            "Approvals that wait for a decision",
            counters.pending,
        ),
        (
            "open",
            "Approvals that are pending, approved or executing",
            counters.open,
        ),
        ("kept", "Approvals kept, ended ones included", counters.kept),
        (
            "kept_bytes",
            "Bytes of the approvals kept, with calls and results of tasks",
            counters.kept_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        family(text, name, "gauge", help);
        sample(text, name, "", value);
    }
    let counts = [
        ("requested", "New approvals", counters.requested),
        ("joined", "Calls that joined an approval", counters.joined),
        (
            "refused_busy",
            "Calls refused because too many approvals were open",
            counters.refused_busy,
        ),
        (
            "refused_voters",
            "People who tried to decide and may not",
            counters.refused_voters,
        ),
        ("posted", "Messages posted to approvers", counters.posted),
        (
            "found_posted",
            "Messages found already posted",
            counters.found_posted,
        ),
        (
            "polls",
            "Times a channel was read for decisions",
            counters.polls,
        ),
        (
            "calls",
            "Calls to the place where approvers are asked",
            counters.calls,
        ),
        ("call_errors", "Those that failed", counters.call_errors),
        (
            "call_limited",
            "Those answered by a rate limit",
            counters.call_limited,
        ),
    ];
    for (name, help, value) in counts {
        family(text, name, "counter", help);
        sample(text, name, "_total", value);
    }
    family(text, "entered", "counter", "Approvals that entered a state");
    for state in State::ALL {
        let suffix = format!("_total{{state=\"{}\"}}", state.name());
        sample(text, "entered", &suffix, counters.entered(state));
    }
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
