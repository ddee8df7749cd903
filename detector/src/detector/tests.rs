use super::*;

#[test]
fn there_is_no_grade_during_the_warm_up() {
    let config = DetectorConfig { warm_up: 40, points: 64, trees: 4, ..DetectorConfig::default() };
    let mut detector = Detector::new("s", &config);
    let names = ["a".to_owned()];
    for i in 0..80_i64 {
        let detection = detector.apply(i, &names, &[(i % 7) as f64]).unwrap();
        assert_eq!(detection.seq, i as u64 + 1);
        assert_eq!(detection.grade.is_some(), i >= 40);
    }
}

/// Outliers that are farther and farther off are clear alarms.
#[test]
fn clear_alarms_do_not_raise_the_threshold_that_the_setting_asks_for() {
    let config = DetectorConfig { points: 64, trees: 4, ..DetectorConfig::default() };
    let mut detector = Detector::new("s", &config);
    let names = ["a".to_owned()];
    let (mut alarms, mut at) = (0, 0);
    let mut read = |value: f64| {
        at += 60_000_000;
        let event = detector.apply(at, &names, &[value]).unwrap().event;
        alarms += usize::from(event.is_some_and(|event| event.is_new));
    };
    for i in 0..4_u32 {
        (0..1_000_u32).for_each(|j| read(f64::from(j * 7_919 % 97) / 97.0));
        read(100.0 * f64::from(1 << (3 * i)));
    }
    assert!(alarms >= 4, "{alarms}");
    let readings_per_week = 10_080.0;
    let threshold = detector.state.calibration.threshold(1.0, readings_per_week, u64::MAX);
    assert!(threshold < libm::log10(readings_per_week) + 1e-9, "{threshold} after {alarms} alarms");
}
