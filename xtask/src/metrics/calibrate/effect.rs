//! The known slowdowns, and the metric in which each must be found.

use crate::metrics::catalog::{
    CPU_US_PER_REQUEST, LATENCY_P50, LATENCY_P99, MEMORY_IDLE_RSS, Metric, STARTUP_TO_READY,
    THROUGHPUT_RPS_10VU,
};
use crate::metrics::stats::Histogram;

#[derive(Debug)]
pub struct Effect {
    /// Its name, in files and on the command line.
    pub name: &'static str,
    /// The metric in which it must be found; none without a slowdown.
    pub metric: Option<&'static Metric>,
    /// The share by which that metric has to become worse.
    share: f64,
}

/// Figures of a program without a slowdown.
#[derive(Debug, Clone, PartialEq)]
pub struct Usual {
    cpu_us: f64,
    rate: f64,
    rss_bytes: f64,
    ready_ms: f64,
    /// The times of its calls.
    times: Histogram,
}

impl Usual {
    /// From the medians of metrics, and the times of calls.
    pub fn of(median: impl Fn(&str) -> Option<f64>, times: Histogram) -> Option<Usual> {
        Some(Usual {
            cpu_us: median(CPU_US_PER_REQUEST.name)?,
            rate: median(THROUGHPUT_RPS_10VU.name)?,
            rss_bytes: median(MEMORY_IDLE_RSS.name)?,
            ready_ms: median(STARTUP_TO_READY.name)?,
            times,
        })
    }

    /// N, if one in N calls has to take longer than all others for the 99th percentile to be worse by
    /// `share`: together with those that are that slow anyway, they are one in a hundred.
    fn tail_every(&self, share: f64) -> f64 {
        let p99 = self.times.quantile(0.99).unwrap_or_default();
        let longer = self.times.share_above(p99 * (1.0 + share));
        // Where one call in a hundred is that slow anyway, the limit keeps the result finite.
        (1.0 - longer) / (0.01 - longer).max(1e-5)
    }
}

const fn effect(name: &'static str, metric: &'static Metric, share: f64) -> Effect {
    Effect {
        name,
        metric: Some(metric),
        share,
    }
}

impl Effect {
    /// No slowdown: a second build of the same program.
    pub const NONE: Effect = Effect {
        name: "none",
        metric: None,
        share: 0.0,
    };
    pub const ALL: &[Effect] = &[
        Effect::NONE,
        effect("cpu-3", &CPU_US_PER_REQUEST, 0.03),
        effect("p50-5", &LATENCY_P50, 0.05),
        effect("p50-10", &LATENCY_P50, 0.10),
        effect("tail-15", &LATENCY_P99, 0.15),
        effect("memory-20", &MEMORY_IDLE_RSS, 0.20),
        effect("start-20", &STARTUP_TO_READY, 0.20),
    ];

    /// The value of the environment variable that slows the program down by this amount.
    pub fn slowdown(&self, usual: &Usual) -> String {
        // At least 1: a slowdown of 0 would be none.
        let whole = |number: f64| format!("{:.0}", number.max(1.0));
        let share = self.share;
        match self.name {
            "cpu-3" => format!("busy_ns={}", whole(share * usual.cpu_us * 1e3)),
            // In a closed loop of n clients calls queue: a call that takes d longer makes each latency
            // n d longer. A latency is n / rate, so that a share of it is reached with d = share / rate.
            "p50-5" | "p50-10" => format!("busy_ns={}", whole(share * 1e9 / usual.rate)),
            "tail-15" => format!("tail_every={}", whole(usual.tail_every(share))),
            "memory-20" => format!("kept_bytes={}", whole(share * usual.rss_bytes)),
            "start-20" => format!("start_us={}", whole(share * usual.ready_ms * 1e3)),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_effect_is_sized_by_what_the_program_does() {
        let median = |name: &str| {
            Some(match name {
                "cpu/us_per_request" => 20.0,
                "throughput/rps_10vu" => 20_000.0,
                "memory/idle_rss" => 1e7,
                _ => 6.0,
            })
        };
        // Of 1,000 calls 11 take 2 ms or more, and 6 more than 2.3 ms.
        let times = [(0.5, 989), (2.0, 5), (2.5, 6)];
        let usual = Usual::of(median, Histogram::of_counts(times)).unwrap();
        let slowdowns: Vec<String> = Effect::ALL
            .iter()
            .map(|effect| effect.slowdown(&usual))
            .collect();
        assert_eq!(
            slowdowns,
            [
                "",
                "busy_ns=600",
                "busy_ns=2500",
                "busy_ns=5000",
                "tail_every=248",
                "kept_bytes=2000000",
                "start_us=1200"
            ]
        );
    }
}
