//! A run for tests: with a metric of each outcome.

use std::collections::BTreeMap;

use crate::metrics::catalog::*;
use crate::metrics::history::line::Job;
use crate::metrics::model::{
    Arm, Binary, Git, Host, Note, Outcome, Part, Record, Run, SCHEMA, Sample, State, Value,
};
use crate::metrics::recorder::Start;

/// The header of a new run.
pub(crate) fn start(tiers: &[Tier]) -> Start {
    Start {
        tiers: tiers.to_vec(),
        only: Vec::new(),
        quick: false,
        seed: 7,
        thresholds: BTreeMap::from([("noisy_steal_percent".to_owned(), 3.0)]),
        host: host(),
        git: git(),
        subject: subject(),
        arms: vec![arm()],
    }
}

/// A run of these tiers, with all metrics pending.
pub(crate) fn run(tiers: &[Tier]) -> Run {
    let asked = METRICS.iter().filter(|metric| tiers.contains(&metric.tier));
    Run {
        schema: SCHEMA,
        rules: 1,
        thresholds: BTreeMap::from([("noisy_steal_percent".to_owned(), 3.0)]),
        seed: 7,
        looks: BTreeMap::from([("latency".to_owned(), vec![10])]),
        arms: vec![arm()],
        started: 1_700_000_000,
        finished: 1_700_000_600,
        complete: true,
        quick: false,
        tiers: tiers.to_vec(),
        host: host(),
        tools: BTreeMap::from([("k6".to_owned(), "1.1.0".to_owned())]),
        git: git(),
        subject: subject(),
        settings: BTreeMap::from([("latency_rate_per_second".to_owned(), 400.into())]),
        metrics: asked
            .map(|metric| Record {
                name: metric.name.to_owned(),
                unit: metric.unit.name().to_owned(),
                outcome: Outcome::Pending,
                pooled: None,
                notes: Vec::new(),
                details: BTreeMap::new(),
            })
            .collect(),
        samples: Vec::new(),
        distributions: Vec::new(),
        raw: Vec::new(),
        parts: Vec::new(),
    }
}

/// Tier 1 and some of tier 3: met, missed, skipped, failed, noisy, negative, text and truth.
pub(crate) fn mixed() -> Run {
    let mut run = run(&[Tier::One, Tier::Three]);
    set(&mut run, &BINARY_SIZE, Value::Integer(8_432_640), None);
    set(
        &mut run,
        &LATENCY_P50,
        Value::Float(2.3),
        Some([2.25, 2.4125]),
    );
    set(
        &mut run,
        &LATENCY_P95,
        Value::Float(15.0),
        Some([14.1, 16.2]),
    );
    set(
        &mut run,
        &OVERHEAD_LATENCY_P50,
        Value::Float(-0.02),
        Some([-0.05, 0.01]),
    );
    set(
        &mut run,
        &THROUGHPUT_RPS_10VU,
        Value::Integer(6_120),
        Some([6_000.0, 6_200.5]),
    );
    set(
        &mut run,
        &BINARY_DOCKER_BASE,
        Value::Text("scratch".to_owned()),
        None,
    );
    set(&mut run, &BINARY_MULTI_ARCH, Value::Boolean(false), None);
    set(
        &mut run,
        &CPU_US_PER_REQUEST,
        Value::Float(61.5),
        Some([61.0, 62.0]),
    );
    let p95 = record(&mut run, &LATENCY_P95);
    p95.notes = vec![Note::Noisy, Note::Text("short".to_owned())];
    for (value, state) in [(15.0, State::Counted), (14.0, State::Counted)] {
        run.samples.push(sample(&LATENCY_P95, Some(value), state));
    }
    run.samples.push(Sample {
        reason: Some("status 400".to_owned()),
        ..sample(&LATENCY_P95, None, State::Void)
    });
    record(&mut run, &THROUGHPUT_RPS_10VU).notes = vec![Note::GeneratorBound];
    for metric in [&MEMORY_IDLE_RSS, &MEMORY_PEAK_RSS] {
        record(&mut run, metric).outcome = Outcome::Skipped {
            reason: "this is not Linux".to_owned(),
            hint: "measure on Linux".to_owned(),
        };
    }
    record(&mut run, &APPROVAL_OVERHEAD).outcome = Outcome::Failed {
        error: "failed to start `mock-slack`\nlast words".to_owned(),
    };
    run
}

/// Gives a metric a value.
pub(crate) fn set(run: &mut Run, metric: &Metric, value: Value, interval: Option<[f64; 2]>) {
    record(run, metric).outcome = Outcome::Measured { value, interval };
}

/// The record of a metric.
pub(crate) fn record<'a>(run: &'a mut Run, metric: &Metric) -> &'a mut Record {
    run.metrics
        .iter_mut()
        .find(|record| record.name == metric.name)
        .unwrap()
}

/// A job of `main` with one metric, at its place in a history.
pub(crate) fn job(number: usize, p50_ms: f64) -> Job {
    let mut run = run(&[Tier::One]);
    run.started = number as u64;
    run.git.revision = Some(format!("{number:040}"));
    set(&mut run, &LATENCY_P50, Value::Float(p50_ms), None);
    Job::of(&run, "main")
}

/// A part of a joined run: `metrics` of `run`, measured on a machine with another CPU.
pub(crate) fn part(run: &Run, cpu_model: &str, metrics: &[&str]) -> Part {
    Part {
        file: "run.json".to_owned(),
        started: 0,
        finished: 1,
        host: Host {
            cpu_model: Some(cpu_model.to_owned()),
            ..run.host.clone()
        },
        tools: run.tools.clone(),
        subject: run.subject.clone(),
        settings: run.settings.clone(),
        metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A row of a metric.
pub(crate) fn sample(metric: &Metric, value: Option<f64>, state: State) -> Sample {
    Sample {
        session: 0,
        block: 0,
        arm: "head".to_owned(),
        order: 0,
        metric: metric.name.to_owned(),
        value: value.map(Value::Float),
        n: Some(1),
        started: Some(1_700_000_000_000),
        steal: Some(0.5),
        others: None,
        psi: None,
        state,
        reason: None,
    }
}

fn arm() -> Arm {
    Arm {
        name: "head".to_owned(),
        revision: git().revision,
        parent: None,
        sha256: subject().sha256,
        rustc: None,
    }
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

fn subject() -> Binary {
    Binary {
        path: "target/release/thoughtgate".to_owned(),
        length: 8_432_640,
        sha256: "ba7816bf".to_owned(),
    }
}
