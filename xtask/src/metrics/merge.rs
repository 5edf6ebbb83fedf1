//! `cargo xtask metrics merge`: joins the outputs of several jobs into one.
//!
//! Deliberately absent: averaging. Two values for one metric are a mistake in the jobs, and are
//! refused with the names of both files.

pub mod input;
mod join;
mod rows;

use anyhow::{bail, ensure};

use super::outputs::{self, Array};
use super::render::array;
use super::store;
use crate::exit::Exit;
use crate::flags;
use crate::say::say;

use input::Input;

/// Reads all files, joins them, and writes the result whole or not at all.
pub fn run(flags: &flags::Merge) -> anyhow::Result<Exit> {
    // All refusals come before the first file is written.
    refuse_overwriting(flags)?;
    let output = Array::of(&flags.output);
    output.check()?;
    if let Some(path) = &flags.run_output {
        outputs::check_run(path)?;
    }
    let inputs: Vec<(String, Input)> = flags
        .files
        .iter()
        .map(|path| Ok((path.display().to_string(), input::read(path)?)))
        .collect::<anyhow::Result<_>>()?;

    // Before the runs are joined, which relies on one value per metric.
    let values = join::values(&inputs)?;
    let runs = join::runs(&inputs, flags.across_hosts)?;
    if values.is_empty() {
        bail!("nothing was measured in {}", names(&inputs));
    }
    let arrays = inputs
        .iter()
        .filter(|(_, input)| matches!(input, Input::Array(_)))
        .count();
    // A warning only: without hosts in them, nothing can be checked.
    if arrays > 1 {
        say!(
            "warning: arrays do not name their host, so that these {arrays} may be of different \
             machines\n  hint: merge the run.json files instead"
        );
    }
    for (file, input) in &inputs {
        if matches!(input, Input::Run(run) if !run.complete) {
            say!("warning: `{file}` was cut off, or is still being written: it lacks metrics");
        }
    }
    for file in join::other_builds(&inputs) {
        say!(
            "warning: `{file}` measured another binary than `{}`: a second build of the same commit",
            inputs[0].0
        );
    }
    if let Some(path) = &flags.run_output {
        let Some(run) = &runs else {
            bail!("--run-output needs run.json files only, but an array is among the inputs");
        };
        store::save(path, &run.to_text())?;
    }
    let text = array::render_values(values.iter().map(|found| (found.metric, &found.value)));
    output.save(&text)?;
    Ok(Exit::Fine(format!(
        "{} metrics of {} in {}",
        values.len(),
        names(&inputs),
        output.shown()
    )))
}

/// Refuses an output that is also an input, since the next merge would count it twice.
fn refuse_overwriting(flags: &flags::Merge) -> anyhow::Result<()> {
    for output in std::iter::once(&flags.output).chain(&flags.run_output) {
        ensure!(
            !flags.files.iter().any(|file| store::is_same(file, output)),
            "`{}` is an input and would be overwritten: name another file with --output or \
             --run-output",
            output.display()
        );
    }
    if let Some(path) = &flags.run_output {
        ensure!(
            !store::is_same(path, &flags.output),
            "--output and --run-output both name `{}`: name two files",
            path.display()
        );
    }
    Ok(())
}

fn names(inputs: &[(String, Input)]) -> String {
    let names: Vec<String> = inputs.iter().map(|(file, _)| format!("`{file}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
