//! The k6 load generator: runs one of our scripts and reads the summary it writes.
//!
//! Which k6 is taken is in `find`, how it gets here when there is none in `install`. Knows
//! nothing of metrics, and does not judge whether the answers were good.

mod find;
mod install;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::process::{Child, Launch};
use super::scratch::Scratch;

pub use summary::Summary;

/// What all scripts import, and the message that it sends.
const CALL_SCRIPT: &str = include_str!("../../k6/call.js");
const CALL_MESSAGE: &str = include_str!("../../subject/call.json");
/// What a script writes its summary to, in its directory.
const SUMMARY: &str = "summary.json";
/// How a script begins the line that shows its first wrong answer.
const COMPLAINT: &str = "wrong answer: ";

/// A k6 that has told its version.
#[derive(Clone, Debug)]
pub struct K6 {
    path: PathBuf,
    version: String,
}

/// The load scripts.
#[derive(Clone, Copy, Debug)]
pub enum Script {
    /// Direct and proxied slices in turn at a constant arrival rate.
    Latency,
    /// A closed loop with a fixed number of VUs.
    Throughput,
}

impl Script {
    fn text(self) -> &'static str {
        match self {
            Script::Latency => include_str!("../../k6/latency.js"),
            Script::Throughput => include_str!("../../k6/throughput.js"),
        }
    }
}

impl K6 {
    /// The k6 named by the environment variable `K6`, else the first in `PATH`, else our own,
    /// which is installed once into `tools_dir`.
    ///
    /// # Errors
    /// The one that is there is broken or of a version that the scripts do not fit; or there is
    /// none, and it cannot be installed here. The message tells the way out.
    pub fn find(tools_dir: &Path) -> anyhow::Result<K6> {
        find::find(
            std::env::var_os("K6"),
            std::env::var_os("PATH").as_deref(),
            tools_dir,
        )
    }

    /// Its version, such as `1.1.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts `script` with the settings in `plan` (each script lists them in its head).
    pub fn start(&self, script: Script, mut plan: Value) -> anyhow::Result<Running> {
        let directory = Scratch::new("k6")?;
        let summary = directory.path().join(SUMMARY);
        // Relative to its directory: the plan is text, which a path need not be.
        plan["summary"] = json!(SUMMARY);
        directory.write("call.js", CALL_SCRIPT)?;
        directory.write("call.json", CALL_MESSAGE)?;
        let script = directory.write("script.js", script.text())?;
        // Without a file of our own, k6 reads the settings of whoever runs it.
        let config = directory.write("config.json", "{}")?;
        let launch = Launch::bare(&self.path)
            .args(["run", "--quiet", "--no-color", "--no-usage-report"])
            .args(["--log-format", "raw", "--address", "", "--config"])
            .arg(config)
            .arg(script)
            .env("PLAN", plan.to_string())
            .directory(directory.path());
        let child = launch.start()?;
        Ok(Running {
            child,
            summary,
            _directory: directory,
        })
    }
}

/// A k6 at work; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    summary: PathBuf,
    /// Holds the script and the summary until both have been read.
    _directory: Scratch,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Waits for the end and reads the summary; calls `look` meanwhile, some times a second.
    ///
    /// # Errors
    /// k6 failed, took longer than `deadline`, or wrote no summary; or the error of `look`.
    pub fn finish(
        mut self,
        deadline: Duration,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Summary> {
        let status = self.child.wait_watching(deadline, look)?;
        let output = self.child.output(status).success()?;
        let text = std::fs::read_to_string(&self.summary).with_context(|| {
            format!(
                "failed to read the summary of k6 `{}`",
                self.summary.display()
            )
        })?;
        let mut summary = Summary::parse(&text)?;
        summary.complaint = complaint(&output.stderr.text());
        Ok(summary)
    }
}

/// The first wrong answer that a script showed.
fn complaint(stderr: &str) -> Option<String> {
    let found = stderr.lines().find_map(|line| line.split_once(COMPLAINT))?;
    Some(found.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_answer_is_the_one_told() {
        let refused = include_str!("../../test_data/k6/refused.stderr");
        assert_eq!(
            complaint(refused).as_deref(),
            Some("dial: connection refused")
        );
        let body = complaint(include_str!("../../test_data/k6/body.stderr")).unwrap();
        assert!(
            body.starts_with("not the result of request 20000000: {"),
            "{body}"
        );
        assert_eq!(complaint("a warning\n"), None);
    }
}
