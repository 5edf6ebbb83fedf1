//! `cargo xtask image`: builds the container image of this checkout, the same that the metrics
//! measure. With `--push` it is built for all architectures and pushed, with `--check` only tried.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::exit::{self, Exit};
use crate::say::say;
use crate::tools::cargo::Effort;
use crate::tools::docker::registry::Registry;
use crate::tools::docker::{self, Docker, Image};
use crate::tools::image::{self, ARCHITECTURES, Architecture};
use crate::tools::{cargo, process};
use crate::{flags, workspace};

/// Builds the image and prints its name.
pub fn run(flags: &flags::Image) -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    process::begin_journal(&cargo::target_dir(&workspace).join(process::JOURNALS));
    let docker = Docker::find()?;
    if flags.check {
        return check(&docker, &workspace);
    }
    if let Some(name) = &flags.push {
        let tag = |architecture: &str| format!("{name}-{architecture}");
        return push(&docker, &workspace, Effort::Release, &tag, name);
    }
    // Built under a temporary name, so that a failure leaves an earlier image of that tag in place.
    let built = format!("thoughtgate:{}", docker::unique_name());
    let image = build(
        &docker,
        &workspace,
        Architecture::own()?,
        Effort::Release,
        &built,
    )?;
    docker.name(&image, &flags.tag)?;
    exit::print(&format!("{}\n", flags.tag))?;
    Ok(Exit::Fine(format!("the image is `{}`", flags.tag)))
}

/// Pushes the image for all architectures to a temporary registry, and checks what arrived there.
fn check(docker: &Docker, workspace: &Path) -> anyhow::Result<Exit> {
    let registry = Registry::start(docker)?;
    let tag = |_: &str| {
        format!(
            "{}/thoughtgate:{}",
            registry.address(),
            docker::unique_name()
        )
    };
    push(docker, workspace, Effort::Proof, &tag, &tag(""))
}

/// Builds for all architectures, pushes each image under the name that `tag` gives, then the manifest
/// list `list` of them all, and checks that the registry has every architecture.
fn push(
    docker: &Docker,
    workspace: &Path,
    effort: Effort,
    tag: &dyn Fn(&str) -> String,
    list: &str,
) -> anyhow::Result<Exit> {
    let mut images = Vec::new();
    for architecture in ARCHITECTURES {
        let name = architecture.name;
        say!("image: building for {name}");
        let image = build(docker, workspace, architecture, effort, &tag(name))?;
        docker.push(&image)?;
        images.push(image);
    }
    docker.push_list(list, &images)?;
    let platforms = docker.manifest(list)?;
    let has = |architecture: &Architecture| {
        let mut names = platforms.iter().map(|platform| &platform.architecture);
        names.any(|name| name == architecture.name)
    };
    let names = ARCHITECTURES
        .map(|architecture| architecture.name)
        .join(", ");
    ensure!(
        ARCHITECTURES.iter().all(has),
        "the registry has {platforms:?}, expected an image for each of {names}"
    );
    Ok(Exit::Fine(format!("the image was built for {names}")))
}

fn build(
    docker: &Docker,
    workspace: &Path,
    architecture: Architecture,
    effort: Effort,
    tag: &str,
) -> anyhow::Result<Image> {
    let name = architecture.name;
    let compiler = match architecture.compiler(workspace) {
        Ok(compiler) => compiler,
        Err(command) => bail!("cannot build for {name} on this machine: run `{command}` first"),
    };
    let binary = image::build_binary(workspace, &compiler, effort)
        .context("failed to build the static binary")?;
    image::build(docker, workspace, (architecture, &binary), tag)
}
