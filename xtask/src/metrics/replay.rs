//! `cargo xtask metrics judge`: the verdicts of a comparison, derived again from its samples. They
//! depend on no clock and no machine: the same file gives the same bytes.

use anyhow::{Context as _, ensure};

use super::compare;
use super::judge::paired;
use super::model::Run;
use super::{ending, render, store};
use crate::exit::{self, Exit};
use crate::flags;

pub fn run(flags: &flags::Judge) -> anyhow::Result<Exit> {
    let shown = flags.from.display();
    let run = Run::parse(&store::read(&flags.from)?)
        .with_context(|| format!("failed to read `{shown}`"))?;
    // A run of metrics has the same format, but only one program.
    ensure!(
        run.looks.contains_key(compare::session::SCENARIO),
        "`{shown}` is not a comparison: `cargo xtask metrics compare` writes one"
    );
    let judged = paired::judge_all(&run);
    exit::print(&render::comparison::render(
        flags.format.into(),
        &run,
        &judged,
    ))?;
    Ok(ending::of(judged.overall, flags.strict))
}
