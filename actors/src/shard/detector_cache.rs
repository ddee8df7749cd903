//! The detectors that a shard holds in memory, by sensor, and the choice of those to evict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use actix::Addr;
use thicket_detector::NamedConfig;
use thicket_schema::{PartitionId, Position, SensorName};

use super::options::CacheBounds;
use crate::detector::{DetectorActor, DetectorConfigs};
use crate::messages::Reconfigure;

/// Beyond the bound on memory, a detector of more than this part of it goes first.
const LARGE_PART: u64 = 4;
/// The detectors are far beyond the bound on memory if they exceed it by more than this part of it.
const FAR_PART: u64 = 8;

/// A detector in memory.
#[derive(Clone, Debug)]
pub(super) struct CachedDetector {
    pub(super) sensor: SensorName,
    pub(super) detector: Addr<DetectorActor>,
    pub(super) partition: PartitionId,
    pub(super) config: Arc<NamedConfig>,
    pub(super) last_used: Instant,
    /// The end of the last range of the log that the detector was used for.
    pub(super) touched: Position,
    /// Seq of the newest checkpoint that was sent to the checkpointer.
    pub(super) saved: u64,
    /// Its memory in bytes, as it was measured last.
    pub(super) memory: u64,
}

/// The detectors in memory.
#[derive(Debug, Default)]
pub(super) struct DetectorCache {
    by_sensor: BTreeMap<SensorName, CachedDetector>,
    /// The memory of all of them in bytes.
    memory: u64,
}

impl DetectorCache {
    pub(super) fn get(&self, sensor: &SensorName) -> Option<CachedDetector> {
        self.by_sensor.get(sensor).cloned()
    }

    pub(super) fn insert(&mut self, cached: CachedDetector) {
        self.memory += cached.memory;
        let replaced = self.by_sensor.insert(cached.sensor.clone(), cached);
        self.memory -= replaced.map_or(0, |replaced| replaced.memory);
    }

    pub(super) fn touch(&mut self, sensor: &SensorName, position: Position, now: Instant) {
        if let Some(cached) = self.by_sensor.get_mut(sensor) {
            cached.touched = position;
            cached.last_used = now;
        }
    }

    pub(super) fn note_saved(&mut self, sensor: &SensorName, seq: u64) {
        if let Some(cached) = self.by_sensor.get_mut(sensor) {
            cached.saved = cached.saved.max(seq);
        }
    }

    pub(super) fn note_memory(&mut self, sensor: &SensorName, memory: u64) {
        if let Some(cached) = self.by_sensor.get_mut(sensor) {
            self.memory = self.memory - cached.memory + memory;
            cached.memory = memory;
        }
    }

    /// Returns the memory of all detectors in bytes.
    pub(super) const fn memory(&self) -> u64 {
        self.memory
    }

    fn measure(&mut self) {
        self.memory = self.by_sensor.values().map(|cached| cached.memory).sum();
    }

    /// Whether the memory of the detectors is so far beyond the bound that the next ones must wait.
    pub(super) fn is_far_beyond(&self, bounds: CacheBounds) -> bool {
        self.memory() > bounds.memory.saturating_add(bounds.memory / FAR_PART)
    }

    /// Returns how many detectors half of the memory holds, by the mean size of those that are here;
    /// `None` if there are none.
    pub(super) fn half(&self, bounds: CacheBounds) -> Option<u64> {
        let mean = self.memory().checked_div(self.len() as u64)?;
        Some(bounds.memory / 2 / mean.max(1))
    }

    pub(super) fn remove(&mut self, sensor: &SensorName) -> Option<CachedDetector> {
        let removed = self.by_sensor.remove(sensor)?;
        self.memory -= removed.memory;
        Some(removed)
    }

    pub(super) fn len(&self) -> usize {
        self.by_sensor.len()
    }

    /// Gives the detectors of a partition another configuration. The partition must not have
    /// commits in flight. A detector whose shape changes is dropped: the next reading of its sensor
    /// restores it in the new shape.
    pub(super) fn reconfigure(&mut self, partition: PartitionId, detectors: &DetectorConfigs) {
        self.by_sensor.retain(|sensor, cached| {
            let config = detectors.of(sensor);
            if cached.partition != partition || cached.config.identity == config.identity {
                return true;
            }
            if cached.config.fingerprint != config.fingerprint {
                return false;
            }
            cached.config = Arc::clone(&config);
            // The mailbox is empty, and it keeps the order of messages.
            #[expect(clippy::disallowed_methods, reason = "one per detector and change of configuration")]
            cached.detector.do_send(Reconfigure { config });
            true
        });
        self.measure();
    }

    /// Drops the detectors of a partition.
    pub(super) fn drop_partition(&mut self, partition: PartitionId) {
        self.by_sensor.retain(|_, cached| cached.partition != partition);
        self.measure();
    }

    /// Removes and returns the detectors that were idle for `evict_after`. If there are more
    /// detectors than the bounds allow, or larger ones, also removes those that were idle longest.
    /// A detector stays while a reading that it scored is not committed.
    pub(super) fn take_idle(
        &mut self,
        now: Instant,
        bounds: CacheBounds,
        committed: impl Fn(PartitionId) -> Position,
    ) -> Vec<CachedDetector> {
        let beyond_count = self.len().saturating_sub(bounds.detectors);
        let beyond_memory = self.memory().saturating_sub(bounds.memory);
        let is_idle = |last_used: Instant| now.duration_since(last_used) >= bounds.evict_after;
        let none_is_idle = !self.by_sensor.values().any(|cached| is_idle(cached.last_used));
        if beyond_count == 0 && beyond_memory == 0 && none_is_idle {
            return Vec::new();
        }
        // A detector of more than this makes no room for itself at the cost of many others.
        let large = if beyond_memory > 0 { bounds.memory / LARGE_PART } else { u64::MAX };
        let mut evictable: Vec<(bool, Instant, SensorName, u64)> = self
            .by_sensor
            .iter()
            .filter(|(_, cached)| cached.touched <= committed(cached.partition))
            .map(|(sensor, cached)| (cached.memory <= large, cached.last_used, sensor.clone(), cached.memory))
            .collect();
        evictable.sort();
        let (mut count, mut free) = (0, 0);
        evictable.retain(|&(_, last_used, _, memory)| {
            let is_evicted = count < beyond_count || free < beyond_memory || is_idle(last_used);
            if is_evicted {
                count += 1;
                free += memory;
            }
            is_evicted
        });
        evictable.into_iter().filter_map(|(_, _, sensor, _)| self.remove(&sensor)).collect()
    }

    /// Removes and returns the detectors of a partition.
    pub(super) fn take_partition(&mut self, partition: PartitionId) -> Vec<CachedDetector> {
        let taken = self.by_sensor.extract_if(.., |_, cached| cached.partition == partition);
        let taken = taken.map(|(_, cached)| cached).collect();
        self.measure();
        taken
    }

    /// Removes and returns every detector.
    pub(super) fn take_all(&mut self) -> Vec<CachedDetector> {
        std::mem::take(self).by_sensor.into_values().collect()
    }
}

#[cfg(test)]
mod tests;
