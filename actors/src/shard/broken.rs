//! A shard that breaks a rule on purpose, to see whether the crash tests notice. Never in a release.

use thicket_schema::PartitionId;
use thicket_store::faults;

use super::detector_pool::{DetectorPool, DueCheckpoint};

/// Saves checkpoints before their rows are durable, if a test breaks the rule. Returns the checkpoints that are
/// still to be saved.
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
