//! What Bencher is told besides reports: once, what a report cannot carry (the project, a unit for each
//! measure) and the thresholds that it would make; later, which branches are of no use any more.

use anyhow::Context as _;
use serde::Deserialize;

use super::bencher::threshold;
use super::place::pull_request_branch;
use crate::clock;
use crate::exit::Exit;
use crate::flags;
use crate::metrics::catalog::METRICS;
use crate::metrics::render::bmf;
use crate::say::say;
use crate::tools::bencher::{self, Credential, Threshold};

/// The branches that are there from the first day.
const BRANCHES: [&str; 2] = ["main", "releases"];
/// The requirement's retention of `pr-*` (§6.1).
const RETENTION_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The most that the CLI lists at once.
const PAGE: &str = "255";
const PAGES_MAX: usize = 40;
const NO_KEY: &str = "there is no BENCHER_API_KEY: nothing was archived";

/// Makes what is missing, and leaves what is there as it is.
pub fn run(flags: &flags::Report) -> anyhow::Result<Exit> {
    let credential = Credential::of_environment().context(
        "BENCHER_API_KEY is not set: a user's key (`bencher_user_…`) may make a project",
    )?;
    say!(
        "{}",
        bencher::version().context("the `bencher` CLI is not installed")?
    );
    let mut made = 0;
    let mut need = |view: &[&str], create: &[&str]| -> anyhow::Result<()> {
        if bencher::ask(view, &credential).is_err() {
            let what = create.join(" ");
            bencher::ask(create, &credential).with_context(|| format!("failed to {what}"))?;
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
        let (slug, units) = (bmf::measure(metric), bmf::units(metric));
        need(
            &["measure", "view", project, &slug],
            &[
                "measure", "create", "--name", &slug, "--slug", &slug, "--units", units, project,
            ],
        )?;
    }
    for branch in BRANCHES {
        made += thresholds(flags, branch, &credential)?;
    }
    Ok(Exit::Fine(format!(
        "`{project}` has {} measures; {made} things were made",
        METRICS.len()
    )))
}

/// Makes the thresholds that a branch lacks; how many that were.
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
        bencher::ask(&[&create.concat()[..], &model].concat(), credential)
            .with_context(|| format!("failed to make the threshold of `{}`", threshold.measure))?;
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

/// Archives the branch of a pull request that was closed.
pub fn archive(project: &str, number: u64) -> anyhow::Result<String> {
    let branch = pull_request_branch(number);
    let Some(credential) = Credential::of_environment() else {
        return Ok(NO_KEY.to_owned());
    };
    put_away(project, &branch, &credential)?;
    Ok(format!("`{branch}` was archived"))
}

/// Archives the branches of pull requests that had no report for the time of retention.
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
            .context("failed to read the list of branches")?;
        let count = branches.len();
        old.extend(branches.into_iter().filter_map(|branch| {
            // Each report of a pull request begins a new head.
            let reported: jiff::Timestamp = branch.head.created.parse().ok()?;
            let age = now - reported.as_second();
            (is_pull_request(&branch.name) && age > RETENTION_DAYS * DAY_SECONDS)
                .then_some(branch.name)
        }));
        if count < 255 {
            break;
        }
    }
    let mut archived = 0;
    for branch in &old {
        match put_away(project, branch, &credential) {
            Ok(()) => archived += 1,
            Err(error) => super::announce::warning(&format!("{error:#}")),
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

/// Whether a branch is one that reports of pull requests make.
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
            "--test percentage --max-sample-size 64 --upper-boundary 0.1"
        );
        assert_eq!(of(&BINARY_DOCKER_BASE), "--test static --lower-boundary 1");
    }
}
