//! The outcomes of blocks: samples, voids, noise, failures.

use std::path::PathBuf;

use anyhow::anyhow;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::series::VOIDS_AT_FIRST;
use super::*;
use crate::metrics::catalog::{LATENCY_P50, LATENCY_P95, LATENCY_P99, Tier};
use crate::metrics::model::{Outcome, Record, Run, State};
use crate::metrics::recorder::tests::at;
use crate::metrics::recorder::{Missing, Note, number};
use crate::metrics::render::fixture;
use crate::progress::Progress;

/// Figures of a block whose result is a number.
const FIGURES: &[Figure<f64>] = &[
    (&LATENCY_P50, |value| number(*value, 1)),
    (&LATENCY_P99, |value| number(*value, 1)),
];

fn recorder() -> (TempDir, Recorder) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let recorder = Recorder::new(&path, fixture::start(&[Tier::One])).unwrap();
    (directory, recorder)
}

fn plan(blocks: usize) -> Plan {
    Plan {
        seconds_at_most: 60.0,
        ..Plan::new("test", blocks, 0.0).deterministic()
    }
}

fn measured(value: f64) -> Block<f64> {
    Block::Measured(Measured::new(value, Json::Null))
}

fn record<'a>(recorder: &'a Recorder, metric: &Metric) -> &'a Record {
    recorder.run().record(metric).unwrap()
}

/// The values that count.
fn values(run: &Run) -> Vec<f64> {
    let rows = run.samples_of(&LATENCY_P50);
    let counted = rows.filter(|row| row.state == State::Counted);
    counted
        .filter_map(|row| row.value.as_ref()?.number())
        .collect()
}

/// Runs blocks that `make` makes from their number, and returns how many were begun.
fn run_all(
    recorder: &mut Recorder,
    plan: &Plan,
    make: impl Fn(usize) -> anyhow::Result<Block<f64>>,
) -> usize {
    let mut begun = 0;
    try_all(recorder, FIGURES, plan, |number| {
        begun += 1;
        make(number)
    })
    .unwrap();
    begun
}

fn try_all<T>(
    recorder: &mut Recorder,
    figures: &[Figure<T>],
    plan: &Plan,
    mut make: impl FnMut(usize) -> anyhow::Result<Block<T>>,
) -> anyhow::Result<Vec<T>> {
    let progress = Progress::new();
    let context = Context {
        workspace: PathBuf::new(),
        release_dir: PathBuf::new(),
        tools_dir: PathBuf::new(),
        quick: false,
        registry: None,
        progress: &progress,
    };
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("x");
    std::fs::write(&own, "x").unwrap();
    let stores = [folder.path().to_path_buf()];
    let subject = Subject::given("head", &own, &own, &stores).unwrap();
    run(&context, &subject, recorder, figures, plan, &mut make)
}

/// Takes blocks with their disturbances, and decides which count.
fn decide(recorder: &mut Recorder, planned: usize, blocks: &[(f64, Option<&str>)]) -> Vec<f64> {
    let mut all = Series {
        recorder,
        arm: "head",
        figures: vec![FIGURES[0]],
        metrics: vec![&LATENCY_P50],
        counted: Vec::new(),
        noisy: Vec::new(),
        voids: 0,
        missing: Vec::new(),
    };
    for (number, (value, noise)) in blocks.iter().enumerate() {
        let measured = Measured::new(*value, Json::Null);
        let noise = noise.map(str::to_owned);
        all.take(&at(number), measured, noise).unwrap();
    }
    all.finish(&plan(planned)).unwrap();
    all.counted
}

#[test]
fn a_void_block_gives_no_sample_and_is_made_again() {
    let (_directory, mut recorder) = recorder();
    let begun = run_all(&mut recorder, &plan(3), |number| {
        Ok(if number == 1 {
            Block::Void("of 10 calls, 1 with a wrong body".to_owned())
        } else {
            measured(number as f64)
        })
    });
    assert_eq!(begun, 4);
    assert_eq!(values(recorder.run()), [0.0, 2.0, 3.0]);
    let void = recorder.run().samples_of(&LATENCY_P50).nth(1).unwrap();
    assert_eq!((void.state, &void.value), (State::Void, &None));
    let reason = void.reason.as_deref();
    assert_eq!(reason, Some("of 10 calls, 1 with a wrong body"));
}

#[test]
fn only_what_was_asked_for_is_recorded() {
    let (_directory, mut recorder) = recorder();
    run_all(&mut recorder, &plan(1), |_| Ok(measured(1.0)));
    assert_eq!(values(recorder.run()), [1.0]);
    assert_eq!(recorder.run().samples_of(&LATENCY_P99).count(), 0);
    let begun = run_all(&mut recorder, &plan(1), |_| Ok(measured(2.0)));
    assert_eq!(begun, 0, "nothing is pending any more");
}

#[test]
fn a_table_with_an_unknown_metric_or_one_twice_fails_before_a_block_is_made() {
    const UNKNOWN: Metric = Metric {
        name: "latency/p51",
        ..LATENCY_P50
    };
    // The name is that of a metric, the rest of the row is not.
    const CHANGED: Metric = Metric {
        tier: Tier::Three,
        ..LATENCY_P50
    };
    let cases: [(&[Figure<f64>], &str); 3] = [
        (
            &[FIGURES[0], (&UNKNOWN, |value| number(*value, 1))],
            "the scenario `test` reports `latency/p51`, which the catalogue lacks",
        ),
        (
            &[(&CHANGED, |value| number(*value, 1))],
            "the scenario `test` reports `latency/p50`, which the catalogue lacks",
        ),
        (
            &[FIGURES[0], FIGURES[0]],
            "the scenario `test` reports `latency/p50` twice",
        ),
    ];
    for (figures, expected) in cases {
        let (_directory, mut recorder) = recorder();
        let error = try_all(&mut recorder, figures, &plan(1), |_| {
            panic!("a block was made")
        });
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_figure_that_cannot_be_read_costs_its_metric_alone() {
    const PARTLY: &[Figure<usize>] = &[
        (&LATENCY_P50, |number| {
            crate::metrics::recorder::number(*number as f64, 1)
        }),
        (&LATENCY_P95, |_| {
            Err(Missing {
                reason: "no such file".to_owned(),
                hint: Some("another kernel"),
            })
        }),
    ];
    let (_directory, mut recorder) = recorder();
    let counted = try_all(&mut recorder, PARTLY, &plan(2), |number| {
        Ok(Block::Measured(Measured::new(number, Json::Null)))
    });
    assert_eq!(counted.unwrap(), [0, 1]);
    assert_eq!(values(recorder.run()), [0.0, 1.0]);
    let expected = Outcome::Skipped {
        reason: "none of 2 blocks has a value; last reason: no such file".to_owned(),
        hint: "another kernel".to_owned(),
    };
    assert_eq!(record(&recorder, &LATENCY_P95).outcome, expected);
    assert_eq!(recorder.run().tally(&LATENCY_P95).unmeasured, 2);
}

#[test]
fn an_error_after_samples_is_the_outcome() {
    let (_directory, mut recorder) = recorder();
    run_all(&mut recorder, &plan(3), |number| match number {
        0 => Ok(measured(1.0)),
        _ => Err(anyhow!("the proxy died")),
    });
    let expected = Outcome::Failed {
        error: "the proxy died".to_owned(),
    };
    assert_eq!(record(&recorder, &LATENCY_P50).outcome, expected);
}

#[test]
fn a_run_that_cannot_be_saved_ends_and_keeps_what_it_had() {
    let (directory, mut recorder) = recorder();
    let (place, aside) = (directory.path(), directory.path().with_extension("aside"));
    let error = try_all(&mut recorder, FIGURES, &plan(3), |number| {
        if number == 1 {
            // The folder of the file is replaced by a file.
            std::fs::rename(place, &aside).unwrap();
            std::fs::write(place, "").unwrap();
        }
        Ok(measured(1.0))
    })
    .unwrap_err();
    std::fs::remove_file(place).unwrap();
    std::fs::rename(&aside, place).unwrap();
    assert!(ends_the_run(&error));
    let message = format!("{error:#}");
    assert!(
        message.starts_with("the run ends, since its samples cannot be saved"),
        "{message}"
    );
    assert!(message.contains("failed to save"), "{message}");
    let kept = std::fs::read_to_string(place.join("run.json")).unwrap();
    assert_eq!(values(&Run::parse(&kept).unwrap()), [1.0]);
}

#[test]
fn voids_without_end_end() {
    let (_directory, mut recorder) = recorder();
    let begun = run_all(&mut recorder, &plan(9), |_| {
        Ok(Block::Void("status 400".to_owned()))
    });
    assert_eq!(begun, VOIDS_AT_FIRST);
    let expected = Outcome::Failed {
        error: "none of 5 blocks has a value; last reason: status 400".to_owned(),
    };
    assert_eq!(record(&recorder, &LATENCY_P50).outcome, expected);
}

#[test]
fn voids_after_a_sample_pass() {
    let (_directory, mut recorder) = recorder();
    let begun = run_all(&mut recorder, &plan(2), |number| {
        Ok(match number {
            1..9 => Block::Void("78 calls not sent".to_owned()),
            _ => measured(1.0),
        })
    });
    assert_eq!(begun, 10);
    assert_eq!(values(recorder.run()), [1.0, 1.0]);
    assert_eq!(recorder.run().tally(&LATENCY_P50).void, 8);
}

#[test]
fn a_program_that_waits_longer_than_it_runs_makes_its_block_noisy() {
    let noise = |waited| {
        let measured = Measured::new(1.0, Json::Null);
        measured.unless_starved(waited, 1.0).noise
    };
    assert_eq!(noise(Some(1.0)), None);
    assert_eq!(noise(None), None, "not counted by the kernel");
    let expected = "the proxy waited 2.5 s for a CPU per second of CPU time";
    assert_eq!(noise(Some(2.5)).unwrap(), expected);
    // A figure that a busy machine does not change is never noisy.
    let (_directory, mut recorder) = recorder();
    run_all(&mut recorder, &plan(1), |_| {
        let measured = Measured::new(1.0, Json::Null);
        Ok(Block::Measured(measured.unless_starved(Some(9.0), 1.0)))
    });
    assert_eq!(recorder.run().tally(&LATENCY_P50).counted, 1);
    // One that it does change is repeated, and counts in the end for want of a better one.
    let (_directory, mut recorder) = self::recorder();
    let disturbable = Plan {
        seconds_at_most: 0.0,
        ..Plan::new("test", 1, 0.0).with_psi_below(101.0).not_alone()
    };
    run_all(&mut recorder, &disturbable, |_| {
        let measured = Measured::new(1.0, Json::Null);
        Ok(Block::Measured(measured.unless_starved(Some(9.0), 1.0)))
    });
    assert_eq!(record(&recorder, &LATENCY_P50).notes, [Note::Noisy]);
    let thresholds = &recorder.run().thresholds;
    assert!(thresholds.contains_key("noisy_psi_percent/test"));
}

#[test]
fn time_that_is_up_still_leaves_one_block() {
    let (_directory, mut recorder) = recorder();
    let late = Plan {
        seconds_at_most: 0.0,
        ..plan(5)
    };
    assert_eq!(run_all(&mut recorder, &late, |_| Ok(measured(1.0))), 1);
}

#[test]
fn noisy_blocks_count_only_when_there_are_too_few_others() {
    let steal = Some("steal");
    let (_directory, mut first) = recorder();
    let counted = decide(&mut first, 3, &[(1.0, None), (9.0, steal), (2.0, None)]);
    assert_eq!(counted, [1.0, 2.0]);
    assert_eq!(values(first.run()), [1.0, 2.0]);
    assert!(record(&first, &LATENCY_P50).notes.is_empty());
    let noisy = first.run().samples_of(&LATENCY_P50).nth(1).unwrap();
    assert_eq!(
        (noisy.state, noisy.reason.as_deref()),
        (State::Noisy, steal)
    );

    let (_directory, mut second) = recorder();
    let counted = decide(&mut second, 3, &[(1.0, None), (9.0, steal), (8.0, steal)]);
    assert_eq!(counted, [1.0, 9.0, 8.0]);
    assert_eq!(values(second.run()), [1.0, 9.0, 8.0]);
    assert_eq!(record(&second, &LATENCY_P50).notes, [Note::Noisy]);
    assert!(
        record(&second, &LATENCY_P95).notes.is_empty(),
        "not measured"
    );
    let value = record(&second, &LATENCY_P50).outcome.clone();
    let expected = Outcome::Measured {
        value: crate::metrics::model::Value::Float(8.0),
        interval: None,
    };
    assert_eq!(value, expected, "the value follows");
}
