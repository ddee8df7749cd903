//! Which partitions this node owns. A lease in Redis shows which node is alive. The epoch in
//! PostgreSQL decides which node may commit.

mod keeper;
mod renewal;

pub use keeper::{Join, PartitionKeeper, ShardHandle};
pub use renewal::Renewal;
