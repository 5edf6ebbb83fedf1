//! The requirement's one-liners (§10.3), each held against a run: a claim is printed only when the
//! worse end of the interval supports it, and is listed as failing when it does not.

use super::number;
use crate::metrics::catalog::{
    BINARY_SIZE, MEMORY_IDLE_RSS, Metric, OVERHEAD_LATENCY_P50, POLICY_EVAL_P50,
    STARTUP_TO_HEALTHY, THROUGHPUT_RPS_10VU,
};
use crate::metrics::judge;
use crate::metrics::model::{Note, Outcome, Run, Value};

/// A sentence, and the metrics whose targets it speaks of.
struct Claim {
    text: &'static str,
    metrics: &'static [&'static Metric],
}

const CLAIMS: &[Claim] = &[
    Claim {
        text: "< 15 MB binary, < 20 MB memory at idle",
        metrics: &[&BINARY_SIZE, &MEMORY_IDLE_RSS],
    },
    Claim {
        text: "Adds < 2 ms p50 latency overhead",
        metrics: &[&OVERHEAD_LATENCY_P50],
    },
    Claim {
        text: "> 10,000 requests/second throughput",
        metrics: &[&THROUGHPUT_RPS_10VU],
    },
    Claim {
        text: "Sub-100 µs policy evaluation",
        metrics: &[&POLICY_EVAL_P50],
    },
    Claim {
        text: "Cold start in under 100 ms",
        metrics: &[&STARTUP_TO_HEALTHY],
    },
];

/// Whether a run supports a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Also at the worse end of the interval.
    Supported,
    /// Not at that end.
    Failing,
    /// There is no figure that could be quoted.
    Unknown,
}

/// A claim with what the run says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The claim.
    pub text: &'static str,
    /// Whether it holds.
    pub support: Support,
    /// The figures that it rests on.
    pub evidence: String,
}

/// All claims.
pub fn judge(run: &Run) -> Vec<Judged> {
    let claims = CLAIMS.iter();
    claims.map(|claim| judge_one(run, claim)).collect()
}

/// A list in Markdown: what holds, and then what does not.
pub fn render(run: &Run) -> String {
    let all = judge(run);
    let list = |support: Support, title: &str| {
        let of = all.iter().filter(|judged| judged.support == support);
        let lines = of.map(|judged| format!("- {} ({})\n", judged.text, judged.evidence));
        let lines: String = lines.collect();
        if lines.is_empty() {
            lines
        } else {
            format!("{title}{lines}")
        }
    };
    let supported = list(Support::Supported, "");
    let failing = list(
        Support::Failing,
        "\nFailing in this run, and not to be claimed:\n\n",
    );
    let unknown = list(
        Support::Unknown,
        "\nNot known from this run, and not to be claimed:\n\n",
    );
    (supported + &failing + &unknown).trim_start().to_owned()
}

fn judge_one(run: &Run, claim: &Claim) -> Judged {
    let mut support = Support::Supported;
    let mut evidence = Vec::new();
    for metric in claim.metrics {
        let (of_metric, text) = metric_of(run, metric);
        evidence.push(text);
        support = match (support, of_metric) {
            (Support::Failing, _) | (_, Support::Failing) => Support::Failing,
            (Support::Unknown, _) | (_, Support::Unknown) => Support::Unknown,
            _ => Support::Supported,
        };
    }
    Judged {
        text: claim.text,
        support,
        evidence: evidence.join(", "),
    }
}

/// Whether the worse end of a metric's interval meets its target, and that end in words.
fn metric_of(run: &Run, metric: &'static Metric) -> (Support, String) {
    let name = metric.name;
    let unknown = |why: &str| (Support::Unknown, format!("`{name}` {why}"));
    if run.quick {
        return unknown("is of a quick run");
    }
    let record = run.record(metric);
    let Some((record, Outcome::Measured { value, interval })) =
        record.map(|record| (record, &record.outcome))
    else {
        return unknown("was not measured");
    };
    // A disturbance can make a difference as small as it likes; of all else it makes more.
    if metric.may_be_negative() && record.notes.contains(&Note::Noisy) {
        return unknown("was measured on a busy machine");
    }
    let worse = interval.map(|[lower, upper]| {
        if metric.more_is_better() {
            lower
        } else {
            upper
        }
    });
    let bound = worse.map_or_else(|| value.clone(), Value::Float);
    let support = match judge::meets(metric, &bound) {
        Some(true) => Support::Supported,
        _ => Support::Failing,
    };
    let bounded = match (worse, metric.more_is_better()) {
        (None, _) => "",
        (Some(_), true) => "at least ",
        (Some(_), false) => "at most ",
    };
    let limited = if record.notes.contains(&Note::GeneratorBound) {
        ", limited by the load generator"
    } else {
        ""
    };
    let shown = number::value(metric.unit, &bound);
    (support, format!("`{name}`: {bounded}{shown}{limited}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::Tier;
    use crate::metrics::render::fixture;

    #[test]
    fn a_claim_needs_the_worse_end_of_the_interval() {
        let mut run = fixture::run(&Tier::ALL);
        let mut set = |metric: &Metric, value, interval| {
            fixture::set(&mut run, metric, Value::Float(value), interval);
        };
        set(&MEMORY_IDLE_RSS, 19e6, Some([18e6, 21e6]));
        set(&OVERHEAD_LATENCY_P50, 0.05, Some([0.03, 0.1]));
        set(&THROUGHPUT_RPS_10VU, 13_000.0, Some([10_500.0, 14_000.0]));
        set(&POLICY_EVAL_P50, 4.5, None);
        fixture::set(&mut run, &BINARY_SIZE, Value::Integer(10_900_000), None);
        fixture::record(&mut run, &THROUGHPUT_RPS_10VU).notes = vec![Note::GeneratorBound];
        expect_test::expect![[r"
            - Adds < 2 ms p50 latency overhead (`overhead/latency_p50`: at most 0.100 ms)
            - > 10,000 requests/second throughput (`throughput/rps_10vu`: at least 10,500 req/s, limited by the load generator)
            - Sub-100 µs policy evaluation (`policy/eval_p50`: 4.50 µs)

            Failing in this run, and not to be claimed:

            - < 15 MB binary, < 20 MB memory at idle (`binary/size`: 10.9 MB, `memory/idle_rss`: at most 21.0 MB)

            Not known from this run, and not to be claimed:

            - Cold start in under 100 ms (`startup/to_healthy` was not measured)
        "]]
        .assert_eq(&render(&run));
        fixture::record(&mut run, &OVERHEAD_LATENCY_P50).notes = vec![Note::Noisy];
        assert_eq!(judge(&run)[1].support, Support::Unknown);
        run.quick = true;
        assert!(
            judge(&run)
                .iter()
                .all(|judged| judged.support == Support::Unknown)
        );
    }

    #[test]
    fn each_claim_is_about_the_targets_of_its_metrics() {
        for claim in CLAIMS {
            for metric in claim.metrics {
                let target = number::target(metric.unit, metric.target);
                let digits =
                    |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
                assert!(
                    digits(claim.text).contains(&digits(&target)),
                    "{} is not about {target}",
                    claim.text
                );
            }
        }
    }
}
