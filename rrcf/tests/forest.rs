//! The forest as its users see it.

use proptest::prelude::*;
use rrcf_rs::{Error, Forest, ForestBuilder, Score};

/// A series with noise, a period and a few outliers, from a seed.
fn series(seed: u64, points: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0
    };
    let mut value = |n: usize, d: usize| {
        let phase = ((n + 17 * d) % 48) as f32 / 48.0;
        let outlier = if n % 131 == 130 { 9.0 } else { 0.0 };
        20.0 + 12.0 * phase * (1.0 - phase) + noise() + outlier
    };
    (0..points).map(|n| (0..dimensions).map(|d| value(n, d)).collect()).collect()
}

fn scores(forest: &mut Forest, points: &[Vec<f32>]) -> Vec<Score> {
    points.iter().map(|point| forest.update(point).expect("the series is finite")).collect()
}

/// A point alone: at the root of every tree.
const ALONE: Score = Score {
    codisp: 0.0,
    displacement: 0.0,
    depth: 0.0,
    log_codisp: 0.0,
    log_displacement: 0.0,
    inverse_depth: 1.0,
};

#[test]
fn the_first_point_has_nothing_to_compare_with() {
    let mut forest = Forest::builder(1).build().unwrap();
    assert_eq!(forest.update(&[3.0]).unwrap(), ALONE);
    assert_eq!(forest.len(), 1);
}

#[test]
fn a_window_of_one_scores_zero_for_ever() {
    let mut forest = Forest::builder(1).window(1).trees(3).build().unwrap();
    for score in scores(&mut forest, &series(1, 50, 1)) {
        assert_eq!(score, ALONE);
    }
    assert_eq!((forest.len(), forest.updates()), (1, 50));
}

#[test]
fn a_window_of_two_compares_each_point_with_the_one_before() {
    let mut forest = Forest::builder(1).window(2).trees(3).build().unwrap();
    let scores: Vec<Score> =
        [1.0, 2.0, 2.0, 3.0].iter().map(|&value| forest.update(&[value]).unwrap()).collect();
    let ln_2 = libm::log1p(1.0);
    let apart = Score {
        codisp: 1.0,
        displacement: 1.0,
        depth: 1.0,
        log_codisp: (ln_2 + ln_2 + ln_2) / 3.0,
        log_displacement: (ln_2 + ln_2 + ln_2) / 3.0,
        inverse_depth: 0.5,
    };
    assert_eq!(scores, [ALONE, apart, ALONE, apart]);
}

#[test]
fn equal_outliers_do_not_hide_each_other() {
    let mut forest = Forest::builder(1).trees(50).build().unwrap();
    for _ in 0..10 {
        forest.update(&[0.0]).unwrap();
    }
    for outliers in 1..=4_u8 {
        let codisp = forest.update(&[100.0]).unwrap().codisp;
        assert!((codisp - 10.0 / f64::from(outliers)).abs() < 1e-12, "{codisp} with {outliers}");
    }
}

#[test]
fn negative_zero_equals_zero() {
    let mut forest = Forest::builder(1).trees(5).build().unwrap();
    forest.update(&[0.0]).unwrap();
    assert_eq!(forest.update(&[-0.0]).unwrap(), ALONE);
}

#[test]
fn an_outlier_scores_high_lies_high_and_names_its_field() {
    let mut forest = Forest::builder(3).trees(100).window(256).seed(3).build().unwrap();
    let mut contributions = [0.0; 3];
    let mut ordinary = 0.0_f64;
    for mut point in series(2, 500, 3) {
        for value in &mut point {
            *value = value.min(25.0);
        }
        ordinary = ordinary.max(forest.update_attributed(&point, &mut contributions).unwrap().codisp);
    }
    let outlier = forest.update_attributed(&[22.0, 60.0, 22.0], &mut contributions).unwrap();
    assert!(outlier.codisp > 150.0 && outlier.codisp > 3.0 * ordinary, "{outlier:?} after {ordinary}");
    assert!(outlier.depth < 3.0 && outlier.displacement > 150.0, "{outlier:?}");
    assert!(contributions[1] > 0.9, "{contributions:?}");
}

#[test]
fn attribution_of_a_shingle_names_the_newest_value_when_it_jumps() {
    let mut forest = Forest::builder(1).trees(60).window(200).shingle(4).seed(3).build().unwrap();
    let mut contributions = [0.0; 4];
    for n in 0..300_u16 {
        forest.update_attributed(&[f32::from(n % 7)], &mut contributions).unwrap();
    }
    forest.update_attributed(&[90.0], &mut contributions).unwrap();
    assert!(contributions[3] > 0.9, "{contributions:?}");
}

#[test]
fn until_the_shingle_is_full_there_is_no_score() {
    let mut forest = Forest::builder(1).shingle(4).trees(2).build().unwrap();
    let mut contributions = [7.0; 4];
    for n in 0..3_u16 {
        let score = forest.update_attributed(&[f32::from(n)], &mut contributions).unwrap();
        assert_eq!((score, contributions), (Score::default(), [0.0; 4]));
        assert!(forest.is_empty());
    }
    forest.update(&[3.0]).unwrap();
    assert_eq!((forest.len(), forest.updates()), (1, 4));
}

/// Powers of two scale `f32` exactly, so weighing a field must do to the bit what scaling its values does.
#[test]
fn weighing_a_field_is_scaling_it() {
    let points = series(11, 400, 3);
    let factors = [4.0_f32, 0.25, 1.0];
    let scaled: Vec<Vec<f32>> = points
        .iter()
        .map(|point| point.iter().zip(factors).map(|(value, factor)| value * factor).collect())
        .collect();
    for shingle in [1, 3] {
        let builder = Forest::builder(3).trees(10).window(100).shingle(shingle).seed(1);
        let mut weighed = builder.clone().build().unwrap();
        let mut plain = builder.build().unwrap();
        weighed.set_weights(&factors).unwrap();
        assert_eq!(scores(&mut weighed, &points), scores(&mut plain, &scaled));
    }
}

#[test]
fn weights_survive_a_snapshot() {
    let points = series(11, 100, 2);
    let mut weighed = Forest::builder(2).trees(10).window(64).build().unwrap();
    weighed.set_weights(&[1.0, 1e-6]).unwrap();
    let mut restored = Forest::restore(&weighed.snapshot()).unwrap();
    let mut plain = Forest::builder(2).trees(10).window(64).build().unwrap();
    let expected = scores(&mut weighed, &points);
    assert_eq!(scores(&mut restored, &points), expected);
    assert_ne!(scores(&mut plain, &points), expected);
}

#[test]
fn same_seed_same_scores_other_seed_others() {
    let points = series(4, 300, 2);
    let run = |seed| {
        scores(&mut Forest::builder(2).trees(7).window(64).shingle(2).seed(seed).build().unwrap(), &points)
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}

#[test]
fn scores_are_the_same_on_every_platform() {
    let mut forest = Forest::builder(2).trees(7).window(64).shingle(3).seed(42).build().unwrap();
    let total: f64 = scores(&mut forest, &series(4, 300, 2)).iter().map(|score| score.codisp).sum();
    assert_eq!(total.to_bits(), 0x4095_7a58_6528_b78c, "{total}");
}

#[test]
fn every_zero_and_every_excess_of_a_size_is_an_error() {
    let builders: [(ForestBuilder, &str); 8] = [
        (Forest::builder(0), "dimensions"),
        (Forest::builder(1).trees(0), "trees"),
        (Forest::builder(1).window(0), "window"),
        (Forest::builder(1).shingle(0), "shingle"),
        (Forest::builder(1).window(usize::MAX), "window"),
        (Forest::builder(1).trees(usize::MAX), "trees"),
        (Forest::builder(1).shingle(usize::MAX), "shingle"),
        (Forest::builder(300).shingle(300), "dimensions * shingle"),
    ];
    for (builder, name) in builders {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, Error::OutOfRange { what, .. } if what == name), "{error}");
        assert!(error.to_string().starts_with(name));
    }
}

#[test]
fn errors_change_nothing() {
    let mut forest = Forest::builder(2).trees(5).window(16).shingle(2).build().unwrap();
    let points = series(8, 40, 2);
    for (n, point) in points.iter().enumerate() {
        let before = forest.snapshot();
        let mut contributions = [0.5; 4];
        let infinity = f32::INFINITY;
        assert_eq!(forest.update(&[1.0, f32::NAN]), Err(Error::NotFinite { dimension: 1 }));
        assert_eq!(forest.update(&[infinity, 1.0]), Err(Error::NotFinite { dimension: 0 }));
        assert_eq!(forest.update(&[0.0, -infinity]), Err(Error::NotFinite { dimension: 1 }));
        let wrong = |what, got, expected| Error::WrongLength { what, got, expected };
        assert_eq!(forest.update(&[1.0]), Err(wrong("point", 1, 2)));
        assert_eq!(forest.update(&[]), Err(wrong("point", 0, 2)));
        assert_eq!(forest.update(&[1.0; 4]), Err(wrong("point", 4, 2)));
        let short = forest.update_attributed(point, &mut contributions[..2]);
        assert_eq!(short, Err(wrong("contributions", 2, 4)));
        assert!(forest.update_attributed(&[f32::NAN, 0.0], &mut contributions).is_err());
        assert_eq!(contributions.map(f64::to_bits), [0.5_f64.to_bits(); 4]);
        assert_eq!(forest.set_weights(&[1.0]), Err(wrong("weights", 1, 2)));
        for bad in [0.0, -1.0, f32::NAN, infinity] {
            assert_eq!(forest.set_weights(&[2.0, bad]), Err(Error::BadWeight { dimension: 1 }));
        }
        assert_eq!(forest.snapshot(), before, "after {n} points");
        forest.update(point).unwrap();
    }
}

#[test]
fn memory_follows_the_points_held_and_all_but_stops_with_the_window() {
    let mut forest = Forest::builder(3).trees(16).window(2_048).build().unwrap();
    let points = series(5, 5_000, 3);
    let empty = forest.memory_usage();
    assert!(empty < 16 * 1_024, "{empty} bytes before the first point");
    scores(&mut forest, &points[..100]);
    let young = forest.memory_usage();
    assert!(young < 16 * 100 * 50, "{young} bytes for 100 points");
    scores(&mut forest, &points[100..2_048]);
    let full = forest.memory_usage();
    scores(&mut forest, &points[2_048..]);
    assert!(forest.memory_usage() < full + full / 6, "{} bytes after {full}", forest.memory_usage());
}

proptest! {
    #[test]
    fn contributions_are_shares(seed: u64, dimensions in 1_usize..4, shingle in 1_usize..4, window in 1_usize..50) {
        let mut forest =
            Forest::builder(dimensions).trees(4).window(window).shingle(shingle).seed(seed).build().unwrap();
        let mut plain = forest.clone();
        let mut contributions = vec![0.0; dimensions * shingle];
        for point in series(seed, 120, dimensions) {
            let score = forest.update_attributed(&point, &mut contributions).unwrap();
            prop_assert_eq!(score, plain.update(&point).unwrap());
            prop_assert!(contributions.iter().all(|share| *share >= 0.0));
            let sum: f64 = contributions.iter().sum();
            let expected = if score.codisp > 0.0 { 1.0 } else { 0.0 };
            prop_assert!((sum - expected).abs() < 1e-12, "{}", sum);
        }
    }
}
