//! The command's own part: tiers that end early, and the exit code.

use anyhow::anyhow;
use tempfile::TempDir;

use super::*;
use crate::metrics::catalog::*;
use crate::metrics::model::{self, Outcome, Value};
use crate::metrics::recorder::tests::sample;
use crate::metrics::render::fixture;

fn recorder(tiers: &[Tier]) -> (TempDir, Recorder) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let recorder = Recorder::new(&path, fixture::start(tiers)).unwrap();
    (directory, recorder)
}

#[test]
fn a_tier_that_ends_early_fails_what_it_had_not_reported_and_the_next_goes_on() {
    let (_directory, mut recorder) = recorder(&[Tier::One, Tier::Two]);
    let interrupted = collect(
        &[Tier::One, Tier::Two],
        &mut recorder,
        |tier, recorder| match tier {
            Tier::One => {
                sample(recorder, &BINARY_SIZE, 1e6)?;
                Err(anyhow!("k6 is not there"))
            }
            _ => sample(recorder, &LATENCY_P99, 9.0),
        },
    );
    assert_eq!(interrupted.unwrap(), None);
    let run = recorder.finish(true).unwrap();
    let outcome = |metric: &Metric| &run.record(metric).unwrap().outcome;
    assert!(matches!(outcome(&BINARY_SIZE), Outcome::Measured { .. }));
    assert!(matches!(outcome(&LATENCY_P99), Outcome::Measured { .. }));
    let error = "tier 1 ended early: k6 is not there".to_owned();
    assert_eq!(*outcome(&LATENCY_P50), Outcome::Failed { error });
}

#[test]
fn an_interruption_ends_all_and_keeps_what_there_is() {
    let (directory, mut recorder) = recorder(&[Tier::One, Tier::Two]);
    let signal = Interrupted { signal: 15 };
    let mut tiers = Vec::new();
    let interrupted = collect(&[Tier::One, Tier::Two], &mut recorder, |tier, recorder| {
        tiers.push(tier);
        sample(recorder, &LATENCY_P50, 2.0)?;
        Err(anyhow!(signal).context("failed to measure"))
    });
    assert_eq!(interrupted.unwrap(), Some(signal));
    assert_eq!(tiers, [Tier::One]);
    let array = directory.path().join("bench_metrics.json");
    let outputs = Outputs {
        run: directory.path().join("run.json"),
        array: Array::File(array.clone()),
    };
    let flags = measure_flags(&[]);
    let exit = report(&flags, &outputs, &mut recorder, Some(signal), |_| ()).unwrap();
    assert_eq!(exit.code(), 143);
    assert!(!array.exists(), "an array has no mark for cut-off runs");
    let run = model::Run::parse(&store::read(&outputs.run).unwrap()).unwrap();
    assert!(!run.complete);
    assert_eq!(run.tally(&LATENCY_P50).counted, 1);
}

#[test]
fn a_finished_run_leaves_both_files_and_prints_table_or_json() {
    let (directory, mut recorder) = recorder(&[Tier::One]);
    sample(&mut recorder, &LATENCY_P50, 2.0).unwrap();
    let array = directory.path().join("sub/bench_metrics.json");
    let outputs = Outputs {
        run: directory.path().join("run.json"),
        array: Array::File(array.clone()),
    };
    let mut printed = String::new();
    for arguments in [&[][..], &["--json"]] {
        let exit = report(
            &measure_flags(arguments),
            &outputs,
            &mut recorder,
            None,
            |text| {
                // The results are saved before they are printed, which may fail.
                assert!(array.exists());
                text.clone_into(&mut printed);
            },
        );
        assert_eq!(exit.unwrap().code(), 0);
        let table = printed.contains("latency/p50") && printed.contains("< 5 ms");
        assert_eq!(table, arguments.is_empty(), "{printed}");
        assert_eq!(model::Run::parse(&printed).is_ok(), !arguments.is_empty());
    }
    let expected = "[\n  {\"name\":\"latency/p50\",\"value\":2.0,\"unit\":\"ms\"}\n]\n";
    assert_eq!(store::read(&array).unwrap(), expected);
}

#[test]
fn the_exit_code_follows_from_the_run() {
    let ending = |run: &model::Run, strict, enforce| ending::of(run, strict, enforce);
    let nothing = fixture::run(&[Tier::One]);
    assert_eq!(ending(&nothing, false, false).code(), 2);

    let mixed = fixture::mixed();
    assert_eq!(ending(&mixed, false, false).code(), 0);
    assert_eq!(ending(&mixed, true, false).code(), 2);
    let Exit::Blocked(why) = ending(&mixed, true, true) else {
        panic!("not blocked")
    };
    assert!(
        why.starts_with(
            "targets missed: binary/multi_arch, latency/p95, throughput/rps_10vu \
             (8 of 18 metrics measured, 4 targets met, 3 missed)"
        ),
        "{why}"
    );
}

#[test]
fn strict_forgives_a_skipped_extra_and_nothing_else() {
    let mut run = fixture::run(&[Tier::Two]);
    for metric in catalog::of_tier(Tier::Two) {
        fixture::set(&mut run, metric, Value::Float(1.0), None);
    }
    let skipped = Outcome::Skipped {
        reason: String::new(),
        hint: String::new(),
    };
    fixture::record(&mut run, &INSTRUCTIONS_POLICY_EVAL).outcome = skipped.clone();
    assert_eq!(ending::of(&run, true, false).code(), 0);
    fixture::record(&mut run, &LATENCY_P99).outcome = skipped;
    assert_eq!(ending::of(&run, true, false).code(), 2);
}

fn measure_flags(arguments: &[&str]) -> flags::Measure {
    use clap::Parser as _;
    let arguments = ["cargo xtask", "metrics"].iter().chain(arguments);
    let flags = flags::Flags::try_parse_from(arguments).unwrap();
    let flags::Command::Metrics(metrics) = flags.command else {
        panic!("not metrics")
    };
    metrics.measure
}

#[test]
fn tiers_are_asked_for_once_each_and_in_order() {
    let asked = |arguments: &[&str]| tiers(&measure_flags(arguments).tiers, &[]);
    assert_eq!(asked(&[]), [Tier::One]);
    let twice = ["--tier", "3", "--tier", "1", "--tier", "3"];
    assert_eq!(asked(&twice), [Tier::One, Tier::Three]);
    assert_eq!(asked(&["--tier", "2,1"]), [Tier::One, Tier::Two]);
    assert_eq!(asked(&["--tier", "all", "--tier", "1"]), Tier::ALL);
}
