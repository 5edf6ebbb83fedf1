//! A histogram of times that costs a request two additions.
//!
//! The one of `prometheus-client` takes a lock, which the workers would contend for. Here a reader may see
//! a count without its time in the sum, for one request; the next scrape has both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// A histogram; clones share it.
#[derive(Debug, Clone)]
pub struct Seconds(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Upper bounds in microseconds, ascending.
    bounds_us: &'static [u64],
    /// Times up to each bound and above the one before; the last one is beyond all bounds.
    counts: Vec<AtomicU64>,
    sum_ns: AtomicU64,
}

impl Seconds {
    /// A histogram with these upper bounds, ascending, and one without a bound.
    pub fn new(bounds_us: &'static [u64]) -> Seconds {
        let counts = (0..=bounds_us.len()).map(|_| AtomicU64::new(0)).collect();
        Seconds(Arc::new(Shared {
            bounds_us,
            counts,
            sum_ns: AtomicU64::new(0),
        }))
    }

    /// Adds one time.
    pub fn observe(&self, time: Duration) {
        let Shared {
            bounds_us,
            counts,
            sum_ns,
        } = &*self.0;
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let above = |bound_us: &&u64| time_ns > **bound_us * 1000;
        let bucket = bounds_us.iter().take_while(above).count();
        // `Relaxed` suffices: nothing is ordered by them.
        counts[bucket].fetch_add(1, Ordering::Relaxed);
        sum_ns.fetch_add(time_ns, Ordering::Relaxed);
    }
}

impl EncodeMetric for Seconds {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let bounds = self.0.bounds_us.iter().map(|us| *us as f64 / 1e6);
        let counts = self
            .0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_takes_it() {
        let seconds = Seconds::new(&[250, 1_000]);
        for us in [1, 250, 251, 1_000, 1_001, 2_000_000] {
            seconds.observe(Duration::from_micros(us));
        }
        let mut registry = Registry::default();
        registry.register("x_seconds", "Times", seconds);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(
            text,
            "# HELP x_seconds Times.\n# TYPE x_seconds histogram\nx_seconds_sum 2.002503\n\
             x_seconds_count 6\nx_seconds_bucket{le=\"0.00025\"} 2\nx_seconds_bucket{le=\"0.001\"} 4\n\
             x_seconds_bucket{le=\"+Inf\"} 6\n# EOF\n"
        );
    }
}
