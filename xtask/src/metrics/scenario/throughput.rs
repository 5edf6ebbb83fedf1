//! Calls as fast as ten clients get answers, from an upstream that takes no time.
//!
//! k6 gives the headline figure. On a small machine k6 is the limit, so the light driver does
//! the same beside it: its rate tells whether k6 was, and its calls are what CPU time is
//! counted over.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::bench::{Bench, Seen};
use super::block::{self, Block, Plan};
use super::{SubjectFiles, attempt};
use crate::tools::k6::{K6, Script, Summary};
use crate::tools::load::{self, Outcome, Slice};
use crate::tools::nginx::{self, Nginx};
use crate::tools::procfs::{CpuReading, Sampler};

const METRICS: [&str; 2] = [K6_RATE, CPU];
const K6_RATE: &str = "throughput/rps_10vu";
const CPU: &str = "cpu/us_per_request";
/// Clients, each with one call at a time.
const CLIENTS: usize = 10;
/// The light driver must be faster than k6 by this factor before k6 is called the limit.
const FASTER: f64 = 1.1;
/// What k6 may take beyond its duration.
const SLACK: Duration = Duration::from_secs(30);

/// How long each part of a block takes, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    warm: u64,
    window: u64,
    driver: u64,
}

impl Times {
    fn of(quick: bool) -> Times {
        // k6 refuses to run for less than a second.
        if quick {
            Times {
                warm: 300,
                window: 800,
                driver: 300,
            }
        } else {
            Times {
                warm: 500,
                window: 2500,
                driver: 1000,
            }
        }
    }

    fn total(self) -> u64 {
        // The driver runs twice: through the proxy and through its neighbour.
        self.warm + self.window + 2 * self.driver
    }
}

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    if METRICS.iter().any(|metric| recorder.pending(metric)) {
        plan(quick).planned_seconds()
    } else {
        0.0
    }
}

/// Makes blocks of both generators.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(recorder, &METRICS, |recorder| {
        let k6 = K6::find(&context.tools_dir)?;
        let files = SubjectFiles::write()?;
        recorder.tool("k6", k6.version());
        recorder.setting("throughput_clients", CLIENTS.into());
        recorder.setting("throughput_service_time_ms", 0.into());
        let neighbour = nginx::find();
        if let Some((_, version)) = &neighbour {
            recorder.tool("nginx", version);
        }
        let mut ratios = Vec::new();
        let mut bound = Vec::new();
        block::run(
            context,
            recorder,
            &METRICS,
            &plan(context.quick),
            &mut |_| {
                let nginx = neighbour.as_ref().map(|(path, _)| path.as_path());
                let measured = measure(context, &files, &k6, nginx)?;
                bound.extend(measured.generator_bound);
                ratios.extend(measured.nginx_ratio);
                Ok(measured.block)
            },
        )?;
        let bound_blocks = bound.iter().filter(|bound| **bound).count();
        recorder.detail(
            K6_RATE,
            "generator_bound",
            json!(2 * bound_blocks > bound.len()),
        )?;
        if 2 * bound_blocks > bound.len() {
            recorder.note(K6_RATE, Note::GeneratorBound)?;
        }
        ratios.sort_by(f64::total_cmp);
        if let Some(median) = ratios.get(ratios.len() / 2) {
            recorder.detail(CPU, "nginx_ratios", json!(ratios))?;
            let note = format!("{median:.2} × nginx, a plain reverse proxy in the same blocks");
            recorder.note(CPU, Note::Text(note))?;
        }
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = Times::of(quick).total() as f64 / 1000.0 + 0.6;
    let blocks = if quick { 2 } else { 10 };
    Plan {
        label: "throughput",
        blocks,
        seconds_each,
        seconds_at_most: 1.3 * seconds_each * blocks as f64,
    }
}

/// One block, and what it says beside its samples.
struct Measured {
    block: Block,
    /// Whether k6 was its limit.
    generator_bound: Option<bool>,
    /// CPU time per call, relative to that of nginx.
    nginx_ratio: Option<f64>,
}

fn measure(
    context: &Context<'_>,
    files: &SubjectFiles,
    k6: &K6,
    neighbour: Option<&Path>,
) -> anyhow::Result<Measured> {
    let times = Times::of(context.quick);
    let mut bench = Bench::start(context, files, Duration::ZERO)?;
    let before = bench.seen()?;
    let plan = json!({
        "url": bench.proxy.url(),
        "vus": CLIENTS,
        "warm_ms": times.warm,
        "window_ms": times.window,
    });
    let running = k6.start(Script::Throughput, plan)?;
    let watching = Sampler::start(&[running.pid(), bench.proxy.pid()]);
    let deadline = Duration::from_millis(times.warm + times.window) + SLACK;
    let summary = running.finish(deadline, &mut || bench.check_running())?;
    let traces = watching.stop();
    let slice = Slice {
        url: bench.proxy.url(),
        rate: None,
        duration_ms: times.driver,
        warmup_ms: 0,
        connections: CLIENTS,
    };
    let cpu_before = CpuReading::of(bench.proxy.pid())?;
    let outcomes = load::run(&context.release_dir, &[slice], &mut || {
        bench.check_running()
    })?;
    let cpu_us = CpuReading::of(bench.proxy.pid())?.us_since(&cpu_before);
    let seen = bench.seen()?.since(before);
    let [driver] = outcomes.as_slice() else {
        anyhow::bail!(
            "the load driver told the outcome of {} slices",
            outcomes.len()
        );
    };
    if let Some(fault) = fault(&summary, driver, seen) {
        let block = Block::Void(fault);
        return Ok(Measured {
            block,
            generator_bound: None,
            nginx_ratio: None,
        });
    }
    let measured = summary.count("http_reqs{phase:measured}")?;
    let k6_rate = 1000.0 * measured as f64 / times.window as f64;
    let from_ms = summary.started_ms + times.warm as f64;
    let to_ms = from_ms + times.window as f64;
    let cores: Vec<Option<f64>> = traces
        .iter()
        .map(|trace| trace.cores(from_ms, to_ms))
        .collect();
    let raw = json!({
        "k6_cores": cores.first(),
        "proxy_cores": cores.get(1),
        "driver_rate": driver.rate_achieved,
        "driver_cpu_us": driver.cpu_us,
        "proxy_cpu_us": cpu_us,
        "k6": summary,
        "driver": driver,
    });
    let cpu_us_per_call = cpu_us / driver.requests as f64;
    let samples = vec![(K6_RATE, k6_rate), (CPU, cpu_us_per_call)];
    let nginx_us = neighbour.and_then(|binary| {
        let measured = nginx_cpu_us(context, binary, &bench, times.driver);
        // A neighbour that fails must not cost what it is only compared with.
        measured.unwrap_or_else(|error| {
            let line = format!("warning: nginx could not be measured: {error:#}");
            context.progress.line(&line);
            None
        })
    });
    Ok(Measured {
        block: Block::Measured { samples, raw },
        generator_bound: Some(driver.rate_achieved > FASTER * k6_rate),
        nginx_ratio: nginx_us.map(|nginx_us| cpu_us_per_call / nginx_us),
    })
}

/// CPU time per call of nginx in front of the same upstream, under the same load; none when its
/// answers were wrong.
fn nginx_cpu_us(
    context: &Context<'_>,
    binary: &Path,
    bench: &Bench,
    duration_ms: u64,
) -> anyhow::Result<Option<f64>> {
    let nginx = Nginx::start(binary, &bench.upstream.url())?;
    let slice = Slice {
        url: nginx.url(),
        rate: None,
        duration_ms,
        warmup_ms: 0,
        connections: CLIENTS,
    };
    let before = CpuReading::of(nginx.pid())?;
    let outcomes = load::run(&context.release_dir, &[slice], &mut || Ok(()))?;
    let cpu_us = CpuReading::of(nginx.pid())?.us_since(&before);
    let well_answered = outcomes.first().filter(|outcome| outcome.fault().is_none());
    Ok(well_answered.map(|outcome| cpu_us / outcome.requests as f64))
}

/// Why the block does not count; none when every call was answered well and seen by all.
fn fault(summary: &Summary, driver: &Outcome, seen: Seen) -> Option<String> {
    let sent = summary.requests + driver.requests;
    summary.fault().or_else(|| driver.fault()).or_else(|| {
        seen.fault(Seen {
            upstream: sent,
            forwarded: sent,
        })
    })
}
