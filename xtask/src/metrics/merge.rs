//! `cargo xtask metrics merge`: the outputs of several jobs become one.
//!
//! Deliberately absent: averaging. Two values for one metric are a mistake in the jobs, and are
//! refused with the names of both files.

mod input;
mod join;

use std::path::Path;

use anyhow::{bail, ensure};

use super::report::array;
use super::store;
use crate::exit::Exit;
use crate::flags;

use input::Input;

/// Reads all, joins them, and writes the result whole or not at all.
pub fn run(flags: &flags::Merge) -> anyhow::Result<Exit> {
    refuse_overwriting(flags)?;
    let inputs: Vec<(String, Input)> = flags
        .files
        .iter()
        .map(|path| Ok((path.display().to_string(), input::read(path)?)))
        .collect::<anyhow::Result<_>>()?;

    let values = join::values(&inputs)?;
    let runs = join::runs(&inputs, flags.across_hosts)?;
    if values.is_empty() {
        bail!("nothing was measured in {}", names(&inputs));
    }
    let arrays = inputs
        .iter()
        .filter(|(_, input)| matches!(input, Input::Array(_)))
        .count();
    if arrays > 1 {
        eprintln!(
            "warning: an array does not tell its host: whether these {arrays} are of one machine \
             is unknown\n  hint: merge the run.json files instead"
        );
    }
    for (file, input) in &inputs {
        if matches!(input, Input::Run(run) if !run.complete) {
            eprintln!("warning: `{file}` was cut off, or is still being written: it lacks metrics");
        }
    }
    if let Some(path) = &flags.run_output {
        let Some(run) = &runs else {
            bail!("--run-output needs run.json files alone, but an array is among the inputs");
        };
        store::save(path, &run.to_text())?;
    }
    let text = array::render_values(values.iter().map(|found| (found.metric, &found.value)));
    store::save(&flags.output, &text)?;
    let output = flags.output.display();
    Ok(Exit::Fine(format!(
        "{} metrics of {} in `{output}`",
        values.len(),
        names(&inputs)
    )))
}

/// An output that is also an input would count twice the next time.
fn refuse_overwriting(flags: &flags::Merge) -> anyhow::Result<()> {
    let same = |left: &Path, right: &Path| match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    };
    for output in std::iter::once(&flags.output).chain(&flags.run_output) {
        ensure!(
            !flags.files.iter().any(|file| same(file, output)),
            "`{}` is an input and would be overwritten: name another file with --output or \
             --run-output",
            output.display()
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
