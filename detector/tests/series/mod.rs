//! Series that the tests share, and a detector that runs through them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "no test file uses all of it; a test that cannot go on may panic"
)]

use thicket_detector::{Detection, Detector, DetectorConfig, Profile};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A small deterministic generator.
pub(crate) struct Noise(pub u64);

impl Noise {
    /// In [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A small detector that alarms about once a day at a reading each minute.
pub(crate) fn config() -> DetectorConfig {
    DetectorConfig {
        profile: Profile::Small,
        warm_up: 200,
        alarms_per_week: 7.0,
        ..DetectorConfig::default()
    }
}

/// A sensor, its clock and its noise.
pub(crate) struct Sensor {
    pub(crate) detector: Detector,
    pub(crate) noise: Noise,
    pub(crate) now: i64,
    pub(crate) every: i64,
    names: Vec<String>,
}

impl Sensor {
    /// One reading a minute.
    pub(crate) fn new(config: &DetectorConfig, names: &str) -> Self {
        config.validate().unwrap();
        Self {
            detector: Detector::new("site/sensor", config),
            noise: Noise(7),
            now: 0,
            every: 60 * SECOND,
            names: names.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Lets a reading come.
    pub(crate) fn read(&mut self, values: &[f64]) -> Detection {
        self.now += self.every;
        self.detector.apply(self.now, &self.names, values).unwrap()
    }

    /// Lets so many readings come, made of time and noise.
    pub(crate) fn run(
        &mut self,
        readings: usize,
        mut of: impl FnMut(i64, &mut Noise) -> Vec<f64>,
    ) -> Vec<Detection> {
        (0..readings)
            .map(|_| {
                let values = of(self.now + self.every, &mut self.noise);
                self.read(&values)
            })
            .collect()
    }

    /// Lets so many readings of plain noise around a level come.
    pub(crate) fn settle(&mut self, readings: usize, level: f64) -> Vec<Detection> {
        self.run(readings, |_, noise| vec![level + noise.normal()])
    }
}

/// How many readings are part of an announced anomaly.
pub(crate) fn anomalous(detections: &[Detection]) -> usize {
    detections.iter().filter(|detection| detection.anomaly).count()
}

/// How many alarms there were: announced anomalies that began.
pub(crate) fn alarms(detections: &[Detection]) -> usize {
    let mut started: Vec<i64> =
        detections.iter().filter_map(|d| d.event.as_ref()).map(|event| event.started).collect();
    started.dedup();
    started.len()
}
