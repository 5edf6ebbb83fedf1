//! The image that is measured: docker, and the static binary packed by this checkout's Dockerfile.

use anyhow::{anyhow, ensure};

use super::super::context::Context;
use super::super::recorder::Recorder;
use crate::interrupt;
use crate::tools::cargo::Compiler;
use crate::tools::docker::{self, Docker, Image};
use crate::tools::image::{self, ARCHITECTURES, Architecture};

/// Docker; noted with the run.
pub fn docker(recorder: &mut Recorder) -> anyhow::Result<Docker> {
    let docker = Docker::find()?;
    recorder.tool("docker", &docker.server_version);
    Ok(docker)
}

/// An image of `repository` for this machine.
pub fn image(context: &Context<'_>, docker: &Docker, repository: &str) -> anyhow::Result<Image> {
    let own = Architecture::own()?;
    let compiler = own
        .compiler(&context.workspace)
        .map_err(|command| missing(&command))?;
    build(context, docker, (own, &compiler), &tag(repository))
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
pub fn images(context: &Context<'_>, docker: &Docker, repository: &str) -> anyhow::Result<Images> {
    let own = Architecture::own()?;
    let tag = |architecture: Architecture| format!("{}-{}", tag(repository), architecture.name);
    let compiler = |architecture: Architecture| architecture.compiler(&context.workspace);
    let first = compiler(own).map_err(|command| missing(&command))?;
    let mut images = Images {
        built: vec![build(context, docker, (own, &first), &tag(own))?],
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
        match build(context, docker, (other, &compiler), &tag(other)) {
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

fn build(
    context: &Context<'_>,
    docker: &Docker,
    (architecture, compiler): (Architecture, &Compiler),
    tag: &str,
) -> anyhow::Result<Image> {
    let built_here = context.binary == context.release_dir.join("thoughtgate");
    ensure!(
        built_here,
        "the binary given with --binary may not run in an empty image, and no other is measured in \
         its place (measure without --binary)"
    );
    let binary = {
        let label = format!("building the static binary for {}", architecture.name);
        let _step = context.progress.step(&label, 0.0);
        // A quick run shows that another architecture can be had, which takes half the time this way.
        let lto = !context.quick || architecture == Architecture::own()?;
        image::build_binary(&context.workspace, compiler, lto)?
    };
    interrupt::check()?;
    image::build(docker, &context.workspace, (architecture, &binary), tag)
}
