//! The budget of memory that checkpoints may take in Redis. The rest is the log's.
//!
//! Every node knows the memory of all checkpoints, since the scripts that write them keep an
//! account in Redis. Beyond the budget, and while Redis is short of memory, the checkpoints that are
//! worth least are evicted: their detectors are restored from rows.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::future::try_join_all;
use thicket_protocol::checkpoint::evicted;
use thicket_schema::PartitionId;
use thicket_store::complaints;
use thicket_store::redis::{CheckpointStore, RedisError, RedisMemory};
use tokio::sync::Mutex;

use crate::metrics::Metrics;

/// Time between two readings of the account. Meanwhile a node does not know what other nodes write.
pub(super) const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two recounts of the account.
pub(super) const RECOUNT_INTERVAL: Duration = Duration::from_hours(1);
/// The budget if neither the configuration nor Redis has a limit, in bytes.
const WITHOUT_LIMIT: u64 = 1 << 30;
/// An eviction leaves at most this part of the budget in use, in percent. So it is not repeated for
/// each checkpoint.
const LEFT_PERCENT: u64 = 95;
/// Checkpoints of each partition that an eviction considers at once.
const CANDIDATES: u32 = 16;

/// Returns the bytes that checkpoints may take in a Redis with this `maxmemory` (0: without a
/// limit). `configured` is `checkpoint.memory`, `None` for `"auto"`: half of `maxmemory`. A quarter
/// of `maxmemory` always stays for the log.
pub fn checkpoint_budget(configured: Option<u64>, maxmemory: u64) -> u64 {
    match (configured, maxmemory) {
        (None, 0) => WITHOUT_LIMIT,
        (Some(configured), 0) => configured,
        (None, maxmemory) => maxmemory / 2,
        (Some(configured), maxmemory) => configured.min(maxmemory / 4 * 3),
    }
}

/// Whether Redis uses so much memory, for checkpoints or other keys, that the log needs the rest.
fn is_short(memory: RedisMemory) -> bool {
    memory.limit > 0 && memory.used >= memory.limit / 8 * 7
}

/// Returns the bytes of checkpoints that the log needs while Redis is short of memory: then three
/// quarters of it are in use. Another deployment, or another program, may have filled the rest.
fn shortage(memory: RedisMemory) -> u64 {
    if is_short(memory) { memory.used.saturating_sub(memory.limit / 4 * 3) } else { 0 }
}

/// The settings of the budget.
#[derive(Clone, Copy, Debug)]
pub struct BudgetOptions {
    /// `checkpoint.memory` in bytes; `None` for `"auto"`.
    pub memory: Option<u64>,
    /// Number of partitions of the deployment.
    pub partitions: u16,
}

/// The budget, and what is known of its use.
#[derive(Debug)]
pub(super) struct Budget {
    store: CheckpointStore,
    options: BudgetOptions,
    metrics: Metrics,
    state: RefCell<Option<State>>,
    /// Held by the save that evicts. The others wait for its result.
    evicting: Mutex<()>,
}

#[derive(Clone, Debug)]
struct State {
    /// The budget in bytes.
    limit: u64,
    /// Memory of the checkpoints of each partition.
    partitions: Vec<u64>,
    /// The bytes of checkpoints that the log needs; 0 unless Redis is short of memory.
    shortage: u64,
    /// No stored checkpoint that may be evicted is worth as little.
    floor: Option<f64>,
}

impl State {
    fn used(&self) -> u64 {
        self.partitions.iter().sum()
    }

    /// Returns the bytes to free before `more` bytes are written, so that the checkpoints take at
    /// most `most` bytes.
    fn excess(&self, more: u64, most: u64) -> u64 {
        let used = self.used() + more;
        let beyond_limit =
            if used > self.limit { used - (self.limit / 100 * LEFT_PERCENT).min(used) } else { 0 };
        beyond_limit.max(used.saturating_sub(most))
    }

    /// Returns how many bytes of checkpoints leave the log its room.
    fn most_beside_other_keys(&self) -> u64 {
        if self.shortage > 0 { self.used().saturating_sub(self.shortage) } else { u64::MAX }
    }
}

impl Budget {
    pub(super) fn new(store: CheckpointStore, options: BudgetOptions, metrics: Metrics) -> Self {
        Self { store, options, metrics, state: RefCell::default(), evicting: Mutex::default() }
    }

    /// Decides whether a checkpoint may be written. Evicts checkpoints that are worth less to make
    /// room for it.
    pub(super) async fn admits(&self, memory: u64, worth: f64) -> Result<bool, RedisError> {
        if self.state.borrow().is_none() {
            self.read().await?;
        }
        if let Some(decided) = self.decide(memory, worth) {
            return Ok(decided);
        }
        let _evicting = self.evicting.lock().await;
        if let Some(decided) = self.decide(memory, worth) {
            return Ok(decided);
        }
        self.evict(memory, worth).await?;
        Ok(self.decide(memory, worth).unwrap_or(false))
    }

    /// Decides without an eviction. Returns `None` if an eviction may make room.
    fn decide(&self, memory: u64, worth: f64) -> Option<bool> {
        let state = self.state.borrow();
        let state = state.as_ref()?;
        if state.shortage > 0 || memory > state.limit {
            return Some(false);
        }
        if state.used() + memory <= state.limit {
            return Some(true);
        }
        state.floor.is_some_and(|floor| worth <= floor).then_some(false)
    }

    /// Notes the memory of a partition's checkpoints after a write.
    pub(super) fn note(&self, partition: PartitionId, memory: u64) {
        if let Some(state) = self.state.borrow_mut().as_mut()
            && let Some(noted) = state.partitions.get_mut(usize::from(partition.0))
        {
            *noted = memory;
        }
        self.show();
    }

    /// Reads the account, and evicts if it exceeds the budget. Logs an error.
    pub(super) async fn refresh(&self) {
        let refreshed = async {
            self.read().await?;
            let _evicting = self.evicting.lock().await;
            self.evict(0, f64::INFINITY).await
        };
        if let Err(error) = refreshed.await
            && let Some(repeated) = complaints::due("count checkpoints", &error)
        {
            tracing::warn!(%error, repeated, "cannot count the memory of checkpoints");
        }
    }

    /// Computes the account again.
    pub(super) async fn recount(&self) {
        for partition in 0..self.options.partitions {
            if let Err(error) = self.store.recount(PartitionId(partition)).await {
                if let Some(repeated) = complaints::due("recount checkpoints", &error) {
                    tracing::warn!(%error, repeated, "cannot recount the memory of checkpoints");
                }
                return;
            }
        }
    }

    async fn read(&self) -> Result<(), RedisError> {
        let server = self.store.server_memory().await?;
        let limit = checkpoint_budget(self.options.memory, server.limit);
        let partitions = self.store.memory(self.options.partitions).await?;
        *self.state.borrow_mut() = Some(State { limit, partitions, shortage: shortage(server), floor: None });
        self.show();
        Ok(())
    }

    /// Evicts checkpoints that are worth at most `worth`, if there is no room for `memory` bytes, or
    /// if Redis is short of memory.
    async fn evict(&self, memory: u64, worth: f64) -> Result<(), RedisError> {
        // Redis may count memory as used for a while after it was freed.
        let most = self.state.borrow().as_ref().map_or(u64::MAX, State::most_beside_other_keys);
        if most < u64::MAX
            && let Some(repeated) = complaints::due("redis is short of memory", &"checkpoints")
        {
            tracing::warn!(repeated, "redis is short of memory for the log; evicting checkpoints");
        }
        loop {
            let excess = self.state.borrow().as_ref().map_or(0, |state| state.excess(memory, most));
            if excess == 0 {
                return Ok(());
            }
            let partitions = (0..self.options.partitions).map(PartitionId);
            let lists = partitions.map(|partition| self.store.worth_least(partition, worth, CANDIDATES));
            let mut least: Vec<_> = try_join_all(lists).await?.into_iter().flatten().collect();
            least.sort_by(|a, b| a.worth.total_cmp(&b.worth).then_with(|| a.sensor.cmp(&b.sensor)));
            least.truncate(evicted(least.iter().map(|checkpoint| checkpoint.memory), excess));
            let count = self.store.evict(&least).await?;
            self.metrics.checkpoints_evicted.inc_by(count as u64);
            self.read().await?;
            if count == 0 {
                if let Some(state) = self.state.borrow_mut().as_mut() {
                    state.floor = Some(worth);
                }
                return Ok(());
            }
        }
    }

    fn show(&self) {
        if let Some(state) = self.state.borrow().as_ref() {
            self.metrics.checkpoint_memory_bytes.set(state.used() as i64);
            self.metrics.checkpoint_memory_limit_bytes.set(state.limit as i64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_quarter_of_redis_always_stays_for_the_log() {
        assert_eq!(checkpoint_budget(None, 2 * GIB), GIB);
        assert_eq!(checkpoint_budget(Some(GIB / 2), 2 * GIB), GIB / 2);
        assert_eq!(checkpoint_budget(Some(2 * GIB), 2 * GIB), GIB / 2 * 3);
        assert_eq!(checkpoint_budget(Some(3 * GIB), 0), 3 * GIB);
        assert_eq!(checkpoint_budget(None, 0), GIB);
    }

    #[test]
    fn half_of_the_shipped_redis_holds_the_checkpoints_of_4_700_sensors_of_13_fields() {
        // docs/costs.md: 163 KB each.
        let sensor = thicket_schema::SensorName::new("site-1/microphone-7").unwrap();
        let checkpoint = thicket_store::redis::memory_of(163_000, &sensor);
        assert!(checkpoint_budget(None, 2 * GIB) / checkpoint > 4_700);
    }

    #[test]
    fn an_eviction_frees_a_little_more_than_is_needed() {
        let state = State { limit: 1_000, partitions: vec![400, 500], shortage: 0, floor: None };
        let most = state.most_beside_other_keys();
        assert_eq!((state.excess(100, most), state.excess(101, most)), (0, 51));
        let above = State { limit: 500, ..state };
        assert_eq!(above.excess(0, most), 425);
    }

    #[test]
    fn checkpoints_make_room_for_the_log_until_a_quarter_of_redis_is_free() {
        let shortage = |used| shortage(RedisMemory { used, limit: 800 });
        assert_eq!((shortage(699), shortage(700), shortage(800)), (0, 100, 200));
        let state = State { limit: 400, partitions: vec![50, 100], shortage: 100, floor: None };
        assert_eq!(state.excess(0, state.most_beside_other_keys()), 100);
        let few = State { partitions: vec![50, 0], ..state };
        assert_eq!(few.excess(0, few.most_beside_other_keys()), 50, "all that may be evicted");
    }

    #[test]
    fn the_log_needs_the_last_eighth_of_redis() {
        let at = |used| is_short(RedisMemory { used, limit: 800 });
        assert_eq!((at(699), at(700)), (false, true));
        assert!(!is_short(RedisMemory { used: 700, limit: 0 }));
    }
}
