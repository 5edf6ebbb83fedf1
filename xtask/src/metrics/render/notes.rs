//! The section of release notes that the requirement's §10.2 asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{markdown, number};
use crate::metrics::catalog::{
    BINARY_SIZE, LATENCY_P95, MEMORY_IDLE_RSS, Metric, OVERHEAD_LATENCY_P50, THROUGHPUT_RPS_10VU,
};
use crate::metrics::model::{Outcome, Run, Value};

/// The rows of the template.
const ROWS: &[(&str, &Metric)] = &[
    ("Binary size", &BINARY_SIZE),
    ("Memory (idle)", &MEMORY_IDLE_RSS),
    ("Latency p95", &LATENCY_P95),
    ("Throughput", &THROUGHPUT_RPS_10VU),
    ("Proxy overhead", &OVERHEAD_LATENCY_P50),
];

/// What the section compares with.
pub struct Previous<'a> {
    /// Values by metric.
    pub values: &'a BTreeMap<String, Value>,
    /// Whether they are of the same machine; none when that is not known.
    pub same_machine: Option<bool>,
}

/// The section.
pub fn render(version: &str, run: &Run, previous: &Previous<'_>) -> String {
    let mut text = format!("## Performance (v{version})\n\n");
    text += &markdown::head(&["Metric", "Value", "vs Previous"], 1);
    for (title, metric) in ROWS {
        let value = match run.record(metric).map(|record| &record.outcome) {
            Some(Outcome::Measured { value, .. }) => Some(value),
            _ => None,
        };
        let shown = value.map_or("not measured".to_owned(), |value| {
            number::value(metric.unit, value)
        });
        let delta = value.zip(previous.values.get(metric.name));
        let delta = delta.and_then(|(now, before)| delta_of(before, now));
        let delta = delta.unwrap_or_else(|| "–".to_owned());
        text += &markdown::row(&[(*title).to_owned(), shown, delta]);
    }
    let (host, subject) = (&run.host, &run.subject);
    let _ = writeln!(
        text,
        "\nMeasured with `cargo xtask metrics --tier all` on {} ({} cores); SHA-256 of the binary: {}.",
        markdown::code(host.cpu_model.as_deref().unwrap_or("unknown CPU")),
        host.logical_cores,
        markdown::code(&subject.sha256),
    );
    text += match previous.same_machine {
        Some(true) => "",
        Some(false) => {
            "The previous release was measured on another machine: of the changes above, only that of \
             the size is one of the program.\n"
        }
        None => "Whether the previous release was measured on such a machine is not known.\n",
    };
    text
}

/// The change in percent, with its sign.
fn delta_of(before: &Value, now: &Value) -> Option<String> {
    let (before, now) = (before.number()?, now.number()?);
    // Of a value of 0 or below, a share makes no sense.
    (before > 0.0 && now.is_finite())
        .then(|| format!("{:+.1}%", 100.0 * (now / before - 1.0)))
        .map(|text| text.replace("-0.0%", "+0.0%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render::fixture;

    #[test]
    fn the_section_has_a_row_for_each_of_the_template() {
        let values = BTreeMap::from([
            (BINARY_SIZE.name.to_owned(), Value::Integer(8_000_000)),
            (LATENCY_P95.name.to_owned(), Value::Float(16.0)),
            (OVERHEAD_LATENCY_P50.name.to_owned(), Value::Float(0.0)),
        ]);
        let previous = Previous {
            values: &values,
            same_machine: Some(false),
        };
        expect_test::expect![[r"
            ## Performance (v1.2.0)

            | Metric | Value | vs Previous |
            | --- | ---: | ---: |
            | Binary size | 8.43 MB | +5.4% |
            | Memory (idle) | not measured | – |
            | Latency p95 | 15.0 ms | -6.2% |
            | Throughput | 6,120 req/s | – |
            | Proxy overhead | -20.0 µs | – |

            Measured with `cargo xtask metrics --tier all` on `AMD EPYC` (2 cores); SHA-256 of the binary: `ba7816bf`.
            The previous release was measured on another machine: of the changes above, only that of the size is one of the program.
        "]]
        .assert_eq(&render("1.2.0", &fixture::mixed(), &previous));
    }
}
