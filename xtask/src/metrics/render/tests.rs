//! The reports of one run with a metric of each outcome, as they are printed.

use expect_test::expect;

use super::{array, fixture, list, table, warnings};
use crate::metrics::catalog::{self, CPU_US_PER_REQUEST, LATENCY_P50, METRICS, Tier};
use crate::metrics::model::Value;

#[test]
fn the_table_tells_value_target_and_verdict() {
    expect![[r"
        0123456789ab on AMD EPYC (2 cores, 6.18.44)

        metric                                value  95 % interval  target                       samples  notes
        binary/size                         8.43 MB                 < 15 MB         met
        memory/idle_rss                     skipped                 < 20 MB
        latency/p50                         2.30 ms    2.25 … 2.41  < 5 ms          met
        latency/p95                         15.0 ms    14.1 … 16.2  < 15 ms         MISSED     2, 1 void  noisy; short
        ttfb/p95                        not reached                 < 10 ms
        overhead/latency_p50               -20.0 µs   -50.0 … 10.0  < 2 ms          met
        throughput/rps_10vu             6,120 req/s  6,000 … 6,200  > 10,000 req/s  MISSED                generator bound
        cpu/us_per_request                  61.5 µs    61.0 … 62.0                  no target
        binary/docker_image_compressed  not reached                 < 10 MB
        binary/docker_layers            not reached                 ≤ 5
        binary/docker_base                  scratch                 scratch         met
        binary/multi_arch                     false                 true            MISSED
        startup/policy_load             not reached                 < 50 ms
        memory/peak_rss                     skipped                 < 150 MB
        overhead/percent_p50            not reached                 < 10 %
        policy/eval_p99                 not reached                 < 500 µs
        policy/reload_time              not reached                 < 100 ms
        approval/overhead                    failed                 < 500 ms
    "]].assert_eq(&table::render(&fixture::mixed()));
}

#[test]
fn the_head_of_the_table_tells_what_the_figures_are_not() {
    let mut run = fixture::run(&[]);
    run.quick = true;
    run.complete = false;
    run.git.dirty = true;
    run.git.revision = None;
    let text = table::render(&run);
    let first = text.lines().next().unwrap();
    expect![
        "no revision on AMD EPYC (2 cores, 6.18.44), modified, quick: not to be quoted, cut off"
    ]
    .assert_eq(first);
}

#[test]
fn the_array_has_what_was_measured_and_no_extra() {
    expect![[r#"
        [
          {"name":"binary/size","value":8432640,"unit":"bytes"},
          {"name":"binary/docker_base","value":"scratch","unit":"string"},
          {"name":"binary/multi_arch","value":false,"unit":"bool"},
          {"name":"latency/p50","value":2.3,"unit":"ms"},
          {"name":"latency/p95","value":15.0,"unit":"ms"},
          {"name":"overhead/latency_p50","value":-0.02,"unit":"ms"},
          {"name":"throughput/rps_10vu","value":6120,"unit":"req/s"}
        ]
    "#]]
    .assert_eq(&array::render(&fixture::mixed()));
    assert_eq!(array::render(&fixture::run(&[Tier::One])), "[]\n");
}

#[test]
fn a_float_that_happens_to_be_whole_stays_a_float() {
    let mut run = fixture::run(&[Tier::One]);
    fixture::set(&mut run, &LATENCY_P50, Value::Float(2.0), None);
    assert!(array::render(&run).contains(r#""value":2.0"#));
}

#[test]
fn the_requirement_s_own_example_is_reproduced() {
    let text = include_str!("../../../test_data/requirement_8_1.json");
    let example: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let mut run = fixture::run(&Tier::ALL);
    for entry in &example {
        let value: Value = serde_json::from_value(entry["value"].clone()).unwrap();
        let metric = catalog::find(entry["name"].as_str().unwrap()).unwrap();
        fixture::set(&mut run, metric, value, None);
    }
    fixture::set(&mut run, &CPU_US_PER_REQUEST, Value::Float(60.0), None);
    let ours: Vec<serde_json::Value> = serde_json::from_str(&array::render(&run)).unwrap();
    assert_eq!(ours, example);
}

#[test]
fn warnings_say_what_happened_why_and_what_to_do() {
    let mut run = fixture::mixed();
    run.metrics
        .retain(|record| record.outcome != crate::metrics::model::Outcome::Pending);
    expect![[r"
        warning: memory/idle_rss, memory/peak_rss: not measured: this is not Linux
          hint: measure on Linux
        warning: latency/p95: void samples, not counted: 1; last reason: status 400
        warning: latency/p95: noisy: the machine was disturbed meanwhile, and repeating did not help
          hint: measure again on an idle machine
        warning: throughput/rps_10vu: the load generator was the limit: the true value is at least this good
          hint: measure on a machine with more cores
        warning: approval/overhead: not measured: failed to start `mock-slack`
          last words
    "]].assert_eq(&warnings::render(&run));
}

#[test]
fn a_noisy_metric_has_its_disturbance() {
    let mut run = fixture::mixed();
    for row in &mut run.samples {
        row.reason = Some("other programs took 50.0 % of the CPU time".to_owned());
    }
    let text = warnings::render(&run);
    let expected = "latency/p95: noisy: other programs took 50.0 % of the CPU time, and repeating";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn the_catalogue_is_printed_whole() {
    let text = list::render();
    assert_eq!(text.lines().count(), METRICS.len() + 1);
    let first_lines: Vec<&str> = text.lines().take(3).collect();
    expect![[r"
        id           name                            unit    target          tier  how it is measured
        M-BIN-001    binary/size                     bytes   < 15 MB         1     size of the stripped release binary
        M-MEM-001    memory/idle_rss                 bytes   < 20 MB         1     VmRSS of a freshly started process, one second after /ready"]].assert_eq(&first_lines.join("\n"));
    let json: Vec<serde_json::Value> = serde_json::from_str(&list::render_json()).unwrap();
    assert_eq!(json.len(), METRICS.len());
    assert_eq!(
        json[0]["target"],
        serde_json::json!({"operator": "<", "value": 15e6})
    );
}
