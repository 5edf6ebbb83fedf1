//! The section of release notes, after the template in the requirement's §10.2.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{markdown, number};
use crate::metrics::catalog::{
    BINARY_SIZE, LATENCY_P95, MEMORY_IDLE_RSS, Metric, OVERHEAD_LATENCY_P50, THROUGHPUT_RPS_10VU,
};
use crate::metrics::model::{Host, Note, Record, Run, Value};

/// The rows of the template.
pub const ROWS: &[(&str, &Metric)] = &[
    ("Binary size", &BINARY_SIZE),
    ("Memory (idle)", &MEMORY_IDLE_RSS),
    ("Latency p95", &LATENCY_P95),
    ("Throughput", &THROUGHPUT_RPS_10VU),
    ("Proxy overhead", &OVERHEAD_LATENCY_P50),
];

/// The values of the release before, by metric.
pub type Previous = BTreeMap<String, Before>;

/// A value of the release before.
pub struct Before {
    pub value: Value,
    /// Whether it was measured in the same way, on the same kind of machine or with the same compiler;
    /// `None` if unknown.
    pub is_comparable: Option<bool>,
}

/// The section "Performance" of the release notes of `version`, as Markdown.
pub fn render(version: &str, run: &Run, previous: &Previous) -> String {
    let mut text = format!("## Performance (v{version})\n\n");
    text += &markdown::head(&["Metric", "Value", "vs Previous"], 1);
    let mut of_rows = Vec::new();
    for (title, metric) in ROWS {
        let record = run.record(metric);
        let value = record.and_then(Record::value);
        let shown = value.map_or("not measured".to_owned(), |value| {
            number::value(metric.unit, value)
        });
        let before = previous.get(metric.name);
        of_rows.extend(before.map(|before| before.is_comparable));
        // A value of another kind of machine is left out: the difference would be that of the machines.
        let before = before.filter(|before| before.is_comparable != Some(false));
        let delta = value
            .zip(before)
            .and_then(|(now, before)| delta_of(&before.value, now));
        let delta = delta.unwrap_or_else(|| "–".to_owned());
        let shown = shown + record.map_or("", remark);
        text += &markdown::row(&[(*title).to_owned(), shown, delta]);
    }
    let modified = if run.git.dirty {
        " The checkout had uncommitted changes."
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "\nMeasured with {} SHA-256 of the binary: {}.{modified}",
        measured_on(run),
        markdown::code(&run.subject.sha256),
    );
    if !of_rows.is_empty() {
        text += "\"vs Previous\" is the difference of two runs, without a test against chance.";
        if of_rows.contains(&Some(false)) {
            text += " A metric without a difference was measured on another kind of machine, or built by \
                     another compiler, in the previous release.";
        }
        if of_rows.contains(&None) {
            text += " It is not known whether the previous release was measured on the same kind of \
                     machine.";
        }
        text += "\n";
    }
    text
}

/// A remark that belongs to a value whenever it is quoted.
fn remark(record: &Record) -> &'static str {
    let has = |note: &Note| record.notes.contains(note);
    if record.value().is_none() {
        ""
    } else if has(&Note::GeneratorBound) {
        " or more (the load generator was the limit)"
    } else if has(&Note::Noisy) {
        " (on a busy machine)"
    } else {
        ""
    }
}

/// The command and the machine; for a merged run, that of its CI jobs, with each machine once.
fn measured_on(run: &Run) -> String {
    let name = |host: &Host| {
        let model = host.cpu_model.as_deref().unwrap_or("unknown CPU");
        format!("{} ({} cores)", markdown::code(model), host.logical_cores)
    };
    let mut machines = run.machines(name);
    // So that the text does not depend on the order in which the results of jobs were merged.
    machines.sort();
    let command = if run.parts.is_empty() {
        "`cargo xtask metrics`"
    } else {
        "`cargo xtask ci --job NAME` in CI jobs"
    };
    format!("{command} on {};", machines.join(", "))
}

/// The change in percent, with its sign.
fn delta_of(before: &Value, now: &Value) -> Option<String> {
    let (before, now) = (before.number()?, now.number()?);
    // A share of 0, or of a negative value, is meaningless.
    (before > 0.0 && now.is_finite())
        .then(|| format!("{:+.1}%", 100.0 * (now / before - 1.0)))
        // A change that rounds to 0 has no direction.
        .map(|text| text.replace("-0.0%", "+0.0%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render::fixture;

    #[test]
    fn the_section_has_a_row_for_each_of_the_template() {
        let before = |value, is_comparable| Before {
            value,
            is_comparable,
        };
        let size = BINARY_SIZE.name.to_owned();
        let mut previous = BTreeMap::from([
            (size.clone(), before(Value::Integer(8_000_000), Some(true))),
            (
                LATENCY_P95.name.to_owned(),
                before(Value::Float(16.0), Some(false)),
            ),
            (
                OVERHEAD_LATENCY_P50.name.to_owned(),
                before(Value::Float(0.0), Some(true)),
            ),
        ]);
        expect_test::expect![[r#"
            ## Performance (v1.2.0)

            | Metric | Value | vs Previous |
            | --- | ---: | ---: |
            | Binary size | 8.43 MB | +5.4% |
            | Memory (idle) | not measured | – |
            | Latency p95 | 15.0 ms (on a busy machine) | – |
            | Throughput | 6,120 req/s or more (the load generator was the limit) | – |
            | Proxy overhead | -20.0 µs | – |

            Measured with `cargo xtask metrics` on `AMD EPYC` (2 cores); SHA-256 of the binary: `ba7816bf`.
            "vs Previous" is the difference of two runs, without a test against chance. A metric without a difference was measured on another kind of machine, or built by another compiler, in the previous release.
        "#]]
        .assert_eq(&render("1.2.0", &fixture::mixed(), &previous));
        let known = |of: &Previous| render("1.2.0", &fixture::mixed(), of);
        previous.insert(size, before(Value::Integer(8_000_000), None));
        assert!(known(&previous).contains("It is not known whether"));
        assert!(!known(&Previous::new()).contains("vs Previous\" is"));
    }
}
