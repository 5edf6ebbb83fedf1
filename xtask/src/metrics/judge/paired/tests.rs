//! Verdicts on invented sessions: with known effects, numbers of blocks, and noise.

use std::collections::BTreeMap;

use super::*;
use crate::metrics::catalog::{
    BINARY_SIZE, CPU_US_PER_REQUEST, INSTRUCTIONS_POLICY_EVAL, LATENCY_P50, LATENCY_P95,
    MEMORY_IDLE_RSS, STARTUP_TO_READY, THROUGHPUT_RPS_10VU,
};
use crate::metrics::model::{Sample, State, Value};
use crate::metrics::render::fixture;
use crate::metrics::stats::Random;

const FAMILY: [&Metric; 7] = [
    &STARTUP_TO_READY,
    &MEMORY_IDLE_RSS,
    &LATENCY_P50,
    &LATENCY_P95,
    &LATENCY_P99,
    &THROUGHPUT_RPS_10VU,
    &CPU_US_PER_REQUEST,
];

/// A session whose blocks vary by `noise` (a share), with the head's value of `metric` multiplied by
/// `factor`, and the control's by `control`.
fn session(
    (metric, factor, control): (&'static Metric, f64, f64),
    blocks: usize,
    noise: f64,
    seed: u64,
) -> Run {
    let mut run = fixture::run(&[]);
    run.looks = BTreeMap::from([("compare".to_owned(), vec![16, 24, 32, 40])]);
    run.samples.clear();
    let mut random = Random::new(seed);
    let mut normal = || {
        // The sum of twelve is normal enough.
        let sum: f64 = (0..12)
            .map(|_| random.below(1 << 30) as f64 / f64::from(1 << 30))
            .sum();
        sum - 6.0
    };
    for block in 0..blocks {
        for of in FAMILY {
            let shared = 0.2 * normal();
            for arm in [BASE, CONTROL, HEAD] {
                let own = match arm {
                    HEAD if *of == *metric => factor,
                    CONTROL if *of == *metric => control,
                    _ => 1.0,
                };
                let scale = if of.category() == "memory" {
                    1e7
                } else {
                    100.0
                };
                let value = scale * own * (shared + noise * normal()).exp();
                run.samples.push(sample(of, arm, block, value));
            }
        }
    }
    run
}

fn sample(metric: &Metric, arm: &str, block: usize, value: f64) -> Sample {
    Sample {
        arm: arm.to_owned(),
        block,
        ..fixture::sample(metric, Some(value), State::Counted)
    }
}

fn row<'j>(judged: &'j Judged, metric: &Metric) -> &'j Row {
    judged.rows.iter().find(|row| row.metric == metric).unwrap()
}

#[test]
fn each_size_of_change_has_its_word() {
    for (factor, expected) in [
        (1.0, Verdict::Pass),
        (0.9, Verdict::Pass),
        (1.05, Verdict::Notice),
        (1.15, Verdict::Alert),
        (1.35, Verdict::Block),
    ] {
        let judged = judge(&session((&CPU_US_PER_REQUEST, factor, 1.0), 40, 0.01, 3), 0);
        let row = row(&judged, &CPU_US_PER_REQUEST);
        assert_eq!(row.verdict, expected, "{factor}: {row:?}");
        assert!((row.effect - (factor - 1.0)).abs() < 0.01, "{row:?}");
        assert_eq!(judged.overall, expected);
        assert!(judged.is_decided());
        let better = row.test.as_ref().unwrap().is_better(row.effect);
        assert_eq!(better, factor < 1.0);
    }
}

#[test]
fn less_throughput_is_worse() {
    let judged = judge(&session((&THROUGHPUT_RPS_10VU, 0.7, 1.0), 40, 0.02, 3), 0);
    let worse = row(&judged, &THROUGHPUT_RPS_10VU);
    assert_eq!(worse.verdict, Verdict::Block);
    assert!((worse.effect - 0.3).abs() < 0.02, "{worse:?}");
    assert_eq!(
        judged.rows[0].metric, &THROUGHPUT_RPS_10VU,
        "the worst is first"
    );
    let judged = judge(&session((&THROUGHPUT_RPS_10VU, 1.4, 1.0), 40, 0.02, 3), 0);
    assert_eq!(judged.overall, Verdict::Pass);
}

#[test]
fn what_could_not_be_found_is_inconclusive_and_not_a_pass() {
    let judged = judge(&session((&LATENCY_P50, 1.0, 1.0), 16, 0.25, 3), 0);
    let row = row(&judged, &LATENCY_P50);
    assert_eq!(row.verdict, Verdict::Inconclusive, "{row:?}");
    assert!(
        row.reason.as_ref().unwrap().contains("may miss a change"),
        "{row:?}"
    );
    assert!(!judged.is_decided());
    assert_eq!(judged.overall, Verdict::Inconclusive);
}

#[test]
fn a_busy_machine_passes_nothing_and_hides_nothing_that_was_found() {
    for (factor, expected) in [(1.0, Verdict::Inconclusive), (1.15, Verdict::Alert)] {
        let mut run = session((&CPU_US_PER_REQUEST, factor, 1.0), 40, 0.01, 3);
        let limit = ("noisy_others_percent".to_owned(), 12.5);
        run.thresholds.extend([limit]);
        // A disturbance of fewer than half of the blocks changes nothing.
        for (busy, expected) in [(15, Verdict::Pass), (25, expected)] {
            for row in &mut run.samples {
                row.others = Some(if row.block < busy { 70.0 } else { 0.5 });
            }
            let judged = judge(&run, 0);
            let row = row(&judged, &CPU_US_PER_REQUEST);
            assert_eq!(
                row.verdict,
                expected.max(if factor > 1.0 {
                    Verdict::Alert
                } else {
                    Verdict::Pass
                })
            );
            if row.verdict == Verdict::Inconclusive {
                let reason = row.reason.as_deref();
                assert_eq!(reason, Some("other programs took 70 % of the CPU time"));
            }
        }
    }
}

#[test]
fn a_control_that_differs_makes_the_metric_inconclusive() {
    let judged = judge(&session((&LATENCY_P50, 1.3, 1.06), 40, 0.01, 3), 0);
    let row = row(&judged, &LATENCY_P50);
    assert_eq!(row.verdict, Verdict::Inconclusive);
    assert!(
        row.reason
            .as_ref()
            .unwrap()
            .contains("two processes of the base")
    );
    assert!(!judged.is_decided());
}

#[test]
fn a_session_of_one_program_against_itself_says_nothing() {
    let mut said = 0;
    for seed in 0..12 {
        let judged = judge(&session((&LATENCY_P50, 1.0, 1.0), 40, 0.06, seed), 0);
        said += usize::from(judged.overall.is_regression());
    }
    assert_eq!(said, 0);
}

#[test]
fn any_difference_of_a_size_is_one() {
    for (length, expected) in [
        (1_000_000.0, Verdict::Pass),
        (1_004_000.0, Verdict::Pass),
        (1_010_000.0, Verdict::Notice),
        (1_050_000.0, Verdict::Alert),
        (1_100_000.0, Verdict::Block),
        (900_000.0, Verdict::Pass),
    ] {
        let mut run = session((&LATENCY_P50, 1.0, 1.0), 16, 0.01, 3);
        run.samples.push(sample(&BINARY_SIZE, BASE, 0, 1_000_000.0));
        run.samples.push(sample(&BINARY_SIZE, HEAD, 0, length));
        let judged = judge(&run, 0);
        assert_eq!(row(&judged, &BINARY_SIZE).verdict, expected, "{length}");
        assert!(!needs_confirmation(&judged));
    }
}

#[test]
fn counts_that_differ_within_one_program_tell_no_smaller_difference_between_two() {
    let counts = |of_base: [f64; 3], of_head: [f64; 3]| {
        let mut run = session((&LATENCY_P50, 1.0, 1.0), 16, 0.01, 3);
        for block in 0..3 {
            let add = [(BASE, of_base[block]), (HEAD, of_head[block])];
            let rows = add.map(|(arm, value)| sample(&INSTRUCTIONS_POLICY_EVAL, arm, block, value));
            run.samples.extend(rows);
        }
        let judged = judge(&run, 0);
        let row = row(&judged, &INSTRUCTIONS_POLICY_EVAL);
        (row.verdict, row.reason.is_some())
    };
    let steady = [27_000.0, 27_020.0, 27_010.0];
    assert_eq!(counts(steady, steady), (Verdict::Pass, false));
    let one_percent = steady.map(|count| 1.01 * count);
    assert_eq!(counts(steady, one_percent), (Verdict::Alert, false));
    let unsteady = [27_300.0, 27_600.0, 27_900.0];
    assert_eq!(counts(steady, unsteady), (Verdict::Inconclusive, true));
    let worse = unsteady.map(|count| 1.2 * count);
    assert_eq!(counts(steady, worse), (Verdict::Block, true));
}

#[test]
fn a_block_counts_when_a_second_session_agrees() {
    let first = session((&LATENCY_P50, 1.4, 1.0), 16, 0.02, 3);
    assert!(needs_confirmation(&judge(&first, 0)));
    for (factor, expected) in [
        (1.4, Verdict::Block),
        (1.15, Verdict::Alert),
        (1.0, Verdict::Inconclusive),
    ] {
        let mut run = first.clone();
        let second = session((&LATENCY_P50, factor, 1.0), 16, 0.02, 4);
        run.samples.extend(
            second
                .samples
                .into_iter()
                .map(|row| Sample { session: 1, ..row }),
        );
        let judged = judge_all(&run);
        assert_eq!(row(&judged, &LATENCY_P50).verdict, expected, "{factor}");
        assert_eq!(judged.overall, expected, "{factor}");
    }
    // Cut off before the second session.
    let judged = judge_all(&first);
    assert_eq!(judged.overall, Verdict::Alert);
    let reason = row(&judged, &LATENCY_P50).reason.as_deref();
    assert!(reason.unwrap().contains("needs a second session"));
}

#[test]
fn without_a_control_nothing_passes() {
    for factor in [1.0, 1.4] {
        let mut run = session((&LATENCY_P50, factor, 1.0), 16, 0.02, 3);
        run.samples.retain(|row| row.arm != CONTROL);
        let judged = judge(&run, 0);
        assert_eq!(judged.overall, Verdict::Inconclusive, "{factor}");
    }
}

#[test]
fn blocks_without_a_value_and_void_ones_are_left_out() {
    let mut run = session((&LATENCY_P50, 1.0, 1.0), 20, 0.01, 3);
    for sample in &mut run.samples {
        if sample.block == 3 && sample.arm == HEAD {
            sample.value = None;
            sample.state = State::Unmeasured;
        }
        if sample.block == 4 {
            sample.state = State::Void;
        }
        if sample.block == 5 {
            sample.value = Some(Value::Float(0.0));
        }
    }
    let judged = judge(&run, 0);
    assert_eq!(row(&judged, &LATENCY_P50).test.as_ref().unwrap().blocks, 17);
}

#[test]
fn nothing_measured_is_inconclusive() {
    let mut run = session((&LATENCY_P50, 1.0, 1.0), 1, 0.01, 3);
    assert_eq!(judge(&run, 0).overall, Verdict::Inconclusive);
    run.samples.clear();
    assert_eq!(judge(&run, 0).overall, Verdict::Inconclusive);
}

#[test]
fn samples_without_spread_give_no_nonsense() {
    for value in [1e-12, 5.0, 1e15] {
        let mut run = session((&LATENCY_P50, 1.0, 1.0), 16, 0.01, 3);
        for sample in &mut run.samples {
            sample.value = Some(Value::Float(value));
        }
        let judged = judge(&run, 0);
        for row in &judged.rows {
            assert!(row.effect.abs() < f64::EPSILON);
            assert_eq!(row.verdict, Verdict::Pass, "{row:?}");
        }
    }
}

#[test]
fn units_order_and_names_of_programs_decide_nothing() {
    for (factor, seed) in [(1.0, 5), (1.04, 6), (1.15, 7), (1.4, 8)] {
        let run = session((&CPU_US_PER_REQUEST, factor, 1.0), 32, 0.02, seed);
        let verdicts = |run: &Run| {
            let judged = judge(run, 0);
            let rows = judged.rows.iter();
            let rows = rows.map(|row| (row.metric.name, row.verdict));
            rows.collect::<BTreeMap<_, _>>()
        };
        let expected = verdicts(&run);
        let mut shuffled = run.clone();
        shuffled.samples.reverse();
        assert_eq!(verdicts(&shuffled), expected, "{factor}");
        let mut scaled = run.clone();
        for row in &mut scaled.samples {
            // Memory has a floor in bytes.
            let is_memory = row.metric == MEMORY_IDLE_RSS.name;
            if let Some(Value::Float(value)) = &mut row.value {
                *value *= if is_memory { 1.0 } else { 1000.0 };
            }
        }
        assert_eq!(verdicts(&scaled), expected, "{factor}");
        let mut swapped = run.clone();
        // The control stays a second process of what is now the base.
        for row in &mut swapped.samples {
            row.arm = match row.arm.as_str() {
                BASE => HEAD,
                HEAD => BASE,
                control => control,
            }
            .to_owned();
        }
        swapped.samples.retain(|row| row.arm != CONTROL);
        let controls = swapped.samples.iter().filter(|row| row.arm == BASE);
        let controls = controls.map(|row| Sample {
            arm: CONTROL.to_owned(),
            ..row.clone()
        });
        let controls: Vec<Sample> = controls.collect();
        swapped.samples.extend(controls);
        let (there, back) = (judge(&run, 0), judge(&swapped, 0));
        let effect = |judged: &Judged| row(judged, &CPU_US_PER_REQUEST).effect;
        let product = (1.0 + effect(&there)) * (1.0 + effect(&back));
        assert!((product - 1.0).abs() < 1e-9, "{factor}: {product}");
        if factor > 1.1 {
            let row = row(&back, &CPU_US_PER_REQUEST);
            assert!(row.test.as_ref().unwrap().is_better(row.effect));
            assert_eq!(row.verdict, Verdict::Pass);
        }
    }
}

#[test]
fn a_head_without_a_value_is_no_pass() {
    let mut run = session((&LATENCY_P50, 1.0, 1.0), 40, 0.01, 1);
    assert_eq!(judge(&run, 0).overall, Verdict::Pass);
    run.samples
        .retain(|row| row.arm != HEAD || row.metric != LATENCY_P50.name);
    let judged = judge(&run, 0);
    assert_eq!(judged.overall, Verdict::Inconclusive);
    assert_eq!(judged.rows.len(), FAMILY.len());
    assert_eq!(
        judged.rows[0].reason.as_deref(),
        Some("the head has no value")
    );
}
