//! The image under a sidecar's limits: half a core and 128 MB, enforced by cgroups.
//!
//! k6 gives the headline rate. The same blocks also record the light driver's rate and p95, how often
//! the kernel throttled the process, and what nginx reaches under the same limits.

mod cage;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::{Value as Json, json};

use super::super::catalog::{MEMORY_CONSTRAINED_RSS, Metric, THROUGHPUT_RPS_CONSTRAINED};
use super::super::context::Context;
use super::super::recorder::{Missing, Recorder, Tolerance, number};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::closed::{Times, is_generator_bound, note_generator_bound};
use super::{SubjectFiles, attempt, k6, packed};
use crate::interrupt;
use crate::tools::cgroup::{self, Throttling};
use crate::tools::k6::K6;
use crate::tools::nginx;
use crate::tools::subject::Upstream;
use cage::{Cage, Caged, LIMITS};

const FIGURES: &[Figure<Load>] = &[
    (&THROUGHPUT_RPS_CONSTRAINED, |load| {
        number(load.rate, load.calls)
    }),
    (&MEMORY_CONSTRAINED_RSS, |load| {
        number(load.rss_bytes.clone()? as f64, 1)
    }),
];
/// Windows hold many periods of the quota, which the kernel assigns every tenth of a second.
const FULL: Times = Times {
    warm: 500,
    window: 3000,
    driver: 2000,
};

/// No limit on tasks that wait for a CPU, since the load keeps all cores busy. The container does not
/// count as another program: its CPU time is subtracted.
const TOLERANCE: Tolerance = Tolerance {
    is_alone: true,
    psi_percent: None,
};

/// Result of a block.
#[derive(Debug)]
struct Load {
    rate: f64,
    calls: u64,
    /// Whether k6 and not the quota was the limit.
    generator_bound: bool,
    rss_bytes: Result<u64, Missing>,
}

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

/// Without the build.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Builds the image, and makes blocks of fresh containers.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let docker = packed::docker(recorder)?;
        let k6 = k6(context, recorder)?;
        let files = SubjectFiles::write()?;
        let image = packed::image(context, subject, &docker, "thoughtgate")?;
        // Without nginx the reference is left out; the metrics do not need it.
        let neighbour = nginx::find();
        recorder.setting("constrained_limits", json!(LIMITS.join(" ")));
        let cage = Cage {
            docker: &docker,
            image: &image,
            files: &files,
            guard: cage::guard(&image),
        };
        let plan = plan(context.quick);
        let counted = block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let nginx = neighbour.as_ref().map(|(path, _)| path.as_path());
            measure(context, &cage, &k6, nginx)
        })?;
        let bound: Vec<bool> = counted.iter().map(|load| load.generator_bound).collect();
        note_generator_bound(recorder, &THROUGHPUT_RPS_CONSTRAINED, &bound)
    })
}

fn plan(quick: bool) -> Plan {
    // Besides the load, two containers are started and removed.
    let seconds_each = Times::of(quick, FULL).seconds() + 3.0;
    let blocks = if quick { 1 } else { 6 };
    Plan::new("constrained", blocks, seconds_each).not_alone()
}

fn measure(
    context: &Context<'_>,
    cage: &Cage<'_>,
    k6: &K6,
    neighbour: Option<&Path>,
) -> anyhow::Result<Block<Load>> {
    let times = Times::of(context.quick, FULL);
    let mut upstream = Upstream::start(&context.release_dir, Duration::ZERO)?;
    let Caged { mut container, url } = cage.proxy(&upstream.url())?;
    let pid = container.pid();
    let before = upstream.counts()?.tool_calls;
    // Without the pid memory and throttling are missing, but the rate can still be measured.
    let known = pid.as_ref().ok().copied();
    let throttling_before = known.and_then(cgroup::throttling);
    let watch = known.map(|pid| context.watch(Some(pid)));
    let mut look = || {
        container.check_running()?;
        upstream.check_running()
    };
    let sent = times.send(k6, &url, known, &mut look)?;
    let [warm, driver] = times.drive_warm(context, &url, &mut look)?;
    let throttling = Throttling::between(throttling_before, known.and_then(cgroup::throttling));
    // Before the container is removed: the work of docker's daemon would count as another program.
    let noise = watch.and_then(|watch| watch.finish().noise(TOLERANCE));
    let seen = upstream.counts()?.tool_calls - before;
    let calls = sent.summary.requests + warm.requests + driver.requests;
    let fault = sent
        .fault()
        .or_else(|| warm.fault())
        .or_else(|| driver.fault());
    let fault = fault.or_else(|| miscount(seen, calls));
    if let Some(fault) = fault {
        return Ok(Block::Void(fault));
    }
    // Before nginx is measured, which must not share the machine with it.
    drop(container);
    let (from_ms, to_ms) = sent.window_ms;
    let rss_bytes = sent.subject.median_rss_bytes(from_ms, to_ms);
    let rss_bytes = match pid {
        Ok(_) => rss_bytes.context("failed to read the memory of the container's process"),
        Err(error) => Err(error),
    };
    let nginx = beside(context, cage, neighbour, &mut upstream, times)?;
    let (rate, calls) = sent.rate()?;
    let raw = json!({
        "driver": driver,
        "nginx": nginx,
        "throttling": throttling,
        "k6_cores": sent.generator.cores(from_ms, to_ms),
        "k6": sent.summary,
    });
    let load = Load {
        rate,
        calls,
        generator_bound: is_generator_bound(driver.rate_achieved, rate),
        rss_bytes: rss_bytes.map_err(Missing::from),
    };
    Ok(Block::Measured(Measured::new(load, raw).unless(noise)))
}

fn miscount(seen: u64, calls: u64) -> Option<String> {
    (seen != calls).then(|| format!("the upstream received {seen} of {calls} calls"))
}

/// Measures nginx under the same limits, warmed up and checked like the subject. It is only a
/// reference: its failure is printed, and costs nothing else.
fn beside(
    context: &Context<'_>,
    cage: &Cage<'_>,
    binary: Option<&Path>,
    upstream: &mut Upstream,
    times: Times,
) -> anyhow::Result<Json> {
    let Some(binary) = binary else {
        return Ok(Json::Null);
    };
    let before = upstream.counts()?.tool_calls;
    let driven = cage.nginx(binary, &upstream.url()).and_then(|caged| {
        let (_setup, Caged { mut container, url }) = caged;
        times.drive_warm(context, &url, &mut || container.check_running())
    });
    let seen = upstream.counts()?.tool_calls - before;
    let measured = driven.and_then(|[warm, driver]| {
        let calls = warm.requests + driver.requests;
        let fault = warm.fault().or_else(|| driver.fault());
        match fault.or_else(|| miscount(seen, calls)) {
            Some(fault) => Err(anyhow!(fault)),
            None => Ok(driver),
        }
    });
    match measured {
        Ok(outcome) => Ok(json!(outcome)),
        // Only an interruption ends the block: it must not look like a failure of nginx.
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        Err(error) => {
            let line = format!("warning: nginx could not be measured under the limits: {error:#}");
            context.progress.line(&line);
            Ok(json!({ "error": format!("{error:#}") }))
        }
    }
}
