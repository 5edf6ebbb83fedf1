//! The image that is measured: the static binary, packed with docker by this checkout's Dockerfile.

use std::path::Path;

use anyhow::anyhow;

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::super::subject::Subject;
use crate::interrupt;
use crate::tools::cargo::{Compiler, Effort};
use crate::tools::docker::{self, Docker, Image};
use crate::tools::image::{self, ARCHITECTURES, Architecture};

/// Finds docker, and records its version in the run.
pub fn docker(recorder: &mut Recorder) -> anyhow::Result<Docker> {
    let docker = Docker::find()?;
    recorder.tool("docker", &docker.server_version);
    Ok(docker)
}

/// Builds an image in `repository` for this machine.
pub fn image(
    context: &Context<'_>,
    subject: &Subject,
    docker: &Docker,
    repository: &str,
) -> anyhow::Result<Image> {
    let (own, checkout) = (Architecture::own()?, checkout(subject)?);
    let compiler = own
        .compiler(checkout)
        .map_err(|command| missing(&command))?;
    build(
        context,
        checkout,
        docker,
        (own, &compiler),
        &tag(repository),
    )
}

/// The images that were built, and why others were not.
pub struct Images {
    /// That of this machine first.
    pub built: Vec<Image>,
    /// Why there is none for another architecture: no compiler, or a build that failed.
    pub failure: Option<anyhow::Error>,
    /// Versions of the compilers, by name of the other architecture.
    pub compilers: Vec<(&'static str, String)>,
}

/// Builds images for this machine, and for the other architectures that it can build for.
pub fn images(
    context: &Context<'_>,
    subject: &Subject,
    docker: &Docker,
    repository: &str,
) -> anyhow::Result<Images> {
    let (own, checkout) = (Architecture::own()?, checkout(subject)?);
    let tag = |architecture: Architecture| format!("{}-{}", tag(repository), architecture.name);
    let compiler = |architecture: Architecture| architecture.compiler(checkout);
    // Without an image for this machine there is nothing to measure, so that this one is an error.
    let first = compiler(own).map_err(|command| missing(&command))?;
    let mut images = Images {
        built: vec![build(context, checkout, docker, (own, &first), &tag(own))?],
        failure: None,
        compilers: Vec::new(),
    };
    for other in ARCHITECTURES.into_iter().filter(|other| *other != own) {
        let compiler = match compiler(other) {
            Ok(compiler) => compiler,
            // Whether the image is for several architectures is not known where one cannot be built.
            Err(command) => {
                let missing = anyhow!("no compiler for {}: `{command}` first", other.name);
                images.failure = Some(missing);
                continue;
            }
        };
        match build(context, checkout, docker, (other, &compiler), &tag(other)) {
            Ok(image) => {
                images.built.push(image);
                images.compilers.push((other.name, compiler.version));
            }
            Err(error) if interrupt::cause(&error).is_some() => return Err(error),
            // The figures of this machine's image do not depend on it.
            Err(error) => images.failure = Some(error),
        }
    }
    Ok(images)
}

/// A tag that no other run has: several may use one daemon.
pub fn tag(repository: &str) -> String {
    format!("{repository}:{}", docker::unique_name())
}

fn missing(command: &str) -> anyhow::Error {
    anyhow!("no compiler for the image's static binary: run `{command}` first")
}

/// The checkout that the image's static binary is built from.
fn checkout(subject: &Subject) -> anyhow::Result<&Path> {
    subject.checkout("the static binary of an image")
}

fn build(
    context: &Context<'_>,
    checkout: &Path,
    docker: &Docker,
    (architecture, compiler): (Architecture, &Compiler),
    tag: &str,
) -> anyhow::Result<Image> {
    let binary = {
        let label = format!("building the static binary for {}", architecture.name);
        let _step = context.progress.step(&label, 0.0);
        // For another architecture a quick run only proves that the build works; nothing of it is measured.
        let effort = if context.quick && architecture != Architecture::own()? {
            Effort::Proof
        } else {
            Effort::Release
        };
        image::build_binary(checkout, compiler, effort)?
    };
    interrupt::check()?;
    image::build(docker, checkout, (architecture, &binary), tag)
}
