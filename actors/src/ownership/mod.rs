//! Which partitions this node owns. Heartbeats in Redis show which nodes are alive; each computes
//! the same share of the partitions from them. A lease in Redis shows which node reads a partition.
//! The epoch in PostgreSQL decides which node may commit.
//!
//! - `keeper`: acquires leases, claims partitions, hands partitions over.
//! - `shares`: which partitions this node takes and which it hands over.
//! - `renewal`: the thread that renews the leases and writes the heartbeats.
//! - `live_nodes`: the nodes of the last heartbeat.

mod keeper;
mod live_nodes;
mod renewal;
mod shares;

pub use keeper::{Join, PartitionKeeper, ShardHandle};
pub use renewal::{Renewal, RenewalOptions};
