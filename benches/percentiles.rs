//! Percentiles of single evaluations, which Criterion's batch means cannot give.
//!
//! Reads the clock before and after each evaluation. If the median is less than twenty times the cost
//! of reading the clock, groups of evaluations are timed instead; the case then has a `group`, and its
//! percentiles are of group means. The cost of the clock is reported and not subtracted.

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use thoughtgate_policy::{Decision, Engine, Outcome, Query, Target};

use crate::corpus::{self, Call, Kind, SIZES};
use crate::naive::Naive;

/// The extent of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Sizes of the policy files, in policies.
    pub sizes: &'static [usize],
    /// Least number of evaluations of each case.
    pub evaluations: usize,
    /// Time limit of a case of the naive engine, which is slow with many policies.
    pub naive_time_max: Duration,
}

impl Effort {
    /// All sizes.
    pub const FULL: Effort = Effort {
        sizes: &SIZES,
        evaluations: 100_000,
        naive_time_max: Duration::from_secs(1),
    };
    /// Only the size that reports quote.
    pub const QUOTED: Effort = Effort {
        sizes: &[QUOTED_SIZE],
        evaluations: 40_000,
        naive_time_max: Duration::from_millis(500),
    };
    /// Just enough to test that the benchmark works.
    pub const SMOKE: Effort = Effort {
        sizes: &[QUOTED_SIZE],
        evaluations: 50,
        naive_time_max: Duration::from_secs(1),
    };
}

/// The size of a policy file that reports quote, in policies: typical for a sidecar.
pub const QUOTED_SIZE: usize = 10;
/// Evaluations whose median is below this many clock readings are timed in groups.
const CLOCK_READINGS_MIN: u64 = 20;
/// Number of evaluations before each case that are not recorded.
const WARM_UP: usize = 2048;
/// Number of calls whose result is checked before a case is measured.
const CHECKED: usize = 128;

/// Measures all cases. Returns `{"timer_ns_p50": …, "cases": […]}`, with times in nanoseconds.
pub fn measure(effort: Effort) -> Value {
    let timer_ns = timer_ns_p50();
    let mut cases = Vec::new();
    for &policies in effort.sizes {
        for kind in Kind::ALL {
            let calls = corpus::calls(policies);
            let naive = Naive::new(policies, kind);
            // An engine of its own, so that the check fills no cache of a measured one.
            check(&corpus::engine(policies, kind), &naive, &calls);
            let mut add = |state: &str, engine: &str, figures: Figures| {
                cases.push(figures.case(policies, kind, state, engine));
            };

            let engine = corpus::engine(policies, kind);
            let cached = |at: usize| {
                black_box(decide(&engine, &calls[at % calls.len()]))
                    .error
                    .is_none()
            };
            add(
                "cached",
                "thoughtgate",
                run(timer_ns, effort.evaluations, Duration::MAX, cached),
            );

            let strangers = strangers(effort.evaluations, &calls);
            // A new engine: the one above remembers the calls of the case before.
            let engine = corpus::engine(policies, kind);
            // A cache of decisions does not help with an agent that never called before. Each agent is
            // good for one evaluation only, so there is no warm-up and no grouping.
            let cold = |at: usize| black_box(decide(&engine, &strangers[at])).error.is_none();
            add(
                "cold",
                "thoughtgate",
                record(1, strangers.len(), Duration::MAX, 0, &cold),
            );

            let at = |at: usize| &calls[at % calls.len()];
            let prepared = |index: usize| {
                black_box(naive.cached(at(index)));
                true
            };
            add(
                "cached",
                "naive",
                run(
                    timer_ns,
                    effort.evaluations,
                    effort.naive_time_max,
                    prepared,
                ),
            );
            let built = |index: usize| {
                black_box(naive.cold(at(index)));
                true
            };
            add(
                "cold",
                "naive",
                run(timer_ns, effort.evaluations, effort.naive_time_max, built),
            );
        }
    }
    json!({"timer_ns_p50": timer_ns, "cases": cases})
}

/// The decision of the engine that is measured.
pub fn decide(engine: &Engine, call: &Call) -> Decision {
    engine.decide(&Query {
        principal: call.agent.as_str().into(),
        target: Target::Tool(&call.tool),
        arguments: Some((&*call.arguments).into()),
        // A fixed time: reading the clock is not part of a decision.
        now: SystemTime::UNIX_EPOCH,
    })
}

/// Checks that both engines agree, in both states: a fast wrong answer is not a result. Checks only a
/// sample of the calls, since the naive engine takes a millisecond per call with many policies.
pub fn check(engine: &Engine, naive: &Naive, calls: &[Call]) {
    let mut allowed = 0;
    for call in calls.iter().take(CHECKED) {
        let expected = naive.cached(call);
        assert_eq!(
            naive.cold(call),
            expected,
            "{} calls {}",
            call.agent,
            call.tool
        );
        // The second decision comes from the engine's cache.
        for _ in ["first", "remembered"] {
            let decision = decide(engine, call);
            assert_eq!(decision.error, None, "{} calls {}", call.agent, call.tool);
            let forwarded = decision.outcome == Outcome::Forward;
            assert_eq!(forwarded, expected, "{} calls {}", call.agent, call.tool);
        }
        allowed += usize::from(expected);
    }
    assert!(
        allowed > 0 && allowed < CHECKED,
        "{allowed} of {} allowed",
        calls.len()
    );
}

/// The same calls, each by a different agent.
fn strangers(count: usize, calls: &[Call]) -> Vec<Call> {
    (0..count)
        .map(|at| {
            let call = &calls[at % calls.len()];
            call.by(format!("{}-{at}", call.agent))
        })
        .collect()
}

fn run(
    timer_ns: u64,
    evaluations: usize,
    time_max: Duration,
    evaluate: impl Fn(usize) -> bool,
) -> Figures {
    let warm_up = WARM_UP.min(evaluations);
    // The first half only warms up; the second half shows how long one evaluation takes.
    let pilot = record(1, warm_up, time_max / 4, warm_up / 2, &evaluate);
    let median = pilot.histogram.value_at_quantile(0.5).max(1);
    let group = (CLOCK_READINGS_MIN * timer_ns).div_ceil(median).max(1);
    record(group, evaluations, time_max, 0, &evaluate)
}

/// Times `evaluations` evaluations in groups of `group`, after `warm_up` ones that are not timed. Stops
/// early after `time_max`.
fn record(
    group: u64,
    evaluations: usize,
    time_max: Duration,
    warm_up: usize,
    evaluate: &dyn Fn(usize) -> bool,
) -> Figures {
    let mut histogram = new_histogram();
    let begin = Instant::now();
    for at in 0..warm_up {
        if begin.elapsed() > time_max {
            break;
        }
        assert!(evaluate(at), "evaluation {at} failed");
    }
    let size = usize::try_from(group).expect("a small number");
    let (begin, mut done, mut failed, mut sum_ns) = (Instant::now(), 0, false, 0.0);
    while done < evaluations && begin.elapsed() <= time_max {
        let start = Instant::now();
        for _ in 0..size {
            // Judged after the loop, so that no assertion is part of the time.
            failed |= !evaluate(done);
            done += 1;
        }
        let elapsed = start.elapsed();
        sum_ns += elapsed.as_secs_f64() * 1e9;
        let each = nanoseconds(elapsed) / group;
        histogram
            .record(each.max(1))
            .expect("the histogram resizes");
    }
    assert!(!failed, "an evaluation failed");
    assert!(done > 0, "no evaluation ended in time");
    Figures {
        histogram,
        group,
        evaluations: done,
        mean_ns: sum_ns / done as f64,
    }
}

struct Figures {
    histogram: Histogram<u64>,
    group: u64,
    evaluations: usize,
    mean_ns: f64,
}

impl Figures {
    fn case(&self, policies: usize, kind: Kind, state: &str, engine: &str) -> Value {
        let mut case = json!({
            "policies": policies,
            "kind": kind.name(),
            "state": state,
            "engine": engine,
            "evaluations": self.evaluations,
            "p50_ns": self.histogram.value_at_quantile(0.5),
            "p99_ns": self.histogram.value_at_quantile(0.99),
            "mean_ns": (self.mean_ns * 10.0).round() / 10.0,
        });
        if self.group > 1 {
            case["group"] = json!(self.group);
        }
        case
    }
}

/// The median cost of reading the clock twice.
fn timer_ns_p50() -> u64 {
    let mut histogram = new_histogram();
    for _ in 0..100_000 {
        let start = Instant::now();
        let elapsed = black_box(start).elapsed();
        histogram
            .record(nanoseconds(elapsed).max(1))
            .expect("the histogram resizes");
    }
    histogram.value_at_quantile(0.5)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}
