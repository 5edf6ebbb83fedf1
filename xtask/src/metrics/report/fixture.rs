//! A run for tests: one metric of each fate.

use std::collections::BTreeMap;

use crate::metrics::catalog::{METRICS, Tier};
use crate::metrics::model::{Git, Host, Note, Outcome, Record, Run, SCHEMA, Subject, Value};
use crate::metrics::recorder::Start;

/// What a run is begun with.
pub(crate) fn start(tiers: &[Tier]) -> Start {
    Start {
        tiers: tiers.to_vec(),
        quick: false,
        seed: 7,
        host: host(),
        git: git(),
        subject: subject(),
    }
}

/// A run of these tiers, with all metrics pending.
pub(crate) fn run(tiers: &[Tier]) -> Run {
    let asked = METRICS.iter().filter(|metric| tiers.contains(&metric.tier));
    Run {
        schema: SCHEMA,
        started: 1_700_000_000,
        finished: 1_700_000_600,
        complete: true,
        quick: false,
        tiers: tiers.to_vec(),
        host: host(),
        tools: BTreeMap::from([("k6".to_owned(), "1.1.0".to_owned())]),
        git: git(),
        subject: subject(),
        settings: BTreeMap::from([("seed".to_owned(), 7.into())]),
        metrics: asked
            .map(|metric| Record {
                name: metric.name.to_owned(),
                unit: metric.unit.name().to_owned(),
                outcome: Outcome::Pending,
                samples: Vec::new(),
                voids: Vec::new(),
                notes: Vec::new(),
                details: BTreeMap::new(),
            })
            .collect(),
        parts: Vec::new(),
    }
}

/// Tier 1 and some of tier 3: met, missed, skipped, failed, noisy, negative, text and truth.
pub(crate) fn mixed() -> Run {
    let mut run = run(&[Tier::One, Tier::Three]);
    set(&mut run, "binary/size", Value::Integer(8_432_640), None);
    set(
        &mut run,
        "latency/p50",
        Value::Float(2.3),
        Some([2.25, 2.4125]),
    );
    set(
        &mut run,
        "latency/p95",
        Value::Float(15.0),
        Some([14.1, 16.2]),
    );
    set(
        &mut run,
        "overhead/latency_p50",
        Value::Float(-0.02),
        Some([-0.05, 0.01]),
    );
    set(
        &mut run,
        "throughput/rps_10vu",
        Value::Integer(6_120),
        Some([6_000.0, 6_200.5]),
    );
    set(
        &mut run,
        "binary/docker_base",
        Value::Text("scratch".to_owned()),
        None,
    );
    set(&mut run, "binary/multi_arch", Value::Boolean(false), None);
    set(
        &mut run,
        "cpu/us_per_request",
        Value::Float(61.5),
        Some([61.0, 62.0]),
    );
    let p95 = record(&mut run, "latency/p95");
    p95.notes = vec![Note::Noisy, Note::Text("short".to_owned())];
    p95.samples = vec![15.0, 14.0];
    p95.voids = vec!["status 400".to_owned()];
    record(&mut run, "throughput/rps_10vu").notes = vec![Note::GeneratorBound];
    for metric in ["memory/idle_rss", "memory/peak_rss"] {
        record(&mut run, metric).outcome = Outcome::Skipped {
            reason: "this is not Linux".to_owned(),
            hint: "measure on Linux".to_owned(),
        };
    }
    record(&mut run, "approval/overhead").outcome = Outcome::Failed {
        error: "failed to start `mock-slack`\nlast words".to_owned(),
    };
    run
}

/// Gives a metric a value.
pub(crate) fn set(run: &mut Run, metric: &str, value: Value, interval: Option<[f64; 2]>) {
    record(run, metric).outcome = Outcome::Measured { value, interval };
}

/// The record of a metric.
pub(crate) fn record<'a>(run: &'a mut Run, metric: &str) -> &'a mut Record {
    run.metrics
        .iter_mut()
        .find(|record| record.name == metric)
        .unwrap()
}

fn host() -> Host {
    Host {
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        cpu_model: Some("AMD EPYC".to_owned()),
        logical_cores: 2,
        memory_gib: Some(24),
        kernel: Some("6.18.44".to_owned()),
        governor: None,
        virtualisation: Some("virtual machine".to_owned()),
        image: Some("Debian GNU/Linux 12".to_owned()),
    }
}

fn git() -> Git {
    Git {
        revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        dirty: false,
    }
}

fn subject() -> Subject {
    Subject {
        binary: "target/release/thoughtgate".to_owned(),
        length: 8_432_640,
        sha256: "ba7816bf".to_owned(),
    }
}
