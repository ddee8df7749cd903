use thicket_detector::Profile;

use super::*;
use crate::series::{Noise, SECOND};

/// Readings before the outliers.
const CALM: usize = 1_500;

fn config() -> DetectorConfig {
    DetectorConfig { profile: Profile::Small, warm_up: 200, ..DetectorConfig::default() }
}

/// Returns timestamps and values of a series that becomes ten times louder at its end.
fn series(loud: usize, calm_after: usize) -> (Vec<i64>, Vec<f64>) {
    let mut noise = Noise::new(3);
    let rows = CALM + loud + calm_after;
    let level = |row: usize| if (CALM..CALM + loud).contains(&row) { 60.0 } else { 0.0 };
    (
        (0..rows as i64).map(|row| row * 60 * SECOND).collect(),
        (0..rows).map(|row| level(row) + noise.normal()).collect(),
    )
}

fn run(micros: &[i64], values: &[f64]) -> Scored {
    let names = ["a".to_owned()];
    stream("sensor", &config(), Readings { names: &names, micros, values }).unwrap()
}

#[test]
fn grades_are_the_detectors_and_an_event_that_goes_on_has_no_last_row() {
    let (micros, values) = series(4, 0);
    let scored = run(&micros, &values);
    let names = ["a".to_owned()];
    let mut detector = Detector::new("sensor", &config());
    for (row, (ts, value)) in micros.iter().zip(&values).enumerate() {
        let detection = detector.apply(*ts, &names, &[*value]).unwrap();
        assert_eq!(scored.grades[row], detection.grade);
        assert_eq!(scored.onsets[row].to_bits(), detection.onset.to_bits());
    }
    assert!(scored.grades[0].is_none() && scored.grades[CALM].is_some());
    assert_eq!(scored.memory, detector.memory_usage());
    let open = scored.events.last().copied();
    assert_eq!(open, Some(EventRows { announced: CALM, first: CALM, last: None }));
}

#[test]
fn an_event_is_reported_once_with_its_last_row() {
    let (micros, values) = series(4, 300);
    let scored = run(&micros, &values);
    let firsts: Vec<usize> = scored.events.iter().map(|event| event.first).collect();
    assert_eq!(firsts.iter().filter(|&&first| first == CALM).count(), 1);
    let event = scored.events.iter().find(|event| event.first == CALM).unwrap();
    assert!(event.last.is_some_and(|last| (CALM + 3..CALM + 100).contains(&last)), "{event:?}");
}

#[test]
fn late_and_repeated_readings_are_not_given_to_the_detector() {
    let (mut micros, mut values) = series(4, 0);
    let undisturbed = run(&micros, &values);
    for (row, ts) in [(CALM - 10, micros[CALM - 11]), (CALM, 0)] {
        micros.insert(row, ts);
        values.insert(row, 1e6);
    }
    let mut scored = run(&micros, &values);
    for row in [CALM, CALM - 10] {
        assert_eq!((scored.grades.remove(row), scored.onsets.remove(row)), (None, 0.0));
    }
    assert_eq!((scored.grades, scored.onsets), (undisturbed.grades, undisturbed.onsets));
    // Two rows more come before the event.
    assert_eq!(scored.events.last().map(|event| event.first), Some(CALM + 2));
}
