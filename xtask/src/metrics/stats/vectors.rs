//! The tests and estimates against the reference vectors, each within the tolerance that it states
//! (1e-9 where it states none), and properties that must hold for any samples.

use serde_json::Value as Json;

use super::quantile::{quantile, sorted};
use super::tests::{close, numbers, vector};
use super::*;

/// Calls `check` with each vector of this kind.
fn each(kind: &str, check: impl Fn(&Json)) {
    let all: Json =
        serde_json::from_str(include_str!("../../../test_data/statistics.json")).unwrap();
    let of_kind = all["vectors"].as_array().unwrap().iter();
    let mut seen = 0;
    for vector in of_kind.filter(|vector| vector["fn"].as_str().unwrap().starts_with(kind)) {
        check(vector);
        seen += 1;
    }
    assert!(seen > 0, "no vector is of the kind {kind}");
}

/// Checks a number, with a tolerance relative to the expected one.
fn near(found: f64, expected: &Json) {
    let tolerance = 1e-9 * expected.as_f64().unwrap().abs().max(1e-12);
    close(found, expected, tolerance.max(1e-15));
}

fn given(vector: &Json, key: &str, found: f64) {
    if !vector[key].is_null() {
        near(found, &vector[key]);
    }
}

#[test]
fn t_tests() {
    let check = |vector: &Json, test: student::TTest| {
        given(vector, "t", test.t);
        given(vector, "df", test.df);
        given(vector, "p_two", test.p_two);
        given(vector, "p_greater", test.p_greater);
        if let Some(bounds) = vector["diff_ci95"].as_array() {
            near(test.interval[0], &bounds[0]);
            near(test.interval[1], &bounds[1]);
        }
    };
    let samples = |vector: &Json| (numbers(&vector["a"]), numbers(&vector["b"]));
    each("student_t", |vector| {
        let (base, head) = samples(vector);
        check(vector, student::student(&base, &head).unwrap());
    });
    each("welch_t", |vector| {
        let (mut base, mut head) = samples(vector);
        if vector["fn"] == "welch_t on ln" {
            for value in base.iter_mut().chain(&mut head) {
                *value = value.ln();
            }
        }
        let test = student::welch(&base, &head).unwrap();
        check(vector, test);
        given(vector, "ratio", test.difference.exp());
    });
    each("prediction_t", |vector| {
        let history = numbers(&vector["history"]);
        let test = student::student(&history, &[vector["x"].as_f64().unwrap()]).unwrap();
        check(vector, test);
        near(robust::standard_deviation(&history).unwrap(), &vector["sd"]);
    });
    each("paired_t", |vector| {
        let (base, head) = samples(vector);
        let pairs = base.iter().zip(&head);
        let differences: Vec<f64> = pairs.map(|(base, head)| (head / base).ln()).collect();
        let error =
            robust::standard_deviation(&differences).unwrap() / (differences.len() as f64).sqrt();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        check(vector, student::TTest::of(mean, error, 9.0));
    });
    each("t survival", |vector| {
        let (t, df) = (
            vector["t"].as_f64().unwrap(),
            vector["df"].as_f64().unwrap(),
        );
        near(distribution::t_above(t, df), &vector["sf"]);
    });
    each("t quantile", |vector| {
        let (q, df) = (
            vector["q"].as_f64().unwrap(),
            vector["df"].as_f64().unwrap(),
        );
        near(distribution::t_quantile(q, df), &vector["value"]);
    });
}

#[test]
fn constants_are_the_same_or_surely_not() {
    let same = student::student(&[5.0; 3], &[5.0; 3]).unwrap();
    assert_eq!((same.t, same.p_two), (0.0, 1.0));
    let other = student::welch(&[5.0; 3], &[6.0; 3]).unwrap();
    assert_eq!(
        (other.t, other.p_two, other.p_greater),
        (f64::INFINITY, 0.0, 0.0)
    );
    assert_eq!(student::student(&[1.0], &[2.0]), None);
    assert_eq!(student::welch(&[1.0, 2.0], &[2.0]), None);
}

#[test]
fn paired_tests() {
    each("wilcoxon signed-rank", |vector| {
        let test = paired::signed_rank(&numbers(&vector["L"])).unwrap();
        given(vector, "W_plus", test.statistic);
        given(vector, "p_greater", test.p_greater);
        given(vector, "p_two", test.p_two);
        let estimate = paired::hodges_lehmann(&numbers(&vector["L"])).unwrap();
        given(vector, "hodges_lehmann", estimate);
        given(vector, "ratio", estimate.exp());
    });
    each("sign-flip", |vector| {
        let test = paired::sign_flip(&numbers(&vector["L"]), 1).unwrap();
        assert_eq!(Json::from(test.p_greater), vector["p_greater"]);
        assert_eq!(Json::from(test.p_two), vector["p_two"]);
    });
    each("HL confidence interval", |vector| {
        let interval = paired::hodges_lehmann_interval(&numbers(&vector["L"]), 0.95).unwrap();
        near(interval[0], &vector["lo"]);
        near(interval[1], &vector["hi"]);
    });
}

#[test]
fn dealing_again_and_drawing_again() {
    each("two-sample permutation", |vector| {
        let dealt = permutation::means(&numbers(&vector["a"]), &numbers(&vector["b"])).unwrap();
        near(dealt.difference, &vector["obs"]);
        near(dealt.p_greater, &vector["p_greater"]);
        near(dealt.p_two, &vector["p_two"]);
        assert_eq!(dealt.ways as u64, vector["total"].as_u64().unwrap());
    });
    // On ranks it is the exact test of Mann and Whitney.
    each("Mann-Whitney", |vector| {
        let (base, head) = (numbers(&vector["a"]), numbers(&vector["b"]));
        let all = sorted(&[base.clone(), head.clone()].concat());
        let rank = |value: &f64| all.partition_point(|other| other < value) as f64;
        let ranks = |values: &[f64]| values.iter().map(rank).collect::<Vec<f64>>();
        let dealt = permutation::means(&ranks(&base), &ranks(&head)).unwrap();
        near(dealt.p_greater, &vector["p_greater"]);
        let wins = head
            .iter()
            .flat_map(|head| base.iter().filter(move |base| *base < head));
        near(wins.count() as f64, &vector["U"]);
    });
    let check = |vector: &Json, statistic: fn(&[f64]) -> Option<f64>, tolerance: f64| {
        let plan = (200_000, 0.95);
        let found = bootstrap::interval(&numbers(&vector["L"]), statistic, plan, 7).unwrap();
        close(found[0], &vector["lo95"], tolerance);
        close(found[1], &vector["hi95"], tolerance);
    };
    let mean = |values: &[f64]| Some(values.iter().sum::<f64>() / values.len() as f64);
    each("percentile bootstrap of median", |vector| {
        check(vector, median, 0.003);
    });
    each("percentile bootstrap of mean", |vector| {
        check(vector, mean, 0.002);
    });
    each("all 27 resamples", |vector| {
        let values = numbers(&vector["x"]);
        let each = |index: usize| [index / 9, index / 3 % 3, index % 3];
        let means = (0..27).map(|index| each(index).map(|at| values[at]).iter().sum::<f64>() / 3.0);
        let means: Vec<f64> = means.collect();
        near(means.iter().sum::<f64>() / 27.0, &vector["mean_of_means"]);
        near(quantile(&means, 0.05).unwrap(), &vector["q05"]);
        near(quantile(&means, 0.95).unwrap(), &vector["q95"]);
        let squares = means
            .iter()
            .map(|mean| (mean - 7.0 / 3.0_f64).powi(2))
            .sum::<f64>();
        near((squares / 27.0).sqrt(), &vector["sd_pop"]);
    });
}

#[test]
fn families() {
    let check = |vector: &Json, adjusted: &[f64]| {
        let expected = vector["adjusted"].as_array().unwrap();
        assert_eq!(adjusted.len(), expected.len());
        for (found, expected) in adjusted.iter().zip(expected) {
            near(*found, expected);
        }
    };
    each("Holm", |vector| {
        check(vector, &adjust::holm(&numbers(&vector["p"])));
    });
    each("Benjamini-Hochberg", |vector| {
        check(vector, &adjust::benjamini_hochberg(&numbers(&vector["p"])));
    });
    // For any dependence: as above, times the sum of 1/k.
    each("Benjamini-Yekutieli", |vector| {
        let p = numbers(&vector["p"]);
        let factor: f64 = (1..=p.len()).map(|rank| 1.0 / rank as f64).sum();
        let scaled: Vec<f64> = p.iter().map(|p| factor * p).collect();
        check(vector, &adjust::benjamini_hochberg(&scaled));
    });
}

#[test]
fn spreads_powers_and_rates() {
    each("median, MAD", |vector| {
        let values = numbers(&vector["x"]);
        near(median(&values).unwrap(), &vector["median"]);
        near(robust::deviation(&values).unwrap(), &vector["mad_raw"]);
        near(robust::sigma(&values).unwrap(), &vector["sigma"]);
        let z = 0.6745 * (250.0 - 100.5) / robust::deviation(&values).unwrap();
        near(z, &vector["modified_z_of_250"]);
    });
    each("N=", |vector| {
        let number = |key: &str| vector[key].as_f64().unwrap();
        let needed = power::blocks_needed(
            number("delta"),
            number("sd"),
            number("alpha"),
            number("power"),
        );
        near(needed, &vector["N"]);
    });
    each("P(>=2 of 3", |vector| {
        near(power::at_least(2, 3, 0.05), &vector["value"]);
    });
    each("1-(1-.05)^26", |vector| {
        near(power::at_least(1, 26, 0.05), &vector["value"]);
    });
    let upper = |name: &str, found: u64| {
        near(
            distribution::rate_bounds(found, 300, 0.95)[1],
            &vector(name)["value"],
        );
    };
    upper("clopper_pearson_0_of_300", 0);
    upper("clopper_pearson_upper_3_of_300", 3);
    close(
        distribution::rate_bounds(300, 300, 0.95)[1],
        &1.0.into(),
        0.0,
    );
    close(distribution::rate_bounds(0, 300, 0.95)[0], &0.0.into(), 0.0);
}

#[test]
fn changes_of_level() {
    each("E-divisive", |vector| {
        let (split, statistic) = changepoint::best_split(&numbers(&vector["z"])).unwrap();
        assert_eq!(split as u64, vector["tau"].as_u64().unwrap());
        near(statistic, &vector["qhat"]);
    });
    let series = numbers(&vector("otava_series1")["series"]);
    let least = changepoint::Least {
        distance: 2.5,
        relative: 0.02,
        segment: 5,
        newest: 5,
    };
    let found = changepoint::changes(&series, &least);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].index, 6);
    near(found[0].p, &vector("otava_series1_ddof1")["p_two"]);
}

#[test]
fn every_vector_is_of_a_kind_that_is_checked() {
    let all: Json =
        serde_json::from_str(include_str!("../../../test_data/statistics.json")).unwrap();
    let kinds = [
        "student",
        "welch",
        "prediction",
        "t survival",
        "t quantile",
        "paired_t",
        "wilcoxon",
        "sign-flip",
        "HL",
        "two-sample",
        "Mann-Whitney",
        "all 27",
        "percentile",
        "Benjamini",
        "Holm",
        "median, MAD",
        "linear interpolation",
        "E-divisive",
        "Otava",
        "same split",
        "N=",
        "P(>=",
        "1-(1-",
        "one-sided 95",
    ];
    let vectors = all["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 47);
    for vector in vectors {
        let kind = vector["fn"].as_str().unwrap();
        assert!(kinds.iter().any(|known| kind.starts_with(known)), "{kind}");
    }
}

/// Samples that are none, one, many, constant, tiny, huge, or of both signs.
fn samples() -> Vec<Vec<f64>> {
    let mut random = Random::new(11);
    let mut noise = |count: usize, scale: f64| -> Vec<f64> {
        (0..count)
            .map(|_| scale * (random.below(2001) as f64 - 1000.0) / 1000.0)
            .collect()
    };
    vec![
        vec![],
        vec![0.0; 20],
        vec![3.0],
        vec![-2.0; 7],
        vec![1e-300; 9],
        noise(5, 1.0),
        noise(13, 1e-200),
        noise(30, 1e150),
        noise(40, 0.05),
        noise(150, 1.0),
    ]
}

#[test]
fn no_figure_is_not_a_number_whatever_the_samples() {
    for differences in samples() {
        for test in [
            paired::signed_rank(&differences),
            paired::sign_flip(&differences, 3),
        ] {
            let Some(test) = test else { continue };
            for p in [test.p_greater, test.p_less, test.p_two] {
                assert!((0.0..=1.0).contains(&p), "{p}: {differences:?}");
            }
        }
        for base in samples() {
            let tests = [
                student::student(&base, &differences),
                student::welch(&base, &differences),
            ];
            for test in tests.into_iter().flatten() {
                assert!(!test.t.is_nan() && !test.df.is_nan(), "{test:?}");
                assert!((0.0..=1.0).contains(&test.p_two), "{test:?}");
            }
        }
        let interval = paired::hodges_lehmann_interval(&differences, 0.95);
        let estimate = paired::hodges_lehmann(&differences);
        if let (Some([lower, upper]), Some(estimate)) = (interval, estimate) {
            assert!(lower <= estimate && estimate <= upper, "{differences:?}");
        }
    }
}

#[test]
fn order_and_scale_change_no_p_and_signs_mirror_it() {
    for differences in samples() {
        let shuffled: Vec<f64> = differences.iter().rev().copied().collect();
        let scaled: Vec<f64> = differences.iter().map(|value| 8.0 * value).collect();
        let mirrored: Vec<f64> = differences.iter().map(|value| -value).collect();
        for test in [paired::signed_rank, |d: &[f64]| paired::sign_flip(d, 5)] {
            let p = |d: &[f64]| test(d).map(|test| (test.p_greater, test.p_two));
            assert_eq!(p(&differences), p(&shuffled));
            assert_eq!(p(&differences), p(&scaled));
        }
        let both = paired::signed_rank(&differences).zip(paired::signed_rank(&mirrored));
        if let Some((test, mirror)) = both {
            assert_eq!((test.p_greater, test.p_two), (mirror.p_less, mirror.p_two));
        }
        assert_eq!(
            paired::hodges_lehmann(&differences).map(|estimate| -estimate),
            paired::hodges_lehmann(&mirrored)
        );
    }
}
