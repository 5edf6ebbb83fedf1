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
use super::closed::{CLIENTS, Times, is_generator_bound, note_generator_bound};
use super::{SubjectFiles, attempt, k6};
use crate::interrupt;
use crate::tools::k6::{K6, Summary};
use crate::tools::load::Outcome;
use crate::tools::nginx::{self, Nginx};
use crate::tools::procfs::CpuReading;

const METRICS: [&str; 2] = [K6_RATE, CPU];
const K6_RATE: &str = "throughput/rps_10vu";
const CPU: &str = "cpu/us_per_request";
const FULL: Times = Times {
    warm: 500,
    window: 2500,
    driver: 1000,
};

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(&METRICS, recorder)
}

/// Makes blocks of both generators.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let k6 = k6(context, recorder)?;
        let files = SubjectFiles::write()?;
        recorder.setting("throughput_clients", CLIENTS.into());
        recorder.setting("throughput_service_time_ms", 0.into());
        let neighbour = nginx::find();
        if let Some((_, version)) = &neighbour {
            recorder.tool("nginx", version);
        }
        let mut ratios = Vec::new();
        let mut bound = Vec::new();
        let plan = plan(context.quick);
        block::run(context, recorder, &METRICS, &plan, &mut |_| {
            let nginx = neighbour.as_ref().map(|(path, _)| path.as_path());
            let measured = measure(context, &files, &k6, nginx)?;
            bound.extend(measured.generator_bound);
            ratios.extend(measured.nginx_ratio);
            Ok(measured.block)
        })?;
        note_generator_bound(recorder, K6_RATE, &bound)?;
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
    let seconds_each = Times::of(quick, FULL).seconds() + 0.6;
    Plan::new("throughput", if quick { 2 } else { 10 }, seconds_each)
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
    let times = Times::of(context.quick, FULL);
    let mut bench = Bench::start(context, files, Duration::ZERO)?;
    let (url, pid) = (bench.proxy.url(), bench.proxy.pid());
    let before = bench.seen()?;
    let sent = times.send(k6, &url, pid, &mut || bench.check_running())?;
    let cpu_before = CpuReading::of(pid)?;
    let driver = times.drive(context, &url, &mut || bench.check_running())?;
    let cpu_us = CpuReading::of(pid)?.us_since(&cpu_before);
    let seen = bench.seen()?.since(before);
    if let Some(fault) = fault(&sent.summary, &driver, seen) {
        return Ok(Measured {
            block: Block::Void(fault),
            generator_bound: None,
            nginx_ratio: None,
        });
    }
    let k6_rate = sent.rate()?;
    let (from_ms, to_ms) = sent.window_ms;
    let cpu_us_per_call = cpu_us / driver.requests as f64;
    let nginx_us = match neighbour {
        Some(binary) => nginx_cpu_us(context, binary, &bench, times)?,
        None => None,
    };
    let raw = json!({
        "k6_cores": sent.generator.cores(from_ms, to_ms),
        "proxy_cores": sent.subject.cores(from_ms, to_ms),
        "proxy_cpu_us": cpu_us,
        "nginx_us_per_request": nginx_us,
        "k6": sent.summary,
        "driver": driver,
    });
    let samples = vec![(K6_RATE, k6_rate), (CPU, cpu_us_per_call)];
    Ok(Measured {
        block: Block::Measured { samples, raw },
        generator_bound: Some(is_generator_bound(&driver, k6_rate)),
        nginx_ratio: nginx_us.map(|nginx_us| cpu_us_per_call / nginx_us),
    })
}

/// CPU time per call of nginx in front of the same upstream, under the same load. A neighbour that
/// fails must not cost what it is only compared with: none then, and none when its answers were
/// wrong.
fn nginx_cpu_us(
    context: &Context<'_>,
    binary: &Path,
    bench: &Bench,
    times: Times,
) -> anyhow::Result<Option<f64>> {
    let measure = || {
        let nginx = Nginx::start(binary, &bench.upstream.url())?;
        let before = CpuReading::of(nginx.pid())?;
        let outcome = times.drive(context, &nginx.url(), &mut || Ok(()))?;
        let cpu_us = CpuReading::of(nginx.pid())?.us_since(&before);
        let well_answered = outcome.fault().is_none();
        Ok(well_answered.then(|| cpu_us / outcome.requests as f64))
    };
    match measure() {
        Err(error) if interrupt::cause(&error).is_none() => {
            let line = format!("warning: nginx could not be measured: {error:#}");
            context.progress.line(&line);
            Ok(None)
        }
        measured => measured,
    }
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
