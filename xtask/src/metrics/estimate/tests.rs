//! Values, intervals and pooled percentiles of rows.

use super::*;
use crate::metrics::catalog::{LATENCY_P50, LATENCY_P99, TTFB_P95, Tier};
use crate::metrics::model::Distribution;
use crate::metrics::render::fixture;

fn times(block: usize, of: &str, times: &[f64]) -> Distribution {
    Distribution {
        session: 0,
        block,
        arm: "head".to_owned(),
        of: of.to_owned(),
        buckets: Histogram::of(times.iter().copied()),
    }
}

fn run_of(metric: &Metric, values: &[(f64, State)]) -> Run {
    let mut run = fixture::run(&[Tier::One, Tier::Two]);
    let rows = values.iter().enumerate();
    run.samples = rows
        .map(|(block, (value, state))| Sample {
            block,
            ..fixture::sample(metric, Some(*value), *state)
        })
        .collect();
    run
}

#[test]
fn only_rows_of_the_first_arm_that_count_make_the_value() {
    let mut run = run_of(
        &LATENCY_P50,
        &[
            (1.0, State::Counted),
            (9.0, State::Noisy),
            (3.0, State::Counted),
        ],
    );
    run.samples.push(Sample {
        arm: "base".to_owned(),
        ..fixture::sample(&LATENCY_P50, Some(100.0), State::Counted)
    });
    assert_eq!(value(&run, &LATENCY_P50), Some(Value::Float(2.0)));
    assert_eq!(value(&run, &LATENCY_P99), None);
    assert_eq!(interval(&run, &LATENCY_P50), None);
}

#[test]
fn the_pooled_percentile_shows_what_the_median_over_blocks_hides() {
    // Two of five blocks have a stall.
    let blocks = [3.0, 50.0, 3.0, 50.0, 3.0];
    let mut run = run_of(&LATENCY_P99, &blocks.map(|p99| (p99, State::Counted)));
    for (block, slowest) in blocks.iter().enumerate() {
        let mut all = vec![2.0; 960];
        all.resize(1000, *slowest);
        run.distributions.push(times(block, "latency", &all));
        run.distributions.push(times(block, "ttfb", &[7.0; 1000]));
    }
    assert_eq!(value(&run, &LATENCY_P99), Some(Value::Float(3.0)));
    let pooled_p99 = pooled(&run, &LATENCY_P99).unwrap();
    assert_eq!((pooled_p99.value, pooled_p99.n), (50.0, 5000));
    // 500 calls lie beyond the median of each block: enough.
    assert_eq!(pooled(&run, &LATENCY_P50), None);
    assert_eq!(pooled(&run, &TTFB_P95), None, "no row of it counts");

    run.samples[1].state = State::Noisy;
    run.samples[3].state = State::Void;
    let pooled = pooled(&run, &LATENCY_P99).unwrap();
    assert_eq!(
        (pooled.value, pooled.n),
        (3.0, 3000),
        "blocks that do not count are left out"
    );
}

#[test]
fn what_could_not_be_read_is_the_reason_rather_than_a_void_block() {
    let mut run = run_of(
        &LATENCY_P50,
        &[(0.0, State::Unmeasured), (0.0, State::Void)],
    );
    for (row, why) in run.samples.iter_mut().zip(["no such file", "status 400"]) {
        (row.value, row.reason) = (None, Some(why.to_owned()));
    }
    let expected = "none of 2 blocks has a value; last reason: no such file";
    assert_eq!(unreported(&run, &LATENCY_P50).unwrap(), expected);
    assert_eq!(unreported(&run, &LATENCY_P99), None, "nobody tried");
}

#[test]
fn percentiles_are_known_by_their_names() {
    let named = |name| {
        probability(&Metric {
            name,
            ..LATENCY_P50
        })
    };
    assert_eq!(named("latency/p50"), Some(0.5));
    assert_eq!(named("latency/p999"), Some(0.999));
    for other in [
        "startup/policy_load",
        "memory/peak_rss",
        "latency/p",
        "policy/eval_p50",
    ] {
        assert_eq!(named(other), None, "{other}");
    }
}
