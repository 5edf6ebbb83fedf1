//! Workflows call cargo and hold no logic; actions are pinned by commit; every job has a timeout.

use std::fs;

use super::{File, check};
use crate::workspace;

#[test]
fn workflows_only_call_cargo() {
    check(&workflows(), |file| faults(&file.text));
}

#[test]
fn the_rules_find_what_they_forbid() {
    let good = "jobs:\n  check:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 60\n    steps:\n      \
                - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2\n      \
                - run: cargo xtask ci\n";
    assert_eq!(faults(good), Vec::<String>::new());
    let bad = [
        ("cargo xtask ci", "cargo xtask ci || true"),
        ("cargo xtask ci", "make"),
        ("cargo xtask ci", "|"),
        (
            "cargo xtask ci",
            "cargo xtask ci\n        continue-on-error: true",
        ),
        (
            "cargo xtask ci",
            "cargo xtask ci\n        continue-on-error: true #",
        ),
        ("@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@v4"),
        (" # v4.2.2", ""),
        ("    timeout-minutes: 60\n", ""),
    ];
    for (from, to) in bad {
        let text = good.replace(from, to);
        assert_eq!(faults(&text).len(), 1, "{text}\n{:?}", faults(&text));
    }
}

/// The workflows, if there are any yet.
fn workflows() -> Vec<File> {
    let Ok(entries) = fs::read_dir(workspace::root().unwrap().join(".github/workflows")) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .map(|path| File {
            path: path.display().to_string(),
            text: fs::read_to_string(path).unwrap(),
        })
        .collect()
}

fn faults(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = text.lines().filter_map(step_fault).collect();
    for job in endless_jobs(text) {
        faults.push(format!("job `{job}` has no timeout-minutes"));
    }
    faults
}

fn step_fault(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ");
    if let Some(command) = line.strip_prefix("run:") {
        let command = command.trim();
        let logic = ["|", ";", "&&", "$(", ">"]
            .iter()
            .any(|sign| command.contains(sign));
        let cargo = command.starts_with("cargo ");
        return (logic || !cargo)
            .then(|| format!("`run: {command}` must be one call of cargo, without shell logic"));
    }
    if let Some(action) = line.strip_prefix("uses:") {
        let action = action.trim();
        // A workflow of this repository is used as of the same commit: nothing to pin.
        if action.starts_with("./") {
            return None;
        }
        let (reference, version) = action.split_once(" # ").unwrap_or((action, ""));
        let commit = reference
            .split_once('@')
            .map_or("", |(_, commit)| commit.trim());
        // A tag can be moved to other code, a commit cannot.
        let pinned = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
        let told = version.starts_with('v');
        return (!(pinned && told)).then(|| format!("`{action}` is not `NAME@COMMIT # vVERSION`"));
    }
    // Allowed with a reason beside it, such as for a tool that is optional.
    let swallowed = line.strip_prefix("continue-on-error: true");
    let reason = |rest: &str| {
        rest.trim()
            .strip_prefix("# ")
            .is_some_and(|why| why.contains(' '))
    };
    let swallows = swallowed.is_some_and(|rest| !reason(rest));
    swallows.then(|| "continue-on-error hides failures: add `# REASON` to the line".to_owned())
}

/// The jobs without a timeout, except those that call a workflow, whose jobs have their own. A job is a
/// key two blanks deep under `jobs:`.
fn endless_jobs(text: &str) -> Vec<&str> {
    let jobs = text
        .split_once("\njobs:")
        .or_else(|| text.split_once("jobs:"));
    let lines = jobs.map_or("", |(_, jobs)| jobs).lines();
    let mut found: Vec<(&str, bool)> = Vec::new();
    for line in lines {
        let key = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with([' ', '#']));
        if let Some(key) = key.and_then(|key| key.trim_end().strip_suffix(':')) {
            found.push((key, false));
        } else if (line.starts_with("    timeout-minutes: ") || line.starts_with("    uses: ./"))
            && let Some(job) = found.last_mut()
        {
            job.1 = true;
        }
    }
    found
        .into_iter()
        .filter(|job| !job.1)
        .map(|job| job.0)
        .collect()
}
