//! `cargo xtask test`: all tests of the workspace, arguments passed on to cargo.
//!
//! Deliberately absent: a choice of tests. A test that needs a missing tool says so itself.

use std::time::Instant;

use xshell::{Shell, cmd};

use crate::exit::Exit;
use crate::{flags, workspace};

/// Runs the tests; a failing one is exit 1.
pub fn run(flags: &flags::Test) -> anyhow::Result<Exit> {
    let shell = Shell::new()?;
    shell.change_dir(workspace::root());
    let args = &flags.args;
    let started = Instant::now();
    let result = cmd!(shell, "cargo test --workspace {args...}")
        .quiet()
        .run();
    let seconds = started.elapsed().as_secs();
    Ok(match result {
        Ok(()) => Exit::Fine(format!("all tests passed ({seconds} s)")),
        Err(error) => Exit::Blocked(format!("tests failed ({seconds} s): {error}")),
    })
}
