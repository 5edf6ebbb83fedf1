//! Annotations: notices, warnings and errors that GitHub shows with a job. On other machines they are lines on
//! standard error.
//!
//! Does not choose what is worth one.

use crate::exit;
use crate::interrupt;
use crate::say::{say, short};

/// Prints a notice, which GitHub shows with the job.
pub fn notice(text: &str) {
    annotate("notice", "metrics", text);
}

/// Prints a warning, which GitHub shows with the job.
pub fn warning(text: &str) {
    annotate("warning", "metrics", text);
}

/// Turns an error into a warning with the text of `told`, and returns `None`. An interruption stays an
/// error.
pub fn soft<T>(
    result: anyhow::Result<T>,
    told: impl FnOnce(&anyhow::Error) -> String,
) -> anyhow::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        Err(error) => {
            warning(&told(&error));
            Ok(None)
        }
    }
}

/// Prints an annotation: `kind` is `notice`, `warning` or `error`.
pub(super) fn annotate(kind: &str, title: &str, text: &str) {
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        // A workflow command ends at the end of the line; the runner decodes these escapes.
        let escaped = short(text)
            .replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A");
        exit::workflow_command(&format!("::{kind} title={title}::{escaped}\n"));
    } else {
        say!("{}: {text}", if kind == "error" { title } else { kind });
    }
}
