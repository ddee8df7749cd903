//! Synthetic series for the tests, examples and benchmarks, and a detector that scores them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "no test uses all of this file; a test or benchmark that cannot continue may panic"
)]

use thicket_detector::{Detection, Detector, DetectorConfig, Profile};

mod noise;

pub(crate) use noise::Noise;

/// In microseconds, as are the next two.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Returns the settings of a small detector that may raise one alarm per day.
pub(crate) fn test_config() -> DetectorConfig {
    DetectorConfig {
        profile: Profile::Small,
        warm_up: 200,
        alarms_per_week: 7.0,
        ..DetectorConfig::default()
    }
}

/// A sensor: a detector, a clock and a generator of noise.
pub(crate) struct Sensor {
    pub(crate) detector: Detector,
    pub(crate) noise: Noise,
    /// Timestamp of the last reading, in microseconds since 1970.
    pub(crate) now: i64,
    /// Interval between readings, in microseconds.
    pub(crate) every: i64,
    names: Vec<String>,
}

impl Sensor {
    /// Creates a sensor with one reading per minute. `names` are its fields, separated by spaces.
    pub(crate) fn new(config: &DetectorConfig, names: &str) -> Self {
        config.validate().unwrap();
        Self {
            detector: Detector::new("site/sensor", config),
            noise: Noise::new(7),
            now: 0,
            every: 60 * SECOND,
            names: names.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Applies the next reading.
    pub(crate) fn read(&mut self, values: &[f64]) -> Detection {
        self.now += self.every;
        self.detector.apply(self.now, &self.names, values).unwrap()
    }

    /// Applies the next `readings` readings. `values_at` makes their values from the timestamp and
    /// the noise.
    pub(crate) fn run(
        &mut self,
        readings: usize,
        mut values_at: impl FnMut(i64, &mut Noise) -> Vec<f64>,
    ) -> Vec<Detection> {
        (0..readings)
            .map(|_| {
                let values = values_at(self.now + self.every, &mut self.noise);
                self.read(&values)
            })
            .collect()
    }

    /// Applies the next `readings` readings: normal noise around a level, in one field.
    pub(crate) fn settle(&mut self, readings: usize, level: f64) -> Vec<Detection> {
        self.run(readings, |_, noise| vec![level + noise.normal()])
    }
}

/// Returns how many readings are part of an anomaly that is not suppressed.
pub(crate) fn anomalous(detections: &[Detection]) -> usize {
    detections.iter().filter(|detection| detection.anomaly).count()
}

/// Returns the number of alarms: announced anomalies, each counted once.
pub(crate) fn alarms(detections: &[Detection]) -> usize {
    let mut started: Vec<i64> =
        detections.iter().filter_map(|d| d.event.as_ref()).map(|event| event.started).collect();
    started.dedup();
    started.len()
}
