//! Commits that break a rule on purpose, to see whether the crash tests notice. Never in a release.

use diesel_async::AsyncConnection as _;

use super::{
    Applied, AsyncPgConnection, BTreeMap, CommitBatch, DatabaseError, Known, PartitionId, PendingWrites,
    advance, after_commit, faults, lock,
};

const POSITION_WITH_ROWS: &str = "rule.position_with_rows";
const EPOCH_IS_CHECKED: &str = "rule.epoch_is_checked";

/// Whether a test asks for a broken commit.
pub(super) fn is_wanted() -> bool {
    !faults::keeps(POSITION_WITH_ROWS) || !faults::keeps(EPOCH_IS_CHECKED)
}

/// Commits as [`super::apply`] does, except that the positions advance after the transaction, or that every
/// epoch is taken for the current one.
pub(super) async fn apply(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    known: &Known,
) -> Result<Applied, DatabaseError> {
    let mut writes = PendingWrites::default();
    let applied = connection
        .transaction(async |connection| write(connection, &mut writes, batches, known).await)
        .await?;
    if !faults::keeps(POSITION_WITH_ROWS) && !writes.advances.is_empty() {
        faults::pass("commit.before");
        advance(connection, &writes.advances).await?;
    }
    after_commit()?;
    Ok(applied)
}

async fn write<'a>(
    connection: &mut AsyncPgConnection,
    writes: &mut PendingWrites<'a>,
    batches: &[&'a CommitBatch],
    known: &Known,
) -> Result<Applied, DatabaseError> {
    let mut committed = lock(connection, batches).await?;
    let epochs: BTreeMap<PartitionId, i64> =
        committed.iter().map(|(&partition, at)| (partition, at.epoch)).collect();
    if !faults::keeps(EPOCH_IS_CHECKED) {
        for batch in batches {
            committed.entry(batch.partition).and_modify(|at| at.epoch = batch.epoch);
        }
    }
    let mut applied = writes.add_all(batches, committed, known);
    if writes.advances.is_empty() {
        return Ok(applied);
    }
    if !faults::keeps(EPOCH_IS_CHECKED) {
        for (partition, advance) in &mut writes.advances {
            advance.epoch = epochs[partition];
        }
    }
    writes.insert(connection, &mut applied).await?;
    if faults::keeps(POSITION_WITH_ROWS)
        && advance(connection, &writes.advances).await? != writes.advances.len()
    {
        return Err(DatabaseError::RollbackTransaction);
    }
    faults::pass("insert.after");
    faults::pass("commit.before");
    Ok(applied)
}
