//! `cargo xtask metrics badges`: writes an SVG and an endpoint file for each badge of the README.

use std::path::Path;

use anyhow::ensure;

use super::model::Run;
use super::render::badge;
use super::{history, measure, store};
use crate::clock;
use crate::exit::Exit;
use crate::flags;
use crate::tools::cargo;
use crate::workspace;

/// Default folder, below the results.
const FOLDER: &str = "badges";

pub fn run(flags: &flags::Badges) -> anyhow::Result<Exit> {
    let run = history::last_run(flags.run.as_deref())?;
    // A badge has no room for a mark that its figure must not be quoted.
    ensure!(
        run.complete && !run.quick,
        "a quick run, or one that was cut off, is not shown on badges"
    );
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

/// Writes the badges of `run` as of now, and returns their number.
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
