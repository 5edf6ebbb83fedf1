//! The rows of the catalogue, and nothing else: the columns are described in `metric.rs`.

use super::{Metric, Target, Tier, Unit};

pub const BINARY_SIZE: Metric = Metric {
    id: "M-BIN-001",
    name: "binary/size",
    unit: Unit::Bytes,
    tier: Tier::One,
    target: Target::Below(15e6),
    method: "size of the stripped release binary",
};

pub const BINARY_DOCKER_IMAGE_COMPRESSED: Metric = Metric {
    id: "M-BIN-002",
    name: "binary/docker_image_compressed",
    unit: Unit::Bytes,
    tier: Tier::Three,
    target: Target::Below(10e6),
    method: "sum of the layer sizes of this platform in `docker manifest inspect -v` of the pushed image",
};

pub const BINARY_DOCKER_LAYERS: Metric = Metric {
    id: "M-BIN-003",
    name: "binary/docker_layers",
    unit: Unit::Count,
    tier: Tier::Three,
    target: Target::AtMost(5.0),
    method: "number of layers of this platform in `docker manifest inspect -v` of the pushed image",
};

pub const BINARY_DOCKER_BASE: Metric = Metric {
    id: "M-BIN-004",
    name: "binary/docker_base",
    unit: Unit::String,
    tier: Tier::Three,
    target: Target::Text("scratch"),
    method: "base image named in the Dockerfile, checked against the image history",
};

pub const BINARY_MULTI_ARCH: Metric = Metric {
    id: "M-BIN-005",
    name: "binary/multi_arch",
    unit: Unit::Bool,
    tier: Tier::Three,
    target: Target::Boolean(true),
    method: "whether the pushed manifest list has linux/amd64 and linux/arm64",
};

pub const STARTUP_TO_HEALTHY: Metric = Metric {
    id: "M-START-001",
    name: "startup/to_healthy",
    unit: Unit::Milliseconds,
    tier: Tier::Two,
    target: Target::Below(100.0),
    method: "time from just before the spawn to the first 200 of /health, polled at least every millisecond",
};

pub const STARTUP_TO_READY: Metric = Metric {
    id: "M-START-003",
    name: "startup/to_ready",
    unit: Unit::Milliseconds,
    tier: Tier::Two,
    target: Target::Below(150.0),
    method: "time from just before the spawn to the first 200 of /ready, in the starts of startup/to_healthy",
};

pub const STARTUP_POLICY_LOAD: Metric = Metric {
    id: "M-START-002",
    name: "startup/policy_load",
    unit: Unit::Milliseconds,
    tier: Tier::Three,
    target: Target::Below(50.0),
    method: "time that the proxy took to load its policies, as reported in /metrics",
};

pub const MEMORY_IDLE_RSS: Metric = Metric {
    id: "M-MEM-001",
    name: "memory/idle_rss",
    unit: Unit::Bytes,
    tier: Tier::One,
    target: Target::Below(20e6),
    method: "VmRSS of a freshly started process, one second after /ready",
};

pub const MEMORY_UNDER_LOAD_RSS: Metric = Metric {
    id: "M-MEM-002",
    name: "memory/under_load_rss",
    unit: Unit::Bytes,
    tier: Tier::Two,
    target: Target::Below(100e6),
    method: "median VmRSS, read at 10 Hz or more while the latency load runs",
};

pub const MEMORY_PEAK_RSS: Metric = Metric {
    id: "M-MEM-003",
    name: "memory/peak_rss",
    unit: Unit::Bytes,
    tier: Tier::Three,
    target: Target::Below(150e6),
    method: "VmHWM (peak) after the latency load, reset before it",
};

pub const MEMORY_CONSTRAINED_RSS: Metric = Metric {
    id: "M-MEM-004",
    name: "memory/constrained_rss",
    unit: Unit::Bytes,
    tier: Tier::Two,
    target: Target::Below(100e6),
    method: "median VmRSS of the container's process under load, with --cpus 0.5 --memory 128m",
};

pub const CPU_IDLE_PERCENT: Metric = Metric {
    id: "M-CPU-001",
    name: "cpu/idle_percent",
    unit: Unit::Percent,
    tier: Tier::Two,
    target: Target::Below(1.0),
    method: "user and system time of the idle process, in percent of one core, over a window that resolves 0.1 %",
};

pub const CPU_UNDER_LOAD_PERCENT: Metric = Metric {
    id: "M-CPU-002",
    name: "cpu/under_load_percent",
    unit: Unit::Percent,
    tier: Tier::Two,
    target: Target::Below(50.0),
    method: "user and system time at the fixed rate of the latency load, in percent of one core",
};

pub const LATENCY_P50: Metric = Metric {
    id: "M-LAT-001",
    name: "latency/p50",
    unit: Unit::Milliseconds,
    tier: Tier::One,
    target: Target::Below(5.0),
    method: "median k6 http_req_duration of permitted tools/call requests at a constant rate, upstream takes 2 ms",
};

pub const LATENCY_P95: Metric = Metric {
    id: "M-LAT-002",
    name: "latency/p95",
    unit: Unit::Milliseconds,
    tier: Tier::One,
    target: Target::Below(15.0),
    method: "95th percentile of the requests of latency/p50",
};

pub const LATENCY_P99: Metric = Metric {
    id: "M-LAT-003",
    name: "latency/p99",
    unit: Unit::Milliseconds,
    tier: Tier::Two,
    target: Target::Below(50.0),
    method: "99th percentile of the requests of latency/p50",
};

pub const TTFB_P95: Metric = Metric {
    id: "M-TTFB-001",
    name: "ttfb/p95",
    unit: Unit::Milliseconds,
    tier: Tier::One,
    target: Target::Below(10.0),
    method: "95th percentile of k6 http_req_waiting (time to first byte) of the requests of latency/p50",
};

pub const OVERHEAD_LATENCY_P50: Metric = Metric {
    id: "M-OH-001",
    name: "overhead/latency_p50",
    unit: Unit::Milliseconds,
    tier: Tier::One,
    target: Target::Below(2.0),
    method: "proxied minus direct p50, in pairs of slices that alternate at the same rate",
};

pub const OVERHEAD_PERCENT_P50: Metric = Metric {
    id: "M-OH-002",
    name: "overhead/percent_p50",
    unit: Unit::Percent,
    tier: Tier::Three,
    target: Target::Below(10.0),
    method: "the difference of overhead/latency_p50 in percent of the direct p50, upstream service time 2 ms",
};

pub const THROUGHPUT_RPS_10VU: Metric = Metric {
    id: "M-TP-001",
    name: "throughput/rps_10vu",
    unit: Unit::RequestsPerSecond,
    tier: Tier::One,
    target: Target::Above(10_000.0),
    method: "k6 http_reqs rate, 10 VUs in a closed loop, upstream service time 0",
};

pub const THROUGHPUT_RPS_CONSTRAINED: Metric = Metric {
    id: "M-TP-002",
    name: "throughput/rps_constrained",
    unit: Unit::RequestsPerSecond,
    tier: Tier::Two,
    target: Target::Above(5_000.0),
    method: "the load of throughput/rps_10vu on a container with --cpus 0.5 --memory 128m",
};

pub const POLICY_EVAL_P50: Metric = Metric {
    id: "M-POL-001",
    name: "policy/eval_p50",
    unit: Unit::Microseconds,
    tier: Tier::Two,
    target: Target::Below(100.0),
    method: "median of policy evaluations that a Criterion benchmark times one by one",
};

pub const POLICY_EVAL_P99: Metric = Metric {
    id: "M-POL-002",
    name: "policy/eval_p99",
    unit: Unit::Microseconds,
    tier: Tier::Three,
    target: Target::Below(500.0),
    method: "99th percentile of the evaluations of policy/eval_p50",
};

pub const POLICY_RELOAD_TIME: Metric = Metric {
    id: "M-POL-003",
    name: "policy/reload_time",
    unit: Unit::Milliseconds,
    tier: Tier::Three,
    target: Target::Below(100.0),
    method: "time from replacing the policy file to the first request decided by the new policies, seen from a client",
};

pub const APPROVAL_OVERHEAD: Metric = Metric {
    id: "M-APPR-001",
    name: "approval/overhead",
    unit: Unit::Milliseconds,
    tier: Tier::Three,
    target: Target::Below(500.0),
    method: "time from sending a tools/call that needs approval until mock-slack has received chat.postMessage",
};

pub const CPU_US_PER_REQUEST: Metric = Metric {
    id: "X-CPU-001",
    name: "cpu/us_per_request",
    unit: Unit::Microseconds,
    tier: Tier::One,
    target: Target::None,
    method: "user and system time of the proxy per request, while the light load driver keeps ten connections busy",
};

pub const LATENCY_P999: Metric = Metric {
    id: "X-LAT-001",
    name: "latency/p999",
    unit: Unit::Milliseconds,
    tier: Tier::Two,
    target: Target::None,
    method: "99.9th percentile of the requests of latency/p50; about a dozen requests of a run lie beyond it",
};

pub const INSTRUCTIONS_POLICY_EVAL: Metric = Metric {
    id: "X-INS-001",
    name: "instructions/policy_eval",
    unit: Unit::Count,
    tier: Tier::Two,
    target: Target::None,
    method: "instructions of one policy evaluation, counted by valgrind; skipped where valgrind is not installed",
};

/// All rows: the requirement's 26 metrics, then the extras.
pub const METRICS: &[Metric] = &[
    BINARY_SIZE,
    BINARY_DOCKER_IMAGE_COMPRESSED,
    BINARY_DOCKER_LAYERS,
    BINARY_DOCKER_BASE,
    BINARY_MULTI_ARCH,
    STARTUP_TO_HEALTHY,
    STARTUP_TO_READY,
    STARTUP_POLICY_LOAD,
    MEMORY_IDLE_RSS,
    MEMORY_UNDER_LOAD_RSS,
    MEMORY_PEAK_RSS,
    MEMORY_CONSTRAINED_RSS,
    CPU_IDLE_PERCENT,
    CPU_UNDER_LOAD_PERCENT,
    LATENCY_P50,
    LATENCY_P95,
    LATENCY_P99,
    TTFB_P95,
    OVERHEAD_LATENCY_P50,
    OVERHEAD_PERCENT_P50,
    THROUGHPUT_RPS_10VU,
    THROUGHPUT_RPS_CONSTRAINED,
    POLICY_EVAL_P50,
    POLICY_EVAL_P99,
    POLICY_RELOAD_TIME,
    APPROVAL_OVERHEAD,
    CPU_US_PER_REQUEST,
    LATENCY_P999,
    INSTRUCTIONS_POLICY_EVAL,
];
