use super::*;
use thicket_schema::Timestamp;

const LIMITS: AdmissionLimits = AdmissionLimits {
    max_sensors: 4,
    new_per_second: 2,
    new_at_once: 3,
    max_field_sets: 2,
    max_fields: 4,
    max_name_bytes: 1 << 20,
    new_days_per_hour: 2,
    new_days_at_once: 10,
};
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
fn a_backlog_of_past_days_is_admitted_and_then_two_days_an_hour() {
    let mut admission = Admission::new(LIMITS);
    let mut admit = |age: i64, now: i64| admission.admit(&reading("a", &["x"], now - age), now);
    for days in 0..=2 {
        assert_eq!(admit(days * DAY, NOW), Ok(()), "the last days");
    }
    for days in (10..20).rev() {
        assert_eq!(admit(days * DAY, NOW), Ok(()), "the backlog");
    }
    let refusal = admit(30 * DAY, NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyDays);
    assert!(refusal.detail.contains("sensors.new_days_at_once"), "{}", refusal.detail);
    assert!(refusal.detail.contains("sensors.new_days_per_hour"), "{}", refusal.detail);
    assert_eq!(admit(11 * DAY, NOW), Ok(()), "the day has a table");
    assert_eq!(admit(30 * DAY, NOW + HOUR / 2), Ok(()));
    assert_eq!(refused(admit(40 * DAY, NOW + HOUR / 2)), Reason::TooManyDays);
    assert_eq!(refused(admit(40 * DAY, NOW)), Reason::TooManyDays, "the clock went back");
    for days in 0..400 {
        let later = admit((1_000 + days) * DAY, NOW + 1_000 * HOUR);
        assert_eq!(later.is_ok(), days < 10, "as many at once after any time");
    }
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

/// Sixty names of 60 bytes each, other ones for each number.
fn wide(sensor: &str, number: usize) -> Reading {
    let names: Vec<String> = (0..60).map(|field| format!("{number:056}{field:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    reading(sensor, &names, NOW)
}

const WIDE: usize = 60 * 60;

#[test]
fn the_names_of_all_field_sets_have_a_bound_of_which_each_sensor_has_its_part() {
    const MOST: usize = 10 * WIDE;
    let limits = AdmissionLimits {
        max_sensors: 100,
        new_at_once: 100,
        max_field_sets: 50,
        max_fields: 10_000,
        max_name_bytes: MOST,
        ..LIMITS
    };
    let mut admission = Admission::new(limits);
    for number in 0..10 {
        assert_eq!(admission.admit(&wide(&format!("evil-{number}"), number), NOW), Ok(()));
    }
    assert_eq!(admission.name_bytes(), MOST);
    let refusal = admission.admit(&wide("evil-10", 10), NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyShapes);
    assert!(refusal.detail.contains("sensors.max_name_bytes"), "{}", refusal.detail);
    let part = MOST / 100;
    let own = "n".repeat(60);
    assert!(own.len() <= part);
    assert_eq!(admission.admit(&reading("good", &[&own], NOW), NOW), Ok(()), "its own part");
    assert_eq!(admission.admit(&wide("good-2", 3), NOW), Ok(()), "the names are stored already");
    let refusal = admission.admit(&wide("evil-1", 11), NOW).unwrap_err();
    assert!(refusal.detail.contains("512th"), "{}", refusal.detail);
}

#[test]
fn the_names_of_forgotten_sensors_make_room() {
    let mut admission = Admission::new(AdmissionLimits { max_fields: 100, max_name_bytes: WIDE, ..LIMITS });
    assert_eq!(admission.admit(&wide("a", 0), NOW), Ok(()));
    assert_eq!(refused(admission.admit(&wide("b", 1), NOW)), Reason::TooManyShapes);
    let (name, fields) = (SensorName::new("a").unwrap(), wide("a", 0).fields);
    let sensors = vec![(name, vec![fields.id()])];
    admission.refresh(Stored { sensors, field_sets: vec![fields], days: Vec::new() }, NOW);
    assert_eq!(admission.name_bytes(), WIDE, "it is counted once");
    admission.refresh(Stored::default(), NOW);
    assert_eq!((admission.name_bytes(), admission.field_sets.len()), (0, 0));
    assert_eq!(admission.admit(&wide("b", 1), NOW), Ok(()));
    admission.refresh(Stored::default(), NOW + HOUR);
    assert_eq!(admission.name_bytes(), WIDE, "it waits in the log");
}

/// A union of all sets for each refused one would take minutes.
#[test]
fn the_names_of_a_sensor_are_counted_across_its_sets() {
    let mut admission = Admission::new(AdmissionLimits { max_field_sets: 256, max_fields: 256, ..LIMITS });
    let names: Vec<String> = (0..256).map(|name| format!("n{name:03}")).collect();
    let set = |first: usize| -> Vec<&str> {
        (0..64).map(|field| names[(first + field * 3) % 256].as_str()).collect()
    };
    for first in 0..255 {
        assert_eq!(admission.admit(&reading("evil", &set(first), NOW), NOW), Ok(()), "{first}");
    }
    for number in 0..20_000 {
        let other = format!("other-{number}");
        let mut fields = set(number % 256);
        fields[0] = &other;
        let refusal = admission.admit(&reading("evil", &fields, NOW), NOW).unwrap_err();
        assert!(refusal.detail.contains("257 different fields"), "{}", refusal.detail);
    }
    assert_eq!(admission.admit(&reading("evil", &set(255), NOW), NOW), Ok(()));
    assert_eq!(refused(admission.admit(&reading("evil", &["n001"], NOW), NOW)), Reason::TooManyShapes);
}
