//! Reads single values from the text that `/metrics` answers with (OpenMetrics or Prometheus).

/// The value of the sample `name`, written with its labels as it is exposed; none when absent.
///
/// A family without labels of its own is written as the bare name.
pub(super) fn value(text: &str, name: &str) -> Option<f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    // A timestamp may follow the value.
    values.next()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP thoughtgate_decisions Policy decisions, by outcome.
# TYPE thoughtgate_decisions counter
thoughtgate_decisions_total{outcome=\"forward\"} 12
thoughtgate_decisions_total{outcome=\"reject\"} 0
# TYPE thoughtgate_policy_load_seconds gauge
thoughtgate_policy_load_seconds 0.0015 1700000000.5
thoughtgate_policies 10
# EOF
";

    fn check(name: &str, expected: Option<f64>) {
        assert_eq!(value(TEXT, name), expected, "{name}");
    }

    #[test]
    fn values_are_found_by_name_and_labels() {
        check(
            "thoughtgate_decisions_total{outcome=\"forward\"}",
            Some(12.0),
        );
        check("thoughtgate_decisions_total{outcome=\"reject\"}", Some(0.0));
        check("thoughtgate_policy_load_seconds", Some(0.0015));
        check("thoughtgate_policies", Some(10.0));
        check("thoughtgate_decisions_total", None);
        check("thoughtgate_polic", None);
    }
}
