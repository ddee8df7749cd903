//! A shard reads partitions, owns the detectors of their sensors, and turns scores into batches of
//! rows.
//!
//! - `actor`: the messages to a shard.
//! - `worker`: the loop. It reads, collects, scores, assembles and sends.
//! - `partitions`: how far each partition is read and committed.
//! - `collect`: turns log entries into readings by sensor.
//! - `scoring`: turns readings into score outcomes.
//! - `detector_pool`, `detector_cache`: the detectors in memory.
//! - `poison_search`, `suspect_log`: find the reading that kills the process.
//! - `assemble`: turns score outcomes into a batch of rows.
//! - `housekeeping`: trims logs, measures lag, evicts idle detectors.

mod actor;
mod assemble;
#[cfg(feature = "faults")]
mod broken;
mod collect;
mod detector_cache;
mod detector_pool;
mod housekeeping;
mod options;
mod partitions;
mod poison_search;
mod scoring;
mod suspect_log;
mod worker;

pub use actor::Shard;
pub use options::{CacheBounds, ShardOptions, ShardPeers};
