//! Calls as fast as ten clients get answers, from an upstream that takes no time.
//!
//! k6 gives the headline figure. On a small machine k6 is the limit, so the light driver does
//! the same beside it: its rate tells whether k6 was, and its calls are what CPU time is
//! counted over.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::catalog::{CPU_US_PER_REQUEST, Metric, THROUGHPUT_RPS_10VU};
use super::super::context::Context;
use super::super::recorder::{Missing, Note, Reading, Recorder, number};
use super::super::subject::Subject;
use super::bench::{Bench, Seen};
use super::block::{self, Block, Figure, Measured, Plan};
use super::closed::{CLIENTS, Times, is_generator_bound, note_generator_bound};
use super::{SubjectFiles, attempt, k6};
use crate::interrupt;
use crate::tools::k6::{K6, Summary};
use crate::tools::load::Outcome;
use crate::tools::nginx::{self, Nginx};
use crate::tools::procfs::CpuReading;

const FIGURES: &[Figure<Load>] = &[
    (&THROUGHPUT_RPS_10VU, |load| {
        number(load.k6_rate, load.k6_calls)
    }),
    (&CPU_US_PER_REQUEST, |load| load.cpu_us_per_call()),
];
const FULL: Times = Times {
    warm: 500,
    window: 2500,
    driver: 1000,
};

/// A block of both generators.
#[derive(Debug)]
struct Load {
    k6_rate: f64,
    /// Calls in k6's window.
    k6_calls: u64,
    /// Whether k6 was the limit.
    generator_bound: bool,
    /// CPU time of the proxy while the driver sent.
    cpu_us: Result<f64, Missing>,
    /// Calls of the driver.
    driver_calls: u64,
    /// CPU time per call of nginx.
    nginx_us: Option<f64>,
}

impl Load {
    fn cpu_us_per_call(&self) -> Reading {
        number(
            self.cpu_us.clone()? / self.driver_calls as f64,
            self.driver_calls,
        )
    }

    /// CPU time per call, relative to that of nginx.
    fn nginx_ratio(&self) -> Option<f64> {
        let cpu_us_per_call = self.cpu_us.as_ref().ok()? / self.driver_calls as f64;
        Some(cpu_us_per_call / self.nginx_us?)
    }
}

/// What it reports.
pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Makes blocks of both generators.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let k6 = k6(context, recorder)?;
        let files = SubjectFiles::write()?;
        recorder.setting("throughput_clients", CLIENTS.into());
        recorder.setting("throughput_service_time_ms", 0.into());
        let neighbour = nginx::find();
        if let Some((_, version)) = &neighbour {
            recorder.tool("nginx", version);
        }
        let plan = plan(context.quick);
        let counted = block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let nginx = neighbour.as_ref().map(|(path, _)| path.as_path());
            let bench = Bench::start(context, subject, &files, Duration::ZERO)?;
            measure(context, bench, &k6, nginx)
        })?;
        let bound: Vec<bool> = counted.iter().map(|load| load.generator_bound).collect();
        note_generator_bound(recorder, &THROUGHPUT_RPS_10VU, &bound)?;
        note_nginx(recorder, &counted)
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = Times::of(quick, FULL).seconds() + 0.6;
    Plan::new("throughput", if quick { 2 } else { 10 }, seconds_each)
}

/// Notes how the blocks that count compare with nginx.
fn note_nginx(recorder: &mut Recorder, counted: &[Load]) -> anyhow::Result<()> {
    let mut ratios: Vec<f64> = counted.iter().filter_map(Load::nginx_ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let Some(median) = ratios.get(ratios.len() / 2) else {
        return Ok(());
    };
    let note = format!("{median:.2} × nginx, a plain reverse proxy in the same blocks");
    recorder.detail(&CPU_US_PER_REQUEST, "nginx_ratios", json!(ratios))?;
    recorder.note(&CPU_US_PER_REQUEST, Note::Text(note))
}

fn measure(
    context: &Context<'_>,
    mut bench: Bench,
    k6: &K6,
    neighbour: Option<&Path>,
) -> anyhow::Result<Block<Load>> {
    let times = Times::of(context.quick, FULL);
    let (url, pid) = (bench.proxy.url(), bench.proxy.pid());
    let before = bench.seen()?;
    let sent = times.send(k6, &url, Some(pid), &mut || bench.check_running())?;
    let cpu_before = CpuReading::of(pid);
    let driver = times.drive(context, &url, &mut || bench.check_running())?;
    let cpu_us = cpu_before.and_then(|before| Ok(CpuReading::of(pid)?.us_since(&before)));
    let seen = bench.seen()?.since(before);
    if let Some(fault) = fault(&sent.summary, &driver, seen) {
        return Ok(Block::Void(fault));
    }
    let nginx_us = match neighbour {
        Some(binary) => nginx_cpu_us(context, binary, &bench, times)?,
        None => None,
    };
    let (from_ms, to_ms) = sent.window_ms;
    let (k6_rate, k6_calls) = sent.rate()?;
    let raw = json!({
        "k6_cores": sent.generator.cores(from_ms, to_ms),
        "proxy_cores": sent.subject.cores(from_ms, to_ms),
        "proxy_cpu_us": cpu_us.as_ref().ok(),
        "nginx_us_per_request": nginx_us,
        "k6": sent.summary,
        "driver": driver,
    });
    let load = Load {
        k6_rate,
        k6_calls,
        generator_bound: is_generator_bound(&driver, k6_rate),
        cpu_us: cpu_us.map_err(Missing::from),
        driver_calls: driver.requests,
        nginx_us,
    };
    Ok(Block::Measured(Measured::new(load, raw)))
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
