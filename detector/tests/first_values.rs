//! Sensors whose first values say nothing about the later ones: they differ by their rounding only, or the
//! device reports errors as values until it measures.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]

mod series;

use series::{Sensor, test_config};
use thicket_detector::DetectorConfig;

/// Values far from the usual 20 ± 1, in the order in which they come.
const SPIKES: [f64; 4] = [60.0, -40.0, 110.0, 500.0];

/// Returns which spikes are anomalies after these first values and 6,000 usual ones.
fn found(config: &DetectorConfig, first: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sensor = Sensor::new(config, "celsius");
    for value in first {
        sensor.read(&[value]);
    }
    sensor.settle(6_000, 20.0);
    let is_found = |spike: &f64| {
        let is_found = sensor.read(&[*spike]).anomaly;
        sensor.settle(700, 20.0);
        is_found
    };
    SPIKES.into_iter().filter(is_found).collect()
}

#[test]
fn first_values_that_differ_by_their_rounding_do_not_blind_a_sensor() {
    let celsius = [21.3, 21.3, 21.3, 21.300_000_000_000_004].into_iter().cycle().take(16);
    assert_eq!(found(&test_config(), celsius), SPIKES);
    let zero = [0.0, 0.0, 0.0, 5.55e-17].into_iter().cycle().take(16);
    assert_eq!(found(&test_config(), zero), SPIKES);
}

#[test]
fn first_values_that_are_errors_of_the_device_do_not_blind_a_sensor() {
    let listed = DetectorConfig { fields: vec!["celsius".to_owned()], ..test_config() };
    for error in [65_535.0, 4_294_967_295.0, 1e20, f64::from(f32::MAX), -127.0] {
        for config in [&test_config(), &listed] {
            assert_eq!(found(config, std::iter::repeat_n(error, 16)), SPIKES, "{error}");
        }
    }
}

#[test]
fn a_counter_that_begins_with_even_steps_is_not_blind_to_great_ones() {
    let mut sensor =
        Sensor::new(&DetectorConfig { counters: vec!["total".to_owned()], ..test_config() }, "total");
    let mut total = 0.0;
    let mut grow = |by: f64| {
        total += by;
        vec![total]
    };
    sensor.run(40, |_, _| grow(0.1));
    sensor.run(6_000, |_, noise| grow(0.5 * noise.uniform()));
    for great in [3.0, 10.0, 100.0] {
        assert!(sensor.read(&grow(great)).anomaly, "{great}");
        sensor.run(700, |_, noise| grow(0.5 * noise.uniform()));
    }
}
