//! From the rows of a metric to what is quoted: value, interval, pooled percentile. Pure, and so the
//! same for a run that goes on and for one that is read from a file.
//!
//! Deliberately absent: whether a block counts (its row has that) and whether a value is good.

use super::catalog::{Kind, Metric};
use super::model::{Pooled, Run, Sample, State, Value};
use super::stats::{self, Histogram};

/// Version of these rules, and of those of the block runner. Kept with each run: a later version reads
/// the same rows otherwise.
pub const RULES: u32 = 2;

/// A percentile with fewer calls beyond it in one block is that of a few calls.
const FEWEST_BEYOND: f64 = 20.0;

/// The median of the samples that count, as the metric has it; of a text or truth metric the last.
/// None without any.
pub fn value(run: &Run, metric: &Metric) -> Option<Value> {
    if !matches!(metric.kind(), Kind::Integer | Kind::Float) {
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

/// The percentile that `metric` is, over the calls of all blocks that count together. The median over
/// blocks does not see a stall that fewer than half of them have; this does. None where a block alone
/// has calls enough, and where no times were kept.
pub fn pooled(run: &Run, metric: &Metric) -> Option<Pooled> {
    let probability = probability(metric)?;
    let (all, fewest) = times(run, metric);
    if fewest as f64 * (1.0 - probability) >= FEWEST_BEYOND {
        return None;
    }
    Some(Pooled {
        value: all.quantile(probability)?,
        n: all.count(),
    })
}

/// The times that a metric is a percentile of, of all blocks that count together, and how many calls
/// the block with the fewest has.
pub fn times(run: &Run, metric: &Metric) -> (Histogram, u64) {
    let rows: Vec<&Sample> = counted(run, metric).collect();
    let mut fewest = u64::MAX;
    let mut all = Histogram::default();
    for times in &run.distributions {
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

/// Why a metric that was tried has no value: no block could read it, or all were void; none if it was
/// not tried.
pub fn unreported(run: &Run, metric: &Metric) -> Option<String> {
    let blocks = run.samples_of(metric).count();
    let unread = run
        .samples_of(metric)
        .filter(|row| row.state == State::Unmeasured);
    // That a block was void besides is not why.
    let last = unread.last().or(run.samples_of(metric).last())?;
    let why = last.reason.as_deref().unwrap_or("unknown");
    Some(format!("none of {blocks} blocks counts; the last: {why}"))
}

/// Of a metric called `…/p99`, 0.99; `…/p999` is the 99.9th percentile.
fn probability(metric: &Metric) -> Option<f64> {
    let (_, digits) = metric.name.split_once("/p")?;
    let all_digits = digits.chars().all(|digit| digit.is_ascii_digit());
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
    let arm = run.arms.first().map(|arm| arm.name.as_str());
    run.samples_of(metric)
        .filter(move |row| row.state == State::Counted && Some(row.arm.as_str()) == arm)
}

#[cfg(test)]
mod tests;
