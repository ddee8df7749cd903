//! A shard that breaks a rule on purpose. The crash tests must notice it. Never in a release.

use thicket_schema::PartitionId;
use thicket_store::faults;

use super::detector_pool::{DetectorPool, DueCheckpoint};

/// If a test breaks the rule, saves checkpoints before their rows are durable. Returns the
/// checkpoints that are not saved yet.
pub(super) fn save_before_rows(
    detectors: &DetectorPool,
    partition: PartitionId,
    checkpoints: Vec<DueCheckpoint>,
) -> Vec<DueCheckpoint> {
    if faults::keeps("rule.rows_before_checkpoint") {
        return checkpoints;
    }
    for due in checkpoints {
        detectors.save_if_room(partition, due);
    }
    Vec::new()
}
