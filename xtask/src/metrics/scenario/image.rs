//! The container image as a registry has it: pushed, then inspected there.

use anyhow::Context as _;
use serde_json::json;

use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::packed::{self, Images};
use super::{attempt, seconds_if_wanted};
use crate::interrupt;
use crate::tools::docker::manifest::Platform;
use crate::tools::docker::registry::Registry;
use crate::tools::docker::{self, Docker};
use crate::tools::image::{ARCHITECTURES, Architecture};

const METRICS: [&str; 4] = [COMPRESSED, LAYERS, BASE, MULTI_ARCH];
const COMPRESSED: &str = "binary/docker_image_compressed";
const LAYERS: &str = "binary/docker_layers";
const BASE: &str = "binary/docker_base";
const MULTI_ARCH: &str = "binary/multi_arch";
const SECONDS: f64 = 10.0;

/// Seconds that this takes after the build, for the time left.
pub fn planned_seconds(_quick: bool, recorder: &Recorder) -> f64 {
    seconds_if_wanted(&METRICS, recorder, SECONDS)
}

/// Builds, pushes and inspects the image.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let docker = packed::docker(recorder)?;
        let registry = match &context.registry {
            Some(address) => Registry::given(address),
            None => Registry::start(&docker)?,
        };
        let repository = format!("{}/thoughtgate", registry.address());
        let mut images = packed::images(context, &docker, &repository)?;
        for (architecture, version) in &images.compilers {
            // Perhaps another one than that of the measured binary.
            recorder.tool(&format!("rustc for {architecture}"), version);
        }
        let _step = context.progress.step("container image", SECONDS);
        let dockerfile = context.workspace.join("Dockerfile");
        let dockerfile = std::fs::read_to_string(&dockerfile)
            .with_context(|| format!("failed to read `{}`", dockerfile.display()))?;
        // First, since it needs no registry that takes the image.
        let history = docker.history(images.built[0].tag())?;
        recorder.text(BASE, &docker::base(&dockerfile, &history)?)?;
        let pushed = push(&docker, &mut images, &repository)?;
        let platforms = docker.manifest(&pushed)?;
        report(recorder, &platforms, &images)
    })
}

/// Pushes the images, and a list of them when there are several; returns what to ask for. What
/// is measured of the first one does not depend on the others.
fn push(docker: &Docker, images: &mut Images, repository: &str) -> anyhow::Result<String> {
    let (own, others) = images.built.split_first().context("no image was built")?;
    docker.push(own)?;
    if others.is_empty() {
        return Ok(own.tag().to_owned());
    }
    let list = packed::tag(repository);
    let pushed = others.iter().try_for_each(|other| docker.push(other));
    match pushed.and_then(|()| docker.push_list(&list, &images.built)) {
        Ok(()) => Ok(list),
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        Err(error) => {
            images.failure = Some(error);
            Ok(own.tag().to_owned())
        }
    }
}

/// Reports what the registry has: sizes of this machine's platform, never summed over several.
fn report(recorder: &mut Recorder, platforms: &[Platform], images: &Images) -> anyhow::Result<()> {
    let own = Architecture::own()?.name;
    let platform = |architecture: &str| {
        let mut linux = platforms.iter().filter(|platform| platform.os == "linux");
        linux.find(|platform| platform.architecture == architecture)
    };
    let measured = platform(own)
        .with_context(|| format!("failed to find linux/{own} in what was pushed: {platforms:?}"))?;
    recorder.sample(COMPRESSED, measured.compressed_bytes() as f64)?;
    recorder.sample(LAYERS, measured.layers_bytes.len() as f64)?;
    recorder.detail(COMPRESSED, "platforms", json!(platforms))?;
    if let Some(error) = &images.failure {
        return recorder.fail(MULTI_ARCH, error);
    }
    let mut all = ARCHITECTURES.into_iter();
    let is_there = all.all(|architecture| platform(architecture.name).is_some());
    recorder.boolean(MULTI_ARCH, is_there)?;
    for reason in &images.reasons {
        recorder.note(MULTI_ARCH, Note::Text(reason.clone()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
