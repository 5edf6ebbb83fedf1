//! Memory and open descriptors of the proxy over the soak.
//!
//! Deliberately absent: how much growth is a fault.

/// One reading of the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub rss_bytes: u64,
    pub descriptors: u64,
}

/// Readings of a proxy that was not killed between them, in order of time.
#[derive(Debug, Default)]
pub struct Growth {
    samples: Vec<Sample>,
}

impl Growth {
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Medians of the first and the last third; none below three samples.
    pub(super) fn thirds(&self, of: fn(&Sample) -> u64) -> Option<(f64, f64)> {
        let third = self.samples.len() / 3;
        // A median, since a short peak is not growth.
        let median = |samples: &[Sample]| {
            let mut values: Vec<u64> = samples.iter().map(of).collect();
            values.sort_unstable();
            values.get(values.len() / 2).map(|value| *value as f64)
        };
        let last = self.samples.get(self.samples.len() - third..)?;
        Some((median(self.samples.get(..third)?)?, median(last)?))
    }

    pub fn describe(&self) -> String {
        let rss = self.thirds(|sample| sample.rss_bytes);
        let descriptors = self.thirds(|sample| sample.descriptors);
        match (rss, descriptors) {
            (Some((first, last)), Some((before, after))) => format!(
                "memory from {:.1} to {:.1} MB, open descriptors from {before} to {after}",
                first / 1e6,
                last / 1e6
            ),
            _ => "too few samples to judge growth".to_owned(),
        }
    }
}
