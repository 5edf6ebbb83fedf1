//! Reports that the recorder accepts and refuses, and the files that it saves.

use anyhow::anyhow;
use tempfile::TempDir;

use super::*;
use crate::interrupt::Interrupted;
use crate::metrics::catalog::*;
use crate::metrics::estimate::RULES;
use crate::metrics::host::Pressure;
use crate::metrics::model::Value;
use crate::metrics::render::fixture;

fn recorder(tiers: &[Tier]) -> (TempDir, Recorder) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let recorder = Recorder::new(&path, fixture::start(tiers)).unwrap();
    (directory, recorder)
}

fn saved(directory: &TempDir) -> Run {
    Run::parse(&store::read(&directory.path().join("run.json")).unwrap()).unwrap()
}

/// A block of the program `head` on a machine that reports nothing but steal.
pub(crate) fn at(block: usize) -> At<'static> {
    At {
        scenario: "test",
        block,
        arm: "head",
        started_ms: 1_700_000_000_000,
        pressure: Pressure {
            steal_percent: Some(0.5),
            ..Pressure::default()
        },
    }
}

fn taken(readings: Vec<(&'static Metric, Reading)>) -> Taken {
    Taken::Measured {
        readings,
        noise: None,
        distributions: Vec::new(),
        raw: Json::Null,
    }
}

/// Records a block of one metric.
pub(crate) fn sample(
    recorder: &mut Recorder,
    metric: &'static Metric,
    value: f64,
) -> anyhow::Result<()> {
    let block = recorder.run.samples_of(metric).count();
    recorder.block(&at(block), taken(vec![(metric, number(value, 9))]))
}

fn refusal(result: anyhow::Result<()>) -> String {
    format!("{:#}", result.unwrap_err())
}

#[test]
fn a_block_is_saved_at_once_and_the_value_is_the_median() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    for value in [2.5, 9.0, 2.0, 3.0, 1.0] {
        sample(&mut recorder, &LATENCY_P50, value).unwrap();
    }
    let run = saved(&directory);
    assert!(!run.complete);
    let rows: Vec<_> = run.samples_of(&LATENCY_P50).collect();
    assert_eq!(rows.len(), 5);
    let third = rows[2];
    assert_eq!(
        (third.block, third.arm.as_str(), third.n),
        (2, "head", Some(9))
    );
    assert_eq!(
        (third.steal, third.psi, third.state),
        (Some(0.5), None, State::Counted)
    );
    assert_eq!(third.started, Some(1_700_000_000_000));
    let outcome = |run: &Run| run.record(&LATENCY_P50).unwrap().outcome.clone();
    let value = Value::Float(2.5);
    let interval = None;
    assert_eq!(outcome(&run), Outcome::Measured { value, interval });
    recorder.finish(true).unwrap();
    let run = saved(&directory);
    assert!(run.complete);
    let Outcome::Measured { interval, .. } = outcome(&run) else {
        panic!("not measured");
    };
    assert_eq!(interval, Some([1.0, 9.0]));
}

#[test]
fn a_whole_number_stays_whole() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    sample(&mut recorder, &THROUGHPUT_RPS_10VU, 15_420.4).unwrap();
    let outcome = &recorder.run.record(&THROUGHPUT_RPS_10VU).unwrap().outcome;
    let value = Value::Integer(15_420);
    let interval = None;
    assert_eq!(*outcome, Outcome::Measured { value, interval });
}

#[test]
fn what_was_not_asked_for_or_is_of_another_kind_is_refused() {
    const UNKNOWN: Metric = Metric {
        name: "latency/p51",
        ..LATENCY_P50
    };
    let (directory, mut recorder) = recorder(&[Tier::One, Tier::Three]);
    let before = saved(&directory);
    let mut block = |metric, reading| recorder.block(&at(0), taken(vec![(metric, reading)]));
    let cases = [
        (block(&UNKNOWN, number(1.0, 1)), "no such metric"),
        (
            block(&LATENCY_P99, number(1.0, 1)),
            "tier 2 was not asked for",
        ),
        (
            block(&BINARY_DOCKER_BASE, number(1.0, 1)),
            "unit is `string`",
        ),
        (block(&LATENCY_P50, Ok("fast".into())), "unit is `ms`"),
        (
            block(&BINARY_DOCKER_BASE, Ok(true.into())),
            "unit is `string`",
        ),
        (
            recorder.skip(&LATENCY_P99, "", ""),
            "tier 2 was not asked for",
        ),
    ];
    for (result, expected) in cases {
        let message = refusal(result);
        assert!(message.contains(expected), "{message}");
    }
    let after = saved(&directory);
    assert_eq!(
        (after.metrics, after.samples),
        (before.metrics, before.samples)
    );
    assert!(recorder.wants(&LATENCY_P50));
    assert!(!recorder.wants(&LATENCY_P99));
    assert!(!recorder.wants(&UNKNOWN));
}

#[test]
fn a_number_that_cannot_be_true_is_not_measured_and_costs_no_other_metric() {
    for impossible in [f64::NAN, f64::INFINITY, -0.1] {
        let (directory, mut recorder) = recorder(&[Tier::One]);
        let readings = vec![
            (&LATENCY_P50, number(impossible, 1)),
            (&OVERHEAD_LATENCY_P50, number(-0.1, 1)),
        ];
        recorder.block(&at(0), taken(readings)).unwrap();
        let run = saved(&directory);
        let row = run.samples_of(&LATENCY_P50).next().unwrap();
        assert_eq!((&row.value, row.state), (&None, State::Unmeasured));
        assert!(recorder.pending(&LATENCY_P50));
        assert!(
            !recorder.pending(&OVERHEAD_LATENCY_P50),
            "a difference may be negative"
        );
        let run = recorder.finish(true).unwrap();
        let Outcome::Failed { error } = &run.record(&LATENCY_P50).unwrap().outcome else {
            panic!("measured");
        };
        assert!(error.starts_with("none of 1 blocks has a value"), "{error}");
        assert!(error.ends_with("ms is impossible"), "{error}");
    }
}

#[test]
fn nothing_reported_is_a_failure_and_never_absent() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    recorder
        .skip(&MEMORY_IDLE_RSS, "not Linux", "measure on Linux")
        .unwrap();
    for why in ["status 400", "dropped iterations"] {
        let void = Taken::Void(vec![&LATENCY_P50], why.to_owned());
        recorder.block(&at(0), void).unwrap();
    }
    let run = recorder.finish(true).unwrap();
    assert_eq!(run.metrics.len(), of_tier(Tier::One).count());
    let error = |metric| match &run.record(metric).unwrap().outcome {
        Outcome::Failed { error } => error.clone(),
        other => panic!("{metric:?}: {other:?}"),
    };
    assert_eq!(
        error(&LATENCY_P50),
        "none of 2 blocks has a value; last reason: dropped iterations"
    );
    assert_eq!(error(&BINARY_SIZE), "its tier reported no value");
    let skipped = &run.record(&MEMORY_IDLE_RSS).unwrap().outcome;
    assert!(matches!(skipped, Outcome::Skipped { .. }));
}

#[test]
fn what_no_block_could_read_is_skipped_where_there_is_a_way_out() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    let missing = |hint| {
        Err(Missing {
            reason: "no such file".to_owned(),
            hint,
        })
    };
    let hint = Some("measure on Linux");
    let readings = vec![
        (&MEMORY_IDLE_RSS, missing(hint)),
        (&LATENCY_P50, missing(None)),
    ];
    recorder.block(&at(0), taken(readings)).unwrap();
    recorder.give_up(&MEMORY_IDLE_RSS, hint).unwrap();
    recorder.give_up(&LATENCY_P50, None).unwrap();
    let outcome = |metric| recorder.run.record(metric).unwrap().outcome.clone();
    let why = "none of 1 blocks has a value; last reason: no such file".to_owned();
    let skipped = Outcome::Skipped {
        reason: why.clone(),
        hint: "measure on Linux".to_owned(),
    };
    assert_eq!(outcome(&MEMORY_IDLE_RSS), skipped);
    assert_eq!(outcome(&LATENCY_P50), Outcome::Failed { error: why });
}

#[test]
fn a_cut_off_run_leaves_open_what_it_had_not_reached() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    recorder.finish(false).unwrap();
    let run = saved(&directory);
    assert!(!run.complete);
    let mut records = run.metrics.iter();
    assert!(records.all(|record| record.outcome == Outcome::Pending));
}

#[test]
fn a_failure_keeps_its_causes_and_an_interruption_is_none() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    let error = anyhow!("no space").context("failed to run k6");
    recorder.fail(&LATENCY_P50, &error).unwrap();
    let failed = Outcome::Failed {
        error: "failed to run k6: no space".to_owned(),
    };
    assert_eq!(recorder.run.record(&LATENCY_P50).unwrap().outcome, failed);
    sample(&mut recorder, &LATENCY_P50, 2.0).unwrap();
    let outcome = &recorder.run.record(&LATENCY_P50).unwrap().outcome;
    assert_eq!(*outcome, failed, "a block after a failure does not hide it");

    let error = anyhow!(Interrupted { signal: 2 }).context("failed to run k6");
    let passed_on = recorder.fail(&LATENCY_P95, &error).unwrap_err();
    assert_eq!(
        interrupt::cause(&passed_on),
        Some(Interrupted { signal: 2 })
    );
    assert!(recorder.pending(&LATENCY_P95));
}

#[test]
fn notes_and_details_are_kept_once() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    recorder.note(&LATENCY_P50, Note::Noisy).unwrap();
    recorder.note(&LATENCY_P50, Note::Noisy).unwrap();
    for count in [1, 2] {
        let detail = serde_json::json!({ "count": count });
        recorder.detail(&LATENCY_P50, "k6", detail).unwrap();
    }
    recorder.tool("k6", "1.1.0");
    recorder.setting("rate_per_second", 200.into());
    recorder.looks("latency", vec![10]);
    recorder.finish(true).unwrap();
    let run = saved(&directory);
    let record = run.record(&LATENCY_P50).unwrap();
    assert_eq!(record.notes, [Note::Noisy]);
    assert_eq!(record.details["k6"]["count"], 2);
    assert_eq!(run.tools["k6"], "1.1.0");
    assert_eq!(
        (&run.settings["rate_per_second"], run.seed),
        (&200.into(), 7)
    );
    assert_eq!((&run.looks["latency"][..], run.rules), (&[10][..], RULES));
}

#[test]
fn an_unwritable_place_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    store::save(&file, "").unwrap();
    let error = Recorder::new(&file.join("run.json"), fixture::start(&[Tier::One]))
        .err()
        .unwrap();
    assert!(
        format!("{error:#}").contains(": failed to save `"),
        "{error:#}"
    );
}
