//! Reads text files that people write, and writes the results of commands to standard output.
//!
//! Knows no format. Errors and the log go to standard error: `thoughtgate-panic` has that.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};

/// Limit for one file, in bytes. A larger one is taken for a mistake, such as the wrong path.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The text of `path`, which errors call a `kind`.
pub fn read(kind: &str, path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let failed = || format!("failed to read {kind} `{shown}`");
    // Before the file is read, which may be of any size if the path is wrong.
    let length = std::fs::metadata(path).with_context(failed)?.len();
    if length > BYTES_MAX {
        bail!("{kind} `{shown}` has {length} bytes; the limit is {BYTES_MAX}");
    }
    std::fs::read_to_string(path).with_context(failed)
}

/// Prints `text`. Unlike `print!` it does not panic when standard output is closed.
pub fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("failed to write to standard output")
}
