//! Which partitions this node owns. A lease in Redis says who is alive; the epoch in PostgreSQL says who may commit.

mod epochs;
mod keeper;
mod labels;
mod verdicts;

pub use epochs::{
    DeploymentError, all_partitions, check_deployment, newest_generation, partitions_configured_otherwise,
};
pub use keeper::{Join, PartitionKeeper};
pub use labels::{UnannouncedLabel, mark_announced, unannounced_labels};
pub use verdicts::{Decision, Skipped, Verdicts, decide};
