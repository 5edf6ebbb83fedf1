//! The image that is measured: docker, and the static binary packed by this checkout's Dockerfile.

use std::path::Path;

use anyhow::anyhow;

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::super::subject::Subject;
use crate::interrupt;
use crate::tools::cargo::{Compiler, Effort};
use crate::tools::docker::{self, Docker, Image};
use crate::tools::image::{self, ARCHITECTURES, Architecture};

/// Docker; noted with the run.
pub fn docker(recorder: &mut Recorder) -> anyhow::Result<Docker> {
    let docker = Docker::find()?;
    recorder.tool("docker", &docker.server_version);
    Ok(docker)
}

/// An image of `repository` for this machine.
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

/// Images of `repository`, that of this machine first.
pub struct Images {
    /// The images.
    pub built: Vec<Image>,
    /// Why there is none for an architecture that nothing can be built for here.
    pub reasons: Vec<String>,
    /// Why building one failed, though it should not have.
    pub failure: Option<anyhow::Error>,
    /// What compiled for other architectures, by their names.
    pub compilers: Vec<(&'static str, String)>,
}

/// Builds images for this machine, and for the other architectures that can be built for here.
pub fn images(
    context: &Context<'_>,
    subject: &Subject,
    docker: &Docker,
    repository: &str,
) -> anyhow::Result<Images> {
    let (own, checkout) = (Architecture::own()?, checkout(subject)?);
    let tag = |architecture: Architecture| format!("{}-{}", tag(repository), architecture.name);
    let compiler = |architecture: Architecture| architecture.compiler(checkout);
    let first = compiler(own).map_err(|command| missing(&command))?;
    let mut images = Images {
        built: vec![build(context, checkout, docker, (own, &first), &tag(own))?],
        reasons: Vec::new(),
        failure: None,
        compilers: Vec::new(),
    };
    for other in ARCHITECTURES.into_iter().filter(|other| *other != own) {
        let compiler = match compiler(other) {
            Ok(compiler) => compiler,
            Err(command) => {
                let reason = format!("not built for {}: `{command}` first", other.name);
                images.reasons.push(reason);
                continue;
            }
        };
        match build(context, checkout, docker, (other, &compiler), &tag(other)) {
            Ok(image) => {
                images.built.push(image);
                images.compilers.push((other.name, compiler.version));
            }
            Err(error) if interrupt::cause(&error).is_some() => return Err(error),
            // What is measured of the own architecture does not depend on it.
            Err(error) => images.failure = Some(error),
        }
    }
    Ok(images)
}

/// A tag that no other run on the daemon has.
pub fn tag(repository: &str) -> String {
    format!("{repository}:{}", docker::unique_name())
}

fn missing(command: &str) -> anyhow::Error {
    anyhow!("no compiler for the image's static binary: `{command}` first")
}

/// What the image's static binary is built from.
fn checkout(subject: &Subject) -> anyhow::Result<&Path> {
    subject.checkout("the static binary of an image is")
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
        // Of another architecture a quick run shows no more than that it can be had.
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
