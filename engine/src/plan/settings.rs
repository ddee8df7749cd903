//! The settings for a fleet.

use serde::Serialize;

/// Shards for each core that is busy: readings come in waves.
const SHARDS_PER_CORE: f64 = 2.0;
/// Least number of partitions, the default, and the greatest.
const PARTITIONS: (u16, u16) = (64, 4_096);
/// Partitions for each shard, so that more nodes can share them later.
const PARTITIONS_PER_SHARD: u16 = 4;
const MIB: u64 = 1 << 20;

/// What the settings must allow for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Sensors of the fleet.
    pub(super) sensors: u64,
    /// The same with room for more.
    pub(super) sensors_with_room: u64,
    /// `sensors.max` and `sensors.new_at_once` of the configuration.
    pub(super) allowed_sensors: u64,
    pub(super) allowed_at_once: u64,
    /// Detectors in memory.
    pub(super) detectors: u64,
    /// Memory of the detectors in bytes.
    pub(super) detector_memory: u64,
    /// Memory of the checkpoints in bytes.
    pub(super) checkpoint_memory: u64,
    /// Cores that the engine keeps busy.
    pub(super) engine_cores: f64,
}

/// The settings for a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Settings {
    pub(crate) partitions: u16,
    pub(crate) shards: u16,
    pub(crate) max_detectors: u64,
    /// `shards.memory` in MiB.
    pub(crate) memory_mib: u64,
    /// `checkpoint.memory` in MiB.
    pub(crate) checkpoint_memory_mib: u64,
    /// `sensors.max`; `None` if the configuration allows enough.
    pub(crate) sensors_max: Option<u64>,
    /// `sensors.new_at_once`, for the first start; `None` if the configuration allows enough.
    pub(crate) sensors_new_at_once: Option<u64>,
}

impl Settings {
    pub(super) fn of(bounds: &Bounds) -> Self {
        let (least, most) = PARTITIONS;
        let shards = (bounds.engine_cores * SHARDS_PER_CORE).ceil().clamp(1.0, f64::from(most)) as u16;
        let wanted = shards.saturating_mul(PARTITIONS_PER_SHARD).min(most);
        let partitions = wanted.checked_next_power_of_two().unwrap_or(most).clamp(least, most);
        Self {
            partitions,
            shards,
            max_detectors: bounds.detectors,
            memory_mib: bounds.detector_memory.div_ceil(MIB).max(1),
            checkpoint_memory_mib: bounds.checkpoint_memory.div_ceil(MIB).max(1),
            sensors_max: (bounds.sensors_with_room > bounds.allowed_sensors)
                .then_some(bounds.sensors_with_room),
            sensors_new_at_once: (bounds.sensors > bounds.allowed_at_once).then_some(bounds.sensors),
        }
    }

    /// Returns the settings as a part of a configuration file.
    pub(super) fn toml(&self) -> String {
        let Self { partitions, shards, max_detectors, memory_mib, checkpoint_memory_mib, .. } = self;
        let max = self.sensors_max.map(|max| format!("max = {max}\n"));
        let at_once = self.sensors_new_at_once.map(|new| {
            format!(
                "new_at_once = {new}  # for the first start, when all sensors are new; remove it afterwards\n"
            )
        });
        let lines: String = max.into_iter().chain(at_once).collect();
        let sensors = if lines.is_empty() { lines } else { format!("\n[sensors]\n{lines}") };
        format!(
            "[queue]\npartitions = {partitions}  # fixed at the first start\n\n\
             [shards]\ncount = {shards}\nmax_detectors = {max_detectors}\nmemory = \"{memory_mib}MiB\"\n\n\
             [checkpoint]\nmemory = \"{checkpoint_memory_mib}MiB\"\n{sensors}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(sensors: u64, engine_cores: f64) -> Bounds {
        Bounds {
            sensors,
            sensors_with_room: sensors * 5 / 4,
            allowed_sensors: 50_000,
            allowed_at_once: 5_000,
            detectors: 125,
            detector_memory: 3 * MIB + 1,
            checkpoint_memory: 1,
            engine_cores,
        }
    }

    #[test]
    fn a_fleet_beyond_the_bounds_of_sensors_gets_bounds_that_let_it_in() {
        let file: toml::Table = Settings::of(&bounds(200_000, 1.0)).toml().parse().unwrap();
        assert_eq!(file["sensors"]["max"].as_integer(), Some(250_000));
        assert_eq!(file["sensors"]["new_at_once"].as_integer(), Some(200_000));
        let file: toml::Table = Settings::of(&bounds(10_000, 1.0)).toml().parse().unwrap();
        assert!(file["sensors"].get("max").is_none());
        assert_eq!(file["sensors"]["new_at_once"].as_integer(), Some(10_000));
        assert!(!Settings::of(&bounds(5_000, 1.0)).toml().contains("[sensors]"));
    }

    #[test]
    fn shards_follow_the_cores_and_partitions_the_shards() {
        let of = |engine_cores| Settings::of(&bounds(100, engine_cores));
        let small = of(0.02);
        assert_eq!((small.shards, small.partitions), (1, 64));
        assert_eq!((small.memory_mib, small.checkpoint_memory_mib), (4, 1));
        let large = of(16.0);
        assert_eq!((large.shards, large.partitions), (32, 128));
        assert_eq!(of(1e9).partitions, 4_096);
        let file: toml::Table = small.toml().parse().unwrap();
        assert_eq!(file["shards"]["memory"].as_str(), Some("4MiB"));
    }
}
