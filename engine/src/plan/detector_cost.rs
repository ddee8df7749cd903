//! The memory of a detector and of its checkpoint, measured on a detector that reads noise until
//! its forest is full.

use anyhow::anyhow;
use thicket_detector::{Detector, DetectorConfig};
use thicket_schema::{Checkpoint, SensorName};
use thicket_store::redis::memory_of;

/// Least number of readings: then the forest and the tables of each profile are full.
const READINGS: usize = 6_000;
/// Greatest number of readings.
const MAX_READINGS: usize = 30_000;
const MINUTE: i64 = 60_000_000;
/// A name of usual length.
const SENSOR: &str = "building-4/floor-2/sensor-17";

/// What one detector costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DetectorCost {
    /// Memory of the detector in bytes.
    pub(crate) memory: u64,
    /// Memory of its checkpoint in Redis in bytes.
    pub(crate) checkpoint: u64,
}

impl DetectorCost {
    /// Measures a detector of a sensor with so many fields. Takes some tens of milliseconds.
    pub(crate) fn measure(config: &DetectorConfig, fields: u16) -> anyhow::Result<Self> {
        let names: Vec<String> = (0..fields).map(|field| format!("f{field:03}")).collect();
        let config = DetectorConfig { fields: Vec::new(), counters: Vec::new(), ..config.clone() };
        let points = config.shape().points;
        let readings = READINGS.max(3 * points).min(MAX_READINGS);
        let mut detector = Detector::new(SENSOR, &config);
        let mut values = vec![0.0; names.len()];
        for reading in 0..readings {
            for (field, value) in values.iter_mut().enumerate() {
                // Half of the fields are smooth.
                let memory = if field % 2 == 0 { 0.8 } else { 0.0 };
                *value = memory * *value + noise(reading, field);
            }
            let applied = detector.apply(reading as i64 * MINUTE, &names, &values);
            applied.map_err(|error| anyhow!("the detector cannot be measured: {error}"))?;
        }
        // A forest that is not full grows with its points.
        let full = (points as f64 / readings as f64).max(1.0);
        let checkpoint = Checkpoint {
            sensor: SENSOR.to_owned(),
            seq: detector.seq(),
            newest: None,
            era: 0,
            config: 0,
            state: detector.snapshot(),
        };
        Ok(Self {
            memory: (detector.memory_usage() as f64 * full) as u64,
            checkpoint: (memory_of(checkpoint.encoded_len(), &SensorName::new(SENSOR)?) as f64 * full) as u64,
        })
    }
}

/// Returns a number between -0.5 and 0.5: `SplitMix64` (Steele, Lea and Flood, 2014) of the
/// arguments.
fn noise(reading: usize, field: usize) -> f64 {
    let mut bits = ((reading as u64) << 16 | field as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

#[cfg(test)]
mod tests {
    use thicket_detector::Profile;

    use super::*;

    /// The table of docs/costs.md: profile, fields, KB of memory, KB of a checkpoint.
    const TABLE: [(Profile, u16, u64, u64); 4] = [
        (Profile::Small, 1, 53, 15),
        (Profile::Medium, 1, 204, 69),
        (Profile::Medium, 3, 254, 88),
        (Profile::Medium, 13, 454, 168),
    ];

    #[test]
    fn a_detector_costs_what_the_table_says_within_a_fifth() {
        for (profile, fields, memory, checkpoint) in TABLE {
            let config = DetectorConfig { profile, ..DetectorConfig::default() };
            let cost = DetectorCost::measure(&config, fields).unwrap();
            let within = |found: u64, kilobytes: u64, most: f64| {
                let ratio = found as f64 / (kilobytes * 1_000) as f64;
                assert!(
                    (0.8..most).contains(&ratio),
                    "{profile:?}, {fields} fields: {found} of {kilobytes} KB"
                );
            };
            within(cost.memory, memory, 1.2);
            // The allocator of Redis rounds up by at most a quarter.
            within(cost.checkpoint, checkpoint, 1.45);
        }
    }
}
