//! Sends the metrics to Bencher, if there is a key. Bencher's alerts are shown, but do not affect the exit
//! code: the verdict is derived by this program, from the samples.

use std::path::Path;
use std::time::Duration;

use super::annotate;
use super::place::Place;
use super::verdict::Found;
use crate::flags;
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::model::Run;
use crate::metrics::render::bmf;
use crate::say::say;
use crate::tools::bencher::{self, Alert, Credential, Report, Sent, Start, Threshold};

/// Number of latest values of a history that Bencher's test uses.
const SAMPLES_MAX: u32 = 64;
/// Level of Student's test, which the requirement's §9.1 asks for. It is one-sided, so that by chance
/// alone one of 29 metrics alerts in three reports of a thousand.
const LEVEL: f64 = 0.9999;

/// Sends `file`, which holds the metrics of `run` in Bencher's format.
pub fn report(
    flags: &flags::Report,
    place: &Place,
    run: &Run,
    found: &Found,
    file: &Path,
) -> anyhow::Result<()> {
    let Some(branch) = place.branch() else {
        return Ok(());
    };
    let (Some(hash), Some(credential)) = (place.revision(), Credential::of_environment()) else {
        say!("no report to Bencher: BENCHER_API_KEY is not set");
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
            // A release begins a new baseline.
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
            say!(
                "Bencher stored the report on the branch `{branch}`: \
                 https://bencher.dev/perf/{}/reports/{report}",
                flags.project
            );
            tell_alerts(&alerts, found);
            if let Some(complaint) = complaint {
                annotate::warning(&format!("Bencher stored the report, but: {complaint}"));
            }
        }
        Sent::Failed(failure, why) => annotate::warning(&format!(
            "{}: {why}; `{}` is kept as an artifact",
            failure.describe(),
            file.display()
        )),
    }
    Ok(())
}

/// Shows Bencher's alerts. Bencher judges single values of a testbed whose machines vary: an alert on a
/// metric whose verdict is PASS is a notice, not a warning.
fn tell_alerts(alerts: &[Alert], found: &Found) {
    let is_named = |alert: &&Alert| {
        let mut named = found.named.iter();
        named.any(|named| named.metric == alert.benchmark)
    };
    let (named, others): (Vec<&Alert>, Vec<&Alert>) = alerts.iter().partition(is_named);
    for (alerts, tell) in [
        (named, annotate::warning as fn(&str)),
        (others, annotate::notice),
    ] {
        if !alerts.is_empty() {
            let alerts: Vec<String> = alerts.iter().map(ToString::to_string).collect();
            tell(&format!("Bencher alerts on {}", alerts.join(", ")));
        }
    }
}

/// Bencher's threshold for a metric, as close to this program's own as Bencher's tests allow.
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
        // Student's test cannot judge values that do not vary.
        Change::Exact(thresholds) if thresholds.scale == Scale::Share => {
            of("percentage", Some(1), thresholds.alert)
        }
        // A boundary of 0 % over the last value: any increase alerts.
        Change::Exact(_) => of("percentage", Some(1), 0.0),
        Change::Tested(_) => of("t_test", Some(SAMPLES_MAX), LEVEL),
        // 1 means that the target is met, see `bmf`.
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
                // The real CLI rejects this test with a sample size.
                "static" => assert_eq!(threshold.samples_max, None),
                other => panic!("{other}"),
            }
        }
    }
}
