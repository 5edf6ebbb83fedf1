//! Verdicts on jobs, with invented histories.

use super::*;
use crate::metrics::catalog::{
    BINARY_DOCKER_LAYERS, BINARY_SIZE, LATENCY_P50, THROUGHPUT_RPS_10VU,
};

fn series(metric: &'static Metric, jobs: usize, latest: &[f64]) -> Series {
    // A spread of about one percent.
    let baseline = (0..jobs).map(|job| 100.0 + [0.0, 1.0, -1.0, 0.5, -0.5, 1.2][job % 6]);
    Series {
        metric,
        baseline: baseline.collect(),
        latest: latest.to_vec(),
        held: Vec::new(),
        commits: (0..jobs + latest.len())
            .map(|job| Some(format!("commit {job}")))
            .collect(),
    }
}

fn verdict_of(series: Series) -> (Verdict, Option<String>) {
    let row = judge(&[series], Test::Student).remove(0);
    (row.verdict, row.reason)
}

#[test]
fn each_size_of_change_has_its_word_once_it_is_seen_twice() {
    for (latest, expected) in [
        ([100.0, 100.0, 100.5], Verdict::Pass),
        ([100.0, 108.0, 108.0], Verdict::Suspect),
        ([100.0, 100.0, 112.0], Verdict::Suspect),
        ([100.0, 112.0, 112.0], Verdict::Alert),
        ([112.0, 100.0, 112.0], Verdict::Alert),
        ([112.0, 112.0, 100.0], Verdict::Pass),
        ([100.0, 130.0, 130.0], Verdict::Block),
        ([100.0, 70.0, 70.0], Verdict::Pass),
    ] {
        let (verdict, reason) = verdict_of(series(&LATENCY_P50, 20, &latest));
        assert_eq!(verdict, expected, "{latest:?}: {reason:?}");
    }
    let (verdict, _) = verdict_of(series(&THROUGHPUT_RPS_10VU, 20, &[100.0, 70.0, 70.0]));
    assert_eq!(verdict, Verdict::Block);
}

#[test]
fn little_history_alerts_and_does_not_block_and_less_says_nothing() {
    let latest = [100.0, 130.0, 130.0];
    let (verdict, reason) = verdict_of(series(&LATENCY_P50, 12, &latest));
    assert_eq!(verdict, Verdict::Alert);
    assert!(reason.unwrap().contains("needs 20"));
    for jobs in [0, 2, 9] {
        let (verdict, reason) = verdict_of(series(&LATENCY_P50, jobs, &latest));
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(reason.unwrap().starts_with("insufficient history"));
    }
}

#[test]
fn a_metric_that_varies_much_does_not_block() {
    let mut noisy = series(&LATENCY_P50, 24, &[100.0, 260.0, 260.0]);
    for (job, value) in noisy.baseline.iter_mut().enumerate() {
        *value += [0.0, 25.0, -25.0, 30.0][job % 4];
    }
    let (verdict, reason) = verdict_of(noisy);
    assert_eq!(verdict, Verdict::Alert);
    assert!(reason.unwrap().contains("varies by"));
}

#[test]
fn one_far_value_is_moved_in_and_told() {
    let mut far = series(&LATENCY_P50, 20, &[100.0, 112.0, 112.0]);
    far.baseline[7] = 500.0;
    let row = judge(&[far], Test::Student).remove(0);
    assert_eq!((row.verdict, row.moved), (Verdict::Alert, 1), "{row:?}");
}

#[test]
fn the_latest_jobs_can_be_tested_together() {
    for test in [Test::Welch, Test::Permutation] {
        for metric in [&LATENCY_P50, &THROUGHPUT_RPS_10VU] {
            let (worse, better) = ([111.0, 112.0, 113.0], [88.0, 87.0, 88.5]);
            let (worse, better) = if metric.more_is_better() {
                (better, worse)
            } else {
                (worse, better)
            };
            let verdict = |latest| judge(&[series(metric, 20, latest)], test)[0].verdict;
            assert_eq!(verdict(&worse), Verdict::Alert);
            assert_eq!(verdict(&better), Verdict::Pass);
        }
    }
    assert!((by_chance() - 0.00725).abs() < 1e-9);
}

#[test]
fn a_size_is_compared_with_the_job_before() {
    let (verdict, _) = verdict_of(series(&BINARY_SIZE, 5, &[100.0, 100.0, 100.6]));
    assert_eq!(verdict, Verdict::Notice);
    let (verdict, _) = verdict_of(series(&BINARY_SIZE, 5, &[100.0, 111.0, 111.0]));
    assert_eq!(verdict, Verdict::Pass, "the job before had it");
    let (verdict, reason) = verdict_of(series(&BINARY_SIZE, 0, &[100.0]));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(reason.unwrap().contains("no earlier job"));
}

#[test]
fn what_may_be_chance_is_no_pass() {
    for test in [Test::Welch, Test::Permutation] {
        let of = series(&LATENCY_P50, 20, &[100.0, 100.0, 140.0]);
        let row = judge(&[of], test).remove(0);
        assert_eq!(row.verdict, Verdict::Inconclusive, "{test:?}: {row:?}");
    }
}

#[test]
fn numbers_beyond_any_and_zeros_give_no_nonsense() {
    for value in [f64::MAX, 1.7e308, 0.0] {
        for test in [Test::Student, Test::Welch, Test::Permutation] {
            let of = Series {
                metric: &LATENCY_P50,
                baseline: vec![value; 20],
                latest: vec![value, value, 5.0],
                held: Vec::new(),
                commits: vec![None; 23],
            };
            let row = judge(&[of], test).remove(0);
            assert!(!row.effect.is_nan(), "{test:?} {value}: {row:?}");
            assert!(row.verdict < Verdict::Notice, "{test:?} {value}: {row:?}");
        }
    }
}

#[test]
fn an_alert_names_the_commit_that_brought_it_and_not_the_one_that_confirms_it() {
    for (latest, expected) in [
        ([100.0, 112.0, 112.0], 21),
        ([112.0, 112.0, 112.0], 20),
        ([112.0, 100.0, 112.0], 20),
    ] {
        let row = judge(&[series(&LATENCY_P50, 20, &latest)], Test::Student).remove(0);
        assert_eq!(row.verdict, Verdict::Alert);
        assert_eq!(row.since, Some(format!("commit {expected}")), "{latest:?}");
    }
    // It has become part of the baseline.
    let mut old = series(&LATENCY_P50, 24, &[112.0, 112.0, 112.0]);
    old.baseline[23] = 112.0;
    let row = judge(&[old], Test::Student).remove(0);
    assert_eq!(row.since.as_deref(), Some("commit 23"));
    let row = judge(
        &[series(&BINARY_SIZE, 20, &[100.0, 100.0, 120.0])],
        Test::Student,
    )
    .remove(0);
    assert_eq!(
        (row.verdict, row.since.as_deref()),
        (Verdict::Block, Some("commit 22"))
    );
}

#[test]
fn a_layer_more_is_an_alert_and_more_than_five_are_a_block() {
    for (before, now, expected) in [
        (2.0, 3.0, Verdict::Alert),
        (5.0, 6.0, Verdict::Block),
        (6.0, 6.0, Verdict::Pass),
        (7.0, 6.0, Verdict::Pass),
    ] {
        let of = series(&BINARY_DOCKER_LAYERS, 0, &[before, now]);
        let row = judge(&[of], Test::Student).remove(0);
        assert_eq!(row.verdict, expected, "{before} to {now}");
    }
}

#[test]
fn many_small_steps_are_worth_a_look_together() {
    let grows = |share: f64| {
        let sizes = (0..23).map(|job| 1e6 * (1.0 + share).powi(job));
        let mut baseline: Vec<f64> = sizes.collect();
        let latest = baseline.split_off(20);
        let of = Series {
            metric: &BINARY_SIZE,
            baseline,
            latest,
            held: Vec::new(),
            commits: vec![None; 23],
        };
        judge(&[of], Test::Student).remove(0)
    };
    assert_eq!(grows(0.002).verdict, Verdict::Pass);
    let row = grows(0.0045);
    assert_eq!(row.verdict, Verdict::Alert);
    assert_eq!(
        row.reason.as_deref(),
        Some("small changes of 22 jobs add up to 10 %, reached by this one")
    );
    let verdict = |steps: &[f64]| {
        let mut sizes: Vec<f64> = (0..23).map(|job| 1e6 * 1.0045f64.powi(job)).collect();
        let last = sizes[22];
        sizes.extend(steps.iter().map(|step| last * step));
        let latest = sizes.split_off(sizes.len() - 3);
        let of = Series {
            metric: &BINARY_SIZE,
            commits: vec![None; sizes.len() + 3],
            baseline: sizes,
            latest,
            held: Vec::new(),
        };
        judge(&[of], Test::Student).remove(0).verdict
    };
    assert_eq!(verdict(&[1.0]), Verdict::Pass, "it added nothing");
    assert_eq!(verdict(&[1.0, 0.9]), Verdict::Pass, "it is smaller again");
}

#[test]
fn a_regression_is_no_part_of_the_baseline_however_long_it_lasts() {
    let usual = |job: usize| 100.0 + [0.0, 1.0, -1.0, 0.5, -0.5, 1.2][job % 6];
    let mut values: Vec<f64> = (0..30).map(usual).collect();
    assert_eq!(baseline(&LATENCY_P50, &values).len(), 30);
    values.extend((0..100).map(|job| 1.2 * usual(job)));
    let kept = baseline(&LATENCY_P50, &values);
    assert_eq!(kept, (0..30).collect::<Vec<_>>());
    // One bad job alone is noise, and stays; so do those after the regression.
    values.extend((0..5).map(usual));
    values.push(130.0);
    values.extend((0..5).map(usual));
    assert_eq!(baseline(&LATENCY_P50, &values).len(), 30 + 11);
    let steps: Vec<f64> = (0..40).map(f64::from).collect();
    assert_eq!(
        baseline(&BINARY_SIZE, &steps).len(),
        40,
        "each difference is one"
    );
}
