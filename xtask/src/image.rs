//! `cargo xtask image`: the container image of this checkout, the same that the metrics measure; or
//! one for all architectures, pushed, or as a proof that it can be had.

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

/// Builds it and prints its name.
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
    // Under a name of this run until it is whole, so that a failure leaves an earlier one in place.
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

/// Builds it for all architectures, pushes them as one to a registry that goes again, and looks at
/// what that has.
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

/// Builds it for all architectures, pushes them under the names that `tag` gives, and then `list`, which
/// is all of them, and looks at what the registry has.
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
        "the registry has {platforms:?} of an image for {names}"
    );
    Ok(Exit::Fine(format!("one image for {names}")))
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
        Err(command) => bail!("nothing can be built for {name} here: `{command}` first"),
    };
    let binary = image::build_binary(workspace, &compiler, effort)
        .context("failed to build the static binary")?;
    image::build(docker, workspace, (architecture, &binary), tag)
}
