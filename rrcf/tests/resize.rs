//! Removing readings, and changing the size of the window.

#![allow(clippy::float_cmp, reason = "deterministic results are compared bit for bit")]

mod series;

use rrcf_rs::{Error, Forest, Sampling};
use series::{noise_from, scores, series};

const ALL_SAMPLINGS: [Sampling; 3] =
    [Sampling::SlidingWindow, Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.01 }];

/// Returns the values of all points of a forest of one field, repeated by their counts.
fn held(forest: &Forest) -> Vec<f32> {
    assert!(forest.window() <= 16 && forest.dimensions() == 1);
    let found = forest.neighbours(&[-1e6], 16).expect("the point is finite");
    found.iter().flat_map(|held| vec![held.point[0]; held.count as usize]).collect()
}

#[test]
fn a_reading_taken_back_is_as_if_never_learnt() {
    for sampling in ALL_SAMPLINGS {
        let builder = Forest::builder(2).trees(30).window(300).seed(5).sampling(sampling);
        let mut forest = builder.build().unwrap();
        let mut noise = noise_from(2);
        for _ in 0..200 {
            forest.update(&[noise(), noise()]).unwrap();
        }
        let odd = [30.0, -30.0];
        let first = forest.update(&odd).unwrap().codisp;
        let learnt = forest.score(&odd).unwrap().codisp;
        assert_eq!(forest.remove(&odd), Ok(true));
        assert_eq!(forest.len(), 200);
        assert!(forest.neighbours(&odd, 20).unwrap().iter().all(|found| found.point != odd));
        let again = forest.score(&odd).unwrap().codisp;
        assert!(learnt < 0.6 * first && again > 0.9 * first, "{first}, learnt {learnt}, again {again}");
        assert_eq!(forest.remove(&odd), Ok(false));
    }
}

#[test]
fn a_window_is_one_point_short_until_the_time_of_the_missing_one_has_come() {
    for (age, updates) in [(0, 1), (20, 21), (49, 50)] {
        let mut forest = Forest::builder(1).trees(5).window(50).build().unwrap();
        for n in 0..80_u8 {
            forest.update(&[f32::from(n)]).unwrap();
        }
        assert_eq!(forest.remove(&[30.0 + f32::from(age as u8)]), Ok(true));
        for n in 0..60_usize {
            assert_eq!(forest.len(), if n < updates { 49 } else { 50 }, "{n} updates after age {age}");
            forest.update(&[100.0 + n as f32]).unwrap();
        }
    }
}

#[test]
fn what_is_not_there_cannot_be_taken_back() {
    for sampling in ALL_SAMPLINGS {
        let mut forest = Forest::builder(1).trees(5).window(10).sampling(sampling).build().unwrap();
        assert_eq!(forest.remove(&[1.0]), Ok(false), "from an empty forest");
        forest.update(&[1.0]).unwrap();
        let before = forest.snapshot();
        for value in [2.0, 1.000_001, f32::NAN, f32::INFINITY] {
            assert_eq!(forest.remove(&[value]), Ok(false));
        }
        let wrong = Error::WrongLength { what: "point", got: 2, expected: 1 };
        assert_eq!(forest.remove(&[1.0, 1.0]), Err(wrong));
        assert_eq!(forest.snapshot(), before);
        assert_eq!(forest.remove(&[1.0]), Ok(true));
        assert!(forest.is_empty());
    }
}

#[test]
fn what_the_window_has_forgotten_cannot_be_taken_back() {
    let mut forest = Forest::builder(1).trees(5).window(3).build().unwrap();
    for value in [1.0, 2.0, 3.0, 4.0] {
        forest.update(&[value]).unwrap();
    }
    assert_eq!(forest.remove(&[1.0]), Ok(false));
    assert_eq!(held(&forest), [2.0, 3.0, 4.0]);
}

#[test]
fn negative_zero_is_taken_back_as_zero() {
    let mut forest = Forest::builder(1).trees(5).build().unwrap();
    forest.update(&[0.0]).unwrap();
    forest.update(&[-0.0]).unwrap();
    assert_eq!((forest.remove(&[-0.0]), forest.remove(&[0.0])), (Ok(true), Ok(true)));
    assert_eq!((forest.remove(&[0.0]), forest.len()), (Ok(false), 0));
}

#[test]
fn of_equal_readings_the_newest_goes_first() {
    let mut forest = Forest::builder(1).trees(5).window(4).build().unwrap();
    for value in [5.0, 5.0, 1.0, 2.0] {
        forest.update(&[value]).unwrap();
    }
    assert_eq!(forest.remove(&[5.0]), Ok(true));
    assert_eq!(held(&forest), [1.0, 2.0, 5.0]);
    forest.update(&[3.0]).unwrap();
    assert_eq!(held(&forest), [1.0, 2.0, 3.0], "the one left was the oldest");
    forest.update(&[4.0]).unwrap();
    assert_eq!(held(&forest), [1.0, 2.0, 3.0, 4.0]);
    for left in (0..4).rev() {
        assert_eq!(forest.remove(&[left as f32 + 1.0]), Ok(true));
        assert_eq!(forest.len(), left);
    }
    assert_eq!(forest.score(&[7.0]).unwrap(), series::ALONE);
}

#[test]
fn with_a_shingle_the_whole_stretch_is_named() {
    let mut forest = Forest::builder(2).trees(10).window(30).shingle(2).build().unwrap();
    for n in 0..40_u8 {
        forest.update(&[f32::from(n), 100.0 - f32::from(n)]).unwrap();
    }
    let wrong = Error::WrongLength { what: "point", got: 2, expected: 4 };
    assert_eq!(forest.remove(&[39.0, 61.0]), Err(wrong));
    assert_eq!(forest.remove(&[39.0, 61.0, 38.0, 62.0]), Ok(false), "the oldest comes first");
    assert_eq!(forest.remove(&[38.0, 62.0, 39.0, 61.0]), Ok(true));
    assert_eq!(forest.len(), 29);
    // The raw point is still part of the next shingle.
    forest.update(&[40.0, 60.0]).unwrap();
    assert_eq!(forest.remove(&[39.0, 61.0, 40.0, 60.0]), Ok(true));
    assert_eq!(forest.len(), 28);
}

#[test]
fn a_forest_with_gaps_is_restored_with_its_gaps() {
    for sampling in ALL_SAMPLINGS {
        let points = series(9, 400, 1);
        let builder = Forest::builder(1).trees(6).window(60).seed(2).sampling(sampling);
        let mut forest = builder.build().unwrap();
        for (n, point) in points.iter().enumerate() {
            forest.update(point).unwrap();
            if n % 7 == 3 {
                forest.remove(point).unwrap();
            }
            if n % 97 == 96 {
                let mut restored = Forest::restore(&forest.snapshot()).unwrap();
                assert_eq!(restored.len(), forest.len());
                let mut copy = forest.clone();
                assert_eq!(scores(&mut restored, &points), scores(&mut copy, &points));
                assert_eq!(restored.snapshot(), copy.snapshot());
            }
        }
    }
}

#[test]
fn a_smaller_window_keeps_the_newest() {
    let mut forest = Forest::builder(1).trees(5).window(100).build().unwrap();
    for n in 0..150_u8 {
        forest.update(&[f32::from(n)]).unwrap();
    }
    forest.resize(10).unwrap();
    assert_eq!((forest.window(), forest.len(), forest.updates()), (10, 10, 150));
    assert_eq!(held(&forest), (140..150_u8).map(f32::from).collect::<Vec<_>>());
    forest.update(&[150.0]).unwrap();
    assert_eq!(held(&forest), (141..=150_u8).map(f32::from).collect::<Vec<_>>());
}

#[test]
fn a_larger_window_fills_up_with_what_comes() {
    let mut forest = Forest::builder(1).trees(5).window(5).build().unwrap();
    for n in 0..20_u8 {
        forest.update(&[f32::from(n)]).unwrap();
    }
    forest.resize(8).unwrap();
    assert_eq!((forest.window(), forest.len()), (8, 5), "what is forgotten does not come back");
    for n in 20..30_u8 {
        forest.update(&[f32::from(n)]).unwrap();
        assert_eq!(forest.len(), (5 + usize::from(n - 19)).min(8));
    }
    assert_eq!(held(&forest), (22..30_u8).map(f32::from).collect::<Vec<_>>());
}

#[test]
fn a_forest_that_grew_while_it_had_room_scores_as_one_that_was_built_so() {
    let points = series(4, 300, 2);
    for shingle in [1, 3] {
        let builder = Forest::builder(2).trees(10).shingle(shingle).seed(6);
        let mut grown = builder.clone().window(120).build().unwrap();
        let mut built = builder.window(200).build().unwrap();
        let (first, rest) = points.split_at(100);
        assert_eq!(scores(&mut grown, first), scores(&mut built, first));
        grown.resize(200).unwrap();
        assert_eq!(grown.snapshot(), built.snapshot());
        assert_eq!(scores(&mut grown, rest), scores(&mut built, rest));
    }
}

#[test]
fn a_sample_of_another_size_keeps_what_it_would_have_kept() {
    for sampling in [Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.05 }] {
        let points: Vec<Vec<f32>> = (0..500_u16).map(|n| vec![f32::from(n)]).collect();
        let sample = |window| {
            let builder = Forest::builder(1).trees(3).window(window).seed(9).sampling(sampling);
            let mut forest = builder.build().expect("the sizes are right");
            scores(&mut forest, &points);
            forest
        };
        let (mut shrunk, small) = (sample(200), sample(12));
        shrunk.resize(12).unwrap();
        assert_eq!((shrunk.len(), shrunk.window()), (12, 12));
        assert_eq!(held(&shrunk), held(&small), "the keys of the points decide, not the size");
        shrunk.resize(16).unwrap();
        assert_eq!((shrunk.len(), shrunk.window()), (12, 16));
        scores(&mut shrunk, &points);
        assert_eq!(shrunk.len(), 16);
    }
}

#[test]
fn a_forest_of_another_size_is_restored_as_such() {
    let points = series(4, 700, 1);
    for sampling in ALL_SAMPLINGS {
        for size in [1, 7, 40, 90] {
            let builder = Forest::builder(1).trees(5).window(40).shingle(2).seed(6).sampling(sampling);
            let mut forest = builder.build().unwrap();
            scores(&mut forest, &points[..200]);
            let odd = [points[198][0], points[199][0]];
            forest.remove(&odd).unwrap();
            forest.resize(size).unwrap();
            let mut restored = Forest::restore(&forest.snapshot()).unwrap();
            assert_eq!((restored.window(), restored.len()), (size, forest.len()));
            assert_eq!(scores(&mut restored, &points[200..]), scores(&mut forest, &points[200..]));
            assert_eq!(restored.snapshot(), forest.snapshot());
            assert_eq!(forest.len(), size, "{sampling:?}");
        }
    }
}

#[test]
fn a_smaller_window_takes_less_memory() {
    let mut forest = Forest::builder(3).trees(10).window(2_000).build().unwrap();
    scores(&mut forest, &series(4, 2_500, 3));
    let before = forest.memory_usage();
    forest.resize(200).unwrap();
    let after = forest.memory_usage();
    assert!(after < before / 7, "{after} bytes after {before}");
    scores(&mut forest, &series(5, 1_000, 3));
    assert!(forest.memory_usage() < before / 7, "{} bytes after {before}", forest.memory_usage());
}

#[test]
fn a_size_beyond_the_limits_is_an_error_and_changes_nothing() {
    let mut forest = Forest::builder(1).trees(1_024).window(4).build().unwrap();
    scores(&mut forest, &series(4, 10, 1));
    let before = forest.snapshot();
    for window in [0, 65_537, usize::MAX] {
        let expected = Error::OutOfRange { what: "window", got: window, most: 65_536 };
        assert_eq!(forest.resize(window), Err(expected));
    }
    assert_eq!(forest.snapshot(), before);
}
