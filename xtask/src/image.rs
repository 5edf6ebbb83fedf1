//! `cargo xtask image`: the container image of this checkout, the same that the metrics measure.
//!
//! Deliberately absent: pushing, and images for other architectures than that of this machine.

use anyhow::Context as _;

use crate::exit::{self, Exit};
use crate::tools::docker::{self, Docker};
use crate::tools::image::{self, Architecture};
use crate::{flags, workspace};

/// Builds it and prints its name.
pub fn run(flags: &flags::Image) -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    let docker = Docker::find()?;
    let architecture = Architecture::own()?;
    let binary = architecture
        .build_binary(&workspace)
        .context("failed to build the static binary")?;
    // Under a name of this run until it is whole, so that a failure leaves an earlier one in place.
    let built = format!("thoughtgate:{}", docker::unique_name());
    let image = image::build(&docker, &workspace, (architecture, &binary), &built)?;
    docker.name(&image, &flags.tag)?;
    exit::print(&format!("{}\n", flags.tag))?;
    Ok(Exit::Fine(format!("the image is `{}`", flags.tag)))
}
