//! The requirement's one-line claims (§10.3), checked against a run: a claim is supported only if the
//! worse end of the interval supports it; all others are listed as failing or unknown.

use super::number::{self, Rounding};
use crate::metrics::catalog::threshold::Change;
use crate::metrics::catalog::{
    BINARY_SIZE, MEMORY_IDLE_RSS, Metric, OVERHEAD_LATENCY_P50, POLICY_EVAL_P50,
    STARTUP_TO_HEALTHY, THROUGHPUT_RPS_10VU,
};
use crate::metrics::judge;
use crate::metrics::model::{Note, Outcome, Run, Value};

/// A sentence, and the metrics whose targets it states.
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
    /// The target is met, also at the worse end of the interval.
    Supported,
    /// The target is missed at the worse end of the interval.
    Failing,
    /// There is no figure that can be quoted.
    Unknown,
}

/// A claim, and whether a run supports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub text: &'static str,
    pub support: Support,
    /// The figures that decide.
    pub evidence: String,
}

pub fn judge(run: &Run) -> Vec<Judged> {
    let claims = CLAIMS.iter();
    claims.map(|claim| judge_one(run, claim)).collect()
}

/// The claims that a run supports, as a list in Markdown; empty if there are none.
pub fn supported(run: &Run) -> String {
    list(&judge(run), Support::Supported, "")
}

/// A list in Markdown: the supported claims, then those that must not be quoted.
pub fn render(run: &Run) -> String {
    let all = judge(run);
    let supported = list(&all, Support::Supported, "");
    let failing = list(
        &all,
        Support::Failing,
        "\nNot supported by this run (do not quote):\n\n",
    );
    let unknown = list(
        &all,
        Support::Unknown,
        "\nUnknown from this run (do not quote):\n\n",
    );
    (supported + &failing + &unknown).trim_start().to_owned()
}

/// The claims with one support, below a title; empty if there are none.
fn list(all: &[Judged], support: Support, title: &str) -> String {
    let of = all.iter().filter(|judged| judged.support == support);
    let lines = of.map(|judged| format!("- {} ({})\n", escaped(judged.text), judged.evidence));
    let lines: String = lines.collect();
    if lines.is_empty() {
        lines
    } else {
        format!("{title}{lines}")
    }
}

/// Markdown takes a `>` at the start of a line, or of an item, for a quotation.
fn escaped(text: &str) -> String {
    text.replacen('>', "\\>", usize::from(text.starts_with('>')))
}

fn judge_one(run: &Run, claim: &Claim) -> Judged {
    let mut support = Support::Supported;
    let mut evidence = Vec::new();
    for metric in claim.metrics {
        let (of_metric, text) = metric_of(run, metric);
        evidence.push(text);
        support = match (support, of_metric) {
            // Failing before unknown: one missed target is enough to refute the sentence.
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
    // Its blocks are few and short: the figures prove only that measuring works.
    if run.quick {
        return unknown("was measured by a quick run");
    }
    let record = run.record(metric);
    let Some((record, Outcome::Measured { value, interval })) =
        record.map(|record| (record, &record.outcome))
    else {
        return unknown("was not measured");
    };
    // A disturbance may make a difference arbitrarily small; other figures it only makes worse.
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
    // A single value proves nothing, unless the metric is deterministic.
    if worse.is_none() && matches!(metric.change(), Change::Tested(_)) {
        return unknown("has too few blocks for an interval");
    }
    // The worse end, so that the claim holds for all of the interval.
    let bound = worse.map_or_else(|| value.clone(), Value::Float);
    let is_limited = record.notes.contains(&Note::GeneratorBound);
    let support = match judge::meets(metric, &bound) {
        Some(true) => Support::Supported,
        // The program may be better than the load generator could show.
        _ if is_limited => Support::Unknown,
        _ => Support::Failing,
    };
    let (bounded, rounding) = match (worse, metric.more_is_better()) {
        (None, _) => ("", Rounding::Nearest),
        (Some(_), true) => ("at least ", Rounding::Down),
        (Some(_), false) => ("at most ", Rounding::Up),
    };
    let limited = if is_limited {
        "; the load generator was the limit, the true value is at least this good"
    } else {
        ""
    };
    // What is printed is what people quote: it meets the target if, and only if, the figure does.
    let meets = |number| judge::meets(metric, &Value::Float(number)) == Some(true);
    let shown = bound.number().map_or_else(
        || number::value(metric.unit, &bound),
        |bound| number::keeping(metric.unit, bound, rounding, meets),
    );
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
        set(&POLICY_EVAL_P50, 4.5, Some([4.25, 4.75]));
        fixture::set(&mut run, &BINARY_SIZE, Value::Integer(10_900_000), None);
        fixture::record(&mut run, &THROUGHPUT_RPS_10VU).notes = vec![Note::GeneratorBound];
        expect_test::expect![[r"
            - Adds < 2 ms p50 latency overhead (`overhead/latency_p50`: at most 0.100 ms)
            - \> 10,000 requests/second throughput (`throughput/rps_10vu`: at least 10,500 req/s; the load generator was the limit, the true value is at least this good)
            - Sub-100 µs policy evaluation (`policy/eval_p50`: at most 4.75 µs)

            Not supported by this run (do not quote):

            - < 15 MB binary, < 20 MB memory at idle (`binary/size`: 10.9 MB, `memory/idle_rss`: at most 21.0 MB)

            Unknown from this run (do not quote):

            - Cold start in under 100 ms (`startup/to_healthy` was not measured)
        "]]
        .assert_eq(&render(&run));
        fixture::record(&mut run, &OVERHEAD_LATENCY_P50).notes = vec![Note::Noisy];
        assert_eq!(judge(&run)[1].support, Support::Unknown);
        let throughput = |interval: Option<[f64; 2]>, run: &mut Run| {
            let value = Value::Float(9_000.0);
            fixture::set(run, &THROUGHPUT_RPS_10VU, value, interval);
            judge(run)[2].support
        };
        let interval = Some([8_000.0, 9_500.0]);
        assert_eq!(
            throughput(interval, &mut run),
            Support::Unknown,
            "k6 was the limit"
        );
        fixture::record(&mut run, &THROUGHPUT_RPS_10VU)
            .notes
            .clear();
        assert_eq!(throughput(interval, &mut run), Support::Failing);
        assert_eq!(throughput(None, &mut run), Support::Unknown, "no interval");
        run.quick = true;
        assert!(
            judge(&run)
                .iter()
                .all(|judged| judged.support == Support::Unknown)
        );
    }

    #[test]
    fn a_printed_bound_states_no_more_than_the_run_supports() {
        let told = |metric: &Metric, interval: [f64; 2]| {
            let mut run = fixture::run(&Tier::ALL);
            fixture::set(&mut run, metric, Value::Float(1.0), Some(interval));
            let mut judged = judge(&run).into_iter();
            let judged = judged.find(|judged| judged.evidence.contains(metric.name));
            let judged = judged.unwrap();
            (judged.support, judged.evidence)
        };
        let (support, evidence) = told(&OVERHEAD_LATENCY_P50, [1.0, 1.9996]);
        assert_eq!(support, Support::Supported);
        assert_eq!(evidence, "`overhead/latency_p50`: at most 1.9996 ms");
        let (support, evidence) = told(&OVERHEAD_LATENCY_P50, [1.0, 2.0004]);
        assert_eq!(support, Support::Failing);
        assert_eq!(evidence, "`overhead/latency_p50`: at most 2.01 ms");
        let (support, evidence) = told(&OVERHEAD_LATENCY_P50, [1.0, 1.0449]);
        assert_eq!(support, Support::Supported);
        assert_eq!(evidence, "`overhead/latency_p50`: at most 1.05 ms");
        let (support, evidence) = told(&THROUGHPUT_RPS_10VU, [10_000.4, 12_000.0]);
        assert_eq!(support, Support::Supported);
        assert_eq!(evidence, "`throughput/rps_10vu`: at least 10,000.4 req/s");
        let mut run = fixture::run(&Tier::ALL);
        fixture::set(&mut run, &BINARY_SIZE, Value::Integer(14_999_900), None);
        assert!(
            judge(&run)[0]
                .evidence
                .contains("`binary/size`: 14.9999 MB")
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
