use super::*;
use thicket_schema::Timestamp;

const LIMITS: AdmissionLimits =
    AdmissionLimits { max_sensors: 4, new_per_second: 2, new_at_once: 3, max_field_sets: 2, max_fields: 4 };
const NOW: i64 = 1_795_348_800_000_000;

fn reading(sensor: &str, fields: &[&str], ts: i64) -> Reading {
    let names = fields.iter().map(|&name| name.to_owned()).collect();
    let fields = FieldSet::from_unsorted(names).unwrap();
    let values = vec![1.0; fields.len()];
    Reading { sensor: SensorName::new(sensor).unwrap(), ts: Timestamp(ts), stamped: false, fields, values }
}

fn refused(result: Result<(), Refusal>) -> Reason {
    result.unwrap_err().reason
}

#[test]
fn new_sensors_are_admitted_up_to_a_rate_and_a_number() {
    let mut admission = Admission::new(LIMITS);
    let mut admit = |name: &str, now: i64| admission.admit(&reading(name, &["a"], now), now);
    for name in ["a", "b", "c"] {
        assert_eq!(admit(name, NOW), Ok(()));
    }
    let refusal = admit("d", NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManySensors);
    assert!(refusal.detail.contains("sensors.new_per_second"), "{}", refusal.detail);
    assert_eq!(admit("a", NOW), Ok(()), "a known sensor needs no admission");
    assert_eq!(admit("d", NOW + SECOND / 2), Ok(()));
    let refusal = admit("e", NOW + HOUR).unwrap_err();
    assert!(refusal.detail.contains("sensors.max"), "{}", refusal.detail);
}

#[test]
fn a_clock_that_goes_back_admits_no_more_sensors() {
    let mut admission = Admission::new(LIMITS);
    let mut admit = |name: &str, now: i64| admission.admit(&reading(name, &["a"], now), now);
    for name in ["a", "b", "c"] {
        assert_eq!(admit(name, NOW), Ok(()));
    }
    assert_eq!(refused(admit("d", NOW - HOUR)), Reason::TooManySensors);
}

#[test]
fn a_name_with_the_id_of_another_sensor_is_refused() {
    let mut admission = Admission::new(LIMITS);
    admission
        .refresh(Stored { sensors: vec![(SensorName::new("a").unwrap(), vec![])], ..Stored::default() }, NOW);
    // No two names with one id are known.
    for known in admission.sensors.values_mut() {
        known.name = "victim".into();
    }
    let refusal = admission.admit(&reading("a", &["x"], NOW), NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::SensorIdTaken);
    assert!(refusal.detail.contains("victim"), "{}", refusal.detail);
}

#[test]
fn fields_with_the_id_of_other_fields_are_refused() {
    let mut admission = Admission::new(LIMITS);
    let (ours, theirs) = (reading("a", &["x"], NOW), reading("b", &["y"], NOW));
    admission.field_sets.insert(ours.fields.id(), theirs.fields);
    assert_eq!(refused(admission.admit(&ours, NOW)), Reason::SensorIdTaken);
}

#[test]
fn a_sensor_may_have_some_sets_of_fields_and_some_fields() {
    let mut admission = Admission::new(LIMITS);
    let mut admit = |fields: &[&str]| admission.admit(&reading("a", fields, NOW), NOW);
    assert_eq!(admit(&["a", "b"]), Ok(()));
    assert_eq!(refused(admit(&["b", "c", "d", "e"])), Reason::TooManyShapes, "five fields");
    assert_eq!(admit(&["b", "c", "d"]), Ok(()));
    let refusal = admit(&["a"]).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyShapes);
    assert!(refusal.detail.contains("sensors.max_field_sets"), "{}", refusal.detail);
    assert_eq!(admit(&["a", "b"]), Ok(()), "it is known");
}

#[test]
fn a_sensor_makes_two_past_days_an_hour() {
    let mut admission = Admission::new(LIMITS);
    let mut admit = |age: i64, now: i64| admission.admit(&reading("a", &["x"], now - age), now);
    for days in 0..=2 {
        assert_eq!(admit(days * DAY, NOW), Ok(()), "the last days");
    }
    assert_eq!(admit(10 * DAY, NOW), Ok(()));
    assert_eq!(admit(11 * DAY, NOW), Ok(()));
    let refusal = admit(12 * DAY, NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyDays);
    assert_eq!(admit(11 * DAY, NOW), Ok(()), "the day has a table");
    assert_eq!(admit(12 * DAY, NOW + HOUR), Ok(()));
}

#[test]
fn what_is_stored_is_known_and_what_is_not_is_forgotten_after_a_day() {
    let mut admission = Admission::new(LIMITS);
    assert_eq!(admission.admit(&reading("new", &["x"], NOW), NOW), Ok(()));
    let stored = || Stored {
        sensors: vec![(SensorName::new("old").unwrap(), vec![reading("old", &["y"], NOW).fields.id()])],
        field_sets: vec![reading("old", &["y"], NOW).fields],
        days: Vec::new(),
    };
    admission.refresh(stored(), NOW + DAY / 2);
    assert_eq!(admission.sensors(), 2);
    admission.refresh(stored(), NOW + DAY);
    assert_eq!(admission.sensors(), 1);
    admission.limits.max_sensors = 1;
    assert_eq!(admission.admit(&reading("old", &["y"], NOW), NOW), Ok(()));
    assert_eq!(refused(admission.admit(&reading("new", &["x"], NOW), NOW)), Reason::TooManySensors);
}

#[test]
fn a_sensor_that_sends_stays_known_while_postgresql_stores_none() {
    let mut admission = Admission::new(LIMITS);
    for quarter in 0..9 {
        let now = NOW + quarter * DAY / 4;
        assert_eq!(admission.admit(&reading("new", &["x"], now), now), Ok(()));
        admission.refresh(Stored::default(), now + DAY / 8);
        assert_eq!(admission.sensors(), 1);
    }
    admission.refresh(Stored::default(), NOW + 3 * DAY);
    assert_eq!(admission.sensors(), 0);
}

#[test]
fn a_sensor_that_waits_in_the_log_is_not_new_and_stays_known_until_it_is_stored() {
    let mut admission = Admission::new(AdmissionLimits { max_sensors: 100, ..LIMITS });
    let name = |number: usize| format!("s{number}");
    for number in 0..50 {
        let waiting = reading(&name(number), &["a"], NOW);
        admission.note(&waiting.sensor, &waiting.fields, NOW);
    }
    admission.refresh(Stored::default(), NOW);
    for number in 0..50 {
        assert_eq!(admission.admit(&reading(&name(number), &["a"], NOW), NOW), Ok(()), "{number}");
    }
    for new in ["a", "b", "c"] {
        assert_eq!(admission.admit(&reading(new, &["a"], NOW), NOW), Ok(()), "all tokens are left");
    }
    assert_eq!(refused(admission.admit(&reading("d", &["a"], NOW), NOW)), Reason::TooManySensors);
    admission.refresh(Stored::default(), NOW + DAY - 1);
    assert_eq!(admission.sensors(), 53);
    admission.refresh(Stored::default(), NOW + DAY);
    assert_eq!(admission.sensors(), 0);
}
