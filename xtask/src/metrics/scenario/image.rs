//! The container image as a registry has it: pushed, then inspected there.

use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::{attempt, skip_without};
use crate::interrupt;
use crate::tools::docker::registry::Registry;
use crate::tools::docker::{self, Docker};
use crate::tools::image;

const METRICS: [&str; 4] = [
    "binary/docker_image_compressed",
    "binary/docker_layers",
    "binary/docker_base",
    "binary/multi_arch",
];
/// What Kubernetes nodes are made of.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const SECONDS: f64 = 10.0;

/// Seconds that this takes after the build, for the time left.
pub fn planned_seconds() -> f64 {
    SECONDS
}

/// Builds, pushes and inspects the image.
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
        let binary = {
            let _step = context.progress.step("building the static binary", 0.0);
            image::build_static_binary(&context.workspace)?
        };
        interrupt::check()?;
        let _step = context.progress.step("container image", SECONDS);
        let registry = match &context.registry {
            Some(address) => Registry::given(address),
            None => Registry::start(&docker)?,
        };
        let tag = format!(
            "{}/thoughtgate:measured-{}",
            registry.address(),
            std::process::id()
        );
        let built = image::build(&docker, &context.workspace, &binary, &tag)?;
        docker.push(&built)?;
        let platforms = docker.manifest(built.tag())?;
        let own = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let Some(platform) = platforms
            .iter()
            .find(|platform| platform.architecture == own)
        else {
            anyhow::bail!("the pushed image has no platform {own}");
        };
        recorder.sample(METRICS[0], platform.compressed_bytes() as f64)?;
        recorder.sample(METRICS[1], platform.layers_bytes.len() as f64)?;
        let dockerfile = std::fs::read_to_string(context.workspace.join("Dockerfile"))?;
        recorder.text(
            METRICS[2],
            &docker::base(&dockerfile, &docker.history(built.tag())?)?,
        )?;
        let has = |architecture: &&str| {
            platforms
                .iter()
                .any(|platform| platform.architecture == *architecture)
        };
        let missing: Vec<&str> = ARCHITECTURES
            .into_iter()
            .filter(|architecture| !has(architecture))
            .collect();
        recorder.boolean(METRICS[3], missing.is_empty())?;
        if !missing.is_empty() {
            let note = format!(
                "built here for {own} alone; {} is missing",
                missing.join(" and ")
            );
            recorder.note(METRICS[3], Note::Text(note))?;
        }
        Ok(())
    })
}
