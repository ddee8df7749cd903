use super::*;

fn joined() -> JoinedRow {
    let row = AnomalyRow {
        sensor: 1,
        started: Timestamp(1_795_345_200_000_000),
        ended: None,
        peak_at: Timestamp(1_795_345_200_500_000),
        peak_score: 12.5,
        peak_grade: 0.75,
        readings: 3,
        fields: vec!["level".to_owned(), "zcr".to_owned()],
        contributions: vec![0.25, 0.75],
        accepted: false,
        actual: vec![71.0],
        expected: vec![44.0],
        low: vec![40.0],
        high: vec![48.0],
        counters: vec![true],
        repeated: vec![61],
        away: vec![0, 245],
    };
    JoinedRow {
        anomaly: row,
        sensor_name: "a".to_owned(),
        label: None,
        note: None,
        author: None,
        set_at: None,
    }
}

#[test]
fn a_row_becomes_an_anomaly_whose_greatest_cause_stands_first() {
    let anomaly = Anomaly::from(joined());
    let [first, second] = &anomaly.causes[..] else { panic!("{anomaly:?}") };
    assert_eq!((first.field.as_str(), first.direction), ("zcr", Direction::Within));
    assert!(first.actual.is_nan() && !first.is_counter && second.is_counter);
    assert_eq!((first.repeated, second.repeated), (0, 61));
    assert_eq!((first.away, second.away), (245, 0));
    assert_eq!((second.field.as_str(), second.direction), ("level", Direction::High));
}

#[test]
fn a_label_without_a_known_name_is_none() {
    let labelled = |name: &str| {
        let label = Some(name.to_owned());
        Anomaly::from(JoinedRow { label, set_at: Some(Timestamp(0)), ..joined() }).label
    };
    assert_eq!(labelled("false").map(|label| label.label), Some(Label::False));
    assert_eq!(labelled("other"), None);
}
