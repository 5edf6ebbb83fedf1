//! The Bencher Metric Format: an object of benchmarks, each with its measures.
//!
//! Bencher's thresholds belong to measures, the requirement's targets to metrics: each metric is therefore
//! a benchmark with a measure of its own. The format has only numbers: a text is 1 if it is the required
//! one, a boolean is 1 if it is true, and both are 0 otherwise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::metrics::catalog::{Kind, Metric, Unit};
use crate::metrics::judge;
use crate::metrics::model::{Outcome, Run, Value};

/// A value with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Figure {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// The slug of the measure of a metric.
pub fn measure(metric: &Metric) -> String {
    // Bencher's slugs have lower-case letters, digits and hyphens only.
    metric.name.replace(['/', '_'], "-")
}

/// The unit of a metric, in Bencher's notation.
pub fn units(metric: &Metric) -> &'static str {
    match metric.unit {
        Unit::Bytes => "bytes (B)",
        Unit::Milliseconds => "milliseconds (ms)",
        Unit::Microseconds => "microseconds (µs)",
        Unit::Percent => "percent (%)",
        Unit::RequestsPerSecond => "requests / second (req/s)",
        Unit::Count => "count",
        Unit::String | Unit::Bool => "1 when it is as required",
    }
}

/// The metrics with a value that can be sent.
pub fn sent(run: &Run) -> Vec<&'static Metric> {
    let rows = run
        .rows()
        .filter(|(metric, record)| figure(metric, &record.outcome).is_some());
    rows.map(|(metric, _)| metric).collect()
}

/// The measured metrics of a run; `None` without any, since Bencher would store an empty report.
pub fn render(run: &Run) -> Option<String> {
    let figures = run.rows().filter_map(|(metric, record)| {
        let figure = figure(metric, &record.outcome)?;
        Some((metric.name, BTreeMap::from([(measure(metric), figure)])))
    });
    let figures: BTreeMap<&str, _> = figures.collect();
    if figures.is_empty() {
        return None;
    }
    let mut text = serde_json::to_string_pretty(&figures).expect("plain data");
    text.push('\n');
    Some(text)
}

fn figure(metric: &Metric, outcome: &Outcome) -> Option<Figure> {
    let Outcome::Measured { value, interval } = outcome else {
        return None;
    };
    let number = match (metric.kind(), value) {
        (Kind::Text, _) => f64::from(u8::from(judge::meets(metric, value)?)),
        (_, Value::Boolean(truth)) => f64::from(u8::from(*truth)),
        _ => value.number()?,
    };
    let bound = |index: usize| {
        let bound = interval.as_ref()?[index];
        // JSON has no infinity: such a bound is left out, and the value is sent all the same.
        bound.is_finite().then_some(bound)
    };
    number.is_finite().then_some(Figure {
        value: number,
        lower_value: bound(0),
        upper_value: bound(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{LATENCY_P50, METRICS, Tier};
    use crate::metrics::render::fixture;

    #[test]
    fn what_was_measured_is_an_object_of_numbers() {
        expect_test::expect![[r#"
            {
              "binary/docker_base": {
                "binary-docker-base": {
                  "value": 1.0
                }
              },
              "binary/multi_arch": {
                "binary-multi-arch": {
                  "value": 0.0
                }
              },
              "binary/size": {
                "binary-size": {
                  "value": 8432640.0
                }
              },
              "cpu/us_per_request": {
                "cpu-us-per-request": {
                  "value": 61.5,
                  "lower_value": 61.0,
                  "upper_value": 62.0
                }
              },
              "latency/p50": {
                "latency-p50": {
                  "value": 2.3,
                  "lower_value": 2.25,
                  "upper_value": 2.4125
                }
              },
              "latency/p95": {
                "latency-p95": {
                  "value": 15.0,
                  "lower_value": 14.1,
                  "upper_value": 16.2
                }
              },
              "overhead/latency_p50": {
                "overhead-latency-p50": {
                  "value": -0.02,
                  "lower_value": -0.05,
                  "upper_value": 0.01
                }
              },
              "throughput/rps_10vu": {
                "throughput-rps-10vu": {
                  "value": 6120.0,
                  "lower_value": 6000.0,
                  "upper_value": 6200.5
                }
              }
            }
        "#]]
        .assert_eq(&render(&fixture::mixed()).unwrap());
    }

    #[test]
    fn nothing_and_what_is_no_number_are_not_sent() {
        let mut run = fixture::run(&[Tier::One]);
        assert_eq!(render(&run), None);
        fixture::set(&mut run, &LATENCY_P50, Value::Float(f64::NAN), None);
        assert_eq!(render(&run), None);
        let bounds = Some([f64::NEG_INFINITY, 3.0]);
        fixture::set(&mut run, &LATENCY_P50, Value::Float(2.0), bounds);
        let text = render(&run).unwrap();
        assert!(!text.contains("lower_value"), "{text}");
        assert!(text.contains("\"upper_value\": 3.0"), "{text}");
    }

    #[test]
    fn each_metric_has_a_measure_of_its_own() {
        let mut slugs: Vec<String> = METRICS.iter().map(measure).collect();
        for slug in &slugs {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(slug.len() <= 64 && slug.bytes().all(fits), "{slug}");
        }
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), METRICS.len());
    }
}
