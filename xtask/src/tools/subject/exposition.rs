//! Reads single values from the text of `/metrics` (OpenMetrics or Prometheus).

/// The value of the sample `name`, written with its labels as it is exposed; none when absent.
///
/// A family without labels of its own is written as the bare name.
pub(super) fn value(text: &str, name: &str) -> Option<f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    // The space ends the name: a longer name that begins with it must not match.
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    // A timestamp may follow the value.
    values.next()?.split_whitespace().next()?.parse().ok()
}

/// The sum of all samples of the family `name`, whatever their labels; none when there is none.
pub fn sum(text: &str, name: &str) -> Option<f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.split_once('}')?.1,
            None => rest,
        };
        let value = rest.strip_prefix(' ')?.split_whitespace().next()?;
        value.parse::<f64>().ok()
    });
    samples.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
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

    #[test]
    fn the_samples_of_a_family_are_added_up() {
        assert_eq!(sum(TEXT, "thoughtgate_decisions_total"), Some(12.0));
        assert_eq!(sum(TEXT, "thoughtgate_policies"), Some(10.0));
        assert_eq!(sum(TEXT, "thoughtgate_decisions"), None);
    }
}
