//! What an operator may count on, from the outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use proptest::prelude::*;
use thicket_detector::{Detection, Detector, DetectorConfig, Rejected, RestoreError};

fn config() -> DetectorConfig {
    DetectorConfig { trees: 4, window: 64, warm_up: 50, ..DetectorConfig::default() }
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Two fields, deterministic, with a spike now and then.
fn reading(i: i64) -> Vec<f64> {
    let hash = |salt: i64| ((i + salt) * 7_919 % 1_009) as f64 / 1_009.0;
    let spike = if i % 97 == 96 { 30.0 } else { 0.0 };
    vec![50.0 + hash(1) + spike, 400.0 + 20.0 * hash(500)]
}

fn run(detector: &mut Detector, range: std::ops::Range<i64>) -> Vec<Detection> {
    let names = names("level pitch");
    range.map(|i| detector.apply(i, &names, &reading(i)).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_restored_detector_continues_bit_for_bit(cut in 0_i64..400, shingle in 1_usize..4) {
        let config = DetectorConfig { shingle, ..config() };
        let mut undisturbed = Detector::new("s", &config);
        run(&mut undisturbed, 0..cut);
        let mut restored = Detector::restore("s", &config, &undisturbed.snapshot()).unwrap();
        prop_assert_eq!(run(&mut restored, cut..500), run(&mut undisturbed, cut..500));
        prop_assert_eq!(restored.snapshot(), undisturbed.snapshot());
    }

    #[test]
    fn damaged_snapshots_are_errors(cut in 0_i64..200, at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut detector = Detector::new("s", &config());
        run(&mut detector, 0..cut);
        let mut bytes = detector.snapshot();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Detector::restore("s", &config(), &bytes).is_err());
        prop_assert!(Detector::restore("s", &config(), &bytes[..at]).is_err());
    }
}

#[test]
fn a_reading_without_a_needed_field_is_refused_and_changes_nothing() {
    let mut detector = Detector::new("s", &config());
    run(&mut detector, 0..100);
    let before = detector.snapshot();
    let refused = detector.apply(100, &names("level"), &[1.0]);
    assert_eq!(refused, Err(Rejected::MissingField("pitch".to_owned())));
    let refused = detector.apply(100, &names("level pitch"), &[1.0, f64::NAN]);
    assert_eq!(refused, Err(Rejected::NotFinite("pitch".to_owned())));
    assert_eq!(detector.snapshot(), before);
}

#[test]
fn another_shape_is_a_changed_configuration_and_another_threshold_is_not() {
    let mut detector = Detector::new("s", &config());
    run(&mut detector, 0..100);
    let wider = DetectorConfig { window: 128, ..config() };
    let changed = Detector::restore("s", &wider, &detector.snapshot());
    assert!(matches!(changed, Err(RestoreError::ConfigChanged { .. })));
    let stricter = DetectorConfig { false_alarm_every: 1_000_000, ..config() };
    assert_eq!(Detector::restore("s", &stricter, &detector.snapshot()).unwrap().seq(), 100);
}

#[test]
fn a_skipped_reading_moves_only_the_newest_timestamp() {
    let mut detector = Detector::new("s", &config());
    let mut other = Detector::new("s", &config());
    run(&mut detector, 0..100);
    run(&mut other, 0..100);
    detector.skip(100);
    assert_eq!((detector.newest(), detector.seq()), (Some(100), 100));
    assert_eq!(run(&mut detector, 101..150), run(&mut other, 101..150));
}

#[test]
fn a_resumed_detector_goes_on_counting_and_warms_up_anew() {
    let mut detector = Detector::resume("s", &config(), 1_000, Some(-1));
    let detections = run(&mut detector, 0..60);
    assert_eq!(detections[0].seq, 1_001);
    assert!(detections[..50].iter().all(|detection| detection.grade.is_none()));
    assert!(detections[50..].iter().all(|detection| detection.grade.is_some()));
}

/// Powers of two change no bit of a score: coordinates are taken in units that are powers of two.
#[test]
fn the_unit_of_a_field_changes_no_score() {
    let (mut plain, mut scaled) = (Detector::new("s", &config()), Detector::new("s", &config()));
    let names = names("level pitch");
    for i in 0..400 {
        let values = reading(i);
        let in_other_units = [values[0] * 1_024.0, values[1] / 64.0];
        assert_eq!(plain.apply(i, &names, &values), scaled.apply(i, &names, &in_other_units));
    }
}

#[test]
fn a_flat_signal_raises_no_alarm_and_its_first_tiny_change_is_no_catastrophe() {
    let mut detector = Detector::new("s", &DetectorConfig { window: 256, ..config() });
    let names = names("a");
    for i in 0..1_000 {
        assert!(!detector.apply(i, &names, &[21.5]).unwrap().anomaly, "at {i}");
    }
    assert!(!detector.apply(1_000, &names, &[21.500_01]).unwrap().anomaly);
    assert!(detector.apply(1_001, &names, &[35.0]).unwrap().anomaly, "a real change is found");
}

#[test]
fn values_on_a_huge_offset_are_told_apart() {
    let mut detector = Detector::new("s", &DetectorConfig { trees: 16, window: 256, ..config() });
    let names = names("counter");
    for i in 0..600_i64 {
        let noise = (i * 7_919 % 101) as f64 / 10_000.0;
        detector.apply(i, &names, &[1e9 + noise]).unwrap();
    }
    assert!(detector.apply(600, &names, &[1e9 + 0.5]).unwrap().anomaly);
}

#[test]
fn an_event_begins_goes_on_and_ends_with_its_peak_and_its_causes() {
    let config = DetectorConfig { trees: 16, window: 512, warm_up: 300, ..DetectorConfig::default() };
    let mut detector = Detector::new("s", &config);
    let names = names("level pitch");
    let calm = |i: i64| {
        let hash = |salt: i64| ((i + salt) * 7_919 % 1_009) as f64 / 1_009.0;
        vec![50.0 + hash(1), 400.0 + 20.0 * hash(500)]
    };
    for i in 0..800 {
        detector.apply(i, &names, &calm(i)).unwrap();
    }
    let mut loud = calm(800);
    loud[0] += 30.0;
    let event = detector.apply(800, &names, &loud).unwrap().event.unwrap();
    assert_eq!((event.started, event.ended, event.peak_at, event.readings), (800, None, 800, 1));
    assert!((event.contributions.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(event.contributions[0].1 > 0.8, "{:?}", event.contributions);
    let mut after = None;
    for i in 801..820 {
        let detection = detector.apply(i, &names, &calm(i)).unwrap();
        if !detection.anomaly {
            after = detection.event;
            break;
        }
    }
    let ended = after.expect("the reading that closes an event reports it");
    assert_eq!(ended.started, 800);
    assert!(ended.ended.is_some());
}
