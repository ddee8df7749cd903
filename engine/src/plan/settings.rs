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
        }
    }

    /// Returns the settings as a part of a configuration file.
    pub(super) fn toml(&self) -> String {
        let Self { partitions, shards, max_detectors, memory_mib, checkpoint_memory_mib } = self;
        format!(
            "[queue]\npartitions = {partitions}  # fixed at the first start\n\n\
             [shards]\ncount = {shards}\nmax_detectors = {max_detectors}\nmemory = \"{memory_mib}MiB\"\n\n\
             [checkpoint]\nmemory = \"{checkpoint_memory_mib}MiB\"\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_the_cores_and_partitions_the_shards() {
        let of = |engine_cores| {
            let bounds =
                Bounds { detectors: 125, detector_memory: 3 * MIB + 1, checkpoint_memory: 1, engine_cores };
            Settings::of(&bounds)
        };
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
