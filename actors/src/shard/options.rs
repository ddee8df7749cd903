//! The settings of a shard, and the actors that it sends messages to.

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use thicket_store::redis::Suspects;
use tokio::sync::Mutex;

use crate::detector::DetectorConfigs;
use crate::messages::{Commit, DeleteCheckpoint, Load, LoadNear, LoadRows, Quarantine, Refuse, Reopen, Save};
use crate::metrics::Metrics;
use crate::supervision::ExitSignal;

/// The bounds of the detectors in memory.
#[derive(Clone, Copy, Debug)]
pub struct CacheBounds {
    /// How long a detector stays in memory without a reading.
    pub evict_after: Duration,
    /// Maximum number of detectors.
    pub detectors: usize,
    /// Maximum bytes of all detectors. Beyond it, a detector of more than a quarter goes first.
    pub memory: u64,
}

/// The settings of a shard.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// Its number, from 0.
    pub number: u16,
    /// The configuration of the sensors of a partition whose log has no configuration yet.
    pub detectors: Arc<DetectorConfigs>,
    /// Readings between two checkpoints of a sensor.
    pub checkpoint_every: u64,
    /// Which detectors stay in memory.
    pub bounds: CacheBounds,
    /// Maximum number of readings that are read and not committed yet.
    pub max_in_flight: u32,
}

/// The actors and records that a shard uses.
#[derive(Clone, Debug)]
pub struct ShardPeers {
    /// Commit its batches. Writer p modulo the number of writers commits partition p.
    pub writers: Vec<Recipient<Commit>>,
    /// Saves checkpoints.
    pub save: Recipient<Save>,
    /// Loads the history of a sensor.
    pub load: Recipient<Load>,
    /// Loads the rows that follow the first page of a history.
    pub load_rows: Recipient<LoadRows>,
    /// Deletes the checkpoints of sensors that are forgotten.
    pub delete_checkpoint: Recipient<DeleteCheckpoint>,
    /// Loads the stored rows near late readings.
    pub near: Recipient<LoadNear>,
    /// Assigns a partition again.
    pub reopen: Recipient<Reopen>,
    /// Leaves a partition to a newer build.
    pub refuse: Recipient<Refuse>,
    /// Quarantines a reading.
    pub quarantine: Recipient<Quarantine>,
    /// Ends the node.
    pub exit: ExitSignal,
    /// Records which entries the shard is about to apply, after an owner that crashed.
    pub suspects: Suspects,
    /// Held by the shard that scores suspected readings one by one. At most one shard of the
    /// process holds it at a time.
    pub suspect_lock: Arc<Mutex<()>>,
}

/// The settings, peers and metrics that the parts of a shard share.
#[derive(Clone, Debug)]
pub(super) struct ShardContext {
    pub(super) options: ShardOptions,
    pub(super) peers: ShardPeers,
    pub(super) metrics: Metrics,
    /// The shard's number as the label of its metrics.
    pub(super) label: String,
}

impl ShardContext {
    pub(super) fn new(options: ShardOptions, peers: ShardPeers, metrics: Metrics) -> Self {
        let label = options.number.to_string();
        Self { options, peers, metrics, label }
    }
}
