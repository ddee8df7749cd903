//! Queries that leave a forest unchanged: scores, neighbours and missing values.

#![allow(clippy::float_cmp, reason = "deterministic results are compared bit for bit")]

mod series;

use rrcf_rs::{Error, Forest, Neighbour, Sampling, Score};
use series::{ALONE, noise_from, scores, series};

const ALL_SAMPLINGS: [Sampling; 3] =
    [Sampling::SlidingWindow, Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.01 }];

#[test]
fn asking_says_what_taking_in_will_say_while_there_is_room() {
    for sampling in ALL_SAMPLINGS {
        for (dimensions, shingle) in [(1, 1), (3, 1), (2, 4), (13, 1)] {
            let builder = Forest::builder(dimensions).trees(12).window(150).shingle(shingle).seed(4);
            let mut forest = builder.sampling(sampling).build().unwrap();
            for (n, point) in series(6, 150, dimensions).iter().enumerate() {
                let asked = forest.score(point).unwrap();
                let taken_in = forest.update(point).unwrap();
                assert_eq!(asked, taken_in, "point {n}, {sampling:?}, shingle {shingle}");
            }
        }
    }
}

#[test]
fn asking_changes_nothing_and_is_answered_the_same_every_time() {
    for sampling in ALL_SAMPLINGS {
        let mut forest =
            Forest::builder(2).trees(10).window(64).shingle(2).sampling(sampling).build().unwrap();
        scores(&mut forest, &series(3, 200, 2));
        let before = forest.snapshot();
        let (ordinary, odd) = ([22.0, 22.0], [90.0, -90.0]);
        let answers = |forest: &Forest| {
            [ordinary, odd].map(|point| (forest.score(&point), forest.neighbours(&point, 5)))
        };
        let first = answers(&forest);
        assert_eq!(answers(&forest), first);
        assert!(first[1].0.as_ref().unwrap().codisp > 3.0 * first[0].0.as_ref().unwrap().codisp);
        assert_eq!(forest.impute(&mut [f32::NAN, 21.0]), Ok(1));
        assert_eq!(forest.snapshot(), before);
    }
}

#[test]
fn what_is_asked_about_is_not_learnt_and_what_is_taken_in_is() {
    let mut forest = Forest::builder(1).trees(20).build().unwrap();
    for _ in 0..10 {
        forest.update(&[0.0]).unwrap();
    }
    let codisp = |forest: &Forest, value: f32| forest.score(&[value]).unwrap().codisp;
    assert_eq!((codisp(&forest, 100.0), codisp(&forest, 100.0)), (10.0, 10.0));
    assert_eq!(codisp(&forest, 0.0), 0.0);
    forest.update(&[100.0]).unwrap();
    assert_eq!(codisp(&forest, 100.0), 5.0, "two of them displace ten");
    assert!((codisp(&forest, 0.0) - 1.0 / 11.0).abs() < 1e-12, "eleven of them displace one");
}

#[test]
fn until_the_shingle_is_complete_a_question_has_no_answer() {
    for sampling in ALL_SAMPLINGS {
        let mut forest = Forest::builder(1).trees(3).shingle(4).sampling(sampling).build().unwrap();
        for n in 0..3_u8 {
            assert_eq!(forest.score(&[7.0]), Ok(Score::default()), "{n} points before it");
            assert_eq!(forest.neighbours(&[7.0], 3), Ok(vec![]));
            forest.update(&[f32::from(n)]).unwrap();
        }
        assert_eq!(forest.score(&[7.0]), Ok(ALONE));
        assert_eq!(forest.neighbours(&[7.0], 3), Ok(vec![]));
        forest.update(&[7.0]).unwrap();
        assert_eq!(forest.neighbours(&[7.0], 3).unwrap()[0].point, [0.0, 1.0, 2.0, 7.0]);
    }
}

#[test]
fn what_cannot_be_taken_in_cannot_be_asked_about() {
    let mut forest = Forest::builder(2).trees(3).build().unwrap();
    scores(&mut forest, &series(1, 20, 2));
    let wrong = |got| Error::WrongLength { what: "point", got, expected: 2 };
    assert_eq!(forest.score(&[1.0]), Err(wrong(1)));
    assert_eq!(forest.score(&[]), Err(wrong(0)));
    assert_eq!(forest.score(&[1.0, f32::NAN]), Err(Error::NotFinite { dimension: 1 }));
    assert_eq!(forest.score(&[f32::INFINITY, 1.0]), Err(Error::NotFinite { dimension: 0 }));
    assert_eq!(forest.neighbours(&[1.0; 3], 1), Err(wrong(3)));
    assert_eq!(forest.neighbours(&[1.0, f32::NEG_INFINITY], 1), Err(Error::NotFinite { dimension: 1 }));
}

#[test]
fn a_point_of_another_width_is_refused_by_every_question() {
    for sampling in ALL_SAMPLINGS {
        for (dimensions, shingle) in [(1, 1), (3, 1), (2, 4), (13, 1)] {
            let builder = Forest::builder(dimensions).trees(10).window(150).shingle(shingle);
            let mut forest = builder.sampling(sampling).build().unwrap();
            scores(&mut forest, &series(5, 300, dimensions));
            let before = forest.snapshot();
            for got in (0..3 * dimensions * shingle + 10).filter(|&got| got != dimensions) {
                // A point of the exact size, so that a sanitizer sees a read beyond it.
                let mut point = vec![20.0; got].into_boxed_slice();
                let wrong = Error::WrongLength { what: "point", got, expected: dimensions };
                assert_eq!(forest.score(&point), Err(wrong.clone()));
                assert_eq!(forest.update(&point), Err(wrong.clone()));
                assert_eq!(forest.neighbours(&point, 3), Err(wrong.clone()));
                assert_eq!(forest.impute(&mut point), Err(wrong));
            }
            for got in (0..3 * dimensions * shingle + 10).filter(|&got| got != dimensions * shingle) {
                let point = vec![20.0; got].into_boxed_slice();
                let wrong = Error::WrongLength { what: "point", got, expected: dimensions * shingle };
                assert_eq!(forest.remove(&point), Err(wrong));
            }
            assert_eq!(forest.snapshot(), before);
        }
    }
}

/// At most sixteen points are one bucket in every tree, so every query finds all of them.
#[test]
fn of_a_few_points_the_nearest_come_first_by_weighted_distance() {
    let weights = [1.0_f32, 10.0];
    let mut forest = Forest::builder(2).trees(5).seed(2).build().unwrap();
    forest.set_weights(&weights).unwrap();
    let mut noise = noise_from(5);
    let points: Vec<[f32; 2]> = (0..16).map(|_| [noise() * 10.0, noise()]).collect();
    for point in &points {
        forest.update(point).unwrap();
    }
    let asked = [4.0_f32, 0.5];
    let mut expected: Vec<(f64, [f32; 2])> = points
        .iter()
        .map(|point| {
            let terms = (0..2).map(|d| f64::from(weights[d]) * f64::from(point[d] - asked[d]).abs());
            (terms.sum(), *point)
        })
        .collect();
    expected.sort_by(|a, b| a.0.total_cmp(&b.0));
    for count in [0, 1, 7, 16, 100] {
        let found = forest.neighbours(&asked, count).unwrap();
        assert_eq!(found.len(), count.min(16));
        for (found, (distance, point)) in found.iter().zip(&expected) {
            assert_eq!((found.point.as_slice(), found.count), (point.as_slice(), 1));
            assert!((found.distance - distance).abs() < 1e-5, "{found:?} is {distance} away");
        }
    }
}

#[test]
fn the_nearest_of_many_points_is_nearly_always_found() {
    let mut forest = Forest::builder(2).trees(50).window(1_000).seed(2).build().unwrap();
    let mut noise = noise_from(5);
    let points: Vec<[f32; 2]> = (0..1_000).map(|_| [noise(), noise()]).collect();
    for point in &points {
        forest.update(point).unwrap();
    }
    let mut missed = 0;
    for _ in 0..200 {
        let asked = [noise(), noise()];
        let distance = |point: &[f32]| {
            (f64::from(point[0]) - f64::from(asked[0])).abs()
                + (f64::from(point[1]) - f64::from(asked[1])).abs()
        };
        let nearest = points.iter().map(|point| distance(point)).fold(f64::INFINITY, f64::min);
        let found = forest.neighbours(&asked, 3).unwrap();
        assert!(found.windows(2).all(|two| two[0].distance <= two[1].distance));
        assert!(found.iter().all(|found| (found.distance - distance(&found.point)).abs() < 1e-12));
        missed += usize::from(found[0].distance > nearest);
    }
    assert!(missed <= 10, "{missed} of 200 missed");
}

#[test]
fn equal_points_are_one_neighbour_with_a_count() {
    for sampling in ALL_SAMPLINGS {
        let mut forest = Forest::builder(1).trees(4).window(50).sampling(sampling).build().unwrap();
        for value in [3.0, 1.0, 3.0, -0.0, 3.0, 0.0] {
            forest.update(&[value]).unwrap();
        }
        let neighbour =
            |point: f32, distance: f64, count: u32| Neighbour { point: vec![point], distance, count };
        let expected = [neighbour(3.0, 0.5, 3), neighbour(1.0, 1.5, 1), neighbour(0.0, 2.5, 2)];
        assert_eq!(forest.neighbours(&[2.5], 9).unwrap(), expected, "{sampling:?}");
    }
}

#[test]
fn an_empty_forest_has_no_neighbours() {
    let forest = Forest::builder(1).trees(4).build().unwrap();
    assert_eq!(forest.neighbours(&[1.0], 5), Ok(vec![]));
    assert_eq!(forest.score(&[1.0]), Ok(ALONE));
}

#[test]
fn a_neighbour_in_a_shingle_is_the_stretch_of_the_past_that_is_most_like_now() {
    let mut forest = Forest::builder(1).trees(60).window(300).shingle(3).seed(8).build().unwrap();
    let mut noise = noise_from(2);
    for n in 0..299_u16 {
        forest.update(&[f32::from(n % 10) * 10.0 + noise()]).unwrap();
    }
    // The last two points are the phases 7 and 8.
    for found in forest.neighbours(&[90.0], 4).unwrap() {
        let phases: Vec<f32> = found.point.iter().map(|value| (value / 10.0).floor()).collect();
        assert_eq!(phases, [7.0, 8.0, 9.0], "{found:?}");
        assert!(found.distance < 3.0);
    }
}

#[test]
fn a_point_without_gaps_is_left_alone() {
    let mut forest = Forest::builder(2).trees(10).build().unwrap();
    scores(&mut forest, &series(2, 100, 2));
    let mut point = [1e30, -7.0];
    assert_eq!(forest.impute(&mut point), Ok(0));
    assert_eq!(point, [1e30, -7.0]);
}

#[test]
fn a_missing_value_is_filled_in_from_what_goes_with_it() {
    let mut forest = Forest::builder(3).trees(50).window(400).seed(1).build().unwrap();
    let mut noise = noise_from(4);
    for _ in 0..600 {
        let (load, jitter) = (noise() * 100.0, noise());
        forest.update(&[load, 200.0 - load, load + jitter]).unwrap();
    }
    for load in [5.0_f32, 30.0, 50.0, 77.0, 95.0] {
        for missing in 0..3 {
            let whole = [load, 200.0 - load, load];
            let mut point = whole;
            point[missing] = f32::NAN;
            assert_eq!(forest.impute(&mut point), Ok(1));
            assert!((point[missing] - whole[missing]).abs() < 12.0, "{point:?} instead of {whole:?}");
            let given = (0..3).filter(|&d| d != missing);
            assert!(given.clone().all(|d| point[d].to_bits() == whole[d].to_bits()));
        }
    }
}

#[test]
fn where_all_is_missing_the_answer_is_a_usual_value() {
    let mut forest = Forest::builder(2).trees(50).window(400).seed(1).build().unwrap();
    let mut noise = noise_from(4);
    for n in 0..400 {
        let far = if n % 100 == 0 { 1_000.0 } else { 0.0 };
        forest.update(&[50.0 + noise() + far, -3.0 + noise() * 0.1]).unwrap();
    }
    let mut point = [f32::NAN; 2];
    assert_eq!(forest.impute(&mut point), Ok(2));
    assert!((50.0..51.0).contains(&point[0]) && (-3.0..-2.9).contains(&point[1]), "{point:?}");
}

#[test]
fn with_a_shingle_a_missing_value_follows_from_those_before() {
    let mut forest = Forest::builder(1).trees(50).window(400).shingle(4).seed(1).build().unwrap();
    for n in 0..800_u16 {
        let expected = f32::from(n % 16) * 3.0;
        if n >= 600 {
            let mut point = [f32::NAN];
            assert_eq!(forest.impute(&mut point), Ok(1));
            assert!((point[0] - expected).abs() <= 3.0, "{point:?} instead of {expected} at {n}");
        }
        forest.update(&[expected]).unwrap();
    }
}

#[test]
fn a_forest_without_points_fills_in_zeros() {
    let mut point = [f32::NAN, 4.0, f32::NAN];
    let mut forest = Forest::builder(3).trees(4).shingle(2).build().unwrap();
    assert_eq!(forest.impute(&mut point), Ok(2));
    assert_eq!(point, [0.0, 4.0, 0.0]);
    // One point is no shingle yet.
    forest.update(&[9.0; 3]).unwrap();
    let mut point = [5.0, f32::NAN, 5.0];
    assert_eq!(forest.impute(&mut point), Ok(1));
    assert_eq!(point, [5.0, 0.0, 5.0]);
    forest.update(&[9.0; 3]).unwrap();
    let mut point = [5.0, f32::NAN, 5.0];
    assert_eq!(forest.impute(&mut point), Ok(1));
    assert_eq!(point, [5.0, 9.0, 5.0]);
}

#[test]
fn an_infinite_value_is_not_a_missing_one() {
    let mut forest = Forest::builder(3).trees(4).build().unwrap();
    scores(&mut forest, &series(2, 30, 3));
    for infinite in [f32::INFINITY, f32::NEG_INFINITY] {
        let mut point = [f32::NAN, infinite, 1.0];
        assert_eq!(forest.impute(&mut point), Err(Error::NotFinite { dimension: 1 }));
        assert!(point[0].is_nan() && point[1] == infinite && point[2].to_bits() == 1.0_f32.to_bits());
    }
    let wrong = Error::WrongLength { what: "point", got: 2, expected: 3 };
    assert_eq!(forest.impute(&mut [f32::NAN; 2]), Err(wrong));
}
