//! The load driver as a process that is given one slice after another, so that the programs under load
//! can be inspected between two of them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::slice::{MESSAGE, Outcome, SLACK, Slice, headers};
use crate::tools::process::{Child, Launch, Stream};
use crate::tools::scratch::Scratch;

/// A running driver; it keeps its connections between slices.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    /// Number of slices so far, which is also the number of lines of its output.
    driven: usize,
    /// Holds the file with the message.
    _files: Scratch,
}

impl Driver {
    /// Starts the driver from `release_dir`.
    pub fn start(release_dir: &Path) -> anyhow::Result<Driver> {
        let files = Scratch::new("the load driver")?;
        let mut launch = Launch::bare(release_dir.join("load"))
            .args(["--slices", "-", "--body"])
            .arg(files.write("call.json", MESSAGE)?);
        for header in headers(MESSAGE)? {
            launch = launch.arg("--header").arg(header);
        }
        Ok(Driver {
            child: launch.hold_input().start()?,
            driven: 0,
            _files: files,
        })
    }

    /// Drives one slice to its end.
    pub fn drive(&mut self, slice: &Slice) -> anyhow::Result<Outcome> {
        self.child.tell(&serde_json::to_string(slice)?)?;
        let number = self.driven;
        let deadline = Duration::from_millis(slice.warmup_ms + slice.duration_ms) + SLACK;
        let line = self.child.wait_for(Stream::Stdout, deadline, |said| {
            // The last line may still be incomplete.
            let mut whole = said
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            // The capture keeps the output from its start on, so earlier slices are skipped by their number.
            whole.nth(number).map(str::to_owned)
        })?;
        self.driven += 1;
        serde_json::from_str(&line)
            .with_context(|| format!("failed to parse the output of the load driver: {line:?}"))
    }
}
