//! Fields that repeat their value far longer than before: sensors that have failed.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]

mod series;

use series::{Noise, Sensor, alarms, anomalous, test_config};
use thicket_detector::{Cause, Detection, DetectorConfig, Event, Label, Profile};

/// Readings in which a field is stuck in these tests.
const STUCK: usize = 90;

/// A medium detector at its default threshold.
fn medium() -> DetectorConfig {
    DetectorConfig { profile: Profile::Medium, ..DetectorConfig::default() }
}

/// The temperature of a room, in tenths of a degree: it often repeats a value.
fn room(ts: i64, noise: &mut Noise) -> f64 {
    let wave = libm::sin(ts as f64 / 86_400e6 * std::f64::consts::TAU);
    ((21.0 + 2.0 * wave + 0.05 * noise.normal()) * 10.0).round() / 10.0
}

/// Returns the last event of these detections.
fn last_event(detections: &[Detection]) -> Option<&Event> {
    detections.iter().rev().find_map(|detection| detection.event.as_ref())
}

fn main_cause(event: &Event) -> &Cause {
    event.causes.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap()
}

#[test]
fn each_time_that_a_sensor_is_stuck_is_an_anomaly_that_says_for_how_long() {
    let mut sensor = Sensor::new(&medium(), "celsius");
    sensor.run(20_000, |ts, noise| vec![room(ts, noise)]);
    for time in 0..3 {
        let value = room(sensor.now, &mut Noise::new(time));
        let stuck = sensor.run(STUCK, |_, _| vec![value]);
        let begun = stuck.iter().position(|detection| detection.anomaly);
        assert!(begun.is_some_and(|begun| begun < 60), "{time}: {begun:?}");
        let cause = main_cause(last_event(&stuck).unwrap());
        assert_eq!((cause.field.as_str(), cause.share, cause.actual), ("celsius", 1.0, value));
        assert!((10..=STUCK as u32 + 20).contains(&cause.repeated), "{cause:?}");

        let after = sensor.run(3_000, |ts, noise| vec![room(ts, noise)]);
        let moving_again = anomalous(&after);
        assert!(moving_again <= 5, "{time}: the event goes on for {moving_again} readings");
        assert!(last_event(&after).is_some_and(|event| event.ended.is_some()), "{time}");
    }
}

#[test]
fn a_counter_that_stops_is_an_anomaly() {
    let mut sensor = Sensor::new(&DetectorConfig { counters: vec!["kwh".to_owned()], ..medium() }, "kwh");
    let mut total = 1_000.0;
    let mut grow = |_: i64, noise: &mut Noise| {
        // At rest, a house uses no watt-hour, one or two in a minute; an appliance thirty.
        let appliance = if noise.uniform() < 0.05 { 0.03 } else { 0.0 };
        total += 0.001 * (noise.uniform() * 3.0).floor() + appliance;
        vec![(total * 1_000.0).round() / 1_000.0]
    };
    sensor.run(20_000, &mut grow);
    let at = grow(0, &mut Noise::new(1))[0];
    let stopped = sensor.run(STUCK, |_, _| vec![at]);
    let cause = main_cause(last_event(&stopped).unwrap());
    assert_eq!((cause.actual, cause.is_counter), (0.0, true), "{cause:?}");
    assert!(cause.repeated > 8, "{cause:?}");
}

#[test]
fn one_of_several_fields_that_is_stuck_is_the_cause() {
    let mut sensor = Sensor::new(&medium(), "a b c");
    let calm = |ts, noise: &mut Noise| vec![noise.normal(), room(ts, noise), 5.0 * noise.normal()];
    sensor.run(20_000, calm);
    let stuck = sensor.run(STUCK, |_, noise| vec![noise.normal(), 21.5, 5.0 * noise.normal()]);
    let cause = main_cause(last_event(&stuck).unwrap());
    assert_eq!((cause.field.as_str(), cause.share), ("b", 1.0));
    assert!(cause.repeated > 8);
}

#[test]
fn a_signal_that_rests_every_night_is_stuck_in_its_first_night_at_most() {
    const DAY: usize = 1_440;
    let mut sensor = Sensor::new(&test_config(), "lux");
    let light = |ts: i64, noise: &mut Noise| {
        let by_day = ts / 60_000_000 % DAY as i64 >= DAY as i64 / 3;
        vec![if by_day { 500.0 + 100.0 * noise.normal() } else { 0.0 }]
    };
    let first = sensor.run(3 * DAY, light);
    assert!(alarms(&first) <= 3, "{}", alarms(&first));
    let later = sensor.run(10 * DAY, light);
    let repeated = later.iter().filter_map(|detection| detection.event.as_ref());
    let repeated: Vec<u32> = repeated.map(|event| main_cause(event).repeated).filter(|&n| n > 0).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

#[test]
fn a_field_that_stays_stuck_becomes_normal_and_raises_few_alarms() {
    let mut sensor = Sensor::new(&medium(), "celsius");
    sensor.run(20_000, |ts, noise| vec![room(ts, noise)]);
    let week = sensor.run(7 * 1_440, |_, _| vec![21.5]);
    assert!((1..=3).contains(&alarms(&week)), "{}", alarms(&week));
    assert!(anomalous(&week) < 1_000, "{}", anomalous(&week));
}

#[test]
fn a_tolerance_does_not_hide_that_a_field_is_stuck_and_a_label_does() {
    let mut config = medium();
    config.suppress.absolute = 5.0;
    let mut sensor = Sensor::new(&config, "celsius");
    sensor.run(20_000, |ts, noise| vec![room(ts, noise)]);
    let value = room(sensor.now, &mut Noise::new(2));
    let stuck = sensor.run(STUCK, |_, _| vec![value]);
    let event = last_event(&stuck).expect("no tolerance hides it").clone();
    let cause = main_cause(&event);
    assert!(cause.repeated > 0 && (cause.actual - cause.expected).abs() < 5.0, "{cause:?}");

    sensor.run(1_000, |ts, noise| vec![room(ts, noise)]);
    sensor.detector.label(event.started, Label::False).unwrap();
    let value = room(sensor.now, &mut Noise::new(3));
    let again = sensor.run(STUCK, |_, _| vec![value]);
    assert_eq!(alarms(&again), 0);
    assert!(again.iter().any(|detection| detection.marks.suppressed));
}
