//! The light load driver of `thoughtgate-test`: many short slices in one cheap process.
//!
//! Sends the same message as the k6 scripts. Knows nothing of metrics; it counts wrong answers, and
//! leaves it to the caller to judge them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::process::Launch;
use super::scratch::Scratch;
use slice::SLACK;

mod driver;
mod slice;

pub use driver::Driver;
pub use slice::{MESSAGE, Outcome, Slice, headers};

/// Drives `slices` one after another with the driver from `release_dir`, and returns one outcome
/// for each; calls `look` meanwhile, about twenty times a second.
///
/// # Errors
/// The driver failed or took much longer than its slices; or the error of `look`.
pub fn run(
    release_dir: &Path,
    slices: &[Slice],
    look: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Outcome>> {
    let directory = Scratch::new("the load driver")?;
    let mut lines = String::new();
    for slice in slices {
        lines.push_str(&serde_json::to_string(slice)?);
        lines.push('\n');
    }
    let mut launch = Launch::bare(release_dir.join("load"))
        .arg("--slices")
        .arg(directory.write("slices.jsonl", &lines)?)
        .arg("--body")
        .arg(directory.write("call.json", MESSAGE)?);
    for header in headers(MESSAGE)? {
        launch = launch.arg("--header").arg(header);
    }
    let planned_ms = slices
        .iter()
        .map(|slice| slice.duration_ms + slice.warmup_ms)
        .sum();
    let mut child = launch.start()?;
    let status = child.wait_watching(Duration::from_millis(planned_ms) + SLACK, look)?;
    let output = child.output(status).success()?;
    let outcomes = parse(&output.stdout.text())?;
    ensure!(
        outcomes.len() == slices.len(),
        "`{}` reported {} slices, expected {}",
        output.name,
        outcomes.len(),
        slices.len()
    );
    Ok(outcomes)
}

/// Reads one outcome per line.
fn parse(stdout: &str) -> anyhow::Result<Vec<Outcome>> {
    let read = |line| {
        serde_json::from_str(line)
            .with_context(|| format!("failed to parse the output of the load driver: {line:?}"))
    };
    stdout.lines().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_all_slices_are_read() {
        let outcomes = parse(include_str!("../../test_data/load/slices.jsonl")).unwrap();
        let faults: Vec<Option<String>> = outcomes.iter().map(Outcome::fault).collect();
        expect_test::expect![[r#"
            [
                None,
                None,
                Some(
                    "of 29 requests, 2 status_503; the first: status_503",
                ),
                Some(
                    "of 10 requests, 10 connect; the first: connect: Connection refused (os error 111)",
                ),
            ]
        "#]].assert_debug_eq(&faults);
        let closed = &outcomes[0];
        assert_eq!(closed.ok, closed.requests);
        assert!(closed.latency_us.unwrap().p50 > 0.0);
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        let error = parse("panicked\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "failed to parse the output of the load driver: \"panicked\""
        );
    }
}
