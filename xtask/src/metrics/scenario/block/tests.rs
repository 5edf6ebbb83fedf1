//! What blocks become: samples, voids, noise, failures.

use std::path::PathBuf;

use anyhow::anyhow;
use tempfile::TempDir;

use super::*;
use crate::metrics::catalog::Tier;
use crate::metrics::model::{Outcome, Record, Run};
use crate::metrics::report::fixture;
use crate::progress::Progress;

const METRICS: [&str; 2] = ["latency/p50", "latency/p99"];

fn recorder() -> (TempDir, Recorder) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let recorder = Recorder::new(&path, fixture::start(&[Tier::One])).unwrap();
    (directory, recorder)
}

fn plan(blocks: usize) -> Plan {
    Plan {
        seconds_at_most: 60.0,
        ..Plan::new("test", blocks, 0.0)
    }
}

fn measured(value: f64) -> Block {
    Block::Measured {
        samples: vec![(METRICS[0], value), (METRICS[1], value)],
        raw: json!(value),
    }
}

fn record<'a>(recorder: &'a Recorder, metric: &str) -> &'a Record {
    recorder.run().record(metric).unwrap()
}

/// Runs blocks that `make` makes of their number; how many were begun.
fn run_all(
    recorder: &mut Recorder,
    plan: &Plan,
    make: impl Fn(usize) -> anyhow::Result<Block>,
) -> usize {
    let mut begun = 0;
    try_all(recorder, plan, |number| {
        begun += 1;
        make(number)
    })
    .unwrap();
    begun
}

fn try_all(
    recorder: &mut Recorder,
    plan: &Plan,
    mut make: impl FnMut(usize) -> anyhow::Result<Block>,
) -> anyhow::Result<()> {
    let progress = Progress::new();
    let context = Context {
        workspace: PathBuf::new(),
        binary: PathBuf::new(),
        release_dir: PathBuf::new(),
        tools_dir: PathBuf::new(),
        quick: false,
        registry: None,
        progress: &progress,
    };
    run(&context, recorder, &METRICS, plan, &mut make)
}

/// Takes blocks with the mark whether they were disturbed, and decides.
fn decide(recorder: &mut Recorder, planned: usize, blocks: Vec<(f64, bool)>) {
    let mut all = Blocks {
        recorder,
        wanted: vec![METRICS[0]],
        raw: Vec::new(),
        clean: 0,
        disturbed: Vec::new(),
        voids: 0,
    };
    for (value, disturbed) in blocks {
        all.take(measured(value), disturbed, &Json::Null).unwrap();
    }
    all.finish(&plan(planned)).unwrap();
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
    let record = record(&recorder, METRICS[0]);
    // A machine under steal adds blocks, never a sample of the void one.
    assert!(begun >= 4);
    assert!(!record.samples.contains(&1.0), "{:?}", record.samples);
    assert_eq!(record.voids, ["of 10 calls, 1 with a wrong body"]);
}

#[test]
fn only_what_was_asked_for_is_recorded() {
    let (_directory, mut recorder) = recorder();
    run_all(&mut recorder, &plan(1), |_| Ok(measured(1.0)));
    assert!(!record(&recorder, METRICS[0]).samples.is_empty());
    assert!(recorder.run().record(METRICS[1]).is_none());
    let begun = run_all(&mut recorder, &plan(1), |_| Ok(measured(2.0)));
    assert_eq!(begun, 0, "nothing is pending any more");
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
    assert_eq!(record(&recorder, METRICS[0]).outcome, expected);
}

#[test]
fn a_run_that_cannot_be_saved_ends_and_keeps_what_it_had() {
    let (directory, mut recorder) = recorder();
    let (place, aside) = (directory.path(), directory.path().with_extension("aside"));
    let error = try_all(&mut recorder, &plan(3), |number| {
        if number == 1 {
            // Where the file was is no folder any more.
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
        message.starts_with("the run ends, since its samples"),
        "{message}"
    );
    assert!(message.contains("failed to save"), "{message}");
    let kept = std::fs::read_to_string(place.join("run.json")).unwrap();
    let kept = Run::parse(&kept).unwrap();
    assert_eq!(kept.record(METRICS[0]).unwrap().samples, [1.0]);
}

#[test]
fn voids_without_end_end() {
    let (_directory, mut recorder) = recorder();
    let begun = run_all(&mut recorder, &plan(9), |_| {
        Ok(Block::Void("status 400".to_owned()))
    });
    assert_eq!(begun, VOIDS_AT_FIRST);
    let expected = Outcome::Failed {
        error: "none of 5 blocks counts, the last: status 400".to_owned(),
    };
    assert_eq!(record(&recorder, METRICS[0]).outcome, expected);
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
    assert!(begun >= 10, "{begun}");
    assert!(record(&recorder, METRICS[0]).samples.len() >= 2);
    assert_eq!(record(&recorder, METRICS[0]).voids.len(), 8);
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
fn disturbed_blocks_count_only_when_there_are_too_few_others() {
    let (_directory, mut first) = recorder();
    decide(&mut first, 3, vec![(1.0, false), (9.0, true), (2.0, false)]);
    assert_eq!(record(&first, METRICS[0]).samples, [1.0, 2.0]);
    assert!(record(&first, METRICS[0]).notes.is_empty());

    let (_directory, mut second) = recorder();
    decide(&mut second, 3, vec![(1.0, false), (9.0, true), (8.0, true)]);
    assert_eq!(record(&second, METRICS[0]).samples, [1.0, 9.0, 8.0]);
    assert_eq!(record(&second, METRICS[0]).notes, [Note::Noisy]);
}
