//! Robust location and spread, which a few outliers do not move, and the autocorrelation of a series.

use super::median;

/// Factor from the median absolute deviation to the standard deviation, for normal values.
const NORMAL: f64 = 1.4826;

/// The median absolute deviation from the median; none without values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&distances)
}

/// The standard deviation, estimated from that deviation; none without values.
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
    // Divided by one less than the count: the mean comes from the same values.
    Some((squares / (count - 1.0)).sqrt())
}

/// The values, with those farther than `limit` times [`sigma`] from the median moved to that distance,
/// and the number of those.
pub fn winsorised(values: &[f64], limit: f64) -> (Vec<f64>, usize) {
    let (Some(middle), Some(sigma)) = (median(values), sigma(values)) else {
        return (Vec::new(), 0);
    };
    if sigma == 0.0 {
        // More than half of the values are equal: there is no scale for a distance.
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

/// The correlation of each value with the next, limited to 0 to 0.8.
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
    // Below 0 it would make a series worth more than its length; near 1 it would make it worth nothing.
    (products / squares).clamp(0.0, 0.8)
}

/// The median change from one value to the next, relative to the first of the two; none below two
/// values.
pub fn usual_change(values: &[f64]) -> Option<f64> {
    let changes: Vec<f64> = values
        .windows(2)
        // A change from 0 has no relative size.
        .filter(|pair| pair[0] != 0.0)
        .map(|pair| ((pair[1] - pair[0]) / pair[0]).abs())
        .collect();
    median(&changes)
}
