//! `cargo xtask ci`: all that CI checks, in the order in which a failure is found soonest.
//!
//! Deliberately absent: installing tools, and anything that a contributor could not run.

use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::exit::Exit;
use crate::workspace;

/// A check: its name, and the cargo command that makes it.
struct Step {
    name: &'static str,
    args: &'static [&'static str],
    env: Option<(&'static str, &'static str)>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        args: &["fmt", "--all", "--check"],
        env: None,
    },
    Step {
        name: "lints",
        args: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ],
        env: None,
    },
    Step {
        name: "documentation",
        args: &[
            "doc",
            "--workspace",
            "--no-deps",
            "--locked",
            "--document-private-items",
        ],
        env: Some(("RUSTDOCFLAGS", "--deny warnings")),
    },
    Step {
        name: "tests",
        args: &["test", "--workspace", "--locked"],
        env: None,
    },
    Step {
        name: "metrics smoke run",
        args: &["xtask", "metrics", "--quick"],
        env: None,
    },
];

/// Runs the steps until one fails; that is exit 1.
pub fn run() -> anyhow::Result<Exit> {
    let shell = Shell::new()?;
    shell.change_dir(workspace::root());
    Ok(run_steps(STEPS, |step| {
        let args = step.args;
        let command = cmd!(shell, "cargo {args...}").quiet();
        let command = match step.env {
            Some((key, value)) => command.env(key, value),
            None => command,
        };
        command.run().map_err(anyhow::Error::from)
    }))
}

fn run_steps(steps: &[Step], mut run: impl FnMut(&Step) -> anyhow::Result<()>) -> Exit {
    let mut times: Vec<String> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        eprintln!(
            "ci {}/{}: {} (cargo {})",
            index + 1,
            steps.len(),
            step.name,
            step.args.join(" ")
        );
        let started = Instant::now();
        let result = run(step);
        let time = format!("{} {}", step.name, describe(started.elapsed()));
        if let Err(error) = result {
            let after = if times.is_empty() {
                String::new()
            } else {
                format!("; passed: {}", times.join(", "))
            };
            return Exit::Blocked(format!("`{}` failed: {error:#} ({time}{after})", step.name));
        }
        times.push(time);
    }
    Exit::Fine(format!(
        "all {} checks passed: {}",
        steps.len(),
        times.join(", ")
    ))
}

fn describe(elapsed: Duration) -> String {
    format!("{} s", elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failing_step_ends_it_and_is_named() {
        let mut ran = Vec::new();
        let exit = run_steps(STEPS, |step| {
            ran.push(step.name);
            anyhow::ensure!(step.name != "documentation", "a broken link");
            Ok(())
        });
        assert_eq!(ran, ["format", "lints", "documentation"]);
        assert_eq!(exit.code(), 1);
        assert!(
            exit.line()
                .contains("`documentation` failed: a broken link"),
            "{}",
            exit.line()
        );
        assert!(
            exit.line().contains("passed: format 0 s, lints 0 s"),
            "{}",
            exit.line()
        );
    }

    #[test]
    fn all_steps_passing_is_fine() {
        assert_eq!(run_steps(STEPS, |_| Ok(())).code(), 0);
    }
}
