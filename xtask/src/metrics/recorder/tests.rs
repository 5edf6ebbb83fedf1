//! What the recorder accepts, refuses and saves.

use anyhow::anyhow;
use tempfile::TempDir;

use super::*;
use crate::interrupt::Interrupted;
use crate::metrics::report::fixture;

fn recorder(tiers: &[Tier]) -> (TempDir, Recorder) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let recorder = Recorder::new(&path, fixture::start(tiers)).unwrap();
    (directory, recorder)
}

fn saved(directory: &TempDir) -> Run {
    store::read_run(&directory.path().join("run.json")).unwrap()
}

fn refusal(result: anyhow::Result<()>) -> String {
    format!("{:#}", result.unwrap_err())
}

#[test]
fn a_sample_is_saved_at_once_and_the_value_is_the_median() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    for sample in [2.5, 9.0, 2.0] {
        recorder.sample("latency/p50", sample).unwrap();
    }
    let run = saved(&directory);
    assert!(!run.complete);
    let record = run.record("latency/p50").unwrap();
    assert_eq!(record.samples, [2.5, 9.0, 2.0]);
    assert_eq!(
        record.outcome,
        Outcome::Measured {
            value: Value::Float(2.5),
            interval: None
        }
    );
    recorder.finish(true).unwrap();
    let run = saved(&directory);
    assert!(run.complete);
    let Outcome::Measured { interval, .. } = &run.record("latency/p50").unwrap().outcome else {
        panic!("not measured");
    };
    assert_eq!(*interval, Some([2.0, 9.0]));
}

#[test]
fn a_whole_number_stays_whole() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    recorder.sample("throughput/rps_10vu", 15_420.4).unwrap();
    let outcome = &recorder
        .run()
        .record("throughput/rps_10vu")
        .unwrap()
        .outcome;
    assert_eq!(
        *outcome,
        Outcome::Measured {
            value: Value::Integer(15_420),
            interval: None
        }
    );
}

#[test]
fn what_cannot_be_true_is_refused() {
    let (directory, mut recorder) = recorder(&[Tier::One, Tier::Three]);
    let before = saved(&directory);
    let cases = [
        (recorder.sample("latency/p51", 1.0), "no such metric"),
        (
            recorder.sample("latency/p99", 1.0),
            "tier 2 was not asked for",
        ),
        (
            recorder.sample("latency/p50", f64::NAN),
            "not a finite number",
        ),
        (
            recorder.sample("latency/p50", f64::INFINITY),
            "not a finite number",
        ),
        (recorder.sample("latency/p50", -0.1), "is negative"),
        (
            recorder.sample("binary/docker_base", 1.0),
            "values are string",
        ),
        (recorder.text("latency/p50", "fast"), "unit is `ms`"),
        (
            recorder.boolean("binary/docker_base", true),
            "unit is `string`",
        ),
        (
            recorder.skip("latency/p99", "", ""),
            "tier 2 was not asked for",
        ),
    ];
    for (result, expected) in cases {
        let message = refusal(result);
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(saved(&directory).metrics, before.metrics);
    recorder.sample("overhead/latency_p50", -0.1).unwrap();
    assert!(recorder.wants("latency/p50"));
    assert!(!recorder.wants("latency/p99"));
    assert!(!recorder.wants("latency/p51"));
}

#[test]
fn nothing_reported_is_a_failure_and_never_absent() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    recorder
        .skip("memory/idle_rss", "not Linux", "measure on Linux")
        .unwrap();
    recorder.void("latency/p50", "status 400").unwrap();
    recorder.void("latency/p50", "dropped iterations").unwrap();
    let run = recorder.finish(true).unwrap();
    assert_eq!(run.metrics.len(), catalog::of_tier(Tier::One).count());
    let error = |name| match &run.record(name).unwrap().outcome {
        Outcome::Failed { error } => error.clone(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        error("latency/p50"),
        "every block was void (2 of 2); the last: dropped iterations"
    );
    assert_eq!(error("binary/size"), "its tier reported nothing for it");
    let skipped = &run.record("memory/idle_rss").unwrap().outcome;
    assert!(matches!(skipped, Outcome::Skipped { .. }));
}

#[test]
fn a_cut_off_run_leaves_open_what_it_had_not_reached() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    recorder.finish(false).unwrap();
    let run = saved(&directory);
    assert!(!run.complete);
    assert!(
        run.metrics
            .iter()
            .all(|record| record.outcome == Outcome::Pending)
    );
}

#[test]
fn a_failure_keeps_its_causes_and_an_interruption_is_none() {
    let (_directory, mut recorder) = recorder(&[Tier::One]);
    let error = anyhow!("no space").context("failed to run k6");
    recorder.fail("latency/p50", &error).unwrap();
    let outcome = &recorder.run().record("latency/p50").unwrap().outcome;
    assert_eq!(
        *outcome,
        Outcome::Failed {
            error: "failed to run k6: no space".to_owned()
        }
    );

    let error = anyhow!(Interrupted { signal: 2 }).context("failed to run k6");
    let passed_on = recorder.fail("latency/p95", &error).unwrap_err();
    assert_eq!(
        interrupt::cause(&passed_on),
        Some(Interrupted { signal: 2 })
    );
    assert!(recorder.pending("latency/p95"));
}

#[test]
fn notes_and_details_are_kept_once() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    recorder.note("latency/p50", Note::Noisy).unwrap();
    recorder.note("latency/p50", Note::Noisy).unwrap();
    recorder
        .detail("latency/p50", "k6", serde_json::json!({"count": 1}))
        .unwrap();
    recorder
        .detail("latency/p50", "k6", serde_json::json!({"count": 2}))
        .unwrap();
    recorder.tool("k6", "1.1.0");
    recorder.setting("rate_per_second", 200.into());
    recorder.finish(true).unwrap();
    let run = saved(&directory);
    let record = run.record("latency/p50").unwrap();
    assert_eq!(record.notes, [Note::Noisy]);
    assert_eq!(record.details["k6"]["count"], 2);
    assert_eq!(run.tools["k6"], "1.1.0");
    assert_eq!(
        (
            run.settings["rate_per_second"].clone(),
            run.settings["seed"].clone()
        ),
        (200.into(), 7.into())
    );
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
