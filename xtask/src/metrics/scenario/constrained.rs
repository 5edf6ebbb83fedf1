//! The image under a sidecar's limits: half a core and 128 MB, by the kernel's own hand.
//!
//! k6 gives the headline rate. Beside it, in the same blocks, the light driver's rate and p95, how
//! often the kernel stopped the process, and what nginx reaches in the same cage.

mod cage;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value as Json, json};

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::block::{self, Block, Plan};
use super::closed::{Times, is_generator_bound, note_generator_bound};
use super::{SubjectFiles, attempt, k6, packed};
use crate::interrupt;
use crate::tools::cgroup::{self, Throttling};
use crate::tools::k6::K6;
use crate::tools::nginx;
use crate::tools::subject::Upstream;
use cage::{Cage, Caged, LIMITS};

const METRICS: [&str; 2] = [RATE, RSS];
const RATE: &str = "throughput/rps_constrained";
const RSS: &str = "memory/constrained_rss";
/// What a window holds many of: the kernel hands out the quota every tenth of a second.
const FULL: Times = Times {
    warm: 500,
    window: 3000,
    driver: 2000,
};

/// Seconds that this takes after the build, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(&METRICS, recorder)
}

/// Builds the image and makes blocks of fresh containers.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let docker = packed::docker(recorder)?;
        let k6 = k6(context, recorder)?;
        let files = SubjectFiles::write()?;
        let image = packed::image(context, &docker, "thoughtgate")?;
        let neighbour = nginx::find();
        recorder.setting("constrained_limits", json!(LIMITS.join(" ")));
        let cage = Cage {
            docker: &docker,
            image: &image,
            files: &files,
            guard: cage::guard(&image),
        };
        let mut bound = Vec::new();
        let plan = plan(context.quick);
        block::run(context, recorder, &METRICS, &plan, &mut |_| {
            let nginx = neighbour.as_ref().map(|(path, _)| path.as_path());
            let (block, generator_bound) = measure(context, &cage, &k6, nginx)?;
            bound.extend(generator_bound);
            Ok(block)
        })?;
        note_generator_bound(recorder, RATE, &bound)
    })
}

fn plan(quick: bool) -> Plan {
    // Beside the load, two containers come and go.
    let seconds_each = Times::of(quick, FULL).seconds() + 3.0;
    Plan::new("constrained", if quick { 1 } else { 6 }, seconds_each)
}

/// One block, and whether k6 and not the quota was its limit.
fn measure(
    context: &Context<'_>,
    cage: &Cage<'_>,
    k6: &K6,
    neighbour: Option<&Path>,
) -> anyhow::Result<(Block, Option<bool>)> {
    let times = Times::of(context.quick, FULL);
    let mut upstream = Upstream::start(&context.release_dir, Duration::ZERO)?;
    let Caged { mut container, url } = cage.proxy(&upstream.url())?;
    let pid = container.pid()?;
    let before = upstream.counts()?.tool_calls;
    let throttling_before = cgroup::throttling(pid);
    let mut look = || {
        container.check_running()?;
        upstream.check_running()
    };
    let sent = times.send(k6, &url, pid, &mut look)?;
    let driver = times.drive(context, &url, &mut look)?;
    let throttling = Throttling::between(throttling_before, cgroup::throttling(pid));
    let seen = upstream.counts()?.tool_calls - before;
    let calls = sent.summary.requests + driver.requests;
    let fault = sent.summary.fault().or_else(|| driver.fault());
    let fault = fault
        .or_else(|| (seen != calls).then(|| format!("the upstream saw {seen} calls of {calls}")));
    if let Some(fault) = fault {
        return Ok((Block::Void(fault), None));
    }
    drop(container);
    let (from_ms, to_ms) = sent.window_ms;
    let rss_bytes = sent.subject.median_rss_bytes(from_ms, to_ms);
    let rss_bytes = rss_bytes.context("failed to read the memory of the container's process")?;
    let nginx = beside(context, cage, neighbour, &upstream.url(), times)?;
    let rate = sent.rate()?;
    let generator_bound = is_generator_bound(&driver, rate);
    let samples = vec![(RATE, rate), (RSS, rss_bytes as f64)];
    let raw = json!({
        "driver": driver,
        "nginx": nginx,
        "throttling": throttling,
        "k6_cores": sent.generator.cores(from_ms, to_ms),
        "k6": sent.summary,
    });
    Ok((Block::Measured { samples, raw }, Some(generator_bound)))
}

/// nginx in the same cage; it is the neighbour, so its failure is told and nothing else.
fn beside(
    context: &Context<'_>,
    cage: &Cage<'_>,
    binary: Option<&Path>,
    upstream: &str,
    times: Times,
) -> anyhow::Result<Json> {
    let Some(binary) = binary else {
        return Ok(Json::Null);
    };
    let measured = cage.nginx(binary, upstream).and_then(|(_setup, caged)| {
        let Caged { mut container, url } = caged;
        let mut look = || container.check_running();
        times.drive(context, &url, &mut look)
    });
    match measured {
        Ok(outcome) => Ok(json!(outcome)),
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        Err(error) => {
            let line = format!("warning: nginx could not be measured in the cage: {error:#}");
            context.progress.line(&line);
            Ok(json!({ "error": format!("{error:#}") }))
        }
    }
}
