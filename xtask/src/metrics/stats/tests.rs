//! The statistics against reference vectors that scipy computed (`test_data/statistics.json`),
//! those that apply to what is here.

use serde_json::Value as Json;

use super::*;

fn vector(name: &str) -> Json {
    let all: Json =
        serde_json::from_str(include_str!("../../../test_data/statistics.json")).unwrap();
    let vectors = all["vectors"].as_array().unwrap();
    vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .expect(name)
        .clone()
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn close(left: f64, right: &Json, tolerance: f64) {
    let right = right.as_f64().unwrap();
    assert!(
        (left - right).abs() <= tolerance,
        "{left} is not {right} ± {tolerance}"
    );
}

#[test]
fn quantiles_are_of_type_7() {
    let vector = vector("quantile_type7");
    let samples = numbers(&vector["x"]);
    for (probability, expected) in vector["q"].as_object().unwrap() {
        let quantile = quantile(&samples, probability.parse().unwrap()).unwrap();
        close(quantile, expected, 1e-9);
    }
    assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(
        (
            median(&[]),
            mean(&[]),
            spread(&[]),
            median_absolute_deviation(&[])
        ),
        (None, None, None, None)
    );
}

#[test]
fn an_outlier_moves_neither_median_nor_deviation() {
    let vector = vector("mad_outlier");
    let samples = numbers(&vector["x"]);
    close(median(&samples).unwrap(), &vector["median"], 1e-12);
    close(
        median_absolute_deviation(&samples).unwrap(),
        &vector["mad_raw"],
        1e-12,
    );
}

#[test]
fn every_resample_of_three_is_weighed_right() {
    // All 27 resamples, exactly: the median by counts against the median by sorting.
    let samples = numbers(&vector("bootstrap_exact_mean_n3")["x"]);
    let mut means = Vec::new();
    for draw in 0..27_usize {
        let picks = [draw % 3, draw / 3 % 3, draw / 9];
        let mut counts = [0; 3];
        for pick in picks {
            counts[pick] += 1;
        }
        let resample = picks.map(|pick| samples[pick]);
        assert_eq!(Some(median_of_counts(&samples, &counts)), median(&resample));
        means.push(mean(&resample).unwrap());
    }
    let vector = vector("bootstrap_exact_mean_n3");
    close(mean(&means).unwrap(), &vector["mean_of_means"], 1e-12);
    close(quantile(&means, 0.05).unwrap(), &vector["q05"], 1e-12);
    close(quantile(&means, 0.95).unwrap(), &vector["q95"], 1e-12);
}

#[test]
fn the_bootstrap_interval_is_that_of_the_reference() {
    let vector = vector("bootstrap_median_tolerance");
    let samples = numbers(&vector["L"]);
    close(median(&samples).unwrap(), &vector["median"], 1e-12);
    for seed in 0..5 {
        let [lower, upper] = median_interval(&samples, seed).unwrap();
        close(lower, &vector["lo95"], 0.003);
        close(upper, &vector["hi95"], 0.003);
    }
}

#[test]
fn the_same_seed_gives_the_same_interval_whatever_the_order() {
    let samples = [3.0, 1.0, 2.0, 5.0, 4.0, 9.0];
    let mut reversed = samples;
    reversed.reverse();
    assert_eq!(median_interval(&samples, 7), median_interval(&reversed, 7));
    assert_ne!(Random::new(1).next(), Random::new(2).next());
}

#[test]
fn one_sample_has_no_interval_and_equal_samples_an_empty_one() {
    assert_eq!(median_interval(&[1.0], 1), None);
    assert_eq!(median_interval(&[2.0, 2.0, 2.0], 1), Some([2.0, 2.0]));
}

#[test]
fn the_generator_is_splitmix64() {
    // First outputs of the published generator for seed 1234567.
    let mut random = Random::new(1_234_567);
    let outputs = [random.next(), random.next(), random.next()];
    let expected = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
    ];
    assert_eq!(outputs, expected);
    assert!((0..10_000).all(|_| random.below(3) < 3));
}

#[test]
fn the_spread_is_the_distance_between_the_quartiles() {
    assert_eq!(spread(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(2.0));
    assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
}
