//! The k6 load generator: runs a script of `xtask/k6` and reads the summary that it writes.
//!
//! `find` chooses the k6, `install` gets one where there is none, `version` checks it. Knows nothing of
//! metrics, and does not judge whether the answers were good.

mod find;
mod install;
mod summary;
mod version;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::process::{Child, Launch};
use super::scratch::Scratch;

pub use summary::Summary;
pub use version::K6;

/// Module that all scripts import, and the message that it sends.
const CALL_SCRIPT: &str = include_str!("../../k6/call.js");
const CALL_MESSAGE: &str = include_str!("../../subject/call.json");
/// File that a script writes its summary to, in its directory.
const SUMMARY: &str = "summary.json";
/// Prefix of the line in which a script shows its first wrong answer.
const COMPLAINT: &str = "wrong answer: ";

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
    /// The k6 named by the environment variable `K6`, else the first in `PATH`, else a pinned one,
    /// which is installed once into `tools_dir`.
    ///
    /// # Errors
    /// When the k6 that was found is broken or of an unsupported version, or when none was found and
    /// installing fails. The message says what to do.
    pub fn find(tools_dir: &Path) -> anyhow::Result<K6> {
        find::find(
            std::env::var_os("K6"),
            std::env::var_os("PATH").as_deref(),
            tools_dir,
        )
    }

    /// The version, such as `1.1.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Path of the executable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts `script` with the settings in `plan` (each script lists them in its head).
    pub fn start(&self, script: Script, mut plan: Value) -> anyhow::Result<Running> {
        let directory = Scratch::new("k6")?;
        let summary = directory.path().join(SUMMARY);
        // Relative to its directory: the plan is JSON, and an absolute path may not be UTF-8.
        plan["summary"] = json!(SUMMARY);
        directory.write("call.js", CALL_SCRIPT)?;
        directory.write("call.json", CALL_MESSAGE)?;
        let script = directory.write("script.js", script.text())?;
        // An explicit file, though empty: else k6 reads the user's own settings.
        let config = directory.write("config.json", "{}")?;
        // The empty address switches off k6's REST API, whose port another k6 may be using.
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

/// A running k6; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    summary: PathBuf,
    /// Holds the script and the summary until both have been read.
    _directory: Scratch,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Waits for the end and reads the summary; calls `look` meanwhile, about twenty times a second.
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
                "failed to read `{}`, the summary of k6",
                self.summary.display()
            )
        })?;
        let mut summary = Summary::parse(&text)?;
        summary.complaint = complaint(&output.stderr.text());
        Ok(summary)
    }
}

/// The first wrong answer in the output of a script.
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
