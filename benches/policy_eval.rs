//! Time of one policy decision, by ThoughtGate's engine and by Cedar's own authorizer.
//!
//! Runs Criterion by default. `-- --percentiles` prints percentiles of single evaluations as one JSON
//! object on stdout (with `--quoted` only for the size that reports quote). `-- --evaluations COUNT`
//! makes that many evaluations and prints nothing, for tools that count instructions. Without
//! `--bench`, as in `cargo test`, all three run on a small input. Measures no parsing, loading or
//! forwarding.

mod corpus;
mod naive;
mod percentiles;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion};

use corpus::Kind;
use naive::Naive;
use percentiles::{Effort, decide, measure};

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--evaluations");
    if let Some(count) = arguments.nth(1) {
        evaluate(count.parse().expect("--evaluations takes a number"));
        return;
    }
    let flag = |name: &str| std::env::args().any(|argument| argument == name);
    if flag("--percentiles") {
        let effort = if flag("--quoted") {
            Effort::QUOTED
        } else {
            Effort::FULL
        };
        println!("{}", measure(effort));
        return;
    }
    if !flag("--bench") {
        let figures = measure(Effort::SMOKE);
        // Two kinds of policies, two states and two engines, for the one size.
        assert_eq!(figures["cases"].as_array().map(Vec::len), Some(8));
        evaluate(50);
    }
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for kind in Kind::ALL {
        compare(&mut criterion, kind);
    }
    criterion.final_summary();
}

/// Makes `count` evaluations of the case that reports quote, after one of each call to fill the cache.
fn evaluate(count: usize) {
    let (policies, kind) = (percentiles::QUOTED_SIZE, Kind::ContextReading);
    let calls = corpus::calls(policies);
    let engine = corpus::engine(policies, kind);
    for call in calls.iter().chain(calls.iter().cycle().take(count)) {
        assert!(black_box(decide(&engine, call)).error.is_none());
    }
}

fn compare(criterion: &mut Criterion, kind: Kind) {
    let mut group = criterion.benchmark_group(format!("policy_eval/{}", kind.name()));
    for policies in corpus::SIZES {
        let calls = corpus::calls(policies);
        let engine = corpus::engine(policies, kind);
        let naive = Naive::new(policies, kind);
        percentiles::check(&engine, &naive, &calls);

        let mut next = calls.iter().cycle();
        group.bench_function(
            BenchmarkId::new("thoughtgate/cached", policies),
            |bencher| {
                bencher.iter(|| black_box(decide(&engine, next.next().expect("an endless cycle"))));
            },
        );
        // Each evaluation is for an agent that the engine has not seen before.
        let mut at = 0_usize;
        group.bench_function(BenchmarkId::new("thoughtgate/cold", policies), |bencher| {
            bencher.iter_batched_ref(
                || {
                    at += 1;
                    calls[at % calls.len()].by(format!("stranger-{at}"))
                },
                |call| black_box(decide(&engine, call)),
                BatchSize::SmallInput,
            );
        });
        let mut next = calls.iter().cycle();
        group.bench_function(BenchmarkId::new("naive/cached", policies), |bencher| {
            bencher.iter(|| black_box(naive.cached(next.next().expect("an endless cycle"))));
        });
        let mut next = calls.iter().cycle();
        group.bench_function(BenchmarkId::new("naive/cold", policies), |bencher| {
            bencher.iter(|| black_box(naive.cold(next.next().expect("an endless cycle"))));
        });
    }
    group.finish();
}
