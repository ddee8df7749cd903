//! Which partitions this node owns. A lease in Redis says who is alive; the epoch in PostgreSQL says who may commit.

mod keeper;

pub use keeper::{Join, PartitionKeeper, ShardHandle};
