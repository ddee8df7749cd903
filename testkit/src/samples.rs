//! Readings of several sensors, the same for the same arguments.

use std::ops::Range;

use thicket_schema::SensorName;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::publisher::Publisher;

/// Number of readings from one spike to the next.
const SPIKE_PERIOD: i64 = 311;
/// Height of a spike.
const SPIKE: f64 = 40.0;

/// Readings of numbered sensors. Each sensor has one reading per second.
#[derive(Clone, Debug)]
pub struct Samples {
    prefix: &'static str,
    sensors: usize,
    start: i64,
}

impl Samples {
    /// Creates the readings of `sensors` sensors. The name of a sensor is `prefix` and a number
    /// from 0. The first reading has the time `start`, in seconds since the Unix epoch.
    pub fn new(prefix: &'static str, sensors: usize, start: i64) -> Self {
        Self { prefix, sensors, start }
    }

    /// Returns the time of the first reading, in seconds since the Unix epoch.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Returns the name of a sensor.
    pub fn sensor(&self, number: usize) -> SensorName {
        let name = format!("{}{number}", self.prefix);
        SensorName::new(&name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the number of records if each sensor has this many readings.
    pub fn records(&self, readings: i64) -> i64 {
        readings * self.sensors as i64
    }

    /// Publishes a range of readings of each sensor.
    pub async fn publish(&self, publisher: &Publisher, readings: Range<i64>) {
        for i in readings {
            for sensor in 0..self.sensors {
                let topic = format!("sensors/{}{sensor}", self.prefix);
                publisher.publish(&topic, sample(self.start, sensor, i)).await;
            }
        }
    }

    /// Publishes a range of readings of each sensor and waits until the broker has acknowledged
    /// them.
    pub async fn deliver(&self, publisher: &Publisher, readings: Range<i64>) {
        self.publish(publisher, readings).await;
        publisher.settle().await;
    }
}

/// Returns the JSON payload of reading number `i` of a sensor. Numbers 310, 621 and so on are
/// spikes.
pub fn sample(start: i64, sensor: usize, i: i64) -> String {
    let noise = |salt: u64| {
        let hash = xxh3_64_with_seed(&i.to_le_bytes(), salt + sensor as u64 * 7);
        (hash % 10_000) as f64 / 10_000.0
    };
    let spike = if i % SPIKE_PERIOD == SPIKE_PERIOD - 1 { SPIKE } else { 0.0 };
    let (level, pitch) = (50.0 + noise(1) + spike, 400.0 + 30.0 * noise(2));
    format!("{{\"ts\":{},\"level\":{level},\"pitch\":{pitch}}}", start + i)
}

/// The time now, in whole seconds since the Unix epoch.
pub fn now_seconds() -> i64 {
    chrono::Utc::now().timestamp()
}
