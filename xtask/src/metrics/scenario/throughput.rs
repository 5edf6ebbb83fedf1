//! Closed-loop load of ten clients on an upstream that takes no time.
//!
//! k6 gives the headline figure. On a small machine k6 is the limit, so the light driver repeats the
//! load: its rate shows whether k6 was, and CPU time is counted over its calls, in slices that
//! alternate with nginx's.

mod pair;

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::super::catalog::{CPU_US_PER_REQUEST, Metric, THROUGHPUT_RPS_10VU};
use super::super::context::Context;
use super::super::recorder::{Missing, Note, Recorder, number};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::closed::{CLIENTS, Times, is_generator_bound, note_generator_bound};
use super::test_bed::{Seen, TestBed};
use super::{SubjectFiles, attempt, k6};
use crate::tools::k6::K6;
use crate::tools::nginx::{self, Nginx};
use pair::Driven;

const FIGURES: &[Figure<Load>] = &[
    (&THROUGHPUT_RPS_10VU, |load| {
        number(load.k6_rate, load.k6_calls)
    }),
    (&CPU_US_PER_REQUEST, |load| {
        number(load.cpu_us_per_call.clone()?, load.driver_calls)
    }),
];
const FULL: Times = Times {
    warm: 500,
    window: 2500,
    driver: 1000,
};
/// Fewest calls for CPU time per call: in fewer, the cost of starting to answer is a good part of it.
const FEWEST_CALLS: u64 = 1000;

/// Result of a block.
#[derive(Debug)]
struct Load {
    k6_rate: f64,
    /// Calls in k6's window.
    k6_calls: u64,
    /// Whether k6 was the limit.
    generator_bound: bool,
    /// CPU time of the proxy per call of the driver, in microseconds.
    cpu_us_per_call: Result<f64, Missing>,
    driver_calls: u64,
    /// CPU time of nginx per call, in microseconds; none without nginx.
    nginx_us: Option<f64>,
}

impl Load {
    /// CPU time per call, relative to that of nginx.
    fn nginx_ratio(&self) -> Option<f64> {
        Some(self.cpu_us_per_call.as_ref().ok()? / self.nginx_us?)
    }
}

/// Fails for fewer than `FEWEST_CALLS` calls.
fn cpu_us_per_call(cpu_us: anyhow::Result<f64>, calls: u64) -> anyhow::Result<f64> {
    let cpu_us = cpu_us?;
    ensure!(
        calls >= FEWEST_CALLS,
        "{calls} calls are too few for CPU time per call: at least {FEWEST_CALLS} are needed"
    );
    Ok(cpu_us / calls as f64)
}

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

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
        let counted = block::run(context, subject, recorder, FIGURES, &plan, &mut |number| {
            let nginx = neighbour.as_ref().map(|(path, _)| path.as_path());
            let bed = TestBed::start(context, subject, &files, Duration::ZERO)?;
            measure(context, bed, (&k6, nginx), number)
        })?;
        let bound: Vec<bool> = counted.iter().map(|load| load.generator_bound).collect();
        note_generator_bound(recorder, &THROUGHPUT_RPS_10VU, &bound)?;
        note_nginx(recorder, &counted)
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = Times::of(quick, FULL).seconds() + 0.6;
    // No limit on tasks that wait for a CPU: the load itself keeps all cores busy.
    Plan::new("throughput", if quick { 2 } else { 10 }, seconds_each)
}

/// Adds a note with the median of CPU time per request divided by that of nginx, over the blocks that count.
fn note_nginx(recorder: &mut Recorder, counted: &[Load]) -> anyhow::Result<()> {
    // A ratio to nginx in the same block cancels most of what the machine adds to both.
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
    mut bed: TestBed,
    (k6, neighbour): (&K6, Option<&Path>),
    number: usize,
) -> anyhow::Result<Block<Load>> {
    let times = Times::of(context.quick, FULL);
    let (url, pid) = (bed.proxy.url(), bed.proxy.pid());
    let before = bed.seen()?;
    // k6 alone first: it gives the headline figure, and nginx must not share the machine with it.
    let sent = times.send(k6, &url, Some(pid), &mut || bed.check_running())?;
    let started = neighbour.map(|binary| Nginx::start(binary, &bed.upstream.url()));
    let nginx = started.as_ref().and_then(|nginx| nginx.as_ref().ok());
    let (proxy, other) = pair::drive(context, &mut bed, nginx, (times, number))?;
    // An nginx that did not start is reported like one that failed under load.
    let other = other.or_else(|| started?.err().map(Err));
    if let Some(Err(error)) = &other {
        let line = format!("warning: nginx could not be measured: {error:#}");
        context.progress.line(&line);
    }
    let fault = sent.fault().or_else(|| proxy.fault());
    let calls = sent.summary.requests + proxy.sent;
    let all = Seen {
        upstream: calls,
        forwarded: calls,
    };
    let seen = bed.seen()?.since(before);
    // The counters of the proxy and the upstream must agree with the generators, or the block is void.
    if let Some(fault) = fault.or_else(|| seen.fault(all)) {
        return Ok(Block::Void(fault));
    }
    let (from_ms, to_ms) = sent.window_ms;
    let (k6_rate, k6_calls) = sent.rate()?;
    let driver_calls = proxy.calls();
    let cpu_us_per_call_of = |driven: Driven| {
        let (calls, slices) = (driven.calls(), json!(driven.slices));
        (cpu_us_per_call(driven.cpu_us, calls), slices)
    };
    let generator_bound = is_generator_bound(proxy.rate(), k6_rate);
    let (own_us, own_slices) = cpu_us_per_call_of(proxy);
    let (nginx_us, nginx_slices) = other.and_then(Result::ok).map(cpu_us_per_call_of).unzip();
    let nginx_us = nginx_us.and_then(Result::ok);
    let raw = json!({
        "k6_cores": sent.generator.cores(from_ms, to_ms),
        "proxy_cores": sent.subject.cores(from_ms, to_ms),
        "proxy_waited_per_run": sent.subject.waited_per_run(from_ms, to_ms),
        "nginx_us_per_request": nginx_us,
        "k6": sent.summary,
        "driver": own_slices,
        "nginx": nginx_slices,
    });
    let load = Load {
        k6_rate,
        k6_calls,
        generator_bound,
        cpu_us_per_call: own_us.map_err(Missing::from),
        driver_calls,
        nginx_us,
    };
    Ok(Block::Measured(Measured::new(load, raw)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_a_few_calls_is_not_a_figure() {
        let twenty = cpu_us_per_call(Ok(20_000.0), 1000).unwrap();
        assert!((twenty - 20.0).abs() < 1e-9, "{twenty}");
        let error = cpu_us_per_call(Ok(46_690.0), 290).unwrap_err().to_string();
        assert!(error.starts_with("290 calls are too few"), "{error}");
    }
}
