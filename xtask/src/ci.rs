//! `cargo xtask ci`: all checks of CI but the tests, in the order in which a failure is found soonest.
//!
//! Deliberately absent: the tests, which `cargo xtask test` runs, so that CI runs each once; installing
//! tools, and anything that a contributor could not run. A missing tool fails its step: a check that is
//! skipped silently checks nothing.

mod artifacts;
mod command;
mod jobs;
mod release;
mod runner;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::exit::Exit;
use crate::say::say;
use crate::{flags, workspace};
use command::Dispatch;

/// A check: its name, and the cargo command that runs it.
struct Step {
    name: &'static str,
    args: &'static [&'static str],
    env: Option<(&'static str, &'static str)>,
    /// A tool that does not come with cargo.
    needs: Option<Tool>,
    /// Note on checks that the step leaves out, and where they run instead.
    leaves_out: Option<&'static str>,
}

/// A cargo subcommand that is installed separately, and the command that installs it.
struct Tool {
    name: &'static str,
    remedy: &'static str,
}

impl Step {
    const fn cargo(name: &'static str, args: &'static [&'static str]) -> Step {
        Step {
            name,
            args,
            env: None,
            needs: None,
            leaves_out: None,
        }
    }
}

/// The command that installs cargo-deny; `doctor` prints it too.
pub const GET_CARGO_DENY: &str = "cargo install --locked cargo-deny";

const STEPS: &[Step] = &[
    Step::cargo("format", &["fmt", "--all", "--check"]),
    Step {
        needs: Some(Tool {
            name: "deny",
            remedy: GET_CARGO_DENY,
        }),
        leaves_out: Some(
            "advisories are not checked, since their database is not in this checkout; \
             the GitHub workflow checks them",
        ),
        ..Step::cargo(
            "dependencies",
            &["deny", "check", "bans", "licenses", "sources"],
        )
    },
    Step::cargo(
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ],
    ),
    Step {
        env: Some(("RUSTDOCFLAGS", "--deny warnings")),
        ..Step::cargo(
            "documentation",
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ],
        )
    },
    Step::cargo("metrics smoke run", &["xtask", "metrics", "--quick"]),
    // With the profile of the tests, which saves building all dependencies again; and with a fixed seed, so
    // that a new failure is caused by the change and not by new inputs.
    Step::cargo(
        "fuzz targets",
        &[
            "xtask",
            "fuzz",
            "--seconds",
            "10",
            "--profile",
            "dev",
            "--seed",
            "1",
        ],
    ),
    Step::cargo("soak", &["xtask", "soak", "--minutes", "1"]),
];

/// Runs the steps until one fails, which is exit 1; with `--job`, one job of the workflows instead, which
/// runs other commands with `dispatch`.
pub fn run(flags: &flags::Ci, dispatch: Dispatch) -> anyhow::Result<Exit> {
    if let Some(job) = flags.job {
        return jobs::run(job, flags, dispatch);
    }
    let shell = Shell::new()?;
    shell.change_dir(workspace::root()?);
    Ok(run_steps(|step| {
        // Checked first: cargo's own error about a missing subcommand does not say how to install it.
        if let Some(tool) = &step.needs {
            let name = tool.name;
            let version = cmd!(shell, "cargo {name} --version")
                .quiet()
                .ignore_stderr();
            version
                .read()
                .with_context(|| format!("cargo-{name} is not installed: run `{}`", tool.remedy))?;
        }
        let args = step.args;
        let command = cmd!(shell, "cargo {args...}").quiet();
        let command = match step.env {
            Some((key, value)) => command.env(key, value),
            None => command,
        };
        command.run()?;
        if let Some(note) = step.leaves_out {
            say!("{}: {note}", step.name);
        }
        Ok(())
    }))
}

fn run_steps(mut run: impl FnMut(&Step) -> anyhow::Result<()>) -> Exit {
    let mut times: Vec<String> = Vec::new();
    for (index, step) in STEPS.iter().enumerate() {
        say!(
            "ci {}/{}: {} (cargo {})",
            index + 1,
            STEPS.len(),
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
        STEPS.len(),
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
        let exit = run_steps(|step| {
            ran.push(step.name);
            anyhow::ensure!(step.name != "documentation", "a broken link");
            Ok(())
        });
        assert_eq!(ran, ["format", "dependencies", "lints", "documentation"]);
        assert_eq!(exit.code(), 1);
        assert!(
            exit.line()
                .contains("`documentation` failed: a broken link"),
            "{}",
            exit.line()
        );
        assert!(
            exit.line()
                .contains("passed: format 0 s, dependencies 0 s, lints 0 s"),
            "{}",
            exit.line()
        );
    }

    #[test]
    fn ci_runs_the_checks_once_and_the_tests_once() {
        for (place, text) in [
            (".ci/run", include_str!("../../.ci/run")),
            ("ci.yml", include_str!("../../.github/workflows/ci.yml")),
        ] {
            for command in ["cargo xtask ci", "cargo xtask test"] {
                let calls = text.lines().filter(|line| line.ends_with(command));
                assert_eq!(calls.count(), 1, "{place}: {command}");
            }
        }
        assert!(STEPS.iter().all(|step| !step.args.contains(&"test")));
    }

    #[test]
    fn all_steps_passing_is_fine() {
        assert_eq!(run_steps(|_| Ok(())).code(), 0);
    }
}
