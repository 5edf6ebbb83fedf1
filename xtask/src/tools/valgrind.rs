//! valgrind's callgrind, as a counter of instructions. Knows nothing of metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::process::{self, Launch, Output};
use super::unavailable::Unavailable;

/// Time limit of a run: a program is some fifty times slower in valgrind.
const DEADLINE: Duration = Duration::from_secs(300);

/// A valgrind that is installed.
#[derive(Debug)]
pub struct Valgrind {
    /// Output of `valgrind --version`, such as `valgrind-3.19.0`.
    pub version: String,
}

impl Valgrind {
    /// Finds valgrind on `PATH`.
    ///
    /// # Errors
    /// [`Unavailable`] when there is none.
    pub fn find() -> anyhow::Result<Valgrind> {
        let asked = Launch::bare("valgrind").arg("--version").run(DEADLINE);
        match asked {
            Err(error) if process::is_missing(&error) => Err(Unavailable {
                reason: "there is no `valgrind` on PATH".to_owned(),
                hint: "install it (Debian: apt-get install valgrind)",
            }
            .into()),
            asked => Ok(Valgrind {
                version: asked?.success()?.stdout.text().trim().to_owned(),
            }),
        }
    }

    /// Runs a program to its end and returns how many instructions it executed.
    #[expect(
        clippy::unused_self,
        reason = "having a `Valgrind` is the proof that there is one"
    )]
    pub fn instructions(
        &self,
        program: &Path,
        arguments: &[&str],
        directory: &Path,
    ) -> anyhow::Result<u64> {
        let output = Launch::bare("valgrind")
            // Ignores option files of the user, such as `~/.valgrindrc`.
            .args(["--command-line-only=yes", "--tool=callgrind"])
            // Only the total is read, which valgrind prints to standard error.
            .arg("--callgrind-out-file=/dev/null")
            .arg(program)
            .args(arguments)
            .directory(directory)
            .run(DEADLINE)
            .and_then(Output::success)?;
        let said = output.stderr.text();
        parse(&said).with_context(|| format!("no instruction count in valgrind's output: {said}"))
    }
}

/// The count in `==4711== Collected : 123456`.
fn parse(stderr: &str) -> Option<u64> {
    let counted = stderr
        .lines()
        .find_map(|line| line.split_once(" Collected :"))?;
    counted.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_summary() {
        let stderr = include_str!("../../test_data/callgrind.stderr");
        assert_eq!(parse(stderr), Some(128_719));
        assert_eq!(parse("==7== Error\n"), None);
    }
}
