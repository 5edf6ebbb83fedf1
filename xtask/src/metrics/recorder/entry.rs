//! Adding the result of one block to the tables of the run.

use anyhow::ensure;
use serde_json::Value as Json;

use super::super::catalog::{Kind, Metric};
use super::super::host::Pressure;
use super::super::model::{Distribution, RawData, Run, Sample, State, Value};
use super::super::stats::Histogram;
use super::reading::{Measure, Missing, Reading};

/// The block that a result is of.
pub struct At<'a> {
    /// The scenario's label.
    pub scenario: &'a str,
    /// The number of the block in its scenario, from 0.
    pub block: usize,
    /// The label of the program.
    pub arm: &'a str,
    /// Milliseconds since the epoch when it began.
    pub started_ms: u64,
    /// Disturbance by the rest of the machine meanwhile.
    pub pressure: Pressure,
}

/// The result of a block.
pub enum Taken {
    /// The readings of all metrics, in the order of the scenario's table.
    Measured {
        /// One reading a metric.
        readings: Vec<(&'static Metric, Reading)>,
        /// The disturbance for which the block has to be repeated.
        noise: Option<String>,
        /// The times behind its percentiles, by category of metrics.
        distributions: Vec<(&'static str, Histogram)>,
        /// The output of the tools.
        raw: Json,
    },
    /// No value may be counted, for this reason.
    Void(Vec<&'static Metric>, String),
}

impl Taken {
    pub(super) fn metrics(&self) -> Vec<&'static Metric> {
        match self {
            Taken::Measured { readings, .. } => readings.iter().map(|row| row.0).collect(),
            Taken::Void(metrics, _) => metrics.clone(),
        }
    }

    /// Adds its rows to the tables.
    pub(super) fn add_to(self, run: &mut Run, at: &At<'_>) -> anyhow::Result<()> {
        match self {
            Taken::Void(metrics, why) => {
                let void = |metric| at.row(metric, None, State::Void, Some(why.clone()));
                run.samples.extend(metrics.into_iter().map(void));
            }
            Taken::Measured {
                readings,
                noise,
                distributions,
                raw,
            } => {
                let rows = readings.into_iter().map(|(metric, reading)| {
                    // Checked here for all scenarios, so that none can record what its metric cannot have.
                    let reading = checked(metric, reading)?;
                    Ok(at.read(metric, reading, noise.clone()))
                });
                run.samples
                    .extend(rows.collect::<anyhow::Result<Vec<_>>>()?);
                let distributions = distributions.into_iter();
                run.distributions
                    .extend(distributions.map(|(category, times)| at.times(category, times)));
                // A scenario without tools has no output to keep.
                if !raw.is_null() {
                    run.raw.push(RawData {
                        session: 0,
                        scenario: at.scenario.to_owned(),
                        block: at.block,
                        data: raw,
                    });
                }
            }
        }
        Ok(())
    }
}

impl At<'_> {
    fn read(&self, metric: &Metric, reading: Reading, noise: Option<String>) -> Sample {
        match reading {
            Ok(measure) => {
                let state = match noise {
                    Some(_) => State::Noisy,
                    None => State::Counted,
                };
                self.row(metric, Some(measure), state, noise)
            }
            Err(missing) => self.row(metric, None, State::Unmeasured, Some(missing.reason)),
        }
    }

    fn row(
        &self,
        metric: &Metric,
        measure: Option<Measure>,
        state: State,
        reason: Option<String>,
    ) -> Sample {
        let (value, n) = measure.map(|measure| (measure.value, measure.n)).unzip();
        Sample {
            session: 0,
            block: self.block,
            arm: self.arm.to_owned(),
            order: 0,
            metric: metric.name.to_owned(),
            value,
            n,
            started: Some(self.started_ms),
            steal: self.pressure.steal_percent,
            others: self.pressure.others_percent,
            psi: self.pressure.waiting_percent,
            state,
            reason,
        }
    }

    fn times(&self, category: &str, buckets: Histogram) -> Distribution {
        Distribution {
            session: 0,
            block: self.block,
            arm: self.arm.to_owned(),
            of: category.to_owned(),
            buckets,
        }
    }
}

/// The reading; an impossible number becomes unmeasured. A value of the wrong kind is an error.
fn checked(metric: &Metric, reading: Reading) -> anyhow::Result<Reading> {
    let Ok(measure) = &reading else {
        return Ok(reading);
    };
    let fits = match &measure.value {
        Value::Integer(_) | Value::Float(_) => matches!(metric.kind(), Kind::Integer | Kind::Float),
        Value::Text(_) => metric.kind() == Kind::Text,
        Value::Boolean(_) => metric.kind() == Kind::Boolean,
    };
    let unit = metric.unit.name();
    ensure!(
        fits,
        "failed to record `{}`: {:?} for a metric whose unit is `{unit}`",
        metric.name,
        measure.value,
    );
    // An impossible number is a fault of one reading: it costs its own metric and not the run.
    let possible = measure
        .value
        .number()
        .is_none_or(|number| number.is_finite() && (number >= 0.0 || metric.may_be_negative()));
    if possible {
        return Ok(reading);
    }
    let reason = format!(
        "the measured value {:?} {unit} is impossible",
        measure.value
    );
    Ok(Err(Missing { reason, hint: None }))
}
