//! A cargo command: of the cargo that runs this process, without flags from a configuration file, and with
//! the target directory that the environment chose.
//!
//! Does not choose where a checkout is built, see `place`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use xshell::Cmd;

use crate::tools::process::Launch;

/// Time limit of a query, such as for a version.
pub(super) const ASK: Duration = Duration::from_secs(30);
/// Variable with the flags of the compiler, separated by the control character 0x1f.
pub(super) const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

/// The program of the command. `cargo xtask` sets CARGO to the cargo that runs it; another one may be first
/// on PATH.
pub fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A command of [`program`] with its environment.
pub(super) fn launch(command: Cmd<'_>) -> Launch {
    // Set, though empty: else flags of a configuration file apply, such as `target-cpu=native`.
    let launch = Launch::from(command.env(FLAGS, ""));
    let keys = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    keys.into_iter()
        .fold(launch, |launch, key| match chosen(key) {
            Some(path) => launch.env(key, path),
            None => launch,
        })
}

/// The path in the environment variable `key`, made absolute. It is relative to the directory of this
/// process, as for the cargo that started it, and not to the one in which this process runs cargo.
pub(super) fn chosen(key: &str) -> Option<PathBuf> {
    let chosen = std::env::var_os(key).filter(|path| !path.is_empty())?;
    Some(std::env::current_dir().ok()?.join(chosen))
}
