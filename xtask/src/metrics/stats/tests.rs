//! The statistics against reference vectors that scipy computed (`test_data/statistics.json`), and the
//! coverage of the interval by simulation.

use serde_json::Value as Json;

use super::interval::FEWEST;
use super::quantile::quantile;
use super::*;

pub(super) fn vector(name: &str) -> Json {
    let all: Json =
        serde_json::from_str(include_str!("../../../test_data/statistics.json")).unwrap();
    let vectors = all["vectors"].as_array().unwrap();
    vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .expect(name)
        .clone()
}

pub(super) fn numbers(json: &Json) -> Vec<f64> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

pub(super) fn close(left: f64, right: &Json, tolerance: f64) {
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
    assert_eq!(median(&[]), None);
}

#[test]
fn few_samples_have_no_interval_and_five_lie_between_smallest_and_largest() {
    assert_eq!(median_interval(&[1.0, 2.0, 3.0, 4.0]), None);
    assert_eq!(
        median_interval(&[5.0, 1.0, 2.0, 4.0, 3.0]),
        Some([1.0, 5.0])
    );
    assert_eq!(median_interval(&[2.0; 7]), Some([2.0, 2.0]));
}

#[test]
fn ten_samples_are_interpolated_between_the_second_and_the_third() {
    // Coverage of the second to the second last: 1002/1024, of the third to the third last: 912/1024.
    let samples: Vec<f64> = (1..=10).map(f64::from).collect();
    let [lower, upper] = median_interval(&samples).unwrap();
    let excess = (1002.0 / 1024.0 - 0.95) / (90.0 / 1024.0);
    let share = 8.0 * excess / (2.0 + 6.0 * excess);
    assert!((lower - (2.0 + share)).abs() < 1e-12, "{lower}");
    assert!((lower + upper - 11.0).abs() < 1e-12, "{upper}");
}

/// A draw from a distribution whose median is 1.
type Draw = fn(&mut Random) -> f64;

const DISTRIBUTIONS: [(&str, Draw); 4] = [
    ("normal", |random| 1.0 + 0.1 * normal(random)),
    ("lognormal", |random| (0.5 * normal(random)).exp()),
    // Student's t with 2 degrees of freedom: no variance.
    ("heavy-tailed", |random| {
        let chi_square = normal(random).powi(2) + normal(random).powi(2);
        1.0 + 0.1 * normal(random) / (chi_square / 2.0).sqrt()
    }),
    // One in five blocks is disturbed, and takes up to twice as long.
    ("disturbed", |random| {
        let slow = if uniform(random) < 0.2 {
            uniform(random)
        } else {
            0.0
        };
        0.001 * (normal(random) - normal_quantile_at_5_of_8()) + 1.0 + slow
    }),
];

#[test]
fn the_interval_covers_the_median_in_92_to_97_of_100_cases() {
    const TRIALS: u32 = 4000;
    let mut random = Random::new(7);
    for (name, draw) in DISTRIBUTIONS {
        for count in FEWEST..=25 {
            let mut covered = 0_u32;
            for _ in 0..TRIALS {
                let samples: Vec<f64> = (0..count).map(|_| draw(&mut random)).collect();
                let [lower, upper] = median_interval(&samples).unwrap();
                covered += u32::from((lower..=upper).contains(&1.0));
            }
            let coverage = f64::from(covered) / f64::from(TRIALS);
            println!("{name}, {count} blocks: {:.1} %", 100.0 * coverage);
            assert!(
                (0.92..=0.97).contains(&coverage),
                "{name}, {count}: {coverage}"
            );
        }
    }
}

fn uniform(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// By Box and Muller.
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(random)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(random)).cos()
}

/// Four fifths of the blocks are undisturbed, so the median of all is the five-eighths quantile of
/// those.
fn normal_quantile_at_5_of_8() -> f64 {
    0.318_639_363_964_375
}

#[test]
fn a_histogram_has_the_quantiles_of_its_values() {
    let vector = vector("quantile_type7");
    let samples = numbers(&vector["x"]);
    let histogram = Histogram::of(samples.iter().copied());
    for (probability, expected) in vector["q"].as_object().unwrap() {
        let quantile = histogram.quantile(probability.parse().unwrap()).unwrap();
        close(quantile, expected, 1e-9);
    }
    assert_eq!(Histogram::default().quantile(0.5), None);
}

#[test]
fn merged_histograms_are_those_of_all_values() {
    let mut random = Random::new(3);
    let values: Vec<f64> = (0..1000).map(|_| 2.0 + uniform(&mut random)).collect();
    let (some, others) = values.split_at(300);
    let merged = Histogram::of(some.iter().copied()).merged(&Histogram::of(others.iter().copied()));
    assert_eq!(merged, Histogram::of(values.iter().copied()));
    assert_eq!(merged.count(), 1000);
    let exact = quantile(&values, 0.99).unwrap();
    let kept = merged.quantile(0.99).unwrap();
    assert!((kept / exact - 1.0).abs() < 5e-4, "{kept} is not {exact}");
    let text = serde_json::to_string(&Histogram::of([2.203_491, 2.203_502, 10.0])).unwrap();
    assert_eq!(text, "[[2.203,1],[2.204,1],[10.0,1]]");
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
}
