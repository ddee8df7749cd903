//! A grade means what it says: on series in which nothing unusual happens, a reading as rare as one in n comes about once in
//! n readings, whatever the series looks like.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use thicket_detector::{Detector, DetectorConfig};

const WARM_UP: u32 = 512;
const READINGS: i64 = 12_000;
/// The verdict that is counted: once in so many readings.
const ONE_IN: u64 = 200;
/// How far the count may lie from its expectation. Events are the unit of an alarm, and rare readings of a series with a
/// memory come in groups, so fewer alarms than rare readings are to be expected.
const FACTOR: f64 = 4.0;

/// A small deterministic generator: uniform in [0, 1).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Alarms among so many readings after the warm-up.
fn alarms(name: &str, mut series: impl FnMut(i64, &mut Noise) -> Vec<f64>) -> f64 {
    let config = DetectorConfig {
        trees: 16,
        window: 1_024,
        warm_up: WARM_UP,
        false_alarm_every: ONE_IN,
        ..DetectorConfig::default()
    };
    let mut noise = Noise(7);
    let mut detector = Detector::new(name, &config);
    let mut begun = 0;
    for i in 0..READINGS {
        let values = series(i, &mut noise);
        let names: Vec<String> = (0..values.len()).map(|field| format!("f{field}")).collect();
        let detection = detector.apply(i, &names, &values).unwrap();
        begun += u32::from(detection.event.is_some_and(|event| event.readings == 1 && event.ended.is_none()));
    }
    f64::from(begun)
}

fn check(name: &str, series: impl FnMut(i64, &mut Noise) -> Vec<f64>) {
    let expected = (READINGS - i64::from(WARM_UP)) as f64 / ONE_IN as f64;
    let found = alarms(name, series);
    assert!(found <= expected * FACTOR, "{name}: {found} alarms, {expected} expected");
    assert!(found >= expected / FACTOR, "{name}: {found} alarms, {expected} expected");
}

#[test]
fn on_normal_noise() {
    check("normal noise", |_, noise| vec![noise.normal()]);
}

#[test]
fn on_noise_of_several_fields_of_different_scale() {
    check("scales", |_, noise| vec![noise.normal(), 1e6 + 1e3 * noise.normal(), 1e-6 * noise.normal()]);
}

#[test]
fn on_a_series_with_a_memory() {
    let mut level = 0.0;
    check("AR(1)", move |_, noise| {
        level = 0.9 * level + noise.normal();
        vec![level]
    });
}

#[test]
fn on_a_wave_with_noise() {
    check("wave", |i, noise| vec![10.0 * libm::sin(i as f64 / 40.0) + noise.normal()]);
}
