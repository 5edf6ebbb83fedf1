//! Changes of level in a series: E-divisive means (Matteson and James 2014) in overlapping windows,
//! Student's test for each split, then a robust check that removes small changes.

use super::student::student;
use super::{median, robust};

/// Values in a window, half of which is new.
const WINDOW: usize = 50;
/// Level for a split to become a candidate, and for a candidate to stay.
const WEAK: f64 = 0.01;
const STRONG: f64 = 0.001;
/// Largest number of values on each side that the check uses.
const SIDE_MAX: usize = 30;

/// Minimum requirements for a change to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// Distance of the medians, in standard deviations of the residuals.
    pub distance: f64,
    /// The same, relative to the median before.
    pub relative: f64,
    /// Number of values between two changes.
    pub segment: usize,
    /// Number of values after the last change.
    pub newest: usize,
}

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first value of the new level.
    pub index: usize,
    pub before: f64,
    pub after: f64,
    /// p of Student's test of the two sides. Since it is that of the best of many splits, it is not a
    /// rate of false alarms.
    pub p: f64,
}

impl Change {
    /// Relative change of the median.
    pub fn relative(&self) -> f64 {
        self.after / self.before - 1.0
    }
}

/// All changes of a series, in order.
pub fn changes(series: &[f64], least: &Least) -> Vec<Change> {
    let mut points = merged(series, candidates(series));
    // The worst goes first: its neighbours get longer sides, and may become clear enough.
    loop {
        let scored = points
            .iter()
            .enumerate()
            .map(|(number, _)| (number, shortfall(series, &points, number, least)));
        let worst = scored.max_by(|(_, left), (_, right)| {
            left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1))
        });
        match worst {
            Some((number, (shortfall, _))) if shortfall > 1.0 => drop(points.remove(number)),
            _ => break,
        }
    }
    let number = 0..points.len();
    number
        .filter_map(|number| change(series, &points, number))
        .collect()
}

/// The best split of `values`: where the second part begins, and its statistic.
pub fn best_split(values: &[f64]) -> Option<(usize, f64)> {
    let sums = Sums::of(values);
    let mut best: Option<(usize, f64)> = None;
    for end in 2..=values.len() {
        for split in 1..end {
            let statistic = sums.statistic(split, end);
            if best.is_none_or(|(_, other)| statistic > other) {
                best = Some((split, statistic));
            }
        }
    }
    best
}

/// Sums of distances, from which the statistic of any split follows in constant time.
struct Sums {
    /// `above[i][j]`: sum of the distances of the first `i` values to the first `j`.
    above: Vec<Vec<f64>>,
}

impl Sums {
    fn of(values: &[f64]) -> Sums {
        let count = values.len();
        let mut above = vec![vec![0.0; count + 1]; count + 1];
        for row in 0..count {
            let mut sum = 0.0;
            for column in 0..count {
                sum += (values[row] - values[column]).abs();
                above[row + 1][column + 1] = above[row][column + 1] + sum;
            }
        }
        Sums { above }
    }

    /// The statistic of a split of the first `end` values at `split`.
    fn statistic(&self, split: usize, end: usize) -> f64 {
        let (n, m) = (split as f64, (end - split) as f64);
        let across = self.above[split][end] - self.above[split][split];
        let left = self.above[split][split];
        let right = self.above[end][end] - self.above[split][end] - self.above[end][split]
            + self.above[split][split];
        // Each pair is in these sums twice.
        let within = |sum: f64, count: f64| {
            if count > 1.0 {
                sum / (count * (count - 1.0))
            } else {
                0.0
            }
        };
        n * m / (n + m) * (2.0 * across / (n * m) - within(left, n) - within(right, m))
    }
}

/// The candidates of all windows.
fn candidates(series: &[f64]) -> Vec<usize> {
    let mut points = Vec::new();
    let mut start = 0;
    loop {
        let end = series.len().min(start + WINDOW);
        split_into(&series[start..end], start, &mut points);
        if end == series.len() {
            break;
        }
        // Overlapping, so that a change at the edge of one window is in the middle of the next.
        start += WINDOW / 2;
    }
    // Overlapping windows find the same change twice.
    points.sort_unstable();
    points.dedup();
    points
}

fn split_into(window: &[f64], offset: usize, points: &mut Vec<usize>) {
    let Some((split, _)) = best_split(window) else {
        return;
    };
    let (left, right) = window.split_at(split);
    // A lenient level: `merged` tests the candidates again, with sides that may reach beyond the window.
    if student(left, right).is_some_and(|test| test.p_two < WEAK) {
        points.push(offset + split);
        split_into(left, offset, points);
        split_into(right, offset + split, points);
    }
}

/// Drops the weakest point until all that are left separate their sides at the level `STRONG`.
fn merged(series: &[f64], mut points: Vec<usize>) -> Vec<usize> {
    loop {
        let p = |number: usize| {
            let (left, right) = sides(series, &points, number);
            student(left, right).map_or(1.0, |test| test.p_two)
        };
        let weakest = (0..points.len())
            .map(|number| (number, p(number)))
            .max_by(|left, right| left.1.total_cmp(&right.1));
        match weakest {
            Some((number, p)) if p > STRONG => drop(points.remove(number)),
            _ => return points,
        }
    }
}

/// The values between a point and its neighbours.
fn sides<'s>(series: &'s [f64], points: &[usize], number: usize) -> (&'s [f64], &'s [f64]) {
    let point = points[number];
    let from = number.checked_sub(1).map_or(0, |before| points[before]);
    let to = points.get(number + 1).copied().unwrap_or(series.len());
    (&series[from..point], &series[point..to])
}

/// Two scores of a point: its distance from the requirements (above 1, it is not a change), and its
/// uncertainty, which decides between the two ends of a segment that is too short.
fn shortfall(series: &[f64], points: &[usize], number: usize, least: &Least) -> (f64, f64) {
    let (left, right) = sides(series, points, number);
    let fewest = if number + 1 == points.len() {
        least.newest
    } else {
        least.segment
    };
    let short = (least.segment as f64 / left.len() as f64).max(fewest as f64 / right.len() as f64);
    let (left, right) = (
        &left[left.len().saturating_sub(SIDE_MAX)..],
        &right[..right.len().min(SIDE_MAX)],
    );
    let (Some(before), Some(after)) = (median(left), median(right)) else {
        return (f64::INFINITY, f64::INFINITY);
    };
    let rest: Vec<f64> = left
        .iter()
        .map(|value| value - before)
        .chain(right.iter().map(|value| value - after))
        .collect();
    let sigma = robust::sigma(&rest).unwrap_or_default();
    let distance = (after - before).abs();
    let unclear = least.distance * sigma / distance;
    let small = least.relative * before.abs() / distance;
    // 0 / 0: equal medians without any spread are no change.
    let unclear = if unclear.is_nan() {
        f64::INFINITY
    } else {
        unclear
    };
    // Each ratio is above 1 where its requirement is not met, so the largest decides.
    (short.max(unclear).max(small), unclear)
}

fn change(series: &[f64], points: &[usize], number: usize) -> Option<Change> {
    let (left, right) = sides(series, points, number);
    Some(Change {
        index: points[number],
        before: median(&left[left.len().saturating_sub(SIDE_MAX)..])?,
        after: median(&right[..right.len().min(SIDE_MAX)])?,
        p: student(left, right).map_or(1.0, |test| test.p_two),
    })
}
