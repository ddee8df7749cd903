use super::*;

fn cause(field: &str, share: f64, actual: f64) -> Cause {
    let direction = Direction::of(actual, -1.0, 1.0);
    let field = field.to_owned();
    Cause {
        field,
        share,
        actual,
        expected: 0.0,
        low: -1.0,
        high: 1.0,
        direction,
        is_counter: false,
        repeated: 0,
        away: 0,
    }
}

fn pattern(started: i64, causes: &[Cause], label: Option<Label>) -> Pattern {
    let mut pattern = Pattern { started, label, ..Pattern::default() };
    pattern.extend(causes, 4.0, 3.0);
    pattern
}

fn verdicts(causes: &[Cause], label: Label) -> Verdicts {
    Verdicts { past: vec![pattern(1, causes, Some(label))] }
}

#[test]
fn an_anomaly_with_the_pattern_of_a_false_one_is_normal() {
    for label in [Label::False, Label::Maintenance] {
        let known = verdicts(&[cause("a", 0.9, 8.0), cause("b", 0.1, 0.0)], label);
        let is_normal = |causes: &[Cause]| known.is_normal(causes, 4.0, 0);
        assert!(is_normal(&[cause("a", 1.0, 8.0)]) && is_normal(&[cause("a", 0.5, 3.0)]));
        assert!(is_normal(&[cause("a", 1.0, 9.9)]) && !is_normal(&[cause("a", 1.0, 10.1)]), "farther");
        assert!(!is_normal(&[cause("a", 1.0, -8.0)]), "another direction");
        let goes_on = |value| known.is_normal(&[cause("a", 1.0, value)], 4.0, 1);
        assert!(goes_on(-8.0) && goes_on(0.5) && !goes_on(-10.1) && !goes_on(10.1));
        assert!(!is_normal(&[cause("a", 0.7, 8.0), cause("b", 0.3, 2.0)]), "another field too");
        assert!(!is_normal(&[]));
    }
    assert!(!verdicts(&[cause("a", 1.0, 8.0)], Label::True).is_normal(&[cause("a", 1.0, 8.0)], 4.0, 0));
}

#[test]
fn usual_values_have_the_pattern_of_a_false_anomaly_up_to_its_rarity() {
    let known = verdicts(&[cause("a", 1.0, 0.5)], Label::False);
    assert!(known.is_normal(&[cause("a", 1.0, 0.9)], 4.4, 0));
    assert!(!known.is_normal(&[cause("a", 1.0, 0.9)], 4.6, 0));
    assert!(!known.is_normal(&[cause("a", 1.0, 8.0)], 4.4, 0));
}

#[test]
fn an_anomaly_that_lasts_far_longer_than_a_false_one_is_another() {
    let causes = [cause("a", 1.0, 8.0)];
    let is_normal_after = |known: &Verdicts, before| known.is_normal(&causes, 4.0, before);
    let glitch = verdicts(&causes, Label::False);
    assert!(is_normal_after(&glitch, LEAST_LONGER - 1) && !is_normal_after(&glitch, LEAST_LONGER));
    let mut long = pattern(1, &causes, Some(Label::False));
    (1..50).for_each(|_| long.extend(&causes, 4.0, 3.0));
    let mut known = Verdicts { past: vec![long] };
    assert!(is_normal_after(&known, 199) && !is_normal_after(&known, 200));
    known.past[0].end_by_label();
    assert!(is_normal_after(&known, u32::MAX - 1), "nobody knows how long it would have been");

    let stuck = [Cause { repeated: 61, ..cause("a", 1.0, 0.5) }];
    assert!(verdicts(&stuck, Label::False).is_normal(&stuck, 4.0, 1_000));
}

#[test]
fn a_reading_with_the_pattern_of_a_true_anomaly_recurs() {
    let known = verdicts(&[cause("a", 1.0, 8.0)], Label::True);
    assert!(known.has_true());
    assert!(
        known.recurs(&[cause("a", 0.6, 6.5), cause("b", 0.4, 9.0)]) && known.recurs(&[cause("a", 1.0, 99.0)])
    );
    assert!(!known.recurs(&[cause("a", 1.0, 6.3)]), "less far");
    assert!(!known.recurs(&[cause("a", 0.4, 8.0), cause("b", 0.6, 9.0)]), "another main cause");
    assert!(!known.recurs(&[cause("a", 1.0, -8.0)]) && !known.recurs(&[cause("a", 1.0, 0.0)]));
    assert!(!verdicts(&[cause("a", 1.0, 0.5)], Label::True).recurs(&[cause("a", 1.0, 0.9)]));
    assert!(!Verdicts::default().has_true());
}

#[test]
fn many_equal_shares_are_all_parts() {
    let causes: Vec<Cause> = ('a'..='z').map(|field| cause(&field.to_string(), 0.04, 8.0)).collect();
    let known = verdicts(&causes, Label::False);
    assert_eq!(known.past[0].deviations.len(), MOST_DEVIATIONS);
    assert!(!known.is_normal(&causes, 4.0, 0), "some of the fields are not remembered");
    assert!(known.is_normal(&causes[..MOST_DEVIATIONS], 4.0, 0));
}

#[test]
fn a_label_takes_an_alarm_back_and_another_one_counts_it_again() {
    let mut known = Verdicts::default();
    let mut counted = pattern(1, &[], None);
    counted.count_alarm(4.0);
    known.remember(counted);
    known.remember(pattern(2, &[], None));
    let mut label = |started, label| known.label(started, label);
    assert_eq!(label(3, Label::True), None);
    assert_eq!(label(1, Label::False), Some(AlarmChange::None));
    assert_eq!(label(1, Label::True), Some(AlarmChange::TakeBack(AlarmKind::Near)));
    assert_eq!(label(1, Label::True), Some(AlarmChange::None));
    assert_eq!(label(1, Label::Maintenance), Some(AlarmChange::CountAgain(AlarmKind::Near)));
    assert_eq!(label(2, Label::True), Some(AlarmChange::None), "it has never counted");
}

#[test]
fn an_alarm_becomes_clear_once_and_a_label_takes_it_back_as_such() {
    let mut pattern = Pattern::begin(1);
    pattern.count_alarm(4.0);
    let mut becomes_clear = |rarity| {
        pattern.extend(&[], rarity, 1.0);
        pattern.becomes_clear()
    };
    assert_eq!([4.2, 4.9, 5.0, 6.0].map(&mut becomes_clear), [false, false, true, false]);
    assert_eq!(pattern.set_label(Label::True), AlarmChange::TakeBack(AlarmKind::Clear));
    assert_eq!(pattern.set_label(Label::False), AlarmChange::CountAgain(AlarmKind::Clear));
    let mut exempt = Pattern::begin(2);
    exempt.extend(&[], 9.0, 9.0);
    assert!(!exempt.becomes_clear());
}

#[test]
fn the_newest_anomalies_of_each_kind_are_remembered() {
    let mut known = Verdicts::default();
    for started in 0..100 {
        let label = (started % 3 == 0).then_some(Label::True);
        known.remember(pattern(started, &[], label));
    }
    assert_eq!(known.past.len(), 2 * REMEMBERED);
    assert_eq!(
        (known.label(97, Label::False), known.label(70, Label::False)),
        (Some(AlarmChange::None), None)
    );
    assert_eq!(known.past.len(), 2 * REMEMBERED - 1, "the oldest one with a label is forgotten");
    assert_eq!(known.label(54, Label::False), None);
}
