//! The detectors that a shard holds in memory, by sensor, and the choice of those to evict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use thicket_detector::NamedConfig;
use thicket_schema::{PartitionId, Position, SensorName};

use crate::detector::{DetectorActor, DetectorConfigs};
use crate::messages::Reconfigure;

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
}

/// The detectors in memory.
#[derive(Debug, Default)]
pub(super) struct DetectorCache {
    by_sensor: BTreeMap<SensorName, CachedDetector>,
}

impl DetectorCache {
    pub(super) fn get(&self, sensor: &SensorName) -> Option<CachedDetector> {
        self.by_sensor.get(sensor).cloned()
    }

    pub(super) fn insert(&mut self, cached: CachedDetector) {
        self.by_sensor.insert(cached.sensor.clone(), cached);
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
    }

    /// Drops the detectors of a partition.
    pub(super) fn drop_partition(&mut self, partition: PartitionId) {
        self.by_sensor.retain(|_, cached| cached.partition != partition);
    }

    /// Removes and returns the detectors that were idle for `evict_after`. If there are more than
    /// `cap` detectors, also removes those that were idle longest. A detector stays while a reading
    /// that it scored is not committed.
    pub(super) fn take_idle(
        &mut self,
        now: Instant,
        evict_after: Duration,
        cap: usize,
        committed: impl Fn(PartitionId) -> Position,
    ) -> Vec<CachedDetector> {
        let beyond_cap = self.len().saturating_sub(cap);
        let is_idle = |cached: &CachedDetector| now.duration_since(cached.last_used) >= evict_after;
        if beyond_cap == 0 && !self.by_sensor.values().any(is_idle) {
            return Vec::new();
        }
        let mut evictable: Vec<(Instant, SensorName)> = self
            .by_sensor
            .iter()
            .filter(|(_, cached)| cached.touched <= committed(cached.partition))
            .map(|(sensor, cached)| (cached.last_used, sensor.clone()))
            .collect();
        evictable.sort();
        let is_evicted = |(rank, (last_used, _)): &(usize, (Instant, SensorName))| {
            *rank < beyond_cap || now.duration_since(*last_used) >= evict_after
        };
        let evicted = evictable.into_iter().enumerate().take_while(is_evicted);
        evicted.filter_map(|(_, (_, sensor))| self.by_sensor.remove(&sensor)).collect()
    }

    /// Removes and returns every detector.
    pub(super) fn take_all(&mut self) -> Vec<CachedDetector> {
        std::mem::take(&mut self.by_sensor).into_values().collect()
    }
}
