//! Fields that do not come back to the value at which they rest: a tap that is left open, a pipe that
//! leaks, a pump that does not stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]

mod series;

use series::{Noise, Sensor, alarms, anomalous};
use thicket_detector::{Cause, Detection, DetectorConfig, Direction, Event, Label, Profile};

/// Readings of a leak in these tests.
const LEAK: usize = 130;

/// A medium detector at its default threshold.
fn medium() -> DetectorConfig {
    DetectorConfig { profile: Profile::Medium, ..DetectorConfig::default() }
}

/// The flow of water in litres a minute. Taps are open for one to eight readings.
#[derive(Default)]
struct Taps {
    open_for: u32,
    flow: f64,
}

impl Taps {
    fn flow(&mut self, noise: &mut Noise) -> f64 {
        if self.open_for > 0 {
            self.open_for -= 1;
        } else if noise.uniform() < 0.02 {
            self.open_for = (noise.uniform() * 8.0) as u32;
            self.flow = ((2.0 + 10.0 * noise.uniform()) * 10.0).round() / 10.0;
        } else {
            self.flow = 0.0;
        }
        self.flow
    }
}

/// A flow that is usual by itself.
fn leak(noise: &mut Noise) -> f64 {
    ((5.0 + 0.3 * noise.normal()) * 10.0).round() / 10.0
}

/// Returns the last event of these detections.
fn last_event(detections: &[Detection]) -> Option<&Event> {
    detections.iter().rev().find_map(|detection| detection.event.as_ref())
}

fn main_cause(event: &Event) -> &Cause {
    event.causes.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap()
}

/// Returns the number of readings that the greatest cause of any event names.
fn longest_away(detections: &[Detection]) -> u32 {
    let events = detections.iter().filter_map(|detection| detection.event.as_ref());
    events.map(|event| main_cause(event).away).max().unwrap_or(0)
}

#[test]
fn each_leak_is_an_anomaly_that_ends_with_it_and_says_for_how_long() {
    let mut sensor = Sensor::new(&medium(), "flow");
    let mut taps = Taps::default();
    let usual = sensor.run(20_000, |_, noise| vec![taps.flow(noise)]);
    assert_eq!(longest_away(&usual), 0);
    for time in 0..3 {
        let leaking = sensor.run(LEAK, |_, noise| vec![leak(noise)]);
        let begun = leaking.iter().position(|detection| detection.anomaly);
        assert!(begun.is_some_and(|begun| begun < 120), "{time}: {begun:?}");
        let cause = main_cause(last_event(&leaking).unwrap());
        assert_eq!((cause.field.as_str(), cause.share), ("flow", 1.0));
        assert_eq!((cause.expected, cause.direction, cause.repeated), (0.0, Direction::High, 0));
        assert!((8..=LEAK as u32 + 20).contains(&cause.away), "{cause:?}");

        let after = sensor.run(3_000, |_, noise| vec![taps.flow(noise)]);
        let closed_again = anomalous(&after);
        assert!(closed_again <= 12, "{time}: the event goes on for {closed_again} readings");
        assert!(last_event(&after).is_some_and(|event| event.ended.is_some()), "{time}");
    }
}

#[test]
fn a_counter_that_grows_without_a_pause_is_an_anomaly() {
    let mut sensor =
        Sensor::new(&DetectorConfig { counters: vec!["litres".to_owned()], ..medium() }, "litres");
    let (mut taps, mut total) = (Taps::default(), 1_000.0);
    let mut grow = |flow: f64| {
        total += flow;
        vec![total]
    };
    sensor.run(20_000, |_, noise| grow(taps.flow(noise).round()));
    let leaking = sensor.run(LEAK, |_, noise| grow(leak(noise).round()));
    let cause = main_cause(last_event(&leaking).unwrap());
    assert_eq!((cause.expected, cause.is_counter), (0.0, true), "{cause:?}");
    assert!(cause.away > 8, "{cause:?}");
}

#[test]
fn one_of_several_fields_that_does_not_come_back_is_the_cause() {
    let mut sensor = Sensor::new(&medium(), "a b c");
    let mut taps = Taps::default();
    sensor.run(20_000, |_, noise| vec![noise.normal(), taps.flow(noise), 5.0 * noise.normal()]);
    let leaking = sensor.run(LEAK, |_, noise| vec![noise.normal(), leak(noise), 5.0 * noise.normal()]);
    let named = leaking.iter().filter_map(|detection| detection.event.as_ref()).map(main_cause);
    assert!(named.into_iter().any(|cause| cause.field == "b" && cause.away > 8));
}

#[test]
fn a_flow_that_goes_on_becomes_normal_and_raises_few_alarms() {
    let mut sensor = Sensor::new(&medium(), "flow");
    let mut taps = Taps::default();
    sensor.run(20_000, |_, noise| vec![taps.flow(noise)]);
    let week = sensor.run(7 * 1_440, |_, noise| vec![leak(noise)]);
    assert!((1..=3).contains(&alarms(&week)), "{}", alarms(&week));
    assert!(anomalous(&week) < 1_000, "{}", anomalous(&week));
}

#[test]
fn a_label_hides_the_next_leak() {
    let mut sensor = Sensor::new(&medium(), "flow");
    let mut taps = Taps::default();
    sensor.run(20_000, |_, noise| vec![taps.flow(noise)]);
    let leaking = sensor.run(LEAK, |_, noise| vec![leak(noise)]);
    let event = last_event(&leaking).unwrap().clone();
    assert!(main_cause(&event).away > 0);
    sensor.run(1_000, |_, noise| vec![taps.flow(noise)]);
    sensor.detector.label(event.started, Label::False).unwrap();
    let again = sensor.run(LEAK, |_, noise| vec![leak(noise)]);
    assert_eq!(alarms(&again), 0);
}
