//! The image under a sidecar's limits: half a core and 128 MB, by the kernel's own hand.
//!
//! k6 gives the headline rate. Beside it, in the same blocks, the light driver's rate and p95, how
//! often the kernel stopped the process, and what nginx reaches in the same cage.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};

use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::block::{self, Block, Plan};
use super::{SubjectFiles, attempt, skip_without};
use crate::interrupt;
use crate::tools::cgroup::{self, Throttling};
use crate::tools::docker::{Container, Docker, Image};
use crate::tools::k6::{K6, Script};
use crate::tools::load::{self, Slice};
use crate::tools::procfs::Sampler;
use crate::tools::subject::{Upstream, free_address, is_ready};
use crate::tools::{image, nginx};

const METRICS: [&str; 2] = [RATE, RSS];
const RATE: &str = "throughput/rps_constrained";
const RSS: &str = "memory/constrained_rss";
const LIMITS: [&str; 4] = ["--cpus", "0.5", "--memory", "128m"];
const CLIENTS: usize = 10;
const READY_DEADLINE: Duration = Duration::from_secs(20);
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
        if quick {
            Times {
                warm: 300,
                window: 800,
                driver: 500,
            }
        } else {
            Times {
                warm: 500,
                window: 3000,
                driver: 2000,
            }
        }
    }
}

/// Seconds that this takes after the build, for the time left.
pub fn planned_seconds(quick: bool) -> f64 {
    plan(quick).planned_seconds()
}

/// Builds the image and makes blocks of fresh containers.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    if !METRICS.iter().any(|metric| recorder.pending(metric)) {
        return Ok(());
    }
    let docker = match Docker::find() {
        Ok(docker) => docker,
        Err(unavailable) => return skip_without(recorder, &METRICS, &unavailable),
    };
    recorder.tool("docker", &docker.server_version);
    attempt(recorder, &METRICS, |recorder| {
        let k6 = K6::find(&context.tools_dir)?;
        let files = SubjectFiles::write()?;
        let binary = {
            let _step = context.progress.step("building the static binary", 0.0);
            image::build_static_binary(&context.workspace)?
        };
        let tag = format!("thoughtgate:constrained-{}", std::process::id());
        let image = image::build(&docker, &context.workspace, &binary, &tag)?;
        let neighbour = nginx::find();
        recorder.setting("constrained_limits", json!(LIMITS.join(" ")));
        let mut throttled = false;
        block::run(
            context,
            recorder,
            &METRICS,
            &plan(context.quick),
            &mut |_| {
                let cage = Cage {
                    docker: &docker,
                    image: &image,
                    files: &files,
                };
                let (block, stopped) = measure(
                    context,
                    &cage,
                    &k6,
                    neighbour.as_ref().map(|(path, _)| path.as_path()),
                )?;
                throttled |= stopped;
                Ok(block)
            },
        )?;
        if throttled && recorder.wants(RATE) {
            recorder.note(
                RATE,
                Note::Text("the quota was the limit, as it should be".to_owned()),
            )?;
        }
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let times = Times::of(quick);
    let seconds_each = (times.warm + times.window + 2 * times.driver) as f64 / 1000.0 + 3.0;
    let blocks = if quick { 1 } else { 6 };
    Plan {
        label: "constrained",
        blocks,
        seconds_each,
        seconds_at_most: 1.3 * seconds_each * blocks as f64,
    }
}

/// What containers are made of.
struct Cage<'a> {
    docker: &'a Docker,
    image: &'a Image,
    files: &'a SubjectFiles,
}

impl Cage<'_> {
    /// The proxy, ready.
    fn proxy(&self, upstream: &str) -> anyhow::Result<(Container, String)> {
        let address = free_address()?.to_string();
        let folder = self.files.folder().display().to_string();
        let mount = format!("{folder}:{folder}:ro");
        let options = [&LIMITS[..], &["--volume", &mount]].concat();
        let (config, policy) = (self.files.config(), self.files.policy());
        let arguments = [
            "--config",
            text(&config)?,
            "--policy",
            text(&policy)?,
            "--upstream",
            upstream,
            "--listen",
            &address,
        ];
        let container = self.docker.run(self.image.tag(), &options, &arguments)?;
        let until = Instant::now() + READY_DEADLINE;
        while !is_ready(&address) {
            interrupt::check()?;
            container.pid()?;
            if Instant::now() > until {
                bail!(
                    "the container was not ready within {READY_DEADLINE:?}; its last words:\n{}",
                    container.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok((container, format!("http://{address}/mcp")))
    }

    /// nginx of this machine under the same limits, in the same empty image.
    fn nginx(&self, binary: &Path, upstream: &str) -> anyhow::Result<(Container, nginx::Setup)> {
        let setup = nginx::set_up(upstream)?;
        let own = setup.folder.path().display().to_string();
        let own = format!("{own}:{own}");
        let mut options: Vec<&str> = [
            &LIMITS[..],
            &[
                "--user",
                "0:0",
                "--entrypoint",
                text(binary)?,
                "--volume",
                &own,
            ],
        ]
        .concat();
        let system =
            ["/usr", "/lib", "/lib64", "/etc"].map(|folder| format!("{folder}:{folder}:ro"));
        for folder in &system {
            options.extend(["--volume", folder]);
        }
        let container =
            self.docker
                .run(self.image.tag(), &options, &["-c", text(&setup.config)?])?;
        let until = Instant::now() + READY_DEADLINE;
        while std::net::TcpStream::connect(("127.0.0.1", setup.port)).is_err() {
            container
                .pid()
                .context("failed to start nginx in the cage")?;
            if Instant::now() > until {
                bail!("nginx in the cage did not listen within {READY_DEADLINE:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok((container, setup))
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("`{}` is not UTF-8", path.display()))
}

/// One block, and whether the kernel stopped the proxy in it.
fn measure(
    context: &Context<'_>,
    cage: &Cage<'_>,
    k6: &K6,
    neighbour: Option<&Path>,
) -> anyhow::Result<(Block, bool)> {
    let times = Times::of(context.quick);
    let mut upstream = Upstream::start(&context.release_dir, Duration::ZERO)?;
    let (container, url) = cage.proxy(&upstream.url())?;
    let pid = u32::try_from(container.pid()?).context("failed to read the container's pid")?;
    let before = upstream.counts()?.tool_calls;
    let throttling_before = cgroup::throttling(pid);
    let plan =
        json!({"url": url, "vus": CLIENTS, "warm_ms": times.warm, "window_ms": times.window});
    let running = k6.start(Script::Throughput, plan)?;
    let watching = Sampler::start(&[pid]);
    let deadline = Duration::from_millis(times.warm + times.window) + SLACK;
    let summary = running.finish(deadline, &mut || upstream.check_running())?;
    let traces = watching.stop();
    let driver = drive(context, &url, times.driver)?;
    let throttling = Throttling::between(throttling_before, cgroup::throttling(pid));
    let seen = upstream.counts()?.tool_calls - before;
    let sent = summary.requests + driver.requests;
    let fault = summary.fault().or_else(|| driver.fault());
    let fault = fault
        .or_else(|| (seen != sent).then(|| format!("the upstream saw {seen} calls of {sent}")));
    if let Some(fault) = fault {
        return Ok((Block::Void(fault), false));
    }
    drop(container);
    let from_ms = summary.started_ms + times.warm as f64;
    let rss_bytes = traces
        .first()
        .and_then(|trace| trace.median_rss_bytes(from_ms, from_ms + times.window as f64));
    let rss_bytes = rss_bytes.context("failed to read the memory of the container's process")?;
    let rate = 1000.0 * summary.count("http_reqs{phase:measured}")? as f64 / times.window as f64;
    let nginx = beside(context, cage, neighbour, &upstream.url(), times.driver);
    let stopped = throttling.is_some_and(|throttling| throttling.periods_throttled > 0);
    let raw = json!({
        "driver": driver,
        "driver_rate": driver.rate_achieved,
        "driver_p95_us": driver.latency_us.as_ref().map(|latency| latency.p95),
        "nginx": nginx,
        "throttling": throttling,
        "k6": summary,
    });
    let samples = vec![(RATE, rate), (RSS, rss_bytes as f64)];
    Ok((Block::Measured { samples, raw }, stopped))
}

fn drive(context: &Context<'_>, url: &str, duration_ms: u64) -> anyhow::Result<load::Outcome> {
    let slice = Slice {
        url: url.to_owned(),
        rate: None,
        duration_ms,
        warmup_ms: 200,
        connections: CLIENTS,
    };
    let mut outcomes = load::run(&context.release_dir, &[slice], &mut || Ok(()))?;
    outcomes.pop().context("the load driver told no outcome")
}

/// nginx in the same cage; it is the neighbour, so its failure is told and nothing else.
fn beside(
    context: &Context<'_>,
    cage: &Cage<'_>,
    binary: Option<&Path>,
    upstream: &str,
    duration_ms: u64,
) -> Json {
    let Some(binary) = binary else {
        return Json::Null;
    };
    let measured = cage
        .nginx(binary, upstream)
        .and_then(|(_container, setup)| {
            drive(
                context,
                &format!("http://127.0.0.1:{}/mcp", setup.port),
                duration_ms,
            )
        });
    match measured {
        Ok(outcome) => json!(outcome),
        Err(error) => json!({ "error": format!("{error:#}") }),
    }
}
