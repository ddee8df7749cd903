//! A shard reads a set of partitions, owns their detectors and hands their outcomes to the writer. It is the unit of
//! parallelism: a shard and its detectors live on one arbiter, and only batches leave it.

mod actor;
mod assemble;
mod caution;
mod desk;
mod housekeeping;
mod partition;
mod cache;
mod scoring;
#[cfg(test)]
mod tests;
mod wary;
mod work;

pub use actor::{Shard, ShardOptions, ShardPeers};
