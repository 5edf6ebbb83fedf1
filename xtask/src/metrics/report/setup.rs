//! Requests to Bencher other than reports: `--setup` creates, once, what a report cannot (the project, the
//! unit of each measure), and the thresholds that reports would create; later, branches that are not
//! needed any more are archived.

use anyhow::Context as _;
use serde::Deserialize;

use super::bencher::threshold;
use super::place::pull_request_branch;
use crate::clock;
use crate::exit::Exit;
use crate::flags;
use crate::interrupt;
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::render::bmf;
use crate::say::say;
use crate::tools::bencher::{self, Credential, Threshold};

/// The branches that `--setup` creates; those of pull requests are created by their reports.
const BRANCHES: [&str; 2] = ["main", "releases"];
/// The requirement's retention of `pr-*` (§6.1).
const RETENTION_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The largest page that the CLI lists.
const PAGE: &str = "255";
// Ends the loop also if a server keeps sending full pages.
const PAGES_MAX: usize = 40;
/// The CLI's message if something does not exist.
const NOT_FOUND: &str = "Status: 404";
const NO_KEY: &str = "nothing was archived: BENCHER_API_KEY is not set";

/// Creates what is missing, and leaves the rest as it is.
pub fn run(flags: &flags::Report) -> anyhow::Result<Exit> {
    let credential = Credential::of_environment().context(
        "BENCHER_API_KEY is not set: creating a project takes a user key (`bencher_user_…`)",
    )?;
    say!(
        "{}",
        bencher::version().context("the `bencher` CLI is not installed")?
    );
    let mut made = 0;
    let mut need = |view: &[&str], create: &[&str]| -> anyhow::Result<()> {
        // Any error is taken for "missing": if it was another one, the creation fails with it as well.
        if bencher::ask(view, &credential).is_err() {
            let what = create.join(" ");
            bencher::ask(create, &credential)
                .with_context(|| format!("`bencher {what}` failed"))?;
            made += 1;
        }
        Ok(())
    };
    let (project, testbed) = (flags.project.as_str(), flags.testbed.as_str());
    let organization = flags.organization.as_deref().unwrap_or(project);
    need(
        &["project", "view", project],
        &[
            "project",
            "create",
            "--name",
            project,
            "--slug",
            project,
            organization,
        ],
    )?;
    for branch in BRANCHES {
        need(
            &["branch", "view", project, branch],
            &["branch", "create", "--name", branch, project],
        )?;
    }
    need(
        &["testbed", "view", project, testbed],
        &["testbed", "create", "--name", testbed, project],
    )?;
    for metric in METRICS {
        made += usize::from(measure(project, metric, &credential)?);
    }
    for branch in BRANCHES {
        made += thresholds(flags, branch, &credential)?;
    }
    Ok(Exit::Fine(format!(
        "`{project}` has {} measures; created or updated: {made}",
        METRICS.len()
    )))
}

/// Creates the measure of a metric, or sets its unit: a measure that a report created has none. Returns
/// whether anything was changed.
fn measure(project: &str, metric: &Metric, credential: &Credential) -> anyhow::Result<bool> {
    #[derive(Deserialize)]
    struct Measure {
        units: String,
    }
    let (slug, units) = (bmf::measure(metric), bmf::units(metric));
    let view = bencher::ask(&["measure", "view", project, &slug], credential);
    let change: Vec<&str> = match view {
        Err(_) => vec![
            "measure", "create", "--name", &slug, "--slug", &slug, "--units", units, project,
        ],
        Ok(found) => {
            let found: Measure = serde_json::from_str(&found)
                .with_context(|| format!("failed to read the measure `{slug}`"))?;
            if found.units == units {
                return Ok(false);
            }
            vec!["measure", "update", "--units", units, project, &slug]
        }
    };
    bencher::ask(&change, credential)
        .with_context(|| format!("`bencher {}` failed", change.join(" ")))?;
    Ok(true)
}

/// Creates the thresholds that a branch lacks, and returns their number.
fn thresholds(
    flags: &flags::Report,
    branch: &str,
    credential: &Credential,
) -> anyhow::Result<usize> {
    #[derive(Deserialize)]
    struct Listed {
        measure: Measure,
    }
    #[derive(Deserialize)]
    struct Measure {
        slug: String,
    }
    let (project, testbed) = (flags.project.as_str(), flags.testbed.as_str());
    let place = ["--branch", branch, "--testbed", testbed];
    let list = [
        &["threshold", "list", project, "--per-page", PAGE][..],
        &place,
    ];
    let listed = bencher::ask(&list.concat(), credential)?;
    let listed: Vec<Listed> =
        serde_json::from_str(&listed).context("failed to read the list of thresholds")?;
    let mut made = 0;
    for metric in METRICS {
        let threshold = threshold(metric);
        if listed
            .iter()
            .any(|listed| listed.measure.slug == threshold.measure)
        {
            continue;
        }
        let create = [
            &["threshold", "create", project, "--measure"][..],
            &[threshold.measure.as_str()],
            &place,
        ];
        let model = model(&threshold);
        let model: Vec<&str> = model.iter().map(String::as_str).collect();
        bencher::ask(&[&create.concat()[..], &model].concat(), credential).with_context(|| {
            format!("failed to create the threshold of `{}`", threshold.measure)
        })?;
        made += 1;
    }
    Ok(made)
}

fn model(threshold: &Threshold) -> Vec<String> {
    let mut model = vec!["--test".to_owned(), threshold.test.to_owned()];
    let samples = threshold.samples_max.map(f64::from);
    for (flag, number) in [
        ("--max-sample-size", samples),
        ("--lower-boundary", threshold.lower),
        ("--upper-boundary", threshold.upper),
    ] {
        model.extend(
            number
                .map(|number| [flag.to_owned(), number.to_string()])
                .into_iter()
                .flatten(),
        );
    }
    model
}

/// Archives the branch of a closed pull request.
pub fn archive(project: &str, number: u64) -> anyhow::Result<String> {
    let branch = pull_request_branch(number);
    let Some(credential) = Credential::of_environment() else {
        return Ok(NO_KEY.to_owned());
    };
    match put_away(project, &branch, &credential) {
        // None of its jobs got as far as reporting.
        Err(error) if format!("{error:#}").contains(NOT_FOUND) => {
            Ok(format!("Bencher has no branch `{branch}`"))
        }
        archived => archived.map(|()| format!("`{branch}` was archived")),
    }
}

/// Archives the branches of pull requests without a report for [`RETENTION_DAYS`].
pub fn archive_old(project: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Branch {
        name: String,
        head: Head,
    }
    #[derive(Deserialize)]
    struct Head {
        created: String,
    }
    let Some(credential) = Credential::of_environment() else {
        return Ok(NO_KEY.to_owned());
    };
    let now = i64::try_from(clock::seconds()).unwrap_or(i64::MAX);
    let mut old = Vec::new();
    for page in 1..=PAGES_MAX {
        let page = page.to_string();
        let list = [
            "branch",
            "list",
            project,
            "--per-page",
            PAGE,
            "--page",
            &page,
        ];
        let branches: Vec<Branch> = serde_json::from_str(&bencher::ask(&list, &credential)?)
            .context("failed to parse the list of branches that `bencher branch list` printed")?;
        let count = branches.len();
        old.extend(branches.into_iter().filter_map(|branch| {
            // Each report of a pull request starts a new head (`--start-point-reset`).
            let reported: jiff::Timestamp = branch.head.created.parse().ok()?;
            let age = now - reported.as_second();
            (is_pull_request(&branch.name) && age > RETENTION_DAYS * DAY_SECONDS)
                .then_some(branch.name)
        }));
        // A page that is not full is the last one.
        if count < 255 {
            break;
        }
    }
    let mut archived = 0;
    for branch in &old {
        match put_away(project, branch, &credential) {
            Ok(()) => archived += 1,
            Err(error) if interrupt::cause(&error).is_some() => return Err(error),
            // One branch that cannot be archived keeps no other: the schedule tries again the next day.
            Err(error) => super::annotate::warning(&format!("{error:#}")),
        }
    }
    Ok(format!("{archived} of {} old branches archived", old.len()))
}

fn put_away(project: &str, branch: &str, credential: &Credential) -> anyhow::Result<()> {
    bencher::ask(
        &["archive", "--project", project, "--branch", branch],
        credential,
    )
    .with_context(|| format!("failed to archive `{branch}`"))?;
    Ok(())
}

/// Whether a branch has a name that reports of pull requests create.
fn is_pull_request(name: &str) -> bool {
    let number = name
        .strip_prefix("pr-")
        .and_then(|number| number.parse().ok());
    number.is_some_and(|number| pull_request_branch(number) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{BINARY_DOCKER_BASE, LATENCY_P50};

    #[test]
    fn only_branches_of_pull_requests_are_archived() {
        assert!(is_pull_request("pr-12"));
        for other in ["main", "releases", "pr-", "pr-x", "pr-012", "pr-1x", "-1"] {
            assert!(!is_pull_request(other), "{other}");
        }
    }

    #[test]
    fn a_threshold_names_what_its_test_takes() {
        let of = |metric| model(&threshold(metric)).join(" ");
        assert_eq!(
            of(&LATENCY_P50),
            "--test t_test --max-sample-size 64 --upper-boundary 0.9999"
        );
        assert_eq!(of(&BINARY_DOCKER_BASE), "--test static --lower-boundary 1");
    }
}
