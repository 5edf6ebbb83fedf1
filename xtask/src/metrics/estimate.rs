//! The figures that are quoted, from the rows of a metric: value, interval, pooled percentile. Pure, and
//! so the same for a run that goes on and for one that is read from a file.
//!
//! Deliberately absent: whether a block counts (its row has that) and whether a value is good.

use super::catalog::{Kind, Metric};
use super::model::{Pooled, Run, Sample, State, Value};
use super::stats::{self, Histogram};

/// Version of these rules, and of those of the block runner. Kept with each run, since a later version
/// may derive other figures from the same rows.
pub const RULES: u32 = 2;

/// Calls beyond a percentile that a block must have: with fewer, a handful of calls decides its value.
const FEWEST_BEYOND: f64 = 20.0;

/// The median of the samples that count, in the metric's kind; of a text or boolean metric the last
/// sample. None without samples.
pub fn value(run: &Run, metric: &Metric) -> Option<Value> {
    if !matches!(metric.kind(), Kind::Integer | Kind::Float) {
        // A text or a truth value has no median, and its scenario makes one block.
        return counted(run, metric).last()?.value.clone();
    }
    let median = stats::median(&numbers(run, metric))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "samples of whole metrics are not negative, and far below 2^64"
    )]
    let whole = median.round() as u64;
    Some(match metric.kind() {
        Kind::Integer => Value::Integer(whole),
        _ => Value::Float(median),
    })
}

/// The 95 % interval of that median, where there are enough blocks.
pub fn interval(run: &Run, metric: &Metric) -> Option<[f64; 2]> {
    stats::median_interval(&numbers(run, metric))
}

/// The percentile that `metric` is, over the calls of all blocks that count. The median over blocks
/// hides a stall that fewer than half of them have; this shows it. None where each block has enough
/// calls of its own, and where no times were kept.
pub fn pooled(run: &Run, metric: &Metric) -> Option<Pooled> {
    let probability = probability(metric)?;
    let (all, fewest) = times(run, metric);
    // The block with the fewest calls decides whether the percentiles of blocks can be relied on.
    if fewest as f64 * (1.0 - probability) >= FEWEST_BEYOND {
        return None;
    }
    Some(Pooled {
        value: all.quantile(probability)?,
        n: all.count(),
    })
}

/// The times that a metric is a percentile of, over all blocks that count, and the number of calls of
/// the block with the fewest.
pub fn times(run: &Run, metric: &Metric) -> (Histogram, u64) {
    let rows: Vec<&Sample> = counted(run, metric).collect();
    let mut fewest = u64::MAX;
    let mut all = Histogram::default();
    for times in &run.distributions {
        // Only the times of blocks that count: those of disturbed blocks would show the disturbance.
        let counts = rows.iter().any(|row| {
            (row.session, row.block, &row.arm) == (times.session, times.block, &times.arm)
        });
        if counts && times.of == metric.category() {
            fewest = fewest.min(times.buckets.count());
            all = all.merged(&times.buckets);
        }
    }
    (all, fewest)
}

/// The reason why a metric that was tried has no value: no block could read it, or all were void. None
/// if it was not tried.
pub fn unreported(run: &Run, metric: &Metric) -> Option<String> {
    let blocks = run.samples_of(metric).count();
    let unread = run
        .samples_of(metric)
        .filter(|row| row.state == State::Unmeasured);
    // A void block beside them is not the reason.
    let last = unread.last().or(run.samples_of(metric).last())?;
    let why = last.reason.as_deref().unwrap_or("unknown");
    Some(format!(
        "none of {blocks} blocks has a value; last reason: {why}"
    ))
}

/// The probability in the name of a metric: 0.99 of `…/p99`, 0.999 of `…/p999`.
fn probability(metric: &Metric) -> Option<f64> {
    let (_, digits) = metric.name.split_once("/p")?;
    let all_digits = digits.chars().all(|digit| digit.is_ascii_digit());
    // One digit would be misread: `p5` is the 5th percentile, and `0.5` the median.
    (digits.len() >= 2 && all_digits)
        .then(|| format!("0.{digits}").parse().ok())
        .flatten()
}

fn numbers(run: &Run, metric: &Metric) -> Vec<f64> {
    let values = counted(run, metric).filter_map(|row| row.value.as_ref()?.number());
    values.collect()
}

/// The rows that count, of the program that the metrics are of: the first arm.
fn counted<'a>(run: &'a Run, metric: &Metric) -> impl Iterator<Item = &'a Sample> + use<'a> {
    // A comparison has rows of several programs; only one of them is quoted.
    let arm = run.arms.first().map(|arm| arm.name.as_str());
    run.samples_of(metric)
        .filter(move |row| row.state == State::Counted && Some(row.arm.as_str()) == arm)
}

#[cfg(test)]
mod tests;
