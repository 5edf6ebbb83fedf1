//! `cargo xtask metrics badges`: an SVG and an endpoint file for each badge of the README.

use std::path::Path;

use super::model::Run;
use super::render::badge;
use super::{history, measure, store};
use crate::clock;
use crate::exit::Exit;
use crate::flags;
use crate::tools::cargo;
use crate::workspace;

/// Where they go, below the results.
const FOLDER: &str = "badges";

/// Writes them.
pub fn run(flags: &flags::Badges) -> anyhow::Result<Exit> {
    let run = history::last_run(flags.run.as_deref())?;
    let folder = match &flags.output {
        Some(folder) => folder.clone(),
        None => cargo::target_dir(&workspace::root()?)
            .join(measure::RESULTS)
            .join(FOLDER),
    };
    let count = write(&run, &folder)?;
    let shown = workspace::shown(&folder);
    Ok(Exit::Fine(format!("{count} badges in `{shown}`")))
}

/// Writes those of `run` as of now; how many that were.
pub fn write(run: &Run, folder: &Path) -> anyhow::Result<usize> {
    let badges = badge::all(run, clock::seconds());
    for badge in &badges {
        store::save(&folder.join(format!("{}.svg", badge.file)), &badge.svg())?;
        store::save(
            &folder.join(format!("{}.json", badge.file)),
            &badge.endpoint(),
        )?;
    }
    Ok(badges.len())
}
