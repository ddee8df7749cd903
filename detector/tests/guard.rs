//! What a detector learns during an anomaly, and which anomalies it announces.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]

mod series;

use std::time::Duration;

use series::{HOUR, Noise, Sensor, alarms, anomalous, test_config};
use thicket_detector::{Detection, Detector, DetectorConfig, Label, Suppression};

/// Returns a sensor with one reading per minute whose level jumps from 20 to 60 after a settled
/// time, and the detections after the jump.
fn shifted(config: &DetectorConfig, readings: usize) -> (Sensor, Vec<Detection>) {
    let mut sensor = Sensor::new(config, "a");
    sensor.settle(3_000, 20.0);
    let detections = sensor.settle(readings, 60.0);
    (sensor, detections)
}

fn accept_after(hours: u64) -> DetectorConfig {
    DetectorConfig { accept_after: Duration::from_hours(hours), ..test_config() }
}

#[test]
fn a_lasting_fault_is_not_learnt_as_normal() {
    let (mut sensor, fault) = shifted(&accept_after(24 * 365), 600);
    assert!(fault[0].anomaly);
    assert!(fault[599].anomaly, "ten hours later it still is one: {:?}", fault[599]);
    assert!(fault[599].marks.learning_slowed);
    assert!(anomalous(&fault) > 580, "{}", anomalous(&fault));
    let back = sensor.settle(200, 20.0);
    assert_eq!(anomalous(&back[100..]), 0, "the old normal is still known");
}

#[test]
fn a_level_that_stays_is_accepted_in_time() {
    let (mut sensor, shift) = shifted(&accept_after(2), 200);
    let closed =
        shift.iter().position(|d| d.event.as_ref().is_some_and(|event| event.ended.is_some())).unwrap();
    let event = shift[closed].event.clone().unwrap();
    assert!(event.accepted);
    assert_eq!(event.ended.unwrap() - event.started, 2 * HOUR);
    assert!(!shift[closed + 1].marks.learning_slowed);
    let later = sensor.settle(600, 60.0);
    assert!(alarms(&later) <= 1, "the level itself raises no second alarm: {}", alarms(&later));
    let known = sensor.settle(2_000, 60.0);
    assert!(known[1_999].grade < Some(0.7), "{:?}", known[1_999].grade);
    assert!(sensor.read(&[95.0]).anomaly, "a reading beyond the new normal is an anomaly again");
}

#[test]
fn an_anomaly_of_a_slow_sensor_lasts_some_readings_before_it_is_accepted() {
    let config = accept_after(2);
    let mut sensor = Sensor::new(&config, "a");
    sensor.every = HOUR;
    sensor.settle(3_000, 20.0);
    let shift = sensor.settle(200, 60.0);
    let closed = shift.iter().find_map(|d| d.event.clone().filter(|event| event.ended.is_some())).unwrap();
    assert!(closed.accepted);
    let lasted = (closed.ended.unwrap() - closed.started) / HOUR;
    let least = 2 * i64::from(config.smoothing);
    assert!((least..=least + 2).contains(&lasted), "{lasted} readings, and {least} expected");
}

#[test]
fn a_label_ends_or_prolongs_an_open_anomaly() {
    for (label, goes_on) in [(Label::False, false), (Label::Maintenance, false), (Label::True, true)] {
        let (mut sensor, shift) = shifted(&accept_after(2), 30);
        let started = shift[0].event.as_ref().unwrap().started;
        assert_eq!(sensor.detector.label(started - 1, label), None, "another anomaly's label");
        assert!(sensor.detector.label(started, label).is_some());
        let later = sensor.settle(300, 60.0);
        let ended =
            later[0].event.as_ref().is_some_and(|event| event.started == started && event.ended.is_some());
        assert_eq!(ended, !goes_on, "{label:?}");
        assert_eq!(later[0].marks.learning_slowed, goes_on, "{label:?}");
        assert_eq!(later[299].anomaly, goes_on, "{label:?}");
    }
}

#[test]
fn labels_are_counted() {
    let (mut sensor, shift) = shifted(&accept_after(2), 30);
    let started = shift[0].event.as_ref().unwrap().started;
    let state = |sensor: &Sensor| sensor.detector.snapshot();
    let before = state(&sensor);
    assert!(sensor.detector.label(started, Label::True).is_some());
    assert_ne!(state(&sensor), before);
    assert_eq!(sensor.detector.label(started, Label::True), Some(2));
    assert_eq!(sensor.detector.labels(), 2);
}

#[test]
fn an_event_lasts_as_long_as_readings_stay_unusual() {
    let (mut sensor, shift) = shifted(&accept_after(24), 50);
    let started = shift[0].event.as_ref().unwrap().started;
    let events = shift.iter().filter_map(|detection| detection.event.as_ref());
    assert!(events.clone().count() > 40 && events.clone().all(|event| event.started == started));
    let late = shift[30..].iter().filter(|detection| detection.onset > 0.0).count();
    assert!(late < 10, "an onset is a beginning: {late} of 20");
    let after = sensor.settle(200, 20.0);
    assert!(
        after.iter().any(|detection| detection.event.as_ref().is_some_and(|event| event.ended.is_some()))
    );
}

fn suppressed(suppress: Suppression) -> Vec<Detection> {
    let config = DetectorConfig { suppress, ..accept_after(24) };
    config.validate().unwrap();
    shifted(&config, 120).1
}

#[test]
fn an_anomaly_within_the_tolerance_is_stored_as_suppressed() {
    let within = suppressed(Suppression { absolute: 50.0, ..Suppression::default() });
    assert_eq!(anomalous(&within), 0);
    assert!(within.iter().all(|detection| detection.event.is_none() && detection.grade.is_some()));
    assert!(within[0].marks.suppressed && !within[0].causes.is_empty());
    let beyond = suppressed(Suppression { relative: 1.5, ..Suppression::default() });
    assert!(anomalous(&beyond) > 0, "60 is more than 2.5 times 20");
}

#[test]
fn an_anomaly_must_last_to_be_announced() {
    let hour = Duration::from_hours(1);
    let detections = suppressed(Suppression { min_duration: hour, ..Suppression::default() });
    let first = detections.iter().position(|detection| detection.anomaly).unwrap();
    assert_eq!(first, 60);
    assert!(detections[..60].iter().all(|detection| detection.marks.suppressed && detection.event.is_none()));
    let event = detections[60].event.as_ref().unwrap();
    assert_eq!(event.readings, 61, "the event began with the first anomalous reading");
}

#[test]
fn quiet_hours_are_those_of_the_site() {
    // The shift begins 3,001 minutes after midnight UTC: at 02:01 UTC of the third day, which is
    // 03:01 in Berlin in winter.
    let quiet = |hours: &str, zone: &str| {
        let quiet_hours = vec![hours.to_owned().try_into().unwrap()];
        let suppress = Suppression { quiet_hours, ..Suppression::default() };
        let config = DetectorConfig { suppress, time_zone: zone.parse().unwrap(), ..accept_after(24) };
        anomalous(&shifted(&config, 30).1)
    };
    assert_eq!(quiet("02:00-03:00", "UTC"), 0);
    assert_eq!(quiet("03:00-04:00", "Europe/Berlin"), 0);
    assert!(quiet("03:00-04:00", "UTC") > 0);
}

#[test]
fn maintenance_is_not_announced() {
    let settings = serde_json::json!({
        "maintenance": [{ "from": "1970-01-03T02:00:00Z", "to": "1970-01-03T02:30:00Z" }]
    });
    let detections = suppressed(serde_json::from_value(settings).unwrap());
    let first = detections.iter().position(|detection| detection.anomaly).unwrap();
    assert!((25..35).contains(&first), "{first}");
}

/// Returns a sensor with one reading per minute, and its readings of `times` bursts: five readings
/// at `height` after 600 usual ones each.
fn bursts(sensor: &mut Sensor, times: usize, height: f64) -> Vec<Detection> {
    let burst = |_| {
        let mut detections = sensor.settle(600, 20.0);
        detections.extend(sensor.settle(5, height));
        detections
    };
    (0..times).flat_map(burst).collect()
}

/// Returns when the last event began.
fn last_event(detections: &[Detection]) -> i64 {
    detections.iter().rev().find_map(|detection| detection.event.as_ref()).unwrap().started
}

#[test]
fn what_people_call_a_false_alarm_does_not_come_again_and_worse_does() {
    for (label, is_none) in [(Label::False, true), (Label::Maintenance, true), (Label::True, false)] {
        let mut sensor = Sensor::new(&test_config(), "a");
        sensor.settle(3_000, 20.0);
        let first = bursts(&mut sensor, 1, 40.0);
        // The label comes ten hours after the end of the anomaly.
        sensor.settle(600, 20.0);
        assert!(sensor.detector.label(last_event(&first), label).is_some());
        let (again, lower) = (bursts(&mut sensor, 3, 40.0), bursts(&mut sensor, 1, 0.0));
        assert_eq!(alarms(&again) == 0, is_none, "{label:?}");
        assert!(alarms(&lower) > 0, "the other direction: {label:?}");
        if is_none {
            assert!(again.iter().any(|detection| detection.marks.suppressed && !detection.causes.is_empty()));
            let worse = bursts(&mut sensor, 1, 60.0);
            assert!(worse[600..].iter().any(|detection| detection.anomaly), "{label:?}");
        }
    }
}

/// Returns in how many of 40 bursts an anomaly was found, and how many alarms were raised outside of
/// them, if the first burst has a label.
fn found_of_forty(seed: u64, label: Option<Label>) -> (usize, usize) {
    let mut sensor = Sensor::new(&test_config(), "a");
    sensor.noise = Noise::new(seed);
    sensor.settle(3_000, 20.0);
    let first = bursts(&mut sensor, 1, 40.0);
    sensor.settle(100, 20.0);
    if let Some(label) = label {
        assert!(sensor.detector.label(last_event(&first), label).is_some());
    }
    let detections = bursts(&mut sensor, 40, 40.0);
    let found = detections.chunks(605).filter(|burst| anomalous(&burst[600..]) > 0).count();
    (found, alarms(&detections) - found)
}

#[test]
fn a_recurrent_anomaly_that_is_true_stays_findable() {
    const SEEDS: u64 = 4;
    let (mut without_label, mut others) = (0, 0);
    for seed in 0..SEEDS {
        without_label += found_of_forty(seed, None).0;
        let (with, other_alarms) = found_of_forty(seed, Some(Label::True));
        assert_eq!(with, 40);
        others += other_alarms;
    }
    assert!(without_label < 30 * SEEDS as usize, "it has become usual: {without_label} in {SEEDS} series");
    // One a day may be raised, for 17 days. With 12 series of noise, the mean is 4.8.
    assert!(others <= 8 * SEEDS as usize, "{others} other alarms in {SEEDS} series");
}

#[test]
fn a_restored_detector_knows_what_people_said() {
    let mut sensor = Sensor::new(&test_config(), "a");
    sensor.settle(3_000, 20.0);
    let first = bursts(&mut sensor, 1, 40.0);
    sensor.settle(100, 20.0);
    assert!(sensor.detector.label(last_event(&first), Label::False).is_some());
    sensor.detector =
        thicket_detector::Detector::restore("site/sensor", &test_config(), &sensor.detector.snapshot())
            .unwrap();
    assert_eq!(alarms(&bursts(&mut sensor, 2, 40.0)), 0);
}

/// Returns settings that allow no alarm in any test's time.
fn without_alarms() -> DetectorConfig {
    DetectorConfig { alarms_per_week: 1e-9, ..test_config() }
}

/// Returns normal noise of this size in three fields.
fn noise_of_three(size: f64) -> impl FnMut(i64, &mut Noise) -> Vec<f64> {
    move |_, noise| [0; 3].map(|_| size * noise.normal()).to_vec()
}

/// The noise of a sensor becomes 1.6 times as great, which is unusual but raises no alarm.
#[test]
fn during_caution_the_adapted_forecasts_are_in_the_snapshot_and_a_restored_detector_continues() {
    let config = without_alarms();
    let mut sensor = Sensor::new(&config, "a b c");
    sensor.run(3_000, noise_of_three(1.0));
    let before = sensor.detector.snapshot().len();
    let unrest = sensor.run(300, noise_of_three(1.6));
    assert_eq!(alarms(&unrest), 0);
    let snapshot = sensor.detector.snapshot();
    // The snapshot also holds the forecasts that have learnt every reading.
    assert!(snapshot.len() > before + 3_000, "{before} and {}", snapshot.len());
    let restored = Detector::restore("site/sensor", &config, &snapshot).unwrap();
    let mut other = Sensor::new(&config, "a b c");
    (other.detector, other.noise, other.now) = (restored, sensor.noise.clone(), sensor.now);
    for size in [1.6, 1.0] {
        let detections = sensor.run(300, noise_of_three(size));
        assert_eq!(other.run(300, noise_of_three(size)), detections);
    }
    assert!(other.detector.snapshot() == sensor.detector.snapshot());
    let after = sensor.detector.snapshot().len();
    assert!(after < snapshot.len() - 3_000, "{} and {after}", snapshot.len());
}

#[test]
fn unrest_without_an_alarm_is_learnt_slowly() {
    let mut sensor = Sensor::new(&without_alarms(), "a b c");
    sensor.run(3_000, noise_of_three(1.0));
    let unrest = sensor.run(800, noise_of_three(1.6));
    assert_eq!(alarms(&unrest), 0);
    let last: Vec<f64> = unrest[700..].iter().map(|detection| detection.grade.unwrap()).collect();
    let mean = last.iter().sum::<f64>() / last.len() as f64;
    // 0.46 if caution learns every reading.
    assert!(mean > 0.52, "{mean}");
}

#[test]
fn what_was_accepted_is_learnt_without_caution() {
    let (mut sensor, _) = shifted(&accept_after(2), 0);
    let before = sensor.detector.snapshot().len();
    let shift = sensor.settle(125, 60.0);
    assert!(shift.iter().any(|detection| detection.event.as_ref().is_some_and(|event| event.accepted)));
    for _ in 0..60 {
        sensor.settle(1, 60.0);
        // No copy of the forecasts, which takes 3 KB.
        let now = sensor.detector.snapshot().len();
        assert!(now < before + 2_000, "{before} and {now}");
    }
}
