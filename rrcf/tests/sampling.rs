//! Forests that hold a sample of the past instead of the last points.

#![allow(clippy::float_cmp, reason = "deterministic results are compared bit for bit")]

mod series;

use rrcf_rs::{Error, Forest, Neighbour, Sampling, Score};
use series::{noise_from, scores, series};

fn sampled(sampling: Sampling, window: usize) -> Forest {
    Forest::builder(1)
        .trees(30)
        .window(window)
        .seed(7)
        .sampling(sampling)
        .build()
        .expect("the sizes are right")
}

/// Returns all points of a forest of at most sixteen points. They are one bucket in every tree.
fn held(forest: &Forest) -> Vec<Neighbour> {
    assert!(forest.window() <= 16);
    forest.neighbours(&vec![0.0; forest.dimensions()], 16).expect("zeros are finite")
}

#[test]
fn a_sample_fills_up_and_then_stays_as_large_as_the_window() {
    for sampling in [Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.003 }] {
        let mut forest = sampled(sampling, 64);
        assert_eq!(forest.sampling(), sampling);
        for (n, point) in series(5, 1_000, 1).iter().enumerate() {
            forest.update(point).unwrap();
            assert_eq!(forest.len(), (n + 1).min(64));
        }
        assert_eq!(forest.updates(), 1_000);
    }
}

/// Scoring a point that equals a point held draws no random numbers. The score tells where the leaf
/// of that point is, and what is above it.
#[test]
fn a_refused_point_leaves_the_trees_as_they_were_and_is_scored_all_the_same() {
    let mut forest = sampled(Sampling::Reservoir, 50);
    let mut noise = noise_from(1);
    let leaves = |forest: &Forest| -> Vec<(Neighbour, Score)> {
        let near = forest.neighbours(&[0.5], 20).unwrap().into_iter();
        near.map(|found| (found.clone(), forest.score(&found.point).unwrap())).collect()
    };
    let (mut refused, mut taken, mut changed) = (0, 0, 0);
    for n in 0..2_000_usize {
        let value = if n % 10 == 0 { 500.0 + n as f32 } else { noise() };
        let before = if n < 50 { vec![] } else { leaves(&forest) };
        let asked = forest.score(&[value]).unwrap();
        let score = forest.update(&[value]).unwrap();
        assert!(score.codisp.is_finite() && score.depth.is_finite() && score.inverse_depth <= 1.0);
        let learnt = forest.neighbours(&[value], 1).unwrap()[0].distance == 0.0;
        if n < 50 {
            assert!(learnt);
        } else if learnt {
            taken += 1;
            changed += usize::from(leaves(&forest) != before);
        } else {
            refused += 1;
            assert_eq!(score, asked, "what is not taken in is scored as if it were");
            assert_eq!(leaves(&forest), before);
        }
        assert_eq!(forest.len(), (n + 1).min(50));
    }
    // Point n is taken with probability 50 / n, so about 50 ln 40 of the 1,950 points are expected.
    assert!((120..=250).contains(&taken), "{taken} taken in, {refused} refused");
    assert!(changed > taken / 2, "{changed} changes by {taken} points are seen at all");
}

#[test]
fn a_refused_outlier_scores_higher_than_what_is_ordinary() {
    let mut forest = sampled(Sampling::Reservoir, 200);
    let mut noise = noise_from(1);
    for _ in 0..5_000 {
        forest.update(&[noise()]).unwrap();
    }
    let outlier = forest.update(&[40.0]).unwrap();
    assert_eq!(forest.neighbours(&[40.0], 1).unwrap()[0].distance.round(), 39.0, "the seed refuses it");
    assert!(outlier.codisp > 150.0, "{outlier:?}");
    assert!(forest.update(&[0.5]).unwrap().codisp < 20.0);
}

#[test]
fn a_sample_remembers_what_a_sliding_window_has_forgotten() {
    let mut scores_of_old = [0.0; 2];
    for (n, sampling) in [Sampling::Reservoir, Sampling::SlidingWindow].into_iter().enumerate() {
        let mut forest = sampled(sampling, 200);
        let mut noise = noise_from(3);
        for _ in 0..1_000 {
            forest.update(&[noise()]).unwrap();
        }
        for _ in 0..1_000 {
            forest.update(&[50.0 + noise()]).unwrap();
        }
        let old = forest.neighbours(&[0.5], 1).unwrap()[0].distance;
        assert_eq!(old < 1.0, sampling == Sampling::Reservoir, "{old} away");
        scores_of_old[n] = forest.score(&[0.5]).unwrap().codisp;
    }
    assert!(scores_of_old[0] < 20.0 && scores_of_old[1] > 150.0, "{scores_of_old:?}");
}

#[test]
fn every_point_of_the_past_is_as_likely_to_be_held() {
    let mut ages = [0; 4];
    for seed in 0..500 {
        let builder = Forest::builder(1).trees(1).window(16).seed(seed).sampling(Sampling::Reservoir);
        let mut forest = builder.build().unwrap();
        for n in 0..400_u16 {
            forest.update(&[f32::from(n)]).unwrap();
        }
        let neighbours = held(&forest);
        assert_eq!(neighbours.len(), 16);
        for neighbour in neighbours {
            ages[neighbour.point[0] as usize / 100] += 1;
        }
    }
    // Each quarter should hold 2,000 of the 8,000 points, with a standard deviation of 38.
    assert!(ages.iter().all(|count| (1_800..=2_200).contains(count)), "{ages:?}");
}

#[test]
fn the_faster_the_decay_the_younger_the_points_held() {
    let mean_age = |rate| {
        let mut total = 0.0;
        for seed in 0..100 {
            let builder = Forest::builder(1).trees(1).window(16).seed(seed);
            let mut forest = builder.sampling(Sampling::TimeDecayed { rate }).build().unwrap();
            for n in 0..4_000_u16 {
                forest.update(&[f32::from(n)]).unwrap();
            }
            total += held(&forest).iter().map(|held| 3_999.0 - f64::from(held.point[0])).sum::<f64>() / 16.0;
        }
        total / 100.0
    };
    // The expected mean age is about window / c, which is 1 / rate.
    let ages = [0.005, 0.02, 0.05].map(|rate| mean_age(rate) * rate);
    assert!(ages.iter().all(|age| (0.75..1.25).contains(age)), "{ages:?} times 1 / rate");
    let uniform = mean_age(0.0);
    assert!((1_800.0..2_200.0).contains(&uniform), "{uniform} without decay");
}

#[test]
fn a_very_fast_decay_is_a_sliding_window() {
    let points = series(6, 400, 1);
    for rate in [1e2, 1e4, 1e6] {
        let mut decayed = sampled(Sampling::TimeDecayed { rate }, 16);
        let mut sliding = sampled(Sampling::SlidingWindow, 16);
        for point in &points {
            decayed.update(point).unwrap();
            sliding.update(point).unwrap();
            assert_eq!(held(&decayed), held(&sliding), "rate {rate}");
        }
    }
}

#[test]
fn a_rate_must_be_a_number_between_zero_and_a_million() {
    for rate in [-1e-9, 1.1e6, f64::NAN, f64::INFINITY] {
        let built = Forest::builder(1).sampling(Sampling::TimeDecayed { rate }).build();
        assert_eq!(built.unwrap_err(), Error::BadRate);
    }
    assert!(Forest::builder(1).sampling(Sampling::TimeDecayed { rate: 0.0 }).build().is_ok());
}

#[test]
fn a_restored_sample_continues_bit_for_bit() {
    let points = series(12, 900, 2);
    for sampling in [Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.01 }] {
        for shingle in [1, 3] {
            let builder = Forest::builder(2).trees(8).window(60).shingle(shingle).seed(3);
            let mut forest = builder.sampling(sampling).build().unwrap();
            for (n, part) in points.chunks(90).enumerate() {
                let mut restored = Forest::restore(&forest.snapshot()).unwrap();
                assert_eq!(restored.sampling(), sampling);
                assert_eq!(scores(&mut restored, part), scores(&mut forest, part), "from part {n}");
                assert_eq!(restored.snapshot(), forest.snapshot());
            }
        }
    }
}

#[test]
fn same_seed_same_sample_other_seed_another() {
    let run = |seed| {
        let builder = Forest::builder(1).trees(2).window(16).seed(seed).sampling(Sampling::Reservoir);
        let mut forest = builder.build().unwrap();
        scores(&mut forest, &series(2, 500, 1));
        held(&forest)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn memory_of_a_sample_is_bounded() {
    for sampling in [Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.01 }] {
        let mut forest = sampled(sampling, 300);
        let mut noise = noise_from(8);
        let mut feed = |forest: &mut Forest, points: usize| {
            for n in 0..points {
                // Half of the values equal others, so slots are freed and reused.
                let value = if n % 2 == 0 { noise() } else { (noise() * 50.0).floor() };
                forest.update(&[value]).unwrap();
            }
        };
        feed(&mut forest, 3_000);
        let full = forest.memory_usage();
        feed(&mut forest, 30_000);
        assert!(forest.memory_usage() < full + full / 4, "{} bytes after {full}", forest.memory_usage());
    }
}

#[test]
fn points_of_a_sample_are_taken_back_one_by_one() {
    let mut forest = sampled(Sampling::Reservoir, 16);
    for value in [1.0, 2.0, 2.0, 3.0] {
        forest.update(&[value]).unwrap();
    }
    assert_eq!(forest.remove(&[2.0]), Ok(true));
    assert_eq!((forest.len(), forest.neighbours(&[2.0], 1).unwrap()[0].count), (3, 1));
    assert_eq!(forest.remove(&[2.0]), Ok(true));
    assert_eq!(forest.remove(&[2.0]), Ok(false));
    assert_eq!(held(&forest).iter().map(|held| held.point[0]).collect::<Vec<_>>(), [1.0, 3.0]);
    let mut restored = Forest::restore(&forest.snapshot()).unwrap();
    let points = series(1, 200, 1);
    assert_eq!(scores(&mut restored, &points), scores(&mut forest, &points));
}

/// 255 points and a new one are the most that one byte can distinguish.
#[test]
fn a_sample_may_take_back_more_points_than_it_has_room_for() {
    let mut forest = sampled(Sampling::Reservoir, 255);
    scores(&mut forest, &series(1, 200, 1));
    let before = forest.memory_usage();
    let neighbours = forest.neighbours(&[22.0], 10).unwrap();
    for n in 0..2_000_u16 {
        let value = 100.0 + f32::from(n);
        forest.update(&[value]).unwrap();
        assert_eq!(forest.remove(&[value]), Ok(true));
    }
    assert_eq!(forest.len(), 200);
    assert_eq!(forest.neighbours(&[22.0], 10).unwrap(), neighbours);
    let after = forest.memory_usage();
    assert!(after < before + before / 8, "{after} bytes after {before}");
}

#[test]
fn a_point_that_is_only_observed_is_scored_and_shingled_but_not_held() {
    let builder = Forest::builder(1).trees(10).window(50).shingle(3).sampling(Sampling::Reservoir).seed(1);
    let mut forest = builder.build().unwrap();
    for point in series(2, 200, 1) {
        forest.update(&point).unwrap();
    }
    let held = |forest: &Forest| {
        let mut points: Vec<Vec<f32>> = forest.points().map(|(point, _)| point.to_vec()).collect();
        points.sort_by(|a, b| a.partial_cmp(b).unwrap());
        points
    };
    let before = held(&forest);
    assert_eq!(before.len(), 50);
    assert_eq!(forest.points().map(|(_, count)| count).sum::<u32>(), 50);
    let mut contributions = [0.0; 3];
    let expected = forest.score(&[900.0]).unwrap();
    assert_eq!(forest.observe(&[900.0], &mut contributions).unwrap(), expected);
    assert!((contributions.iter().sum::<f64>() - 1.0).abs() < 1e-9 && contributions[2] > 0.5);
    assert_eq!(held(&forest), before, "the trees hold what they held");
    forest.observe(&[1.0], &mut contributions).unwrap();
    assert!(contributions[1] > 0.5, "but the point is part of the next shingle: {contributions:?}");
    assert_eq!(
        forest.observe(&[1.0], &mut [0.0; 2]),
        Err(Error::WrongLength { what: "contributions", got: 2, expected: 3 })
    );
}
