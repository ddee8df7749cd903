//! Tests of the forest's public API.

#![allow(clippy::float_cmp, reason = "deterministic results are compared bit for bit")]

mod series;

use proptest::prelude::*;
use rrcf_rs::{Error, Forest, ForestBuilder, Score};
use series::{ALONE, noise_from, scores, series};

#[test]
fn the_first_point_has_nothing_to_compare_with() {
    let mut forest = Forest::builder(1).build().unwrap();
    assert_eq!(forest.update(&[3.0]).unwrap(), ALONE);
    assert_eq!(forest.len(), 1);
}

#[test]
fn a_window_of_one_always_scores_zero() {
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

/// Powers of two scale `f32` exactly, so weighting a field must give the same bits as scaling its
/// values.
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

/// Three points on a line and a fourth beyond: every possible tree is known.
#[test]
fn contributions_of_points_in_one_plane_all_go_to_the_field_that_varies() {
    let mut forest = Forest::builder(3).trees(30).seed(6).build().unwrap();
    let mut contributions = [0.0; 3];
    for n in 0..20_u8 {
        forest.update(&[5.0, f32::from(n % 4), -1.0]).unwrap();
    }
    forest.update_attributed(&[5.0, 40.0, -1.0], &mut contributions).unwrap();
    assert_eq!(contributions, [0.0, 1.0, 0.0]);
}

/// The box around the two values is 1 wide and 3 high. The only cut falls into the second field in
/// three of four trees, and always displaces the ten equal points.
#[test]
fn contributions_are_shared_as_cuts_are() {
    let mut forest = Forest::builder(2).trees(4_000).seed(6).build().unwrap();
    let mut contributions = [0.0; 2];
    for _ in 0..10 {
        forest.update(&[0.0, 0.0]).unwrap();
    }
    let score = forest.update_attributed(&[1.0, 3.0], &mut contributions).unwrap();
    assert_eq!((score.codisp, score.displacement, score.depth), (10.0, 10.0, 1.0));
    assert!((contributions[1] - 0.75).abs() < 0.03, "{contributions:?}");
}

#[test]
fn weights_that_change_on_the_way_turn_attention_to_another_field() {
    let mut forest = Forest::builder(2).trees(60).window(200).seed(5).build().unwrap();
    let mut contributions = [0.0; 2];
    let mut noise = noise_from(3);
    let mut shares = [0.0; 2];
    for (phase, weights) in [[1.0, 0.001], [0.001, 1.0]].into_iter().enumerate() {
        forest.set_weights(&weights).unwrap();
        for _ in 0..400 {
            forest.update(&[noise(), noise()]).unwrap();
        }
        forest.update_attributed(&[30.0, 30.0], &mut contributions).unwrap();
        shares[phase] = contributions[0];
        assert!((contributions[0] + contributions[1] - 1.0).abs() < 1e-12);
    }
    assert!(shares[0] > 0.95 && shares[1] < 0.05, "{shares:?}");
}

/// At 1.7 billion, neighbouring `f32` are 128 apart. A counter that grows by 1 stands still and
/// then makes one step.
#[test]
fn a_counter_at_a_large_offset_is_seen_as_coarsely_as_an_f32_can_hold_it() {
    let mut forest = Forest::builder(1).trees(20).window(1_000).seed(1).build().unwrap();
    for n in 0..2_000_u32 {
        let score = forest.update(&[(1_700_000_000.0 + f64::from(n)) as f32]).unwrap();
        assert!(score.codisp.is_finite() && score.depth < 12.0, "{score:?} at {n}");
    }
    // A thousand counts cover eight or nine values. A value 100,000 counts away stands alone.
    assert!(forest.score(&[1_700_001_999.0]).unwrap().codisp < 20.0);
    assert_eq!(forest.score(&[1_700_100_000.0]).unwrap().displacement.round(), 1_000.0);
    let mut centred = Forest::builder(1).trees(20).window(1_000).seed(1).build().unwrap();
    for n in 0..2_000_u16 {
        centred.update(&[f32::from(n)]).unwrap();
    }
    let depths = [&forest, &centred].map(|forest| {
        let newest = if forest.score(&[1_999.0]).unwrap().codisp > 500.0 { 1_700_001_999.0 } else { 1_999.0 };
        forest.score(&[newest]).unwrap().depth
    });
    assert!(depths[1] > depths[0] + 3.0, "the offset taken away, single counts are told apart: {depths:?}");
}

/// For uniformly random points, the leaves of a random cut tree of n points are about 2 ln n deep.
#[test]
fn depth_grows_with_the_logarithm_of_the_window() {
    let mut depths = Vec::new();
    for window in [256_usize, 4_096, 65_536] {
        let mut forest = Forest::builder(1).trees(3).window(window).seed(1).build().unwrap();
        let mut noise = noise_from(9);
        for _ in 0..window + window / 4 {
            forest.update(&[noise()]).unwrap();
        }
        assert_eq!(forest.len(), window);
        let asked: f64 = (0..2_000).map(|_| forest.score(&[noise()]).unwrap().depth).sum();
        depths.push(asked / 2_000.0);
    }
    let steps = [depths[1] - depths[0], depths[2] - depths[1]];
    assert!(depths[0] > 7.0 && depths[2] < 40.0, "{depths:?}");
    assert!(steps.iter().all(|step| (3.0..8.0).contains(step)), "{steps:?} deeper with 16 times the window");
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
