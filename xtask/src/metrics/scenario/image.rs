//! The container image as a registry stores it: pushed, then inspected there.

use anyhow::Context as _;
use serde_json::json;

use super::super::catalog::{
    BINARY_DOCKER_BASE, BINARY_DOCKER_IMAGE_COMPRESSED, BINARY_DOCKER_LAYERS, BINARY_MULTI_ARCH,
    Metric,
};
use super::super::context::Context;
use super::super::recorder::{Measure, Missing, Reading, Recorder, number};
use super::super::subject::Subject;
use super::attempt;
use super::block::{self, Block, Figure, Measured, Plan};
use super::packed::{self, Images};
use crate::interrupt;
use crate::tools::docker::manifest::Platform;
use crate::tools::docker::registry::Registry;
use crate::tools::docker::{self, Docker};
use crate::tools::image::{ARCHITECTURES, Architecture};

const FIGURES: &[Figure<Shipped>] = &[
    (&BINARY_DOCKER_IMAGE_COMPRESSED, |shipped| {
        number(shipped.own()?.compressed_bytes() as f64, 1)
    }),
    (&BINARY_DOCKER_LAYERS, |shipped| {
        number(shipped.own()?.layers_bytes.len() as f64, 1)
    }),
    (&BINARY_DOCKER_BASE, |shipped| {
        Ok(Measure::from(shipped.base.clone()?.as_str()))
    }),
    (&BINARY_MULTI_ARCH, Shipped::is_multi_arch),
];
const SECONDS: f64 = 10.0;

/// Properties of the image.
#[derive(Debug)]
struct Shipped {
    /// The base image.
    base: Result<String, Missing>,
    /// The platforms in the registry.
    platforms: Result<Vec<Platform>, Missing>,
    /// The reason why the image of another platform is missing, though this machine can build it.
    failure: Option<Missing>,
}

impl Shipped {
    /// The image of this machine's platform: sizes are never summed over several.
    fn own(&self) -> Result<&Platform, Missing> {
        let platforms = self.platforms.as_ref().map_err(Clone::clone)?;
        let own = Architecture::own().map_err(Missing::from)?.name;
        find(platforms, own).ok_or_else(|| Missing {
            reason: format!("failed to find linux/{own} in the pushed images: {platforms:?}"),
            hint: None,
        })
    }

    fn is_multi_arch(&self) -> Reading {
        let platforms = self.platforms.as_ref().map_err(Clone::clone)?;
        // A build or a push that failed says nothing of the image: the metric is missing, not false.
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut all = ARCHITECTURES.into_iter();
        let has_all = all.all(|architecture| find(platforms, architecture.name).is_some());
        Ok(Measure::from(has_all))
    }
}

fn find<'a>(platforms: &'a [Platform], architecture: &str) -> Option<&'a Platform> {
    let mut linux = platforms.iter().filter(|platform| platform.os == "linux");
    linux.find(|platform| platform.architecture == architecture)
}

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

/// Without the build.
pub fn planned_seconds(_quick: bool, recorder: &Recorder) -> f64 {
    plan().seconds_for(FIGURES, recorder)
}

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let docker = packed::docker(recorder)?;
        let registry = match &context.registry {
            Some(address) => Registry::given(address),
            None => Registry::start(&docker)?,
        };
        let repository = format!("{}/thoughtgate", registry.address());
        let mut images = packed::images(context, subject, &docker, &repository)?;
        for (architecture, version) in &images.compilers {
            // It may differ from the compiler of the measured binary.
            recorder.tool(&format!("rustc for {architecture}"), version);
        }
        block::run(context, subject, recorder, FIGURES, &plan(), &mut |_| {
            let shipped = inspect(context, &docker, &mut images, &repository)?;
            let raw = json!({ "platforms": shipped.platforms.as_ref().ok() });
            Ok(Block::Measured(Measured::new(shipped, raw)))
        })?;
        Ok(())
    })
}

fn plan() -> Plan {
    Plan::new("container image", 1, SECONDS).deterministic()
}

fn inspect(
    context: &Context<'_>,
    docker: &Docker,
    images: &mut Images,
    repository: &str,
) -> anyhow::Result<Shipped> {
    // Before the push, so that it does not depend on a registry that accepts the image.
    let base = base(context, docker, images);
    let pushed = push(docker, images, repository);
    let platforms = pushed.and_then(|pushed| docker.manifest(&pushed));
    Ok(Shipped {
        base: unless_interrupted(base)?,
        platforms: unless_interrupted(platforms)?,
        // After the push, which may add a failure of its own.
        failure: images.failure.take().map(Missing::from),
    })
}

fn base(context: &Context<'_>, docker: &Docker, images: &Images) -> anyhow::Result<String> {
    let image = images.built.first().context("no image was built")?;
    let path = context.workspace.join("Dockerfile");
    let dockerfile = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read `{}`", path.display()))?;
    docker::base(&dockerfile, &docker.history(image.tag())?)
}

/// Pushes the images, and a manifest list when there are several; returns the reference to inspect.
/// A failure of the others leaves the figures of the first one, which is this machine's.
fn push(docker: &Docker, images: &mut Images, repository: &str) -> anyhow::Result<String> {
    // This machine's image first, by itself: only the metric of several architectures needs the others.
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

/// An error becomes the reason why one figure is missing; an interruption is passed on.
fn unless_interrupted<T>(result: anyhow::Result<T>) -> anyhow::Result<Result<T, Missing>> {
    match result {
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        other => Ok(other.map_err(Missing::from)),
    }
}

#[cfg(test)]
mod tests;
