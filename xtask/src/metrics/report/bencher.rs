//! Sends the metrics to Bencher, where there is a key. Its alerts are shown and end nothing: whether
//! something became slower is judged here, from the samples.

use std::path::Path;
use std::time::Duration;

use super::announce;
use super::place::Place;
use crate::flags;
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::model::Run;
use crate::metrics::render::bmf;
use crate::say::say;
use crate::tools::bencher::{self, Credential, Report, Sent, Start, Threshold};

/// Values of a history that count.
const SAMPLES_MAX: u32 = 64;
/// The level of Student's test, for what is compared in points: Bencher has no such threshold.
const LEVEL: f64 = 0.99;

/// Sends `file`, which holds the figures of `run`.
pub fn report(flags: &flags::Report, place: &Place, run: &Run, file: &Path) -> anyhow::Result<()> {
    let Some(branch) = place.branch() else {
        return Ok(());
    };
    let (Some(hash), Some(credential)) = (place.revision(), Credential::of_environment()) else {
        say!("no report to Bencher: there is no BENCHER_API_KEY");
        return Ok(());
    };
    let metrics = bmf::sent(run);
    if metrics.is_empty() {
        return Ok(());
    }
    let thresholds: Vec<Threshold> = metrics.iter().map(|metric| threshold(metric)).collect();
    let report = Report {
        project: &flags.project,
        branch: &branch,
        hash,
        start: match place {
            Place::PullRequest(request) => Start::From("main", &request.base),
            Place::Release { .. } => Start::Reset,
            _ => Start::Continued,
        },
        testbed: &flags.testbed,
        file,
        thresholds: &thresholds,
    };
    match bencher::send(&report, &credential, Duration::from_secs(flags.patience))? {
        Sent::Stored {
            alerts,
            report,
            complaint,
        } => {
            say!("Bencher stored the report {report} of the branch {branch}");
            if !alerts.is_empty() {
                announce::warning(&format!("Bencher alerts on {}", alerts.join(", ")));
            }
            if let Some(complaint) = complaint {
                announce::warning(&format!("Bencher stored the report, but: {complaint}"));
            }
        }
        Sent::Failed(failure, why) => announce::warning(&format!(
            "{}: {why}; `{}` is kept as an artifact",
            failure.describe(),
            file.display()
        )),
    }
    Ok(())
}

/// What Bencher alerts on, as close to what is alerted on here as its tests come.
pub fn threshold(metric: &Metric) -> Threshold {
    let of = |test, samples_max, boundary| {
        let (lower, upper) = if metric.more_is_better() {
            (Some(boundary), None)
        } else {
            (None, Some(boundary))
        };
        Threshold {
            measure: bmf::measure(metric),
            test,
            samples_max,
            lower,
            upper,
        }
    };
    match metric.change() {
        // Student's test is blind to what never varied.
        Change::Exact(thresholds) if thresholds.scale == Scale::Share => {
            of("percentage", Some(1), thresholds.alert)
        }
        Change::Exact(_) => of("percentage", Some(1), 0.0),
        Change::Tested(thresholds) if thresholds.scale == Scale::Share => {
            of("percentage", Some(SAMPLES_MAX), thresholds.alert)
        }
        Change::Tested(_) => of("t_test", Some(SAMPLES_MAX), LEVEL),
        // 1 is as required.
        Change::Target => Threshold {
            measure: bmf::measure(metric),
            test: "static",
            samples_max: None,
            lower: Some(1.0),
            upper: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::METRICS;

    #[test]
    fn each_metric_has_a_threshold_that_bencher_takes() {
        for metric in METRICS {
            let threshold = threshold(metric);
            let boundaries = [threshold.lower, threshold.upper];
            let boundaries: Vec<f64> = boundaries.into_iter().flatten().collect();
            assert_eq!(boundaries.len(), 1, "{}", metric.name);
            match threshold.test {
                "percentage" => assert!(boundaries[0] >= 0.0 && threshold.samples_max.is_some()),
                "t_test" => assert!((0.5..1.0).contains(&boundaries[0])),
                // The real one refuses it with a sample size.
                "static" => assert_eq!(threshold.samples_max, None),
                other => panic!("{other}"),
            }
        }
    }
}
