use super::*;
use crate::config::{DetectorConfig, Profile};
use crate::detection::Detection;

const SECOND: i64 = 1_000_000;

fn detector(counters: &[&str]) -> Detector {
    let counters = counters.iter().map(|&name| name.to_owned()).collect();
    let profile = Profile::Small;
    Detector::new("a", &DetectorConfig { profile, counters, warm_up: 64, ..DetectorConfig::default() })
}

fn apply(detector: &mut Detector, ts: i64, value: f64) -> Detection {
    detector.apply(ts * SECOND, &["level".to_owned()], &[value]).expect("a valid reading")
}

fn level(i: i64) -> f64 {
    50.0 + (i * 7_919 % 101) as f64 / 50.0
}

#[test]
fn a_detector_whose_clock_went_back_keeps_what_it_has_learnt() {
    let mut detector = detector(&[]);
    for i in 0..400 {
        apply(&mut detector, 100_000 + i, level(i));
    }
    let rhythm = detector.state.rhythm.clone();
    let first = apply(&mut detector, 50, level(400));
    assert_eq!(detector.state.rhythm, rhythm, "the interval before it is unknown");
    assert!(first.marks.after_silence, "the change counts as a silence");
    assert_eq!((first.seq, detector.newest()), (401, Some(50 * SECOND)));
    let anomalous = (51..100).filter(|&i| apply(&mut detector, i, level(350 + i)).anomaly).count();
    assert_eq!(anomalous, 0, "usual readings are usual whatever the clock says");
    assert!(apply(&mut detector, 100, 500.0).anomaly);
}

#[test]
fn an_open_anomaly_ends_at_its_last_reading_before_the_change() {
    let mut detector = detector(&[]);
    for i in 0..400 {
        apply(&mut detector, 100_000 + i, level(i));
    }
    let begun = apply(&mut detector, 100_400, 500.0).event.expect("it begins");
    let ended = apply(&mut detector, 50, level(1)).event.expect("it ends");
    assert_eq!((ended.started, ended.ended), (begun.started, Some(100_400 * SECOND)));
    assert!(!ended.accepted);
    assert!(apply(&mut detector, 51, level(2)).event.is_none());
}

#[test]
fn a_counter_does_not_grow_across_the_change() {
    let mut detector = detector(&["level"]);
    for i in 0..400 {
        apply(&mut detector, 100_000 + i, (i * 10) as f64 + level(i));
    }
    let first = apply(&mut detector, 50, 4_000.0);
    assert!(!first.anomaly && !first.marks.imputed);
    assert!(!apply(&mut detector, 51, 4_010.0).anomaly);
}

#[test]
fn a_rejected_reading_does_not_change_the_clock() {
    let mut detector = detector(&[]);
    apply(&mut detector, 100, 1.0);
    let before = detector.snapshot();
    assert!(detector.apply(50 * SECOND, &["level".to_owned()], &[f64::INFINITY]).is_err());
    assert!(detector.snapshot() == before);
}

#[test]
fn a_change_that_an_unscored_reading_shows_also_ends_the_anomaly() {
    let mut detector = detector(&[]);
    for i in 0..400 {
        apply(&mut detector, 100_000 + i, level(i));
    }
    apply(&mut detector, 100_400, 500.0).event.expect("it begins");
    let unscored = detector.apply(50 * SECOND, &["battery".to_owned()], &[91.0]).expect("a valid reading");
    assert!(unscored.marks.unscored);
    assert_eq!(unscored.event.expect("it ends").ended, Some(100_400 * SECOND));
    let next = apply(&mut detector, 51, level(2));
    assert!(next.event.is_none() && !next.anomaly && next.marks.after_silence);
}

#[test]
fn an_unscored_reading_does_not_hide_the_change() {
    let mut detector = detector(&[]);
    for i in 0..400 {
        apply(&mut detector, 100_000 + i, level(i));
    }
    let other = detector.apply(50 * SECOND, &["other".to_owned()], &[1.0]).expect("a valid reading");
    assert!(other.marks.unscored);
    assert!(apply(&mut detector, 51, level(400)).marks.after_silence);
    assert!(!apply(&mut detector, 52, level(401)).marks.after_silence);
}
