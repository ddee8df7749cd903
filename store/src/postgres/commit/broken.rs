//! Commits that break a rule on purpose: the crash tests must notice it. Never in a release.

use std::collections::BTreeMap;

use diesel::result::Error as DatabaseError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use thicket_schema::PartitionId;

use super::super::batch::CommitBatch;
use super::super::pending_writes::{CommitReport, PendingWrites, StoredReferences, after_commit, lock};
use super::super::positions::advance;
use crate::faults;

const POSITION_WITH_ROWS: &str = "rule.position_with_rows";
const EPOCH_IS_CHECKED: &str = "rule.epoch_is_checked";

/// Whether a test asks for a broken commit.
pub(super) fn is_wanted() -> bool {
    !faults::keeps(POSITION_WITH_ROWS) || !faults::keeps(EPOCH_IS_CHECKED)
}

/// Commits as [`super::apply`] does, with one difference: either the positions advance after the
/// transaction, or every epoch counts as the current one.
pub(super) async fn apply(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    stored: &StoredReferences,
) -> Result<CommitReport, DatabaseError> {
    let mut writes = PendingWrites::default();
    let report = connection
        .transaction(async |connection| write(connection, &mut writes, batches, stored).await)
        .await?;
    if !faults::keeps(POSITION_WITH_ROWS) && !writes.advances.is_empty() {
        faults::pass("commit.before");
        advance(connection, &writes.advances).await?;
    }
    after_commit()?;
    Ok(report)
}

async fn write<'a>(
    connection: &mut AsyncPgConnection,
    writes: &mut PendingWrites<'a>,
    batches: &[&'a CommitBatch],
    stored: &StoredReferences,
) -> Result<CommitReport, DatabaseError> {
    let mut committed = lock(connection, batches).await?;
    let epochs: BTreeMap<PartitionId, i64> =
        committed.iter().map(|(&partition, at)| (partition, at.epoch)).collect();
    if !faults::keeps(EPOCH_IS_CHECKED) {
        for batch in batches {
            committed.entry(batch.partition).and_modify(|at| at.epoch = batch.epoch);
        }
    }
    let mut report = writes.add_all(batches, committed, stored);
    if writes.advances.is_empty() {
        return Ok(report);
    }
    if !faults::keeps(EPOCH_IS_CHECKED) {
        for (partition, advance) in &mut writes.advances {
            advance.epoch = epochs[partition];
        }
    }
    writes.insert(connection, &mut report).await?;
    if faults::keeps(POSITION_WITH_ROWS)
        && advance(connection, &writes.advances).await? != writes.advances.len()
    {
        return Err(DatabaseError::RollbackTransaction);
    }
    faults::pass("insert.after");
    faults::pass("commit.before");
    Ok(report)
}
