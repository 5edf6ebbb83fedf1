//! `cargo xtask test`: all tests of the workspace, arguments passed on to cargo.
//!
//! Deliberately absent: a choice of tests, except that of the MCP clients that take minutes to install. A test whose tool is missing prints that it is skipped.

use std::time::Instant;

use xshell::{Shell, cmd};

use crate::exit::Exit;
use crate::{flags, workspace};

/// Runs the tests; a failing one is exit 1.
pub fn run(flags: &flags::Test) -> anyhow::Result<Exit> {
    let shell = Shell::new()?;
    shell.change_dir(workspace::root()?);
    let args = arguments(&flags.args);
    let started = Instant::now();
    // Read by the tests of the package `thoughtgate`; a variable, since cargo passes its tests no options.
    let _guard = flags
        .all_clients
        .then(|| shell.push_env("ALL_CLIENTS", "1"));
    let result = cmd!(shell, "cargo test {args...}").quiet().run();
    let seconds = started.elapsed().as_secs();
    Ok(match result {
        Ok(()) => Exit::Fine(format!("all tests passed ({seconds} s)")),
        Err(error) => Exit::Blocked(format!("tests failed ({seconds} s): {error}")),
    })
}

/// Adds `--workspace` unless a package is named: cargo would ignore the name beside it.
fn arguments(passed: &[String]) -> Vec<String> {
    // Arguments after `--` are for the test programs, and name no package.
    let for_cargo = passed.iter().take_while(|argument| *argument != "--");
    let mut named = for_cargo.filter(|argument| {
        let long = argument.starts_with("--package") || argument.starts_with("--manifest-path");
        long || argument.starts_with("-p")
    });
    let workspace = named.next().is_none().then(|| "--workspace".to_owned());
    workspace
        .into_iter()
        .chain(passed.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tested_unless_a_package_is_named() {
        let cases = [
            (&[][..], &["--workspace"][..]),
            (
                &["--release", "--", "-p"],
                &["--workspace", "--release", "--", "-p"],
            ),
            (&["-p", "xtask"], &["-p", "xtask"]),
            (&["--package=xtask", "tidy"], &["--package=xtask", "tidy"]),
        ];
        for (passed, expected) in cases {
            let passed: Vec<String> = passed.iter().map(ToString::to_string).collect();
            assert_eq!(arguments(&passed), expected);
        }
    }
}
