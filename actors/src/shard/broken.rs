//! A shard that breaks a rule on purpose, and a shard of a later build. The crash tests must notice
//! the one, the tests of upgrades need the other. Never in a release.

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

/// Bytes of an entry's checksum.
const CHECKSUM_BYTES: usize = 4;
/// A version of the format of entries that only a later build reads. Its layout is that of version
/// 1.
const LATER_FORMAT: u8 = 2;

/// Returns an entry of a later format as this build would have written it, if this is a later
/// build.
pub(super) fn of_later_format(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.first() != Some(&LATER_FORMAT) || !faults::reads_later_format() {
        return None;
    }
    let mut content = bytes[..bytes.len().saturating_sub(CHECKSUM_BYTES)].to_vec();
    content[0] = 1;
    let checksum = xxhash_rust::xxh3::xxh3_64(&content) as u32;
    content.extend(checksum.to_le_bytes());
    Some(content)
}
