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
