//! Location and spread that a few far values do not move, and how much a series depends on itself.

use super::median;

/// Makes the median absolute deviation of normal values their standard deviation.
const NORMAL: f64 = 1.4826;

/// The median absolute deviation from the median; none of nothing.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&distances)
}

/// The standard deviation as that deviation tells it; none of nothing.
pub fn sigma(values: &[f64]) -> Option<f64> {
    Some(NORMAL * deviation(values)?)
}

/// The sample standard deviation; none below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

/// The values with those that are more than `limit` times [`sigma`] from the median moved to there, and
/// how many that were.
pub fn winsorised(values: &[f64], limit: f64) -> (Vec<f64>, usize) {
    let (Some(middle), Some(sigma)) = (median(values), sigma(values)) else {
        return (Vec::new(), 0);
    };
    if sigma == 0.0 {
        // More than half are equal: no distance is far or near.
        return (values.to_vec(), 0);
    }
    let (lower, upper) = (middle - limit * sigma, middle + limit * sigma);
    let kept: Vec<f64> = values
        .iter()
        .map(|value| value.clamp(lower, upper))
        .collect();
    let far = values
        .iter()
        .filter(|value| !(lower..=upper).contains(*value));
    (kept, far.count())
}

/// How much a value of the series tells of the next, from 0 (nothing) to 0.8.
pub fn autocorrelation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 3 || squares == 0.0 {
        return 0.0;
    }
    let products: f64 = values
        .windows(2)
        .map(|pair| (pair[0] - mean) * (pair[1] - mean))
        .sum();
    (products / squares).clamp(0.0, 0.8)
}

/// The median change from one value to the next, relative to the first of the two; none below two
/// values.
pub fn usual_change(values: &[f64]) -> Option<f64> {
    let changes: Vec<f64> = values
        .windows(2)
        .filter(|pair| pair[0] != 0.0)
        .map(|pair| ((pair[1] - pair[0]) / pair[0]).abs())
        .collect();
    median(&changes)
}
