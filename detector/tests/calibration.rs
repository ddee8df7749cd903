//! The grade is calibrated: on a series in which nothing unusual happens, a reading as rare as one
//! in n occurs about once in n readings, for any kind of series.

mod series;

use series::{Noise, Sensor};
use thicket_detector::{DetectorConfig, Profile};

const READINGS: usize = 15_000;
/// The test counts readings that are at least as rare as one in this many.
const ONE_IN: f64 = 300.0;
/// Allowed factor between the count and its expectation. Skewed series, and series with a memory,
/// have a few times as many rare readings.
const FACTOR: f64 = 5.0;

fn check<S: FnMut(i64, &mut Noise) -> Vec<f64>>(name: &str, fields: &str, series: impl Fn() -> S) {
    let rare = ONE_IN.log10() / (1.0 + ONE_IN.log10());
    for smoothing in [16, 0] {
        let config = DetectorConfig { profile: Profile::Small, smoothing, ..DetectorConfig::default() };
        let detections = Sensor::new(&config, fields).run(READINGS, series());
        let graded = detections.iter().filter_map(|detection| detection.grade);
        let (mut count, mut total) = (0.0, 0.0);
        for grade in graded {
            count += f64::from(u8::from(grade >= rare));
            total += 1.0;
        }
        let expected = total / ONE_IN;
        let context = format!(
            "{name}, smoothing {smoothing}: {count} as rare as one in {ONE_IN}, {expected:.0} expected"
        );
        assert!(count <= expected * FACTOR, "{context}");
        assert!(count >= expected / FACTOR, "{context}");
    }
}

#[test]
fn on_normal_noise() {
    check("normal noise", "a", || |_, noise: &mut Noise| vec![noise.normal()]);
}

#[test]
fn on_noise_of_several_fields_of_different_scale() {
    check("scales", "a b c", || {
        |_, noise: &mut Noise| vec![noise.normal(), 1e6 + 1e3 * noise.normal(), 1e-6 * noise.normal()]
    });
}

#[test]
fn on_skewed_noise() {
    check("exponential noise", "a", || |_, noise: &mut Noise| vec![-(1.0 - noise.uniform()).ln()]);
}

#[test]
fn on_quantised_noise() {
    check("quantised noise", "a", || |_, noise: &mut Noise| vec![(3.0 * noise.normal()).round()]);
}

#[test]
fn on_a_series_with_a_memory() {
    check("AR(1)", "a", || {
        let mut level = 0.0;
        move |_, noise: &mut Noise| {
            level = 0.8 * level + noise.normal();
            vec![level]
        }
    });
}

#[test]
fn on_a_daily_wave_with_noise() {
    check("wave", "a", || {
        |at, noise: &mut Noise| {
            let angle = core::f64::consts::TAU * at as f64 / series::DAY as f64;
            vec![10.0 * angle.sin() + noise.normal()]
        }
    });
}
