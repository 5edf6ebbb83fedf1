//! One git command in a workspace, read only unless its arguments say otherwise.
//!
//! Contacts no remote and runs no program that the repository configures.

use std::path::Path;
use std::time::Duration;

use xshell::{Shell, cmd};

use crate::tools::process::{Launch, Output};

/// Time limit of a command that only reads the repository.
pub(super) const ASK: Duration = Duration::from_secs(30);

/// The output of git; `None` if it fails.
pub(super) fn ask(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let output = command(workspace, arguments).and_then(|command| command.run(ASK));
    let output = output.and_then(Output::success);
    output.ok().map(|output| output.stdout.text())
}

pub(super) fn command(workspace: &Path, arguments: &[&str]) -> anyhow::Result<Launch> {
    let sh = Shell::new()?;
    // The files may belong to another user, as in a container. git only reads them, and building them
    // takes more trust than that; no program that the repository configures is run.
    let command = cmd!(
        sh,
        "git -c safe.directory=* -c core.fsmonitor=false --no-optional-locks {arguments...}"
    );
    Ok(Launch::bare_script(command).directory(workspace))
}
